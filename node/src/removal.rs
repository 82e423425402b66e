//! Removing a member, as applications do it.

use millpond_core::NodeKey;

use crate::Replica;
use crate::replication::{Answer, Request};

/// Why a member was not removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoveError {
    /// This node is no admin, and the member is another one.
    #[error("only an admin may remove others, and this node is none; run it on an admin's node")]
    NotAdmin,
    /// There is no such member.
    #[error("there is no such member")]
    NoMember,
    /// Nobody would be left to admit others.
    #[error("it is the last admin; make another member one first")]
    LastAdmin,
    /// It could not be recorded.
    #[error("the removal was not recorded: {0}")]
    NotRecorded(String),
    /// The replica is closed.
    #[error("the replica is closed")]
    Closed,
}

impl Replica {
    /// Removes a member from the domain: an admin's act, or the member's own, which so leaves. What it wrote and
    /// others have stays; what nobody has yet stays with it alone. Links to it end, tombstones do not wait for it
    /// any more, and it may come back by a new invite.
    ///
    /// # Errors
    /// Any [`RemoveError`]; then nothing has changed.
    pub async fn remove(&self, member: NodeKey) -> Result<(), RemoveError> {
        match self.ask(Request::Remove(member)).await {
            Some(Answer::Removed(removed)) => removed,
            _ => Err(RemoveError::Closed),
        }
    }
}
