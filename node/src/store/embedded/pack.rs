//! Packs: the entries of one record, or of a part of it, in one value.
//!
//! ```text
//! body  = flags (1 byte; bit 0: the record has or had further packs), field*
//! field = suffix, after the previous one: shared bytes (varint), further bytes (varint), those bytes
//!         live dots (varint), live*
//! live  = index of the incarnation (varint); one that this pack has not named yet follows, 16 bytes
//!         seq, then stamp, each as the difference from the live dot before (varint, zigzag; from zero)
//!         payload kind (varint), payload bytes (varint), those bytes
//! ```
//!
//! Suffixes are the bytes of a path after its record's, and ascend. Every field has a live dot.

use bytes::Bytes;
use millpond_core::{Dot, Entry, Hlc, Incarnation, LiveDot, Payload, PayloadKind, Seq};

use super::codec::{Malformed, Reader, put_after, put_difference, put_varint};

/// A live dot whose payload is borrowed from a pack or from an entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct LiveRef<'a> {
    pub(super) dot: Dot,
    pub(super) hlc: Hlc,
    pub(super) kind: PayloadKind,
    pub(super) bytes: &'a [u8],
}

impl LiveRef<'_> {
    fn to_live(self) -> LiveDot {
        let payload = Payload { kind: self.kind, bytes: Bytes::copy_from_slice(self.bytes) };
        LiveDot { dot: self.dot, hlc: self.hlc, payload }
    }
}

impl<'a> From<&'a LiveDot> for LiveRef<'a> {
    fn from(live: &'a LiveDot) -> Self {
        let Payload { kind, ref bytes } = live.payload;
        Self { dot: live.dot, hlc: live.hlc, kind, bytes }
    }
}

/// Reads the fields of a pack one by one.
#[derive(Debug)]
pub(super) struct PackReader<'a> {
    reader: Reader<'a>,
    is_split: bool,
    suffix: Vec<u8>,
    live_left: usize,
    state: Differences,
}

impl<'a> PackReader<'a> {
    pub(super) fn new(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let [flags] = reader.array()?;
        if flags & !FLAG_SPLIT != 0 {
            return Err(Malformed);
        }
        Ok(Self {
            reader,
            is_split: flags & FLAG_SPLIT != 0,
            suffix: Vec::new(),
            live_left: 0,
            state: Differences::default(),
        })
    }

    /// Whether the record may have further packs.
    pub(super) fn is_split(&self) -> bool {
        self.is_split
    }

    /// Goes to the next field, over what is left of the present one; false at the end.
    pub(super) fn next_field(&mut self) -> Result<bool, Malformed> {
        while self.next_live()?.is_some() {}
        if self.reader.is_empty() {
            return Ok(false);
        }
        self.reader.after(&mut self.suffix)?;
        self.live_left = self.reader.count()?;
        Ok(true)
    }

    /// The suffix of the present field.
    pub(super) fn suffix(&self) -> &[u8] {
        &self.suffix
    }

    /// The next live dot of the present field.
    pub(super) fn next_live(&mut self) -> Result<Option<LiveRef<'a>>, Malformed> {
        if self.live_left == 0 {
            return Ok(None);
        }
        self.live_left -= 1;
        let index = self.reader.count()?;
        if index == self.state.incarnations.len() {
            self.state.incarnations.push(Incarnation::from_bytes(self.reader.array()?));
        }
        let incarnation = *self.state.incarnations.get(index).ok_or(Malformed)?;
        self.state.seq = self.reader.difference(self.state.seq)?;
        self.state.hlc = self.reader.difference(self.state.hlc)?;
        let kind = u16::try_from(self.reader.varint()?).map_err(|_| Malformed)?;
        let len = self.reader.count()?;
        Ok(Some(LiveRef {
            dot: Dot::new(incarnation, Seq::new(self.state.seq).ok_or(Malformed)?),
            hlc: Hlc::from_bits(self.state.hlc),
            kind: PayloadKind(kind),
            bytes: self.reader.take(len)?,
        }))
    }

    /// The rest of the present field as an entry.
    pub(super) fn entry(&mut self) -> Result<Entry, Malformed> {
        // A count is not to be trusted with an allocation beyond the usual.
        let mut live = Vec::with_capacity(self.live_left.min(4));
        while let Some(next) = self.next_live()? {
            live.push(next.to_live());
        }
        Ok(Entry::from_live(live))
    }
}

/// Writes the body of a pack, field by field.
#[derive(Debug, Default)]
pub(super) struct PackWriter {
    fields: usize,
    suffix: Vec<u8>,
    state: Differences,
}

impl PackWriter {
    /// Starts a body at the end of `out`.
    pub(super) fn start(&mut self, out: &mut Vec<u8>) {
        self.fields = 0;
        self.suffix.clear();
        self.state.clear();
        out.push(0);
    }

    /// Adds a field; its live dots follow.
    pub(super) fn field(&mut self, out: &mut Vec<u8>, suffix: &[u8], live: usize) {
        put_after(out, &mut self.suffix, suffix);
        put_varint(out, live as u64);
        self.fields += 1;
    }

    /// Adds a live dot to the field.
    pub(super) fn live(&mut self, out: &mut Vec<u8>, live: LiveRef<'_>) {
        let known = &mut self.state.incarnations;
        // Most packs know one or two.
        match known.iter().position(|&known| known == live.dot.incarnation) {
            Some(index) => put_varint(out, index as u64),
            None => {
                put_varint(out, known.len() as u64);
                out.extend_from_slice(live.dot.incarnation.as_bytes());
                known.push(live.dot.incarnation);
            }
        }
        let (seq, hlc) = (live.dot.seq.get(), live.hlc.bits());
        put_difference(out, self.state.seq, seq);
        put_difference(out, self.state.hlc, hlc);
        (self.state.seq, self.state.hlc) = (seq, hlc);
        put_varint(out, u64::from(live.kind.0));
        put_varint(out, live.bytes.len() as u64);
        out.extend_from_slice(live.bytes);
    }

    /// How many fields the pack has so far.
    pub(super) fn fields(&self) -> usize {
        self.fields
    }
}

/// Marks a body as one of several.
pub(super) fn mark_split(body: &mut [u8]) {
    body[0] |= FLAG_SPLIT;
}

/// What the next live dot is written relative to.
#[derive(Debug, Default)]
struct Differences {
    incarnations: Vec<Incarnation>,
    seq: u64,
    hlc: u64,
}

impl Differences {
    fn clear(&mut self) {
        self.incarnations.clear();
        (self.seq, self.hlc) = (0, 0);
    }
}

const FLAG_SPLIT: u8 = 1;
