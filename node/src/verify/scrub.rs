//! Looking through one store for what is damaged, and what is missing (R1 to R3), and for indexes that are wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use millpond_core::{Dot, Incarnation, Namespace, Path, VersionVector};

use crate::indexes::{Declared, IndexScrub};
use crate::planted::planted;
use crate::state::{CutMark, has_content, meta_key, read_meta};
use crate::store::{DamagedEntries, DamagedLog, Snapshot, StoreError};

/// A walk through all entries and all log rows of a store. Each step takes a snapshot of its own, so that none
/// is held for long: an entry and its log rows are committed together, so what belongs together is of one.
#[derive(Debug)]
pub(crate) struct Scrub {
    at: At,
    found: Found,
}

/// How far it is.
#[derive(Debug)]
enum At {
    /// Entries beyond a path.
    Entries(Namespace, Option<Path>),
    /// The log of the last of these incarnations, beyond a seq.
    Log(Namespace, Vec<Incarnation>, u64),
    /// Indexes.
    Indexes(IndexScrub),
    Done,
}

/// What a scrub has found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    /// Entries and log rows looked at.
    pub(crate) entries: u64,
    pub(crate) log_rows: u64,
    /// Values of entries that are damaged.
    pub(crate) damaged: Vec<(Namespace, DamagedEntries)>,
    /// Dots that are live by the log, and whose content is not at their path.
    pub(crate) lost: BTreeMap<(Namespace, Path), BTreeSet<Dot>>,
    /// Values of the log that are damaged.
    pub(crate) blocks: BTreeSet<(Namespace, DamagedLog)>,
    /// Live dots of which the log has no row.
    pub(crate) unlogged: Vec<Unlogged>,
    /// Indexes whose rows are not those of the records, by their numbers.
    pub(crate) indexes: Vec<u32>,
}

/// A live dot of which the log has no row.
pub(crate) type Unlogged = (Namespace, Path, Dot);

impl Scrub {
    pub(crate) fn new() -> Self {
        Self { at: At::Entries(NAMESPACES[0], None), found: Found::default() }
    }

    /// Looks at the next rows: what was found in all, at the end.
    pub(crate) fn step(
        &mut self,
        snapshot: &dyn Snapshot,
        declared: &[Declared],
        rows_max: usize,
    ) -> Result<Option<Found>, StoreError> {
        match &mut self.at {
            At::Entries(namespace, after) => {
                let (namespace, after) = (*namespace, after.clone());
                self.at = match self.entries(snapshot, namespace, after, rows_max)? {
                    Some(last) => At::Entries(namespace, Some(last)),
                    None => At::Log(namespace, incarnations(snapshot, namespace)?, 0),
                };
            }
            At::Log(namespace, incarnations, after) => {
                let (namespace, mut incarnations, after) =
                    (*namespace, incarnations.clone(), *after);
                let read = match incarnations.last() {
                    Some(&last) => self.log(snapshot, namespace, last, after, rows_max)?,
                    None => None,
                };
                self.at = match read {
                    Some(after) => At::Log(namespace, incarnations, after),
                    None if incarnations.len() > 1 => {
                        incarnations.pop();
                        At::Log(namespace, incarnations, 0)
                    }
                    None => match NAMESPACES.iter().find(|next| **next > namespace) {
                        Some(&next) => At::Entries(next, None),
                        None => At::Indexes(IndexScrub::default()),
                    },
                };
            }
            At::Indexes(scrub) => {
                if scrub.step(snapshot, declared, rows_max)? {
                    self.found.indexes = std::mem::take(&mut scrub.wrong);
                    self.at = At::Done;
                }
            }
            At::Done => return Ok(Some(std::mem::take(&mut self.found))),
        }
        Ok(None)
    }

