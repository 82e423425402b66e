//! Changing a node's key, as applications do it.

use std::time::Duration;

use millpond_core::NodeKey;

use crate::Replica;
use crate::replication::{Answer, Request};

/// Why a key was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RotateError {
    /// This node is no member yet, so that nobody knows the key that it has.
    #[error("this node is no member of its domain; let it join first")]
    NotMember,
    /// The new key could not be made or kept.
    #[error("there is no new key: {0}")]
    NoKey(String),
    /// It could not be recorded. The new key is kept for the next attempt.
    #[error("the new key was not recorded: {0}")]
    NotRecorded(String),
    /// The replica is closed.
    #[error("the replica is closed")]
    Closed,
}

/// Why a key was not revoked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevokeError {
    /// This node is no admin, and the key is another's.
    #[error(
        "only an admin may revoke others' keys, and this node is none; run it on an admin's node"
    )]
    NotAdmin,
    /// It is no member's key.
    #[error("it is no member's key")]
    NoKey,
    /// No other key has taken its place.
    #[error("it is its member's newest key; have that node rotate it, or remove the member")]
    Newest,
    /// It could not be recorded.
    #[error("the key was not revoked: {0}")]
    NotRecorded(String),
    /// The replica is closed.
    #[error("the replica is closed")]
    Closed,
}

impl Replica {
    /// Changes this node's key, while it runs. A new key is made, and the old one's word for it recorded in the domain.
    /// Once all members that are not gone for long know it, the node shows it and makes its links anew; when the overlap
    /// is over as well, the old key is retired, and all refuse it. The node stays the member that
    /// it is, named by its first key. Without `overlap` it is [`Config::key_overlap`](crate::Config::key_overlap);
    /// nought changes the key at once, for one that was stolen.
    ///
    /// Answers with the new key when the change is recorded. A node that is stopped in between goes on when it is
    /// opened again.
    ///
    /// # Errors
    /// Any [`RotateError`]; then the old key stays.
    pub async fn rotate_key(&self, overlap: Option<Duration>) -> Result<NodeKey, RotateError> {
        let keys = self.keys().clone();
        let prepared = tokio::task::spawn_blocking(move || keys.prepare()).await;
        let succession = match prepared {
            Ok(prepared) => prepared.map_err(RotateError::NoKey)?,
            Err(panicked) => return Err(RotateError::NoKey(panicked.to_string())),
        };
        let overlap_ms = overlap.unwrap_or(self.key_overlap()).as_millis() as u64;
        match self.ask(Request::Rotate { succession, overlap_ms }).await {
            Some(Answer::Rotated(rotated)) => rotated.map(|()| succession.new),
            _ => Err(RotateError::Closed),
        }
    }

    /// Has a key refused that another one has taken the place of, before its overlap is over: an admin's act, or that
    /// of the member whose it is. Links that show it end at once, on every node that learns of it.
    ///
    /// # Errors
    /// Any [`RevokeError`]; then nothing has changed.
    pub async fn revoke_key(&self, key: NodeKey) -> Result<(), RevokeError> {
        match self.ask(Request::Revoke(key)).await {
            Some(Answer::Revoked(revoked)) => revoked,
            _ => Err(RevokeError::Closed),
        }
    }
}
