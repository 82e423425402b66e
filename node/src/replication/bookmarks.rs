//! Bookmarks: readers that wait until this node shows what they have seen elsewhere.
//!
//! A bookmark leaves out what every member has on its disk (finding 29). So it says nothing to a node that may have
//! fallen behind that: one that is new, restored, being refreshed, shows what was, or cannot prove that its disk is
//! the one that it had. Such a node is behind, whatever it covers, until it has caught up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use millpond_core::{Namespace, VersionVector};

use super::engine::Engine;
use super::{Answer, Output, RequestId};
use crate::planted::planted;
use crate::probes::sometimes;
use crate::status::Pace;

/// How far behind a reader's bookmark this node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Behind {
    /// Writes that the bookmark names and this node does not show.
    pub(crate) missing: u64,
    /// How long a catch-up under way will take, as far as is known.
    pub(crate) eta: Option<Duration>,
}

/// Readers that wait.
#[derive(Debug, Default)]
pub(super) struct Bookmarks {
    waiters: BTreeMap<RequestId, Waiter>,
    deadlines: BTreeSet<(u64, RequestId)>,
    /// When what they wait for is looked for, if it does not come by itself.
    fetch_ms: u64,
    /// What readers were last told is left out.
    told: VersionVector,
}

#[derive(Debug)]
struct Waiter {
    vv: VersionVector,
    deadline_ms: u64,
}

impl Engine {
    /// A reader has seen so much elsewhere.
    pub(super) fn await_shown(&mut self, id: RequestId, vv: VersionVector, timeout_ms: u64) {
        if self.shows(&vv) {
            return self.answer(id, Answer::Shown(Ok(())));
        }
        sometimes!(ReaderWaits);
        let deadline_ms = self.now.mono_ms.saturating_add(timeout_ms);
        if self.bookmarks.waiters.is_empty() {
            self.bookmarks.fetch_ms = self.now.mono_ms + PATIENCE_MS;
        }
        self.bookmarks.waiters.insert(id, Waiter { vv, deadline_ms });
        self.bookmarks.deadlines.insert((deadline_ms, id));
        // Whoever has it says so, and can be asked for it.
        self.hurry_peers();
    }

    /// Whether readers see all that a bookmark stands for.
    fn shows(&self, vv: &VersionVector) -> bool {
        let shown = self.heads.vv(self.heads.shown());
        let is_covered = shown.covers_all(vv) || planted!("a reader waits for its bookmark");
        is_covered && self.is_as_good_as_its_word()
    }

    /// Whether this node holds and shows whatever it has ever told others that it has on its disk.
    fn is_as_good_as_its_word(&self) -> bool {
        if self.is_delayed() && !planted!("a delayed replica answers behind") {
            return false;
        }
        let is_ready = self.recovery.beginning.is_none() && !self.is_refreshing();
        let is_proven = !self.recovery.is_unproven || self.others().next().is_none();
        if !is_ready && !planted!("who has to catch up answers behind") {
            return false;
        }
        is_proven || planted!("who may have fallen back answers behind")
    }

    /// Readers may see more.
    pub(super) fn settle_bookmarks(&mut self) {
        let shown = self.bookmarks.waiters.iter().filter(|(_, waiter)| self.shows(&waiter.vv));
        for id in shown.map(|(&id, _)| id).collect::<Vec<_>>() {
            self.end_reader(id, Ok(()));
        }
    }

    /// Those who have waited for long enough are told how far behind it is; what the others lack is looked for.
    pub(super) fn run_bookmarks(&mut self) {
        let now_ms = self.now.mono_ms;
        self.settle_bookmarks();
        while let Some(&(deadline_ms, id)) = self.bookmarks.deadlines.first()
            && deadline_ms <= now_ms
        {
            sometimes!(ReaderTimesOut);
            let behind = self.behind(&self.bookmarks.waiters[&id].vv);
            self.end_reader(id, Err(behind));
        }
        if !self.bookmarks.waiters.is_empty() && self.bookmarks.fetch_ms <= now_ms {
            self.bookmarks.fetch_ms = now_ms + PATIENCE_MS;
            self.hurry_peers();
            self.fetch_missing();
        }
    }

    pub(super) fn next_bookmark_ms(&self) -> u64 {
        let deadline_ms = self.bookmarks.deadlines.first().map(|(at_ms, _)| *at_ms);
        deadline_ms.map_or(u64::MAX, |at_ms| at_ms.min(self.bookmarks.fetch_ms))
    }

    fn end_reader(&mut self, id: RequestId, shown: Result<(), Behind>) {
        if let Some(waiter) = self.bookmarks.waiters.remove(&id) {
            self.bookmarks.deadlines.remove(&(waiter.deadline_ms, id));
            self.answer(id, Answer::Shown(shown));
        }
    }

    /// What somebody waits for, and a peer has, has been lacking for long enough: it is pulled now.
    fn fetch_missing(&mut self) {
        if planted!("what a reader waits for is pulled") {
            return;
        }
        let Some(inbox) = self.inboxes.get(&Namespace::MAIN) else { return };
        let received = inbox.received();
        let waiters = self.bookmarks.waiters.values();
        let missing: BTreeSet<_> =
            waiters.flat_map(|it| it.vv.beyond(received)).map(|range| range.incarnation).collect();
        let stale_ms = self.now.mono_ms.saturating_sub(self.config.digest_ms);
        let mut is_late = false;
        for incarnation in missing {
            if let Some(since_ms) = self.lacking.get_mut(&(Namespace::MAIN, incarnation)) {
                sometimes!(MissingFetched);
                *since_ms = (*since_ms).min(stale_ms);
                is_late = true;
            }
        }
        if is_late {
            self.consider_pulls();
        }
    }

    fn behind(&self, vv: &VersionVector) -> Behind {
        let missing = vv.count_beyond(self.heads.vv(self.heads.shown()));
        let pull = self.pulls.get(&Namespace::MAIN);
        let pace = pull.map(|pull| {
            let elapsed_ms = self.now.mono_ms.saturating_sub(pull.since_ms);
            let to_go = pull.rows_expected.saturating_sub(pull.rows);
            Pace::of(pull.rows - pull.rows_before, elapsed_ms, to_go)
        });
        Behind { missing, eta: pace.and_then(|pace| pace.eta_s).map(Duration::from_secs) }
    }

    /// Tells the shell what bookmarks may leave out: what every member has on its disk, evicted or not.
    pub(super) fn tell_held_by_all(&mut self) {
        let held = match planted!("a bookmark keeps what an evicted member may lack") {
            true => self.stable(Namespace::MAIN),
            false => self.held_by_all(Namespace::MAIN),
        };
        if held != self.bookmarks.told {
            self.bookmarks.told = held.clone();
            self.emit(Output::HeldByAll { vv: held });
        }
    }
}

/// What comes by itself has come by then: the trees ask for what is late after as long at most.
const PATIENCE_MS: u64 = 250;
