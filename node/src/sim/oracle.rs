//! The oracle: what every transaction wrote and saw, kept outside the nodes, and from it what any node must
//! hold at any vector.
//!
//! The state at a version vector is a pure function of what was ever written: the payloads of the dots that
//! it covers, without those that a covered dot overwrote. The oracle knows each transaction from the moment
//! at which its disk had it, and so can tell, of every node at every moment, whether something is lost,
//! resurrected, half there, or made up (R1, R5, R7, R12).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use millpond_core::{
    Dot, Entry, Hlc, Incarnation, LiveDot, Namespace, Path, Payload, Push, Seq, VersionVector,
};

use super::net::NodeId;
use super::node::Done;
use super::world::{Check, NAMESPACES, ensure};
use crate::state::{Reissued, View};

/// All that was ever written, and what each node must hold of it.
#[derive(Default)]
pub(crate) struct Oracle {
    written: BTreeMap<(Namespace, Incarnation), Vec<Written>>,
    /// The dots that wrote at a path, in the order in which disks had them.
    at_path: BTreeMap<(Namespace, Path), Vec<Dot>>,
    /// What causes the latest transaction of an incarnation has named, with those before it.
    named: BTreeMap<(Namespace, Incarnation), VersionVector>,
    nodes: Vec<BTreeMap<Namespace, Belief>>,
    /// The closures that ran since a disk last reported, in their order.
    ran: Arc<Mutex<Vec<Ran>>>,
    /// The transactions that operations became, by the operation's number.
    transactions: BTreeMap<usize, Transaction>,
    /// Nodes that nobody knows any more, nor asks what they hold.
    strangers: BTreeSet<NodeId>,
    /// Dots that no disk holds any more: a folder was replaced before anybody else had them.
    lost: BTreeSet<(Namespace, Dot)>,
    /// Nodes whose folders fell back unseen.
    unseen: BTreeSet<NodeId>,
    /// Nodes that have issued writes anew.
    fallen: BTreeSet<NodeId>,
    increments: Vec<Increment>,
    resets: Vec<Reset>,
}

/// One write, as a disk had it.
#[derive(Clone)]
struct Written {
    path: Path,
    hlc: Hlc,
    payload: Option<Payload>,
    overwritten: Vec<Dot>,
    /// Whether its transaction ends with it.
    is_last: bool,
    /// Whether it has the stamp of what it clears away, keeps or restores.
    is_housekeeping: bool,
}

/// What an operation's closure met.
#[derive(Debug, Clone)]
pub(crate) struct Ran {
    pub(crate) operation: usize,
    pub(crate) vv: VersionVector,
    pub(crate) effect: Effect,
}

/// What an operation does to counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    None,
    Count(i64),
    Reset,
    /// It may end a conflict by one of its values.
    Keep,
    /// It writes a value beside those that are there.
    Beside,
}

/// What an operation became.
#[derive(Debug, Clone)]
pub(crate) struct Transaction {
    pub(crate) last: Option<Dot>,
}

struct Increment {
    dot: Dot,
    delta: i64,
}

struct Reset {
    dot: Dot,
    /// What its replica had seen.
    vv: VersionVector,
}

/// What a node must hold of a namespace.
#[derive(Default, Clone)]
struct Belief {
    vv: VersionVector,
    live: BTreeMap<Path, BTreeSet<Dot>>,
    overwritten: BTreeSet<Dot>,
}

impl Oracle {
    /// Where closures report that they run.
    pub(crate) fn witness(&self) -> Arc<Mutex<Vec<Ran>>> {
        self.ran.clone()
    }

