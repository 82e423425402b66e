//! Room on the disk, asked for before a commit.
//!
//! redb takes no more commits once a write has failed, even for lack of space, and unsynced commits would be
//! lost with it. So a commit that may not fit is refused before redb sees it, and then nothing has happened.

use std::path::Path;

use crate::store::Changes;

/// How much the file occupies, and how much the device still has for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Space {
    pub(crate) used: u64,
    /// `None` where it is unknown; commits are then tried.
    pub(crate) free: Option<u64>,
}

impl Space {
    pub(super) fn of_file(file: &Path) -> Self {
        Self { used: used(file), free: free(file) }
    }
}

/// At most what a commit of these changes writes anew: each row in pages of its own, in a tree whose inner
/// pages are copied with them, and its bytes twice, for pages that are half full.
pub(super) fn needed(changes: &Changes) -> u64 {
    let rows =
        changes.entries.len() + changes.log.len() + changes.staged.len() + changes.meta.len();
    let payloads = changes.entries.values().flat_map(|entry| entry.live());
    let payload_bytes: usize = payloads.map(|live| live.payload.bytes.len()).sum();
    let values = changes.staged.values().chain(changes.meta.values()).flatten();
    let value_bytes: usize = values.map(|value| value.len()).sum();
    BASE_BYTES + (rows * ROW_BYTES + 2 * (payload_bytes + value_bytes)) as u64
}

#[cfg(unix)]
fn used(file: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    file.metadata().map_or(0, |metadata| metadata.blocks() * 512)
}

#[cfg(not(unix))]
fn used(file: &Path) -> u64 {
    file.metadata().map_or(0, |metadata| metadata.len())
}

#[cfg(unix)]
fn free(file: &Path) -> Option<u64> {
    let statistics = rustix::fs::statvfs(file).ok()?;
    statistics.f_bavail.checked_mul(statistics.f_frsize)
}

#[cfg(not(unix))]
fn free(_: &Path) -> Option<u64> {
    None
}

/// For what redb writes about itself: the allocator's state and the lists of freed pages.
const BASE_BYTES: u64 = 512 << 10;

/// A page for the row. Rows of one record or block share theirs, which pays for the inner pages.
const ROW_BYTES: usize = 4096;
