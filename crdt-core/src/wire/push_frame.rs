//! One transaction, encoded once for all links.
//!
//! ```text
//! body  = namespace varint | origin[16] | first varint | greatest stamp u64 | deps | write*
//! deps  = length varint | entries of a vector[length]
//! write = path | stamp | tag varint | [length varint | payload] | overwritten varint | dot*
//! tag   = 0: a delete, else the payload's kind + 1
//! ```
//!
//! Paths, dots and stamps are written as differences ([`super::running`]). The first stamp differs from the
//! greatest; origin and dependencies are known incarnations from the start, in this order, their last seqs
//! those of the header. In version 2 the dependencies are relative to a table of closed incarnations, and those
//! are known from the start that are listed and covered.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use bytes::Bytes;

use super::DecodeError;
use super::encode::{finish_frame, frame_bytes, start_frame};
use super::kind;
use super::primitives::{Reader, put_bytes, put_varint};
use super::running::{DotReader, DotWriter, PathRun, PayloadRange, StampRun, put_tag, read_tag};
use super::tables::Tables;
use super::vector::{Relative, put_relative, put_vector, read_relative, read_vector};
use crate::frame::FRAME_HEADER_BYTES;
use crate::limits::VECTOR_ENTRIES_MAX;
use crate::{Closed, Dot, Hlc, Incarnation, Namespace, Path, Push, PushWrite, Seq, VersionVector};

/// One transaction, encoded, and known to be well-formed: at least one write, paths strictly ascending and
/// within their limits, overwritten dots in order and issued before it, dependencies without its origin.
/// Cheap to clone: the ring and all links share one copy of the bytes.
#[derive(Clone)]
pub struct PushFrame {
    frame: Bytes,
    header: Arc<Header>,
}

#[derive(Debug)]
struct Header {
    namespace: Namespace,
    origin: Incarnation,
    first: Seq,
    greatest_stamp: Hlc,
    deps: VersionVector,
    /// The dependencies that are listed, where they are relative to a table.
    listed: Option<Listed>,
    overwritten: VersionVector,
    writes_at: usize,
    len: usize,
    payload_bytes: usize,
}

/// What is said of dependencies that are relative to a table.
#[derive(Debug)]
struct Listed {
    dots: Vec<Dot>,
    table: Arc<Closed>,
}

impl PushFrame {
    /// Encodes a transaction: writes in path order, overwritten dots in the order of dots, dependencies without
    /// the origin's own entry.
    ///
    /// # Panics
    /// When it has no write.
    pub fn encode(push: &Push) -> Self {
        Self::encode_relative(push, &Arc::new(Closed::NONE))
    }

    /// The same, with dependencies relative to a table of closed incarnations where that is shorter.
    ///
    /// # Panics
    /// When it has no write.
    pub fn encode_relative(push: &Push, closed: &Arc<Closed>) -> Self {
        debug_assert!(push.writes.is_sorted_by(|a, b| a.path < b.path), "writes in path order");
        debug_assert_eq!(push.deps.seq(push.origin), 0, "its own predecessor is implied");
        let stamps = push.writes.iter().map(|write| write.hlc);
        let greatest_stamp = stamps.max().expect("a transaction has a write");
        let mut frame = start_frame();
        put_varint(&mut frame, u64::from(push.namespace.number()));
        frame.extend_from_slice(push.origin.as_bytes());
        put_varint(&mut frame, push.first.get());
        frame.extend_from_slice(&greatest_stamp.bits().to_le_bytes());
        let (deps, listed) = put_deps(&push.deps, closed);
        put_bytes(&mut frame, &deps);
        let mut header = Header {
            namespace: push.namespace,
            origin: push.origin,
            first: push.first,
            greatest_stamp,
            deps: push.deps.clone(),
            listed,
            overwritten: push.writes.iter().flat_map(|write| write.overwritten.clone()).collect(),
            writes_at: frame.len(),
            len: push.writes.len(),
            payload_bytes: 0,
        };
        header.payload_bytes = write_all(push, &header, &mut frame);
        let version = match header.listed {
            Some(_) => kind::relative_version(kind::PUSH).expect("a push has dependencies"),
            None => kind::version(kind::PUSH),
        };
        finish_frame(&mut frame, kind::PUSH, version);
        Self { frame: frame.into(), header: Arc::new(header) }
    }

    /// Checks a whole frame of kind [`kind::PUSH`], with tables one whose dependencies are relative.
    pub(super) fn decode(frame: Bytes, tables: Option<Tables<'_>>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(&frame, FRAME_HEADER_BYTES);
        let namespace = reader.count(u32::MAX as usize, "namespaces")? as u32;
        let origin = Incarnation::from_bytes(reader.array()?);
        let first = Seq::new(reader.varint()?).ok_or(DecodeError::Dot)?;
        let greatest_stamp = Hlc::from_bits(u64::from_le_bytes(reader.array()?));
        if greatest_stamp > Hlc::MAX {
            return Err(DecodeError::Stamp);
        }
        let deps = reader.varint()?;
        let (deps, listed) = read_deps(&frame[reader.range(deps)?], tables)?;
        if deps.seq(origin) != 0 {
            return Err(DecodeError::Dot);
        }
        let mut header = Header {
            namespace: Namespace::from_number(namespace),
            origin,
            first,
            greatest_stamp,
            deps,
            listed,
            overwritten: VersionVector::new(),
            writes_at: reader.position(),
            len: 0,
            payload_bytes: 0,
        };
        check_writes(&frame, &mut header)?;
        Ok(Self { frame, header: Arc::new(header) })
    }

