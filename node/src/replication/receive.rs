//! Receiving pushes: admission, causal order, and hand-over to the writer.

use millpond_core::Namespace;
use millpond_core::message::{CloseCode, Credit, Message};
use millpond_core::transport::Lane;
use millpond_core::wire::PushFrame;

use super::LinkId;
use super::commit::Pending;
use super::engine::{Engine, NAMESPACES};
use super::inbox::{Fate, Received};
use crate::planted::planted;
use crate::probes::{never, sometimes};
use crate::state::Job;
use crate::status::Moved;
use crate::topology::settings::Direction;

impl Engine {
    /// A transaction arrives.
    pub(super) fn push(&mut self, link_id: LinkId, push: PushFrame) {
        let Some(link) = self.links.get(&link_id) else { return };
        let peer = link.peer;
        self.peer_mut(peer).count(Moved::Received, &push);
        if let Err((code, reason)) = self.admit(link_id, &push) {
            return self.close(link_id, code, &reason);
        }
        // Whoever sends a transaction has it, and all that it depends on.
        let mut implied = push.deps().clone();
        implied.advance(push.last_dot());
        self.believe(link_id, push.namespace(), &implied);
        if self.owner(push.origin()).is_none() {
            // Its introduction has not come: not yet known is retried, by a pull when nothing else brings it.
            self.consumed(link_id, &push);
            self.note_lacking(link_id, push.namespace());
            return;
        }
        let namespace = push.namespace();
        let origin = push.origin();
        let last = push.last_dot();
        let received = Received { push: push.clone(), link: link_id };
        let Some(inbox) = self.inboxes.get_mut(&namespace) else { return };
        let fate = inbox.accept(received);
        match fate {
            Fate::Kept => {
                self.lacking.remove(&(namespace, origin));
                // Also of what the disk takes long for: nobody need send it again.
                self.ack_soon();
            }
            Fate::Duplicate => {
                sometimes!(PushDuplicate);
                self.peer_mut(peer).count(Moved::Duplicate, &push);
                if !planted!("a duplicate is credited") {
                    self.consumed(link_id, &push);
                }
            }
            Fate::Dropped => {
                sometimes!(PushDropped);
                if !planted!("a push that is dropped is credited") {
                    self.consumed(link_id, &push);
                }
                let now_ms = self.now.mono_ms;
                self.lacking.entry((namespace, origin)).or_insert(now_ms);
            }
        }
        if self.push_came(link_id, namespace, last, fate) {
            self.peer_mut(peer).count(Moved::Pruned, &push);
        }
        if !planted!("a push announces what it depends on") {
            implied.iter().for_each(|dot| self.note_announced(link_id, namespace, dot, false));
        }
    }

    /// R14: what a peer itself issued is judged here, once; what members admitted is taken from anyone.
    fn admit(&self, link_id: LinkId, push: &PushFrame) -> Result<(), (CloseCode, String)> {
        let peer = self.links[&link_id].peer;
        if !self.inboxes.contains_key(&push.namespace()) {
            never!("pushes to a namespace that there is not");
            let reason = format!("there is no namespace {} here", push.namespace());
            return Err((CloseCode::Protocol, reason));
        }
        if self.links[&link_id].rules.direction == Direction::Serve
            && !planted!("who may only take gives nothing")
        {
            never!("gives where it may only take");
            let reason = "this node's settings let you take from it, and it takes nothing from you";
            return Err((CloseCode::NotAdmitted, reason.into()));
        }
        let is_own = self.heads.open == Some(push.origin());
        if is_own && !planted!("nobody else writes in this node's name") {
            let here = self.applied(push.namespace()).seq(push.origin());
            if push.last_dot().seq.get() > here {
                // Nobody feeds an origin what is its own, not even to one that has fallen back.
                never!("pushes in this node's own name what it never made");
                return Err((CloseCode::Protocol, "a write in my name that I never made".into()));
            }
        }
        let role = self.members.get(peer).map(|member| member.role);
        let is_peers = self.owner(push.origin()) == Some(peer);
        if is_peers
            && push.namespace() != Namespace::SYSTEM
            && role.is_some_and(|role| !role.may_write())
        {
            never!("writes, and may not");
            return Err((CloseCode::NotAdmitted, "a reader may not write".into()));
        }
        Ok(())
    }

    /// Hands the writer what is ready, unless it has enough to do.
    pub(super) fn submit_received(&mut self) {
        for namespace in NAMESPACES {
            self.refuse_forged(namespace);
            while let Some(inbox) = self.inboxes.get_mut(&namespace) {
                if inbox.jobs >= JOBS_MAX || inbox.is_idle() {
                    sometimes!(!inbox.is_idle(), PushesWaitForWriter);
                    break;
                }
                let received = inbox.take_ready();
                inbox.jobs += 1;
                let pushes = received.iter().map(|received| received.push.clone()).collect();
                self.submit(Pending::Pushes { namespace, received }, Job::Pushes(pushes));
            }
        }
    }

    /// Ends the links that brought pushes which no honest node sends.
    fn refuse_forged(&mut self, namespace: Namespace) {
        let forged = self.inboxes.get_mut(&namespace).map(|inbox| inbox.take_forged());
        for Received { link, .. } in forged.unwrap_or_default() {
            never!("overwrites what it does not depend on");
            let reason = "a push overwrites dots that it does not depend on";
            self.close(link, CloseCode::Protocol, reason);
        }
    }

    /// Gives the peer credit for a push that was worked off.
    pub(super) fn consumed(&mut self, link_id: LinkId, push: &PushFrame) {
        let bytes = push.encoded_bytes() as u64;
        self.give_credit(link_id, Credit { push_bytes: bytes, rows_bytes: 0 });
    }

    pub(super) fn give_credit(&mut self, link_id: LinkId, credit: Credit) {
        let Some(link) = self.links.get_mut(&link_id) else { return };
        link.consumed.push_bytes += credit.push_bytes;
        link.consumed.rows_bytes += credit.rows_bytes;
        if link.owes_credit() {
            link.told_consumed = link.consumed;
            let credit = link.consumed;
            self.send(link_id, Lane::Control, &Message::Credit(credit));
        }
    }
}

/// Jobs of one namespace's pushes at the writer: one at work and one to go on with. What arrives meanwhile
/// makes the next one larger.
const JOBS_MAX: usize = 2;
