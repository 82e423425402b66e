//! Why an operation on records failed.

use millpond_core::Path;

use crate::records::{IdError, Version};
use crate::state::WriteError;
use crate::store::StoreError;

/// Why an operation on records failed. Its transaction left nothing behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A collection, key or field has no valid name.
    #[error(transparent)]
    Id(#[from] IdError),
    /// A plain value was put onto a counter.
    #[error("field `{field}` of {record} is a counter and takes no plain value")]
    IsCounter {
        /// Which record.
        record: String,
        /// Which field.
        field: String,
    },
    /// A plain value was put onto a flag, set, map or log.
    #[error("field `{field}` of {record} is no plain field, and takes no plain value")]
    IsTyped {
        /// Which record.
        record: String,
        /// Which field.
        field: String,
    },
    /// An increment met a plain value.
    #[error("field `{field}` of {record} holds a plain value and cannot count")]
    IsPlain {
        /// Which record.
        record: String,
        /// Which field.
        field: String,
    },
    /// A field holds what its type does not write: another type wrote it, or another version of the program.
    #[error("{}cannot be read: {why}", place(record, field))]
    Unreadable {
        /// Which record; empty while it is being found out.
        record: String,
        /// Which field, and what within it.
        field: String,
        /// What is wrong.
        why: String,
    },
    /// A value has no stored form.
    #[error("the value cannot be stored: {why}")]
    Unwritable {
        /// What is wrong.
        why: String,
    },
    /// There is no such record to edit.
    #[error("there is no record {record}; store one first")]
    Absent {
        /// Which record.
        record: String,
    },
    /// Nobody keeps the index that was asked.
    #[error(
        "no index {index} is kept here: open the replica with `ReplicaBuilder::register` of the type that declares it"
    )]
    NotIndexed {
        /// The collection, and the index's name.
        index: String,
    },
    /// The record is not what the caller last saw.
    #[error("{record} has changed: it is at version {}", .found.map_or("none (absent)".into(), |v| v.to_string()))]
    Changed {
        /// Which record.
        record: String,
        /// Its version now; none if it is absent.
        found: Option<Version>,
    },
    /// The write was refused or failed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Reading failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RecordError {
    pub(crate) fn unreadable(why: String) -> Self {
        Self::Unreadable { record: String::new(), field: String::new(), why }
    }

    /// The same, of what lies in a field.
    pub(crate) fn within(mut self, name: &str) -> Self {
        if let Self::Unreadable { field, .. } = &mut self {
            *field = if field.is_empty() { name.to_owned() } else { format!("{name}/{field}") };
        }
        self
    }

    /// The same, of what lies in a record.
    pub(crate) fn of(mut self, path: &Path) -> Self {
        if let Self::Unreadable { record, .. } = &mut self {
            *record = path.to_string();
        }
        self
    }
}

fn place(record: &str, field: &str) -> String {
    match (record, field) {
        ("", "") => String::new(),
        ("", field) => format!("field `{field}` "),
        (record, "") => format!("{record} "),
        (record, field) => format!("field `{field}` of {record} "),
    }
}
