//! Running state: what makes rows and writes small. Each element is written as its difference from what the
//! same frame said before, and a reader that keeps the same state restores it.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::Range;

use hashbrown::HashMap;

use super::DecodeError;
use super::primitives::{Reader, put_bytes, put_varint, unzigzag, zigzag};
use crate::limits::{PATH_BYTES_MAX, VECTOR_ENTRIES_MAX};
use crate::{Dot, Hlc, Incarnation, Payload, PayloadKind, Seq, path};

/// Paths: `shared varint | length varint | suffix[length]`, where the first `shared` bytes are those of the
/// path before, as many as agree.
#[derive(Debug, Clone, Default)]
pub(super) struct PathRun {
    last: Vec<u8>,
}

impl PathRun {
    pub(super) fn write(&mut self, path: &[u8], out: &mut Vec<u8>) {
        let shared = self.last.iter().zip(path).take_while(|(last, this)| last == this).count();
        put_varint(out, shared as u64);
        put_bytes(out, &path[shared..]);
        self.last.truncate(shared);
        self.last.extend_from_slice(&path[shared..]);
    }

    /// Reads and checks the next path, and says how it compares to the one before.
    pub(super) fn read(&mut self, reader: &mut Reader<'_>) -> Result<Ordering, DecodeError> {
        let shared = reader.count(self.last.len(), "shared path bytes")?;
        let length = reader.count(PATH_BYTES_MAX - shared, "path bytes")?;
        let suffix = reader.slice(length)?;
        let order = suffix.first().cmp(&self.last.get(shared));
        if order == Ordering::Equal && !suffix.is_empty() {
            return Err(DecodeError::Malformed); // the byte agrees, so it should have been shared
        }
        self.last.truncate(shared);
        self.last.extend_from_slice(suffix);
        path::check(&self.last).map_err(DecodeError::Path)?;
        Ok(order)
    }

    /// The same in the second form: `shared varint | tail varint | length varint | between[length]`, where the
    /// last `tail` bytes are those of the path before, too, as many as agree and do not overlap the first ones.
    /// Rows of one field of many records differ in what is between.
    pub(super) fn write_between(&mut self, path: &[u8], out: &mut Vec<u8>) {
        let (shared, tail) = ends(&self.last, path);
        put_varint(out, shared as u64);
        put_varint(out, tail as u64);
        put_bytes(out, &path[shared..path.len() - tail]);
        self.last.clear();
        self.last.extend_from_slice(path);
    }

    /// Reads and checks the next path in the second form.
    pub(super) fn read_between(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        let shared = reader.count(self.last.len(), "shared path bytes")?;
        let tail = reader.count(self.last.len() - shared, "shared path bytes")?;
        let room = PATH_BYTES_MAX.saturating_sub(shared + tail);
        let length = reader.count(room, "path bytes")?;
        let between = reader.slice(length)?;
        let end = &self.last[self.last.len() - tail..];
        let path = [&self.last[..shared], between, end].concat();
        if ends(&self.last, &path) != (shared, tail) {
            return Err(DecodeError::Malformed); // more could have been shared
        }
        path::check(&path).map_err(DecodeError::Path)?;
        self.last = path;
        Ok(())
    }

    /// The path written or read last.
    pub(super) fn last(&self) -> &[u8] {
        &self.last
    }
}

/// How many bytes two paths share at the beginning, and how many of the rest at the end.
fn ends(last: &[u8], this: &[u8]) -> (usize, usize) {
    let shared = last.iter().zip(this).take_while(|(last, this)| last == this).count();
    let rests = last[shared..].iter().rev().zip(this[shared..].iter().rev());
    (shared, rests.take_while(|(last, this)| last == this).count())
}

/// Stamps: the difference to the stamp before.
///
/// ```text
/// same millisecond:     varint (zigzag(counter - last counter) << 1 | 1)
/// another millisecond:  varint (zigzag(ms - last ms) << 1) | counter varint
/// ```
///
/// One byte for the next write of a transaction, four within half a minute, where the difference of the
/// 64-bit forms would take five.
#[derive(Debug, Clone, Copy)]
pub(super) struct StampRun {
    last: Hlc,
}

impl StampRun {
    pub(super) const fn after(last: Hlc) -> Self {
        Self { last }
    }

    pub(super) fn write(&mut self, stamp: Hlc, out: &mut Vec<u8>) {
        let ms = stamp.ms() as i64 - self.last.ms() as i64;
        if ms == 0 {
            put_varint(out, zigzag(counter(stamp) - counter(self.last)) << 1 | 1);
        } else {
            put_varint(out, zigzag(ms) << 1);
            put_varint(out, counter(stamp) as u64);
        }
        self.last = stamp;
    }

