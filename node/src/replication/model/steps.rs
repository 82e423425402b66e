//! The steps: each carried out by the model and by the code.

use std::sync::Arc;

use millpond_core::message::Message;
use millpond_core::wire::PushFrame;
use millpond_core::{Dot, Namespace, Push};

use super::super::LinkId;
use super::super::inbox::{Fate, Inbox, Received};
use super::check::{Fault, Rule, hold};
use super::history::{Covered, History, Kind, Name, NodeId, incarnation, path, payload};
use super::state::{Node, Past, State, decode, encode};
use super::transfer::{Asked, Transfer};
use crate::state::{Job, JobError, Local};

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// A node carries out what the script has next.
    Write(NodeId),
    /// A transaction arrives at a node, by a feed or a relay: in time, too early or again.
    Push { first: Name, to: NodeId },
    /// A node asks another one for a catch-up, above what it has durably; or above that and a transaction
    /// that it has received and may yet lose.
    Ask { asker: NodeId, supplier: NodeId, received: Option<Name> },
    /// A catch-up arrives and is applied as one batch. It may arrive again.
    Batch(usize),
    /// The next row of a catch-up arrives and is staged.
    Slice(usize),
    /// The rest arrives, and the cut flips.
    Flip(usize),
    /// A node folds a row of a cut that is visible.
    Fold(NodeId),
    /// A node loses all that is not in its store, and starts again.
    Crash(NodeId),
}

impl State {
    /// Carries a step out.
    pub(super) fn step(&mut self, action: Action) -> Result<(), Fault> {
        match action {
            Action::Write(node) => self.write(node),
            Action::Push { first, to } => self.push(first, to),
            Action::Ask { asker, supplier, received } => self.ask(asker, supplier, received),
            Action::Batch(index) => self.batch(index),
            Action::Slice(index) => self.slice(index),
            Action::Flip(index) => self.flip(index),
            Action::Fold(node) => self.fold(node),
            Action::Crash(node) => self.crash(node),
        }
    }

    fn write(&mut self, id: NodeId) -> Result<(), Fault> {
        let (kind, value) = (self.script[self.written], self.written as u8 + 1);
        let job = Job::Local(local(id, kind, value));
        let causes = self.nodes[id].covered;
        let (mut history, mut pushes) = (self.past.history.clone(), self.past.pushes.clone());
        let names = history.write(id, causes, kind, value);
        let mut results = self.commit(id, vec![job])?;
        let outcome = results.swap_remove(0).expect("a small write is never refused");
        let Some((first, last)) = names else {
            hold!(Seen, outcome.pushes.is_empty(), "{id} deletes nothing: {outcome:?}");
            return Ok(());
        };
        hold!(Numbered, outcome.pushes.len() == 1, "{id} wrote {outcome:?}");
        let push = &outcome.pushes[0];
        check_push(&history, push, first, last)?;
        pushes.insert(first, encode(&Message::Push(PushFrame::encode(push))));
        self.past = Arc::new(Past::new(history, pushes));
        self.written += 1;
        self.nodes[id].covered.advance(last);
        self.audit(id)
    }

    fn push(&mut self, first: Name, to: NodeId) -> Result<(), Fault> {
        let Message::Push(frame) = decode(&self.past.pushes[&first]) else {
            panic!("a push was stored")
        };
        let write = self.past.history.get(first).expect("it was written").clone();
        let last = Name { seq: write.transaction.1, ..first };
        let Node { covered, code, .. } = &self.nodes[to];
        let expected = match covered.covers(last) {
            true => Arrival::Again,
            false if covered.covers_all(write.causes) => Arrival::InTime,
            false => Arrival::Early,
        };
        let admitted = admit(code.heads.vv(Namespace::MAIN), &frame);
        let results = self.commit(to, vec![Job::Pushes(vec![frame])])?;
        let applied = match &results[0] {
            Ok(outcome) if outcome.rows_new == 0 => Arrival::Again,
            Ok(_) => Arrival::InTime,
            Err(JobError::Dependencies) => Arrival::Early,
            Err(error) => panic!("a push is never refused for {error}"),
        };
        if applied == Arrival::InTime {
            self.nodes[to].covered.advance(last);
        }
        self.audit(to)?;
        hold!(Ready, applied == expected, "{first:?} is {expected:?} at {to}: {applied:?}");
        hold!(
            Ready,
            admitted == Some(expected),
            "{first:?} is {expected:?}, in the inbox {admitted:?}"
        );
        Ok(())
    }

    fn ask(
        &mut self,
        asker: NodeId,
        supplier: NodeId,
        received: Option<Name>,
    ) -> Result<(), Fault> {
        let mut applied = self.nodes[asker].covered;
        if let Some(first) = received {
            let write = self.past.history.get(first).expect("it was written");
            applied.advance(Name { seq: write.transaction.1, ..first });
        }
        let transfer = match Transfer::ask(self, asker, supplier, applied)? {
            Asked::Supplied(transfer) => *transfer,
            Asked::Refused => return Ok(()),
            Asked::FellBack => return self.drop_cut(asker),
        };
        if !self.transfers.contains(&transfer) {
            self.asked += 1;
            self.transfers.push(transfer);
            self.transfers.sort_unstable_by_key(Transfer::digest);
        }
        Ok(())
    }

    fn batch(&mut self, index: usize) -> Result<(), Fault> {
        let transfer = self.transfers[index].clone();
        let Transfer { asker, from, upto, .. } = transfer;
        let node = &self.nodes[asker];
        let is_based = node.covered.covers_all(from) && !node.hides_rows();
        let result = self.commit(asker, vec![transfer.whole()])?.swap_remove(0);
        if result.is_ok() {
            self.nodes[asker].covered.join(upto);
        }
        self.audit(asker)?;
        hold!(Based, result.is_ok() == is_based, "{from:?}..{upto:?} at {asker}: {result:?}");
        Ok(())
    }

