//! Keys that change: a member is known by its first key, and shows the one of now.
//!
//! ```text
//! rotate         the next key is on disk, and the old one's word for it is recorded
//! all have it    the node shows the next key, and its links are made anew; at once, if there is to be no overlap
//! overlap over   the old key is recorded as retired: whoever reads that refuses it, and ends its links
//! ```
//!
//! Each step follows from the records and from the key that is shown, so a node that is stopped in between goes on
//! where it was. The engine names members by their first keys throughout; only here, where links come and go, are
//! the keys that they show.

use millpond_core::limits::SUCCESSIONS_MAX;
use millpond_core::message::CloseCode;
use millpond_core::{Namespace, NodeKey, Succession};

use super::commit::Pending;
use super::engine::Engine;
use super::{Answer, LinkId, Output, RequestId};
use crate::membership::{KeyChecks, Role, is_signed, record_retired, record_succession};
use crate::planted::planted;
use crate::probes::{never, sometimes};
use crate::rotation::{RevokeError, RotateError};
use crate::state::{JobError, Outcome, WriteTx};
use crate::status::{KeyState, KeyStatus};

/// What this node is doing about its own keys.
#[derive(Debug)]
pub(super) struct Rotation {
    /// When to look again; `u64::MAX` while there is one key.
    due_ms: u64,
    /// Whether the shell is making links anew.
    is_showing: bool,
    /// Whether a record is on its way to the disk.
    is_retiring: bool,
    /// Why the next key is not shown.
    failed: Option<String>,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { due_ms: u64::MAX, is_showing: false, is_retiring: false, failed: None }
    }
}

impl Rotation {
    /// What is left of it for an engine that begins anew: it hears nothing of records that are on their way.
    pub(super) fn outliving(self) -> Self {
        Self { is_retiring: false, ..self }
    }
}

