//! Collection of tombstones (R8): of a delete that every live member has on its disk nobody needs to be told.
//!
//! A member is live unless it has been silent for longer than `offline_window`, or holds back more than
//! `bytes_max` while nobody hears it. Who is silent each node finds for itself, and counts only
//! the time in which it listened: one that slept itself evicts nobody. That nodes disagree does no harm: an
//! evicted member that returns is below their floors (R9), and refreshes.

use std::collections::{BTreeMap, VecDeque};

use millpond_core::{Namespace, NodeKey, VersionVector};

use super::LinkId;
use super::commit::Pending;
use super::engine::{Engine, NAMESPACES};
use super::peer::Peer;
use super::words::Word;
use crate::planted::planted;
use crate::probes::sometimes;
use crate::state::{Job, JobError, Outcome};
use crate::status::{Blocker, Eviction, TombstoneStatus};

/// When tombstones are collected, and whom they wait for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Collection {
    /// How often this node looks for some; `u64::MAX` is never.
    pub(crate) interval_ms: u64,
    /// For how long a silent member is waited for.
    pub(crate) offline_window_ms: u64,
    /// Bytes of tombstones that silent members may hold back.
    pub(crate) bytes_max: u64,
    /// For how long tombstones stay when no member needs them any more: for readers of changes who come back.
    pub(crate) linger_ms: u64,
    /// Bytes of tombstones above which none stays for readers of changes.
    pub(crate) linger_bytes_max: u64,
}

/// The collection under way.
#[derive(Debug)]
pub(super) struct Collecting {
    /// When to look again.
    due_ms: u64,
    /// When silences were last counted.
    counted_ms: u64,
    /// Whether a job is at the writer.
    pub(super) is_running: bool,
    /// Members that hold tombstones back, and since when.
    blockers: BTreeMap<NodeKey, u64>,
    /// What was stable, and when, the oldest first.
    lingering: BTreeMap<Namespace, VecDeque<(u64, VersionVector)>>,
}

impl Collecting {
    /// Nothing yet: silences are counted from now on.
    pub(super) fn new(now_ms: u64) -> Self {
        Self {
            due_ms: now_ms,
            counted_ms: now_ms,
            is_running: false,
            blockers: BTreeMap::new(),
            lingering: BTreeMap::new(),
        }
    }
}

impl Engine {
    /// A peer has told all that it has by now, in all namespaces.
    pub(super) fn hear_word(&mut self, link_id: LinkId) {
        let Some(link) = self.links.get(&link_id).filter(|link| link.is_open()) else { return };
        let (key, Some(boot)) = (link.peer, link.boot) else { return };
        let peer = self.peers.entry(key).or_default();
        let told = NAMESPACES.map(|namespace| (namespace, peer.vectors(namespace).durable.clone()));
        peer.is_unsaved |= peer.words.hear(boot, Word(told.into()), self.now.mono_ms as i64);
        self.concerns.look_again();
    }

    /// Counts silences, and collects what may be collected.
    pub(super) fn run_collection(&mut self) {
        let now_ms = self.now.mono_ms;
        if self.next_collection_ms() > now_ms {
            return;
        }
        if self.collecting.counted_ms + self.config.collection.interval_ms <= now_ms {
            self.count_silences();
        }
        let applied = &self.heads.vv;
        self.peers.values_mut().for_each(|peer| peer.words.advance(applied));
        self.tell_held_by_all();
        self.evict_beyond_cap();
        self.note_blockers();
        self.collecting.due_ms = now_ms + self.config.collection.interval_ms;
        if self.collecting.is_running {
            return;
        }
        // A comparison speaks of the tombstones of the moment at which it began, and a fold has some to come.
        let is_busy = |it: &Namespace| {
            self.heads.folds.contains_key(it)
                || self.comparisons.values().any(|of| of.namespace == *it)
        };
        let idle: Vec<Namespace> = NAMESPACES.into_iter().filter(|it| !is_busy(it)).collect();
        for &namespace in &idle {
            let stable = self.ripe(namespace);
            if self.heads.tombstones(namespace).are_below(&stable) {
                self.collecting.is_running = true;
                let closed = self.closing.current().finals(namespace).clone();
                return self.submit(Pending::Collect, Job::Collect { namespace, stable, closed });
            }
        }
        if idle.contains(&Namespace::MAIN) {
            self.compact_some(Namespace::MAIN);
        }
    }

    /// Some tombstones are gone, perhaps not all that may go. What users write comes first.
    pub(super) fn collected(&mut self, result: Result<Outcome, JobError>) {
        self.collecting.is_running = false;
        let wait_ms = match result {
            Ok(_) if self.jobs.values().any(|job| matches!(job, Pending::Write { .. })) => PAUSE_MS,
            Ok(_) => 0,
            Err(error) => {
                sometimes!(CollectionFailed);
                tracing::warn!(%error, "neither deletes nor counters were cleared away");
                self.config.collection.interval_ms
            }
        };
        self.collecting.due_ms = self.now.mono_ms.saturating_add(wait_ms);
    }

