//! The entries table: packs, one for a small record, several for a large one.
//!
//! The first pack of a record has the record's key. When it would exceed [`RECORD_BYTES_MAX`] it is split in
//! pieces below [`PIECE_BYTES_MAX`], as is a piece later, and each further piece has the path of its first field at that time as its key: so the pack of a path is
//! the last one whose key is not greater, packs are in path order, and a change costs one pack however
//! large the record is. Packs do not merge again; an empty one goes.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};

use millpond_core::{Entry, Namespace, Path};
use redb::{ReadOnlyTable, ReadableTable, Table};

use super::codec::Malformed;
use super::error::failed;
use super::keys::{NAMESPACE_BYTES, Record, corrupt, path_key, stored_path};
use super::pack::{LiveRef, PackReader, PackWriter, mark_split};
use super::sealed::{self, TableName};
use crate::store::{DamagedEntries, StoreError};

/// A record of several fields that takes more is split: two of these fit in a page of the file.
const RECORD_BYTES_MAX: usize = 2000;

/// A piece of several fields takes no more. Measured with a set of 200,000 elements in small commits: with
/// twice as much, inserts and reads take a sixth longer, and the file is 7% smaller.
const PIECE_BYTES_MAX: usize = 1000;

/// A change within a record: the rest of the path, and the new entry.
type Change<'a> = (&'a [u8], &'a Entry);

pub(super) fn write(
    table: &mut Table<'_, &'static [u8], &'static [u8]>,
    entries: &BTreeMap<(Namespace, Path), Entry>,
) -> Result<(), StoreError> {
    let mut writer = Writer { table, key: Vec::new(), old: Vec::new(), pack: NewPack::default() };
    let mut record: Option<Record<'_>> = None;
    let mut changes: Vec<Change<'_>> = Vec::new();
    for ((namespace, path), entry) in entries {
        let path = path.as_bytes();
        let suffix = record.and_then(|record| record.suffix(*namespace, path));
        if let Some(suffix) = suffix {
            changes.push((suffix, entry));
            continue;
        }
        if let Some(record) = record {
            writer.write_record(record, &changes)?;
        }
        let next = Record::of(*namespace, path);
        changes.clear();
        changes.push((&path[next.path.len()..], entry));
        record = Some(next);
    }
    match record {
        Some(record) => writer.write_record(record, &changes),
        None => Ok(()),
    }
}

pub(super) fn read(
    table: &ReadOnlyTable<&'static [u8], &'static [u8]>,
    namespace: Namespace,
    path: &Path,
) -> Result<Entry, StoreError> {
    let record = Record::of(namespace, path.as_bytes());
    let full_key = path_key(namespace, path.as_bytes());
    let (key, suffix) = full_key.split_at(NAMESPACE_BYTES + record.path.len());
    let Some(value) = table.get(key).map_err(failed)? else { return Ok(Entry::absent()) };
    let fields = open_pack(key, value.value())?;
    if !fields.is_split() || suffix.is_empty() {
        return find(fields, suffix).map_err(|Malformed| corrupt(TableName::Entries, key));
    }
    let mut range = table.range(key..=&full_key[..]).map_err(failed)?;
    let Some(last) = range.next_back() else { return Ok(Entry::absent()) };
    let (key, value) = last.map_err(failed)?;
    let fields = open_pack(key.value(), value.value())?;
    find(fields, suffix).map_err(|Malformed| corrupt(TableName::Entries, key.value()))
}

pub(super) fn scan(
    table: &ReadOnlyTable<&'static [u8], &'static [u8]>,
    namespace: Namespace,
    within: Option<&Path>,
    after: Option<&Path>,
    visit: &mut dyn FnMut(Path, Entry) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut damaged = None;
    walk(table, namespace, within, after, &mut |met| match met {
        Met::Entry(path, entry) => visit(path, entry),
        Met::Damage(key, _) => {
            damaged = Some(corrupt(TableName::Entries, key));
            ControlFlow::Break(())
        }
    })?;
    damaged.map_or(Ok(()), Err)
}

