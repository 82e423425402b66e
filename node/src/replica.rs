//! Stand-in for the replica: one process, one map, no peers.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use millpond_core::{Domain, Dot, HybridClock, Incarnation, NodeKey, VersionVector};
use serde::Serialize;
use tokio::sync::watch;

use crate::state::{Data, View, WriteError, WriteTx};
use crate::status::{NamespaceStatus, NodeStatus, Status, Totals};
use crate::store::StoreError;

/// How to open a replica.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Its folder.
    pub dir: PathBuf,
    /// The lease's folder.
    pub state_dir: Option<PathBuf>,
    /// Its name.
    pub name: String,
    /// Where it listens for peers.
    pub listen: SocketAddr,
    /// What it tells peers.
    pub advertise: Vec<String>,
    /// Hold-down.
    pub hold_down: Duration,
    /// Digest interval.
    pub digest_interval: Duration,
    /// Cache of the store.
    pub cache_bytes: usize,
}

impl Config {
    /// The defaults for a folder.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            state_dir: None,
            name: "node".into(),
            listen: "[::]:8444".parse().expect("an address"),
            advertise: Vec::new(),
            hold_down: Duration::from_secs(1),
            digest_interval: Duration::from_secs(5),
            cache_bytes: 64 << 20,
        }
    }
}

/// Why a replica does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No replica in the folder.
    #[error("{} holds no replica", dir.display())]
    NotInitialised {
        /// The folder.
        dir: PathBuf,
    },
    /// A replica in the folder.
    #[error("{} holds a replica already", dir.display())]
    AlreadyInitialised {
        /// The folder.
        dir: PathBuf,
    },
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The folder cannot be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What `init` made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct InitReport {
    /// Who the node is.
    pub key: NodeKey,
    /// Which domain it founded.
    pub domain: Domain,
    /// The recovery key.
    pub recovery_key: String,
}

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Role {
    /// Everything.
    Admin,
    /// Read and write.
    Writer,
    /// Read.
    Reader,
}

/// An invite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite(String);

impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mp1{}", self.0)
    }
}

/// The text is no invite.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseInviteError {
    /// Not even the prefix.
    #[error("an invite starts with mp1")]
    Prefix,
}

impl FromStr for Invite {
    type Err = ParseInviteError;

    fn from_str(text: &str) -> Result<Self, ParseInviteError> {
        Ok(Self(text.strip_prefix("mp1").ok_or(ParseInviteError::Prefix)?.into()))
    }
}

/// What an invite allows.
#[derive(Debug, Clone)]
pub struct InviteOptions {
    /// The role of who redeems it.
    pub role: Role,
    /// For how long.
    pub expires: Duration,
}

/// Why there is no invite.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InviteError {
    /// Only admins invite.
    #[error("only an admin may invite")]
    NotAdmin,
    /// It was not stored.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Why a join failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The inviter refused.
    #[error("the invite was refused: {why}")]
    Refused {
        /// Why.
        why: String,
    },
}

/// What a transaction got.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Receipt {
    /// Its last dot.
    pub dot: Option<Dot>,
    /// The vector after it.
    pub vv: VersionVector,
}

/// A digest.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Seal {
    /// BLAKE3 of the canonical export.
    pub digest: String,
    /// Records.
    pub records: u64,
    /// Rows.
    pub rows: u64,
    /// Conflicts.
    pub conflicts: u64,
    /// At this vector.
    pub vv: BTreeMap<String, u64>,
}

/// A handle.
#[derive(Clone)]
pub struct Replica(Arc<Inner>);

struct Inner {
    config: Config,
    data: Mutex<Option<Arc<Data>>>,
    committed: watch::Sender<VersionVector>,
    socket: UdpSocket,
    transactions: AtomicU64,
    started: Instant,
    _lock: File,
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Replica")
    }
}

impl Replica {
    /// Founds a domain.
    ///
    /// # Errors
    /// Any [`OpenError`].
    pub fn init(config: &Config) -> Result<InitReport, OpenError> {
        let io = |source| OpenError::Io { path: config.dir.clone(), source };
        fs::create_dir_all(&config.dir).map_err(io)?;
        if config.dir.join(MARK).exists() {
            return Err(OpenError::AlreadyInitialised { dir: config.dir.clone() });
        }
        fs::write(config.dir.join(MARK), "stand-in").map_err(io)?;
        Ok(InitReport {
            key: NodeKey::from_bytes([7; 32]),
            domain: Domain::from_bytes([9; 16]),
            recovery_key: "mpr1stand-in".into(),
        })
    }

    /// Prepares a folder.
    ///
    /// # Errors
    /// Any [`OpenError`].
    pub fn prepare_join(config: &Config, _invite: &Invite) -> Result<(), OpenError> {
        Self::init(config).map(drop)
    }

