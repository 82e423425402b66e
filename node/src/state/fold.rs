//! Folding: how the rows of a large cut, visible since its flip, get to the tables where they stay.
//!
//! The flip of a cut is one small commit: the vector covers the cut from then on, and a [`Fold`] remembers
//! the vector before. The staged rows stay where they are, and are joined under *that* vector, whenever it
//! is: by whoever reads a path ([`Overlay`](super::overlay::Overlay)), by a write, a push or a batch at the
//! path, which folds it first, and slice by slice by [`Job::Fold`](super::Job::Fold). A row that is folded is
//! staged no more, so each is folded once, and an interrupted fold goes on with what is left.

use std::ops::ControlFlow;

use millpond_core::{Context, Dot, Entry, Hlc, Joined, Namespace, Path, Row, VersionVector, join};
use serde::{Deserialize, Serialize};

use super::heads::{meta_key, read_meta};
use super::staged_row::decode_staged;
use super::transaction::Transaction;
use crate::planted::planted;
use crate::store::{Snapshot, StoreError};

/// A cut that is visible while rows of it are still staged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fold {
    /// The vector before the flip, under which the rows are joined.
    pub(crate) before: VersionVector,
    /// The vector of the cut.
    pub(crate) upto: VersionVector,
    /// Rows that were staged, about, and how many of them are folded.
    pub(crate) rows: u64,
    pub(crate) folded: u64,
}

impl Fold {
    /// The fold of a namespace, if one is under way.
    pub(super) fn of(
        snapshot: &dyn Snapshot,
        namespace: Namespace,
    ) -> Result<Option<Self>, StoreError> {
        read_meta(snapshot, &meta_key::fold(namespace))
    }

    /// Joins a staged row into the entry at its path.
    pub(super) fn join(&self, entry: &mut Entry, row: &Row) -> Joined {
        join(entry, row, Context::Upto(&self.upto), &self.before)
    }

    /// The deletes of a staged row that were not known before.
    pub(crate) fn new_deletes<'r>(&self, row: &'r Row) -> impl Iterator<Item = (Dot, Hlc)> + 'r {
        let before = self.before.clone();
        row.deletes.iter().copied().filter(move |(dot, _)| !before.covers(*dot))
    }

    /// Visits what is staged and visible, beyond a path if given.
    pub(crate) fn staged_rows(
        &self,
        snapshot: &dyn Snapshot,
        namespace: Namespace,
        after: Option<&Path>,
        visit: &mut dyn FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut failed = None;
        snapshot.staged(namespace, after, &mut |path, row| match decode_staged(&path, row) {
            Ok(row) => visit(row),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    /// Whether the cut brought dots of these, of one incarnation, with seqs in `(after, upto]`.
    pub(super) fn brings(&self, range: millpond_core::DotRange) -> bool {
        let known = self.before.seq(range.incarnation).max(range.after);
        known < self.upto.seq(range.incarnation).min(range.upto.get())
    }
}

/// Folds some rows, at most `rows_max` and at least one, and no more than fit into a slice. The last of them
/// end the fold.
pub(super) fn fold_slice(
    tx: &mut Transaction<'_>,
    namespace: Namespace,
    rows_max: usize,
) -> Result<(), StoreError> {
    if !tx.heads.folds.contains_key(&namespace) {
        return Ok(());
    }
    let (rows_max, bytes_max) = match planted!("a fold is sliced") {
        true => (usize::MAX, usize::MAX),
        false => (rows_max.max(1), SLICE_BYTES_MAX),
    };
    let (rows, is_all) = tx.some_staged(namespace, rows_max, bytes_max)?;
    for path in rows.keys() {
        tx.fold_path(namespace, path)?;
    }
    if is_all {
        tx.heads.folds.remove(&namespace);
    }
    Ok(())
}

/// Bytes of staged rows in a slice: what a disk takes within some ten milliseconds.
const SLICE_BYTES_MAX: usize = 512 << 10;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use millpond_core::{Incarnation, Path, Payload, PayloadKind, RowDot, Seq};

    use super::*;
    use crate::planted;
    use crate::state::staged_row::encode_staged;
    use crate::state::{Heads, Job, commit_group};
    use crate::store::memory::MemoryStore;
    use crate::store::{Changes, Durability, Store};

    fn dot(seq: u64) -> Dot {
        Dot::new(Incarnation::from_bytes([7; 16]), Seq::new(seq).unwrap())
    }

    fn row(seq: u64, bytes: usize) -> Row {
        let payload = Payload { kind: PayloadKind::LWW, bytes: Bytes::from(vec![b'v'; bytes]) };
        let content = Some((Hlc::from_ms(seq), payload));
        let path = Path::new(["c", &format!("{seq:03}"), "f"]).unwrap();
        Row { path, live: vec![RowDot { dot: dot(seq), content }], deletes: Vec::new() }
    }

    /// A store that folds these rows, and its heads.
    fn folding(rows: &[Row]) -> (MemoryStore, Heads) {
        let store = MemoryStore::new();
        let mut changes = Changes::default();
        for row in rows {
            let key = (Namespace::MAIN, row.path.clone());
            changes.staged.insert(key, Some(encode_staged(row)));
        }
        let upto: VersionVector = [dot(rows.len() as u64)].into_iter().collect();
        let fold = Fold { upto: upto.clone(), rows: rows.len() as u64, ..Fold::default() };
        let mut heads = Heads {
            vv: BTreeMap::from([(Namespace::MAIN, upto)]),
            folds: BTreeMap::from([(Namespace::MAIN, fold)]),
            ..Heads::default()
        };
        heads.save(&Heads::default(), &mut changes);
        store.commit(&changes, Durability::Synced).unwrap();
        (store, heads)
    }

    /// How many rows each slice folds.
    fn slices(rows: &[Row], rows_max: usize) -> Vec<u64> {
        let (store, mut heads) = folding(rows);
        let mut slices = Vec::new();
        while let Some(fold) = heads.folds.get(&Namespace::MAIN) {
            let folded = fold.folded;
            let job = Job::Fold { namespace: Namespace::MAIN, rows_max };
            let results = commit_group(&store, &mut heads, vec![job]).unwrap();
            assert!(results[0].is_ok());
            let now = heads.folds.get(&Namespace::MAIN).map_or(rows.len() as u64, |it| it.folded);
            slices.push(now - folded);
        }
        assert_eq!(
            heads,
            Heads { ceiling: heads.ceiling, ..Heads::load(&*store.snapshot().unwrap()).unwrap() }
        );
        slices
    }

    #[test]
    fn finding_s17_a_fold_is_sliced_by_rows_and_by_bytes() {
        let small: Vec<Row> = (1..=10).map(|seq| row(seq, 10)).collect();
        assert_eq!(slices(&small, 4), [4, 4, 2]);
        assert_eq!(slices(&small, 10), [10]);
        let large: Vec<Row> = (1..=4).map(|seq| row(seq, 300 << 10)).collect();
        assert_eq!(slices(&large, 100), [2, 2]);
        planted::without(&["a fold is sliced"], || assert_eq!(slices(&small, 4), [10]));
    }
}