    pub(super) fn read(&mut self, reader: &mut Reader<'_>) -> Result<Hlc, DecodeError> {
        let head = reader.varint()?;
        let difference = unzigzag(head >> 1);
        let (ms, counter) = match (head & 1, difference) {
            (1, counters) => (self.last.ms() as i64, counter(self.last).checked_add(counters)),
            (_, 0) => return Err(DecodeError::Malformed), // this millisecond has the other form
            (_, ms) => (
                (self.last.ms() as i64).checked_add(ms).ok_or(DecodeError::Stamp)?,
                i64::try_from(reader.varint()?).ok(),
            ),
        };
        let counter = counter.filter(|counter| (0..=0xffff).contains(counter));
        let (Some(counter), 0..=MS_MAX) = (counter, ms) else { return Err(DecodeError::Stamp) };
        self.last = Hlc::from_bits((ms as u64) << 16 | counter as u64);
        if self.last > Hlc::MAX {
            return Err(DecodeError::Stamp);
        }
        Ok(self.last)
    }
}

const fn counter(stamp: Hlc) -> i64 {
    (stamp.bits() & 0xffff) as i64
}

const MS_MAX: i64 = (1 << 48) - 1;

/// Writes dots: `index varint | zigzag(seq - last seq) varint`, where the index names an incarnation in the
/// order in which the frame mentions them, and the last seq is that of its previous dot, zero at first. The
/// index one past the end introduces an incarnation: its 16 bytes follow. Beyond [`KNOWN_MAX`] they follow
/// each time.
#[derive(Debug, Clone, Default)]
pub(super) struct DotWriter {
    /// Looked up, never walked: its order reaches nothing.
    index: HashMap<Incarnation, usize>,
    last_seq: Vec<u64>,
    recent: Option<(Incarnation, usize)>,
}

impl DotWriter {
    /// Makes a dot known that the header has mentioned.
    pub(super) fn mention(&mut self, dot: Dot) {
        if self.last_seq.len() < KNOWN_MAX {
            self.index.insert(dot.incarnation, self.last_seq.len());
            self.last_seq.push(dot.seq.get());
        }
    }

    pub(super) fn write(&mut self, dot: Dot, out: &mut Vec<u8>) {
        let known = match self.recent {
            Some((incarnation, index)) if incarnation == dot.incarnation => Some(index),
            _ => self.index.get(&dot.incarnation).copied(),
        };
        let Some(index) = known else {
            put_varint(out, self.last_seq.len() as u64);
            out.extend_from_slice(dot.incarnation.as_bytes());
            put_varint(out, zigzag(dot.seq.get() as i64));
            return self.mention(dot);
        };
        self.recent = Some((dot.incarnation, index));
        let last = core::mem::replace(&mut self.last_seq[index], dot.seq.get());
        put_varint(out, index as u64);
        put_varint(out, zigzag(dot.seq.get().wrapping_sub(last) as i64));
    }
}

/// Reads what [`DotWriter`] wrote.
#[derive(Debug, Clone, Default)]
pub(super) struct DotReader {
    known: Vec<(Incarnation, u64)>,
}

impl DotReader {
    /// Makes a dot known that the header has mentioned.
    pub(super) fn mention(&mut self, dot: Dot) {
        if self.known.len() < KNOWN_MAX {
            self.known.push((dot.incarnation, dot.seq.get()));
        }
    }

    pub(super) fn read(&mut self, reader: &mut Reader<'_>) -> Result<Dot, DecodeError> {
        let index = reader.count(self.known.len(), "incarnations")?;
        let (incarnation, last) = match self.known.get(index) {
            Some(&known) => known,
            None => (Incarnation::from_bytes(reader.array()?), 0),
        };
        let seq = last.wrapping_add(unzigzag(reader.varint()?) as u64);
        let dot = Dot::new(incarnation, Seq::new(seq).ok_or(DecodeError::Dot)?);
        match self.known.get_mut(index) {
            Some((_, last)) => *last = seq,
            None => self.mention(dot),
        }
        Ok(dot)
    }
}

/// Most incarnations that a frame's running state remembers: bounds what reading it allocates.
const KNOWN_MAX: usize = VECTOR_ENTRIES_MAX;

/// Content as `tag varint`, zero for none, else the payload's kind plus one.
pub(super) fn put_tag(payload: Option<&Payload>, out: &mut Vec<u8>) {
    put_varint(out, payload.map_or(0, |payload| u64::from(payload.kind.0) + 1));
}

/// The payload's kind; `None` when there is no content.
pub(super) fn read_tag(reader: &mut Reader<'_>) -> Result<Option<PayloadKind>, DecodeError> {
    // The last kind of all marks what one store has lost, and is nothing to tell.
    let tag = reader.count(usize::from(PayloadKind::LOST.0), "payload kinds")?;
    Ok(tag.checked_sub(1).map(|kind| PayloadKind(kind as u16)))
}

/// A payload by position, so that reading it costs nothing until it is wanted.
#[derive(Debug, Clone)]
pub(super) struct PayloadRange {
    pub(super) kind: PayloadKind,
    pub(super) bytes: Range<usize>,
}

impl PayloadRange {
    pub(super) fn read(kind: PayloadKind, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = reader.varint()?;
        Ok(Self { kind, bytes: reader.range(length)? })
    }

    /// The payload, as a slice of the frame.
    pub(super) fn of(self, frame: &bytes::Bytes) -> Payload {
        Payload { kind: self.kind, bytes: frame.slice(self.bytes) }
    }
}