    /// Where it was written.
    pub fn namespace(&self) -> Namespace {
        self.header.namespace
    }

    /// Who wrote it.
    pub fn origin(&self) -> Incarnation {
        self.header.origin
    }

    /// The seq of its first write.
    pub fn first(&self) -> Seq {
        self.header.first
    }

    /// The seq of its last write.
    pub fn last(&self) -> Seq {
        self.header.first.plus(self.header.len as u64 - 1)
    }

    /// The dot of the last write.
    pub fn last_dot(&self) -> Dot {
        Dot::new(self.origin(), self.last())
    }

    /// How many writes it has: at least one.
    pub fn len(&self) -> usize {
        self.header.len
    }

    /// Never: a transaction has a write.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// What a receiver must cover first, beside the origin's own earlier writes.
    pub fn deps(&self) -> &VersionVector {
        &self.header.deps
    }

    /// The table that its dependencies are relative to, if they are.
    pub fn table(&self) -> Option<&Arc<Closed>> {
        self.header.listed.as_ref().map(|listed| &listed.table)
    }

    /// The least vector that covers all that it overwrites: what its origin had seen, and its receiver must
    /// have.
    pub fn overwritten(&self) -> &VersionVector {
        &self.header.overwritten
    }

    /// The greatest stamp of its writes.
    pub fn greatest_stamp(&self) -> Hlc {
        self.header.greatest_stamp
    }

    /// Bytes of its paths and payloads.
    pub fn payload_bytes(&self) -> usize {
        self.header.payload_bytes
    }

    /// Bytes that sending it takes, the headers of all its frames included.
    pub fn encoded_bytes(&self) -> usize {
        frame_bytes(self.frame.len())
    }

    /// The writes, decoded one by one; payloads are slices of the frame.
    pub fn writes(&self) -> impl Iterator<Item = PushWrite> + '_ {
        let mut writes = WritesReader::new(&self.frame, &self.header);
        (0..self.header.len).map(move |_| {
            let mut overwritten = Vec::new();
            let write = writes.read(&mut overwritten).expect("decoding has checked every write");
            PushWrite {
                path: Path::from_checked(Bytes::copy_from_slice(writes.paths.last())),
                hlc: write.hlc,
                payload: write.payload.map(|payload| payload.of(&self.frame)),
                overwritten,
            }
        })
    }

    /// The whole transaction, decoded.
    pub fn to_push(&self) -> Push {
        Push {
            namespace: self.header.namespace,
            origin: self.header.origin,
            first: self.header.first,
            deps: self.header.deps.clone(),
            writes: self.writes().collect(),
        }
    }

    /// The whole frame, its header included; longer than a frame may be if it needs fragments.
    pub(super) fn frame(&self) -> &Bytes {
        &self.frame
    }
}

impl Header {
    /// Visits the dependencies that are listed and covered.
    fn mentioned(&self, visit: impl FnMut(Dot)) {
        match &self.listed {
            Some(listed) => listed.dots.iter().copied().for_each(visit),
            None => self.deps.iter().for_each(visit),
        }
    }
}

/// By content.
impl PartialEq for PushFrame {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&*self.header, &*other.header);
        self.frame == other.frame
            || ((a.namespace, a.origin, a.first, a.len) == (b.namespace, b.origin, b.first, b.len)
                && a.deps == b.deps
                && self.writes().eq(other.writes()))
    }
}

impl Eq for PushFrame {}

impl fmt::Debug for PushFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = Dot::new(self.origin(), self.first());
        write!(f, "PushFrame({first}..={}, {} bytes)", self.last(), self.encoded_bytes())
    }
}

/// The dependencies encoded, relative to a table where that is shorter.
fn put_deps(deps: &VersionVector, closed: &Arc<Closed>) -> (Vec<u8>, Option<Listed>) {
    let (mut plain, mut relative) = (Vec::new(), Vec::new());
    put_vector(&mut plain, deps);
    if let Some((namespace, _)) = closed.best_for(deps) {
        put_relative(&mut relative, deps, closed);
        if relative.len() < plain.len() {
            let differing = deps.differing(closed.finals(namespace)).into_iter();
            let dots = differing.filter_map(|(id, seq)| Some(Dot::new(id, seq?))).collect();
            return (relative, Some(Listed { dots, table: closed.clone() }));
        }
    }
    (plain, None)
}

