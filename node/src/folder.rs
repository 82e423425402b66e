//! A replica's folder: its key and its store, made by `init` or `join`, opened by everything else.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use millpond_core::{Boot, Domain, Incarnation, Namespace, NodeKey, VersionVector};

use crate::config::Config;
use crate::indexes::{Declared, settle_indexes};
use crate::key_pair::{KeyError, KeyPair, verify};
use crate::membership::{Invite, KeyChecks, LogAuthors, Members, Role, grant_role};
use crate::network::ListenError;
use crate::runtime::LeaseFile;
use crate::state::{
    Heads, Identity as StoreIdentity, Job, Local, LocalClosure, Transaction, View, apply, meta_key,
    read_meta, settle_delay, write_meta,
};
use crate::store::embedded::{self, EmbeddedOptions, EmbeddedStore};
use crate::store::memory::MemoryStore;
use crate::store::{Changes, Durability, Store, StoreError};
use crate::topology::settings::TopologyError;

/// Why a replica cannot be made or opened. Nothing of an existing one was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no replica in the folder.
    #[error("{} holds no replica; make one with `millpond init` or `millpond join`", dir.display())]
    NotInitialised {
        /// The folder.
        dir: PathBuf,
    },
    /// There is one already.
    #[error("{} holds a replica already; choose another folder", dir.display())]
    AlreadyInitialised {
        /// The folder.
        dir: PathBuf,
    },
    /// There is a key in the folder, but no store.
    #[error("{} is missing, though the folder has a key", path.display())]
    StoreMissing {
        /// The store's file.
        path: PathBuf,
    },
    /// The key in the folder is not the one that the store belongs to.
    #[error("{} holds a store of another key: files of two replicas were mixed", dir.display())]
    MixedFolder {
        /// The folder.
        dir: PathBuf,
    },
    /// Another process on this host runs the same store: this folder is a copy of that one's, or its original.
    #[error(
        "{} is a copy of a folder whose node runs on this host, or the original of one",
        dir.display()
    )]
    CopyRuns {
        /// The folder.
        dir: PathBuf,
    },
    /// The settings of the topology make no sense.
    #[error("the topology: {0}")]
    Topology(#[from] TopologyError),
    /// The region is empty or too long.
    #[error("a region is a text of 1 to {} bytes", Config::REGION_BYTES_MAX)]
    Region,
    /// The address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The node's key cannot be read or made.
    #[error("{}: {reason}", path.display())]
    Key {
        /// The key's file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file or folder cannot be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What `init` made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct InitReport {
    /// Who the node is.
    pub key: NodeKey,
    /// The domain that it founded.
    pub domain: Domain,
    /// The secret key of an admin that is no node, for the day when all admins are lost. It is kept nowhere
    /// else.
    pub recovery_key: String,
}

/// Founds a domain in an empty folder, with this node as its admin.
///
/// # Errors
/// [`OpenError::AlreadyInitialised`], or whatever keeps files from being written.
pub(crate) fn init(config: &Config, now_ms: u64) -> Result<InitReport, OpenError> {
    let (keys, store) = make(config, |_| false)?;
    let recovery = generate(&config.dir)?;
    found(&store, keys.key(), &recovery, now_ms)
}

/// Makes `key` the first member and admin of a new domain, in an empty store.
fn found(
    store: &dyn Store,
    key: NodeKey,
    recovery: &KeyPair,
    now_ms: u64,
) -> Result<InitReport, OpenError> {
    let recovery_key = recovery.key();
    let domain = Domain::from_bytes(random());
    let mut changes = Changes::default();
    write_identity(&mut changes, domain, key);
    let found: LocalClosure = Box::new(move |tx| {
        grant_role(tx, key, Role::Admin, key, &LogAuthors::default())?;
        grant_role(tx, recovery_key, Role::Recovery, key, &LogAuthors::default())
    });
    let local = Local {
        namespace: Namespace::SYSTEM,
        closure: found,
        now_ms,
        ended: None,
        fresh: Incarnation::from_bytes(random()),
        key,
    };
    commit_first(store, changes, Job::Local(local))?;
    Ok(InitReport { key, domain, recovery_key: recovery_text(recovery) })
}

/// A secret key for a person to keep.
pub(crate) fn recovery_text(recovery: &KeyPair) -> String {
    data_encoding::BASE32_NOPAD_NOCASE.encode(recovery.pkcs8()).to_lowercase()
}

/// Makes a replica that redeems an invite when it is first opened, in a folder that is empty or whose
/// replica has not been taken in yet.
///
/// # Errors
/// As [`init`].
pub(crate) fn prepare_join(config: &Config, invite: &Invite) -> Result<(), OpenError> {
    let (keys, store) = make(config, |held| held.domain == invite.domain || held.is_empty)?;
    write_invite(&store, keys.key(), invite)
}

fn write_invite(store: &dyn Store, key: NodeKey, invite: &Invite) -> Result<(), OpenError> {
    let mut changes = Changes::default();
    write_identity(&mut changes, invite.domain, key);
    write_meta(&mut changes, meta_key::pending_invite(), Some(invite));
    store.commit(&changes, Durability::Synced)?;
    Ok(())
}

/// A new replica in memory, which founds a domain or redeems an invite.
///
/// # Errors
/// As [`open`].
pub(crate) fn in_memory(
    config: &Config,
    invite: Option<&Invite>,
    declared: &[Declared],
    now_ms: u64,
) -> Result<Folder, OpenError> {
    check(config)?;
    let (keys, store) = (generate(&config.dir)?, MemoryStore::new());
    match invite {
        Some(invite) => write_invite(&store, keys.key(), invite)?,
        None => drop(found(&store, keys.key(), &generate(&config.dir)?, now_ms)?),
    }
    settle_delay(&store, config.apply_after.is_some())?;
    let about = read_meta(&*store.snapshot()?, &meta_key::identity())?;
    let about = about.expect("it was just written");
    let boot = Boot { counter: 1, random: u64::from_le_bytes(random()) };
    let mut changes = Changes::default();
    settle_indexes(&*store.snapshot()?, declared, (None, boot), &mut changes)?;
    store.commit(&changes, Durability::Synced)?;
    // What it writes is the beginning of its history, which ends with it.
    Ok(Folder {
        keys,
        store: Arc::new(store),
        about,
        boot,
        lease: None,
        is_continuous: true,
        is_level: true,
    })
}

/// An opened folder.
pub(crate) struct Folder {
    pub(crate) keys: KeyPair,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) about: StoreIdentity,
    pub(crate) boot: Boot,
    /// Where the lease is, if there is a place for one.
    pub(crate) lease: Option<LeaseFile>,
    /// Whether a lease proves that the store continues where its last boot stopped.
    pub(crate) is_continuous: bool,
    /// Whether it proves that the store holds all that it held then.
    pub(crate) is_level: bool,
}

