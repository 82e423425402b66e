//! Rows of a catch-up, many to a frame.
//!
//! ```text
//! body = transfer varint | row*
//! row  = path | shape varint | live dot* | [deletes varint | delete*]
//! live dot = dot | tag varint | [stamp | length varint | payload]
//! delete   = dot | stamp
//! shape = live dots << 1 | has deletes        tag = 0: no content, else the payload's kind + 1
//! ```
//!
//! Paths, dots and stamps are written as differences: [`super::running`]. In the first version a path shares no
//! tail with the one before; it is still read.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use super::DecodeError;
use super::encode::{finish_frame, frame_bytes, start_frame};
use super::kind;
use super::primitives::{Reader, put_bytes, put_varint};
use super::running::{DotReader, DotWriter, PathRun, PayloadRange, StampRun, put_tag, read_tag};
use crate::frame::{FRAME_HEADER_BYTES, FrameHeader};
use crate::limits::ROW_DOTS_MAX;
use crate::{Dot, Hlc, Incarnation, Path, Row, RowDot};

/// Rows of one transfer, encoded, and known to be well-formed: paths and stamps within their limits, dots in
/// order, no byte too many. Cheap to clone.
#[derive(Clone)]
pub struct RowsFrame {
    frame: Bytes,
    transfer: u64,
    rows_at: usize,
    len: usize,
}

impl RowsFrame {
    /// Checks a whole frame of kind [`kind::ROWS`].
    pub(super) fn decode(frame: Bytes) -> Result<Self, DecodeError> {
        let is_first = is_of_first_version(&frame);
        let mut reader = Reader::new(&frame, FRAME_HEADER_BYTES);
        let transfer = reader.varint()?;
        let rows_at = reader.position();
        let mut rows = RowsReader::new(reader, is_first);
        let mut len = 0;
        while !rows.reader.is_empty() {
            rows.read(&mut ())?;
            len += 1;
        }
        Ok(Self { frame, transfer, rows_at, len })
    }

    /// Which transfer the rows belong to.
    pub fn transfer(&self) -> u64 {
        self.transfer
    }

    /// How many rows it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that sending it takes, the headers of all its frames included.
    pub fn encoded_bytes(&self) -> usize {
        frame_bytes(self.frame.len())
    }

    /// The rows, decoded one by one; payloads are slices of the frame.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        let reader = Reader::new(&self.frame, self.rows_at);
        let mut rows = RowsReader::new(reader, is_of_first_version(&self.frame));
        (0..self.len).map(move |_| {
            let mut content =
                RowContent { frame: &self.frame, live: Vec::new(), deletes: Vec::new() };
            rows.read(&mut content).expect("decoding the frame has checked every row");
            let path = Path::from_checked(Bytes::copy_from_slice(rows.paths.last()));
            Row { path, live: content.live, deletes: content.deletes }
        })
    }

    /// The whole frame, its header included; longer than a frame may be if it needs fragments.
    pub(super) fn frame(&self) -> &Bytes {
        &self.frame
    }
}

/// By content.
impl PartialEq for RowsFrame {
    fn eq(&self, other: &Self) -> bool {
        self.frame == other.frame
            || (self.transfer == other.transfer
                && self.len == other.len
                && self.rows().eq(other.rows()))
    }
}

impl Eq for RowsFrame {}

impl fmt::Debug for RowsFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowsFrame({}, {} rows, {} bytes)", self.transfer, self.len, self.encoded_bytes())
    }
}

/// Encodes rows as they come. The caller finishes at a size that suits the link, well below
/// [`FRAME_BYTES_MAX`](crate::limits::FRAME_BYTES_MAX); a frame that exceeds it, by one large row, travels
/// in fragments.
#[derive(Debug, Clone)]
pub struct RowsWriter {
    frame: Vec<u8>,
    transfer: u64,
    rows_at: usize,
    len: usize,
    paths: PathRun,
    dots: DotWriter,
    stamps: StampRun,
}

impl RowsWriter {
    /// Begins a frame of this transfer.
    pub fn new(transfer: u64) -> Self {
        let mut frame = start_frame();
        put_varint(&mut frame, transfer);
        Self {
            rows_at: frame.len(),
            frame,
            transfer,
            len: 0,
            paths: PathRun::default(),
            dots: DotWriter::default(),
            stamps: StampRun::after(Hlc::default()),
        }
    }

    /// Appends a row, whose live and delete dots are in the order of dots, each once.
    ///
    /// When a row has more than [`ROW_DOTS_MAX`] dots, a delete dot that a later dot of its incarnation
    /// follows is left out: whoever lacks the former lacks the latter, and so is sent the path because of
    /// the latter.
    pub fn push(&mut self, row: &Row) {
        debug_assert!(row.live.is_sorted_by(|a, b| a.dot < b.dot), "live dots in order");
        debug_assert!(row.deletes.is_sorted_by(|a, b| a.0 < b.0), "delete dots in order");
        self.len += 1;
        if row.live.len() + row.deletes.len() > ROW_DOTS_MAX {
            return self.write(row, &last_deletes(row));
        }
        self.write(row, &row.deletes);
    }

    /// Ends the frame.
    pub fn finish(mut self) -> RowsFrame {
        finish_frame(&mut self.frame, kind::ROWS, kind::version(kind::ROWS));
        let Self { frame, transfer, rows_at, len, .. } = self;
        RowsFrame { frame: frame.into(), transfer, rows_at, len }
    }

