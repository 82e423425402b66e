//! What is written: rows drawn from a fixed seed.

use bytes::Bytes;
use millpond::{WriteError, WriteTx};
use millpond_core::{Path, PathError, Payload, PayloadKind};

/// One record of one field.
#[derive(Debug, Clone)]
pub struct Row {
    /// The record's key.
    pub key: [u8; KEY_BYTES],
    /// The field's value.
    pub value: Vec<u8>,
}

impl Row {
    /// Writes the row as a register.
    pub fn put(&self, tx: &mut WriteTx<'_>, field: &str) -> Result<(), WriteError> {
        let path = self.path(field)?;
        let bytes = Bytes::copy_from_slice(&self.value);
        tx.put(path, Payload { kind: PayloadKind::LWW, bytes })
    }

    /// Where the field is.
    pub fn path(&self, field: &str) -> Result<Path, PathError> {
        Path::new([COLLECTION, &self.key, field.as_bytes()])
    }

    /// Key, field name and value bytes.
    pub fn payload_bytes(&self, field: &str) -> u64 {
        (self.key.len() + field.len() + self.value.len()) as u64
    }
}

/// A generator of rows. Its figures need no quality beyond being spread evenly (SplitMix64: Steele, Lea,
/// Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
pub struct Random(u64);

impl Random {
    /// The generator of a scenario, the same in each run.
    pub fn new(stream: u64) -> Self {
        Self(SEED ^ stream.wrapping_mul(0xd134_2543_de82_ef95))
    }

    /// A row of a random key.
    pub fn row(&mut self, value_bytes: usize) -> Row {
        let mut key = [0; KEY_BYTES];
        self.fill(&mut key);
        Row { key, value: self.value(value_bytes) }
    }

    /// A value.
    pub fn value(&mut self, value_bytes: usize) -> Vec<u8> {
        let mut value = vec![0; value_bytes];
        self.fill(&mut value);
        value
    }

    /// Rows of random keys.
    pub fn rows(&mut self, count: usize, value_bytes: usize) -> Vec<Row> {
        (0..count).map(|_| self.row(value_bytes)).collect()
    }

    /// A number below this, which is not zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A number from zero up to one.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let random = self.next().to_le_bytes();
            chunk.copy_from_slice(&random[..chunk.len()]);
        }
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Bytes of a key.
pub const KEY_BYTES: usize = 16;
pub const COLLECTION: &[u8] = b"data";
const SEED: u64 = 0x6d69_6c6c_706f_6e64;