impl Engine {
    pub(super) fn key_checks(&self) -> KeyChecks<'_> {
        KeyChecks {
            domain: self.config.domain,
            check: self.config.check,
            known: Some(self.members.keys()),
        }
    }

    /// The member that shows this key; itself, if nothing is known of it.
    pub(super) fn whose(&self, shown: NodeKey) -> NodeKey {
        let proven =
            || self.proven.iter().find(|(_, key)| **key == shown).map(|(member, _)| *member);
        self.members.member_of(shown).or_else(proven).unwrap_or(shown)
    }

    /// The keys that a member may show, the likeliest first.
    pub(super) fn keys_to_dial(&self, member: NodeKey) -> Vec<NodeKey> {
        let known = self.members.keys().of(member);
        let proven = self.proven.get(&member).copied();
        let seen =
            self.peers.get(&member).and_then(|peer| peer.shown).filter(|it| known.contains(it));
        let mut keys = Vec::new();
        for key in proven.into_iter().chain(seen).chain(known) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    /// A link shows a key that another one has taken the place of.
    pub(super) fn refuse_retired(&mut self, link: LinkId, shown: NodeKey, dialed: bool) {
        let member = self.members.keys().owner(shown).unwrap_or(shown);
        if dialed {
            self.peer_mut(member).is_dialing = false;
            self.schedule_redial(member);
        }
        let reason = retired_reason(shown);
        self.emit(Output::Close { link, code: CloseCode::NotAuthorised, reason });
    }

    /// What a peer has to know before this node's hello, if the key that is shown is not its first.
    pub(super) fn own_chain(&self) -> Vec<Succession> {
        let mut chain = self.members.keys().chain(self.config.shows);
        let known = chain.len().saturating_sub(SUCCESSIONS_MAX);
        chain.split_off(known)
    }

    /// A peer tells whose successor the key is that it shows. Nobody needs to believe it: the signatures do.
    pub(super) fn succession(&mut self, link_id: LinkId, chain: &[Succession]) {
        let Some(link) = self.links.get(&link_id) else { return };
        let (shown, first) = (link.key, chain.first().map(|it| it.old));
        let Some(first) = first.filter(|first| *first != shown) else { return };
        let upto = chain.iter().position(|it| it.new == shown).map_or(0, |last| last + 1);
        let chain = &chain[..upto];
        let checks = self.key_checks();
        if chain.is_empty() || !chain.iter().all(|it| is_signed(it, &checks)) {
            never!("claims to be the successor of a key that has not said so");
            return self.close(link_id, CloseCode::Protocol, "no such word was given by that key");
        }
        let keys = self.members.keys();
        let is_overruled = |it: &Succession| keys.retired_by(it.old).is_some_and(|by| by != it.new);
        if let Some(it) = chain.iter().find(|it| is_overruled(it)) {
            let reason = retired_reason(it.old);
            return self.close(link_id, CloseCode::NotAuthorised, &reason);
        }
        let member = keys.owner(first).unwrap_or(first);
        let is_inviter = self.joining_from() == Some(shown);
        let is_recorded = self.members.member_of(shown).is_some();
        if is_recorded || (self.members.get(member).is_none() && !is_inviter) {
            return;
        }
        sometimes!(SuccessionTold);
        self.proven.insert(member, shown);
        if let Some(invite) = self.joining.as_mut().filter(|_| is_inviter) {
            invite.issuer = member;
        }
        self.peers.remove(&shown);
        if let Some(link) = self.links.get_mut(&link_id) {
            link.peer = member;
        }
        self.refresh_wanted();
        if member == self.config.key {
            self.close(link_id, CloseCode::Itself, "this is my own key");
        } else if self.peer_mut(member).is_paused {
            let reason = self.paused_reason();
            self.close(link_id, CloseCode::ShuttingDown, &reason);
        }
    }

    /// The records may tell of other keys: what shows one that is retired is spoken to no longer.
    pub(super) fn drop_retired(&mut self) {
        let (members, inviter) = (&self.members, self.joining_from());
        self.proven.retain(|member, key| {
            let is_wanted = members.get(*member).is_some() || inviter == Some(*member);
            is_wanted && members.member_of(*key).is_none() && !members.is_retired(*key)
        });
        let shown: Vec<(LinkId, NodeKey, NodeKey)> =
            self.links.iter().map(|(&id, link)| (id, link.key, link.peer)).collect();
        for (link, key, peer) in shown {
            if self.members.is_retired(key) && !planted!("links of a retired key end") {
                self.close(link, CloseCode::NotAuthorised, &retired_reason(key));
            } else if self.members.member_of(key).is_some_and(|member| member != peer) {
                let reason = "this node is known by another key";
                self.close(link, CloseCode::ShuttingDown, reason);
            }
        }
        let own = self.members.keys().of(self.config.key);
        if own != [self.config.shows] {
            self.rotation.due_ms = self.now.mono_ms;
        }
    }

    /// Records that another key follows the one that this node shows.
    pub(super) fn rotate(&mut self, id: RequestId, it: Succession, overlap_ms: u64) {
        let own = self.config.key;
        if self.members.get(own).is_none() {
            return self.answer(id, Answer::Rotated(Err(RotateError::NotMember)));
        }
        if it.old != self.config.shows || !is_signed(&it, &self.key_checks()) {
            let error = RotateError::NotRecorded("the key has changed meanwhile".into());
            return self.answer(id, Answer::Rotated(Err(error)));
        }
        let recorded = self.members.keys().recorded(it.new);
        if recorded.is_some_and(|(_, recorded)| recorded.overlap_ms <= overlap_ms) {
            return self.answer(id, Answer::Rotated(Ok(())));
        }
        sometimes!(KeyAnnounced);
        let closure =
            Box::new(move |tx: &mut WriteTx<'_>| record_succession(tx, own, &it, overlap_ms));
        self.write_system(Pending::Rotate { id }, closure);
    }

    /// Records that a key is refused from now on: an admin's act, or that of the member whose it is.
    pub(super) fn revoke(&mut self, id: RequestId, key: NodeKey) {
        let (member, old, by) = match self.may_revoke(key) {
            Ok(Some(retired)) => retired,
            Ok(None) => return self.answer(id, Answer::Revoked(Ok(()))),
            Err(error) => return self.answer(id, Answer::Revoked(Err(error))),
        };
        let closure = Box::new(move |tx: &mut WriteTx<'_>| record_retired(tx, member, old, by));
        self.write_system(Pending::Revoke { id }, closure);
    }

    /// The member, the key to retire and the one that took its place; nothing if it is refused already.
    fn may_revoke(&self, key: NodeKey) -> Result<Option<(NodeKey, NodeKey, NodeKey)>, RevokeError> {
        let keys = self.members.keys();
        let is_first = self.members.get(key).is_some();
        let member = keys.owner(key).or(is_first.then_some(key)).ok_or(RevokeError::NoKey)?;
        let role = self.members.get(self.config.key).map(|member| member.role);
        if role != Some(Role::Admin) && member != self.config.key {
            return Err(RevokeError::NotAdmin);
        }
        if keys.is_retired(key) {
            return Ok(None);
        }
        let newest = keys.of(member).first().copied().ok_or(RevokeError::Newest)?;
        let chain = keys.chain(newest);
        // A key that one of them named beside its successor goes with what that one has named.
        let parent = keys.recorded(key).map(|(parent, _)| parent);
        let follows = |old: NodeKey| chain.iter().find(|it| it.old == old);
        let is_newest = key == newest;
        let found = follows(key).or_else(|| parent.filter(|_| !is_newest).and_then(follows));
        found.map(|it| Some((member, it.old, it.new))).ok_or(RevokeError::Newest)
    }

    /// Goes on with a rotation of this node's own key.
    pub(super) fn run_rotation(&mut self) {
        if self.now.mono_ms < self.rotation.due_ms {
            return;
        }
        let keys = self.members.keys().of(self.config.key);
        let is_member = self.members.get(self.config.key).is_some();
        let Some(newest) =
            keys.first().copied().filter(|_| is_member && keys != [self.config.shows])
        else {
            self.rotation.due_ms = u64::MAX;
            return;
        };
        self.rotation.due_ms = self.now.mono_ms + self.config.digest_ms.min(LOOK_MS_MAX);
        match newest == self.config.shows {
            true => self.retire_overlapped(newest),
            false => self.show_next(newest),
        }
    }

    pub(super) fn next_rotation_ms(&self) -> u64 {
        self.rotation.due_ms
    }

    /// The next key is shown once every member that is not gone for long knows it, or at once if the old one is to be
    /// valid no longer: who has not heard is told by the hello then. Two that changed their keys while they were cut
    /// off from each other, without waiting, could not dial each other any more.
    fn show_next(&mut self, next: NodeKey) {
        let Some((_, recorded)) = self.members.keys().recorded(next) else { return };
        let is_urgent = recorded.overlap_ms == 0;
        let is_known = self.stable(Namespace::SYSTEM).covers(recorded.dot)
            || planted!("a key is shown once all members know it");
        if self.rotation.is_showing || !(is_known || is_urgent) {
            return;
        }
        sometimes!(is_known, KnownKeyShown);
        sometimes!(!is_known, UnknownKeyShown);
        self.rotation.is_showing = true;
        self.emit(Output::ShowKey { key: next });
    }

    /// Old keys whose time is over are retired.
    fn retire_overlapped(&mut self, newest: NodeKey) {
        if self.rotation.is_retiring {
            return;
        }
        let (keys, own) = (self.members.keys(), self.config.key);
        let is_over = |it: &Succession| {
            let recorded = keys.recorded(it.new);
            recorded.is_some_and(|(_, it)| self.is_over(it.stamp_ms, it.overlap_ms))
        };
        let retired: Vec<(NodeKey, NodeKey)> = keys
            .chain(newest)
            .iter()
            .filter(|it| !keys.is_retired(it.old) && is_over(it))
            .map(|it| (it.old, it.new))
            .collect();
        if retired.is_empty() {
            return;
        }
        sometimes!(KeyRetired);
        self.rotation.is_retiring = true;
        let closure = Box::new(move |tx: &mut WriteTx<'_>| {
            retired.iter().try_for_each(|(old, by)| record_retired(tx, own, *old, *by))
        });
        self.write_system(Pending::Retire, closure);
    }

    /// Whether so much time has passed by this node's clock, which has also given the stamp.
    fn is_over(&self, stamp_ms: u64, overlap_ms: u64) -> bool {
        let is_past = self.now.wall_ms >= stamp_ms.saturating_add(overlap_ms);
        is_past || overlap_ms == 0 || planted!("an old key is valid while it overlaps")
    }

    /// It is recorded that keys are retired, or not.
    pub(super) fn retired(&mut self, result: &Result<Outcome, JobError>) {
        self.rotation.is_retiring = false;
        if let Err(error) = result {
            tracing::warn!(%error, "an old key is not retired yet");
        }
    }

    /// The shell shows a key from now on, and makes links anew; or why not.
    pub(super) fn key_shown(&mut self, shown: Result<NodeKey, String>) {
        self.rotation.is_showing = false;
        match shown {
            Ok(key) => {
                sometimes!(KeyShown);
                self.config.shows = key;
                self.rotation.failed = None;
                self.rotation.due_ms = self.now.mono_ms;
            }
            Err(reason) => {
                tracing::warn!(reason, "the next key is not shown");
                self.rotation.failed = Some(reason);
                self.rotation.due_ms = self.now.mono_ms + RETRY_MS;
            }
        }
    }

    /// The node listens elsewhere, perhaps.
    pub(super) fn listens(&mut self, addresses: Vec<String>) {
        self.config.addresses = addresses;
        self.members_changed();
    }

    /// The keys of this node, newest first.
    pub(super) fn key_statuses(&self) -> Vec<KeyStatus> {
        let keys = self.members.keys();
        let own = keys.of(self.config.key);
        // None is left if whoever held the newest key had it retired as well.
        let newest = own.first().map(|key| keys.chain(*key)).unwrap_or_default();
        let status = |(index, key): (usize, &NodeKey)| {
            let state = match *key == self.config.shows {
                true => KeyState::Shown,
                false if index == 0 => KeyState::Next,
                false => KeyState::Old,
            };
            let recorded =
                newest.iter().find(|it| it.old == *key).and_then(|it| keys.recorded(it.new));
            let until_ms = recorded.map(|(_, it)| it.stamp_ms.saturating_add(it.overlap_ms));
            KeyStatus { key: key.to_string(), state, until_ms }
        };
        own.iter().enumerate().map(status).collect()
    }

    /// What keeps the next key from being shown, for the operator.
    pub(super) fn rotation_warning(&self) -> Option<String> {
        let failed = self.rotation.failed.as_ref()?;
        Some(format!("the next key cannot be shown: {failed}"))
    }
}

fn retired_reason(key: NodeKey) -> String {
    format!("the key {} was retired; its node shows another one now", key.short())
}

/// How often a rotation is looked at, at the least: it waits for words, which come with digests.
const LOOK_MS_MAX: u64 = 5_000;
/// A folder that cannot be written to is tried again so much later.
const RETRY_MS: u64 = 10_000;
