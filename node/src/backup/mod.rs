//! Backups: a replica's data at one moment in one file, and replicas made from it.
//!
//! A backup is a catch-up from nothing that goes to a file: every live dot and every delete that is not yet
//! collected, of all namespaces, from one snapshot of the store, with the vectors that they amount to. It is
//! taken from a running replica ([`Replica::back_up`](crate::Replica::back_up)) or from a folder that nobody
//! uses ([`create`]), whose readers and writers go on meanwhile, and in memory that does not grow with the
//! data. What is *not* in it: the node's secret key, unless it is asked for; invites; what the node remembers of
//! its peers; the lease.
//!
//! [`restore`] makes a replica of it. The replica never continues what the original was writing: it is a store of
//! its own, and its first write opens a new incarnation. Either it is the same node, back in the same domain,
//! where it catches up with the others; or a new member that has to fetch only what changed since; or the first
//! member of a new domain, which the old one cannot link with.
//!
//! The file is described byte by byte in `docs/FORMAT.md`: blocks, of which each ends with a hash of all that
//! is before it, so that whatever is damaged or missing is noticed, and where.

mod block;
mod create;
mod error;
mod file;
mod fill;
mod format;
mod info;
mod keep;
mod place;
mod reader;
mod restore;
mod schedule;
#[cfg(any(test, feature = "sim"))]
mod simulated;
mod writer;

pub use create::{BackupOptions, create, receive};
pub use error::BackupError;
pub use info::{
    BackupInfo, BackupNamespace, BackupProgress, Listed, file_name, info, list, verify,
};
pub use keep::Keep;
pub use restore::{Restore, Restored, clone_folder, restore};
pub use schedule::BackupSchedule;
pub(crate) use schedule::Backups;

#[cfg(any(test, feature = "sim"))]
pub(crate) use simulated::back_up_and_restore;
#[cfg(feature = "sim")]
pub use simulated::fuzz_backup;

#[cfg(test)]
mod tests;
