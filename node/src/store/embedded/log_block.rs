//! Log blocks: the log rows of [`SEQS`] seqs of one incarnation in one value.
//!
//! ```text
//! body = present, deletes, ends (8 bytes each, little-endian: bit i is seq block * 64 + i), row*
//! row  = path, after the previous one: shared bytes (varint), further bytes (varint), those bytes
//!        of a delete: stamp (8 bytes, little-endian)
//! ```
//!
//! A row for each bit of `present`, from the lowest. Consecutive dots write neighbouring paths, so a row is
//! often shorter than its dot would be.

use millpond_core::Hlc;

use super::codec::{Malformed, Reader, put_after};

/// How many seqs a block holds.
pub(super) const SEQS: u64 = 64;

/// A row whose path is borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowRef<'a> {
    /// The seq's place in the block, below [`SEQS`].
    pub(super) slot: u32,
    /// The encoded path.
    pub(super) path: &'a [u8],
    pub(super) deleted: Option<Hlc>,
    pub(super) ends_transaction: bool,
}

/// Reads the rows of a block one by one.
#[derive(Debug)]
pub(super) struct BlockReader<'a> {
    reader: Reader<'a>,
    present: u64,
    deletes: u64,
    ends: u64,
    path: Vec<u8>,
}

impl<'a> BlockReader<'a> {
    pub(super) fn new(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let mut bits = || reader.array().map(u64::from_le_bytes);
        let (present, deletes, ends) = (bits()?, bits()?, bits()?);
        Ok(Self { reader, present, deletes, ends, path: Vec::new() })
    }

    /// Whether the block, as far as it has not been read, has a row in this slot.
    pub(super) fn contains(&self, slot: u32) -> bool {
        self.present & (1 << slot) != 0
    }

    /// The next row.
    pub(super) fn next_row(&mut self) -> Result<Option<RowRef<'_>>, Malformed> {
        if self.present == 0 {
            return if self.reader.is_empty() { Ok(None) } else { Err(Malformed) };
        }
        let slot = self.present.trailing_zeros();
        let bit = 1 << slot;
        self.present &= !bit;
        self.reader.after(&mut self.path)?;
        let deleted = match self.deletes & bit != 0 {
            true => Some(Hlc::from_bits(u64::from_le_bytes(self.reader.array()?))),
            false => None,
        };
        let ends_transaction = self.ends & bit != 0;
        Ok(Some(RowRef { slot, path: &self.path, deleted, ends_transaction }))
    }
}

/// Writes the body of a block, row by row.
#[derive(Debug, Default)]
pub(super) struct BlockWriter {
    start: usize,
    present: u64,
    deletes: u64,
    ends: u64,
    path: Vec<u8>,
}

impl BlockWriter {
    /// Starts a body at the end of `out`.
    pub(super) fn start(&mut self, out: &mut Vec<u8>) {
        self.start = out.len();
        (self.present, self.deletes, self.ends) = (0, 0, 0);
        self.path.clear();
        out.extend_from_slice(&[0; HEAD_BYTES]);
    }

    /// Adds a row, in a slot above those before it.
    pub(super) fn row(&mut self, out: &mut Vec<u8>, row: RowRef<'_>) {
        let bit = 1 << row.slot;
        debug_assert!(self.present < bit, "rows ascend");
        self.present |= bit;
        if row.ends_transaction {
            self.ends |= bit;
        }
        put_after(out, &mut self.path, row.path);
        if let Some(stamp) = row.deleted {
            self.deletes |= bit;
            out.extend_from_slice(&stamp.bits().to_le_bytes());
        }
    }

    /// Completes the body; false when it has no row, and there is nothing to store.
    pub(super) fn finish(&self, out: &mut [u8]) -> bool {
        let bits = [self.present, self.deletes, self.ends];
        for (room, bits) in out[self.start..].chunks_exact_mut(8).zip(bits) {
            room.copy_from_slice(&bits.to_le_bytes());
        }
        self.present != 0
    }
}

const HEAD_BYTES: usize = 24;
