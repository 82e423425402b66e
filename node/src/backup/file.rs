//! The file of a backup: it has its name once it is whole and on disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use super::error::{BackupError, Fault};
use crate::planted::planted;

/// A file that is being written, under a name that no list of backups shows. Dropped before it is finished, it
/// is gone; a process that ends in between leaves it, and the next attempt at the same backup replaces it.
pub(super) struct NewFile {
    path: PathBuf,
    unfinished: PathBuf,
    is_finished: bool,
}

impl NewFile {
    /// Makes the file at `path` by `write`, which is given a buffered writer of it.
    pub(super) fn write<T>(
        path: &Path,
        write: impl FnOnce(&mut BufWriter<File>) -> Result<T, Fault>,
    ) -> Result<T, BackupError> {
        let failed = |error| BackupError::io(path, error);
        let mut new = Self::named(path)?;
        let mut options = OpenOptions::new();
        // Whoever could read it could read all data, and perhaps the key.
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&new.unfinished).map_err(failed)?;
        let mut out = BufWriter::with_capacity(READ_BYTES, file);
        let written = write(&mut out).map_err(|fault| fault.of(path))?;
        let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)?;
        new.finish().map_err(failed)?;
        Ok(written)
    }

    fn named(path: &Path) -> Result<Self, BackupError> {
        if path.try_exists().map_err(|error| BackupError::io(path, error))? {
            return Err(BackupError::Exists { path: path.to_owned() });
        }
        let name = path.file_name().ok_or_else(|| {
            BackupError::io(path, io::Error::from(io::ErrorKind::InvalidFilename))
        })?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(UNFINISHED);
        let unfinished = match planted!("a backup has its name once it is whole") {
            true => path.to_owned(),
            false => path.with_file_name(hidden),
        };
        Ok(Self { path: path.to_owned(), unfinished, is_finished: false })
    }

    fn finish(&mut self) -> io::Result<()> {
        fs::rename(&self.unfinished, &self.path)?;
        self.is_finished = true;
        sync_folder_of(&self.path)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_finished {
            let _ = fs::remove_file(&self.unfinished);
        }
    }
}

/// Removes what a process that was killed had not finished of the backups of a node, which have its name and a moment
/// in theirs. Two nodes of one name need two folders.
pub(super) fn remove_unfinished(folder: &Path, stem: &str) -> Result<(), BackupError> {
    let failed = |error| BackupError::io(folder, error);
    for item in fs::read_dir(folder).map_err(failed)? {
        let item = item.map_err(failed)?;
        let name = item.file_name();
        let name = name.to_string_lossy();
        let file = name.strip_prefix('.').and_then(|name| name.strip_suffix(UNFINISHED));
        let moment = file.and_then(|file| file.strip_prefix(stem)?.strip_prefix('-'));
        if moment.is_some_and(|moment| moment.len() == MOMENT.len() + 1 + EXTENSION.len()) {
            fs::remove_file(item.path()).map_err(failed)?;
        }
    }
    Ok(())
}

/// Makes a file's name durable.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    // Elsewhere folders cannot be opened.
    match cfg!(unix) {
        true => File::open(folder.unwrap_or(Path::new(".")))?.sync_all(),
        false => Ok(()),
    }
}

/// What backups are named: `.mpb`.
pub(super) const EXTENSION: &str = "mpb";

/// How a moment is written in a name.
const MOMENT: &str = "20261120T092632Z";

/// The end of the name of one that is being written.
const UNFINISHED: &str = ".unfinished";

/// Read and written at a time.
pub(super) const READ_BYTES: usize = 256 << 10;
