//! The inbox: pushes on their way into the store, put in causal order.

use std::collections::BTreeMap;

use millpond_core::wire::PushFrame;
use millpond_core::{Dot, Incarnation, Seq, VersionVector};

use super::LinkId;
use crate::planted::planted;
use crate::probes::sometimes;

/// Pushes received for one namespace. A push is ready once its predecessor and its dependencies are; until
/// then it waits here, so that the vector stays gap-free and readers see causes before effects.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// Applied, or handed to the writer.
    received: VersionVector,
    waiting: BTreeMap<Dot, Received>,
    waiting_bytes: usize,
    waiting_bytes_max: usize,
    ready: Vec<Received>,
    forged: Vec<Received>,
    /// Jobs with pushes of this namespace that the writer has.
    pub(super) jobs: usize,
}

/// A push and the link that brought it.
#[derive(Debug, Clone)]
pub(super) struct Received {
    /// The push.
    pub(super) push: PushFrame,
    /// Who is to be given credit for it.
    pub(super) link: LinkId,
}

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is ready or waits.
    Kept,
    /// It was here already.
    Duplicate,
    /// It waits for something, and there is no room to wait: it will be pulled.
    Dropped,
}

impl Inbox {
    /// An inbox in which so many bytes may wait.
    pub(super) fn new(waiting_bytes_max: usize) -> Self {
        Self { waiting_bytes_max, ..Self::default() }
    }

    /// Takes a push.
    pub(super) fn accept(&mut self, received: Received) -> Fate {
        let push = &received.push;
        let first = Dot::new(push.origin(), push.first());
        if self.received.covers(push.last_dot()) || self.waiting.contains_key(&first) {
            return Fate::Duplicate;
        }
        if self.is_next(push) {
            self.make_ready(received);
            self.wake();
            return Fate::Kept;
        }
        let is_full = self.waiting_bytes + push.encoded_bytes() > self.waiting_bytes_max;
        if is_full && !planted!("what waits is bounded") {
            return Fate::Dropped;
        }
        sometimes!(PushWaits);
        self.waiting_bytes += push.encoded_bytes();
        self.waiting.insert(first, received);
        Fate::Kept
    }

    /// Covers what a catch-up brought, and what the store has applied. Gives back the pushes that are now
    /// duplicates.
    pub(super) fn advance(&mut self, vv: &VersionVector) -> Vec<Received> {
        self.received.join(vv);
        let covered: Vec<Dot> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| self.received.covers(waiting.push.last_dot()))
            .map(|(&first, _)| first)
            .collect();
        let covered = covered.into_iter().filter_map(|first| self.take_waiting(first)).collect();
        self.wake();
        covered
    }

    /// Falls back to what the store has applied, after a job failed; what was ready is dropped and given
    /// back.
    pub(super) fn fall_back(&mut self, applied: &VersionVector) -> Vec<Received> {
        self.received = applied.clone();
        std::mem::take(&mut self.ready)
    }

    /// Drops what waits and came over a link that is gone: its peer will be asked again.
    pub(super) fn forget(&mut self, link: LinkId) {
        let gone = self.waiting.iter().filter(|(_, waiting)| waiting.link == link);
        let gone: Vec<Dot> = gone.map(|(&first, _)| first).collect();
        sometimes!(!gone.is_empty(), WaitingPushForgotten);
        gone.into_iter().for_each(|first| drop(self.take_waiting(first)));
    }

    /// The pushes to commit next, within the bounds of one job.
    pub(super) fn take_ready(&mut self) -> Vec<Received> {
        let mut rows = 0;
        let mut count = 0;
        for received in &self.ready {
            rows += received.push.len();
            if count > 0 && rows > JOB_ROWS_MAX {
                break;
            }
            count += 1;
        }
        self.ready.drain(..count).collect()
    }

    /// Pushes that no honest node sends, since the last call.
    pub(super) fn take_forged(&mut self) -> Vec<Received> {
        std::mem::take(&mut self.forged)
    }

    /// Bytes of the pushes that wait for others.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Applied, or on its way through the writer.
    pub(super) fn received(&self) -> &VersionVector {
        &self.received
    }

    /// Up to where an origin's pushes are here without a gap, those too that wait for others.
    pub(super) fn held(&self, origin: Incarnation) -> u64 {
        let mut held = self.received.seq(origin);
        for (dot, waiting) in self.waiting.range(Dot::new(origin, Seq::FIRST)..) {
            if dot.incarnation != origin || dot.seq.get() > held.saturating_add(1) {
                break;
            }
            held = held.max(waiting.push.last().get());
        }
        held
    }

    /// Whether nothing is ready.
    pub(super) fn is_idle(&self) -> bool {
        self.ready.is_empty()
    }

    fn is_next(&self, push: &PushFrame) -> bool {
        let follows = self.received.seq(push.origin()) == push.first().get() - 1
            || planted!("a push waits for its predecessor");
        let has_causes =
            self.received.covers_all(push.deps()) || planted!("a push waits for its causes");
        follows && has_causes
    }

    /// R12: a write overwrites what its origin had seen, which the dependencies bring here first. One that
    /// overwrites more would be undone here and not elsewhere, so it is no honest node's.
    fn make_ready(&mut self, received: Received) {
        let is_honest = self.received.covers_all(received.push.overwritten());
        if !is_honest && !planted!("a push overwrites only what it depends on") {
            return self.forged.push(received);
        }
        self.received.advance(received.push.last_dot());
        self.ready.push(received);
    }

    /// Makes ready whatever waited for what is ready now.
    fn wake(&mut self) {
        while let Some(first) = self.next_awake() {
            sometimes!(PushWakes);
            let woken = self.take_waiting(first).expect("it was just found");
            self.make_ready(woken);
        }
    }

    fn next_awake(&self) -> Option<Dot> {
        // Of each origin only the push after the last one received can be next, so origins are skipped
        // through, however many of their pushes wait.
        let mut cursor = self.waiting.keys().next().copied();
        while let Some(found) = cursor {
            let origin = found.incarnation;
            let covered = self.received.seq(origin);
            let next = Seq::new(covered).map_or(Seq::FIRST, |covered| covered.plus(1));
            let next = Dot::new(origin, next);
            if self.waiting.get(&next).is_some_and(|waiting| self.is_next(&waiting.push)) {
                return Some(next);
            }
            let last = Dot::new(origin, Seq::FIRST.plus(u64::MAX));
            cursor = self.waiting.range(last..).map(|(&dot, _)| dot).find(|dot| *dot != last);
        }
        None
    }

    fn take_waiting(&mut self, first: Dot) -> Option<Received> {
        let taken = self.waiting.remove(&first)?;
        self.waiting_bytes -= taken.push.encoded_bytes();
        Some(taken)
    }
}

/// Rows of one job: about 50 ms of the writer.
const JOB_ROWS_MAX: usize = 5_000;
