//! The log: entries that everybody appends, in one order everywhere.
//!
//! Each entry lies on a path of its own below the log's, named by the dot of its first write, so that appends
//! never meet and one of a million entries travels alone. Readers see them by (stamp, dot): a writer's own in
//! the order of writing, those of different writers by their clocks. A late entry therefore appears among known
//! ones, and before what its writer had seen if that writer's clock is so much behind. The lattice is the union
//! of what was appended; the bottom is the empty log.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::{Dot, Entry, LiveDot, Path, PathError, Payload, PayloadKind};

/// The path of the entry that `first_write` appends to the log at `log`.
///
/// # Errors
/// [`PathError`] when the path would be too long or too deep.
pub fn entry_path(log: &Path, first_write: Dot) -> Result<Path, PathError> {
    log.child(first_write.to_bytes())
}

/// What appending writes.
pub fn payload(bytes: Bytes) -> Payload {
    Payload { kind: PayloadKind::LOG, bytes }
}

/// The log's entries, the earliest (stamp, dot) first, given those at the paths below the log's. An entry that
/// was written again (under a new incarnation) is read where its stamp puts it. Payloads of other kinds are
/// left out.
pub fn read<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<&'a LiveDot> {
    let is_entry = |live: &&LiveDot| live.payload.kind == PayloadKind::LOG;
    let latest = |entry: &'a Entry| {
        entry.live().iter().filter(is_entry).max_by_key(|live| (live.hlc, live.dot))
    };
    let mut read: Vec<_> = entries.into_iter().filter_map(latest).collect();
    read.sort_by_key(|live| (live.hlc, live.dot));
    read
}