    /// A disk has these jobs now.
    pub(crate) fn committed(&mut self, node: NodeId, done: Vec<Done>) -> Check {
        // What ran in a group that came to nothing is of no interest.
        let ran = std::mem::take(&mut *self.ran.lock().expect("no closure panics"));
        let mut ran = ran.into_iter();
        for Done { is_user, pushes, reissued, recorded } in done {
            if !reissued.is_empty() {
                self.reissued(node, &reissued)?;
            }
            recorded.iter().try_for_each(|push| self.record(node, push, None))?;
            let ran = if is_user { ran.next() } else { None };
            let mut last = None;
            for push in &pushes {
                self.record(node, push, ran.as_ref())?;
                if push.namespace == Namespace::MAIN {
                    last = Some(push.last());
                    self.note_effect(push, ran.as_ref());
                }
            }
            if let Some(ran) = ran {
                let transaction = Transaction { last };
                let before = self.transactions.insert(ran.operation, transaction);
                let again = before.is_some_and(|before| before.last.is_some());
                ensure!(!again, "R5: operation {} was carried out twice", ran.operation);
            }
        }
        Ok(())
    }

    /// What a node had written is written anew: the dots of before are nowhere any more, and its vector falls.
    fn reissued(&mut self, node: NodeId, reissued: &[Reissued]) -> Check {
        for Reissued { namespace, path, before, now } in reissued {
            let Some(written) = self.find(*namespace, *before) else {
                return Err(format!("fencing: {before} is issued anew, and was never written"));
            };
            let written = Written { path: path.clone(), ..written.clone() };
            let of_now = self.written.entry((*namespace, now.incarnation)).or_default();
            of_now.push(written);
            let count = of_now.len() as u64;
            ensure!(now.seq.get() == count, "R5: {now} is issued anew, and {count} is next");
            self.at_path.entry((*namespace, path.clone())).or_default().push(*now);
            self.lost.insert((*namespace, *before));
            self.increments.iter_mut().filter(|it| it.dot == *before).for_each(|it| it.dot = *now);
            self.resets.iter_mut().filter(|it| it.dot == *before).for_each(|it| it.dot = *now);
        }
        self.fallen.insert(node);
        self.nodes[node].clear();
        Ok(())
    }

    /// Whether a node's vector has fallen: what others believe of it may be of before.
    pub(crate) fn has_fallen(&self, node: NodeId) -> bool {
        self.fallen.contains(&node)
    }

    /// What the operation of that number became, if it ran.
    pub(crate) fn transaction(&self, operation: usize) -> Option<&Transaction> {
        self.transactions.get(&operation)
    }

    fn note_effect(&mut self, push: &Push, ran: Option<&Ran>) {
        let Some(ran) = ran else { return };
        match ran.effect {
            Effect::None | Effect::Keep | Effect::Beside => {}
            Effect::Count(delta) => self.increments.push(Increment { dot: push.last(), delta }),
            Effect::Reset => {
                self.resets.push(Reset { dot: push.last(), vv: ran.vv.clone() });
            }
        }
    }

