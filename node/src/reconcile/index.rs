//! The sums of one snapshot, by which ranges of it are told in few bytes.

use std::ops::ControlFlow;

use millpond_core::Path;
use millpond_core::message::Fingerprint;
use millpond_core::wire::entry::encode_entry;

use crate::state::View;
use crate::store::StoreError;

/// The entries of a view in segments of [`SEGMENT_ENTRIES`], with the sum of their hashes. About a hundred
/// bytes a segment; made by one scan, a slice at a time.
pub(super) struct Index {
    view: View,
    key: [u8; 32],
    segments: Vec<Segment>,
    /// Of all entries so far.
    total: Sum,
    last: Option<Path>,
    in_segment: usize,
    is_complete: bool,
    hasher: ItemHasher,
    /// Whether damaged values are passed over, as if nothing were there; and whether there are any. What is
    /// passed over looks deleted, so only one who deletes nothing may do it.
    is_tolerant: bool,
    is_damaged: bool,
}

struct Segment {
    /// The shortest encoded bytes that lie behind the entries before it and not behind its own first one.
    start: Box<[u8]>,
    /// The last path before it.
    after: Option<Path>,
    /// The sum of all entries before it.
    before: Sum,
}

/// How many entries, and the sum of their hashes modulo 2^128.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) count: u64,
    pub(super) hashes: u128,
}

impl Index {
    /// An index of a view that has still to be made: [`Index::step`].
    pub(super) fn new(view: View, salt: [u8; 16], is_tolerant: bool) -> Self {
        let key = [salt, salt].concat().try_into().expect("it is twice the salt");
        Self {
            view,
            key,
            segments: Vec::new(),
            total: Sum::default(),
            last: None,
            in_segment: 0,
            is_complete: false,
            hasher: ItemHasher::default(),
            is_tolerant,
            is_damaged: false,
        }
    }

    /// Takes in the next entries: false once all are in.
    pub(super) fn step(&mut self, entries_max: usize) -> Result<bool, StoreError> {
        if self.is_complete {
            return Ok(false);
        }
        let mut taken = 0;
        let after = self.last.clone();
        let (view, is_tolerant) = (self.view.clone(), self.is_tolerant);
        let visit = &mut |path, entry| {
            self.take(path, &entry);
            taken += 1;
            if taken < entries_max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let is_damaged = visit_entries(&view, is_tolerant, after.as_ref(), visit)?;
        self.is_damaged |= is_damaged;
        self.is_complete = taken < entries_max;
        Ok(!self.is_complete)
    }

    fn take(&mut self, path: Path, entry: &millpond_core::Entry) {
        if self.in_segment == 0 {
            let last = self.last.as_ref().map_or(&[][..], |last| last.as_bytes());
            let this = path.as_bytes();
            let shared = last.iter().zip(this).take_while(|(last, this)| last == this).count();
            let start = this[..=shared.min(this.len() - 1)].into();
            let (after, before) = (self.last.clone(), self.total);
            self.segments.push(Segment { start, after, before });
        }
        let hash = self.hasher.hash(&self.key, &path, entry);
        self.total = self.total.plus(hash);
        self.in_segment = (self.in_segment + 1) % SEGMENT_ENTRIES;
        self.last = Some(path);
    }

    /// How many entries there are, and whether damaged ones were passed over.
    pub(super) fn counted(&self) -> (u64, bool) {
        (self.total.count, self.is_damaged)
    }

    /// Bytes that it takes, with what an allocator adds to each piece.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let piece = |bytes: usize| bytes.div_ceil(16) * 16 + 16;
        let path = |path: &Path| piece(path.as_bytes().len());
        let of = |it: &Segment| piece(it.start.len()) + it.after.as_ref().map_or(0, path);
        let own = self.segments.capacity() * size_of::<Segment>();
        own + self.segments.iter().map(of).sum::<usize>()
    }

    /// Whether all entries are in.
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// The fingerprint of the entries in `start..end`.
    pub(super) fn whole(
        &self,
        start: &[u8],
        end: Option<&[u8]>,
    ) -> Result<Fingerprint, StoreError> {
        let upto = match end {
            Some(end) => self.before(end)?,
            None => self.total,
        };
        let before = self.before(start)?;
        let sum = upto.hashes.wrapping_sub(before.hashes).to_le_bytes();
        Ok(Fingerprint { count: upto.count - before.count, sum })
    }