    pub(super) fn next_collection_ms(&self) -> u64 {
        // Whoever is not a member does not know whose word to wait for.
        let is_member = self.members.get(self.config.key).is_some() && self.fenced.is_none();
        // What is stable now may be above the vector once writes are issued anew.
        let is_member = is_member && !self.is_reissuing();
        match is_member && self.config.collection.interval_ms < u64::MAX {
            true => self.collecting.due_ms,
            false => u64::MAX,
        }
    }

    /// What has been stable for long enough, and is now; or, where much is deleted all the time, what is stable now:
    /// readers would else have the disk grow with the pace of deletes.
    fn ripe(&mut self, namespace: Namespace) -> VersionVector {
        let (now_ms, stable) = (self.now.mono_ms, self.stable(namespace));
        let Collection { interval_ms, linger_ms, linger_bytes_max, .. } = self.config.collection;
        let is_much = self.heads.tombstones(namespace).bytes > linger_bytes_max
            && !planted!("what lingers is bounded");
        let lingering = self.collecting.lingering.entry(namespace).or_default();
        if lingering.back().is_none_or(|(at_ms, _)| at_ms + interval_ms <= now_ms) {
            lingering.push_back((now_ms, stable.clone()));
        }
        while lingering.get(1).is_some_and(|(at_ms, _)| at_ms + linger_ms <= now_ms) {
            lingering.pop_front();
        }
        match lingering.front() {
            _ if linger_ms == 0 || is_much => stable,
            Some((at_ms, before)) if at_ms + linger_ms <= now_ms => before.meet(&stable),
            _ => VersionVector::new(),
        }
    }

    /// What each live member, and this node, has on its disk.
    pub(super) fn stable(&self, namespace: Namespace) -> VersionVector {
        let mut stable = self.applied(namespace).clone();
        // A delayed replica is a member like any other: it holds what it has received, and says so.
        let is_waited_for =
            |key| !self.is_delayed_member(key) || !planted!("a delayed replica is waited for");
        let live = self.others().filter(|(_, peer)| peer.evicted.is_none());
        for (key, _) in live.filter(|(key, _)| is_waited_for(*key)) {
            let word = self.peers.get(&key).and_then(|peer| peer.words.covered());
            stable = match word {
                Some(word) => stable.meet(word.vv(namespace)),
                None if planted!("who has said nothing has nothing") => stable,
                None => return VersionVector::new(),
            };
        }
        stable
    }

    /// The other members, and what is known of them.
    pub(super) fn others(&self) -> impl Iterator<Item = (NodeKey, &Peer)> {
        static UNKNOWN: std::sync::LazyLock<Peer> = std::sync::LazyLock::new(Peer::default);
        let others = self.members.iter().map(|(key, _)| key).filter(|key| *key != self.config.key);
        others.map(|key| (key, self.peers.get(&key).unwrap_or(&UNKNOWN)))
    }

    /// Who was not heard since the last time is silent for so much longer, and perhaps too long.
    fn count_silences(&mut self) {
        let now_ms = self.now.mono_ms;
        let since_ms = self.collecting.counted_ms;
        // This node may have slept.
        let elapsed_ms = match planted!("only time in which it listened counts") {
            true => now_ms - since_ms,
            false => (now_ms - since_ms).min(2 * self.config.collection.interval_ms),
        };
        self.collecting.counted_ms = now_ms;
        let window_ms = self.config.collection.offline_window_ms;
        let step_ms = (window_ms / SILENCE_STEPS).clamp(1_000, SILENCE_STEP_MS_MAX);
        let names: Vec<(NodeKey, String)> =
            self.others().map(|(key, _)| (key, self.name_of(key))).collect();
        for (key, name) in names {
            let peer = self.peer_mut(key);
            if peer.seen_ms.is_some_and(|seen_ms| seen_ms >= since_ms) {
                peer.is_unsaved |= peer.silent_ms >= step_ms;
                let was_evicted = peer.evicted.take().is_some();
                peer.silent_ms = 0;
                if was_evicted {
                    self.concerns.look_again();
                }
                continue;
            }
            let before = peer.silent_ms / step_ms;
            peer.silent_ms += elapsed_ms;
            if let Some(ms) =
                peer.words.said().and_then(|said| u64::try_from(now_ms as i64 - said.ms).ok())
                && ms < peer.silent_ms
                && !planted!("a relayed word is a sign of life")
            {
                // Others have heard of it.
                peer.silent_ms = ms;
                peer.evicted = peer.evicted.filter(|_| ms >= window_ms);
            }
            peer.is_unsaved |= peer.silent_ms / step_ms != before;
            let is_over = peer.silent_ms >= window_ms && !planted!("an absent member is evicted");
            if is_over && peer.evicted.is_none() {
                sometimes!(MemberEvicted);
                tracing::warn!(peer = %name, "silent for longer than offline_window: deletes no longer wait");
                peer.evicted = Some(Eviction::Silent);
            }
        }
    }