    fn record(&mut self, node: NodeId, push: &Push, ran: Option<&Ran>) -> Check {
        let Push { namespace, origin, first, deps, writes } = push;
        let key = (*namespace, *origin);
        self.forget_reissued(node, push);
        let issued = self.written.entry(key).or_default();
        let next = issued.len() as u64 + 1;
        ensure!(
            first.get() >= next,
            "R5: {node} issues {} of {origin} again, which {:?} hold",
            first.get(),
            self.holders(*namespace, Dot::new(*origin, *first))
        );
        ensure!(first.get() == next, "R5: {node} leaves a gap before {} of {origin}", first.get());
        let effect = ran.as_ref().map(|ran| ran.effect);
        let is_decision = matches!(effect, Some(Effect::Keep | Effect::Beside));
        let is_housekeeping = is_decision || (ran.is_none() && *namespace == Namespace::MAIN);
        let stamp_before = issued.iter().rfind(|it| !it.is_housekeeping).map(|last| last.hlc);
        let count = writes.len();
        for (index, write) in writes.iter().enumerate() {
            issued.push(Written {
                path: write.path.clone(),
                hlc: write.hlc,
                payload: write.payload.clone(),
                overwritten: write.overwritten.clone(),
                is_last: index + 1 == count,
                is_housekeeping,
            });
            let at_path = self.at_path.entry((*namespace, write.path.clone())).or_default();
            at_path.push(push.dot(index));
        }
        let stamp = writes[0].hlc;
        ensure!(
            is_housekeeping || stamp_before.is_none_or(|before| before < stamp),
            "the clock: {origin} stamps {stamp:?} after {stamp_before:?}"
        );
        for (index, write) in writes.iter().enumerate() {
            for old in &write.overwritten {
                let overwritten = self.find(*namespace, *old);
                let Some(overwritten) = overwritten else {
                    return Err(format!(
                        "R12: {} overwrites {old}, never written",
                        push.dot(index)
                    ));
                };
                ensure!(overwritten.path == write.path, "R12: {old} was written elsewhere");
                ensure!(
                    is_housekeeping || overwritten.hlc < write.hlc,
                    "the clock: {} at {:?} overwrites {old} at {:?}",
                    push.dot(index),
                    write.hlc,
                    overwritten.hlc
                );
            }
        }
        if *namespace == Namespace::MAIN {
            self.named.entry(key).or_default().join(deps);
        }
        if let Some(ran) = ran.filter(|_| *namespace == Namespace::MAIN) {
            for (index, write) in writes.iter().enumerate() {
                let seen = self.live_at(*namespace, &write.path, &ran.vv);
                let overwritten: BTreeSet<Dot> = write.overwritten.iter().copied().collect();
                if ran.effect == Effect::Keep {
                    let stamps = seen.iter().filter_map(|dot| self.find(*namespace, *dot));
                    ensure!(
                        stamps.map(|old| old.hlc).max() == Some(write.hlc),
                        "the clock: {} keeps a value under a stamp of its own",
                        push.dot(index)
                    );
                }
                let meant =
                    if ran.effect == Effect::Beside { BTreeSet::new() } else { seen.clone() };
                ensure!(
                    overwritten == meant,
                    "R12: {} overwrites {overwritten:?}, and what was live there is {seen:?}",
                    push.dot(index)
                );
            }
            let named = self.named.entry(key).or_default();
            let unnamed = ran.vv.iter().find(|dot| {
                dot.incarnation != *origin && named.seq(dot.incarnation) < dot.seq.get()
            });
            ensure!(
                unnamed.is_none(),
                "causes: {} saw {unnamed:?}, which it does not name",
                push.last()
            );
        }
        Ok(())
    }

    /// A node's folder falls back, and the node cannot know.
    pub(crate) fn falls_back_unseen(&mut self, node: NodeId) {
        self.unseen.insert(node);
    }

    /// Dots that were lost by a rollback unseen, before anybody else's disk had them, may be issued once more (R5), and
    /// by nobody else. If somebody has them, by whatever way, what it shows will not be what was written.
    fn forget_reissued(&mut self, node: NodeId, push: &Push) {
        if !self.unseen.contains(&node) {
            return;
        }
        let (namespace, origin) = (push.namespace, push.origin);
        let Some(issued) = self.written.get_mut(&(namespace, origin)) else { return };
        let seqs = push.first.get()..=issued.len() as u64;
        let dots: Vec<Dot> = seqs.filter_map(Seq::new).map(|seq| Dot::new(origin, seq)).collect();
        let is_gone = |dot: &Dot| {
            let is_other = |other: &NodeId| *other != node && !self.strangers.contains(other);
            let mut others = self.nodes.iter().enumerate().filter(|(other, _)| is_other(other));
            let is_held = others
                .any(|(_, held)| held.get(&namespace).is_some_and(|belief| belief.vv.covers(*dot)));
            self.lost.contains(&(namespace, *dot)) && !is_held
        };
        if dots.is_empty() || !dots.iter().all(is_gone) {
            return;
        }
        issued.truncate(push.first.get() as usize - 1);
        let here = self.at_path.iter_mut().filter(|((of, _), _)| *of == namespace);
        here.for_each(|(_, at_path)| at_path.retain(|dot| !dots.contains(dot)));
        if namespace == Namespace::MAIN {
            self.increments.retain(|it| !dots.contains(&it.dot));
            self.resets.retain(|it| !dots.contains(&it.dot));
        }
        self.named.remove(&(namespace, origin));
        self.lost.retain(|(of, dot)| *of != namespace || !dots.contains(dot));
    }

