//! The staged rows, through the changes of a group: of a cut that is arriving, or one that is visible and not
//! yet folded.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use millpond_core::{Dot, Hlc, Namespace, Path, Row};

use super::staged_row::decode_staged;
use super::transaction::{Transaction, namespace_range};
use crate::planted::planted;
use crate::probes::sometimes;
use crate::store::StoreError;

impl Transaction<'_> {
    /// Stores a row of a cut that is arriving.
    pub(super) fn stage(&mut self, namespace: Namespace, path: Path, row: Bytes) {
        self.own.staged.insert((namespace, path), Some(row));
    }

    /// Drops a staged row.
    pub(super) fn unstage(&mut self, namespace: Namespace, path: Path) {
        self.own.staged.insert((namespace, path), None);
    }

    /// Drops all that is staged.
    pub(super) fn unstage_all(&mut self, namespace: Namespace) {
        self.own.staged.retain(|(of, _), _| *of != namespace);
        self.own.unstaged.insert(namespace);
    }

    /// Before anything is written at a path, what is staged there is folded.
    pub(super) fn fold_first(
        &mut self,
        namespace: Namespace,
        path: &Path,
    ) -> Result<(), StoreError> {
        if planted!("a write folds its path first") {
            return Ok(());
        }
        sometimes!(self.unfolded(namespace, path)?.is_some(), WriteFoldsItsPath);
        self.fold_path(namespace, path)
    }

    /// Moves what is staged at a path, of a cut that is visible, to where it stays.
    pub(super) fn fold_path(
        &mut self,
        namespace: Namespace,
        path: &Path,
    ) -> Result<(), StoreError> {
        let Some(row) = self.unfolded(namespace, path)? else { return Ok(()) };
        let mut entry = self.changed_entry(namespace, path)?;
        let Some(fold) = self.heads.folds.get_mut(&namespace) else { return Ok(()) };
        fold.folded += 1;
        let joined = fold.join(&mut entry, &row);
        let deletes: Vec<(Dot, Hlc)> = fold.new_deletes(&row).collect();
        if !joined.is_unchanged() {
            self.own.entries.insert((namespace, path.clone()), entry);
        }
        self.log_joined(namespace, path, &joined, None);
        for (dot, hlc) in deletes {
            self.log_delete(namespace, path, dot, hlc, false);
        }
        self.unstage(namespace, path.clone());
        Ok(())
    }

    /// The row at a path that is visible and not folded.
    pub(super) fn unfolded(
        &self,
        namespace: Namespace,
        path: &Path,
    ) -> Result<Option<Row>, StoreError> {
        if !self.heads.folds.contains_key(&namespace) {
            return Ok(None);
        }
        let key = (namespace, path.clone());
        let changed = self.own.staged.get(&key).or_else(|| self.group.staged.get(&key));
        let row = match changed {
            Some(row) => row.clone(),
            None if self.has_unstaged(namespace) => None,
            None => self.snapshot.staged_row(namespace, path)?,
        };
        row.map(|row| decode_staged(path, row)).transpose()
    }

    fn has_unstaged(&self, namespace: Namespace) -> bool {
        self.group.unstaged.contains(&namespace) || self.own.unstaged.contains(&namespace)
    }

    /// The first staged rows of a namespace in path order, no more than so many and, but for the last one,
    /// so many bytes; and whether these are all.
    pub(super) fn some_staged(
        &self,
        namespace: Namespace,
        rows_max: usize,
        bytes_max: usize,
    ) -> Result<(BTreeMap<Path, Bytes>, bool), StoreError> {
        let (mut rows, mut bytes) = (BTreeMap::new(), 0);
        let mut is_all = true;
        let mut visit = |path: Path, row: Bytes| {
            is_all = rows.len() < rows_max && bytes < bytes_max;
            if !is_all {
                return ControlFlow::Break(());
            }
            bytes += row.len();
            rows.insert(path, row);
            ControlFlow::Continue(())
        };
        let changed = |path: &Path| {
            let key = (namespace, path.clone());
            self.own.staged.get(&key).or_else(|| self.group.staged.get(&key))
        };
        let mut added = self.staged_in_group(namespace).into_iter().peekable();
        let mut is_over = false;
        if !self.has_unstaged(namespace) {
            self.snapshot.staged(namespace, None, &mut |path, row| {
                while let Some((path, row)) = added.next_if(|(next, _)| *next < path) {
                    is_over = visit(path, row).is_break();
                    if is_over {
                        return ControlFlow::Break(());
                    }
                }
                let row = if changed(&path).is_some() { None } else { Some(row) };
                let row = added.next_if(|(next, _)| *next == path).map(|(_, row)| row).or(row);
                let flow = row.map_or(ControlFlow::Continue(()), |row| visit(path, row));
                is_over = flow.is_break();
                flow
            })?;
        }
        if !is_over {
            let _ = added.try_for_each(|(path, row)| visit(path, row));
        }
        Ok((rows, is_all))
    }

    /// The rows that this group of jobs has staged.
    fn staged_in_group(&self, namespace: Namespace) -> BTreeMap<Path, Bytes> {
        let mut rows = BTreeMap::new();
        let is_dropped = self.own.unstaged.contains(&namespace);
        for changes in [Some(self.group).filter(|_| !is_dropped), Some(&self.own)] {
            let changes = changes.into_iter().flat_map(|it| it.staged.iter());
            for ((_, path), row) in changes.filter(|((of, _), _)| *of == namespace) {
                match row {
                    Some(row) => rows.insert(path.clone(), row.clone()),
                    None => rows.remove(path),
                };
            }
        }
        rows
    }

    /// The staged rows at and below a path, or all of them.
    pub(super) fn staged(
        &self,
        namespace: Namespace,
        within: Option<&Path>,
    ) -> Result<BTreeMap<Path, Bytes>, StoreError> {
        let mut rows = BTreeMap::new();
        if !self.has_unstaged(namespace) {
            if let Some(within) = within {
                let row = self.snapshot.staged_row(namespace, within)?;
                rows.extend(row.map(|row| (within.clone(), row)));
            }
            self.snapshot.staged(namespace, within, &mut |path, row| {
                if within.is_some_and(|within| !path.is_within(within)) {
                    return ControlFlow::Break(());
                }
                rows.insert(path, row);
                ControlFlow::Continue(())
            })?;
        }
        for changes in [self.group, &self.own] {
            for ((_, path), row) in namespace_range(&changes.staged, namespace, within) {
                match row {
                    Some(row) => rows.insert(path.clone(), row.clone()),
                    None => rows.remove(path),
                };
            }
        }
        Ok(rows)
    }
}
