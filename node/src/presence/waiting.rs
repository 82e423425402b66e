//! Waiting until this node has what others had, or another one has what this node wrote.

use millpond_core::{NodeKey, VersionVector};

use crate::Replica;

/// Why waiting for others ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// There is no such member.
    #[error("there is no such member")]
    NoMember,
    /// The replica was closed.
    #[error("the replica was closed")]
    Closed,
}

impl Replica {
    /// Waits until all that linked peers had at this call, by their latest word, can be read here. Without a link
    /// that is at once. A delayed replica waits for its delay, too.
    ///
    /// It waits for as long as nobody sends what is missing: put a timeout around it. Cancel-safe.
    ///
    /// # Errors
    /// [`SyncError::Closed`].
    pub async fn caught_up(&self) -> Result<(), SyncError> {
        let sight = self.sight().await.ok_or(SyncError::Closed)?.borrow().clone();
        let mut told = VersionVector::new();
        for peer in sight.peers.values().filter(|peer| peer.is_linked) {
            told.join(&peer.applied);
        }
        self.committed().covers(&told).await.map_err(|_| SyncError::Closed)
    }

    /// Waits until a member has on its disk all that this node has written so far. It need not be linked: others
    /// tell what it has.
    ///
    /// It waits for as long as the member is away: put a timeout around it. Cancel-safe.
    ///
    /// # Errors
    /// [`SyncError::NoMember`] when it is none, or is removed meanwhile; [`SyncError::Closed`].
    pub async fn synced_with(&self, peer: NodeKey) -> Result<(), SyncError> {
        let mut sight = self.sight().await.ok_or(SyncError::Closed)?;
        let written = sight.borrow_and_update().own.clone();
        loop {
            match sight.borrow_and_update().peers.get(&peer) {
                None if peer == self.key() => return Ok(()),
                None => return Err(SyncError::NoMember),
                Some(seen) if seen.durable.covers_all(&written) => return Ok(()),
                Some(_) => {}
            }
            sight.changed().await.map_err(|_| SyncError::Closed)?;
        }
    }
}