/// Opens the replica in a folder, as a new boot that keeps these indexes.
///
/// # Errors
/// Any [`OpenError`].
pub(crate) fn open(config: &Config, declared: &[Declared]) -> Result<Folder, OpenError> {
    check(config)?;
    let dir = &config.dir;
    match (key_path(dir).exists(), embedded::file_in(dir)) {
        (true, file) if !file.exists() => return Err(OpenError::StoreMissing { path: file }),
        (true, _) => {}
        (false, file) if file.exists() => {
            let reason = "it is missing, though there is a store".into();
            return Err(OpenError::Key { path: key_path(dir), reason });
        }
        (false, _) => return Err(OpenError::NotInitialised { dir: dir.clone() }),
    }
    let keys = read_key(dir)?;
    let store = open_store(dir, config)?;
    let about = known_by(dir, &store, keys.key())?;
    settle_delay(&store, config.apply_after.is_some())?;
    let snapshot = store.snapshot()?;
    let heads = Heads::load(&*snapshot)?;
    let last: Option<Boot> = read_meta(&*snapshot, &meta_key::boot())?;
    let lease = match &config.state_dir {
        Some(state_dir) => match LeaseFile::hold(state_dir, &about.store) {
            Ok(Some(lease)) => Some(lease),
            Ok(None) => return Err(OpenError::CopyRuns { dir: dir.clone() }),
            Err(source) => return Err(OpenError::Io { path: state_dir.clone(), source }),
        },
        None => None,
    };
    let held = lease.as_ref().and_then(LeaseFile::read);
    let held = held.zip(last);
    let is_continuous =
        held.as_ref().is_some_and(|(held, last)| held.proves(&about.store, *last, &heads));
    let is_level =
        held.as_ref().is_some_and(|(held, last)| held.is_level(&about.store, *last, &heads));
    let counter = last.map_or(0, |last| last.counter) + 1;
    let boot = Boot { counter, random: u64::from_le_bytes(random()) };
    let mut changes = Changes::default();
    write_meta(&mut changes, meta_key::boot(), Some(&boot));
    settle_indexes(&*snapshot, declared, (last, boot), &mut changes)?;
    drop(snapshot);
    store.commit(&changes, Durability::Synced)?;
    Ok(Folder { keys, store: Arc::new(store), about, boot, lease, is_continuous, is_level })
}

