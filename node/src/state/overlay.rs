//! The overlay: a snapshot in which cuts that are visible look folded.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use millpond_core::{Dot, DotRange, Entry, Incarnation, Namespace, Path, Row, Seq, VersionVector};

use super::fold::Fold;
use super::staged_row::decode_staged;
use crate::planted::planted;
use crate::store::{DamagedEntries, LogRow, MetaKey, Snapshot, StoreError};

/// What readers see of a snapshot (R7): the tables as they will be once everything is folded.
pub(crate) struct Overlay {
    tables: Arc<dyn Snapshot>,
    namespace: Namespace,
    fold: Fold,
    /// The log rows that the staged rows stand for, once somebody has asked for some.
    log: OnceLock<BTreeMap<Dot, LogRow>>,
}

impl Overlay {
    /// The snapshot as readers of a namespace see it.
    pub(crate) fn over(
        tables: Arc<dyn Snapshot>,
        namespace: Namespace,
    ) -> Result<Arc<dyn Snapshot>, StoreError> {
        Ok(match Fold::of(&*tables, namespace)? {
            Some(fold) if !planted!("a cut is seen whole") => {
                Arc::new(Self { tables, namespace, fold, log: OnceLock::new() })
            }
            _ => tables,
        })
    }

    /// The snapshot as its readers will see it once a staged cut that is arriving has become visible, if nothing
    /// more comes.
    pub(super) fn with_cut(
        tables: Arc<dyn Snapshot>,
        namespace: Namespace,
        before: VersionVector,
        upto: VersionVector,
    ) -> Arc<dyn Snapshot> {
        let fold = Fold { before, upto, ..Fold::default() };
        Arc::new(Self { tables, namespace, fold, log: OnceLock::new() })
    }

    fn unfolded(&self, path: &Path) -> Result<Option<Row>, StoreError> {
        let row = self.tables.staged_row(self.namespace, path)?;
        row.map(|row| decode_staged(path, row)).transpose()
    }

    fn joined(&self, mut entry: Entry, path: &Path, row: Bytes) -> Result<Entry, StoreError> {
        let row = decode_staged(path, row)?;
        self.fold.join(&mut entry, &row);
        Ok(entry)
    }

