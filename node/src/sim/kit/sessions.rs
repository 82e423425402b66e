//! Writes that wait for other nodes, and clients that move between nodes.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use millpond_core::{Namespace, VersionVector};

use super::Sim;
use crate::closure::{Outcome, guarded};
use crate::concern::Concern;
use crate::replication::{Answer, Behind, Request, Wanted};
use crate::state::{LocalClosure, View, WriteError, WriteTx};
use crate::{AtLeastError, Bookmark, ConcernError, ConcernNotMet, Concerned, Receipt};

/// A transaction of a simulated node that waits for other nodes; made by [`Sim::write_for`].
#[must_use = "nothing is written before it is run"]
pub struct SimWrite<'s, T, E> {
    sim: &'s mut Sim,
    node: usize,
    closure: LocalClosure,
    outcome: Outcome<T, E>,
}

/// Waits once more for what a simulated node has written; made by [`Sim::wait_for`].
#[must_use = "nothing happens before it is run"]
pub struct SimWait<'s> {
    sim: &'s mut Sim,
    node: usize,
    receipt: Receipt,
}

/// What a write came to: its value, its receipt, and whether its concern was met.
type Written<T> = (T, Receipt, bool);

impl Sim {
    /// A transaction that waits, once it is on disk at its node, until other nodes hold it: as
    /// [`Write::concern`](crate::Write::concern), with the same methods, and run by `run`. To a concern that
    /// names members the nodes are `n0`, `n1` and so on.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use millpond::records::{RecordError, RecordId, RecordTx};
    /// use millpond::sim::Sim;
    /// use millpond::{Concern, ConcernError, WriteTx};
    ///
    /// fn vote(tx: &mut WriteTx<'_>) -> Result<i128, RecordError> {
    ///     RecordTx::new(tx).count(&RecordId::new("polls", "lunch")?, "votes", 1)
    /// }
    ///
    /// let mut sim = Sim::new(3);
    /// let (votes, receipt) = sim.write_for(0, Concern::Majority, vote).run().unwrap();
    /// assert_eq!((votes, receipt.acks.acked.len() >= 1), (1, true));
    ///
    /// // In a minority it is unknown whether others will have it. It is written all the same, once.
    /// sim.partition([0], [1, 2]);
    /// let cut_off = sim.write_for(0, Concern::Majority, vote).timeout(Duration::from_secs(2)).run();
    /// let Err(ConcernError::NotMet { unmet, .. }) = cut_off else { panic!("it is cut off") };
    /// sim.heal().settle();
    /// sim.wait_for(0, &unmet.receipt, Concern::All).run().unwrap();
    /// ```
    ///
    /// # Panics
    /// When there is no such node.
    pub fn write_for<T: Send + 'static, E: From<WriteError> + Send + 'static>(
        &mut self,
        node: usize,
        concern: Concern,
        closure: impl FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Concerned<SimWrite<'_, T, E>> {
        let outcome = Outcome::default();
        let closure = guarded(closure, outcome.clone());
        Concerned::new(SimWrite { sim: self, node, closure, outcome }, concern)
    }

