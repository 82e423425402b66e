//! Clearing: what is left of a cut that was given up is dropped slice by slice, as it was staged.
//!
//! Nobody sees it meanwhile: no vector covers it. No other cut and no batch comes to the namespace before it is
//! gone, since its rows would mingle with theirs, or be covered by their vector. Local writes and pushes may:
//! they say by themselves what they overwrite.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use bytes::Bytes;
use millpond_core::{Namespace, Path, VersionVector};
use serde::{Deserialize, Serialize};

use super::heads::Place;
use super::transaction::Transaction;
use crate::planted::planted;
use crate::probes::sometimes;
use crate::store::StoreError;

/// A cut that was given up and is not gone yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Clear {
    /// The vector of its rows that went straight to the final tables, if they did.
    pub(crate) direct: Option<VersionVector>,
    /// Up to where the final tables are clear, encoded.
    cursor: Option<Vec<u8>>,
}

/// Gives up the cut that is here, if there is one, and drops some of its rows.
pub(super) fn drop_cut(
    tx: &mut Transaction<'_>,
    namespace: Namespace,
    rows_max: usize,
) -> Result<(), StoreError> {
    let is_free = tx.heads.place(namespace) == Place::Free;
    if !is_free && !planted!("a cut waits for the fold before it") {
        // What is staged is visible, or being dropped.
        return Ok(());
    }
    let Some(mark) = tx.heads.cuts.remove(&namespace) else { return Ok(()) };
    if planted!("nothing stays of a cut that is given up") {
        return Ok(());
    }
    sometimes!(mark.direct, DirectCutDropped);
    sometimes!(!mark.direct, StagedCutDropped);
    let direct = mark.direct.then_some(mark.upto);
    tx.heads.clears.insert(namespace, Clear { direct, cursor: None });
    clear_slice(tx, namespace, rows_max)?;
    sometimes!(tx.heads.clears.contains_key(&namespace), DropLeavesRows);
    Ok(())
}

/// Drops some rows of a cut that was given up.
pub(super) fn clear_slice(
    tx: &mut Transaction<'_>,
    namespace: Namespace,
    rows_max: usize,
) -> Result<(), StoreError> {
    let Some(clear) = tx.heads.clears.get(&namespace).cloned() else { return Ok(()) };
    let rows_max = if planted!("a drop is sliced") { usize::MAX } else { rows_max.max(1) };
    let is_clear = match &clear.direct {
        Some(upto) => {
            let last = clear_entries(tx, namespace, clear.cursor(), rows_max)?;
            let is_clear = last.is_none();
            if let Some(clear) = tx.heads.clears.get_mut(&namespace) {
                clear.cursor = last.map(|last| last.as_bytes().to_vec());
            }
            if is_clear {
                // What is left in the log are deletes.
                tx.drop_log_beyond(namespace, upto)?;
            }
            is_clear
        }
        None => match tx.some_staged(namespace, rows_max, usize::MAX) {
            Ok((rows, is_all)) => {
                rows.into_keys().for_each(|path| tx.unstage(namespace, path));
                is_all
            }
            // What is damaged cannot be told row by row: all of it goes at once.
            Err(StoreError::Corrupt { .. }) => {
                tx.unstage_all(namespace);
                true
            }
            Err(error) => return Err(error),
        },
    };
    if is_clear {
        tx.heads.clears.remove(&namespace);
    }
    Ok(())
}

/// Removes what the vector does not cover from some entries beyond a path; and where it ended, unless that was
/// the end.
fn clear_entries(
    tx: &mut Transaction<'_>,
    namespace: Namespace,
    after: Option<Path>,
    rows_max: usize,
) -> Result<Option<Path>, StoreError> {
    let (mut paths, mut last) = (BTreeSet::new(), None);
    tx.snapshot.entries(namespace, None, after.as_ref(), &mut |path, _| {
        paths.insert(path.clone());
        if paths.len() < rows_max {
            return ControlFlow::Continue(());
        }
        last = Some(path);
        ControlFlow::Break(())
    })?;
    // Those of this group of jobs are in no snapshot.
    let is_within = |path: &Path| {
        after.as_ref().is_none_or(|after| path > after)
            && last.as_ref().is_none_or(|last| path <= last)
    };
    let changed = tx.group.entries.keys().chain(tx.own.entries.keys());
    let changed = changed.filter(|(of, path)| *of == namespace && is_within(path));
    paths.extend(changed.map(|(_, path)| path.clone()));
    for path in paths {
        let entry = tx.changed_entry(namespace, &path)?;
        tx.drop_uncovered(namespace, path, entry);
    }
    Ok(last)
}

