//! The dialer: a link to every member, with jittered back-off.

use std::collections::BTreeSet;

use millpond_core::NodeKey;
use millpond_core::message::CloseCode;

use super::engine::Engine;
use super::peer::Peer;
use super::{JoinProgress, LinkId, Output};
use crate::planted::planted;
use crate::probes::sometimes;

impl Engine {
    /// Dials every member that has no link, is not paused, and whose time has come; those first that have
    /// waited longest.
    pub(super) fn run_dials(&mut self) {
        for peer in self.dialable() {
            if self.is_redialled(peer) && !self.take_redial() {
                sometimes!(RedialsWait);
                continue;
            }
            let state = self.peer_mut(peer);
            state.is_dialing = true;
            state.attempts = state.attempts.saturating_add(1);
            let (keys, addresses) = (self.keys_to_dial(peer), self.addresses_of(peer));
            self.emit(Output::Dial { peer, keys, addresses });
        }
    }

    pub(super) fn dial_failed(&mut self, peer: NodeKey, reason: String) {
        self.peer_mut(peer).is_dialing = false;
        if self.joining_from() == Some(peer) {
            self.emit(Output::Join(JoinProgress::Waiting(reason.clone())));
        }
        sometimes!(DialFailed);
        let now_ms = self.now.mono_ms;
        let state = self.peer_mut(peer);
        state.last_error = Some(reason);
        let gone_ms = now_ms - *state.gone_since_ms.get_or_insert(now_ms);
        // Who gives no answer may be back any moment, and is missed the more the shorter it was gone.
        let ceiling_ms = if std::mem::take(&mut state.is_hurried) {
            DIAL_MS_FIRST
        } else if planted!("a short outage is redialled soon") {
            DIAL_MS_MAX
        } else {
            (gone_ms / GONE_PARTS).clamp(DIAL_MS_FIRST, DIAL_MS_MAX)
        };
        self.schedule_dial(peer, ceiling_ms);
        self.refresh_wanted();
    }

    /// A link to a peer has ended: when to dial it again.
    pub(super) fn schedule_redial(&mut self, peer: NodeKey) {
        self.schedule_dial(peer, DIAL_MS_MAX);
    }

    /// When to dial a peer again: longer after each attempt that opened no link, but not longer than this,
    /// and never in step with others.
    fn schedule_dial(&mut self, peer: NodeKey, ceiling_ms: u64) {
        let attempts = self.peer_mut(peer).attempts.min(16);
        let ceiling_ms = (DIAL_MS_FIRST << attempts).min(ceiling_ms);
        sometimes!(ceiling_ms == DIAL_MS_MAX, LongestBackOff);
        let wait_ms = ceiling_ms / 2 + self.random_below(ceiling_ms / 2);
        let dial_at_ms = self.now.mono_ms + wait_ms + self.courtesy_ms(peer);
        self.peer_mut(peer).dial_at_ms = dial_at_ms;
    }

    /// A member is reached that dials had not reached for a while: whatever kept it away may have ended for
    /// others too, who are dialled soon.
    pub(super) fn reached(&mut self, peer: NodeKey) {
        let gone_since_ms = self.peer_mut(peer).gone_since_ms.take();
        let is_outage = gone_since_ms.is_some_and(|at_ms| at_ms + OUTAGE_MS <= self.now.mono_ms);
        let is_outage = is_outage || planted!("only the end of an outage hurries dials");
        if !is_outage || planted!("who comes back is not alone") {
            return;
        }
        let is_gone = |peer: &NodeKey| {
            self.peers.get(peer).is_some_and(|state| state.gone_since_ms.is_some())
        };
        let absent: Vec<NodeKey> = self.wanted.iter().copied().filter(is_gone).collect();
        for peer in absent {
            sometimes!(DialHurried);
            let jitter_ms = self.random_below(DIAL_MS_FIRST);
            let soon_ms = self.now.mono_ms + jitter_ms + self.courtesy_ms(peer);
            let state = self.peer_mut(peer);
            state.dial_at_ms = state.dial_at_ms.min(soon_ms);
            // A dial under way may have asked for the last time.
            state.is_hurried = state.is_dialing;
        }
    }

    /// The members may have changed: new ones are dialled soon.
    pub(super) fn schedule_new_members(&mut self) {
        let members: Vec<NodeKey> = self.members.iter().map(|(key, _)| key).collect();
        let own = self.config.key;
        for key in members.into_iter().filter(|key| *key != own) {
            if !self.peers.contains_key(&key) || self.peers[&key].dial_at_ms == 0 {
                let dial_at_ms = self.now.mono_ms + self.courtesy_ms(key);
                self.peer_mut(key).dial_at_ms = dial_at_ms.max(1);
            }
        }
    }

    /// Both sides dial; the greater key lets the other begin, so that they rarely meet half-way: of two
    /// links one is dropped, and what has come over that one comes again.
    pub(super) fn courtesy_ms(&self, peer: NodeKey) -> u64 {
        let lets_begin = self.config.key > peer && !planted!("the greater key lets the other dial");
        if lets_begin { DIAL_MS_COURTESY } else { 0 }
    }

    pub(super) fn pause(&mut self, peer: Option<NodeKey>) {
        for key in self.paused_range(peer) {
            self.peer_mut(key).is_paused = true;
            let links: Vec<LinkId> =
                self.links.iter().filter(|(_, link)| link.peer == key).map(|(&id, _)| id).collect();
            let reason = self.paused_reason();
            for link in links {
                sometimes!(LinkPaused);
                self.close(link, CloseCode::ShuttingDown, &reason);
            }
        }
    }

