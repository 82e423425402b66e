//! Reading through an index within a transaction, which sees its own writes.

use std::collections::BTreeSet;
use std::ops::{Bound, ControlFlow};

use bytes::Bytes;
use millpond_core::{Entry, Namespace, Path};

use super::write::WriteTx;
use crate::indexes::{IndexStanding, Shelf, is_staged, note_record, stored_rows};
use crate::planted::planted;
use crate::records::RecordError;
use crate::store::StoreError;

/// The rows are those of before the group of jobs that the transaction is of. What has changed since, in the jobs
/// before it, in its own writes, or because a cut is being folded, has moved.
impl Shelf for WriteTx<'_> {
    fn standing(&self, collection: &str, name: &str) -> Result<IndexStanding, StoreError> {
        let indexes = self.tx.heads.indexing.stored.as_deref();
        Ok(indexes.map_or(IndexStanding::None, |it| it.standing(self.namespace, collection, name)))
    }

    fn rows(
        &self,
        of: Namespace,
        from: Option<&[u8]>,
        is_descending: bool,
        rows_max: usize,
    ) -> Result<Vec<Path>, StoreError> {
        stored_rows(self.tx.snapshot, of, from, is_descending, rows_max)
    }

    fn record(&self, record: &Path) -> Result<Vec<(Path, Entry)>, RecordError> {
        Ok(self.entries(record)?)
    }

    fn records(
        &self,
        collection: &Path,
        after: Option<&Path>,
        records_max: usize,
    ) -> Result<Vec<Path>, StoreError> {
        let mut stored = after.cloned().into_iter().collect();
        let stored_max = records_max + usize::from(after.is_some());
        self.tx.snapshot.entries(self.namespace, Some(collection), after, &mut |path, _| {
            match note_record(&mut stored, &path, stored_max) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })?;
        let mut records: BTreeSet<Path> =
            stored.into_iter().skip(usize::from(after.is_some())).collect();
        records.extend(self.moved(collection, after, records_max)?);
        Ok(records.into_iter().take(records_max).collect())
    }

    fn moved(
        &self,
        collection: &Path,
        after: Option<&Path>,
        records_max: usize,
    ) -> Result<Vec<Path>, StoreError> {
        if planted!("what an index does not tell of is looked at") {
            return Ok(Vec::new());
        }
        let mut records = BTreeSet::new();
        let mut note = |paths: &mut dyn Iterator<Item = Path>| {
            let mut some = Vec::new();
            let is_new = |path: &Path| after.is_none_or(|after| !path.is_within(after));
            for path in paths.filter(is_new).take_while(|path| path.is_within(collection)) {
                if note_record(&mut some, &path, records_max) {
                    break;
                }
            }
            records.extend(some);
        };
        let from = after.unwrap_or(collection);
        let beyond = (Bound::Excluded((self.namespace, from.clone())), Bound::Unbounded);
        let of = self.namespace;
        note(&mut self.pending.range(from.clone()..).map(|(path, _)| path.clone()));
        for changes in [&self.tx.own, self.tx.group] {
            let changed = changes.entries.range(beyond.clone());
            let changed = changed.take_while(|((namespace, _), _)| *namespace == of);
            note(&mut changed.map(|((_, path), _)| path.clone()));
            if self.is_folding() {
                let staged = changes.staged.range(beyond.clone());
                let staged = staged.take_while(|((namespace, _), _)| *namespace == of);
                note(&mut staged.map(|((_, path), _)| path.clone()));
            }
        }
        if self.is_folding() {
            let mut staged = after.cloned().into_iter().collect();
            let staged_max = records_max + usize::from(after.is_some());
            self.tx.snapshot.staged(of, Some(from), &mut |path: Path, _: Bytes| {
                let is_over =
                    !path.is_within(collection) || note_record(&mut staged, &path, staged_max);
                if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            records.extend(staged.into_iter().skip(usize::from(after.is_some())));
        }
        Ok(records.into_iter().take(records_max).collect())
    }

    fn is_moved(&self, record: &Path) -> Result<bool, StoreError> {
        if planted!("what an index does not tell of is looked at") {
            return Ok(false);
        }
        let is_within = |path: Option<&Path>| path.is_some_and(|path| path.is_within(record));
        let next = self.pending.range(record.clone()..).next();
        if is_within(next.map(|(path, _)| path)) {
            return Ok(true);
        }
        let place = (self.namespace, record.clone());
        for changes in [&self.tx.own, self.tx.group] {
            let mut next = vec![changes.entries.range(place.clone()..).next().map(|(key, _)| key)];
            if self.is_folding() {
                next.push(changes.staged.range(place.clone()..).next().map(|(key, _)| key));
            }
            let of = self.namespace;
            let is_here =
                |(namespace, path): &(Namespace, Path)| *namespace == of && path.is_within(record);
            if next.into_iter().flatten().any(is_here) {
                return Ok(true);
            }
        }
        Ok(self.is_folding() && is_staged(self.tx.snapshot, self.namespace, record)?)
    }
}

impl WriteTx<'_> {
    fn is_folding(&self) -> bool {
        self.tx.heads.folds.contains_key(&self.namespace)
    }
}