/// The same for all entries, going on behind what is damaged.
pub(super) fn scan_sound(
    table: &ReadOnlyTable<&'static [u8], &'static [u8]>,
    namespace: Namespace,
    after: Option<&Path>,
    visit: &mut dyn FnMut(Result<(Path, Entry), DamagedEntries>) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut failed = None;
    walk(table, namespace, None, after, &mut |met| match met {
        Met::Entry(path, entry) => visit(Ok((path, entry))),
        Met::Damage(key, end) => {
            match stored_path(TableName::Entries, key, &key[NAMESPACE_BYTES..]) {
                Ok(first) => visit(Err(DamagedEntries { first, end })),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        }
    })?;
    failed.map_or(Ok(()), Err)
}

/// What a walk meets.
enum Met<'a> {
    Entry(Path, Entry),
    /// A pack that is damaged: its key, and the encoded path before which it ends.
    Damage(&'a [u8], Option<Vec<u8>>),
}

fn walk(
    table: &ReadOnlyTable<&'static [u8], &'static [u8]>,
    namespace: Namespace,
    within: Option<&Path>,
    after: Option<&Path>,
    visit: &mut dyn FnMut(Met<'_>) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let within = within.map_or(&[][..], Path::as_bytes);
    let after = after.map_or(&[][..], Path::as_bytes);
    let from = path_key(namespace, within.max(after));
    let namespace_key = &from[..NAMESPACE_BYTES];
    // The pack before may hold the first paths.
    let before = table.range(namespace_key..=&from[..]).map_err(failed)?.next_back();
    let before = before.transpose().map_err(failed)?;
    let start = before.as_ref().map_or(&from[..], |(key, _)| key.value());
    let mut path = Vec::new();
    let mut packs = table.range(start..).map_err(failed)?.peekable();
    while let Some(pack) = packs.next() {
        let (key, value) = pack.map_err(failed)?;
        let key = key.value();
        let Some(pack_path) = key.strip_prefix(namespace_key) else { break };
        let Some(mut fields) = sound_pack(key, value.value()) else {
            let end = match packs.peek() {
                Some(Ok((next, _))) => next.value().strip_prefix(namespace_key).map(<[u8]>::to_vec),
                // What cannot be read is met in the next turn.
                _ => None,
            };
            if visit(Met::Damage(key, end)).is_break() {
                return Ok(());
            }
            continue;
        };
        let malformed = |Malformed| corrupt(TableName::Entries, key);
        path.clear();
        path.extend_from_slice(Record::of(namespace, pack_path).path);
        let record_bytes = path.len();
        while fields.next_field().map_err(malformed)? {
            path.truncate(record_bytes);
            path.extend_from_slice(fields.suffix());
            if path[..] < *within || (!after.is_empty() && path[..] <= *after) {
                continue;
            }
            if !path.starts_with(within) {
                return Ok(());
            }
            let entry = fields.entry().map_err(malformed)?;
            let path = stored_path(TableName::Entries, key, &path)?;
            if visit(Met::Entry(path, entry)).is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Drops the pack of each of these paths, if it is damaged.
pub(super) fn drop_damaged(
    table: &mut Table<'_, &'static [u8], &'static [u8]>,
    damaged: &BTreeSet<(Namespace, Path)>,
) -> Result<(), StoreError> {
    for (namespace, path) in damaged {
        let record = Record::of(*namespace, path.as_bytes());
        let mut record_key = Vec::new();
        record.write_key(&mut record_key);
        let path_key = path_key(*namespace, path.as_bytes());
        let last = table.range(&record_key[..]..=&path_key[..]).map_err(failed)?.next_back();
        let Some((stored_key, value)) = last.transpose().map_err(failed)? else { continue };
        if sound_pack(stored_key.value(), value.value()).is_some() {
            continue;
        }
        let key = stored_key.value().to_vec();
        drop((stored_key, value));
        let above = (Bound::Excluded(&key[..]), Bound::Unbounded);
        let next = table.range::<&[u8]>(above).map_err(failed)?.next();
        let next = next.transpose().map_err(failed)?.map(|(next, _)| next.value().to_vec());
        let has_more = next.is_some_and(|next| {
            let path = next.get(NAMESPACE_BYTES..).unwrap_or_default();
            next.starts_with(&record_key) && record.suffix(*namespace, path).is_some()
        });
        if key == record_key && has_more {
            // A split record keeps its first pack.
            let mut pack = NewPack::default();
            pack.begin(&key, key.len(), true, 0);
            pack.store(&mut |key, value| table.insert(key, value).map(drop).map_err(failed))?;
        } else {
            table.remove(&key[..]).map_err(failed)?;
        }
    }
    Ok(())
}

fn sound_pack<'a>(key: &[u8], value: &'a [u8]) -> Option<PackReader<'a>> {
    sealed::open(TableName::Entries, key, value).and_then(|body| PackReader::new(body).ok())
}

fn open_pack<'a>(key: &[u8], value: &'a [u8]) -> Result<PackReader<'a>, StoreError> {
    sound_pack(key, value).ok_or_else(|| corrupt(TableName::Entries, key))
}

fn find(mut fields: PackReader<'_>, suffix: &[u8]) -> Result<Entry, Malformed> {
    while fields.next_field()? {
        match fields.suffix().cmp(suffix) {
            Ordering::Less => {}
            Ordering::Equal => return fields.entry(),
            Ordering::Greater => break,
        }
    }
    Ok(Entry::absent())
}

/// Merges changes into packs; its buffers serve for all records of a commit.
struct Writer<'a, 'txn> {
    table: &'a mut Table<'txn, &'static [u8], &'static [u8]>,
    key: Vec<u8>,
    old: Vec<u8>,
    pack: NewPack,
}

impl Writer<'_, '_> {
    fn write_record(
        &mut self,
        record: Record<'_>,
        changes: &[Change<'_>],
    ) -> Result<(), StoreError> {
        record.write_key(&mut self.key);
        self.old.clear();
        if let Some(value) = self.table.get(&self.key[..]).map_err(failed)? {
            self.old.extend_from_slice(value.value());
        }
        if !self.old.is_empty() && open_pack(&self.key, &self.old)?.is_split() {
            return self.write_split_record(changes);
        }
        let record_bytes = self.key.len();
        self.merge(record_bytes, changes)?;
        Ok(())
    }

    /// Each pack takes the changes up to the next one.
    fn write_split_record(&mut self, mut changes: &[Change<'_>]) -> Result<(), StoreError> {
        let record_key = self.key.clone();
        let mut first_is_empty = false;
        while let Some((suffix, _)) = changes.first() {
            let path_key = [&record_key[..], suffix].concat();
            let next_suffix = self.load_pack_of(&record_key, &path_key)?;
            let here = match &next_suffix {
                Some(next) => changes.partition_point(|(suffix, _)| suffix < &&next[..]),
                None => changes.len(),
            };
            let is_first = self.key == record_key;
            let is_empty = self.merge(record_key.len(), &changes[..here])?;
            first_is_empty |= is_first && is_empty;
            changes = &changes[here..];
        }
        if first_is_empty {
            self.remove_first_if_alone(&record_key)?;
        }
        Ok(())
    }

    /// Loads the pack of a path of a split record; returns where the record's next one starts.
    fn load_pack_of(
        &mut self,
        record_key: &[u8],
        path_key: &[u8],
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let last = self.table.range(record_key..=path_key).map_err(failed)?.next_back();
        let (key, value) = last.expect("a split record keeps its first pack").map_err(failed)?;
        self.key.clear();
        self.key.extend_from_slice(key.value());
        self.old.clear();
        self.old.extend_from_slice(value.value());
        drop((key, value));
        let above = (Bound::Excluded(&self.key[..]), Bound::Unbounded);
        match self.table.range::<&[u8]>(above).map_err(failed)?.next() {
            Some(next) => {
                let (key, _) = next.map_err(failed)?;
                Ok(key.value().strip_prefix(record_key).map(<[u8]>::to_vec))
            }
            None => Ok(None),
        }
    }

    fn remove_first_if_alone(&mut self, record_key: &[u8]) -> Result<(), StoreError> {
        if self.load_pack_of(record_key, record_key)?.is_none() {
            self.table.remove(record_key).map_err(failed)?;
        }
        Ok(())
    }

    /// Merges the changes into the pack in `old`, and stores the result under `key`, in pieces if it is too
    /// large. Returns whether it is empty; then it is gone, unless it is the first pack of a split record.
    fn merge(&mut self, record_bytes: usize, changes: &[Change<'_>]) -> Result<bool, StoreError> {
        let Self { table, key, old, pack } = self;
        let mut store =
            |key: &[u8], value: &[u8]| table.insert(key, value).map(drop).map_err(failed);
        let added: usize = changes.iter().map(|(suffix, entry)| bytes(suffix, live(entry))).sum();
        let mut changes = changes.iter().peekable();
        let mut dots = Vec::new();
        let fields = if old.is_empty() { None } else { Some(open_pack(key, old)?) };
        let was_split = fields.as_ref().is_some_and(PackReader::is_split);
        pack.begin(key, record_bytes, was_split, old.len() + added);
        if let Some(mut fields) = fields {
            let malformed = |key: &[u8]| corrupt(TableName::Entries, key);
            while fields.next_field().map_err(|Malformed| malformed(key))? {
                while let Some((suffix, entry)) =
                    changes.next_if(|(suffix, _)| *suffix < fields.suffix())
                {
                    pack.put(suffix, live(entry), &mut store)?;
                }
                if let Some((suffix, entry)) =
                    changes.next_if(|(suffix, _)| *suffix == fields.suffix())
                {
                    pack.put(suffix, live(entry), &mut store)?;
                    continue;
                }
                dots.clear();
                while let Some(dot) = fields.next_live().map_err(|Malformed| malformed(key))? {
                    dots.push(dot);
                }
                pack.put(fields.suffix(), dots.iter().copied(), &mut store)?;
            }
        }
        for (suffix, entry) in changes {
            pack.put(suffix, live(entry), &mut store)?;
        }
        if pack.fields.fields() > 0 {
            pack.store(&mut store)?;
            return Ok(false);
        }
        let is_first = key.len() == record_bytes;
        if pack.is_split && is_first {
            pack.store(&mut store)?;
        } else if !old.is_empty() {
            table.remove(&key[..]).map_err(failed)?;
        }
        Ok(true)
    }
}

/// A pack that is being written, and its key.
#[derive(Default)]
struct NewPack {
    key: Vec<u8>,
    record_bytes: usize,
    value: Vec<u8>,
    fields: PackWriter,
    /// Where to split, so that the pieces are of equal size.
    target: usize,
    is_split: bool,
}

impl NewPack {
    /// Begins a pack, which with all its fields has about `total` bytes.
    fn begin(&mut self, key: &[u8], record_bytes: usize, was_split: bool, total: usize) {
        self.key.clear();
        self.key.extend_from_slice(key);
        self.record_bytes = record_bytes;
        self.target = match total.div_ceil(PIECE_BYTES_MAX) {
            _ if !was_split && total <= RECORD_BYTES_MAX => RECORD_BYTES_MAX,
            0 | 1 => PIECE_BYTES_MAX,
            pieces => total.div_ceil(pieces) + INCARNATION_BYTES,
        };
        self.is_split = was_split;
        self.start();
    }

    /// Adds a field, unless it is absent; stores what there is, if the field does not fit.
    fn put<'a>(
        &mut self,
        suffix: &[u8],
        live: impl ExactSizeIterator<Item = LiveRef<'a>> + Clone,
        store: &mut impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if live.len() == 0 {
            return Ok(());
        }
        if self.fields.fields() > 0 && self.value.len() + bytes(suffix, live.clone()) > self.target
        {
            self.is_split = true;
            self.store(store)?;
            self.key.truncate(self.record_bytes);
            self.key.extend_from_slice(suffix);
            self.start();
        }
        self.fields.field(&mut self.value, suffix, live.len());
        live.for_each(|live| self.fields.live(&mut self.value, live));
        Ok(())
    }

    fn store(
        &mut self,
        store: &mut impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if self.is_split {
            mark_split(&mut self.value[sealed::CHECKSUM_BYTES..]);
        }
        sealed::seal(TableName::Entries, &self.key, &mut self.value);
        store(&self.key, &self.value)
    }

    fn start(&mut self) {
        sealed::start(&mut self.value);
        self.fields.start(&mut self.value);
    }
}

fn live(entry: &Entry) -> impl ExactSizeIterator<Item = LiveRef<'_>> + Clone {
    entry.live().iter().map(LiveRef::from)
}

/// About how many bytes a field takes in a pack.
fn bytes<'a>(suffix: &[u8], live: impl Iterator<Item = LiveRef<'a>>) -> usize {
    suffix.len() + 3 + live.map(|live| live.bytes.len() + DOT_BYTES).sum::<usize>()
}

/// Each piece names its incarnations anew, and most have one.
const INCARNATION_BYTES: usize = 16;

/// Index, differences, kind and length of a live dot, when they are small.
const DOT_BYTES: usize = 6;
