//! Removing members: an admin's act, or a member's own when it leaves.

use millpond_core::message::CloseCode;
use millpond_core::{Incarnation, NodeKey};

use super::commit::Pending;
use super::engine::Engine;
use super::{Answer, LinkId, RequestId};
use crate::membership::{Finals, Members, Role, remove_member};
use crate::planted::planted;
use crate::probes::sometimes;
use crate::removal::RemoveError;
use crate::state::{Job, meta_key, write_meta};
use crate::store::Changes;

impl Engine {
    /// Removes a member.
    pub(super) fn remove(&mut self, id: RequestId, subject: NodeKey) {
        if let Err(error) = self.may_remove(subject) {
            return self.answer(id, Answer::Removed(Err(error)));
        }
        let (author, authors) = (self.config.key, self.records.log_authors());
        let incarnations = self.members.incarnations_of(subject);
        let issued: Vec<(Incarnation, Finals)> =
            incarnations.map(|id| (id, self.heads.covered_of(id))).collect();
        self.write_system(
            Pending::Remove { id },
            Box::new(move |tx| remove_member(tx, subject, author, &issued, &authors)),
        );
    }

    fn may_remove(&self, subject: NodeKey) -> Result<(), RemoveError> {
        let role = |key: NodeKey| self.members.get(key).map(|member| member.role);
        let admins = self.members.iter().filter(|(_, member)| member.role == Role::Admin);
        match (role(self.config.key), role(subject)) {
            (_, None) => Err(RemoveError::NoMember),
            (Some(Role::Admin), Some(Role::Admin)) if admins.count() == 1 => {
                Err(RemoveError::LastAdmin)
            }
            (Some(Role::Admin), _) => Ok(()),
            _ if subject == self.config.key => Ok(()),
            _ => Err(RemoveError::NotAdmin),
        }
    }

    /// Whoever is no member any more is spoken to no longer, and nothing is remembered of it.
    pub(super) fn drop_removed(&mut self, before: &Members) {
        let own = self.config.key;
        let members = before.iter().map(|(key, _)| key).filter(|key| *key != own);
        let removed: Vec<NodeKey> =
            members.filter(|key| self.members.get(*key).is_none()).collect();
        let mut changes = Changes::default();
        for key in removed {
            sometimes!(MemberRemoved);
            let links = self.links.iter().filter(|(_, link)| link.peer == key);
            let links: Vec<LinkId> = links.map(|(&id, _)| id).collect();
            if planted!("links of who is removed end") {
                continue;
            }
            for link in links {
                self.close(link, CloseCode::NotAuthorised, "removed from the domain");
            }
            self.peers.remove(&key);
            write_meta::<()>(&mut changes, meta_key::member(key), None);
        }
        if !changes.meta.is_empty() {
            self.submit(Pending::Note, Job::Meta(changes.meta.into_iter().collect()));
        }
    }
}