    fn slice(&mut self, index: usize) -> Result<(), Fault> {
        let mut transfer = self.transfers.remove(index);
        let asker = transfer.asker;
        let result = self.commit(asker, vec![transfer.slice()])?.swap_remove(0);
        self.audit(asker)?;
        if result.is_err() {
            return self.drop_cut(asker);
        }
        self.transfers.push(transfer);
        self.transfers.sort_unstable_by_key(Transfer::digest);
        Ok(())
    }

    fn flip(&mut self, index: usize) -> Result<(), Fault> {
        let transfer = self.transfers.remove(index);
        let Transfer { asker, from, upto, is_newer, .. } = transfer;
        let is_based = self.nodes[asker].covered.covers_all(from);
        let is_undisturbed = self.is_undisturbed(&transfer);
        let mut results = self.commit(asker, transfer.finish())?;
        let is_flipped = results.pop().expect("the flip is the last job").is_ok();
        if is_flipped {
            self.nodes[asker].covered.join(upto);
            self.has_resumed |= is_newer;
        }
        self.audit(asker)?;
        hold!(Based, is_based || !is_flipped, "{asker} flips a cut above {from:?}");
        hold!(Based, is_flipped || !is_undisturbed, "{asker} refuses {from:?}..{upto:?}");
        match is_flipped && results.iter().all(Result::is_ok) {
            true => Ok(()),
            false => self.drop_cut(asker),
        }
    }

    /// Whether nothing has happened at the asker since it asked, so that its cut must be taken. One whose
    /// rows went straight to the tables, and that is resumed with a vector that takes in what the asker
    /// itself wrote meanwhile, begins anew.
    fn is_undisturbed(&self, transfer: &Transfer) -> bool {
        let node = &self.nodes[transfer.asker];
        let has_cut = node.code.heads.cuts.contains_key(&Namespace::MAIN);
        let mut others = self.transfers.iter().map(|other| other.asker);
        others.all(|other| other != transfer.asker)
            && node.covered == transfer.applied
            && !node.is_folding()
            && (!has_cut || transfer.is_sliced())
            && (has_cut || !transfer.is_sliced())
            && (!transfer.from.is_empty() || node.covered.is_apart(transfer.upto))
    }

    /// What the engine does with a cut that was not taken.
    fn drop_cut(&mut self, id: NodeId) -> Result<(), Fault> {
        let results =
            self.commit(id, vec![Job::DropCut { namespace: Namespace::MAIN, rows_max: 1 }])?;
        assert!(results[0].is_ok(), "dropping is always possible");
        self.audit(id)
    }

    fn fold(&mut self, id: NodeId) -> Result<(), Fault> {
        let job = Job::Fold { namespace: Namespace::MAIN, rows_max: 1 };
        let results = self.commit(id, vec![job])?;
        assert!(results[0].is_ok(), "folding is always possible");
        self.audit(id)
    }

    fn crash(&mut self, id: NodeId) -> Result<(), Fault> {
        let node = &mut self.nodes[id];
        node.code = Arc::new(node.code.crashed());
        node.boot += 1;
        self.crashes += 1;
        self.transfers.retain(|transfer| transfer.asker != id);
        self.audit(id)
    }
}

/// How a push arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrival {
    InTime,
    /// Before something that it depends on.
    Early,
    Again,
}

/// What the inbox makes of a push.
fn admit(vv: &millpond_core::VersionVector, push: &PushFrame) -> Option<Arrival> {
    let mut inbox = Inbox::new(usize::MAX);
    inbox.advance(vv);
    let fate = inbox.accept(Received { push: push.clone(), link: LinkId(0) });
    match (fate, inbox.take_ready().len()) {
        (Fate::Kept, 1) => Some(Arrival::InTime),
        (Fate::Kept, _) if inbox.take_forged().is_empty() => Some(Arrival::Early),
        (Fate::Duplicate, _) => Some(Arrival::Again),
        _ => None,
    }
}

fn check_push(history: &History, push: &Push, first: Name, last: Name) -> Result<(), Fault> {
    let numbered = push.dot(0) == first.dot() && push.last() == last.dot();
    hold!(Numbered, numbered, "{first:?} to {last:?} are {push:?}");
    for (seq, write) in (first.seq..=last.seq).zip(&push.writes) {
        let expected = history.get(Name { seq, ..first }).expect("it was written");
        let seen: Vec<Dot> = expected.overwritten.iter().map(|name| name.dot()).collect();
        let is_same = write.path == path(expected.path)
            && write.payload == expected.value.map(payload)
            && write.overwritten == seen;
        hold!(Seen, is_same, "{expected:?} is written as {write:?}");
    }
    Ok(())
}

fn local(id: NodeId, kind: Kind, value: u8) -> Local {
    Local {
        namespace: Namespace::MAIN,
        closure: Box::new(move |tx| {
            for &(index, puts) in kind.touches() {
                match puts {
                    true => tx.put(path(index), payload(value))?,
                    false => drop(tx.delete(&path(index))?),
                }
            }
            Ok(())
        }),
        now_ms: id as u64 + 1,
        ended: None,
        fresh: incarnation(id),
        key: State::key(id),
    }
}

/// What a node covers once it has received this, too.
pub(super) fn is_next(state: &State, covered: Covered, first: Name) -> bool {
    let write = state.past.history.get(first).expect("it was written");
    !covered.covers(first) && covered.covers_all(write.causes)
}
