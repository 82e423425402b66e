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

/// At most what a commit of these changes writes, about: a copy of a page for each row, but of no page twice;
/// and what is new, twice, for pages that are half full.
pub(super) fn needed(changes: &Changes, used: u64) -> u64 {
    let Changes { entries, log, staged, meta, .. } = changes;
    let rows = (entries.len() + log.len() + staged.len() + meta.len()) as u64;
    let payloads = entries.values().flat_map(|entry| entry.live()).map(|live| &live.payload.bytes);
    let values = staged.values().chain(meta.values()).flatten();
    let value_bytes: usize = payloads.chain(values).map(|value| value.len()).sum();
    let paths = entries.keys().chain(staged.keys()).map(|(_, path)| path);
    let logged = log.values().flatten().map(|row| &row.path);
    let path_bytes: usize = paths.chain(logged).map(|path| path.as_bytes().len()).sum();
    let copied = used.min(rows * PAGE_BYTES);
    BASE_BYTES + copied + 2 * (rows * ROW_BYTES + (value_bytes + path_bytes) as u64)
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

/// redb's pages.
const PAGE_BYTES: u64 = 4096;

/// What a row takes besides its path and its value.
const ROW_BYTES: u64 = 64;
