//! Version vectors on the wire: `incarnation[16] | seq varint`, strictly ascending.
//!
//! Or relative to a table of closed incarnations, in those versions of messages that say so:
//!
//! ```text
//! vector  = 0 | entry*                                  plain
//!         | namespace varint + 1 | hash u64 | entry*    what differs from the table's namespace
//! entry   = incarnation[16] | seq varint                seq 0: not covered
//! ```

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::DecodeError;
use super::primitives::{Reader, put_varint};
use super::tables::Tables;
use crate::limits::VECTOR_ENTRIES_MAX;
use crate::{Closed, Dot, Incarnation, Namespace, Seq, VersionVector};

/// Appends the entries, without a length.
pub(super) fn put_vector(out: &mut Vec<u8>, vector: &VersionVector) {
    out.reserve(vector.len() * ENTRY_BYTES_TYPICAL);
    for dot in vector.iter() {
        out.extend_from_slice(dot.incarnation.as_bytes());
        put_varint(out, dot.seq.get());
    }
}

/// Appends a vector in the form that may be relative to a table, without a length.
pub(super) fn put_relative(out: &mut Vec<u8>, vector: &VersionVector, closed: &Closed) {
    let Some((namespace, _)) = closed.best_for(vector) else {
        out.push(PLAIN);
        return put_vector(out, vector);
    };
    put_varint(out, u64::from(namespace.number()) + 1);
    out.extend_from_slice(&closed.hash().to_le_bytes());
    for (incarnation, seq) in vector.differing(closed.finals(namespace)) {
        out.extend_from_slice(incarnation.as_bytes());
        put_varint(out, seq.map_or(0, Seq::get));
    }
}

/// The vector whose entries fill `bytes`.
pub(super) fn read_vector(bytes: &[u8]) -> Result<VersionVector, DecodeError> {
    read_entries(Reader::new(bytes, 0))
}

/// The vector in the form that may be relative to a table.
pub(super) fn read_relative(bytes: &[u8], tables: Tables<'_>) -> Result<Relative, DecodeError> {
    let mut reader = Reader::new(bytes, 0);
    let Some(namespace) = reader.varint()?.checked_sub(1) else {
        let vector = read_entries(reader)?;
        return Ok(Relative { vector, listed: Vec::new(), table: None });
    };
    let namespace = u32::try_from(namespace).map_err(|_| DecodeError::Limit("namespaces"))?;
    let hash = u64::from_le_bytes(reader.array()?);
    let closed = tables.find(hash).ok_or(DecodeError::UnknownTable)?;
    let finals = closed.finals(Namespace::from_number(namespace));
    let count = count_entries(reader.clone())?;
    let mut listed = Vec::with_capacity(count);
    while !reader.is_empty() {
        let (incarnation, seq) = read_entry(&mut reader)?;
        if finals.seq(incarnation) == seq {
            return Err(DecodeError::Malformed); // it does not differ
        }
        listed.push((incarnation, Seq::new(seq)));
    }
    if !listed.is_sorted_by(|a, b| a.0 < b.0) {
        return Err(DecodeError::Order("vector entries"));
    }
    Ok(Relative { vector: finals.patched(&listed), listed, table: Some(closed) })
}

/// A vector that was read, and, if it is relative, what was listed, and the table.
pub(super) struct Relative {
    pub(super) vector: VersionVector,
    pub(super) listed: Vec<(Incarnation, Option<Seq>)>,
    pub(super) table: Option<Arc<Closed>>,
}

fn read_entries(mut reader: Reader<'_>) -> Result<VersionVector, DecodeError> {
    let count = count_entries(reader.clone())?;
    let mut entries = Vec::with_capacity(count);
    while !reader.is_empty() {
        let (incarnation, seq) = read_entry(&mut reader)?;
        entries.push(Dot::new(incarnation, Seq::new(seq).ok_or(DecodeError::Dot)?));
    }
    VersionVector::from_ascending(entries).ok_or(DecodeError::Order("vector entries"))
}

/// Counted first: the list is then allocated once, for as much as is there.
fn count_entries(mut reader: Reader<'_>) -> Result<usize, DecodeError> {
    let mut count = 0;
    while !reader.is_empty() {
        read_entry(&mut reader)?;
        count += 1;
    }
    match count > VECTOR_ENTRIES_MAX {
        true => Err(DecodeError::Limit("vector entries")),
        false => Ok(count),
    }
}

fn read_entry(reader: &mut Reader<'_>) -> Result<(Incarnation, u64), DecodeError> {
    Ok((Incarnation::from_bytes(reader.array()?), reader.varint()?))
}

const PLAIN: u8 = 0;
const ENTRY_BYTES_TYPICAL: usize = 20;
