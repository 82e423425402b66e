//! Why an operation on records failed.

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
    /// An increment met a plain value.
    #[error("field `{field}` of {record} holds a plain value and cannot count")]
    IsPlain {
        /// Which record.
        record: String,
        /// Which field.
        field: String,
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
