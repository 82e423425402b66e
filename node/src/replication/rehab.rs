//! Rehab: a node that has yet to catch up, or is too far behind, is not ready, and one that has not caught up
//! since it was made is no source for others either.
//!
//! How far behind it is, is measured by looks: what the linked peers have at one moment is to be here soon. The
//! age of the oldest look that is not covered is the lag, so a node that follows busy peers closely has hardly
//! any, however much is always on its way.

use std::collections::BTreeMap;

use millpond_core::message::Purpose;
use millpond_core::{Namespace, VersionVector};
use serde::{Deserialize, Serialize};

use super::LinkId;
use super::commit::Pending;
use super::engine::{Engine, NAMESPACES};
use crate::planted::planted;
use crate::probes::sometimes;
use crate::state::{Job, meta_key, write_meta};
use crate::status::Rehab;
use crate::store::Changes;

/// What a node knows of how far behind it is.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    /// How it came to be, while it has not caught up since.
    pub(super) beginning: Option<Beginning>,
    /// Whether nothing proves that the disk is the one that this node had, and it has not caught up since.
    pub(super) is_unproven: bool,
    /// What each linked peer had when it said hello, while that matters.
    goals: BTreeMap<LinkId, Vectors>,
    /// Since when there are links, and nobody on them serves.
    unserved_since_ms: Option<u64>,
    /// Since when all is here that the peers have, and none of them can vouch for that.
    unvouched_since_ms: Option<u64>,
    /// The oldest look that is not covered.
    look: Option<Look>,
    /// Whether the lag was beyond what is allowed, and has not been made up since.
    is_too_far_behind: bool,
    /// Whether this node is in rehab, as of the latest check.
    pub(super) is_said: bool,
    /// When to check again.
    check_at_ms: Option<u64>,
}

/// How a replica came to be that has yet to catch up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Beginning {
    /// It joined with nothing.
    Fresh,
    /// It was made of a backup, or of another node's folder.
    Restored,
}

type Vectors = BTreeMap<Namespace, VersionVector>;

/// What the peers had at one moment.
#[derive(Debug)]
struct Look {
    at_ms: u64,
    vectors: Vectors,
}

impl Recovery {
    /// Of a replica that began so.
    pub(super) fn new(beginning: Option<Beginning>) -> Self {
        Self { beginning, is_said: beginning.is_some(), ..Self::default() }
    }

    /// A peer has what this node lacks.
    pub(super) fn lacks(&mut self, now_ms: u64) {
        let soon_ms = now_ms + CHECK_MS;
        self.check_at_ms = Some(self.check_at_ms.map_or(soon_ms, |at_ms| at_ms.min(soon_ms)));
    }

    /// How long ago the oldest look was that is not covered.
    fn lag_ms(&self, now_ms: u64) -> u64 {
        self.look.as_ref().map_or(0, |look| now_ms.saturating_sub(look.at_ms))
    }
}

impl Engine {
    /// Why this node is not ready, if it has to catch up.
    pub(super) fn rehab(&self) -> Option<Rehab> {
        match self.recovery.beginning {
            Some(Beginning::Fresh) => Some(Rehab::Fresh),
            Some(Beginning::Restored) => Some(Rehab::Restored),
            None if self.is_refreshing() => Some(Rehab::Refreshing),
            None if self.recovery.is_too_far_behind => Some(Rehab::TooFarBehind),
            None => None,
        }
    }

    /// Whether others may take from this node: not before it has caught up once. A refresh is exempt, since it
    /// goes both ways. One that has caught up and is far behind serves all the same: two nodes that are far
    /// behind each other's writes would wait for each other for ever.
    pub(super) fn is_source(&self) -> bool {
        self.recovery.beginning.is_none() || planted!("who has not caught up is no source")
    }

    /// Whether this node joined with nothing, and has not caught up since.
    pub(crate) fn is_fresh(&self) -> bool {
        self.recovery.beginning == Some(Beginning::Fresh)
    }

    /// Whether this node is compared with a peer that has forgotten deletes of which this one has not heard: it
    /// may show what is deleted. The other one of the two is as ready as before.
    pub(super) fn is_refreshing(&self) -> bool {
        let mut refreshes =
            self.comparisons.iter().filter(|(_, it)| it.purpose == Purpose::Refresh);
        refreshes.any(|((link, _), it)| {
            self.is_below_floor_of(*link, it.namespace)
                || planted!("who was not absent stays ready")
        })
    }

    /// A link is open: what its peer has is what this node has to catch up with.
    pub(super) fn note_goal(&mut self, link_id: LinkId) {
        if self.recovery.beginning.is_none() && !self.recovery.is_unproven {
            return;
        }
        let Some(link) = self.links.get(&link_id) else { return };
        let Some(peer) = self.peers.get(&link.peer) else { return };
        let goal = NAMESPACES.map(|it| (it, peer.vectors(it).applied.clone()));
        self.recovery.goals.insert(link_id, goal.into());
        self.check_rehab_soon();
    }

    /// There may be something to catch up with.
    pub(super) fn check_rehab_soon(&mut self) {
        self.recovery.lacks(self.now.mono_ms);
    }

    pub(super) fn next_rehab_ms(&self) -> u64 {
        self.recovery.check_at_ms.unwrap_or(u64::MAX)
    }

    pub(super) fn run_rehab(&mut self) {
        if self.recovery.check_at_ms.is_some_and(|at_ms| at_ms <= self.now.mono_ms) {
            self.check_rehab();
        }
    }

