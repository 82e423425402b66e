//! Making a replica from a backup, or from the folder of another one.

use std::fs::File;
use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use millpond_core::{Domain, Namespace, NodeKey};

use super::error::{BackupError, Fault};
use super::file::READ_BYTES;
use super::fill::{Identity, fill};
use super::info::{self, BackupInfo, BackupProgress};
use super::place::NewStore;
use super::reader::BackupReader;
use super::writer::{About, OnProgress, write};
use crate::config::Config;
use crate::folder::{self, OpenError};
use crate::key_pair::{KeyPair, verify};
use crate::membership::{Invite, KeyChecks, Members};
use crate::runtime::wall_ms;
use crate::state::View;
use crate::store::Store;

/// What the restored replica is to be.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Restore {
    /// A node of the data's domain, under a key that it has already: that in its folder, or else in the file
    /// given here, or else in the backup. It must be gone for good wherever it was: two nodes of one key stop
    /// each other.
    IntoDomain {
        /// A copy of the node's `node.key`.
        key: Option<PathBuf>,
    },
    /// A new member of the data's domain, under a fresh key, taken in by this invite when it is first opened. It
    /// fetches only what the backup lacks.
    AsMember(Box<Invite>),
    /// The first member of a new domain, of which it is the admin. The data is kept, no other member is; a node
    /// of the old domain never links with it.
    AsFork,
}

/// What was restored.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Restored {
    /// The backup.
    pub info: BackupInfo,
    /// Who the node is.
    pub key: NodeKey,
    /// Its domain.
    pub domain: Domain,
    /// Whether its key is that of a member, as far as the backup knows. If not, another member must know it, or the
    /// invite takes it in.
    pub is_member: bool,
    /// The secret key of an admin of a new domain that is no node, as `init` gives one. It is kept nowhere else.
    pub recovery_key: Option<String>,
}

/// Makes a replica from a backup, in a folder that holds none. The folder may hold a `node.key`, which is used,
/// and a configuration. Everything is checked on the way; the replica is there when all of it is on disk.
///
/// The replica is a store of its own and continues nothing that the original was writing: its first write opens a
/// new incarnation.
///
/// # Errors
/// [`BackupError`]; then the folder holds no replica, and what it held before.
pub fn restore(
    backup: &Path,
    config: &Config,
    how: Restore,
    on_progress: &mut dyn FnMut(BackupProgress) -> ControlFlow<()>,
) -> Result<Restored, BackupError> {
    // What the end says is checked when it is reached; this saves who has no key the wait.
    let (_, end, _) = info::open(backup)?;
    let seed = File::open(backup).map_err(|error| BackupError::io(backup, error))?;
    let plan = Plan::new(config, how, end.has_key)?;
    plan.carry_out(backup, BufReader::with_capacity(READ_BYTES, seed), on_progress)
}

/// Makes a new member of a replica's domain, seeded with all that a folder holds which no process has open. The
/// folder is not changed, and its node is not copied: the new one has a key of its own.
///
/// # Errors
/// As [`restore`].
pub fn clone_folder(
    from: &Config,
    config: &Config,
    invite: Invite,
    on_progress: &mut dyn FnMut(BackupProgress) -> ControlFlow<()>,
) -> Result<Restored, BackupError> {
    let store = folder::look(from)?;
    let plan = Plan::new(config, Restore::AsMember(Box::new(invite)), false)?;
    let snapshot = store.snapshot()?;
    let about = About { name: from.name.clone(), now_ms: wall_ms(), keys: None };
    let (seed, out) = std::io::pipe().map_err(|error| BackupError::io(&from.dir, error))?;
    std::thread::scope(|scope| {
        let writing =
            scope.spawn(|| write(out, &snapshot, about, &mut |_| ControlFlow::Continue(())));
        let restored = plan.carry_out(&from.dir, BufReader::new(seed), on_progress);
        let written = writing.join().expect("writing a backup does not panic");
        match (restored, written) {
            // Whoever reads sees only that it breaks off.
            (Err(_), Err(fault)) if !fault.is_broken_pipe() => Err(fault.of(&from.dir)),
            (restored, _) => restored,
        }
    })
}

