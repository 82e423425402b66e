//! Entries as a store keeps them.
//!
//! ```text
//! entry = count varint | live dot*
//! live dot = incarnation[16] | seq varint | ms varint | counter varint | kind varint
//!          | length varint | payload
//! ```
//!
//! In the order of dots. Every entry stands for itself, so nothing is a difference.

use alloc::vec::Vec;

use bytes::Bytes;

use super::DecodeError;
use super::primitives::{Reader, put_bytes, put_varint};
use crate::{Dot, Entry, Hlc, Incarnation, LiveDot, Payload, PayloadKind, Seq};

/// Appends the entry's live dots.
pub fn encode_entry(entry: &Entry, out: &mut Vec<u8>) {
    put_varint(out, entry.live().len() as u64);
    for live in entry.live() {
        out.extend_from_slice(live.dot.incarnation.as_bytes());
        put_varint(out, live.dot.seq.get());
        put_varint(out, live.hlc.ms());
        put_varint(out, live.hlc.bits() & 0xffff);
        put_varint(out, u64::from(live.payload.kind.0));
        put_bytes(out, &live.payload.bytes);
    }
}

/// The entry of exactly these bytes; its payloads are slices of them.
///
/// # Errors
/// [`DecodeError`] for anything but what [`encode_entry`] writes.
pub fn decode_entry(bytes: &Bytes) -> Result<Entry, DecodeError> {
    let mut reader = Reader::new(bytes, 0);
    let count = reader.count(bytes.len() / LIVE_DOT_BYTES_MIN, "live dots")?;
    let mut live: Vec<LiveDot> = Vec::with_capacity(count);
    for _ in 0..count {
        let next = read_live_dot(&mut reader, bytes)?;
        if live.last().is_some_and(|last| last.dot >= next.dot) {
            return Err(DecodeError::Order("live dots"));
        }
        live.push(next);
    }
    reader.finish()?;
    Ok(Entry::from_live(live))
}

fn read_live_dot(reader: &mut Reader<'_>, bytes: &Bytes) -> Result<LiveDot, DecodeError> {
    let incarnation = Incarnation::from_bytes(reader.array()?);
    let seq = Seq::new(reader.varint()?).ok_or(DecodeError::Dot)?;
    let (ms, counter) = (reader.varint()?, reader.varint()?);
    if ms >> 48 != 0 || counter >> 16 != 0 {
        return Err(DecodeError::Stamp);
    }
    let kind = PayloadKind(reader.count(usize::from(u16::MAX), "payload kinds")? as u16);
    let length = reader.varint()?;
    Ok(LiveDot {
        dot: Dot::new(incarnation, seq),
        hlc: Hlc::from_bits(ms << 16 | counter),
        payload: Payload { kind, bytes: bytes.slice(reader.range(length)?) },
    })
}

/// An incarnation and five varints.
const LIVE_DOT_BYTES_MIN: usize = 21;
