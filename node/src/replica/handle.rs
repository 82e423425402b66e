//! The handle on a running node.

use std::net::SocketAddr;
#[cfg(feature = "backup")]
use std::path::Path;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millpond_core::{Namespace, NodeKey};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::errors::JoinError;
#[cfg(feature = "backup")]
use crate::backup::Backups;
use crate::commits::Commits;
use crate::key_ring::KeyRing;
use crate::network::Routes;
use crate::replication::{Answer, JoinProgress, Request, Sight};
use crate::runtime::{EngineHandle, WriterHandle};
use crate::seal::Seal;
use crate::state::{View, shown_in};
use crate::status::Status;
#[cfg(feature = "backup")]
use crate::store::Snapshot;
use crate::store::{Store, StoreError};
use crate::typed::{Collection, Record};

/// A running replica: reads, writes, and replicates in the background. Cheap to clone; all clones are one
/// replica.
///
/// It keeps working when the network does not: reads and writes never wait for a peer.
#[derive(Clone)]
pub struct Replica {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    #[cfg_attr(not(feature = "backup"), expect(dead_code, reason = "for backups with the key"))]
    pub(super) dir: PathBuf,
    pub(super) key: NodeKey,
    pub(super) keys: Arc<KeyRing>,
    pub(super) key_overlap: Duration,
    pub(super) name: String,
    /// Whether it was opened as a delayed replica; it may have been promoted since.
    pub(super) may_be_delayed: bool,
    pub(super) store: Arc<dyn Store>,
    pub(super) engine: EngineHandle,
    pub(super) network: Option<Arc<Routes>>,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) warnings: Vec<String>,
    pub(super) failed: watch::Receiver<Option<StoreError>>,
    pub(super) writer: Mutex<Option<WriterHandle>>,
    #[cfg(feature = "backup")]
    pub(super) backups: Option<Arc<Backups>>,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
}

impl Replica {
    /// The key by which this node is known: its first one, whatever it [shows](Replica::shown_key) by now.
    pub fn key(&self) -> NodeKey {
        self.inner.key
    }

    /// The key that this node shows on its links. It is that of [`Replica::key`] until it is
    /// [changed](Replica::rotate_key).
    pub fn shown_key(&self) -> NodeKey {
        self.inner.keys.shown()
    }

    /// The address that it listens on for peers: that of [`Config::listen`](crate::Config::listen), if it has one.
    pub fn local_address(&self) -> Option<String> {
        self.inner.network.as_ref().map(|network| network.local_address())
    }

    /// A consistent snapshot of the data, as of the latest commit.
    ///
    /// # Errors
    /// [`StoreError`], when the store cannot be read.
    pub fn read(&self) -> Result<View, StoreError> {
        if self.inner.stop.is_cancelled() {
            return Err(StoreError::Poisoned { reason: "the replica is closed".into() });
        }
        let snapshot = self.inner.store.snapshot()?;
        let namespace = match self.inner.may_be_delayed {
            true => shown_in(&*snapshot)?,
            false => Namespace::MAIN,
        };
        View::new(snapshot, namespace)
    }

    /// The records of a type, as of the latest commit: a snapshot that nothing changes any more.
    ///
    /// # Errors
    /// As [`Replica::read`].
    pub fn collection<R: Record>(&self) -> Result<Collection<R>, StoreError> {
        self.read().map(Collection::new)
    }

    /// Everything about this node, now. A closed replica says so.
    pub async fn status(&self) -> Status {
        let inner = &self.inner;
        let request = Request::Status {
            links: Vec::new(),
            store_bytes: inner.store.size_bytes(),
            warnings: inner.warnings.clone(),
        };
        match inner.engine.ask(request).await {
            Some(Answer::Status(mut status)) => {
                let state_dir = inner.state_dir.as_ref().map(|dir| dir.display().to_string());
                status.node.state_dir = state_dir;
                #[cfg(feature = "backup")]
                if let Some(backups) = &inner.backups {
                    return status.with_backup(backups.status());
                }
                *status
            }
            _ => Status::closed(&inner.key.to_string(), &inner.name),
        }
    }

    /// Follows the vector of the data, as of each commit.
    pub fn committed(&self) -> Commits {
        Commits::new(self.inner.engine.committed.clone())
    }

