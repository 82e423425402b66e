//! Where a field lies: for reading what is there, and for writing within a transaction.

use std::cell::RefCell;

use millpond_core::{Entry, Path, Payload, PayloadKind};
use serde::de::DeserializeOwned;

use crate::records::{RecordError, shows};
use crate::state::{WriteError, WriteTx};
use crate::typed::resolver::{self, Resolver};
use crate::typed::{Draw, Field, PlainEdit};

/// What is stored at and below one place: a record, a field, an element.
#[derive(Debug, Clone, Copy)]
pub struct Found<'e> {
    /// In path order; the first component of each name is that of the place's child.
    entries: &'e [FoundEntry],
    /// How many components of each name lead to this place.
    depth: usize,
}

/// An entry, and the components of its path below the record's.
#[derive(Debug)]
pub(crate) struct FoundEntry {
    below: Vec<Vec<u8>>,
    entry: Entry,
}

impl FoundEntry {
    /// The entry at the place itself.
    pub(crate) fn at_once(entry: &Entry) -> Self {
        Self { below: Vec::new(), entry: entry.clone() }
    }

    /// The entries of a record, as read below its path.
    pub(crate) fn all(record: &Path, entries: Vec<(Path, Entry)>) -> Vec<Self> {
        let depth = record.components().count();
        let found = |(path, entry): (Path, Entry)| Self {
            below: path.components().skip(depth).collect(),
            entry,
        };
        entries.into_iter().map(found).collect()
    }
}

impl<'e> Found<'e> {
    /// All that a record holds.
    pub(crate) fn record(entries: &'e [FoundEntry]) -> Self {
        Self { entries, depth: 0 }
    }

    /// Nothing: what a record reads as whose fields all are their defaults.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn nothing() -> Self {
        Self { entries: &[], depth: 0 }
    }

    /// What is stored of a field.
    ///
    /// # Errors
    /// [`RecordError::Unreadable`] when it is not what the field's type writes.
    pub fn field<F: Field>(&self, name: &str) -> Result<F, RecordError> {
        F::read(&self.child(name.as_bytes())).map_err(|error| error.within(name))
    }

    /// What is stored of a plain field, by its resolver where several values are held.
    ///
    /// # Errors
    /// [`RecordError::Unreadable`] when one of them is not what the field's type writes.
    pub fn resolved<T>(&self, name: &str, resolve: Resolver<T>) -> Result<T, RecordError>
    where
        T: DeserializeOwned + Default,
    {
        resolver::read(self.child(name.as_bytes()).entry(), resolve)
            .map_err(|error| error.within(name))
    }

    /// What is stored at a child.
    pub(crate) fn child(&self, name: &[u8]) -> Self {
        let depth = self.depth;
        let start = self.entries.partition_point(|it| component(it, depth) < Some(name));
        let rest = &self.entries[start..];
        let count = rest.partition_point(|it| component(it, depth) == Some(name));
        Self { entries: &rest[..count], depth: depth + 1 }
    }

    /// The children, by name, each with what is stored there.
    pub(crate) fn children(&self) -> impl Iterator<Item = (&'e [u8], Found<'e>)> + use<'e> {
        let (depth, mut rest) = (self.depth, self.entries);
        std::iter::from_fn(move || {
            loop {
                let (first, others) = rest.split_first()?;
                let Some(name) = component(first, depth) else {
                    rest = others;
                    continue;
                };
                let count = rest.partition_point(|it| component(it, depth) == Some(name));
                let (here, beyond) = rest.split_at(count);
                rest = beyond;
                return Some((name, Found { entries: here, depth: depth + 1 }));
            }
        })
    }

    /// The entry at this very place.
    pub(crate) fn entry(&self) -> Option<&'e Entry> {
        let first = self.entries.first()?;
        (first.below.len() == self.depth).then_some(&first.entry)
    }

    /// Whether something here shows to readers.
    pub(crate) fn shows(&self) -> bool {
        self.entries.iter().any(|it| shows(&it.entry))
    }
}

fn component(entry: &FoundEntry, depth: usize) -> Option<&[u8]> {
    entry.below.get(depth).map(Vec::as_slice)
}

/// A place within a transaction, at which a field is written. A write that fails is remembered, and fails the
/// call that gave out the site.
#[derive(Clone)]
pub struct Site<'p> {
    pen: &'p dyn Pen,
    path: Path,
}