    /// The nodes that have had a dot since their folders were last replaced.
    fn holders(&self, namespace: Namespace, dot: Dot) -> Vec<NodeId> {
        let holds = |belief: &BTreeMap<Namespace, Belief>| {
            belief.get(&namespace).is_some_and(|belief| belief.vv.covers(dot))
        };
        (0..self.nodes.len()).filter(|&node| holds(&self.nodes[node])).collect()
    }

    fn find(&self, namespace: Namespace, dot: Dot) -> Option<&Written> {
        self.written.get(&(namespace, dot.incarnation))?.get(dot.seq.get() as usize - 1)
    }

    /// What lives at a path, at a vector.
    fn live_at(&self, namespace: Namespace, path: &Path, vv: &VersionVector) -> BTreeSet<Dot> {
        let dots = self.at_path.get(&(namespace, path.clone()));
        let covered = || dots.into_iter().flatten().filter(|dot| vv.covers(**dot));
        let mut live = BTreeSet::new();
        let mut gone = BTreeSet::new();
        for &dot in covered() {
            let Some(written) = self.find(namespace, dot) else { continue };
            live.extend(written.payload.is_some().then_some(dot));
            gone.extend(written.overwritten.iter().copied());
        }
        live.retain(|dot| !gone.contains(dot));
        live
    }

    /// Nobody but itself knows of this node any more. What it holds beside all others is its own matter.
    pub(crate) fn disregard(&mut self, node: NodeId) {
        self.strangers.insert(node);
    }

    /// Somebody knows of this node after all.
    pub(crate) fn recognise(&mut self, node: NodeId) {
        self.strangers.remove(&node);
    }

    /// Whether nobody knows of a node any more.
    pub(crate) fn is_stranger(&self, node: NodeId) -> bool {
        self.strangers.contains(&node)
    }

    /// A node's vector of now: it never falls, and covers whole transactions that were written.
    pub(crate) fn advance(
        &mut self,
        node: NodeId,
        namespace: Namespace,
        vv: &VersionVector,
    ) -> Check {
        if self.strangers.contains(&node) {
            return Ok(());
        }
        while self.nodes.len() <= node {
            self.nodes.push(BTreeMap::new());
        }
        let mut belief = self.nodes[node].remove(&namespace).unwrap_or_default();
        let advanced = self.advance_belief(node, namespace, &mut belief, vv);
        self.nodes[node].insert(namespace, belief);
        advanced
    }

    fn advance_belief(
        &self,
        node: NodeId,
        namespace: Namespace,
        belief: &mut Belief,
        vv: &VersionVector,
    ) -> Check {
        ensure!(
            vv.covers_all(&belief.vv),
            "monotony: the vector of {node} falls in {namespace}, from {:?} to {vv:?}",
            belief.vv
        );
        for range in vv.beyond(&belief.vv) {
            let incarnation = range.incarnation;
            let written = self.written.get(&(namespace, incarnation));
            let count = written.map_or(0, |written| written.len() as u64);
            ensure!(
                range.upto.get() <= count,
                "R1: {node} covers {} of {incarnation} in {namespace}, which wrote {count}",
                range.upto.get()
            );
            let written = written.map_or(&[][..], |written| &written[..]);
            let new = &written[range.after as usize..range.upto.get() as usize];
            ensure!(
                new.last().is_none_or(|last| last.is_last),
                "R7: {node} covers a part of a transaction, up to {} of {incarnation}",
                range.upto.get()
            );
            for (index, write) in new.iter().enumerate() {
                let dot = Dot::new(incarnation, range.first().seq.plus(index as u64));
                if write.payload.is_some() && !belief.overwritten.contains(&dot) {
                    belief.live.entry(write.path.clone()).or_default().insert(dot);
                }
                for old in &write.overwritten {
                    belief.overwritten.insert(*old);
                    if let Some(live) = belief.live.get_mut(&write.path) {
                        live.remove(old);
                        if live.is_empty() {
                            belief.live.remove(&write.path);
                        }
                    }
                }
            }
        }
        belief.vv = vv.clone();
        Ok(())
    }

