//! A fuse between redb and the storage: the first failure is the last operation.
//!
//! redb stops by itself after most failures, but not after that of a write that it only makes to free memory:
//! it keeps the page and writes it again later. A disk that has failed once is not to be trusted with an
//! acknowledgement, whatever it says the second time.

use std::fmt;
use std::io;
use std::ops::Bound;
use std::sync::{Arc, OnceLock};

use redb::{BackendError, StorageBackend};

/// What a fuse knows: the first failure. Clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Blown(Arc<OnceLock<String>>);

impl Blown {
    /// The first failure, if there was one.
    pub(super) fn reason(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }

    /// Notes a failure; only the first one counts.
    pub(super) fn blow(&self, failure: &dyn fmt::Display) {
        self.0.get_or_init(|| failure.to_string());
    }
}

/// A storage that fails for good with its first failure.
#[derive(Debug)]
pub(super) struct Fuse<B> {
    storage: B,
    blown: Blown,
}

impl<B: StorageBackend> Fuse<B> {
    pub(super) fn new(storage: B, blown: Blown) -> Self {
        Self { storage, blown }
    }

    fn guard<T>(&self, operate: impl FnOnce(&B) -> io::Result<T>) -> io::Result<T> {
        if let Some(reason) = self.blown.reason() {
            return Err(io::Error::other(reason.to_owned()));
        }
        operate(&self.storage).inspect_err(|error| self.blown.blow(error))
    }
}

impl<B: StorageBackend> StorageBackend for Fuse<B> {
    fn len(&self) -> io::Result<u64> {
        self.guard(B::len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.guard(|storage| storage.read(offset, out))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.guard(|storage| storage.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.guard(B::sync_data)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.guard(|storage| storage.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.storage.close()
    }

    // Locks say who else has the file open, and nothing about the disk.

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.storage.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.storage.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.storage.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.storage.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.storage.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.storage.query_lock_range(start, end)
    }
}
