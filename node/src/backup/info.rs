//! What a backup is: as it says itself, as checking it shows, and as a folder lists it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use millpond_core::Hlc;
use serde::{Deserialize, Serialize};

use super::block::{BLOCK_OVERHEAD_BYTES, FORMAT};
use super::error::{BackupError, Fault};
use super::file::{EXTENSION, READ_BYTES};
use super::format::{self, End, Header};
use super::reader::{BackupReader, rows_expected};
use super::writer::OnProgress;
use crate::records::rfc3339;

/// What a backup is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BackupInfo {
    /// The version of its format.
    pub format: u32,
    /// The version of the program that wrote it.
    pub program: String,
    /// When it was taken, in milliseconds since 1970, by the clock of its node.
    pub taken_ms: u64,
    /// The same for people: `2026-11-20T09:26:32.123Z`.
    pub taken: String,
    /// The domain of the data, 32 hex digits.
    pub domain: String,
    /// The node that it was taken of, 64 hex digits.
    pub key: String,
    /// That node's name.
    pub name: String,
    /// What it holds of each namespace.
    pub namespaces: Vec<BackupNamespace>,
    /// Paths with something at them.
    pub rows: u64,
    /// Values at them.
    pub dots: u64,
    /// Deletes that others may not have seen yet.
    pub deletes: u64,
    /// Whether the node's secret key is in it: whoever has the file can be the node.
    pub has_key: bool,
    /// The size of the file.
    pub bytes: u64,
}

/// What a backup holds of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BackupNamespace {
    /// Its name.
    pub namespace: String,
    /// Its vector: incarnation to seq.
    pub vv: BTreeMap<String, u64>,
}

/// How far making, checking or restoring a backup is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupProgress {
    /// Rows so far.
    pub rows: u64,
    /// Rows in all at most: less, where values were overwritten.
    pub rows_expected: u64,
    /// Bytes of the file so far.
    pub bytes: u64,
}

/// A file of a folder of backups.
#[derive(Debug)]
#[non_exhaustive]
pub struct Listed {
    /// The file.
    pub path: PathBuf,
    /// What it says it is, or why it says nothing. Only [`verify`] tells whether it is whole.
    pub info: Result<BackupInfo, BackupError>,
}

impl BackupInfo {
    pub(super) fn new(header: &Header, end: End, bytes: u64) -> Self {
        let namespaces = header.namespaces.iter().map(|held| BackupNamespace {
            namespace: held.namespace.to_string(),
            vv: held.vv.iter().map(|it| (it.incarnation.to_string(), it.seq.get())).collect(),
        });
        Self {
            format: FORMAT,
            program: header.program.clone(),
            taken_ms: header.taken_ms,
            taken: rfc3339(Hlc::from_ms(header.taken_ms)),
            domain: format!("{:#}", header.domain),
            key: header.key.to_string(),
            name: header.name.clone(),
            namespaces: namespaces.collect(),
            rows: end.rows,
            dots: end.dots,
            deletes: end.deletes,
            has_key: end.has_key,
            bytes,
        }
    }
}

/// What a backup of a node taken at this moment is named by default: `paris-1-20261120T092632Z.mpb`. Names of one
/// node are in the order of their moments.
pub fn file_name(node: &str, taken_ms: u64) -> String {
    let node = file_stem(node);
    let moment = rfc3339(Hlc::from_ms(taken_ms));
    let moment = moment[.."2026-11-20T09:26:32".len()].replace(['-', ':'], "");
    format!("{node}-{moment}Z.{EXTENSION}")
}

/// What the names of a node's backups begin with.
pub(super) fn file_stem(node: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let node: String = node.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    node.trim_start_matches('.').to_owned()
}

/// What a backup says of itself at its beginning and at its end. What is between is not read: [`verify`] does.
///
/// # Errors
/// [`BackupError`]: it cannot be read, is no backup, or has no end.
pub fn info(path: &Path) -> Result<BackupInfo, BackupError> {
    let (header, end, bytes) = open(path)?;
    Ok(BackupInfo::new(&header, end, bytes))
}

/// Reads a whole backup, and checks every byte of it and that every row could be restored.
///
/// # Errors
/// [`BackupError::Damaged`] names the part that is not as it was written.
pub fn verify(
    path: &Path,
    on_progress: &mut dyn FnMut(BackupProgress) -> ControlFlow<()>,
) -> Result<BackupInfo, BackupError> {
    let file = File::open(path).map_err(|error| BackupError::io(path, error))?;
    check(BufReader::with_capacity(READ_BYTES, file), on_progress).map_err(|fault| fault.of(path))
}

/// Checks a backup as it comes.
pub(super) fn check(input: impl Read, on_progress: OnProgress<'_>) -> Result<BackupInfo, Fault> {
    let mut reader = BackupReader::begin(input)?;
    let rows_expected = rows_expected(reader.header());
    while reader.next()?.is_some() {
        let (rows, bytes) = (reader.rows(), reader.bytes());
        if on_progress(BackupProgress { rows, rows_expected, bytes }).is_break() {
            return Err(Fault::Stopped);
        }
    }
    let end = reader.end().expect("a reader stops at the end only");
    Ok(BackupInfo::new(reader.header(), end, reader.bytes()))
}

/// The files of a folder that are named as backups are, the oldest first, then those that say nothing.
///
/// # Errors
/// [`BackupError::Io`]: the folder cannot be read.
pub fn list(folder: &Path) -> Result<Vec<Listed>, BackupError> {
    let failed = |error| BackupError::io(folder, error);
    let mut listed = Vec::new();
    for item in std::fs::read_dir(folder).map_err(failed)? {
        let path = item.map_err(failed)?.path();
        if path.extension().is_some_and(|it| it == EXTENSION) && path.is_file() {
            listed.push(Listed { info: info(&path), path });
        }
    }
    listed.sort_by_key(|it| {
        (it.info.as_ref().map_or(u64::MAX, |info| info.taken_ms), it.path.clone())
    });
    Ok(listed)
}

/// The header of a file, its end, and its size.
pub(super) fn open(path: &Path) -> Result<(Header, End, u64), BackupError> {
    let failed = |error| BackupError::io(path, error);
    let mut file = File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    let reader = BackupReader::begin(BufReader::new(&mut file)).map_err(|fault| fault.of(path))?;
    let header = reader.header().clone();
    let end_bytes = (End::BYTES + BLOCK_OVERHEAD_BYTES) as u64;
    let at = bytes.saturating_sub(end_bytes);
    let mut block = [0; End::BYTES + BLOCK_OVERHEAD_BYTES];
    file.seek(SeekFrom::Start(at)).map_err(failed)?;
    file.read_exact(&mut block).map_err(failed)?;
    let (head, rest) = block.split_at(5);
    let is_end = head[0] == format::END && head[1..] == (End::BYTES as u32).to_le_bytes();
    let end = End::decode(&rest[..End::BYTES]).filter(|_| is_end);
    let end = end.ok_or_else(|| BackupError::Damaged {
        path: path.to_owned(),
        what: "its end is missing or was altered".into(),
        at,
    })?;
    Ok((header, end, bytes))
}
