//! Keys: how rows are named in the file, in the order in which they are read.
//!
//! ```text
//! entries  namespace (4 bytes, big-endian), encoded path: the record's, or the first of a further pack
//! log      namespace (4 bytes, big-endian), incarnation (16 bytes), seq / 64 (8 bytes, big-endian)
//! staged   namespace (4 bytes, big-endian), encoded path
//! meta     name
//! ```

use bytes::Bytes;
use millpond_core::{Incarnation, Namespace, Path};

use super::log_block::SEQS;
use super::sealed::TableName;
use crate::store::StoreError;

/// The record that a path belongs to: its first [`RECORD_COMPONENTS`] components, or all of it. Cutting
/// paths so keeps their order, so the paths of a record lie side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) namespace: Namespace,
    /// Its encoded path.
    pub(super) path: &'a [u8],
    /// Whether deeper paths belong to it.
    has_fields: bool,
}

impl<'a> Record<'a> {
    /// The record of an encoded path.
    pub(super) fn of(namespace: Namespace, path: &'a [u8]) -> Self {
        let (mut components, mut end) = (0, 0);
        while components < RECORD_COMPONENTS {
            // A zero byte is followed by ff within a component, and by 01 at its end.
            let Some(zero) = path[end..].iter().position(|&byte| byte == 0) else { break };
            end += zero + 2;
            components += usize::from(path[end - 1] == 1);
        }
        Self { namespace, path: &path[..end], has_fields: components == RECORD_COMPONENTS }
    }

    /// What follows the record in one of its paths; `None` for any other path.
    pub(super) fn suffix<'p>(&self, namespace: Namespace, path: &'p [u8]) -> Option<&'p [u8]> {
        let suffix = path.strip_prefix(self.path)?;
        (namespace == self.namespace && (self.has_fields || suffix.is_empty())).then_some(suffix)
    }

    /// Makes `key` that of the record's first pack.
    pub(super) fn write_key(&self, key: &mut Vec<u8>) {
        write_path_key(key, self.namespace, self.path);
    }
}

pub(super) fn write_path_key(key: &mut Vec<u8>, namespace: Namespace, path: &[u8]) {
    key.clear();
    key.extend_from_slice(&namespace.number().to_be_bytes());
    key.extend_from_slice(path);
}

pub(super) fn path_key(namespace: Namespace, path: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(NAMESPACE_BYTES + path.len());
    write_path_key(&mut key, namespace, path);
    key
}

/// The path at the end of a stored key or row.
pub(super) fn stored_path(table: TableName, key: &[u8], path: &[u8]) -> Result<Path, StoreError> {
    Path::from_encoded(Bytes::copy_from_slice(path)).map_err(|_| corrupt(table, key))
}

/// The key of the block that holds this seq, or would hold seq zero.
pub(super) fn block_key(namespace: Namespace, incarnation: Incarnation, seq: u64) -> [u8; 28] {
    let mut key = [0; 28];
    key[..4].copy_from_slice(&namespace.number().to_be_bytes());
    key[4..20].copy_from_slice(incarnation.as_bytes());
    key[20..].copy_from_slice(&(seq / SEQS).to_be_bytes());
    key
}

/// The seq of a block's first slot.
pub(super) fn block_start(key: &[u8]) -> Option<u64> {
    let block = u64::from_be_bytes(key.get(20..)?.try_into().ok()?);
    block.checked_mul(SEQS)
}

/// A value fails its checksum, or says what no writer says.
pub(super) fn corrupt(table: TableName, key: &[u8]) -> StoreError {
    let place = place(table, key).unwrap_or_else(|| key.escape_ascii().to_string());
    StoreError::Corrupt { what: format!("a value of table {table} at {place}") }
}

/// The key in words, if it is whole.
fn place(table: TableName, key: &[u8]) -> Option<String> {
    if table == TableName::Meta {
        return None; // a name is in words
    }
    let (namespace, rest) = key.split_first_chunk()?;
    let namespace = Namespace::from_number(u32::from_be_bytes(*namespace));
    if table == TableName::Log {
        let incarnation = Incarnation::from_bytes(*rest.first_chunk()?);
        return Some(format!("{namespace}/{incarnation}:{}", block_start(key)?));
    }
    let path = Path::from_encoded(Bytes::copy_from_slice(rest)).ok()?;
    Some(format!("{namespace}/{path}"))
}

pub(super) const NAMESPACE_BYTES: usize = 4;

/// Collection and key.
const RECORD_COMPONENTS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_the_first_two_components() {
        let field = Path::new(["places", "a\0b", "name"]).unwrap();
        let record = Path::new(["places", "a\0b"]).unwrap();
        let collection = Path::new(["places"]).unwrap();
        let main = Namespace::MAIN;
        let of_field = Record::of(main, field.as_bytes());
        assert_eq!(of_field, Record::of(main, record.as_bytes()));
        assert_eq!(of_field.suffix(main, field.as_bytes()), Some(&b"name\0\x01"[..]));
        assert_eq!(of_field.suffix(main, record.as_bytes()), Some(&b""[..]));
        assert_eq!(of_field.suffix(Namespace::SYSTEM, record.as_bytes()), None);
        let alone = Record::of(main, collection.as_bytes());
        assert_eq!(alone.suffix(main, collection.as_bytes()), Some(&b""[..]));
        assert_eq!(alone.suffix(main, record.as_bytes()), None, "a record of its own");
    }
}