    /// Waits once more, at the node that has written it, until other nodes hold a write: as
    /// [`Receipt::wait_for`], which a simulated receipt cannot.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn wait_for(
        &mut self,
        node: usize,
        receipt: &Receipt,
        concern: Concern,
    ) -> Concerned<SimWait<'_>> {
        let receipt = receipt.clone();
        Concerned::new(SimWait { sim: self, node, receipt }, concern)
    }

    /// What a node shows once that is at least what a client has seen, as [`Replica::at_least`](crate::Replica::at_least).
    ///
    /// # Errors
    /// Any [`AtLeastError`]: [`AtLeastError::Closed`] of a node that is down.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn at_least(
        &mut self,
        node: usize,
        bookmark: &Bookmark,
        within: Duration,
    ) -> Result<View, AtLeastError> {
        self.step(Some(node));
        if !self.is_running(node) {
            return Err(AtLeastError::Closed);
        }
        self.tell(|| format!("a client with a bookmark comes to {node}"));
        let timeout_ms = crate::replica::timeout_ms(within);
        let request = Request::AwaitShown { vv: bookmark.vv().clone(), timeout_ms };
        match self.answer(node, timeout_ms, request) {
            Some(Answer::Shown(Ok(()))) => Ok(self.world.view(node, Namespace::MAIN)),
            Some(Answer::Shown(Err(Behind { missing, eta }))) => {
                Err(AtLeastError::Behind { missing, eta })
            }
            _ => Err(AtLeastError::Closed),
        }
    }

    /// The bookmark of who has read a view at a node, as [`Replica::bookmark`](crate::Replica::bookmark).
    ///
    /// # Panics
    /// When there is no such node.
    pub fn bookmark(&self, node: usize, view: &View) -> Bookmark {
        Bookmark::beyond(view.vv(), &self.held_by_all(node))
    }

    /// What a node knows that all members hold.
    fn held_by_all(&self, node: usize) -> VersionVector {
        self.is_running(node); // there is such a node
        self.world.held_by_all.get(&node).cloned().unwrap_or_default()
    }

    /// A transaction, and whose acks it waits for.
    pub(super) fn write_wanted<T: Send + 'static, E: From<WriteError> + Send + 'static>(
        &mut self,
        node: usize,
        wanted: Option<Wanted>,
        closure: impl FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<Written<T>, E> {
        let outcome = Arc::new(Mutex::new(None));
        self.write_guarded(node, wanted, guarded(closure, outcome.clone()), &outcome)
    }

    fn write_guarded<T, E: From<WriteError>>(
        &mut self,
        node: usize,
        wanted: Option<Wanted>,
        closure: LocalClosure,
        outcome: &Outcome<T, E>,
    ) -> Result<Written<T>, E> {
        self.step(Some(node));
        if !self.is_running(node) {
            return Err(WriteError::Closed.into());
        }
        let wait_ms = wanted.as_ref().map_or(0, |wanted| wanted.timeout_ms);
        self.tell(|| match &wanted {
            Some(Wanted { concern, level, .. }) => format!("{node} writes for {concern} ({level})"),
            None => format!("{node} writes"),
        });
        let request = match wanted {
            Some(_) => Request::WriteWith { closure, min_connected: 0, wanted },
            None => Request::Write(closure),
        };
        let answer = self.answer(node, wait_ms, request);
        let outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        let held_by_all = self.held_by_all(node);
        match (outcome, answer) {
            (Some(Err(panic)), _) => resume_unwind(panic),
            (Some(Ok(Err(refusal))), _) => Err(refusal),
            (Some(Ok(Ok(value))), Some(Answer::Written(Ok((dot, vv))))) => {
                let receipt = Receipt::simulated(dot, vv, Default::default(), held_by_all);
                Ok((value, receipt, true))
            }
            (Some(Ok(Ok(value))), Some(Answer::Stored { dot, vv, waited })) => {
                let receipt = Receipt::simulated(Some(dot), vv, waited.acks, held_by_all);
                Ok((value, receipt, waited.is_met))
            }
            (_, Some(Answer::Written(Err(error)))) => Err(error.into()),
            _ => Err(WriteError::Closed.into()),
        }
    }
}

impl<T: Send + 'static, E: From<WriteError> + Send + 'static> Concerned<SimWrite<'_, T, E>> {
    /// Runs the transaction, and lets time pass until so many have acknowledged it, or time is up.
    ///
    /// # Errors
    /// [`ConcernError::NotWritten`] with what the closure returned, or any [`WriteError`]: [`WriteError::Closed`] of a
    /// node that is down; and [`ConcernError::NotMet`].
    ///
    /// # Panics
    /// When the closure does.
    #[allow(clippy::result_large_err)] // it is the error that the library gives
    pub fn run(self) -> Result<(T, Receipt), ConcernError<T, E>> {
        let wanted = self.wanted();
        let Self { subject, concern, level, .. } = self;
        let SimWrite { sim, node, closure, outcome } = subject;
        match sim.write_guarded(node, Some(wanted), closure, &outcome) {
            Ok((value, receipt, true)) => Ok((value, receipt)),
            Ok((value, receipt, false)) => {
                let unmet = ConcernNotMet { receipt, concern, level };
                Err(ConcernError::NotMet { value, unmet })
            }
            Err(error) => Err(ConcernError::NotWritten(error)),
        }
    }
}

