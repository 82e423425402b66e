//! Tombstones: the log rows of delete dots. What is kept about them, and their collection (R8).

use std::ops::ControlFlow;

use millpond_core::{Dot, DotRange, Namespace, Path, VersionVector};
use serde::{Deserialize, Serialize};

use super::job::Outcome;
use super::transaction::Transaction;
use crate::planted::planted;
use crate::probes::{always, sometimes};
use crate::store::{LogRow, StoreError};

/// The tombstones of one namespace that are not collected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tombstones {
    /// How many there are.
    pub(crate) count: u64,
    /// About how many bytes they take.
    pub(crate) bytes: u64,
    /// The last one of each origin: whoever covers them holds none back.
    pub(crate) last: VersionVector,
    /// No tombstone is below: so each log row is looked at once.
    pub(crate) swept: VersionVector,
}

impl Tombstones {
    /// No tombstones.
    pub(crate) const NONE: Self =
        Self { count: 0, bytes: 0, last: VersionVector::new(), swept: VersionVector::new() };

    /// A tombstone appears.
    pub(super) fn add(&mut self, dot: Dot, path: &Path) {
        self.count += 1;
        self.bytes += tombstone_bytes(path);
        self.last.advance(dot);
    }

    /// A tombstone disappears.
    pub(super) fn remove(&mut self, path: &Path) {
        self.count = self.count.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(tombstone_bytes(path));
        if self.count == 0 {
            self.bytes = 0;
            self.last = VersionVector::new();
        }
    }

    /// Whether rows up to `stable` have yet to be looked at.
    pub(crate) fn are_below(&self, stable: &VersionVector) -> bool {
        stable.beyond(&self.swept).any(|range| self.has_some_in(range))
    }

    fn has_some_in(&self, range: DotRange) -> bool {
        self.last.seq(range.incarnation) > range.after
    }
}

/// Drops some tombstones that `stable` covers, and raises the floor to them: no more than a commit takes in
/// some milliseconds. The heads tell how far it came.
///
/// The floor of closed incarnations rises to their final seqs once those are stable, so that it is as short as a
/// vector is: no live member lacks what is below.
pub(super) fn collect(
    tx: &mut Transaction<'_>,
    namespace: Namespace,
    stable: &VersionVector,
    closed: &VersionVector,
) -> Result<Outcome, StoreError> {
    always!(tx.heads.vv(namespace).covers_all(stable), "what is collected is covered here");
    if tx.heads.folds.contains_key(&namespace) && !planted!("a fold ends before a collection") {
        // Tombstones are still to come where none is expected any more.
        return Ok(Outcome::default());
    }
    let (mut looked, mut found) = (0, Vec::new());
    let mut swept = tx.heads.tombstones(namespace).swept.clone();
    let ranges: Vec<DotRange> = stable.beyond(&swept).collect();
    for range in ranges {
        let mut last = Dot::new(range.incarnation, range.upto);
        if !tx.heads.tombstones(namespace).has_some_in(range) {
            swept.advance(last);
            continue;
        }
        tx.stored_log(namespace, range, &mut |dot, row: LogRow| {
            looked += 1;
            if row.deleted.is_some() {
                found.push((dot, row.path));
            }
            match looked < ROWS_LOOKED_AT && found.len() < ROWS_DROPPED {
                true => ControlFlow::Continue(()),
                false => {
                    last = dot;
                    ControlFlow::Break(())
                }
            }
        })?;
        swept.advance(last);
        if looked >= ROWS_LOOKED_AT || found.len() >= ROWS_DROPPED {
            break;
        }
    }
    sometimes!(!found.is_empty(), TombstonesCollected);
    for (dot, path) in found {
        tx.drop_tombstone(namespace, dot, &path);
        if !planted!("the floor rises with what is collected") {
            tx.heads.floor.entry(namespace).or_default().advance(dot);
        }
    }
    let floor = tx.heads.floor.entry(namespace).or_default();
    for last in closed.iter().filter(|last| stable.covers(*last) && swept.covers(*last)) {
        if !floor.is_empty() {
            floor.advance(last);
        }
    }
    tx.heads.tombstones.entry(namespace).or_default().swept = swept;
    Ok(Outcome::default())
}

/// About what a log row of a delete takes: the path, the dot, the stamp.
fn tombstone_bytes(path: &Path) -> u64 {
    path.as_bytes().len() as u64 + ROW_BYTES
}

const ROW_BYTES: u64 = 24;
/// Log rows looked at in one job, of which most are no tombstones.
const ROWS_LOOKED_AT: usize = 20_000;
/// Tombstones dropped in one job.
const ROWS_DROPPED: usize = 4_000;

#[cfg(test)]
mod tests {
    use millpond_core::{Hlc, Incarnation, Row, Seq};

    use super::*;
    use crate::planted::without;
    use crate::state::fold::Fold;
    use crate::state::staged_row::encode_staged;
    use crate::state::{Heads, Job, commit_group};
    use crate::store::memory::MemoryStore;
    use crate::store::{Changes, Durability, Store};

    fn dot(seq: u64) -> Dot {
        Dot::new(Incarnation::from_bytes([7; 16]), Seq::new(seq).unwrap())
    }