/// A transaction that many sites write into.
pub(crate) trait Pen {
    /// Does something with the transaction; after a failure nothing is done any more.
    fn with(&self, write: &mut dyn FnMut(&mut WriteTx<'_>) -> Result<(), RecordError>);
}

/// The pen over a transaction.
pub(crate) struct SharedTx<'t, 'a> {
    tx: RefCell<&'t mut WriteTx<'a>>,
    failure: RefCell<Option<RecordError>>,
}

impl<'t, 'a> SharedTx<'t, 'a> {
    pub(crate) fn new(tx: &'t mut WriteTx<'a>) -> Self {
        Self { tx: RefCell::new(tx), failure: RefCell::default() }
    }

    /// What has failed, if anything has.
    pub(crate) fn finish(self) -> Result<(), RecordError> {
        self.failure.into_inner().map_or(Ok(()), Err)
    }

    /// The place of a record.
    pub(crate) fn site(&self, path: Path) -> Site<'_> {
        Site { pen: self, path }
    }
}

impl Pen for SharedTx<'_, '_> {
    fn with(&self, write: &mut dyn FnMut(&mut WriteTx<'_>) -> Result<(), RecordError>) {
        if self.failure.borrow().is_some() {
            return;
        }
        if let Err(error) = write(&mut self.tx.borrow_mut()) {
            *self.failure.borrow_mut() = Some(error);
        }
    }
}

impl<'p> Site<'p> {
    /// The place of a field.
    pub fn field(&self, name: &str) -> Self {
        self.child(name.as_bytes()).unwrap_or_else(|| self.clone())
    }

    /// Writes a field, in place of what is there.
    pub fn write<F: Field>(&self, name: &str, value: &F) {
        value.write(&self.field(name));
    }

    /// Changes something of a field at random.
    #[doc(hidden)]
    pub fn vary<F: Field, D: Draw>(&self, name: &str, draw: &mut D) {
        F::vary(&self.field(name), draw);
    }

    /// The proxy through which a field is changed.
    pub fn edit<F: Field>(&self, name: &str) -> F::Edit<'p> {
        F::edit(self.field(name))
    }

    /// The proxy through which a plain field is changed that has a resolver.
    pub fn edit_resolved<T>(&self, name: &str, resolve: Resolver<T>) -> PlainEdit<'p, T> {
        PlainEdit::of(self.field(name), Some(resolve))
    }

    /// A place below this one. `None` when its path would be too long: that is remembered as a failure.
    pub(crate) fn child(&self, name: &[u8]) -> Option<Self> {
        match self.path.child(name) {
            Ok(path) => Some(Self { pen: self.pen, path }),
            Err(error) => {
                self.pen.with(&mut |_| Err(WriteError::from(error).into()));
                None
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Does something with the transaction.
    pub(crate) fn with(&self, mut write: impl FnMut(&mut WriteTx<'_>) -> Result<(), RecordError>) {
        self.pen.with(&mut write);
    }

    /// Writes a payload here.
    pub(crate) fn put(&self, payload: &Payload) {
        self.with(|tx| Ok(tx.put(self.path.clone(), payload.clone())?));
    }

    /// Writes a payload, or deletes what is here.
    pub(crate) fn put_or_delete(&self, payload: Option<&Payload>) {
        match payload {
            Some(payload) => self.put(payload),
            None => self.with(|tx| Ok(tx.delete(&self.path).map(drop)?)),
        }
    }

    /// Removes all that is at and below this place: a delete for each path, counters are reset.
    pub(crate) fn clear(&self) {
        self.with(|tx| Ok(tx.clear(&self.path)?));
    }

    /// Reads what is at and below this place, with what the transaction wrote so far.
    pub(crate) fn read<T: Default>(
        &self,
        read: impl Fn(&Found<'_>) -> Result<T, RecordError>,
    ) -> T {
        let mut value = T::default();
        self.with(|tx| {
            let entries = FoundEntry::all(&self.path, tx.entries(&self.path)?);
            value = read(&Found::record(&entries))?;
            Ok(())
        });
        value
    }

    /// What a field here holds, with what the transaction wrote so far.
    pub(crate) fn value<F: Field>(&self) -> Option<F> {
        self.read(|found| F::read(found).map(Some))
    }
}

impl std::fmt::Debug for Site<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Site").field(&self.path).finish()
    }
}

/// The value of a payload that holds JSON.
pub(crate) fn from_json<T: DeserializeOwned>(payload: &Payload) -> Result<T, RecordError> {
    serde_json::from_slice(&payload.bytes)
        .map_err(|error| RecordError::unreadable(error.to_string()))
}

/// A payload that holds JSON.
///
/// # Errors
/// [`RecordError::Unwritable`] when the value has no JSON form.
pub(crate) fn to_json<T: serde::Serialize>(
    value: &T,
    kind: PayloadKind,
) -> Result<Payload, RecordError> {
    let bytes = serde_json::to_vec(value)
        .map_err(|error| RecordError::Unwritable { why: error.to_string() })?;
    Ok(Payload { kind, bytes: bytes.into() })
}
