//! The data folder: its lock, and the birth of its file.
//!
//! ```text
//! millpond.redb      the store
//! millpond.redb.new  a store that is being made; of no value, for it gets its name when it is complete
//! millpond.lock      locked while the store is open; empty
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// A folder that this process has for itself.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Unlocked when it is closed, whatever ends the process.
    _lock: File,
}

impl Folder {
    /// Locks the folder; makes it if it is missing.
    pub(crate) fn lock(path: &Path) -> Result<Self, StoreError> {
        let failed = |error: io::Error| io_failed(path, &error);
        fs::create_dir_all(path).map_err(failed)?;
        let path = path.canonicalize().map_err(failed)?;
        let lock = OpenOptions::new().create(true).append(true).open(path.join(LOCK_NAME));
        let lock = lock.map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(in_use(&path)),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// The file of the store. If there is none, `create` makes one under another name first: a cut of power
    /// meanwhile must not leave half a file in its place.
    pub(super) fn file(
        &self,
        create: impl FnOnce(&Path) -> Result<(), StoreError>,
    ) -> Result<PathBuf, StoreError> {
        let file = self.path.join(FILE_NAME);
        if file.try_exists().map_err(|error| io_failed(&file, &error))? {
            return Ok(file);
        }
        let unfinished = self.path.join(UNFINISHED_NAME);
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_failed(&unfinished, &error));
            }
            _ => {}
        }
        create(&unfinished)?;
        self.name(&unfinished, &file).map_err(|error| io_failed(&file, &error))?;
        Ok(file)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn name(&self, unfinished: &Path, file: &Path) -> io::Result<()> {
        File::open(unfinished)?.sync_all()?;
        fs::rename(unfinished, file)?;
        if cfg!(unix) {
            // Elsewhere folders cannot be opened.
            File::open(&self.path)?.sync_all()?;
            if let Some(Ok(parent)) = self.path.parent().map(File::open) {
                parent.sync_all()?;
            }
        }
        Ok(())
    }
}

/// The file of the store in a folder, whether it is there or not.
pub(crate) fn file_in(folder: &Path) -> PathBuf {
    folder.join(FILE_NAME)
}

pub(super) fn in_use(folder: &Path) -> StoreError {
    StoreError::InUse { folder: folder.display().to_string() }
}

fn io_failed(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Io { reason: format!("{}: {error}", path.display()) }
}

const FILE_NAME: &str = "millpond.redb";
const UNFINISHED_NAME: &str = "millpond.redb.new";
const LOCK_NAME: &str = "millpond.lock";