    /// The vector that a node is believed to be at.
    pub(crate) fn vv(&self, node: NodeId, namespace: Namespace) -> VersionVector {
        let belief = self.nodes.get(node).and_then(|node| node.get(&namespace));
        belief.map(|belief| belief.vv.clone()).unwrap_or_default()
    }

    /// Whether a node is known to hold all that this vector covers.
    pub(crate) fn holds(&self, node: NodeId, namespace: Namespace, vv: &VersionVector) -> bool {
        let belief = self.nodes.get(node).and_then(|node| node.get(&namespace));
        self.strangers.contains(&node)
            || belief.map_or(vv.is_empty(), |belief| belief.vv.covers_all(vv))
    }

    /// The deletes that a node covers.
    pub(crate) fn deletes(&self, node: NodeId, namespace: Namespace) -> impl Iterator<Item = Dot> {
        self.vv(node, namespace).iter().collect::<Vec<_>>().into_iter().flat_map(move |last| {
            let written = self.written.get(&(namespace, last.incarnation));
            let covered = written.into_iter().flatten().take(last.seq.get() as usize).enumerate();
            let deletes = covered.filter(|(_, written)| written.payload.is_none());
            deletes.map(move |(index, _)| Dot::new(last.incarnation, Seq::FIRST.plus(index as u64)))
        })
    }

    /// Whether a node holds something that a delete of which it has not heard has overwritten.
    pub(crate) fn has_yet_to_forget(
        &self,
        node: NodeId,
        namespace: Namespace,
        delete: Dot,
    ) -> bool {
        let belief = self.nodes.get(node).and_then(|node| node.get(&namespace));
        let overwritten = self.find(namespace, delete).map(|it| &it.overwritten);
        belief.is_some_and(|belief| {
            let has_some =
                overwritten.is_some_and(|it| it.iter().any(|dot| belief.vv.covers(*dot)));
            has_some && !belief.vv.covers(delete)
        })
    }

    /// Compares all that a reader sees with what it must see.
    pub(crate) fn compare(&self, node: NodeId, namespace: Namespace, view: &View) -> Check {
        if self.strangers.contains(&node) {
            return Ok(());
        }
        let nothing = Belief::default();
        let belief = self.nodes.get(node).and_then(|node| node.get(&namespace)).unwrap_or(&nothing);
        ensure!(belief.vv == *view.vv(), "R7: a view of {node} is at another vector");
        self.compare_with(belief, node, namespace, view)
    }

    /// Compares all that a reader of some older state sees with what it must see at that vector.
    pub(crate) fn compare_older(&self, node: NodeId, namespace: Namespace, view: &View) -> Check {
        let mut belief = Belief::default();
        self.advance_belief(node, namespace, &mut belief, view.vv())?;
        self.compare_with(&belief, node, namespace, view)
    }

    fn compare_with(
        &self,
        belief: &Belief,
        node: NodeId,
        namespace: Namespace,
        view: &View,
    ) -> Check {
        let mut expected = belief.live.iter();
        let mut found = Ok(());
        let read = view.entries(None, None, &mut |path, entry| {
            found = match expected.next() {
                Some((at, live)) if *at == path => {
                    self.compare_entry(namespace, &path, &entry, live)
                }
                Some((at, live)) if *at < path => Err(format!("R1: {live:?} are missing at {at}")),
                _ => Err(format!("R1: {:?} show at {path}, where nothing is", dots(&entry))),
            };
            match found {
                Ok(()) => std::ops::ControlFlow::Continue(()),
                Err(_) => std::ops::ControlFlow::Break(()),
            }
        });
        let found = found.and_then(|()| match expected.next() {
            Some((at, live)) if read.is_ok() => Err(format!("R1: {live:?} are missing at {at}")),
            _ => Ok(()),
        });
        found.map_err(|why| format!("{why}; at {node} in {namespace}, at {:?}", belief.vv))
    }

