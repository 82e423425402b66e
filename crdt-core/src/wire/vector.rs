//! Version vectors on the wire: `incarnation[16] | seq varint`, strictly ascending.

use alloc::vec::Vec;

use super::DecodeError;
use super::primitives::{Reader, put_varint};
use crate::limits::VECTOR_ENTRIES_MAX;
use crate::{Dot, Incarnation, Seq, VersionVector};

/// Appends the entries, without a length.
pub(super) fn put_vector(out: &mut Vec<u8>, vector: &VersionVector) {
    out.reserve(vector.len() * ENTRY_BYTES_TYPICAL);
    for dot in vector.iter() {
        out.extend_from_slice(dot.incarnation.as_bytes());
        put_varint(out, dot.seq.get());
    }
}

/// The vector whose entries fill `bytes`.
pub(super) fn read_vector(bytes: &[u8]) -> Result<VersionVector, DecodeError> {
    // Counted first: the list is then allocated once, for as much as is there.
    let mut count = 0;
    let mut reader = Reader::new(bytes, 0);
    while !reader.is_empty() {
        read_entry(&mut reader)?;
        count += 1;
    }
    if count > VECTOR_ENTRIES_MAX {
        return Err(DecodeError::Limit("vector entries"));
    }
    let mut entries = Vec::with_capacity(count);
    let mut reader = Reader::new(bytes, 0);
    while !reader.is_empty() {
        entries.push(read_entry(&mut reader)?);
    }
    VersionVector::from_ascending(entries).ok_or(DecodeError::Order("vector entries"))
}

fn read_entry(reader: &mut Reader<'_>) -> Result<Dot, DecodeError> {
    let incarnation = Incarnation::from_bytes(reader.array()?);
    let seq = Seq::new(reader.varint()?).ok_or(DecodeError::Dot)?;
    Ok(Dot::new(incarnation, seq))
}

const ENTRY_BYTES_TYPICAL: usize = 20;