impl Clear {
    fn cursor(&self) -> Option<Path> {
        Path::from_encoded(Bytes::from(self.cursor.clone()?)).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use millpond_core::wire::{RowsFrame, RowsWriter};
    use millpond_core::{
        Boot, Dot, Hlc, Incarnation, NodeKey, Payload, PayloadKind, Row, RowDot, Seq,
    };

    use super::*;
    use crate::planted;
    use crate::state::{Cut, CutMark, Heads, Job, JobError, Takeover, View, commit_group};
    use crate::store::Store;
    use crate::store::memory::MemoryStore;

    fn dot(seq: u64) -> Dot {
        Dot::new(Incarnation::from_bytes([7; 16]), Seq::new(seq).unwrap())
    }

    fn rows(count: u64) -> RowsFrame {
        let mut writer = RowsWriter::new(1);
        for seq in 1..=count {
            let payload = Payload { kind: PayloadKind::LWW, bytes: Bytes::from_static(b"value") };
            let path = Path::new(["c", &format!("{seq:03}"), "f"]).unwrap();
            let content = Some((Hlc::from_ms(seq), payload));
            writer.push(&Row {
                path,
                live: vec![RowDot { dot: dot(seq), content }],
                deletes: Vec::new(),
            });
        }
        writer.finish()
    }

    struct Node {
        store: MemoryStore,
        heads: Heads,
    }

    impl Node {
        /// A node to which the first rows of a cut have come, of which so many are dropped at once.
        fn gives_up(direct: bool, rows_max: usize) -> Self {
            let mut node = Self::takes(direct);
            node.commit(Job::DropCut { namespace: Namespace::MAIN, rows_max }).unwrap();
            node
        }

        fn takes(direct: bool) -> Self {
            let mut node = Self { store: MemoryStore::new(), heads: Heads::default() };
            let upto = VersionVector::from_iter([dot(20)]);
            let mark = CutMark {
                supplier: NodeKey::from_bytes([2; 32]),
                boot: Boot { counter: 1, random: 0 },
                from: VersionVector::new(),
                since: upto.clone(),
                upto,
                floor: VersionVector::new(),
                rows: 10,
                cursor: None,
                direct,
                compared: None,
            };
            let (namespace, rows, takes) = (Namespace::MAIN, vec![rows(10)], Takeover::default());
            node.commit(Job::Cut(Cut { namespace, mark, begins: true, rows, takes })).unwrap();
            node
        }

        fn commit(&mut self, job: Job) -> Result<(), JobError> {
            let mut results = commit_group(&self.store, &mut self.heads, vec![job]).unwrap();
            results.pop().unwrap().map(drop)
        }

        /// Rows of the cut in the tables, and log rows.
        fn left(&self) -> (usize, usize) {
            let snapshot = self.store.snapshot().unwrap();
            let (mut rows, mut log) = (0, 0);
            let visit = &mut |_, _| {
                rows += 1;
                ControlFlow::Continue(())
            };
            snapshot.entries(Namespace::MAIN, None, None, visit).unwrap();
            let visit = &mut |_, _| {
                rows += 1;
                ControlFlow::Continue(())
            };
            snapshot.staged(Namespace::MAIN, None, visit).unwrap();
            let incarnation = Incarnation::from_bytes([7; 16]);
            let visit = &mut |_, _| {
                log += 1;
                ControlFlow::Continue(())
            };
            snapshot.log(Namespace::MAIN, incarnation, 0, u64::MAX, visit).unwrap();
            (rows, log)
        }

        fn seen(&self) -> usize {
            let mut seen = 0;
            let view = View::new(self.store.snapshot().unwrap(), Namespace::MAIN).unwrap();
            let visit = &mut |_, _| {
                seen += 1;
                ControlFlow::Continue(())
            };
            view.entries(None, None, visit).unwrap();
            seen
        }
    }

    #[test]
    fn finding_s17_a_drop_is_sliced_and_goes_on_after_a_restart() {
        for direct in [false, true] {
            let mut node = Node::gives_up(direct, 4);
            let mut left = vec![node.left().0];
            while node.heads.place(Namespace::MAIN) == Place::Clearing {
                node.heads = Heads::load(&*node.store.snapshot().unwrap()).unwrap();
                node.commit(Job::Fold { namespace: Namespace::MAIN, rows_max: 4 }).unwrap();
                left.push(node.left().0);
            }
            assert_eq!(left, [6, 2, 0], "direct: {direct}");
            assert_eq!((node.left(), node.seen()), ((0, 0), 0));
            planted::without(&["a drop is sliced"], || {
                assert_eq!(Node::gives_up(direct, 4).left(), (0, 0));
            });
        }
    }

    /// A supplier that has seen all of it deleted, and collected that, says nothing of it.
    #[test]
    fn a_batch_waits_until_what_is_hidden_is_gone() {
        let batch = |node: &mut Node| {
            let upto = VersionVector::from_iter([dot(20)]);
            let (from, floor) = (VersionVector::new(), upto.clone());
            let (namespace, rows) = (Namespace::MAIN, Vec::new());
            node.commit(Job::Batch { namespace, from, upto, floor, rows })
        };
        let mut node = Node::takes(true);
        assert!(matches!(batch(&mut node), Err(JobError::Occupied)));
        node.commit(Job::DropCut { namespace: Namespace::MAIN, rows_max: 4 }).unwrap();
        assert!(matches!(batch(&mut node), Err(JobError::Occupied)));
        node.commit(Job::Fold { namespace: Namespace::MAIN, rows_max: 100 }).unwrap();
        batch(&mut node).unwrap();
        assert_eq!(node.seen(), 0);
        planted::without(&["a batch waits until what is hidden is gone"], || {
            let mut node = Node::gives_up(true, 4);
            batch(&mut node).unwrap();
            assert_eq!(node.seen(), 6, "what was deleted shows");
        });
    }
}
