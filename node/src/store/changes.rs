//! What one commit changes, sorted as the tables are.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use millpond_core::{Dot, Entry, Hlc, Namespace, Path};

/// The key of a value in the meta table: a short name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetaKey(pub String);

/// What the log knows of a dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// Where the dot wrote.
    pub path: Path,
    /// The delete's stamp, if the dot deletes: the row is its tombstone.
    pub deleted: Option<Hlc>,
    /// Whether it is the last dot of its transaction.
    pub ends_transaction: bool,
}

/// The changes of one commit. The maps are in the order of the tables, so that a store writes them sorted,
/// table by table.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// Paths whose stored value is dropped first, with all others that it holds, if it is damaged.
    pub damaged_entries: BTreeSet<(Namespace, Path)>,
    /// Dots of which the same is true in the log.
    pub damaged_log: BTreeSet<(Namespace, Dot)>,
    /// Entries to store; an absent one removes the path.
    pub entries: BTreeMap<(Namespace, Path), Entry>,
    /// Log rows to store or to drop.
    pub log: BTreeMap<(Namespace, Dot), Option<LogRow>>,
    /// Namespaces whose staged rows are dropped, before `staged` is applied.
    pub unstaged: BTreeSet<Namespace>,
    /// Staged rows to store or to drop.
    pub staged: BTreeMap<(Namespace, Path), Option<Bytes>>,
    /// Meta values to store or to drop.
    pub meta: BTreeMap<MetaKey, Option<Bytes>>,
}

impl Changes {
    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
            && self.log.is_empty()
            && self.unstaged.is_empty()
            && self.staged.is_empty()
            && self.meta.is_empty()
            && self.damaged_entries.is_empty()
            && self.damaged_log.is_empty()
    }

    /// Adds later changes on top of these.
    pub fn absorb(&mut self, later: Self) {
        for namespace in later.unstaged {
            self.staged.retain(|(staged, _), _| *staged != namespace);
            self.unstaged.insert(namespace);
        }
        self.damaged_entries.extend(later.damaged_entries);
        self.damaged_log.extend(later.damaged_log);
        extend(&mut self.entries, later.entries);
        extend(&mut self.log, later.log);
        extend(&mut self.staged, later.staged);
        extend(&mut self.meta, later.meta);
    }
}

/// Jobs are often large, and searching the place of each of their rows would cost as much as storing it:
/// appending builds the map anew from both.
fn extend<K: Ord, V>(rows: &mut BTreeMap<K, V>, mut later: BTreeMap<K, V>) {
    match later.len() >= rows.len() / APPENDED_SHARE {
        true => rows.append(&mut later),
        false => rows.extend(later),
    }
}

/// Moving a row is so many times cheaper than searching for one's place, about.
const APPENDED_SHARE: usize = 4;