    /// A store with so many tombstones, of which every third dot is one.
    fn store(count: u64) -> (MemoryStore, Heads) {
        let (store, mut heads) = (MemoryStore::new(), Heads::default());
        let mut changes = Changes::default();
        let mut tombstones = Tombstones::default();
        for seq in 1..=3 * count {
            let path = Path::new(["c", &format!("{seq}")]).unwrap();
            let deleted = seq.is_multiple_of(3).then_some(Hlc::from_ms(seq));
            if deleted.is_some() {
                tombstones.add(dot(seq), &path);
            }
            let row = LogRow { path, deleted, ends_transaction: true };
            changes.log.insert((Namespace::MAIN, dot(seq)), Some(row));
        }
        heads.vv.insert(Namespace::MAIN, VersionVector::from_iter([dot(3 * count)]));
        heads.tombstones.insert(Namespace::MAIN, tombstones);
        heads.save(&Heads::default(), &mut changes);
        store.commit(&changes, Durability::Synced).unwrap();
        (store, heads)
    }

    fn collect_upto(store: &MemoryStore, heads: &mut Heads, seq: u64) {
        let stable = VersionVector::from_iter([dot(seq)]);
        let (namespace, closed) = (Namespace::MAIN, VersionVector::new());
        let job = Job::Collect { namespace, stable, closed };
        commit_group(store, heads, vec![job]).unwrap().remove(0).unwrap();
    }

    #[test]
    fn what_is_stable_goes_and_raises_the_floor_to_the_last_that_went() {
        let (store, mut heads) = store(10);
        collect_upto(&store, &mut heads, 20);
        let left = heads.tombstones(Namespace::MAIN).clone();
        assert_eq!((left.count, left.last.seq(dot(1).incarnation)), (4, 30));
        assert_eq!(left.swept, VersionVector::from_iter([dot(20)]));
        assert_eq!(*heads.floor(Namespace::MAIN), VersionVector::from_iter([dot(18)]));
        assert!(
            !left.are_below(&VersionVector::from_iter([dot(20)])),
            "nothing is looked at twice"
        );
        let snapshot = store.snapshot().unwrap();
        assert!(snapshot.log_row(Namespace::MAIN, dot(18)).unwrap().is_none());
        assert!(snapshot.log_row(Namespace::MAIN, dot(17)).unwrap().is_some(), "a live dot's row");
        assert!(snapshot.log_row(Namespace::MAIN, dot(21)).unwrap().is_some(), "not stable");
        assert_eq!(Heads::load(&*snapshot).unwrap().tombstones, heads.tombstones);
        collect_upto(&store, &mut heads, 30);
        let left = heads.tombstones(Namespace::MAIN);
        assert_eq!((left.count, left.bytes, left.last.is_empty()), (0, 0, true));
    }

    /// One job takes no longer than others can wait.
    #[test]
    fn a_collection_is_sliced() {
        let (store, mut heads) = store(2 * ROWS_DROPPED as u64);
        let all = 6 * ROWS_DROPPED as u64;
        collect_upto(&store, &mut heads, all);
        assert_eq!(heads.tombstones(Namespace::MAIN).count, ROWS_DROPPED as u64);
        assert!(heads.tombstones(Namespace::MAIN).are_below(heads.vv(Namespace::MAIN)));
        collect_upto(&store, &mut heads, all);
        assert_eq!(heads.tombstones(Namespace::MAIN).count, 0);
    }

    /// A cut became visible while the collection was on its way to the writer, and something was deleted since.
    #[test]
    fn a_fold_ends_before_a_collection() {
        let left_after_all = || {
            let (store, mut heads) = store(1);
            let (staged, later) = (dot(5), dot(7));
            let path = Path::new(["c", "staged"]).unwrap();
            let deletes = vec![(staged, Hlc::from_ms(5))];
            let row = Row { path: path.clone(), live: Vec::new(), deletes };
            let mut changes = Changes::default();
            changes.staged.insert((Namespace::MAIN, path.clone()), Some(encode_staged(&row)));
            let deleted = LogRow {
                path: path.clone(),
                deleted: Some(Hlc::from_ms(7)),
                ends_transaction: true,
            };
            changes.log.insert((Namespace::MAIN, later), Some(deleted));
            let before = heads.clone();
            heads.tombstones.entry(Namespace::MAIN).or_default().add(later, &path);
            let old = heads.vv.insert(Namespace::MAIN, VersionVector::from_iter([later])).unwrap();
            let upto = VersionVector::from_iter([dot(6)]);
            let fold = Fold { before: old, upto, rows: 1, ..Fold::default() };
            heads.folds.insert(Namespace::MAIN, fold);
            heads.clone().save(&before, &mut changes);
            store.commit(&changes, Durability::Synced).unwrap();
            collect_upto(&store, &mut heads, 6);
            let job = Job::Fold { namespace: Namespace::MAIN, rows_max: 10 };
            commit_group(&store, &mut heads, vec![job]).unwrap().remove(0).unwrap();
            collect_upto(&store, &mut heads, 7);
            heads.tombstones(Namespace::MAIN).count
        };
        assert_eq!(left_after_all(), 0);
        assert_eq!(without(&["a fold ends before a collection"], left_after_all), 1);
    }
}
