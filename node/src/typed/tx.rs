//! Typed records within a transaction.

use millpond_core::{Path, Payload, PayloadKind};

use crate::records::{IdError, RecordError, RecordId, notes_of};
use crate::state::WriteTx;
#[cfg(any(test, feature = "sim"))]
use crate::typed::Draw;
use crate::typed::site::{FoundEntry, SharedTx};
use crate::typed::{Found, Key, Record};

/// Typed records in a transaction, which sees its own writes. All of it commits, or nothing.
impl WriteTx<'_> {
    /// Stores a record: every field that its type has, in place of what is there. For a change of some fields
    /// [`WriteTx::edit`] says what is meant, and costs less.
    ///
    /// # Errors
    /// [`RecordError::Id`] when its key is no key, [`RecordError::Unwritable`], and any
    /// [`WriteError`](crate::WriteError).
    pub fn store<R: Record>(&mut self, record: &R) -> Result<(), RecordError> {
        let path = record_path::<R>(record.key())?;
        let shared = SharedTx::new(self);
        record.write(&shared.site(path.clone()));
        shared.finish()?;
        self.mark_if_nothing_shows(&path)
    }

    /// The record of a key; `None` when there is none.
    ///
    /// # Errors
    /// As [`WriteTx::store`], and [`RecordError::Unreadable`].
    pub fn load<R: Record>(&self, key: impl Into<R::Key>) -> Result<Option<R>, RecordError> {
        let key = key.into();
        let path = record_path::<R>(&key)?;
        read_found(self, &path, |found| match found.shows() {
            true => R::read(key, &found).map(Some),
            false => Ok(None),
        })?
    }

    /// Changes a record's fields one by one, through a proxy: what is not touched is not written.
    ///
    /// # Errors
    /// [`RecordError::Absent`] when there is none, which [`WriteTx::edit_or_create`] creates; and as
    /// [`WriteTx::store`].
    pub fn edit<R: Record, T>(
        &mut self,
        key: impl Into<R::Key>,
        edit: impl FnOnce(&mut R::Edit<'_>) -> T,
    ) -> Result<T, RecordError> {
        let path = record_path::<R>(&key.into())?;
        if !read_found(self, &path, |found| found.shows())? {
            return Err(RecordError::Absent { record: path.to_string() });
        }
        let shared = SharedTx::new(self);
        let value = edit(&mut R::edit(shared.site(path)));
        shared.finish()?;
        Ok(value)
    }

    /// As [`WriteTx::edit`], of a record that need not be there yet: what is not touched reads as its default. Nodes
    /// that create one record at once each write what they touch, and nothing of that is lost.
    ///
    /// # Errors
    /// As [`WriteTx::store`].
    pub fn edit_or_create<R: Record, T>(
        &mut self,
        key: impl Into<R::Key>,
        edit: impl FnOnce(&mut R::Edit<'_>) -> T,
    ) -> Result<T, RecordError> {
        let path = record_path::<R>(&key.into())?;
        let shared = SharedTx::new(self);
        let value = edit(&mut R::edit(shared.site(path.clone())));
        shared.finish()?;
        self.mark_if_nothing_shows(&path)?;
        Ok(value)
    }

    /// A record exists by what it shows; where that is nothing, by a mark.
    fn mark_if_nothing_shows(&mut self, path: &Path) -> Result<(), RecordError> {
        if !read_found(self, path, |found| found.shows())? {
            self.put(mark_path(path)?, mark())?;
        }
        Ok(())
    }

    /// Changes something of a record at random.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn vary<R: Record, D: Draw>(
        &mut self,
        key: &R::Key,
        draw: &mut D,
    ) -> Result<(), RecordError> {
        let shared = SharedTx::new(self);
        R::vary(&shared.site(record_path::<R>(key)?), draw);
        shared.finish()
    }

    /// Removes a record: a delete for each of its paths; counters in it are reset. False when there is none.
    ///
    /// # Errors
    /// As [`WriteTx::store`].
    pub fn remove<R: Record>(&mut self, key: impl Into<R::Key>) -> Result<bool, RecordError> {
        let path = record_path::<R>(&key.into())?;
        let existed = read_found(self, &path, |found| found.shows())?;
        self.clear(&path)?;
        if let Some(notes) = notes_of(&path) {
            self.clear(&notes)?;
        }
        Ok(existed)
    }
}

/// The path that a record's fields lie below.
pub(super) fn record_path<R: Record>(key: &R::Key) -> Result<Path, RecordError> {
    Ok(RecordId::new(R::COLLECTION, key.to_text())?.path())
}

fn read_found<T>(
    tx: &WriteTx<'_>,
    path: &Path,
    read: impl FnOnce(Found<'_>) -> T,
) -> Result<T, RecordError> {
    let entries = FoundEntry::all(path, tx.entries(path)?);
    Ok(read(Found::record(&entries)))
}

/// Where it stands that a record exists whose fields all read as their defaults.
fn mark_path(record: &Path) -> Result<Path, RecordError> {
    Ok(record.child("").map_err(IdError::from)?)
}

fn mark() -> Payload {
    Payload { kind: PayloadKind::LWW, bytes: bytes::Bytes::from_static(b"true") }
}