    /// What a peer is told whose link is paused here.
    pub(super) fn paused_reason(&self) -> String {
        format!("{} paused the link", self.config.name)
    }

    pub(super) fn resume(&mut self, peer: Option<NodeKey>) {
        for key in self.paused_range(peer) {
            let dial_at_ms = self.now.mono_ms + self.courtesy_ms(key);
            let peer = self.peer_mut(key);
            peer.is_paused = false;
            peer.last_error = None;
            peer.attempts = 0;
            peer.dial_at_ms = dial_at_ms;
        }
    }

    fn paused_range(&self, peer: Option<NodeKey>) -> Vec<NodeKey> {
        match peer {
            Some(peer) => vec![peer],
            None => self
                .members
                .iter()
                .map(|(key, _)| key)
                .filter(|key| *key != self.config.key)
                .collect(),
        }
    }

    pub(super) fn next_dial_ms(&self) -> u64 {
        let states = self.wanted.iter().map(|peer| self.peers.get(peer));
        let wanted = states.filter(|state| state.is_none_or(|it| !it.is_dialing && !it.is_paused));
        let redial_ms = self.next_redial_ms();
        let dial_ms = |state: &Peer| match state.attempts {
            0 => state.dial_at_ms,
            _ => state.dial_at_ms.max(redial_ms),
        };
        wanted.map(|state| state.map_or(0, dial_ms)).min().unwrap_or(u64::MAX)
    }

    fn dialable(&self) -> Vec<NodeKey> {
        let due_ms = |peer: &NodeKey| match self.peers.get(peer) {
            None => Some(0),
            Some(state) if state.is_dialing || state.is_paused => None,
            Some(state) => Some(state.dial_at_ms).filter(|&at_ms| at_ms <= self.now.mono_ms),
        };
        let due = self.wanted.iter().filter_map(|peer| Some((due_ms(peer)?, *peer)));
        let mut due: Vec<(u64, NodeKey)> = due.collect();
        due.sort_unstable();
        due.into_iter().map(|(_, peer)| peer).collect()
    }

    /// Whether a member was dialled, and no link has opened since.
    fn is_redialled(&self, peer: NodeKey) -> bool {
        self.peers.get(&peer).is_some_and(|state| state.attempts > 0)
    }

    /// Counts one more dial of a member that was dialled in vain, unless there are too many: however many are
    /// absent, all dials of them together stay within what a network carries unnoticed.
    fn take_redial(&mut self) -> bool {
        if self.now.mono_ms < self.next_redial_ms() {
            return false;
        }
        self.redials_until_ms = self.redials_until_ms.max(self.now.mono_ms) + REDIAL_MS;
        true
    }

    /// When a member that was dialled in vain may be dialled next.
    fn next_redial_ms(&self) -> u64 {
        if planted!("dials of many absent members are few") {
            return 0;
        }
        self.redials_until_ms.saturating_sub(REDIALS_AT_ONCE * REDIAL_MS)
    }

    /// Finds anew whom this node wants a link to and has none: a link, a member or a setting has changed.
    pub(super) fn refresh_wanted(&mut self) {
        let wanted = match (&self.joining, self.members.get(self.config.key)) {
            (Some(invite), None) => BTreeSet::from([invite.issuer]),
            (None, None) => BTreeSet::new(),
            _ => self.dialled_members(),
        };
        let linked: BTreeSet<NodeKey> = self.links.values().map(|link| link.peer).collect();
        let is_wanted = |peer: &NodeKey| {
            *peer != self.config.key
                && !linked.contains(peer)
                && !self.addresses_of(*peer).is_empty()
        };
        self.wanted = wanted.into_iter().filter(is_wanted).collect();
    }

    /// Where a member is dialled: first where this node's settings say.
    pub(super) fn member_addresses(&self, peer: NodeKey) -> Vec<String> {
        let Some(member) = self.members.get(peer) else { return Vec::new() };
        let set = self.config.topology.link(peer, &member.name);
        let own = set.and_then(|set| set.address.clone());
        let told = member.addresses.iter().filter(|it| Some(*it) != own.as_ref()).cloned();
        own.clone().into_iter().chain(told).collect()
    }

    fn addresses_of(&self, peer: NodeKey) -> Vec<String> {
        let inviter = self.joining.as_ref().filter(|_| self.members.get(self.config.key).is_none());
        match inviter.filter(|invite| invite.issuer == peer) {
            Some(invite) => invite.addresses.clone(),
            None => self.member_addresses(peer),
        }
    }
}

/// Back-off after the first failure.
const DIAL_MS_FIRST: u64 = 100;
/// The longest back-off: how long a returning node may have to wait to be dialled; it dials itself at once.
const DIAL_MS_MAX: u64 = 5_000;
/// The back-off of a peer that gives no answer is at most this part of the time that it has been gone: so an
/// outage costs about one percent more than it lasts.
const GONE_PARTS: u64 = 50;
/// Who gave no answer for less was no outage: a node started, or a packet was lost.
const OUTAGE_MS: u64 = 1_000;
/// Between two dials of members that were dialled in vain, on average: each is some packets of 1,200 bytes.
const REDIAL_MS: u64 = 50;
/// How many of them may go out at once: a group that comes back together is dialled together.
const REDIALS_AT_ONCE: u64 = 20;
/// How long the node of the greater key lets the other dial first.
const DIAL_MS_COURTESY: u64 = 500;
