//! The dialer: a link to every member, with jittered back-off.

use std::collections::BTreeSet;

use millpond_core::NodeKey;
use millpond_core::message::CloseCode;

use super::engine::Engine;
use super::{JoinProgress, LinkId, Output};
use crate::planted::planted;
use crate::probes::sometimes;

impl Engine {
    /// Dials every member that has no link, is not paused, and whose time has come.
    pub(super) fn run_dials(&mut self) {
        for (peer, addresses) in self.dialable() {
            let state = self.peer_mut(peer);
            state.is_dialing = true;
            state.attempts = state.attempts.saturating_add(1);
            self.emit(Output::Dial { peer, addresses });
        }
    }

    pub(super) fn dial_failed(&mut self, peer: NodeKey, reason: String) {
        self.peer_mut(peer).is_dialing = false;
        if self.joining_from() == Some(peer) {
            self.emit(Output::Join(JoinProgress::Waiting(reason.clone())));
        }
        sometimes!(DialFailed);
        self.peer_mut(peer).last_error = Some(reason);
        self.schedule_dial(peer);
        self.refresh_wanted();
    }

    /// When to dial a peer again: longer after each attempt that opened no link, and never in step with
    /// others.
    pub(super) fn schedule_dial(&mut self, peer: NodeKey) {
        let attempts = self.peer_mut(peer).attempts.min(16);
        let ceiling_ms = (DIAL_MS_FIRST << attempts).min(DIAL_MS_MAX);
        sometimes!(ceiling_ms == DIAL_MS_MAX, LongestBackOff);
        let wait_ms = ceiling_ms / 2 + self.random_below(ceiling_ms / 2);
        let dial_at_ms = self.now.mono_ms + wait_ms + self.courtesy_ms(peer);
        self.peer_mut(peer).dial_at_ms = dial_at_ms;
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
        wanted.map(|state| state.map_or(0, |it| it.dial_at_ms)).min().unwrap_or(u64::MAX)
    }

    fn dialable(&mut self) -> Vec<(NodeKey, Vec<String>)> {
        let now_ms = self.now.mono_ms;
        let due = self.wanted.iter().filter(|peer| {
            self.peers.get(peer).is_none_or(|state| {
                !state.is_dialing && !state.is_paused && state.dial_at_ms <= now_ms
            })
        });
        due.map(|&peer| (peer, self.addresses_of(peer))).collect()
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

    fn addresses_of(&self, peer: NodeKey) -> Vec<String> {
        let inviter = self.joining.as_ref().filter(|_| self.members.get(self.config.key).is_none());
        match inviter.filter(|invite| invite.issuer == peer) {
            Some(invite) => invite.addresses.clone(),
            None => self.members.get(peer).map_or_else(Vec::new, |it| it.addresses.clone()),
        }
    }
}

/// Back-off after the first failure.
const DIAL_MS_FIRST: u64 = 100;
/// The longest back-off: how long a returning node may have to wait to be dialled; it dials itself at once.
const DIAL_MS_MAX: u64 = 5_000;
/// How long the node of the greater key lets the other dial first.
const DIAL_MS_COURTESY: u64 = 500;
