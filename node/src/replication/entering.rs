//! Joining while the node runs: a node that has joined nothing yet, or founded a domain in which nothing is, enters
//! the one that an invite leads to. Whoever holds data stays where it is, and is told so.

use millpond_core::message::CloseCode;
use millpond_core::{Namespace, NodeKey};

use super::commit::Pending;
use super::engine::Engine;
use super::{Answer, JoinProgress, LinkId, Output, RequestId};
use crate::membership::Invite;
use crate::planted::planted;
use crate::probes::sometimes;
use crate::replica::JoinError;
use crate::state::{
    Enter, Identity, Job, JobError, holds_no_data, meta_key, read_meta, write_meta,
};
use crate::store::{Changes, StoreError};

impl Engine {
    /// Goes over to the domain of an invite, or takes a fresh one for that which it is about to join.
    pub(super) fn join_domain(&mut self, id: RequestId, invite: Invite) {
        if let Err(error) = self.may_join(&invite) {
            sometimes!(matches!(error, JoinError::OtherDomain { .. }), OtherDomainKept);
            return self.answer(id, Answer::Joining(Err(error)));
        }
        // Nothing that was told on links to others, or is still to come, is of the domain to come.
        for link in self.links.keys().copied().collect::<Vec<LinkId>>() {
            self.close(link, CloseCode::ShuttingDown, LEAVES);
        }
        let job = match self.config.domain == invite.domain {
            true => {
                let mut changes = Changes::default();
                write_meta(&mut changes, meta_key::pending_invite(), Some(&invite));
                Ok(Job::Meta(changes.meta.into_iter().collect()))
            }
            false => self.entering_job(&invite),
        };
        match job {
            Ok(job) => {
                self.is_entering = true;
                self.submit(Pending::Enter { id, invite }, job);
            }
            Err(error) => {
                let error = JoinError::NotRecorded(error.to_string());
                self.answer(id, Answer::Joining(Err(error)));
            }
        }
    }

    fn entering_job(&self, invite: &Invite) -> Result<Job, StoreError> {
        let held: Option<Identity> = read_meta(&*self.store.snapshot()?, &meta_key::identity())?;
        let about = held.ok_or(StoreError::Corrupt { what: "there is no identity".into() })?;
        let mut changes = Changes::default();
        let about = Identity { domain: invite.domain, ..about };
        write_meta(&mut changes, meta_key::identity(), Some(&about));
        write_meta(&mut changes, meta_key::pending_invite(), Some(invite));
        for gone in [meta_key::invites(), meta_key::introduced(), meta_key::rehab()] {
            changes.meta.insert(gone, None);
        }
        let at = self.applied(Namespace::SYSTEM).clone();
        Ok(Job::Enter(Enter { at, notes: changes.meta.into_iter().collect() }))
    }

    fn may_join(&self, invite: &Invite) -> Result<(), JoinError> {
        let own = self.config.key;
        if let Some(why) = self.why_fenced() {
            return Err(JoinError::NotNow { why: format!("it is fenced: {why}") });
        }
        if self.config.shows != own && self.config.domain != invite.domain {
            // The domain to come knows it by no other key than the one that it shows.
            let why = "its key was changed; join in a new folder".into();
            return Err(JoinError::NotNow { why });
        }
        if self.is_entering {
            return Err(JoinError::NotNow { why: "it is about to join already".into() });
        }
        let is_member = self.members.get(own).is_some();
        if self.config.domain == invite.domain {
            return if is_member { Err(JoinError::AlreadyMember) } else { Ok(()) };
        }
        let others: Vec<NodeKey> =
            self.members.iter().map(|(key, _)| key).filter(|key| *key != own).collect();
        let why = if !holds_no_data(&self.heads) {
            "and data was written in it".into()
        } else if !others.is_empty() && !planted!("who has company enters no other domain") {
            format!("and {} other members are in it", others.len())
        } else if !is_member && !self.applied(Namespace::SYSTEM).is_empty() {
            "and it has received something of it".into()
        } else {
            return Ok(());
        };
        Err(JoinError::OtherDomain { domain: self.config.domain, why })
    }

    /// It is on disk that this node is of another domain, or why it is not.
    pub(super) fn entered(&mut self, id: RequestId, invite: Invite, result: Result<(), JobError>) {
        self.is_entering = false;
        match result {
            Ok(()) => {
                self.config.domain = invite.domain;
                self.joining = Some(invite);
                self.refresh_wanted();
                let why = "the inviter was not reached yet".into();
                // Before the answer: who waits from then on waits for this join.
                self.emit(Output::Join(JoinProgress::Waiting(why)));
                self.answer(id, Answer::Joining(Ok(())));
            }
            // Something was written, or somebody came, just before.
            Err(JobError::NotEmpty) => self.join_domain(id, invite),
            Err(error) => {
                let error = JoinError::NotRecorded(error.to_string());
                self.answer(id, Answer::Joining(Err(error)));
            }
        }
    }
}

/// What peers of the domain that is left are told, and whoever writes meanwhile.
pub(super) const LEAVES: &str = "this node is about to join another domain";