    fn compare_entry(
        &self,
        namespace: Namespace,
        path: &Path,
        entry: &Entry,
        live: &BTreeSet<Dot>,
    ) -> Check {
        let shown: BTreeSet<Dot> = entry.live().iter().map(|it| it.dot).collect();
        ensure!(shown == *live, "R1: {shown:?} show at {path}, and {live:?} should");
        for LiveDot { dot, hlc, payload } in entry.live() {
            let written = self.find(namespace, *dot);
            let is_same =
                written.is_some_and(|it| it.hlc == *hlc && it.payload.as_ref() == Some(payload));
            ensure!(is_same, "R1: {dot} at {path} is not what was written");
        }
        let winner =
            live.iter().max_by_key(|dot| (self.find(namespace, **dot).map(|it| it.hlc), **dot));
        let read = crate::records::values(entry).first().map(|live| live.dot);
        ensure!(read.as_ref() == winner, "the register: {path} reads {read:?}, not {winner:?}");
        Ok(())
    }

    /// What a counter must read at a node: all increments that it covers and that no reset which it covers
    /// has seen.
    pub(crate) fn count(&self, node: NodeId) -> i128 {
        let vv = self.vv(node, Namespace::MAIN);
        let resets: Vec<&Reset> = self.resets.iter().filter(|reset| vv.covers(reset.dot)).collect();
        let counted = self
            .increments
            .iter()
            .filter(|it| vv.covers(it.dot) && !resets.iter().any(|reset| reset.vv.covers(it.dot)));
        counted.map(|it| i128::from(it.delta)).sum()
    }

    /// A node's folder is replaced by one at these vectors. `others` hold what is not lost.
    pub(crate) fn replaced(
        &mut self,
        node: NodeId,
        vectors: &BTreeMap<Namespace, VersionVector>,
        others: &[NodeId],
    ) -> Check {
        for namespace in NAMESPACES {
            let before = self.vv(node, namespace);
            let mut held = vectors.get(&namespace).cloned().unwrap_or_default();
            let image = held.clone();
            let others = others.iter().filter(|other| !self.strangers.contains(other));
            others.for_each(|&other| held.join(&self.vv(other, namespace)));
            self.lose_beyond(namespace, &before, &held);
            while self.nodes.len() <= node {
                self.nodes.push(BTreeMap::new());
            }
            self.nodes[node].insert(namespace, Belief::default());
            self.advance(node, namespace, &image)?;
        }
        Ok(())
    }

    /// What only a node at this vector holds may stay with it.
    pub(crate) fn cast_out(&mut self, namespace: Namespace, vv: &VersionVector, others: &[NodeId]) {
        let mut held = VersionVector::new();
        others.iter().for_each(|&other| held.join(&self.vv(other, namespace)));
        self.lose_beyond(namespace, vv, &held);
    }

    fn lose_beyond(&mut self, namespace: Namespace, vv: &VersionVector, held: &VersionVector) {
        for range in vv.beyond(held) {
            let dots = (0..range.len()).map(|index| range.first().seq.plus(index));
            let dots = dots.map(|seq| (namespace, Dot::new(range.incarnation, seq)));
            self.lost.extend(dots);
        }
    }

    /// All that any disk ever had is here, unless its folder was lost before anybody else had it.
    pub(crate) fn nothing_is_lost(&self, node: NodeId) -> Check {
        for (&(namespace, incarnation), written) in &self.written {
            let seq = self.vv(node, namespace).seq(incarnation);
            for index in seq..written.len() as u64 {
                let dot = Dot::new(incarnation, Seq::FIRST.plus(index));
                ensure!(
                    self.lost.contains(&(namespace, dot)),
                    "loss: {dot} at {} of {namespace} was on disk, and is not at {node}",
                    written[index as usize].path
                );
            }
        }
        Ok(())
    }

    /// How many writes there were.
    pub(crate) fn written(&self) -> usize {
        self.written.values().map(Vec::len).sum()
    }
}

fn dots(entry: &Entry) -> Vec<Dot> {
    entry.live().iter().map(|live| live.dot).collect()
}