    /// Bytes that sending what was pushed so far would take.
    pub fn encoded_bytes(&self) -> usize {
        frame_bytes(self.frame.len())
    }

    /// How many rows were pushed.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn write(&mut self, row: &Row, deletes: &[(Dot, Hlc)]) {
        let out = &mut self.frame;
        self.paths.write_between(row.path.as_bytes(), out);
        put_varint(out, (row.live.len() as u64) << 1 | u64::from(!deletes.is_empty()));
        for live in &row.live {
            self.dots.write(live.dot, out);
            put_tag(live.content.as_ref().map(|(_, payload)| payload), out);
            if let Some((hlc, payload)) = &live.content {
                self.stamps.write(*hlc, out);
                put_bytes(out, &payload.bytes);
            }
        }
        if !deletes.is_empty() {
            put_varint(out, deletes.len() as u64);
        }
        for (dot, hlc) in deletes {
            self.dots.write(*dot, out);
            self.stamps.write(*hlc, out);
        }
    }
}

/// The delete dots of a row that no later dot of the same incarnation follows in it.
fn last_deletes(row: &Row) -> Vec<(Dot, Hlc)> {
    let dots = row.live.iter().map(|live| live.dot).chain(row.deletes.iter().map(|(dot, _)| *dot));
    let mut last: BTreeMap<Incarnation, Dot> = BTreeMap::new();
    for dot in dots {
        let last = last.entry(dot.incarnation).or_insert(dot);
        *last = dot.max(*last);
    }
    let is_last = |(dot, _): &&(Dot, Hlc)| last[&dot.incarnation] == *dot;
    row.deletes.iter().filter(is_last).copied().collect()
}

/// What becomes of a row's dots as they are read.
trait RowSink {
    /// So many live dots will come.
    fn expect_live(&mut self, _count: usize) {}
    /// A live dot.
    fn live(&mut self, _dot: Dot, _content: Option<(Hlc, PayloadRange)>) {}
    /// So many delete dots will come.
    fn expect_deletes(&mut self, _count: usize) {}
    /// A delete dot.
    fn delete(&mut self, _dot: Dot, _hlc: Hlc) {}
}

/// Checking a frame keeps nothing.
impl RowSink for () {}

struct RowContent<'a> {
    frame: &'a Bytes,
    live: Vec<RowDot>,
    deletes: Vec<(Dot, Hlc)>,
}

impl RowSink for RowContent<'_> {
    fn expect_live(&mut self, count: usize) {
        self.live.reserve_exact(count);
    }

    fn live(&mut self, dot: Dot, content: Option<(Hlc, PayloadRange)>) {
        let content = content.map(|(hlc, payload)| (hlc, payload.of(self.frame)));
        self.live.push(RowDot { dot, content });
    }

    fn expect_deletes(&mut self, count: usize) {
        self.deletes.reserve_exact(count);
    }

    fn delete(&mut self, dot: Dot, hlc: Hlc) {
        self.deletes.push((dot, hlc));
    }
}

/// Whether a frame writes its paths in their first form. Nothing writes such frames any more.
fn is_of_first_version(frame: &Bytes) -> bool {
    frame.first_chunk().is_some_and(|header| FrameHeader::read(*header).version == 1)
}

struct RowsReader<'a> {
    reader: Reader<'a>,
    is_first_version: bool,
    paths: PathRun,
    dots: DotReader,
    stamps: StampRun,
}

impl<'a> RowsReader<'a> {
    fn new(reader: Reader<'a>, is_first_version: bool) -> Self {
        Self {
            reader,
            is_first_version,
            paths: PathRun::default(),
            dots: DotReader::default(),
            stamps: StampRun::after(Hlc::default()),
        }
    }

    /// Reads one row: its path is then the last of `paths`, its dots went to the sink.
    fn read(&mut self, sink: &mut impl RowSink) -> Result<(), DecodeError> {
        if self.is_first_version {
            self.paths.read(&mut self.reader)?;
        } else {
            self.paths.read_between(&mut self.reader)?;
        }
        let shape = self.reader.count(ROW_DOTS_MAX << 1 | 1, "dots of a row")?;
        let live = shape >> 1;
        sink.expect_live(live);
        let mut last = None;
        for _ in 0..live {
            let dot = self.next_dot(&mut last)?;
            let content = match read_tag(&mut self.reader)? {
                Some(kind) => {
                    let hlc = self.stamps.read(&mut self.reader)?;
                    Some((hlc, PayloadRange::read(kind, &mut self.reader)?))
                }
                None => None,
            };
            sink.live(dot, content);
        }
        if shape & 1 == 1 {
            self.read_deletes(ROW_DOTS_MAX - live, sink)?;
        }
        Ok(())
    }

    fn read_deletes(&mut self, max: usize, sink: &mut impl RowSink) -> Result<(), DecodeError> {
        let deletes = self.reader.count(max, "dots of a row")?;
        if deletes == 0 {
            return Err(DecodeError::Malformed); // the shape said that there are some
        }
        sink.expect_deletes(deletes);
        let mut last = None;
        for _ in 0..deletes {
            let dot = self.next_dot(&mut last)?;
            sink.delete(dot, self.stamps.read(&mut self.reader)?);
        }
        Ok(())
    }

    fn next_dot(&mut self, last: &mut Option<Dot>) -> Result<Dot, DecodeError> {
        let dot = self.dots.read(&mut self.reader)?;
        if last.replace(dot) >= Some(dot) {
            return Err(DecodeError::Order("dots of a row"));
        }
        Ok(dot)
    }
}