    /// The sum of all entries before a bound.
    fn before(&self, bound: &[u8]) -> Result<Sum, StoreError> {
        let place = self.segments.partition_point(|segment| *segment.start < *bound);
        // A segment that starts there, or behind whose last predecessor the bound lies, needs no reading.
        if let Some(segment) = self.segments.get(place)
            && segment.after.as_ref().is_none_or(|after| after.as_bytes() < bound)
        {
            return Ok(segment.before);
        }
        if place == self.segments.len()
            && self.last.as_ref().is_none_or(|last| last.as_bytes() < bound)
        {
            return Ok(self.total);
        }
        let Some(place) = place.checked_sub(1) else { return Ok(Sum::default()) };
        let mut sum = self.segments[place].before;
        self.scan(place, Some(bound), &mut |_, hash| sum = sum.plus(hash))?;
        Ok(sum)
    }

    /// The entries in `start..end` with their hashes.
    pub(super) fn items(
        &self,
        start: &[u8],
        end: Option<&[u8]>,
    ) -> Result<Vec<(Path, u128)>, StoreError> {
        let place = self.segments.partition_point(|segment| *segment.start <= *start);
        let mut items = Vec::new();
        self.scan(place.saturating_sub(1), end, &mut |path, hash| {
            if path.as_bytes() >= start {
                items.push((path, hash));
            }
        })?;
        Ok(items)
    }

    /// Bounds that divide `start..end` into at most `parts` parts of about as many entries; none when it is
    /// within one segment.
    pub(super) fn split(&self, start: &[u8], end: Option<&[u8]>, parts: usize) -> Vec<&[u8]> {
        let first = self.segments.partition_point(|segment| *segment.start <= *start);
        let last = match end {
            Some(end) => self.segments.partition_point(|segment| *segment.start < *end),
            None => self.segments.len(),
        };
        let inner = self.segments.get(first..last).unwrap_or_default();
        let parts = parts.min(inner.len() + 1);
        (1..parts).map(|part| &*inner[part * (inner.len() + 1) / parts - 1].start).collect()
    }

    /// Visits the entries from the beginning of a segment up to a bound.
    fn scan(
        &self,
        place: usize,
        end: Option<&[u8]>,
        visit: &mut dyn FnMut(Path, u128),
    ) -> Result<(), StoreError> {
        let Some(segment) = self.segments.get(place) else { return Ok(()) };
        let mut hasher = ItemHasher::default();
        let visit = &mut |path: Path, entry| {
            if end.is_some_and(|end| path.as_bytes() >= end) {
                return ControlFlow::Break(());
            }
            let hash = hasher.hash(&self.key, &path, &entry);
            visit(path, hash);
            ControlFlow::Continue(())
        };
        visit_entries(&self.view, self.is_tolerant, segment.after.as_ref(), visit).map(drop)
    }
}

/// Visits the entries beyond a path; says whether damaged ones were passed over.
fn visit_entries(
    view: &View,
    is_tolerant: bool,
    after: Option<&Path>,
    visit: &mut dyn FnMut(Path, millpond_core::Entry) -> ControlFlow<()>,
) -> Result<bool, StoreError> {
    if !is_tolerant {
        return view.entries_with_lost(None, after, visit).map(|()| false);
    }
    let mut is_damaged = false;
    view.sound_entries(after, &mut |met| match met {
        Ok((path, entry)) => visit(path, entry),
        Err(_) => {
            is_damaged = true;
            ControlFlow::Continue(())
        }
    })?;
    Ok(is_damaged)
}

impl Sum {
    fn plus(self, hash: u128) -> Self {
        Self { count: self.count + 1, hashes: self.hashes.wrapping_add(hash) }
    }
}

/// Hashes a path with its live dots, their stamps and contents.
#[derive(Default)]
struct ItemHasher {
    bytes: Vec<u8>,
}

impl ItemHasher {
    fn hash(&mut self, key: &[u8; 32], path: &Path, entry: &millpond_core::Entry) -> u128 {
        let path = path.as_bytes();
        self.bytes.clear();
        self.bytes.extend_from_slice(&(path.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(path);
        encode_entry(entry, &mut self.bytes);
        let hash = blake3::keyed_hash(key, &self.bytes);
        let first = hash.as_bytes().first_chunk().expect("a hash has 32 bytes");
        u128::from_le_bytes(*first)
    }
}

/// Few enough that those of one segment are told one by one.
pub(super) const SEGMENT_ENTRIES: usize = 16;
