//! The log table: blocks of rows.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use millpond_core::{Dot, Incarnation, Namespace, Path, Seq};
use redb::{ReadOnlyTable, ReadableTable, Table};

use super::codec::Malformed;
use super::error::failed;
use super::keys::{block_key, block_start, corrupt, stored_path};
use super::log_block::{BlockReader, BlockWriter, RowRef, SEQS};
use super::sealed::{self, TableName};
use crate::store::{DamagedLog, LogRow, StoreError};

/// A change within a block: the slot, and the new row.
type Change<'a> = (u32, Option<&'a LogRow>);

pub(super) fn write(
    table: &mut Table<'_, &'static [u8], &'static [u8]>,
    log: &BTreeMap<(Namespace, Dot), Option<LogRow>>,
) -> Result<(), StoreError> {
    let mut writer = Writer { table, old: Vec::new(), new: Vec::new(), rows: <_>::default() };
    let mut block = None;
    let mut changes: Vec<Change<'_>> = Vec::with_capacity(SEQS as usize);
    for ((namespace, dot), row) in log {
        let seq = dot.seq.get();
        let this = (*namespace, dot.incarnation, seq / SEQS);
        if let Some(previous) = block.replace(this).filter(|&previous| previous != this) {
            writer.write_block(previous, &changes)?;
            changes.clear();
        }
        changes.push((slot(seq), row.as_ref()));
    }
    match block {
        Some(block) => writer.write_block(block, &changes),
        None => Ok(()),
    }
}

pub(super) fn read(
    table: &ReadOnlyTable<&'static [u8], &'static [u8]>,
    namespace: Namespace,
    dot: Dot,
) -> Result<Option<LogRow>, StoreError> {
    let key = block_key(namespace, dot.incarnation, dot.seq.get());
    let slot = slot(dot.seq.get());
    let Some(value) = table.get(&key[..]).map_err(failed)? else { return Ok(None) };
    let mut rows = open_block(&key, value.value())?;
    if !rows.contains(slot) {
        return Ok(None);
    }
    while let Some(row) = rows.next_row().map_err(|Malformed| corrupt(TableName::Log, &key))? {
        if row.slot == slot {
            return to_log_row(&key, row).map(Some);
        }
    }
    Ok(None)
}

pub(super) fn scan(
    table: &ReadOnlyTable<&'static [u8], &'static [u8]>,
    namespace: Namespace,
    incarnation: Incarnation,
    after: u64,
    upto: u64,
    visit: &mut dyn FnMut(Dot, LogRow) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut damaged = None;
    scan_sound(table, namespace, incarnation, after, upto, &mut |met| match met {
        Ok((dot, row)) => visit(dot, row),
        Err(DamagedLog { first, .. }) => {
            damaged = Some(block_key(namespace, incarnation, first.seq.get()));
            ControlFlow::Break(())
        }
    })?;
    damaged.map_or(Ok(()), |key| Err(corrupt(TableName::Log, &key)))
}

