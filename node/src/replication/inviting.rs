//! Invites, as an admin gives them out, looks after them, and takes them back; and who waits to be approved.

use std::time::Duration;

use millpond_core::NodeKey;
use millpond_core::message::CloseCode;

use super::commit::Pending;
use super::engine::Engine;
use super::{Answer, JoinProgress, LinkId, Output, RequestId};
use crate::limits::{INVITE_S_MAX, INVITES_MAX};
use crate::membership::{Invite, InviteOptions, Role, joiner_words};
use crate::probes::sometimes;
use crate::replica::InviteError;

impl Engine {
    /// Issues an invite: it is handed out once it is on disk.
    pub(super) fn invite(&mut self, id: RequestId, options: InviteOptions, secret: [u8; 16]) {
        if let Err(error) = self.may_invite(options) {
            return self.answer(id, Answer::Invite(Err(error)));
        }
        let lasts_ms = options.expires.min(Duration::from_secs(INVITE_S_MAX)).as_millis() as u64;
        let invite = Invite {
            domain: self.config.domain,
            issuer: self.config.shows,
            addresses: self.config.addresses.clone(),
            role: options.role,
            expires_ms: self.now.wall_ms + lasts_ms,
            secret,
        };
        if !self.invites.issue(&invite, options, self.now.wall_ms) {
            return self.answer(id, Answer::Invite(Err(InviteError::TooMany)));
        }
        let job = self.invites.note();
        self.submit(Pending::Invite { id, invite }, job);
    }

    fn may_invite(&self, options: InviteOptions) -> Result<(), InviteError> {
        let role = self.members.get(self.config.key).map(|member| member.role);
        if role != Some(Role::Admin) {
            return Err(InviteError::NotAdmin);
        }
        match (1..=InviteOptions::USES_MAX).contains(&options.uses) {
            true => Ok(()),
            false => Err(InviteError::Uses),
        }
    }

    /// A guest has to be approved: until then it has no link, and asks again.
    pub(super) fn wait_for_approval(&mut self, link: LinkId, is_new: bool) {
        sometimes!(!is_new, GuestAsksAgain);
        if is_new {
            let job = self.invites.note();
            self.submit(Pending::Note, job);
        }
        self.close(link, CloseCode::AwaitsApproval, "an admin has yet to approve this node");
    }

    /// This node has to be approved. Says so, with its words if it is the inviter who says it.
    pub(super) fn hear_of_approval(&mut self, peer: NodeKey, reason: String) -> String {
        let invite = self.joining.as_ref().filter(|invite| invite.issuer == peer);
        let Some(invite) = invite else { return reason };
        sometimes!(AwaitsApproval);
        let words = joiner_words(invite.id(), invite.issuer, self.config.key);
        self.emit(Output::Join(JoinProgress::Asked { words: words.clone() }));
        format!("{reason}; its words are {words}")
    }

    /// Approves a node that waits, or denies it: answered once that is on disk.
    pub(super) fn decide(&mut self, id: RequestId, who: &str, is_approved: bool) {
        let role = self.members.get(self.config.key).map(|member| member.role);
        if role != Some(Role::Admin) {
            return self.answer(id, Answer::Decided(Err(InviteError::NotAdmin)));
        }
        match self.invites.decide(who, is_approved) {
            Ok(member) => {
                sometimes!(is_approved, GuestApproved);
                sometimes!(!is_approved, GuestDenied);
                let job = self.invites.note();
                self.submit(Pending::Decide { id, member }, job);
            }
            Err(_) => self.answer(id, Answer::Decided(Err(InviteError::NobodyWaits))),
        }
    }

    /// The invites that this node has issued.
    pub(super) fn list_invites(&mut self, id: RequestId) {
        let invites = self.invites.list(self.now.wall_ms);
        self.answer(id, Answer::Invites(invites));
    }

    /// Revokes an invite: answered once that is on disk. Who has used it by then stays what it is, or becomes it.
    pub(super) fn revoke_invite(&mut self, id: RequestId, text: &str) {
        match self.invites.revoke(text, self.now.wall_ms) {
            Ok(invite) => {
                sometimes!(InviteRevoked);
                let job = self.invites.note();
                self.submit(Pending::RevokeInvite { id, invite }, job);
            }
            Err(_) => self.answer(id, Answer::InviteRevoked(Err(InviteError::NoInvite))),
        }
    }
}

const _: () = assert!(INVITES_MAX == 128, "the error says so");
