//! Compaction of counters (R13): one member clears away the slots that add nothing, once all members have them.
//!
//! It waits for every member's word, those of evicted members too: what one of them has counted and not told must
//! meet the reset that it had not heard of (finding 12). And for words that this node covers, as collection does
//! (S10). It takes its turn behind the collection of tombstones, one slice at a time.

use millpond_core::{Namespace, NodeKey, VersionVector};

use super::commit::Pending;
use super::engine::Engine;
use super::peer::Peer;
use super::primary::Writers;
use crate::planted::planted;
use crate::state::Job;

impl Engine {
    /// Gives the writer a slice of it, if there is something that nobody has looked at.
    pub(super) fn compact_some(&mut self, namespace: Namespace) {
        if !self.compacts() || planted!("counters that were reset are compacted") {
            return;
        }
        let stable = self.held_by_all(namespace);
        let nothing = VersionVector::new();
        let looked_at = self.heads.compacted.get(&namespace).unwrap_or(&nothing);
        if stable.beyond(looked_at).next().is_none() {
            return;
        }
        self.collecting.is_running = true;
        let job = |local| Job::Compact { local, stable };
        self.submit_local_as(Pending::Compact, namespace, Box::new(|_| Ok(())), job);
    }

    /// Whether it is this member's to do: of those that write and live the one of the lowest key.
    fn compacts(&self) -> bool {
        let writers = self.writers();
        let may = |key: NodeKey, peer: &Peer| {
            let member = self.members.get(key);
            let is_writer = member.is_some_and(|it| it.role.may_write() && it.apply_after_ms == 0);
            is_writer && peer.evicted.is_none() && writers == Writers::Everybody
        };
        let is_lowest = !self.others().any(|(key, peer)| key < self.config.key && may(key, peer));
        self.may_write().is_ok() && (is_lowest || planted!("one member compacts"))
    }

    /// What each other member has on its disk by a word that this node covers, evicted or not.
    pub(super) fn held_by_all(&self, namespace: Namespace) -> VersionVector {
        let mut stable = self.applied(namespace).clone();
        for (_, peer) in self.others() {
            if peer.evicted.is_some() && planted!("compaction waits for who was evicted") {
                continue;
            }
            let word = match planted!("compaction waits until it covers what members have") {
                true => peer.words.latest(),
                false => peer.words.covered(),
            };
            match word {
                Some(word) => stable = stable.meet(word.vv(namespace)),
                None => return VersionVector::new(),
            }
        }
        stable
    }
}
