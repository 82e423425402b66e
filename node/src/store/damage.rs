//! Where a store is damaged.

use millpond_core::{Dot, Path};

/// A stretch of the path order of which the store holds one value, and that is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedEntries {
    /// The first path that it may hold.
    pub first: Path,
    /// The encoded path before which it ends; `None` is behind all paths.
    pub end: Option<Vec<u8>>,
}

impl DamagedEntries {
    /// Whether what is at a path may have been in it.
    pub fn contains(&self, path: &Path) -> bool {
        *path >= self.first && self.end.as_ref().is_none_or(|end| path.as_bytes() < &end[..])
    }
}

/// A stretch of the log of one incarnation of which the store holds one value, and that is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DamagedLog {
    /// The first dot whose row it may hold.
    pub first: Dot,
    /// The last one.
    pub last: Dot,
}

impl DamagedLog {
    /// Whether the row of a dot may have been in it.
    pub fn contains(&self, dot: Dot) -> bool {
        dot.incarnation == self.first.incarnation
            && (self.first.seq..=self.last.seq).contains(&dot.seq)
    }
}
