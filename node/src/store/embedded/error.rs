//! What redb's errors mean to us.

use std::io;

use crate::store::StoreError;

/// A failure while the store is open.
pub(super) fn failed(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::Io(error) if is_full(&error) => StoreError::Full,
        // Not one value, but what holds them together.
        redb::Error::Corrupted(reason) => {
            StoreError::Io { reason: format!("the file is damaged: {reason}") }
        }
        error => StoreError::Io { reason: error.to_string() },
    }
}

/// Whether a device or a quota is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
