//! Mending: putting back what a store has lost, as peers hold it.
//!
//! Nothing of it is a write: no dot is taken, and no vector moves. A dot is put back only where this replica's
//! own log says that it lives, at the moment of the commit: what was overwritten since stays so. Both are those of
//! the tables, in which a cut that is not yet folded does not count.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use millpond_core::{Dot, Entry, LiveDot, Namespace, Path, VersionVector};

use super::job::{JobError, Outcome};
use super::tombstones::Tombstones;
use super::transaction::Transaction;
use crate::planted::planted;
use crate::probes::sometimes;
use crate::store::{DamagedLog, StoreError};

/// What is to be mended in one commit.
#[derive(Debug, Clone)]
pub(crate) struct Mend {
    pub(crate) namespace: Namespace,
    /// A path whose stored value is damaged: it is dropped, and what it held is in `found` and `gone`.
    pub(crate) damaged: Option<Path>,
    /// Live dots that the entries have lost, as a peer holds them.
    pub(crate) found: Vec<(Path, LiveDot)>,
    /// Lost dots that peers have seen go.
    pub(crate) gone: Vec<(Path, Dot)>,
    /// Damaged values of the log.
    pub(crate) blocks: Vec<DamagedLog>,
    /// Live dots of which the log has no row.
    pub(crate) unlogged: Vec<(Path, Dot)>,
}

impl Mend {
    /// Nothing, so far.
    pub(crate) fn new(namespace: Namespace) -> Self {
        Self {
            namespace,
            damaged: None,
            found: Vec::new(),
            gone: Vec::new(),
            blocks: Vec::new(),
            unlogged: Vec::new(),
        }
    }
}

/// Mends; `rows_new` of the outcome counts what was put back.
pub(super) fn mend(tx: &mut Transaction<'_>, mend: Mend) -> Result<Outcome, JobError> {
    let mut outcome = Outcome::default();
    mend_log(tx, &mend, &mut outcome)?;
    mend_entries(tx, mend, &mut outcome)?;
    Ok(outcome)
}

/// The rows of live dots are told by the entries. Tombstones are not: they are gone, as if collected.
fn mend_log(tx: &mut Transaction<'_>, mend: &Mend, outcome: &mut Outcome) -> Result<(), JobError> {
    let namespace = mend.namespace;
    for block in &mend.blocks {
        if !matches!(tx.log_row(namespace, block.first), Err(StoreError::Corrupt { .. })) {
            sometimes!(LogMendedBefore);
            continue;
        }
        tx.drop_damaged_log(namespace, block.first);
        outcome.rows_new += 1;
        let incarnation = block.first.incarnation;
        let last = block.last.seq.get().min(tx.heads.vv(namespace).seq(incarnation));
        let last = millpond_core::Seq::new(last).map(|seq| Dot::new(incarnation, seq));
        if !planted!("a lost tombstone raises the floor") {
            let floor = tx.heads.floor.entry(namespace).or_default();
            floor.join(&last.into_iter().collect::<VersionVector>());
        }
    }
    if !tx.own.damaged_log.is_empty() {
        recount_tombstones(tx, namespace)?;
    }
    for (path, dot) in &mend.unlogged {
        let lives = match tx.changed_entry(namespace, path) {
            Ok(entry) => entry.contains(*dot),
            Err(StoreError::Corrupt { .. }) => false,
            Err(error) => return Err(error.into()),
        };
        let is_logged = match tx.logs_live(namespace, path, *dot) {
            // Its value is dropped with this commit, or it has to wait.
            Err(StoreError::Corrupt { .. }) => {
                !mend.blocks.iter().any(|block| block.contains(*dot))
            }
            logged => logged?,
        };
        if lives && !is_logged {
            tx.log_live(namespace, path, *dot);
            outcome.rows_new += 1;
        }
    }
    Ok(())
}

/// Counts anew the tombstones that are left once the damaged values of the log are dropped. It reads the whole
/// log, which a disk that rots is worth.
fn recount_tombstones(tx: &mut Transaction<'_>, namespace: Namespace) -> Result<(), JobError> {
    let mut left = BTreeMap::new();
    for last in tx.heads.vv(namespace).iter() {
        tx.snapshot.sound_log(namespace, last.incarnation, 0, u64::MAX, &mut |met| {
            if let Ok((dot, row)) = met {
                left.insert(dot, row);
            }
            ControlFlow::Continue(())
        })?;
    }
    for ((_, dot), row) in tx.group.log.iter().filter(|((of, _), _)| *of == namespace) {
        match row {
            Some(row) => drop(left.insert(*dot, row.clone())),
            None => drop(left.remove(dot)),
        }
    }
    let tombstones = tx.heads.tombstones.entry(namespace).or_default();
    let swept = std::mem::take(&mut tombstones.swept);
    *tombstones = Tombstones { swept, ..Tombstones::NONE };
    for (dot, row) in left.iter().filter(|(_, row)| row.deleted.is_some()) {
        tombstones.add(*dot, &row.path);
    }
    Ok(())
}

fn mend_entries(
    tx: &mut Transaction<'_>,
    mend: Mend,
    outcome: &mut Outcome,
) -> Result<(), JobError> {
    let namespace = mend.namespace;
    let is_damaged =
        |path: &Path| matches!(tx.changed_entry(namespace, path), Err(StoreError::Corrupt { .. }));
    let damaged = mend.damaged.filter(is_damaged);
    let mut entries: BTreeMap<Path, Entry> = BTreeMap::new();
    let read = |tx: &Transaction<'_>, path: &Path| match damaged {
        Some(_) => Ok(Entry::absent()),
        None => tx.changed_entry(namespace, path),
    };
    for (path, live) in mend.found {
        let is_known = tx.logs_live(namespace, &path, live.dot)?;
        if !is_known && !planted!("only what the log has is put back") {
            sometimes!(OvertakenMend);
            continue;
        }
        let entry = match entries.entry(path) {
            std::collections::btree_map::Entry::Occupied(held) => held.into_mut(),
            std::collections::btree_map::Entry::Vacant(free) => {
                let entry = read(tx, free.key())?;
                free.insert(entry)
            }
        };
        if !entry.contains(live.dot) {
            entry.insert(live);
            outcome.rows_new += 1;
        }
    }
    for (path, dot) in mend.gone {
        let entry = match entries.get(&path) {
            Some(entry) => entry.clone(),
            None => read(tx, &path)?,
        };
        if !entry.contains(dot) && tx.logs_live(namespace, &path, dot)? {
            tx.drop_log(namespace, dot);
            outcome.rows_new += 1;
        }
    }
    if let Some(path) = damaged {
        tx.drop_damaged_entries(namespace, path);
    }
    tx.put_entries(namespace, entries);
    Ok(())
}