/// Whose the store is, which a node with this key is to open. A node is known by its first key, however often it has
/// changed it since.
fn known_by(dir: &Path, store: &dyn Store, key: NodeKey) -> Result<StoreIdentity, OpenError> {
    let snapshot = store.snapshot()?;
    let about: Option<StoreIdentity> = read_meta(&*snapshot, &meta_key::identity())?;
    let about = about.ok_or_else(|| OpenError::NotInitialised { dir: dir.to_owned() })?;
    let checks = KeyChecks { domain: about.domain, check: verify, known: None };
    let members = Members::read_with_keys(&View::new(snapshot, Namespace::SYSTEM)?, &checks)?;
    if members.is_retired(key) && members.whose(key) == about.key {
        let reason = "this key was retired; put the one back that took its place".into();
        return Err(OpenError::Key { path: key_path(dir), reason });
    }
    match members.whose(key) {
        member if member == about.key => Ok(about),
        // Restored under a key that its store had not heard of yet: now it has.
        member if key == about.key => {
            let about = StoreIdentity { key: member, ..about };
            let mut changes = Changes::default();
            write_meta(&mut changes, meta_key::identity(), Some(&about));
            store.commit(&changes, Durability::Synced)?;
            Ok(about)
        }
        _ => Err(OpenError::MixedFolder { dir: dir.to_owned() }),
    }
}

fn check(config: &Config) -> Result<(), OpenError> {
    config.topology.check()?;
    let region_bytes = config.region.as_ref().map_or(1, String::len);
    match (1..=Config::REGION_BYTES_MAX).contains(&region_bytes) {
        true => Ok(()),
        false => Err(OpenError::Region),
    }
}

/// Opens the store of a replica that no process has open, and changes nothing.
///
/// # Errors
/// Any [`OpenError`].
#[cfg(feature = "backup")]
pub(crate) fn look(config: &Config) -> Result<EmbeddedStore, OpenError> {
    let dir = &config.dir;
    let not_initialised = || OpenError::NotInitialised { dir: dir.clone() };
    if !embedded::file_in(dir).exists() {
        return Err(not_initialised());
    }
    let store = open_store(dir, config)?;
    let about: Option<StoreIdentity> = read_meta(&*store.snapshot()?, &meta_key::identity())?;
    about.map(|_| store).ok_or_else(not_initialised)
}

/// A replica that holds an invite and is no member yet.
struct Unjoined {
    domain: Domain,
    /// Whether it has received nothing so far.
    is_empty: bool,
}

