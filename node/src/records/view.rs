//! Reading records.

use std::ops::ControlFlow;

use millpond_core::{Entry, Path, VersionVector};

use crate::records::id::check_collection;
use crate::records::{Record, RecordError, RecordId};
use crate::state::View;
use crate::store::StoreError;

/// Records of one consistent view. All methods may block on a disk.
#[derive(Debug, Clone)]
pub struct RecordView {
    pub(super) view: View,
}

/// Which records of a collection to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// Only keys that start with this.
    pub prefix: String,
    /// Only keys beyond this one.
    pub after: Option<String>,
}

impl RecordView {
    /// The records of this view.
    pub fn new(view: View) -> Self {
        Self { view }
    }

    /// What the view covers.
    pub fn vv(&self) -> &VersionVector {
        self.view.vv()
    }

    /// The record; `None` if it is absent.
    ///
    /// # Errors
    /// [`RecordError::Store`].
    pub fn get(&self, id: &RecordId) -> Result<Option<Record>, RecordError> {
        Ok(Record::from_entries(id.clone(), &entries_of(&self.view, id)?))
    }

    /// Visits records of a collection in the order of their keys, until `visit` breaks.
    ///
    /// # Errors
    /// [`RecordError::Store`], and [`RecordError::Id`] for a collection that has no valid name.
    pub fn scan(
        &self,
        collection: &str,
        scan: &Scan,
        visit: &mut dyn FnMut(Record) -> ControlFlow<()>,
    ) -> Result<(), RecordError> {
        check_collection(collection)?;
        let within = Path::new([collection]).map_err(crate::records::IdError::from)?;
        let from_prefix = Path::new([collection, &scan.prefix]);
        let from_after = scan.after.as_ref().map(|after| {
            // Field names are text, which has no byte ff: this is beyond all that lies below the key.
            Path::new([collection.as_bytes(), after.as_bytes(), &[0xff]])
        });
        let mut after = from_prefix.map_err(crate::records::IdError::from)?;
        if let Some(from) = from_after {
            after = after.max(from.map_err(crate::records::IdError::from)?);
        }
        self.group(Some(&within), Some(&after), &mut |record| {
            if !record.id.key().starts_with(&scan.prefix) {
                return ControlFlow::Break(());
            }
            visit(record)
        })
    }

    /// How many records a collection holds, by reading all of them.
    ///
    /// # Errors
    /// As [`RecordView::scan`].
    pub fn count(&self, collection: &str) -> Result<u64, RecordError> {
        let mut count = 0;
        self.scan(collection, &Scan::default(), &mut |_| {
            count += 1;
            ControlFlow::Continue(())
        })?;
        Ok(count)
    }

    /// The collections with their numbers of records, by reading everything.
    ///
    /// # Errors
    /// [`RecordError::Store`].
    pub fn collections(&self) -> Result<Vec<(String, u64)>, RecordError> {
        let mut collections: Vec<(String, u64)> = Vec::new();
        self.export(&mut |record| {
            match collections.last_mut() {
                Some((name, count)) if name == record.id.collection() => *count += 1,
                _ => collections.push((record.id.collection().to_owned(), 1)),
            }
            ControlFlow::Continue(())
        })?;
        Ok(collections)
    }

    /// Visits the records with a field that has several values, of one collection or of all.
    ///
    /// # Errors
    /// As [`RecordView::scan`].
    pub fn conflicts(
        &self,
        collection: Option<&str>,
        visit: &mut dyn FnMut(Record) -> ControlFlow<()>,
    ) -> Result<(), RecordError> {
        let mut conflicting = |record: Record| {
            let conflicts = record.conflicts().next().is_some();
            if conflicts { visit(record) } else { ControlFlow::Continue(()) }
        };
        match collection {
            Some(collection) => self.scan(collection, &Scan::default(), &mut conflicting),
            None => self.export(&mut conflicting),
        }
    }

    /// Visits all records in path order: the canonical export. Each [`Record`] serializes as its line.
    ///
    /// # Errors
    /// [`RecordError::Store`].
    pub fn export(
        &self,
        visit: &mut dyn FnMut(Record) -> ControlFlow<()>,
    ) -> Result<(), RecordError> {
        self.group(None, None, visit)
    }

    /// Puts the entries of each record together.
    fn group(
        &self,
        within: Option<&Path>,
        after: Option<&Path>,
        visit: &mut dyn FnMut(Record) -> ControlFlow<()>,
    ) -> Result<(), RecordError> {
        each_record(&self.view, within, after, &mut |id, entries| match Record::from_entries(
            id, &entries,
        ) {
            Some(record) => visit(record),
            None => ControlFlow::Continue(()),
        })?;
        Ok(())
    }
}

/// Visits the entries of each record, those at and below `within`, if given, and beyond `after`, if given.
pub(crate) fn each_record(
    view: &View,
    within: Option<&Path>,
    after: Option<&Path>,
    visit: &mut dyn FnMut(RecordId, Vec<(Path, Entry)>) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut entries: Vec<(Path, Entry)> = Vec::new();
    let mut flow = ControlFlow::Continue(());
    view.entries(within, after, &mut |path, entry| {
        let same = entries.first().is_some_and(|(first, _)| {
            let prefix = first.prefix_bytes(2);
            path.as_bytes().starts_with(&first.as_bytes()[..prefix])
        });
        if !same {
            flow = finish(&mut entries, visit);
        }
        entries.push((path, entry));
        flow
    })?;
    if flow.is_continue() {
        let _ = finish(&mut entries, visit);
    }
    Ok(())
}

/// The entries of one record; none if it is absent.
pub(crate) fn entries_of(view: &View, id: &RecordId) -> Result<Vec<(Path, Entry)>, StoreError> {
    let mut entries = Vec::new();
    view.entries(Some(&id.path()), None, &mut |path, entry| {
        entries.push((path, entry));
        ControlFlow::Continue(())
    })?;
    Ok(entries)
}

/// Shows the record of these entries, if they are of one, and starts the next.
fn finish(
    entries: &mut Vec<(Path, Entry)>,
    visit: &mut dyn FnMut(RecordId, Vec<(Path, Entry)>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let entries = std::mem::take(entries);
    match entries.first().and_then(|(path, _)| record_id(path)) {
        Some(id) => visit(id, entries),
        None => ControlFlow::Continue(()),
    }
}

/// The record that a path belongs to; `None` if it belongs to none.
pub(crate) fn record_id(path: &Path) -> Option<RecordId> {
    let mut components = path.components().map(String::from_utf8);
    let (collection, key) = (components.next()?.ok()?, components.next()?.ok()?);
    RecordId::new(collection, key).ok()
}