    /// Of those that nobody hears and that hold tombstones back, as many are evicted early as it takes, the
    /// most silent first.
    fn evict_beyond_cap(&mut self) {
        let bytes: u64 = NAMESPACES.map(|it| self.heads.tombstones(it).bytes).iter().sum();
        if bytes <= self.config.collection.bytes_max
            || planted!("what the dead hold back is bounded")
        {
            return;
        }
        // Of members that are not linked others tell, each in its turn.
        let dead_digests = DEAD_DIGESTS + self.members.iter().count() as u64 / 4;
        let dead = self.others().filter(|(_, peer)| {
            let is_dead = peer.silent_ms >= dead_digests * self.config.digest_ms;
            is_dead && peer.evicted.is_none() && self.blocks(peer)
        });
        let Some(key) = dead.max_by_key(|(_, peer)| peer.silent_ms).map(|(key, _)| key) else {
            return;
        };
        tracing::warn!(peer = %self.name_of(key), bytes, "silent, and holds back too many tombstones");
        self.peer_mut(key).evicted = Some(Eviction::Cap);
    }

    /// Whether a member has not told that it has all the tombstones that are left here.
    fn blocks(&self, peer: &Peer) -> bool {
        NAMESPACES.iter().any(|&namespace| {
            let tombstones = self.heads.tombstones(namespace);
            let word = peer.words.covered().map(|word| word.vv(namespace));
            tombstones.count > 0 && !word.is_some_and(|word| word.covers_all(&tombstones.last))
        })
    }

    /// Who holds tombstones back now.
    pub(super) fn blockers(&self) -> impl Iterator<Item = NodeKey> {
        let live = self.others().filter(|(_, peer)| peer.evicted.is_none() && self.blocks(peer));
        live.map(|(key, _)| key)
    }

    /// Who is taken for gone.
    #[cfg(any(test, feature = "sim"))]
    pub(super) fn evicted(&self) -> impl Iterator<Item = NodeKey> {
        self.others().filter(|(_, peer)| peer.evicted.is_some()).map(|(key, _)| key)
    }

    fn note_blockers(&mut self) {
        let now_ms = self.now.mono_ms;
        let blockers = self
            .blockers()
            .map(|key| (key, self.collecting.blockers.get(&key).copied().unwrap_or(now_ms)));
        self.collecting.blockers = blockers.collect();
    }

    /// What deletes have left here, and why.
    pub(super) fn tombstone_status(&self) -> TombstoneStatus {
        let all = NAMESPACES.map(|namespace| self.heads.tombstones(namespace));
        TombstoneStatus {
            count: all.iter().map(|it| it.count).sum(),
            bytes: all.iter().map(|it| it.bytes).sum(),
            offline_window_s: self.config.collection.offline_window_ms / 1000,
            gc_blocked_by: self.gc_blocked_by(),
        }
    }

    /// Who holds tombstones back, for longer than it takes to hear of each other.
    fn gc_blocked_by(&self) -> Vec<Blocker> {
        let now_ms = self.now.mono_ms;
        let is_long = |since_ms: u64| now_ms >= since_ms + BLOCKING_DIGESTS * self.config.digest_ms;
        let long = self.collecting.blockers.iter().filter(|(_, since_ms)| is_long(**since_ms));
        let blockers = long.filter_map(|(&key, since_ms)| {
            let peer = self.peers.get(&key)?;
            let left_ms = self.config.collection.offline_window_ms.saturating_sub(peer.silent_ms);
            Some(Blocker {
                name: self.name_of(key),
                key: key.to_string(),
                since_s: (now_ms - since_ms) / 1000,
                silent_s: peer.silent_ms / 1000,
                evicted_in_s: left_ms / 1000,
            })
        });
        blockers.collect()
    }
}

/// How long collection rests while users write.
const PAUSE_MS: u64 = 100;
/// Silences are saved in steps; of the last one nothing is known after a restart, and the member is waited for
/// so much longer.
const SILENCE_STEPS: u64 = 8;
/// The longest step: ten minutes.
const SILENCE_STEP_MS_MAX: u64 = 600_000;
/// After so many digests that did not come a member counts as dead: a minute by default.
const DEAD_DIGESTS: u64 = 12;
/// A member that lags for less is at work.
const BLOCKING_DIGESTS: u64 = 4;