    /// Waits until this node is a member of its domain: at once, unless it came with an invite that is not
    /// redeemed yet. Waits for as long as the inviter cannot be reached.
    ///
    /// # Errors
    /// [`JoinError::Refused`] with the inviter's reason.
    pub async fn joined(&self) -> Result<(), JoinError> {
        let mut joined = self.inner.engine.joined.clone();
        loop {
            match joined.borrow_and_update().clone() {
                Some(JoinProgress::Joined) => return Ok(()),
                Some(JoinProgress::Refused(why)) => return Err(JoinError::Refused { why }),
                Some(JoinProgress::Waiting(_) | JoinProgress::Asked { .. }) | None => {}
            }
            joined.changed().await.map_err(|_| JoinError::Closed)?;
        }
    }

    /// Why joining has not come about so far, for progress messages.
    pub fn join_progress(&self) -> Option<String> {
        match &*self.inner.engine.joined.borrow() {
            Some(JoinProgress::Waiting(reason) | JoinProgress::Refused(reason)) => {
                Some(reason.clone())
            }
            Some(JoinProgress::Asked { .. }) => Some("an admin has yet to approve it".into()),
            _ => None,
        }
    }

    /// The three words that an admin compares who is to approve this node, while it waits for that.
    pub fn join_words(&self) -> Option<String> {
        match &*self.inner.engine.joined.borrow() {
            Some(JoinProgress::Asked { words }) => Some(words.clone()),
            _ => None,
        }
    }

    /// What became of joining; nothing is known yet of one that was begun before this start.
    #[cfg(feature = "http")]
    pub(crate) fn join_state(&self) -> Option<JoinProgress> {
        self.inner.engine.joined.borrow().clone()
    }

    /// The digest of everything visible here: equal on two replicas if and only if their data is.
    ///
    /// # Errors
    /// [`StoreError`]. Costs a full scan.
    pub async fn seal(&self) -> Result<Seal, StoreError> {
        let view = self.read()?;
        tokio::task::spawn_blocking(move || Seal::of(&view))
            .await
            .map_err(|error| StoreError::Io { reason: error.to_string() })?
    }

    /// Waits until the store has failed for good. The node must be restarted then.
    pub async fn failed(&self) -> StoreError {
        let mut failed = self.inner.failed.clone();
        let found = failed.wait_for(Option::is_some).await;
        match found.as_deref() {
            Ok(Some(error)) => error.clone(),
            _ => std::future::pending().await,
        }
    }

    /// Finishes the writes under way, tells the peers, and stops. Idempotent; later calls on the handle
    /// fail with `Closed`. The folder and the port are free once the last handle is dropped.
    pub async fn close(&self) {
        let writer = self.inner.writer.lock().expect("nobody panics while holding it").take();
        if let Some(writer) = writer {
            // What the writer has been given is committed and answered before the engine stops.
            writer.finish().await;
            self.status().await;
            self.ask(Request::EndWaits).await;
        }
        self.inner.stop.cancel();
        self.inner.tasks.close();
        if let Some(network) = &self.inner.network {
            network.close().await;
        }
        self.inner.tasks.wait().await;
    }

    /// The socket address that peers dial, when there is one.
    pub fn listen_socket(&self) -> Option<SocketAddr> {
        self.local_address()?.parse().ok()
    }
}

/// What backups are made of.
#[cfg(feature = "backup")]
impl Replica {
    pub(crate) fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        self.inner.store.snapshot()
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.inner.dir
    }

    pub(crate) fn name(&self) -> &str {
        &self.inner.name
    }

    /// Makes backups as the configuration says. Does not keep the replica open: whoever drops it ends that.
    pub(super) fn keep_backups(&self) {
        let Some(backups) = self.inner.backups.clone() else { return };
        let (name, stop) = (self.inner.name.clone(), self.inner.stop.clone());
        let inner = Arc::downgrade(&self.inner);
        let replica = move || inner.upgrade().map(|inner| Self { inner });
        self.inner.tasks.spawn(backups.run(name, replica, stop));
    }
}

impl Replica {
    pub(crate) fn keys(&self) -> &Arc<KeyRing> {
        &self.inner.keys
    }

    pub(crate) fn key_overlap(&self) -> Duration {
        self.inner.key_overlap
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.inner.stop.is_cancelled()
    }

    /// Asks the engine; `None` once the replica is closed.
    pub(crate) async fn ask(&self, request: Request) -> Option<Answer> {
        self.inner.engine.ask(request).await
    }

    /// Follows what peers hold; `None` once the replica is closed.
    pub(crate) async fn sight(&self) -> Option<watch::Receiver<Sight>> {
        self.inner.engine.sight().await
    }
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replica").field("key", &self.inner.key).finish_non_exhaustive()
    }
}