    /// Looks whether this node is behind, and tells the peers if that has changed.
    pub(super) fn check_rehab(&mut self) {
        let now_ms = self.now.mono_ms;
        let is_behind = self.recovery.beginning.is_some() || self.recovery.is_unproven;
        if is_behind && self.has_caught_up() {
            if self.recovery.beginning.is_some() {
                self.end_rehab();
            }
            if self.is_vouched_for() {
                self.recovery.is_unproven = false;
                self.recovery.goals.clear();
            }
            self.settle_bookmarks();
        }
        let lacking = self.look();
        let lag_ms = self.recovery.lag_ms(now_ms);
        let (max_ms, max_writes) = (self.config.max_lag_ms, self.config.max_lag_writes);
        let is_beyond = lag_ms > max_ms || lacking > max_writes;
        let is_made_up = lag_ms <= max_ms.min(MADE_UP_MS) && lacking <= max_writes;
        self.recovery.is_too_far_behind = match self.recovery.is_too_far_behind {
            true => !is_made_up,
            false => is_beyond && !planted!("who is far behind is not ready"),
        };
        sometimes!(self.recovery.is_too_far_behind, TooFarBehind);
        let is_in_rehab = self.rehab().is_some();
        let is_over = self.recovery.look.is_none() && !is_in_rehab && !self.recovery.is_unproven;
        self.recovery.check_at_ms = (!is_over).then_some(now_ms + CHECK_MS);
        if std::mem::replace(&mut self.recovery.is_said, is_in_rehab) != is_in_rehab {
            self.update_terms();
        }
    }

    /// Whether this node holds what each peer that serves it had when their link opened. Without anybody who
    /// serves it there is nothing to wait for; it may be that two such nodes have only each other.
    fn has_caught_up(&mut self) -> bool {
        let now_ms = self.now.mono_ms;
        if self.members.get(self.config.key).is_none() {
            return false;
        }
        if self.members.iter().all(|(key, _)| key == self.config.key) {
            return true;
        }
        let open = || self.links.values().filter(|link| link.is_open());
        let is_served = open().any(|link| link.may_take());
        if !is_served {
            if open().next().is_none() {
                self.recovery.unserved_since_ms = None;
                return false;
            }
            let since_ms = *self.recovery.unserved_since_ms.get_or_insert(now_ms);
            return now_ms >= since_ms + UNSERVED_MS;
        }
        self.recovery.unserved_since_ms = None;
        let serve = |link: &LinkId| self.links.get(link).is_some_and(|link| link.may_take());
        let mut goals = self.recovery.goals.iter().filter(|(link, _)| serve(link));
        goals.all(|(_, goal)| self.covers(goal)) || planted!("who catches up has what others had")
    }

    /// Whether one of the peers whose writes are all here has not fallen back itself, or nobody serves. Without such a
    /// peer there is nothing to wait for, after a while: all that is left is here.
    fn is_vouched_for(&mut self) -> bool {
        let now_ms = self.now.mono_ms;
        let in_rehab = |peer| self.peers.get(&peer).is_none_or(|peer| peer.in_rehab);
        let mut serving =
            self.links.values().filter(|link| link.is_open() && link.may_take()).peekable();
        if serving.peek().is_none()
            || serving.any(|link| !in_rehab(link.peer))
            || planted!("who has fallen back vouches for nobody")
        {
            self.recovery.unvouched_since_ms = None;
            return true;
        }
        let since_ms = *self.recovery.unvouched_since_ms.get_or_insert(now_ms);
        now_ms >= since_ms + UNSERVED_MS
    }

    fn covers(&self, vectors: &Vectors) -> bool {
        vectors.iter().all(|(&namespace, vv)| self.applied(namespace).covers_all(vv))
    }

    fn end_rehab(&mut self) {
        sometimes!(self.recovery.beginning == Some(Beginning::Fresh), FreshCaughtUp);
        tracing::info!("caught up for the first time: ready, and a source for others");
        self.recovery.beginning = None;
        let mut changes = Changes::default();
        write_meta::<Beginning>(&mut changes, meta_key::rehab(), None);
        self.submit(Pending::Note, Job::Meta(changes.meta.into_iter().collect()));
    }

    /// Looks at the linked peers, and says how many of their writes are lacking here.
    fn look(&mut self) -> u64 {
        let mut now = Vectors::new();
        for link in self.links.values().filter(|link| link.may_take()) {
            let Some(peer) = self.peers.get(&link.peer) else { continue };
            for namespace in NAMESPACES {
                now.entry(namespace).or_default().join(&peer.vectors(namespace).applied);
            }
        }
        // Whoever had it may be gone, or have fallen back; then it need not come.
        let had = |vectors: &Vectors| {
            let mut both = vectors.iter().map(|(namespace, vv)| (now.get(namespace), vv));
            both.all(|(now, vv)| now.is_some_and(|now| now.covers_all(vv)))
        };
        let oldest = self.recovery.look.take();
        let lacking = now.iter().map(|(&it, vv)| vv.count_beyond(self.applied(it)));
        let lacking = lacking.fold(0, u64::saturating_add);
        self.recovery.look = match oldest {
            _ if lacking == 0 => None,
            Some(look) if !had(&look.vectors) => Some(Look { vectors: now, ..look }),
            Some(look) if !self.covers(&look.vectors) => Some(look),
            Some(_) | None => Some(Look { at_ms: self.now.mono_ms, vectors: now }),
        };
        lacking
    }
}

/// How often a node that is behind looks again.
const CHECK_MS: u64 = 500;
/// A lag below this is replication at work.
const MADE_UP_MS: u64 = 2_000;
/// How long a node with links waits for somebody who serves it.
const UNSERVED_MS: u64 = 10_000;
