//! Making a backup: of a replica that runs, of a folder that nobody uses, or of what a node's API sends.

use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::Path;

use super::block::{BlockReader, BlockWriter};
use super::error::{BackupError, Fault};
use super::file::NewFile;
use super::format::{self, End, Header};
use super::info::{BackupInfo, BackupProgress};
use super::reader::rows_expected;
use super::writer::{About, OnProgress, write};
use crate::Replica;
use crate::config::Config;
use crate::folder;
use crate::key_pair::KeyPair;
use crate::runtime::wall_ms;
use crate::state::{meta_key, read_meta};
use crate::store::{Snapshot, Store, StoreError};

/// How to make a backup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupOptions {
    /// Whether to put the node's secret key into it. Whoever has such a file can be the node; without the key the
    /// node can come back only with its own copy of `node.key`, or as a new member.
    pub with_key: bool,
}

/// Makes a backup of the replica in a folder that no process has open. The folder is not changed.
///
/// # Errors
/// [`BackupError`]; then there is no file at `to` that was not there before.
pub fn create(
    config: &Config,
    to: &Path,
    options: BackupOptions,
    on_progress: &mut dyn FnMut(BackupProgress) -> ControlFlow<()>,
) -> Result<BackupInfo, BackupError> {
    create_at(config, to, options, wall_ms(), on_progress)
}

/// As [`create`], at a moment of the wall clock.
pub(super) fn create_at(
    config: &Config,
    to: &Path,
    options: BackupOptions,
    now_ms: u64,
    on_progress: OnProgress<'_>,
) -> Result<BackupInfo, BackupError> {
    let store = folder::look(config)?;
    let keys = options.with_key.then(|| folder::read_key(&config.dir)).transpose()?;
    let about = About { name: config.name.clone(), now_ms, keys: keys.as_ref() };
    let snapshot = store.snapshot()?;
    check_joined(&*snapshot).map_err(|fault| fault.of(&config.dir))?;
    NewFile::write(to, |out| write(out, &snapshot, about, on_progress)).map(informed)
}

/// Writes a backup that comes as a stream to a file, checks it on the way, and adds the key that is in a node's
/// folder, if one is named. A node's API sends backups without the key.
///
/// # Errors
/// [`BackupError`]; then there is no file at `to` that was not there before.
pub fn receive(
    input: impl Read,
    to: &Path,
    key_of: Option<&Path>,
    on_progress: &mut dyn FnMut(BackupProgress) -> ControlFlow<()>,
) -> Result<BackupInfo, BackupError> {
    let keys = key_of.map(folder::read_key).transpose()?;
    NewFile::write(to, |out| pass_on(input, out, keys.as_ref(), on_progress)).map(informed)
}

impl Replica {
    /// Makes a backup of all that is committed now, while reads and writes go on.
    ///
    /// # Errors
    /// [`BackupError`]; then there is no file at `to` that was not there before.
    pub async fn back_up(
        &self,
        to: &Path,
        options: BackupOptions,
        mut on_progress: impl FnMut(BackupProgress) -> ControlFlow<()> + Send + 'static,
    ) -> Result<BackupInfo, BackupError> {
        let (replica, to) = (self.clone(), to.to_owned());
        let making = tokio::task::spawn_blocking(move || {
            let keys = options.with_key.then(|| folder::read_key(replica.folder())).transpose()?;
            NewFile::write(&to, |out| replica.write_backup(out, keys.as_ref(), &mut on_progress))
                .map(informed)
        });
        making.await.map_err(|error| StoreError::Io { reason: error.to_string() })?
    }

    /// Whether there is anything to back up.
    #[cfg(feature = "http")]
    pub(crate) fn may_back_up(&self) -> Result<(), BackupError> {
        check_joined(&*self.snapshot()?).map_err(|fault| fault.of(self.folder()))
    }

    /// Writes a backup, without the node's key, to a stream. Blocks.
    #[cfg(feature = "http")]
    pub(crate) fn back_up_into(
        &self,
        out: impl Write,
        on_progress: OnProgress<'_>,
    ) -> Result<BackupInfo, BackupError> {
        let written = self.write_backup(out, None, on_progress).map(informed);
        written.map_err(|fault| fault.of(Path::new("the backup")))
    }

    fn write_backup(
        &self,
        out: impl Write,
        keys: Option<&KeyPair>,
        on_progress: OnProgress<'_>,
    ) -> Result<Written, Fault> {
        let snapshot = self.snapshot()?;
        check_joined(&*snapshot)?;
        let about = About { name: self.name().to_owned(), now_ms: wall_ms(), keys };
        let mut while_open = |progress| match self.is_closed() {
            true => ControlFlow::Break(()),
            false => on_progress(progress),
        };
        write(out, &snapshot, about, &mut while_open)
    }
}

type Written = (Header, End, u64);

fn informed((header, end, bytes): Written) -> BackupInfo {
    BackupInfo::new(&header, end, bytes)
}

/// A replica that waits for its invite to be redeemed holds nothing, or what it was seeded with.
pub(super) fn check_joined(snapshot: &dyn Snapshot) -> Result<(), Fault> {
    let invite: Option<crate::Invite> = read_meta(snapshot, &meta_key::pending_invite())?;
    match invite {
        Some(_) => Err(Fault::NotJoined),
        None => Ok(()),
    }
}

fn pass_on(
    input: impl Read,
    out: impl Write,
    keys: Option<&KeyPair>,
    on_progress: OnProgress<'_>,
) -> Result<Written, Fault> {
    let mut blocks = BlockReader::begin(input)?;
    let mut written = BlockWriter::begin(out)?;
    let first = blocks.next()?;
    let what = "is no header of a backup";
    let header = Header::decode(&first.body).filter(|_| first.kind == format::HEADER);
    let header = header.ok_or(Fault::Malformed { block: 1, at: 0, what })?;
    let rows_expected = rows_expected(&header);
    written.block(format::HEADER, &first.body)?;
    loop {
        let block = blocks.next()?;
        if block.kind != format::END {
            written.block(block.kind, &block.body)?;
            let progress = BackupProgress { rows: 0, rows_expected, bytes: written.bytes() };
            if on_progress(progress).is_break() {
                return Err(Fault::Stopped);
            }
            continue;
        }
        let (number, at) = blocks.place();
        let what = "is no end";
        let mut end =
            End::decode(&block.body).ok_or(Fault::Malformed { block: number, at, what })?;
        blocks.end()?;
        // Whether it is the node's own, which may have changed it, is seen when the backup is restored.
        if let Some(keys) = keys.filter(|_| !end.has_key) {
            written.block(format::KEY, keys.pkcs8())?;
            end.has_key = true;
        }
        written.block(format::END, &end.encode())?;
        let bytes = written.bytes();
        written.into_inner().flush()?;
        return Ok((header, end, bytes));
    }
}
