//! Mending: what a store has lost, and putting back what peers still have of it.
//!
//! Nothing of it is a write: no dot is taken, and no vector moves. A damaged value is replaced by what its log
//! says of it, without content ([`super::lost`]). Content is put back only where this replica's own log says that
//! its dot lives, at the moment of the commit: what was overwritten since stays so. Both are those of the tables,
//! in which a cut that is not yet folded does not count.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use millpond_core::{Dot, Entry, LiveDot, Namespace, Path, VersionVector};

use super::job::{JobError, Outcome};
use super::lost::{has_content, stand_in};
use super::tombstones::Tombstones;
use super::transaction::Transaction;
use crate::planted::planted;
use crate::probes::sometimes;
use crate::store::{DamagedEntries, DamagedLog, StoreError};

/// What is to be mended in one commit.
#[derive(Debug, Clone)]
pub(crate) struct Mend {
    pub(crate) namespace: Namespace,
    /// Damaged values of the entries: they are dropped, and what they held is in `lost`.
    pub(crate) damaged: Vec<DamagedEntries>,
    /// Dots that live by the log, and whose content the entries have lost.
    pub(crate) lost: Vec<(Path, Dot)>,
    /// Such dots as a peer holds them.
    pub(crate) found: Vec<(Path, LiveDot)>,
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
            damaged: Vec::new(),
            lost: Vec::new(),
            found: Vec::new(),
            blocks: Vec::new(),
            unlogged: Vec::new(),
        }
    }
}

/// Mends; `rows_new` of the outcome counts what was put back, in the entries and in the log.
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
    let is_damaged = |tx: &Transaction<'_>, path: &Path| {
        matches!(tx.changed_entry(namespace, path), Err(StoreError::Corrupt { .. }))
    };
    let mut damaged = mend.damaged;
    damaged.retain(|it| is_damaged(tx, &it.first));
    let mut entries: BTreeMap<Path, Entry> = BTreeMap::new();
    let read = |tx: &Transaction<'_>, entries: &BTreeMap<Path, Entry>, path: &Path| match entries
        .get(path)
    {
        Some(entry) => Ok(entry.clone()),
        None => match tx.changed_entry(namespace, path) {
            Err(StoreError::Corrupt { .. }) if damaged.iter().any(|it| it.contains(path)) => {
                Ok(Entry::absent())
            }
            read => read,
        },
    };
    for (path, dot) in mend.lost {
        let mut entry = read(tx, &entries, &path)?;
        let is_missing = tx.logs_live(namespace, &path, dot)? && !entry.contains(dot);
        if is_missing && !planted!("what is lost keeps its place") {
            entry.insert(stand_in(dot));
            entries.insert(path, entry);
        }
    }
    for (path, live) in mend.found {
        let mut entry = read(tx, &entries, &path)?;
        let is_known = tx.logs_live(namespace, &path, live.dot)?;
        if !is_known && !planted!("only what the log has is put back") {
            sometimes!(OvertakenMend);
            continue;
        }
        if !has_content(&entry, live.dot) {
            sometimes!(entry.contains(live.dot), LostGivenBack);
            entry.insert(live);
            entries.insert(path, entry);
            outcome.rows_new += 1;
        }
    }
    for DamagedEntries { first, .. } in damaged {
        tx.drop_damaged_entries(namespace, first);
    }
    tx.put_entries(namespace, entries);
    Ok(())
}