fn read_deps(
    bytes: &[u8],
    tables: Option<Tables<'_>>,
) -> Result<(VersionVector, Option<Listed>), DecodeError> {
    let Some(tables) = tables else { return Ok((read_vector(bytes)?, None)) };
    let Relative { vector, listed, table } = read_relative(bytes, tables)?;
    // Plain ones have their own version.
    let table = table.ok_or(DecodeError::Malformed)?;
    let dots = listed.into_iter().filter_map(|(id, seq)| Some(Dot::new(id, seq?))).collect();
    Ok((vector, Some(Listed { dots, table })))
}

/// Appends the writes; returns the bytes of their paths and payloads.
fn write_all(push: &Push, header: &Header, out: &mut Vec<u8>) -> usize {
    let mut paths = PathRun::default();
    let mut stamps = StampRun::after(header.greatest_stamp);
    let mut dots = DotWriter::default();
    dots.mention(Dot::new(header.origin, header.first));
    header.mentioned(|dot| dots.mention(dot));
    let mut payload_bytes = 0;
    for write in &push.writes {
        debug_assert!(write.overwritten.is_sorted_by(|a, b| a < b), "overwritten dots in order");
        paths.write(write.path.as_bytes(), out);
        stamps.write(write.hlc, out);
        put_tag(write.payload.as_ref(), out);
        payload_bytes += write.path.as_bytes().len();
        if let Some(payload) = &write.payload {
            put_bytes(out, &payload.bytes);
            payload_bytes += payload.bytes.len();
        }
        put_varint(out, write.overwritten.len() as u64);
        write.overwritten.iter().for_each(|&dot| dots.write(dot, out));
    }
    payload_bytes
}

/// Reads all writes, keeps none, and completes the header.
fn check_writes(frame: &Bytes, header: &mut Header) -> Result<(), DecodeError> {
    let mut writes = WritesReader::new(frame, header);
    let mut overwritten = VersionVector::new();
    let mut greatest_stamp = None;
    let (mut len, mut payload_bytes) = (0, 0);
    while !writes.reader.is_empty() {
        let write = writes.read(&mut overwritten)?;
        if overwritten.len() > VECTOR_ENTRIES_MAX {
            return Err(DecodeError::Limit("incarnations overwritten"));
        }
        greatest_stamp = greatest_stamp.max(Some(write.hlc));
        len += 1;
        payload_bytes += writes.paths.last().len();
        payload_bytes += write.payload.map_or(0, |payload| payload.bytes.len());
    }
    if len == 0 {
        return Err(DecodeError::Malformed);
    }
    if greatest_stamp != Some(header.greatest_stamp) {
        return Err(DecodeError::Stamp);
    }
    if header.first.get().checked_add(len as u64 - 1).is_none() {
        return Err(DecodeError::Dot);
    }
    header.len = len;
    header.overwritten = overwritten;
    header.payload_bytes = payload_bytes;
    Ok(())
}

/// Where overwritten dots go: a list, or, while checking, the vector that covers them.
trait DotSink {
    fn expect(&mut self, count: usize);
    fn dot(&mut self, dot: Dot);
}

impl DotSink for VersionVector {
    fn expect(&mut self, _count: usize) {}

    fn dot(&mut self, dot: Dot) {
        self.advance(dot);
    }
}

impl DotSink for Vec<Dot> {
    fn expect(&mut self, count: usize) {
        self.reserve_exact(count);
    }

    fn dot(&mut self, dot: Dot) {
        self.push(dot);
    }
}

struct WriteHead {
    hlc: Hlc,
    payload: Option<PayloadRange>,
}

struct WritesReader<'a> {
    reader: Reader<'a>,
    origin: Incarnation,
    first: Seq,
    paths: PathRun,
    stamps: StampRun,
    dots: DotReader,
}

impl<'a> WritesReader<'a> {
    fn new(frame: &'a Bytes, header: &Header) -> Self {
        let mut dots = DotReader::default();
        dots.mention(Dot::new(header.origin, header.first));
        header.mentioned(|dot| dots.mention(dot));
        Self {
            reader: Reader::new(frame, header.writes_at),
            origin: header.origin,
            first: header.first,
            paths: PathRun::default(),
            stamps: StampRun::after(header.greatest_stamp),
            dots,
        }
    }

    /// Reads one write: its path is then the last of `paths`, its overwritten dots went to the sink.
    fn read(&mut self, overwritten: &mut impl DotSink) -> Result<WriteHead, DecodeError> {
        if self.paths.read(&mut self.reader)? != Ordering::Greater {
            return Err(DecodeError::Order("paths of a push"));
        }
        let hlc = self.stamps.read(&mut self.reader)?;
        let payload = match read_tag(&mut self.reader)? {
            Some(kind) => Some(PayloadRange::read(kind, &mut self.reader)?),
            None => None,
        };
        let count = self.reader.count(VECTOR_ENTRIES_MAX, "overwritten dots")?;
        overwritten.expect(count);
        let mut last = None;
        for _ in 0..count {
            let dot = self.dots.read(&mut self.reader)?;
            if last.replace(dot) >= Some(dot) {
                return Err(DecodeError::Order("overwritten dots"));
            }
            if dot.incarnation == self.origin && dot.seq >= self.first {
                return Err(DecodeError::Dot);
            }
            overwritten.dot(dot);
        }
        Ok(WriteHead { hlc, payload })
    }
}
