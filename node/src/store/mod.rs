//! The store contract, and the two stores: [`memory`] and [`embedded`].
//!
//! A store holds four tables, keyed by namespace, and knows nothing of merging:
//!
//! | table | key | value |
//! |---|---|---|
//! | entries | path | the live dots with their payloads |
//! | log | dot | the path, and whether the dot deletes or ends a transaction |
//! | staged | path | a row of a cut that is still arriving |
//! | meta | a short name | vectors, identity, marks |
//!
//! There is one writer. It reads a [`Snapshot`], collects [`Changes`], and commits them at once.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use millpond_core::{Dot, Entry, Incarnation, Namespace, Path};

mod changes;
mod damage;
pub mod embedded;
pub mod memory;

pub use changes::{Changes, LogRow, MetaKey};
pub use damage::{DamagedEntries, DamagedLog};

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod model;
#[cfg(test)]
mod samples;

/// A durable map with one writer and any number of snapshot readers. All calls are synchronous and may
/// block on a disk: they run at the writer or read from a snapshot.
pub trait Store: Send + Sync + 'static {
    /// A consistent view of everything committed so far, synced or not, unaffected by later commits. It
    /// costs about a microsecond; while it lives, what later commits replace keeps its space.
    ///
    /// # Errors
    /// Any [`StoreError`].
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError>;

    /// Applies all of `changes` or none. With [`Durability::Synced`] they, and all commits before, are on
    /// disk when it returns.
    ///
    /// # Errors
    /// [`StoreError::Full`] and [`StoreError::Corrupt`] leave the store as it was. Any other error poisons
    /// it: what is on disk is unknown until it is opened again, and every later commit fails with
    /// [`StoreError::Poisoned`].
    fn commit(&self, changes: &Changes, durability: Durability) -> Result<(), StoreError>;

    /// Bytes that the store occupies on disk, or in memory if it has no disk.
    fn size_bytes(&self) -> u64;
}

/// When a commit is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// When the call returns.
    Synced,
    /// With the next [`Durability::Synced`] commit.
    Buffered,
}

/// A consistent view of a store. Values are checked against their checksums as they are read.
///
/// Visitors see rows in key order and stop the scan by breaking.
pub trait Snapshot: Send + Sync {
    /// The entry at a path; absent when there is none.
    fn entry(&self, namespace: Namespace, path: &Path) -> Result<Entry, StoreError>;

    /// Visits the entries of a namespace in path order, those beyond `after`, if given, and within `within`,
    /// if given.
    fn entries(
        &self,
        namespace: Namespace,
        within: Option<&Path>,
        after: Option<&Path>,
        visit: &mut dyn FnMut(Path, Entry) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;

    /// Visits all entries of a namespace beyond `after` as [`Snapshot::entries`] does, and goes on behind
    /// damaged values, of which the visitor learns the place. One that lies before the first entry visited may
    /// be told again.
    fn sound_entries(
        &self,
        namespace: Namespace,
        after: Option<&Path>,
        visit: &mut dyn FnMut(Result<(Path, Entry), DamagedEntries>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.entries(namespace, None, after, &mut |path, entry| visit(Ok((path, entry))))
    }

    /// The log row of a dot.
    fn log_row(&self, namespace: Namespace, dot: Dot) -> Result<Option<LogRow>, StoreError>;

    /// Visits the log rows of an incarnation with seqs in `(after, upto]`, in their order.
    fn log(
        &self,
        namespace: Namespace,
        incarnation: Incarnation,
        after: u64,
        upto: u64,
        visit: &mut dyn FnMut(Dot, LogRow) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;

    /// Visits log rows as [`Snapshot::log`] does, and goes on behind damaged values, of which the visitor
    /// learns the place.
    fn sound_log(
        &self,
        namespace: Namespace,
        incarnation: Incarnation,
        after: u64,
        upto: u64,
        visit: &mut dyn FnMut(Result<(Dot, LogRow), DamagedLog>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.log(namespace, incarnation, after, upto, &mut |dot, row| visit(Ok((dot, row))))
    }

    /// The staged row at a path.
    fn staged_row(&self, namespace: Namespace, path: &Path) -> Result<Option<Bytes>, StoreError>;

    /// Visits staged rows in path order, those beyond `after`, if given.
    fn staged(
        &self,
        namespace: Namespace,
        after: Option<&Path>,
        visit: &mut dyn FnMut(Path, Bytes) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;

    /// Visits staged rows in reverse path order, those whose encoded paths are below these bytes, if given.
    fn staged_back(
        &self,
        namespace: Namespace,
        below: Option<&[u8]>,
        visit: &mut dyn FnMut(Path, Bytes) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;

    /// A value of the meta table.
    fn meta(&self, key: &MetaKey) -> Result<Option<Bytes>, StoreError>;
}

/// Why a store failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The folder is open already.
    #[error(
        "{folder} is in use already, by another process or by this one; close it there, or choose another folder"
    )]
    InUse {
        /// The folder.
        folder: String,
    },
    /// No space left. The commit had no effect, and the store keeps working.
    #[error("no space left on the device that holds the store; free some and retry")]
    Full,
    /// A value does not match its checksum. It is never served. A commit meets it
    /// when it changes a row that is stored together with the damaged one, and then has no effect.
    #[error("{what} is corrupt: its checksum does not match")]
    Corrupt {
        /// Which value.
        what: String,
    },
    /// What is at this path was lost to damage, and no peer has given it back so far. It is not known, so
    /// nothing is read there and nothing written over it; what other members write over it, or still have of
    /// it, ends that, and so does giving it up.
    #[error("what is at {path} was lost to damage, and no peer has given it back so far")]
    Lost {
        /// The path.
        path: String,
    },
    /// The file is of a format that this version does not read.
    #[error(
        "the store has format {found}, this version reads {known}; use the version that wrote it"
    )]
    Format {
        /// In the file.
        found: u32,
        /// Understood here.
        known: u32,
    },
    /// Reading or writing failed; after a failed sync nobody knows what is on disk.
    #[error("the store failed: {reason}")]
    Io {
        /// What the system said.
        reason: String,
    },
    /// An earlier commit failed, or an earlier read of the disk, so the store takes no more commits; open it
    /// again.
    #[error("the store stopped after a failure: {reason}; restart the node")]
    Poisoned {
        /// The first failure.
        reason: String,
    },
}

impl StoreError {
    /// Whether it is of one value, which can be mended; the rest of the store is well.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::Lost { .. })
    }
}
