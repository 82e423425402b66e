//! Writing records.

use bytes::Bytes;
use millpond_core::{Payload, PayloadKind};

use crate::records::id::{check_field, notes_of};
use crate::records::record::{Layout, path_below};
use crate::records::{Document, Json, Record, RecordError, RecordId, Version};
use crate::state::WriteTx;
use crate::{Replica, Write};

/// Records within a transaction: it sees its own writes, and all of them commit or none.
///
/// When a method fails, let the whole transaction fail, by returning the error: some of the method's own
/// writes may be pending.
#[derive(Debug)]
pub struct RecordTx<'tx, 'a> {
    tx: &'tx mut WriteTx<'a>,
}

/// What must hold for a record before it is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing.
    #[default]
    Any,
    /// It exists.
    Exists,
    /// It does not exist.
    Absent,
    /// It is at this version.
    At(Version),
}

/// Runs a transaction over records on a replica when it is awaited: atomic, and durable when it returns.
///
/// # Errors
/// Awaiting it fails with any [`RecordError`]; then nothing was written, except that after [`WriteError::Closed`](crate::WriteError::Closed) and
/// [`WriteError::Store`](crate::WriteError::Store) it is unknown.
pub fn write<T: Send + 'static>(
    replica: &Replica,
    closure: impl FnOnce(&mut RecordTx<'_, '_>) -> Result<T, RecordError> + Send + 'static,
) -> Write<'_, T, RecordError> {
    replica.write(move |tx| closure(&mut RecordTx::new(tx)))
}

impl<'tx, 'a> RecordTx<'tx, 'a> {
    /// Records of this transaction.
    pub fn new(tx: &'tx mut WriteTx<'a>) -> Self {
        Self { tx }
    }

    /// Replaces the record: fields that `document` does not name are deleted, counters among them reset.
    ///
    /// # Errors
    /// [`RecordError::IsCounter`], [`RecordError::Id`] and any [`WriteError`](crate::WriteError).
    pub fn put(&mut self, id: &RecordId, document: &Document) -> Result<(), RecordError> {
        let layout = self.layout(id)?;
        for (name, value) in &document.0 {
            self.put_field(id, &layout, name, value, None)?;
        }
        for name in layout.fields().filter(|&name| !document.0.contains_key(name)) {
            self.tx.clear(&id.field(name)?)?;
        }
        self.mark(id, layout.present, document.0.is_empty())
    }

    /// Changes the fields that `changes` names; `null` deletes one. The record is created if it is absent.
    ///
    /// # Errors
    /// [`RecordError::IsCounter`], [`RecordError::Id`] and any [`WriteError`](crate::WriteError).
    pub fn patch(&mut self, id: &RecordId, changes: &Document) -> Result<(), RecordError> {
        let layout = self.layout(id)?;
        let existed = self.get(id)?.is_some();
        for (name, value) in &changes.0 {
            if !value.is_null() {
                self.put_field(id, &layout, name, value, None)?;
                continue;
            }
            check_field(name)?;
            self.tx.clear(&id.field(name)?)?;
        }
        let creates = existed || changes.0.is_empty();
        if creates && self.get(id)?.is_none() {
            return self.mark(id, layout.present, true); // its last field went: it is `{}`, not absent
        }
        Ok(())
    }

    /// Deletes the record; counters in it are reset. `false` if it was absent.
    ///
    /// # Errors
    /// Any [`WriteError`](crate::WriteError).
    pub fn delete(&mut self, id: &RecordId) -> Result<bool, RecordError> {
        let existed = self.get(id)?.is_some();
        self.tx.clear(&id.path())?;
        if let Some(notes) = notes_of(&id.path()) {
            self.tx.clear(&notes)?;
        }
        Ok(existed)
    }

