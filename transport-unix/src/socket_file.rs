//! The file of a socket: who may take a path, and what becomes of files that were left behind.

use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use crate::address::PATH_BYTES_MAX;

/// Why a [`Unix`](crate::Unix) could not be bound. Nothing was removed that anybody uses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The path does not fit into a socket's address.
    #[error(
        "a socket's path has at most {PATH_BYTES_MAX} bytes, and {path:?} has {bytes}: choose a shorter one, for \
         example below /run or /tmp"
    )]
    PathTooLong {
        /// What was asked for.
        path: PathBuf,
        /// Its length.
        bytes: usize,
    },
    /// The path is no text, so that no address could name it.
    #[error("the path {path:?} is not UTF-8")]
    PathNoText {
        /// What was asked for.
        path: PathBuf,
    },
    /// Another process listens there.
    #[error("another process listens at {path:?}: stop it, or choose another path")]
    InUse {
        /// What was asked for.
        path: PathBuf,
    },
    /// There is a file that is no socket. It was left alone.
    #[error("{path:?} is there and is no socket: move it away, or choose another path")]
    NoSocket {
        /// What was asked for.
        path: PathBuf,
    },
    /// The bytes are no Ed25519 key pair in PKCS#8 form.
    #[error("not an ed25519 key pair in pkcs#8 form")]
    MalformedKey,
    /// The call came from outside a tokio runtime.
    #[error("binding needs a running tokio runtime")]
    NoRuntime,
    /// The operating system refused for another reason.
    #[error("cannot listen at {path:?}")]
    Io {
        /// What was asked for.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// A path that is ours for as long as this lives. Dropping it removes the socket's file.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Locked. Its file stays: to remove it would let two processes lock two files of one name.
    _lock: File,
}

impl SocketFile {
    /// Takes a path, and listens there. A socket that was left behind by a process that is gone is replaced.
    pub(crate) fn bind(path: &Path) -> Result<(Self, UnixListener), BindError> {
        let failed = |source| BindError::Io { path: path.to_owned(), source };
        let path = std::path::absolute(path).map_err(failed)?;
        let text = path.to_str().ok_or_else(|| BindError::PathNoText { path: path.clone() })?;
        if text.len() > PATH_BYTES_MAX {
            return Err(BindError::PathTooLong { bytes: text.len(), path });
        }
        let lock = lock(&path)?;
        remove_left_behind(&path)?;
        let listener = UnixListener::bind(&path).map_err(failed)?;
        let file = Self { path, _lock: lock };
        // Until here others may connect, whom the listener turns away by their user.
        fs::set_permissions(&file.path, Permissions::from_mode(0o600)).map_err(failed)?;
        Ok((file, listener))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        let _ = fs::remove_file(&self.path);
    }
}

/// Of all that want a path one gets it, so that nobody removes a socket which another has just made.
fn lock(path: &Path) -> Result<File, BindError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let failed = |source| BindError::Io { path: path.to_owned(), source };
    let file =
        File::options().create(true).truncate(false).write(true).open(name).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(BindError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

fn remove_left_behind(path: &Path) -> Result<(), BindError> {
    let failed = |source| BindError::Io { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(BindError::NoSocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    // We have the lock, so it is no endpoint of ours; but it may be another program's.
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            tracing::debug!(?path, "a socket that was left behind is replaced");
            fs::remove_file(path).map_err(failed)
        }
        _ => Err(BindError::InUse { path: path.to_owned() }),
    }
}