    /// Entries against their checksums, and whether each live dot has its log row. Says where it stopped.
    fn entries(
        &mut self,
        snapshot: &dyn Snapshot,
        namespace: Namespace,
        after: Option<Path>,
        rows_max: usize,
    ) -> Result<Option<Path>, StoreError> {
        let (mut looked_at, mut stopped, mut failed) = (0, None, None);
        let found = &mut self.found;
        snapshot.sound_entries(namespace, after.as_ref(), &mut |met| {
            let (path, entry) = match met {
                Ok(met) => met,
                Err(damaged) => {
                    let damaged = (namespace, damaged);
                    if !found.damaged.contains(&damaged) {
                        found.damaged.push(damaged);
                    }
                    return ControlFlow::Continue(());
                }
            };
            looked_at += 1;
            found.entries += 1;
            for live in entry.live() {
                match logs_live(snapshot, namespace, &path, live.dot) {
                    Ok(true) => {}
                    // Its block is damaged, which the log's turn will show.
                    Ok(false) | Err(StoreError::Corrupt { .. }) => {
                        found.unlogged.push((namespace, path.clone(), live.dot));
                    }
                    Err(error) => failed = Some(error),
                }
            }
            if failed.is_some() || looked_at >= rows_max {
                stopped = Some(path);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        failed.map_or(Ok(stopped), Err)
    }

    /// Log rows against their checksums, and whether what is live by them lives. Says where it stopped.
    fn log(
        &mut self,
        snapshot: &dyn Snapshot,
        namespace: Namespace,
        incarnation: Incarnation,
        after: u64,
        rows_max: usize,
    ) -> Result<Option<u64>, StoreError> {
        let (mut looked_at, mut stopped, mut failed) = (0, None, None);
        let found = &mut self.found;
        snapshot.sound_log(namespace, incarnation, after, u64::MAX, &mut |met| {
            let (dot, row) = match met {
                Ok(met) => met,
                Err(block) => {
                    found.blocks.insert((namespace, block));
                    return ControlFlow::Continue(());
                }
            };
            looked_at += 1;
            found.log_rows += 1;
            let is_lost = match snapshot.entry(namespace, &row.path) {
                _ if row.deleted.is_some() => Ok(false),
                Ok(entry) => Ok(!has_content(&entry, dot)),
                // The rest of its record may be sound.
                Err(StoreError::Corrupt { .. }) => Ok(found.is_damaged(namespace, &row.path)),
                Err(error) => Err(error),
            };
            match is_lost {
                Ok(true) if !planted!("the log tells what an entry has lost") => {
                    found.lost.entry((namespace, row.path)).or_default().insert(dot);
                }
                Ok(_) => {}
                Err(error) => failed = Some(error),
            }
            if failed.is_some() || looked_at >= rows_max {
                stopped = Some(dot.seq.get());
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        failed.map_or(Ok(stopped), Err)
    }
}

impl Found {
    /// Whether all is as it should be.
    pub(crate) fn is_sound(&self) -> bool {
        self.damaged.is_empty()
            && self.lost.is_empty()
            && self.blocks.is_empty()
            && self.unlogged.is_empty()
    }

    /// Whether a damaged value may hold what is at a path.
    fn is_damaged(&self, namespace: Namespace, path: &Path) -> bool {
        self.damaged.iter().any(|(of, damaged)| *of == namespace && damaged.contains(path))
    }
}

/// Whether the log says that a dot lives at a path.
pub(super) fn logs_live(
    snapshot: &dyn Snapshot,
    namespace: Namespace,
    path: &Path,
    dot: Dot,
) -> Result<bool, StoreError> {
    let row = snapshot.log_row(namespace, dot)?;
    Ok(row.is_some_and(|row| row.path == *path && row.deleted.is_none()))
}

/// All incarnations that a namespace may hold something of.
fn incarnations(
    snapshot: &dyn Snapshot,
    namespace: Namespace,
) -> Result<Vec<Incarnation>, StoreError> {
    let vv: Option<VersionVector> = read_meta(snapshot, &meta_key::vv(namespace))?;
    let cut: Option<CutMark> = read_meta(snapshot, &meta_key::cut(namespace))?;
    let mut all = vv.unwrap_or_default();
    all.join(&cut.filter(|cut| cut.direct).map(|cut| cut.upto).unwrap_or_default());
    Ok(all.iter().map(|dot| dot.incarnation).collect())
}

const NAMESPACES: [Namespace; 2] = [Namespace::SYSTEM, Namespace::MAIN];