    /// Opens a replica.
    ///
    /// # Errors
    /// Any [`OpenError`].
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        let path = config.dir.join(MARK);
        let Ok(lock) = File::open(&path) else {
            return Err(OpenError::NotInitialised { dir: config.dir });
        };
        if lock.try_lock().is_err() {
            return Err(StoreError::InUse { folder: config.dir.display().to_string() }.into());
        }
        let socket = UdpSocket::bind(config.listen)
            .map_err(|source| OpenError::Listen { address: config.listen, source })?;
        let data = Data {
            incarnation: Incarnation::from_bytes([1; 16]),
            clock: HybridClock::default(),
            entries: BTreeMap::new(),
            log: BTreeMap::new(),
            vv: VersionVector::new(),
        };
        Ok(Self(Arc::new(Inner {
            config,
            data: Mutex::new(Some(Arc::new(data))),
            committed: watch::Sender::new(VersionVector::new()),
            socket,
            transactions: AtomicU64::new(0),
            started: Instant::now(),
            _lock: lock,
        })))
    }

    /// A view.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn read(&self) -> Result<View, StoreError> {
        let closed = || StoreError::Poisoned { reason: "closed".into() };
        self.data().as_ref().map(|data| View(data.clone())).ok_or_else(closed)
    }

    /// One atomic transaction.
    ///
    /// # Errors
    /// Any [`WriteError`].
    pub async fn write<T: Send + 'static>(
        &self,
        closure: impl FnOnce(&mut WriteTx<'_>) -> Result<T, WriteError> + Send + 'static,
    ) -> Result<(T, Receipt), WriteError> {
        let mut slot = self.data();
        let mut data = Data::clone(slot.as_ref().ok_or(WriteError::Closed)?);
        let before = data.vv.clone();
        let mut tx = WriteTx { data: &mut data, before, last: None, bytes: 0, writes: 0 };
        let value = closure(&mut tx)?;
        let receipt = Receipt { dot: tx.last, vv: tx.data.vv.clone() };
        *slot = Some(Arc::new(data));
        self.0.transactions.fetch_add(1, Ordering::Relaxed);
        self.0.committed.send_replace(receipt.vv.clone());
        Ok((value, receipt))
    }

    /// How the node is.
    pub async fn status(&self) -> Status {
        let vv = self.data().as_ref().map(|data| data.vv.clone()).unwrap_or_default();
        let text: BTreeMap<String, u64> =
            vv.iter().map(|dot| (dot.incarnation.to_string(), dot.seq.get())).collect();
        let listen = self.0.socket.local_addr().map(|address| address.to_string());
        let node = NodeStatus {
            key: NodeKey::from_bytes([7; 32]).to_string(),
            name: self.0.config.name.clone(),
            domain: Domain::from_bytes([9; 16]).to_string(),
            role: "admin".into(),
            incarnation: Some(Incarnation::from_bytes([1; 16]).to_string()),
            boot: 1,
            listen: listen.unwrap_or_default(),
            addresses: self.0.config.advertise.clone(),
            fenced: None,
            uptime_s: self.0.started.elapsed().as_secs(),
            store_bytes: 0,
            version: env!("CARGO_PKG_VERSION").into(),
        };
        let totals = Totals {
            transactions: self.0.transactions.load(Ordering::Relaxed),
            ..Totals::default()
        };
        let namespaces = vec![NamespaceStatus {
            namespace: "main".into(),
            dots: text.values().sum(),
            vv: text.clone(),
            durable: text,
        }];
        Status::assess(node, Vec::new(), namespaces, totals, Vec::new())
    }

    /// An invite.
    ///
    /// # Errors
    /// Any [`InviteError`].
    pub async fn invite(&self, _options: InviteOptions) -> Result<Invite, InviteError> {
        Ok(Invite("stand-in".into()))
    }

    /// The vector after each commit.
    pub fn committed(&self) -> watch::Receiver<VersionVector> {
        self.0.committed.subscribe()
    }

    /// Pauses links.
    pub async fn pause(&self, _peer: Option<NodeKey>) {}

    /// Resumes links.
    pub async fn resume(&self, _peer: Option<NodeKey>) {}

    /// Until joined.
    ///
    /// # Errors
    /// Any [`JoinError`].
    pub async fn joined(&self) -> Result<(), JoinError> {
        Ok(())
    }

    /// The digest.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn seal(&self) -> Result<Seal, StoreError> {
        let view = self.read()?;
        let text = view.vv().iter().map(|dot| (dot.incarnation.to_string(), dot.seq.get()));
        Ok(Seal {
            digest: blake3::hash(format!("{:?}", view.0.entries).as_bytes()).to_string(),
            records: 0,
            rows: view.0.entries.len() as u64,
            conflicts: 0,
            vv: text.collect(),
        })
    }

    /// Stops.
    pub async fn close(&self) {
        self.data().take();
    }

    fn data(&self) -> MutexGuard<'_, Option<Arc<Data>>> {
        self.0.data.lock().expect("nothing panics with it held")
    }
}

const MARK: &str = "stand-in";
