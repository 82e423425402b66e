//! Following commits: the vector of the data as it grows.

use millpond_core::VersionVector;
use tokio::sync::watch;

/// Follows the vector of a replica's data. A slow follower skips vectors and misses nothing: a later one
/// covers them. Readers see what it covers; what came from other members may be on this node's disk a moment later.
#[derive(Debug, Clone)]
pub struct Commits {
    vectors: watch::Receiver<VersionVector>,
}

/// The replica was closed: there will be no further commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the replica was closed")]
pub struct CommitsEnded;

impl Commits {
    pub(crate) fn new(vectors: watch::Receiver<VersionVector>) -> Self {
        Self { vectors }
    }

    /// The vector as of the latest commit, which counts as seen from now on.
    pub fn latest(&mut self) -> VersionVector {
        self.vectors.borrow_and_update().clone()
    }

    /// Waits for a commit after the one seen last. Cancel-safe.
    ///
    /// # Errors
    /// [`CommitsEnded`].
    pub async fn changed(&mut self) -> Result<(), CommitsEnded> {
        self.vectors.changed().await.map_err(|_| CommitsEnded)
    }

    /// Waits until the replica is closed.
    pub(crate) async fn ended(&mut self) {
        let _ = self.vectors.wait_for(|_| false).await;
    }

    /// Waits until everything that `vv` covers is here: a receipt's vector, taken to another replica, makes
    /// its write readable there. Cancel-safe.
    ///
    /// # Errors
    /// [`CommitsEnded`].
    pub async fn covers(&mut self, vv: &VersionVector) -> Result<(), CommitsEnded> {
        let covered = self.vectors.wait_for(|latest| latest.covers_all(vv)).await;
        covered.map(drop).map_err(|_| CommitsEnded)
    }
}