/// A key and a store for a new replica, those at hand where a part of them is there already. `may_reuse`
/// decides about a replica that was never taken in.
fn make(
    config: &Config,
    may_reuse: impl Fn(&Unjoined) -> bool,
) -> Result<(KeyPair, EmbeddedStore), OpenError> {
    let dir = &config.dir;
    fs::create_dir_all(dir).map_err(|source| OpenError::Io { path: dir.clone(), source })?;
    let store = open_store(dir, config)?;
    let snapshot = store.snapshot()?;
    if let Some(about) = read_meta::<StoreIdentity>(&*snapshot, &meta_key::identity())? {
        let invite: Option<Invite> = read_meta(&*snapshot, &meta_key::pending_invite())?;
        let is_empty = Heads::load(&*snapshot)?.vv.values().all(VersionVector::is_empty);
        let unjoined = Unjoined { domain: about.domain, is_empty };
        if invite.is_none() || !may_reuse(&unjoined) {
            return Err(OpenError::AlreadyInitialised { dir: dir.clone() });
        }
    }
    drop(snapshot);
    if key_path(dir).exists() {
        return Ok((read_key(dir)?, store));
    }
    let keys = generate(dir)?;
    write_key(dir, &keys)?;
    Ok((keys, store))
}

/// Opens the store in `dir`, or makes one, as the configuration of its replica says.
pub(crate) fn open_store(dir: &Path, config: &Config) -> Result<EmbeddedStore, OpenError> {
    let options = EmbeddedOptions { cache_bytes: config.cache_bytes };
    Ok(EmbeddedStore::open(dir, &options)?)
}

/// Commits the first data of a store, before anything else uses it.
fn commit_first(store: &dyn Store, changes: Changes, job: Job) -> Result<(), OpenError> {
    let snapshot = store.snapshot()?;
    let before = Heads::load(&*snapshot)?;
    let mut tx = Transaction::new(&*snapshot, &changes, before.clone());
    apply(&mut tx, job).map_err(|error| StoreError::Io { reason: error.to_string() })?;
    let (more, mut heads) = tx.finish();
    let mut changes = changes.clone();
    changes.absorb(more);
    heads.save(&before, &mut changes);
    store.commit(&changes, Durability::Synced)?;
    Ok(())
}

fn write_identity(changes: &mut Changes, domain: Domain, key: NodeKey) {
    let about = StoreIdentity { store: random(), domain, key };
    write_meta(changes, meta_key::identity(), Some(&about));
}

pub(crate) fn key_path(dir: &Path) -> PathBuf {
    dir.join("node.key")
}

pub(crate) fn generate(dir: &Path) -> Result<KeyPair, OpenError> {
    KeyPair::generate().map_err(|error| key_error(dir, error))
}

pub(crate) fn read_key(dir: &Path) -> Result<KeyPair, OpenError> {
    read_key_file(&key_path(dir))
}

/// The key in a copy of `node.key`.
pub(crate) fn read_key_file(path: &Path) -> Result<KeyPair, OpenError> {
    let path = path.to_owned();
    match fs::read(&path).map(|pkcs8| KeyPair::from_pkcs8(&pkcs8)) {
        Ok(keys) => keys.map_err(|error| OpenError::Key { path, reason: error.to_string() }),
        Err(source) => Err(OpenError::Io { path, source }),
    }
}

/// Writes the key so that only this user can read it, and never over another one.
pub(crate) fn write_key(dir: &Path, keys: &KeyPair) -> Result<(), OpenError> {
    let path = key_path(dir);
    write_key_file(&path, keys).map_err(|source| OpenError::Io { path, source })
}

/// Writes a key so that only this user can read it, and over nothing.
pub(crate) fn write_key_file(path: &Path, keys: &KeyPair) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(keys.pkcs8())?;
    file.sync_all()
}

fn key_error(dir: &Path, error: KeyError) -> OpenError {
    OpenError::Key { path: key_path(dir), reason: error.to_string() }
}

/// Random bytes for ids.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system gives randomness");
    bytes
}