    /// The log rows that folding will add. It reads all that is staged, once.
    fn added(&self) -> Result<&BTreeMap<Dot, LogRow>, StoreError> {
        if let Some(log) = self.log.get() {
            return Ok(log);
        }
        let mut log = BTreeMap::new();
        let mut failed = None;
        self.fold.staged_rows(&*self.tables, self.namespace, None, &mut |row| {
            match self.log_of(&row) {
                Ok(rows) => log.extend(rows),
                Err(error) => failed = Some(error),
            }
            if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        failed.map_or_else(|| Ok(self.log.get_or_init(|| log)), Err)
    }

    fn log_of(&self, row: &Row) -> Result<Vec<(Dot, LogRow)>, StoreError> {
        let mut entry = self.tables.entry(self.namespace, &row.path)?;
        let added = self.fold.join(&mut entry, row).added;
        let log_row = |deleted| LogRow { path: row.path.clone(), deleted, ends_transaction: false };
        let added = added.into_iter().map(|dot| (dot, log_row(None)));
        let deletes = self.fold.new_deletes(row).map(|(dot, hlc)| (dot, log_row(Some(hlc))));
        Ok(added.chain(deletes).collect())
    }

    /// Whether folding will drop a log row: its dot is overwritten in the cut.
    fn is_overwritten(&self, dot: Dot, row: &LogRow) -> Result<bool, StoreError> {
        if row.deleted.is_some() || !self.fold.upto.covers(dot) {
            return Ok(false);
        }
        let staged = self.unfolded(&row.path)?;
        Ok(staged.is_some_and(|staged| staged.live.iter().all(|live| live.dot != dot)))
    }
}

impl Snapshot for Overlay {
    fn entry(&self, namespace: Namespace, path: &Path) -> Result<Entry, StoreError> {
        let entry = self.tables.entry(namespace, path)?;
        if namespace != self.namespace {
            return Ok(entry);
        }
        match self.tables.staged_row(namespace, path)? {
            Some(row) => self.joined(entry, path, row),
            None => Ok(entry),
        }
    }

    fn entries(
        &self,
        namespace: Namespace,
        within: Option<&Path>,
        after: Option<&Path>,
        visit: &mut dyn FnMut(Path, Entry) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        if namespace != self.namespace {
            return self.tables.entries(namespace, within, after, visit);
        }
        let mut staged = StagedRows::new(self, within, after)?;
        let mut visit = |path, entry: Entry| match entry.is_absent() {
            true => ControlFlow::Continue(()),
            false => visit(path, entry),
        };
        let mut failed = None;
        let mut is_over = false;
        self.tables.entries(namespace, within, after, &mut |path, entry| {
            let flow = staged.visit_upto(&path, &mut visit).and_then(|flow| {
                if flow.is_break() {
                    return Ok(flow);
                }
                Ok(match staged.take_at(&path)? {
                    Some(row) => {
                        let entry = self.joined(entry, &path, row)?;
                        visit(path, entry)
                    }
                    None => visit(path, entry),
                })
            });
            let flow = flow.unwrap_or_else(|error| {
                failed = Some(error);
                ControlFlow::Break(())
            });
            is_over = flow.is_break();
            flow
        })?;
        match failed {
            Some(error) => Err(error),
            None if is_over => Ok(()),
            None => staged.visit_rest(&mut visit),
        }
    }

    fn sound_entries(
        &self,
        namespace: Namespace,
        after: Option<&Path>,
        visit: &mut dyn FnMut(Result<(Path, Entry), DamagedEntries>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        if namespace != self.namespace {
            return self.tables.sound_entries(namespace, after, visit);
        }
        let mut staged = StagedRows::new(self, None, after)?;
        let mut damaged: Option<DamagedEntries> = None;
        let mut tell = |met: Result<(Path, Entry), DamagedEntries>| match met {
            // A staged row whose entry is damaged is not all of it.
            Ok((path, entry)) => {
                let is_damaged = damaged.as_ref().is_some_and(|it| it.contains(&path));
                match entry.is_absent() || is_damaged {
                    true => ControlFlow::Continue(()),
                    false => visit(Ok((path, entry))),
                }
            }
            Err(met) => {
                damaged = Some(met.clone());
                visit(Err(met))
            }
        };
        let mut failed = None;
        let mut is_over = false;
        self.tables.sound_entries(namespace, after, &mut |met| {
            let first = match &met {
                Ok((path, _)) => path,
                Err(damaged) => &damaged.first,
            };
            let before = staged.visit_upto(first, &mut |path, entry| tell(Ok((path, entry))));
            let flow = before.and_then(|flow| {
                if flow.is_break() {
                    return Ok(flow);
                }
                let (path, entry) = match met {
                    Ok(met) => met,
                    Err(met) => return Ok(tell(Err(met))),
                };
                let entry = match staged.take_at(&path)? {
                    Some(row) => self.joined(entry, &path, row)?,
                    None => entry,
                };
                Ok(tell(Ok((path, entry))))
            });
            let flow = flow.unwrap_or_else(|error| {
                failed = Some(error);
                ControlFlow::Break(())
            });
            is_over = flow.is_break();
            flow
        })?;
        match failed {
            Some(error) => Err(error),
            None if is_over => Ok(()),
            None => staged.visit_rest(&mut |path, entry| tell(Ok((path, entry)))),
        }
    }

    fn log_row(&self, namespace: Namespace, dot: Dot) -> Result<Option<LogRow>, StoreError> {
        let seq = dot.seq.get();
        let mut found = None;
        self.log(namespace, dot.incarnation, seq - 1, seq, &mut |_, row| {
            found = Some(row);
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    fn log(
        &self,
        namespace: Namespace,
        incarnation: Incarnation,
        after: u64,
        upto: u64,
        visit: &mut dyn FnMut(Dot, LogRow) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let last = Seq::new(upto).filter(|_| namespace == self.namespace && after < upto);
        let Some(last) = last else {
            return self.tables.log(namespace, incarnation, after, upto, visit);
        };
        // Without new dots of the cut only what it overwrote is left to be told apart.
        let mut added = VecDeque::new();
        if self.fold.brings(DotRange { incarnation, after, upto: last }) {
            let range = Dot::new(incarnation, Seq::FIRST)..=Dot::new(incarnation, last);
            let rows = self.added()?.range(range).filter(|(dot, _)| dot.seq.get() > after);
            added.extend(rows.map(|(dot, row)| (*dot, row.clone())));
        }
        let mut failed = None;
        let mut is_over = false;
        self.tables.log(namespace, incarnation, after, upto, &mut |dot, row| {
            while added.front().is_some_and(|(next, _)| *next < dot) {
                let next = added.pop_front();
                is_over = next.is_some_and(|(next, row)| visit(next, row).is_break());
                if is_over {
                    return ControlFlow::Break(());
                }
            }
            let flow = match self.is_overwritten(dot, &row) {
                Ok(true) => ControlFlow::Continue(()),
                Ok(false) => visit(dot, row),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            };
            is_over = flow.is_break();
            flow
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        if !is_over {
            let _ = added.into_iter().try_for_each(|(dot, row)| visit(dot, row));
        }
        Ok(())
    }

    fn staged_row(&self, namespace: Namespace, path: &Path) -> Result<Option<Bytes>, StoreError> {
        self.tables.staged_row(namespace, path)
    }

    fn staged(
        &self,
        namespace: Namespace,
        after: Option<&Path>,
        visit: &mut dyn FnMut(Path, Bytes) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.tables.staged(namespace, after, visit)
    }

    fn staged_back(
        &self,
        namespace: Namespace,
        below: Option<&[u8]>,
        visit: &mut dyn FnMut(Path, Bytes) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.tables.staged_back(namespace, below, visit)
    }

    fn meta(&self, key: &MetaKey) -> Result<Option<Bytes>, StoreError> {
        self.tables.meta(key)
    }
}

/// The staged rows beside a scan of the entries, read some at a time.
struct StagedRows<'a> {
    overlay: &'a Overlay,
    within: Option<&'a Path>,
    rows: VecDeque<(Path, Bytes)>,
    /// The last one read, unless that was the end.
    last: Option<Path>,
    is_read: bool,
}

impl<'a> StagedRows<'a> {
    fn new(
        overlay: &'a Overlay,
        within: Option<&'a Path>,
        after: Option<&'a Path>,
    ) -> Result<Self, StoreError> {
        let mut rows = VecDeque::new();
        let mut last = after.cloned();
        // What is within a path begins with that path.
        if let Some(within) = within.filter(|within| after.is_none_or(|after| after < *within)) {
            let row = overlay.tables.staged_row(overlay.namespace, within)?;
            rows.extend(row.map(|row| (within.clone(), row)));
            last = Some(within.clone());
        }
        Ok(Self { overlay, within, rows, last, is_read: false })
    }

    fn front(&mut self) -> Result<Option<&Path>, StoreError> {
        if self.rows.is_empty() && !self.is_read {
            let (within, rows) = (self.within, &mut self.rows);
            let tables = &self.overlay.tables;
            self.is_read = true;
            let is_read = &mut self.is_read;
            tables.staged(self.overlay.namespace, self.last.as_ref(), &mut |path, row| {
                if within.is_some_and(|within| !path.is_within(within)) {
                    return ControlFlow::Break(());
                }
                rows.push_back((path, row));
                *is_read = rows.len() < READ_AT_ONCE;
                if *is_read { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            self.last = self.rows.back().map(|(path, _)| path.clone());
        }
        Ok(self.rows.front().map(|(path, _)| path))
    }

    /// The row at a path, if that is the next one.
    fn take_at(&mut self, path: &Path) -> Result<Option<Bytes>, StoreError> {
        let is_next = self.front()? == Some(path);
        let next = if is_next { self.rows.pop_front() } else { None };
        Ok(next.map(|(_, row)| row))
    }

    /// Visits the paths before this one that have no entry.
    fn visit_upto(
        &mut self,
        end: &Path,
        visit: &mut dyn FnMut(Path, Entry) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StoreError> {
        while self.front()?.is_some_and(|next| next < end) {
            if self.visit_next(visit)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn visit_rest(
        mut self,
        visit: &mut dyn FnMut(Path, Entry) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        while self.front()?.is_some() {
            if self.visit_next(visit)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn visit_next(
        &mut self,
        visit: &mut dyn FnMut(Path, Entry) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StoreError> {
        let Some((path, row)) = self.rows.pop_front() else { return Ok(ControlFlow::Continue(())) };
        let entry = self.overlay.joined(Entry::absent(), &path, row)?;
        Ok(visit(path, entry))
    }
}

/// Staged rows read at once beside a scan.
const READ_AT_ONCE: usize = 256;