/// What is to be made, and where.
struct Plan {
    store: NewStore,
    keys: Keys,
    how: Restore,
}

/// Which key the node gets.
enum Keys {
    /// That of the folder.
    Held(KeyPair),
    /// One that the folder does not have yet.
    New(KeyPair),
    /// The one in the backup.
    InBackup,
}

impl Plan {
    fn new(config: &Config, how: Restore, has_key: bool) -> Result<Self, BackupError> {
        let dir = &config.dir;
        let store = NewStore::begin(config)?;
        let keys = match (folder::read_key(dir), &how) {
            (Ok(keys), _) => Keys::Held(keys),
            (Err(OpenError::Io { source, .. }), how)
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                match how {
                    Restore::IntoDomain { key: Some(path) } => {
                        Keys::New(folder::read_key_file(path)?)
                    }
                    Restore::IntoDomain { key: None } if has_key => Keys::InBackup,
                    Restore::IntoDomain { key: None } => {
                        return Err(BackupError::NoKey { dir: dir.clone() });
                    }
                    Restore::AsMember(_) | Restore::AsFork => Keys::New(folder::generate(dir)?),
                }
            }
            (Err(error), _) => return Err(error.into()),
        };
        Ok(Self { store, keys, how })
    }

    /// `source` is what errors name.
    fn carry_out(
        self,
        source: &Path,
        input: impl std::io::Read,
        on_progress: OnProgress<'_>,
    ) -> Result<Restored, BackupError> {
        let Self { store, keys, how } = self;
        let fault = |fault: Fault| fault.of(source);
        let mut reader = BackupReader::begin(input).map_err(fault)?;
        let header = reader.header().clone();
        if let Restore::AsMember(invite) = &how
            && invite.domain != header.domain
        {
            return Err(BackupError::OtherDomain);
        }
        let filled = fill(store.store(), &mut reader, &how, on_progress).map_err(fault)?;
        let (keys, is_new) = match keys {
            Keys::Held(keys) => (keys, false),
            Keys::New(keys) => (keys, true),
            Keys::InBackup => {
                let secret = reader.take_keys();
                let keys = secret.and_then(|secret| KeyPair::from_pkcs8(&secret).ok());
                let whose = whose(store.store(), header.domain).map_err(fault)?;
                let keys = keys.filter(|keys| whose(keys.key()) == header.key);
                let no_key = || BackupError::NoKey { dir: store.dir().to_owned() };
                (keys.ok_or_else(no_key)?, true)
            }
        };
        let recovery = match how {
            Restore::AsFork => Some(folder::generate(store.dir())?),
            _ => None,
        };
        let identity = Identity {
            key: keys.key(),
            check: verify,
            recovery: recovery.as_ref().map(KeyPair::key),
            store: folder::random(),
            domain: match how {
                Restore::AsFork => Domain::from_bytes(folder::random()),
                _ => header.domain,
            },
            invite: match &how {
                Restore::AsMember(invite) => Some(invite),
                _ => None,
            },
            fresh: millpond_core::Incarnation::from_bytes(folder::random()),
            now_ms: wall_ms(),
        };
        let (key, is_member) = filled.finish(store.store(), &identity).map_err(fault)?;
        let domain = identity.domain;
        store.finish(is_new.then_some(&keys))?;
        Ok(Restored {
            info: BackupInfo::new(&header, reader.end().unwrap_or_default(), reader.bytes()),
            key,
            domain,
            is_member,
            recovery_key: recovery.as_ref().map(folder::recovery_text),
        })
    }
}

/// Whose keys are, as a store tells: a node is known by its first one.
fn whose(store: &dyn Store, domain: Domain) -> Result<impl Fn(NodeKey) -> NodeKey, Fault> {
    let checks = KeyChecks { domain, check: verify, known: None };
    let view = View::new(store.snapshot()?, Namespace::SYSTEM)?;
    let members = Members::read_with_keys(&view, &checks)?;
    Ok(move |key| members.whose(key))
}
