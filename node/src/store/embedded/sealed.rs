//! Sealed values: what every value in the file starts with, and the only way to its content.
//!
//! ```text
//! sealed value = checksum (8 bytes, little-endian), body
//! checksum     = xxh3-64(body, seed = xxh3-64(key, seed = number of the table))
//! ```
//!
//! So a value in the place of another one does not verify either.

use std::fmt;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The tables, each with its number in the checksums and its name in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableName {
    Entries = 1,
    Log = 2,
    Staged = 3,
    Meta = 4,
}

impl TableName {
    pub(super) const ALL: [Self; 4] = [Self::Entries, Self::Log, Self::Staged, Self::Meta];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Entries => "entries",
            Self::Log => "log",
            Self::Staged => "staged",
            Self::Meta => "meta",
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Makes `value` empty, but for the room that [`seal`] needs.
pub(super) fn start(value: &mut Vec<u8>) {
    value.clear();
    value.extend_from_slice(&[0; CHECKSUM_BYTES]);
}

/// Puts the checksum in front of a finished value.
pub(super) fn seal(table: TableName, key: &[u8], value: &mut [u8]) {
    let (room, body) = value.split_at_mut(CHECKSUM_BYTES);
    room.copy_from_slice(&checksum(table, key, body).to_le_bytes());
}

/// The body of a value; `None` if its checksum does not hold.
pub(super) fn open<'a>(table: TableName, key: &[u8], value: &'a [u8]) -> Option<&'a [u8]> {
    let (stored, body) = value.split_first_chunk::<CHECKSUM_BYTES>()?;
    (checksum(table, key, body).to_le_bytes() == *stored).then_some(body)
}

fn checksum(table: TableName, key: &[u8], body: &[u8]) -> u64 {
    xxh3_64_with_seed(body, xxh3_64_with_seed(key, table as u64))
}

pub(super) const CHECKSUM_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_other_table_key_or_byte_breaks_the_seal() {
        let mut value = Vec::new();
        start(&mut value);
        value.extend_from_slice(b"body");
        seal(TableName::Log, b"key", &mut value);
        assert_eq!(open(TableName::Log, b"key", &value), Some(&b"body"[..]));
        assert_eq!(open(TableName::Entries, b"key", &value), None);
        assert_eq!(open(TableName::Log, b"kez", &value), None);
        for index in 0..value.len() {
            let mut flipped = value.clone();
            flipped[index] ^= 0x10;
            assert_eq!(open(TableName::Log, b"key", &flipped), None, "byte {index}");
        }
        assert_eq!(open(TableName::Log, b"key", &value[..5]), None, "shorter than a checksum");
    }
}
