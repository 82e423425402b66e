//! Where a replica is made: in a folder within its own, until all of it is on disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::BackupError;
use super::file::sync_folder_of;
use crate::config::Config;
use crate::folder::{self, OpenError};
use crate::key_pair::KeyPair;
use crate::store::embedded::{self, EmbeddedStore, Folder};

/// A store that is being made. Dropped before it is finished, it is gone; a process that ends in between leaves it
/// under a name that nothing opens, and the next attempt replaces it.
pub(super) struct NewStore {
    dir: PathBuf,
    unfinished: PathBuf,
    /// Until it is given its place.
    store: Option<EmbeddedStore>,
    /// Keeps others from making one here at the same time.
    _lock: Folder,
}

impl NewStore {
    /// An empty store for a folder that holds none.
    pub(super) fn begin(config: &Config) -> Result<Self, BackupError> {
        let dir = config.dir.clone();
        let lock = Folder::lock(&dir)?;
        if embedded::file_in(&dir).exists() {
            return Err(OpenError::AlreadyInitialised { dir }.into());
        }
        let unfinished = dir.join(UNFINISHED_NAME);
        match fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(BackupError::io(&unfinished, error));
            }
            _ => {}
        }
        let mut new = Self { dir, unfinished, store: None, _lock: lock };
        new.store = Some(folder::open_store(&new.unfinished, config)?);
        Ok(new)
    }

    pub(super) fn store(&self) -> &EmbeddedStore {
        self.store.as_ref().expect("it is there until it gets its place")
    }

    /// The replica's folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Gives the store its place, beside the key, which is written first if the folder has none.
    pub(super) fn finish(mut self, keys: Option<&KeyPair>) -> Result<(), BackupError> {
        // Closed in good order, it needs no check when it is opened.
        self.store = None;
        if let Some(keys) = keys {
            folder::write_key(&self.dir, keys)?;
        }
        let file = embedded::file_in(&self.dir);
        let named = fs::rename(embedded::file_in(&self.unfinished), &file);
        if named.is_err() && keys.is_some() {
            let _ = fs::remove_file(folder::key_path(&self.dir));
        }
        named.and_then(|()| sync_folder_of(&file)).map_err(|error| BackupError::io(&file, error))
    }
}

impl Drop for NewStore {
    fn drop(&mut self) {
        self.store = None;
        let _ = fs::remove_dir_all(&self.unfinished);
    }
}

const UNFINISHED_NAME: &str = "restore.unfinished";