/// The same, going on behind what is damaged.
pub(super) fn scan_sound(
    table: &ReadOnlyTable<&'static [u8], &'static [u8]>,
    namespace: Namespace,
    incarnation: Incarnation,
    after: u64,
    upto: u64,
    visit: &mut dyn FnMut(Result<(Dot, LogRow), DamagedLog>) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    if after >= upto {
        return Ok(());
    }
    let first = block_key(namespace, incarnation, after + 1);
    let last = block_key(namespace, incarnation, upto);
    for block in table.range(&first[..]..=&last[..]).map_err(failed)? {
        let (key, value) = block.map_err(failed)?;
        let key = key.value();
        let start = block_start(key).ok_or_else(|| corrupt(TableName::Log, key))?;
        let dot = |seq| {
            let seq = Seq::new(seq).ok_or_else(|| corrupt(TableName::Log, key))?;
            Ok(Dot::new(incarnation, seq))
        };
        let Some(mut rows) = sound_block(key, value.value()) else {
            let damaged = DamagedLog { first: dot(start.max(1))?, last: dot(start + SEQS - 1)? };
            if visit(Err(damaged)).is_break() {
                return Ok(());
            }
            continue;
        };
        while let Some(row) = rows.next_row().map_err(|Malformed| corrupt(TableName::Log, key))? {
            let seq = start + u64::from(row.slot);
            if seq <= after {
                continue;
            }
            if seq > upto {
                return Ok(());
            }
            if visit(Ok((dot(seq)?, to_log_row(key, row)?))).is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Drops the block of each of these dots, if it is damaged.
pub(super) fn drop_damaged(
    table: &mut Table<'_, &'static [u8], &'static [u8]>,
    damaged: &BTreeSet<(Namespace, Dot)>,
) -> Result<(), StoreError> {
    for (namespace, dot) in damaged {
        let key = block_key(*namespace, dot.incarnation, dot.seq.get());
        let value = table.get(&key[..]).map_err(failed)?;
        let is_damaged = value.is_some_and(|value| sound_block(&key, value.value()).is_none());
        if is_damaged {
            table.remove(&key[..]).map_err(failed)?;
        }
    }
    Ok(())
}

fn sound_block<'a>(key: &[u8], value: &'a [u8]) -> Option<BlockReader<'a>> {
    sealed::open(TableName::Log, key, value).and_then(|body| BlockReader::new(body).ok())
}

fn open_block<'a>(key: &[u8], value: &'a [u8]) -> Result<BlockReader<'a>, StoreError> {
    sound_block(key, value).ok_or_else(|| corrupt(TableName::Log, key))
}

fn to_log_row(key: &[u8], row: RowRef<'_>) -> Result<LogRow, StoreError> {
    let path: Path = stored_path(TableName::Log, key, row.path)?;
    Ok(LogRow { path, deleted: row.deleted, ends_transaction: row.ends_transaction })
}

const fn slot(seq: u64) -> u32 {
    (seq % SEQS) as u32
}

/// Merges changes into blocks; its buffers serve for all blocks of a commit.
struct Writer<'a, 'txn> {
    table: &'a mut Table<'txn, &'static [u8], &'static [u8]>,
    old: Vec<u8>,
    new: Vec<u8>,
    rows: BlockWriter,
}

impl Writer<'_, '_> {
    fn write_block(
        &mut self,
        (namespace, incarnation, block): (Namespace, Incarnation, u64),
        changes: &[Change<'_>],
    ) -> Result<(), StoreError> {
        let key = block_key(namespace, incarnation, block * SEQS);
        self.old.clear();
        if let Some(value) = self.table.get(&key[..]).map_err(failed)? {
            self.old.extend_from_slice(value.value());
        }
        if self.merge(&key, changes)? {
            sealed::seal(TableName::Log, &key, &mut self.new);
            self.table.insert(&key[..], &self.new[..]).map_err(failed)?;
        } else if !self.old.is_empty() {
            self.table.remove(&key[..]).map_err(failed)?;
        }
        Ok(())
    }

    /// Writes the rows of `old` with the changes to `new`; returns whether there are any.
    fn merge(&mut self, key: &[u8], changes: &[Change<'_>]) -> Result<bool, StoreError> {
        let Self { old, new, rows, .. } = self;
        sealed::start(new);
        rows.start(new);
        let mut changes = changes.iter().copied().peekable();
        if !old.is_empty() {
            let mut stored = open_block(key, old)?;
            while let Some(row) =
                stored.next_row().map_err(|Malformed| corrupt(TableName::Log, key))?
            {
                while let Some(change) = changes.next_if(|(slot, _)| *slot < row.slot) {
                    put(rows, new, change);
                }
                match changes.next_if(|(slot, _)| *slot == row.slot) {
                    Some(change) => put(rows, new, change),
                    None => rows.row(new, row),
                }
            }
        }
        changes.for_each(|change| put(rows, new, change));
        Ok(rows.finish(new))
    }
}

fn put(rows: &mut BlockWriter, out: &mut Vec<u8>, (slot, row): Change<'_>) {
    if let Some(LogRow { path, deleted, ends_transaction }) = row {
        let path = path.as_bytes();
        let (deleted, ends_transaction) = (*deleted, *ends_transaction);
        rows.row(out, RowRef { slot, path, deleted, ends_transaction });
    }
}
