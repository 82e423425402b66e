//! The last-writer-wins register.
//!
//! Losers of a race stay in the entry until the next write overwrites them: pruning one while merging would
//! be a removal that nobody logged, and replicas with equal vectors would differ for ever.

use crate::{Entry, LiveDot};

/// The value that readers see: of the live dots the one with the greatest (stamp, incarnation, seq). `None`
/// when the path is absent. Of concurrent writes the later stamp shows; equal stamps are decided by the
/// dot, alike everywhere.
pub fn read(entry: &Entry) -> Option<&LiveDot> {
    entry.live().iter().max_by_key(|live| (live.hlc, live.dot))
}