impl Concerned<SimWait<'_>> {
    /// Lets time pass until so many have acknowledged it, or time is up.
    ///
    /// # Errors
    /// [`ConcernNotMet`], with the acks so far; of a node that is down too.
    #[allow(clippy::result_large_err)] // it is the error that the library gives
    pub fn run(self) -> Result<Receipt, ConcernNotMet> {
        let wanted = self.wanted();
        let Self { subject, concern, level, .. } = self;
        let SimWait { sim, node, receipt } = subject;
        sim.step(Some(node));
        let Some(dot) = receipt.dot else { return Ok(receipt) }; // nobody need hold what changed nothing
        if !sim.is_running(node) {
            return Err(ConcernNotMet { receipt, concern, level });
        }
        let wait_ms = wanted.timeout_ms;
        let answer = sim.answer(node, wait_ms, Request::Await { dot, wanted });
        let Some(Answer::Waited(waited)) = answer else {
            return Err(ConcernNotMet { receipt, concern, level });
        };
        let mut receipt = receipt;
        receipt.acks = waited.acks;
        match waited.is_met {
            true => Ok(receipt),
            false => Err(ConcernNotMet { receipt, concern, level }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{RecordError, RecordId, RecordTx, RecordView};
    use crate::sim::check;

    fn poll() -> RecordId {
        RecordId::new("polls", "lunch").unwrap()
    }

    fn vote(tx: &mut WriteTx<'_>) -> Result<i128, RecordError> {
        RecordTx::new(tx).count(&poll(), "votes", 1)
    }

    fn votes(view: View) -> i128 {
        let record = RecordView::new(view).get(&poll()).unwrap();
        record.map_or(0, |record| record.fields["votes"].value.text().parse().unwrap())
    }

    #[test]
    fn a_concern_is_met_by_those_who_hold_it_and_unknown_where_they_are_cut_off() {
        let mut sim = Sim::new(3);
        let (_, receipt) = sim.write_for(0, Concern::All, vote).run().unwrap();
        assert_eq!((receipt.acks.acked.len(), receipt.acks.late.len()), (2, 0));
        assert_eq!(votes(sim.read(2)), 1, "whoever has acknowledged it has it");

        sim.partition([0], [1, 2]);
        let before = sim.now();
        let waits = sim.write_for(0, Concern::Replicas(1), vote).timeout(Duration::from_secs(3));
        let Err(ConcernError::NotMet { unmet, value }) = waits.run() else { panic!("it is met") };
        assert!(sim.now() - before >= Duration::from_secs(3), "it has waited");
        assert_eq!((value, votes(sim.read(0)), votes(sim.read(1))), (2, 2, 1), "it is written");
        let again = sim.wait_for(0, &unmet.receipt, Concern::Replicas(1));
        assert!(again.timeout(Duration::from_secs(1)).run().is_err());
        sim.heal().settle();
        let receipt = sim.wait_for(0, &unmet.receipt, Concern::All).applied().run().unwrap();
        assert_eq!(receipt.acks.acked.len(), 2);
        let named = Concern::Named { names: vec!["n2".into()] };
        let receipt = sim.wait_for(0, &receipt, named).run().unwrap();
        assert_eq!(receipt.acks.acked.len(), 1);

        sim.crash(0);
        let down = sim.write_for(0, Concern::Local, vote).run();
        assert!(matches!(down, Err(ConcernError::NotWritten(RecordError::Write(_)))), "{down:?}");
    }

    #[test]
    fn a_client_with_a_bookmark_never_goes_back() {
        let mut sim = Sim::new(3).seed(4);
        sim.write(0, vote).unwrap();
        sim.settle();
        sim.partition([0], [1, 2]);
        let (_, receipt) = sim.write_for(0, Concern::Local, vote).run().unwrap();
        let bookmark = receipt.bookmark();
        let behind = sim.at_least(1, &bookmark, Duration::from_secs(1));
        assert!(matches!(behind, Err(AtLeastError::Behind { missing: 1, .. })), "{behind:?}");
        assert_eq!(votes(sim.at_least(0, &bookmark, Duration::ZERO).unwrap()), 2);
        sim.crash(0).heal();
        assert_eq!(votes(sim.at_least(1, &bookmark, Duration::from_secs(60)).unwrap()), 2);
        // What is read is a bookmark, too.
        let view = sim.read(1);
        let read = sim.bookmark(1, &view);
        assert_eq!(votes(sim.at_least(2, &read, Duration::from_secs(60)).unwrap()), 2);
    }

    /// What an application may rely on: a write that a majority holds is not lost with its node, and a client that
    /// carries its bookmark sees it wherever it comes.
    #[test]
    fn under_faults_what_is_met_is_held_and_what_is_shown_was_seen() {
        check(0..8, |sim| {
            let mut bookmark = Bookmark::default();
            let mut seen = 0;
            for step in 0..6 {
                let node = sim.below(3) as usize;
                let concern = Concern::Replicas(1);
                let wrote =
                    sim.write_for(node, concern, vote).timeout(Duration::from_secs(5)).run();
                if let Ok((_, receipt)) = &wrote {
                    assert!(!receipt.acks.acked.is_empty(), "step {step}: nobody has it");
                }
                if let Ok((_, receipt))
                | Err(ConcernError::NotMet { unmet: ConcernNotMet { receipt, .. }, .. }) = wrote
                {
                    bookmark.join(&receipt.bookmark());
                    seen += 1;
                }
                let reads = sim.below(3) as usize;
                if let Ok(view) = sim.at_least(reads, &bookmark, Duration::from_secs(5)) {
                    assert!(votes(view.clone()) >= seen, "step {step}: {reads} goes back");
                    bookmark.join(&sim.bookmark(reads, &view));
                }
            }
        });
    }
}
