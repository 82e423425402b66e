//! Primary and backup: one member takes writes, the others serve reads and wait to be promoted.

use millpond_core::NodeKey;

use super::commit::Pending;
use super::engine::Engine;
use super::{Answer, RequestId};
use crate::membership::{Member, Role, promote};
use crate::planted::planted;
use crate::probes::sometimes;
use crate::replica::PromoteError;
use crate::state::WriteError;
use crate::status::PrimaryStatus;
use crate::topology::settings::is_named;

/// Who takes writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writers {
    /// All whose roles allow it.
    Everybody,
    /// The primary.
    Only(NodeKey),
    /// Nobody, until an admin has named a primary.
    Nobody,
}

impl Engine {
    /// Who takes writes: whom the latest promotion names, and before the first one whom the configuration does.
    pub(super) fn writers(&self) -> Writers {
        match (self.members.promoted(), &self.config.primary) {
            (Some(Some(primary)), _) => Writers::Only(primary),
            (Some(None), _) | (None, None) => Writers::Everybody,
            (None, Some(name)) => {
                let is_meant = |key: &NodeKey| {
                    let member = self.members.get(*key);
                    let is_it = |it: &Member| is_named(name, &key.to_string(), &it.name);
                    !name.is_empty() && member.is_some_and(is_it)
                };
                let mut meant = self.members.iter().map(|(key, _)| key).filter(is_meant);
                match (meant.next(), meant.next()) {
                    (Some(primary), None) => Writers::Only(primary),
                    _ => Writers::Nobody,
                }
            }
        }
    }

    /// Whether this node is no backup.
    pub(super) fn may_write_as_primary(&self) -> Result<(), WriteError> {
        let primary = match self.writers() {
            Writers::Everybody => return Ok(()),
            Writers::Only(primary) if primary == self.config.key => return Ok(()),
            _ if planted!("a backup takes no writes") => return Ok(()),
            Writers::Only(primary) => Some(primary),
            Writers::Nobody => None,
        };
        sometimes!(BackupRefusesWrite);
        Err(WriteError::NotPrimary {
            primary: primary.map(|key| self.name_of(key)),
            address: primary.and_then(|key| self.address_of(key)),
        })
    }

    /// Who takes writes, for people.
    pub(super) fn primary_status(&self) -> Option<PrimaryStatus> {
        let primary = match self.writers() {
            Writers::Everybody => return None,
            Writers::Only(primary) => Some(primary),
            Writers::Nobody => None,
        };
        Some(PrimaryStatus {
            key: primary.map(|key| key.to_string()),
            name: primary.map(|key| self.name_of(key)),
            address: primary.and_then(|key| self.address_of(key)),
            is_this_node: primary == Some(self.config.key),
        })
    }

    fn address_of(&self, key: NodeKey) -> Option<String> {
        self.members.get(key).and_then(|member| member.addresses.first().cloned())
    }

    /// An admin says who takes writes from now on.
    pub(super) fn promote(&mut self, id: RequestId, primary: Option<NodeKey>) {
        if let Err(error) = self.may_promote(primary) {
            return self.answer(id, Answer::Promoted(Err(error)));
        }
        let (order, author) = (self.members.next_promotion(), self.config.key);
        let authors = self.records.log_authors();
        self.write_system(
            Pending::Promote { id },
            Box::new(move |tx| promote(tx, order, primary, author, &authors)),
        );
    }

    fn may_promote(&self, primary: Option<NodeKey>) -> Result<(), PromoteError> {
        let role = |key: NodeKey| self.members.get(key).map(|member| member.role);
        if role(self.config.key) != Some(Role::Admin) {
            return Err(PromoteError::NotAdmin);
        }
        let Some(primary) = primary else { return Ok(()) };
        match role(primary) {
            Some(role) if role.may_write() => Ok(()),
            Some(role) => Err(PromoteError::MayNotWrite { role: role.to_string() }),
            None => Err(PromoteError::NoMember),
        }
    }
}