    /// Adds to a counter, which begins at zero, and returns its value. The record is created if absent.
    ///
    /// # Errors
    /// [`RecordError::IsPlain`], [`RecordError::Id`] and any [`WriteError`](crate::WriteError).
    pub fn count(&mut self, id: &RecordId, field: &str, delta: i64) -> Result<i128, RecordError> {
        check_field(field)?;
        if self.layout(id)?.registers.contains_key(field) {
            let (record, field) = (id.to_string(), field.to_owned());
            return Err(RecordError::IsPlain { record, field });
        }
        self.tx.count(&id.field(field)?, delta)?;
        Ok(self.layout(id)?.counter(field).unwrap_or(0))
    }

    /// Writes a field whose concurrent values are all wanted.
    ///
    /// # Errors
    /// [`RecordError::IsCounter`], [`RecordError::Id`] and any [`WriteError`](crate::WriteError).
    pub fn put_multi(
        &mut self,
        id: &RecordId,
        field: &str,
        value: &Json,
    ) -> Result<(), RecordError> {
        let layout = self.layout(id)?;
        self.put_field(id, &layout, field, value, Some(PayloadKind::MULTI))
    }

    /// Checks a precondition.
    ///
    /// # Errors
    /// [`RecordError::Changed`] when it does not hold.
    pub fn require(&self, id: &RecordId, condition: Precondition) -> Result<(), RecordError> {
        if condition == Precondition::Any {
            return Ok(());
        }
        let found = self.get(id)?.map(|record| record.version);
        let holds = match condition {
            Precondition::Any => true,
            Precondition::Exists => found.is_some(),
            Precondition::Absent => found.is_none(),
            Precondition::At(version) => found == Some(version),
        };
        if holds {
            return Ok(());
        }
        Err(RecordError::Changed { record: id.to_string(), found })
    }

    /// The record with this transaction's writes.
    ///
    /// # Errors
    /// Any [`WriteError`](crate::WriteError).
    pub fn get(&self, id: &RecordId) -> Result<Option<Record>, RecordError> {
        Ok(Record::from_entries(id.clone(), &self.tx.entries(&id.path())?))
    }

    fn layout(&self, id: &RecordId) -> Result<Layout, RecordError> {
        let path = id.path();
        let mut layout = Layout::default();
        for (below, entry) in self.tx.entries(&path)? {
            layout.add(&path_below(&below, &path), &entry);
        }
        Ok(layout)
    }

    fn put_field(
        &mut self,
        id: &RecordId,
        layout: &Layout,
        name: &str,
        value: &Json,
        kind: Option<PayloadKind>,
    ) -> Result<(), RecordError> {
        check_field(name)?;
        if layout.counter(name).is_some() && !layout.registers.contains_key(name) {
            let (record, field) = (id.to_string(), name.to_owned());
            return Err(RecordError::IsCounter { record, field });
        }
        if let Some(shown) = layout.typed(name) {
            if shown == *value {
                return Ok(());
            }
            let (record, field) = (id.to_string(), name.to_owned());
            return Err(RecordError::IsTyped { record, field });
        }
        let kind = kind.unwrap_or_else(|| register_kind(layout, name));
        let bytes = Bytes::copy_from_slice(value.text().as_bytes());
        Ok(self.tx.put(id.field(name)?, Payload { kind, bytes })?)
    }

    /// Makes the register that says "exists" be there or not.
    fn mark(&mut self, id: &RecordId, is: bool, wanted: bool) -> Result<(), RecordError> {
        let path = id.field("")?;
        match (is, wanted) {
            (false, true) => {
                let payload =
                    Payload { kind: PayloadKind::LWW, bytes: Bytes::from_static(b"true") };
                self.tx.put(path, payload)?;
            }
            (true, false) => drop(self.tx.delete(&path)?),
            _ => {}
        }
        Ok(())
    }
}

/// A plain write keeps what the field is: one of many values stays that.
fn register_kind(layout: &Layout, name: &str) -> PayloadKind {
    let multi = layout.registers.get(name).is_some_and(|entry| {
        entry.live().iter().all(|live| live.payload.kind == PayloadKind::MULTI)
    });
    if multi { PayloadKind::MULTI } else { PayloadKind::LWW }
}
