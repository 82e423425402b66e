//! Why a backup is not made, not good, or not restored.

use std::io;
use std::path::{Path, PathBuf};

use crate::folder::OpenError;
use crate::state::JobError;
use crate::store::StoreError;

/// Why a backup was not made, is not good, or was not restored. Nothing stays of a backup or a replica that was
/// not finished, and nothing else has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The replica's folder cannot be used.
    #[error(transparent)]
    Folder(#[from] OpenError),
    /// The replica came with an invite that is not redeemed yet: it holds nothing of its own.
    #[error("the node has not joined its domain yet: there is nothing to back up")]
    NotJoined,
    /// There is a file of that name.
    #[error("{} is there already; a backup never takes the place of another file", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The device is full.
    #[error("{}: there is no room left on the device", path.display())]
    Full {
        /// What was being written.
        path: PathBuf,
    },
    /// A file or folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is something else.
    #[error("{} is no backup", path.display())]
    NotBackup {
        /// The file.
        path: PathBuf,
    },
    /// The backup is of a format that this version does not read.
    #[error(
        "{} has format {found}, this version reads {known}; use the version that wrote it",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// In the file.
        found: u32,
        /// Understood here.
        known: u32,
    },
    /// The backup is not as it was written: a part of it was altered or is missing. Everything before that part
    /// is as it was.
    #[error("{} is damaged: {what}, from byte {at} on", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which part, and how.
        what: String,
        /// Where that part begins.
        at: u64,
    },
    /// To come back into its domain a node needs its key, or an invite as a new member.
    #[error("there is no key for the node: none in {}, none given, and none in the backup", dir.display())]
    NoKey {
        /// The folder.
        dir: PathBuf,
    },
    /// The invite leads to another domain.
    #[error("the invite is for another domain than the data")]
    OtherDomain,
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was told to stop.
    #[error("it was stopped before the end")]
    Stopped,
}

impl BackupError {
    /// A failure of the system at a path.
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            _ => Self::Io { path, source },
        }
    }
}

/// What is wrong with a stream of blocks, whatever file it comes from.
#[derive(Debug)]
pub(super) enum Fault {
    Io(io::Error),
    NotBackup,
    Format {
        found: u32,
    },
    CutOff {
        block: u64,
        at: u64,
    },
    Altered {
        block: u64,
        at: u64,
    },
    /// Hashes are right, and yet it says what no writer says: a bug of the writer, or somebody's work.
    Malformed {
        block: u64,
        at: u64,
        what: &'static str,
    },
    /// The rows do not go into a store.
    Job(JobError),
    NotJoined,
    Stopped,
}

impl Fault {
    /// Whether it is only that the other end of a pipe has gone.
    pub(super) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// A file that ends within its first bytes is none of ours.
    pub(super) fn not_backup_if_short(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::NotBackup,
            _ => Self::Io(error),
        }
    }

    /// The fault as one of this file.
    pub(super) fn of(self, path: &Path) -> BackupError {
        let damaged = |block, at, how: &str| BackupError::Damaged {
            path: path.to_owned(),
            what: format!("block {block} {how}"),
            at,
        };
        match self {
            Self::Io(source) => BackupError::io(path, source),
            Self::NotBackup => BackupError::NotBackup { path: path.to_owned() },
            Self::Format { found } => {
                let (path, known) = (path.to_owned(), super::block::FORMAT);
                BackupError::Format { path, found, known }
            }
            Self::CutOff { block, at } => damaged(block, at, "is cut off or missing"),
            Self::Altered { block, at } => damaged(block, at, "or what is before it was altered"),
            Self::Malformed { block, at, what } => damaged(block, at, what),
            Self::Job(JobError::Store(error)) => error.into(),
            Self::Job(error) => BackupError::Damaged {
                path: path.to_owned(),
                what: format!("its rows contradict each other ({error})"),
                at: 0,
            },
            Self::NotJoined => BackupError::NotJoined,
            Self::Stopped => BackupError::Stopped,
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Job(error.into())
    }
}

impl From<JobError> for Fault {
    fn from(error: JobError) -> Self {
        Self::Job(error)
    }
}
