//! Where an index is, and reading through it over a snapshot.

use std::cell::OnceCell;
use std::ops::ControlFlow;

use bytes::Bytes;
use millpond_core::{Entry, Namespace, Path};

use super::declared::record_within;
use super::stored::{Built, Indexes, rows_of};
use super::walk::Shelf;
use crate::planted::planted;
use crate::probes::sometimes;
use crate::records::RecordError;
use crate::state::{View, meta_key, read_meta};
use crate::store::{Snapshot, StoreError};

/// How an index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IndexStanding {
    /// All records are listed, by the staged rows of this namespace.
    Whole(Namespace),
    /// It is being built.
    Building,
    /// Nobody keeps it.
    None,
}

impl Indexes {
    /// How an index of a namespace is.
    pub(crate) fn standing(&self, of: Namespace, collection: &str, name: &str) -> IndexStanding {
        match self.find(collection, name) {
            Some(kept) if kept.built == Built::Whole && self.of == of.number() => {
                IndexStanding::Whole(rows_of(kept.number))
            }
            Some(_) => IndexStanding::Building,
            None => IndexStanding::None,
        }
    }
}

/// The rows of an index in a snapshot; see [`Shelf::rows`].
pub(crate) fn stored_rows(
    snapshot: &dyn Snapshot,
    of: Namespace,
    from: Option<&[u8]>,
    is_descending: bool,
    rows_max: usize,
) -> Result<Vec<Path>, StoreError> {
    let mut rows = Vec::new();
    let mut visit = |path: Path, _| {
        rows.push(path);
        if rows.len() < rows_max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    if is_descending {
        snapshot.staged_back(of, from, &mut visit)?;
    } else {
        let after = from.map(|from| Path::from_encoded(Bytes::copy_from_slice(from)));
        let after = after.transpose().expect("rows are read beyond a row, or what rows lie below");
        snapshot.staged(of, after.as_ref(), &mut visit)?;
    }
    Ok(rows)
}

/// Notes the record of a path, unless it is noted; and whether there are enough.
pub(crate) fn note_record(records: &mut Vec<Path>, path: &Path, records_max: usize) -> bool {
    let is_noted = |last: &Path| path.is_within(last);
    if records.last().is_some_and(is_noted) {
        return false;
    }
    if records.len() == records_max {
        return true;
    }
    records.extend(record_within(path));
    false
}

/// A view, as indexes are read over it.
pub(crate) struct ViewShelf<'v> {
    view: &'v View,
    /// Whether there is more to see than the tables have, once that was asked.
    is_folding: OnceCell<bool>,
}

impl<'v> ViewShelf<'v> {
    pub(crate) fn new(view: &'v View) -> Self {
        Self { view, is_folding: OnceCell::new() }
    }

    fn is_folding(&self) -> Result<bool, StoreError> {
        if let Some(is_folding) = self.is_folding.get() {
            return Ok(*is_folding);
        }
        let fold = self.view.snapshot().meta(&meta_key::fold(self.view.namespace()))?;
        sometimes!(fold.is_some(), IndexReadWhileFolding);
        let is_folding = fold.is_some() && !planted!("what an index does not tell of is looked at");
        Ok(*self.is_folding.get_or_init(|| is_folding))
    }
}

impl Shelf for ViewShelf<'_> {
    fn standing(&self, collection: &str, name: &str) -> Result<IndexStanding, StoreError> {
        let indexes: Option<Indexes> = read_meta(self.view.snapshot(), &meta_key::indexes())?;
        let indexes = indexes.unwrap_or_default();
        Ok(indexes.standing(self.view.namespace(), collection, name))
    }

    fn rows(
        &self,
        of: Namespace,
        from: Option<&[u8]>,
        is_descending: bool,
        rows_max: usize,
    ) -> Result<Vec<Path>, StoreError> {
        stored_rows(self.view.snapshot(), of, from, is_descending, rows_max)
    }

    fn record(&self, record: &Path) -> Result<Vec<(Path, Entry)>, RecordError> {
        let mut entries = Vec::new();
        self.view.entries(Some(record), None, &mut |path, entry| {
            entries.push((path, entry));
            ControlFlow::Continue(())
        })?;
        Ok(entries)
    }

    fn records(
        &self,
        collection: &Path,
        after: Option<&Path>,
        records_max: usize,
    ) -> Result<Vec<Path>, StoreError> {
        let mut records = after.cloned().into_iter().collect();
        let records_max = records_max + usize::from(after.is_some());
        self.view.entries_with_lost(Some(collection), after, &mut |path, _| match note_record(
            &mut records,
            &path,
            records_max,
        ) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })?;
        Ok(records.split_off(usize::from(after.is_some())))
    }

    fn moved(
        &self,
        collection: &Path,
        after: Option<&Path>,
        records_max: usize,
    ) -> Result<Vec<Path>, StoreError> {
        if !self.is_folding()? {
            return Ok(Vec::new());
        }
        let mut records = after.cloned().into_iter().collect();
        let records_max = records_max + usize::from(after.is_some());
        let from = after.unwrap_or(collection);
        self.view.snapshot().staged(self.view.namespace(), Some(from), &mut |path, _| {
            let is_over =
                !path.is_within(collection) || note_record(&mut records, &path, records_max);
            if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(records.split_off(usize::from(after.is_some())))
    }

    fn is_moved(&self, record: &Path) -> Result<bool, StoreError> {
        let namespace = self.view.namespace();
        Ok(self.is_folding()? && is_staged(self.view.snapshot(), namespace, record)?)
    }
}

/// Whether something is staged at or below a record's path.
pub(crate) fn is_staged(
    snapshot: &dyn Snapshot,
    namespace: Namespace,
    record: &Path,
) -> Result<bool, StoreError> {
    if snapshot.staged_row(namespace, record)?.is_some() {
        return Ok(true);
    }
    let mut is_staged = false;
    snapshot.staged(namespace, Some(record), &mut |path, _| {
        is_staged = path.is_within(record);
        ControlFlow::Break(())
    })?;
    Ok(is_staged)
}
