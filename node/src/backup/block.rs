//! Blocks: what a backup is a sequence of.
//!
//! ```text
//! backup = magic[16] | format u32 | block*                     (integers little-endian)
//! block  = kind u8 | length u32 | body[length] | hash[32]      hash = BLAKE3 of the file up to here
//! ```
//!
//! Each hash covers the whole file before it, so a block that was altered, moved, left out or put in twice is
//! noticed at its place, and the last one vouches for all.

use std::io::{self, Read, Write};

use super::error::Fault;
use crate::planted::planted;

/// Writes blocks.
pub(super) struct BlockWriter<W> {
    out: W,
    hasher: blake3::Hasher,
    bytes: u64,
}

/// Reads blocks, each of which is checked before it is handed out.
pub(super) struct BlockReader<R> {
    input: R,
    hasher: blake3::Hasher,
    at: u64,
    blocks: u64,
}

/// A block whose hash is right.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) kind: u8,
    pub(super) body: Vec<u8>,
}

impl<W: Write> BlockWriter<W> {
    /// Begins a file.
    pub(super) fn begin(out: W) -> io::Result<Self> {
        let mut writer = Self { out, hasher: blake3::Hasher::new(), bytes: 0 };
        writer.write(MAGIC)?;
        writer.write(&FORMAT.to_le_bytes())?;
        Ok(writer)
    }

    pub(super) fn block(&mut self, kind: u8, body: &[u8]) -> io::Result<()> {
        assert!(body.len() <= BODY_BYTES_MAX, "a block of {} bytes", body.len());
        self.write(&[kind])?;
        self.write(&(body.len() as u32).to_le_bytes())?;
        self.write(body)?;
        let hash = *self.hasher.finalize().as_bytes();
        self.write(&hash)
    }

    /// Bytes written so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn into_inner(self) -> W {
        self.out
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

impl<R: Read> BlockReader<R> {
    /// Begins a file: it must be a backup, in a format that is known.
    pub(super) fn begin(input: R) -> Result<Self, Fault> {
        let mut reader = Self { input, hasher: blake3::Hasher::new(), at: 0, blocks: 0 };
        let mut magic = [0; MAGIC.len()];
        let mut format = [0; 4];
        reader.read(&mut magic).map_err(Fault::not_backup_if_short)?;
        if magic != *MAGIC {
            return Err(Fault::NotBackup);
        }
        reader.read(&mut format).map_err(Fault::not_backup_if_short)?;
        match u32::from_le_bytes(format) {
            FORMAT => Ok(reader),
            found => Err(Fault::Format { found }),
        }
    }

    /// The next block. There is always one before the block that ends the file.
    pub(super) fn next(&mut self) -> Result<Block, Fault> {
        let begins_at = self.at;
        self.blocks += 1;
        let damaged = |block, error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::CutOff { block, at: begins_at },
            _ => Fault::Io(error),
        };
        let block = self.blocks;
        let mut head = [0; 5];
        self.read(&mut head).map_err(|error| damaged(block, error))?;
        let [kind, length @ ..] = head;
        let length = u32::from_le_bytes(length) as usize;
        let altered = Fault::Altered { block, at: begins_at };
        if length > BODY_BYTES_MAX {
            return Err(altered);
        }
        let mut body = vec![0; length];
        self.read(&mut body).map_err(|error| damaged(block, error))?;
        let expected = self.hasher.finalize();
        let mut hash = [0; HASH_BYTES];
        self.read(&mut hash).map_err(|error| damaged(block, error))?;
        // Hashes compare in constant time; it costs nothing here.
        let is_as_written = expected == blake3::Hash::from_bytes(hash);
        match is_as_written || planted!("a block vouches for all before it") {
            true => Ok(Block { kind, body }),
            false => Err(altered),
        }
    }

    /// Checks that nothing follows.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        let at = self.at;
        match self.input.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(Fault::Altered { block: self.blocks + 1, at }),
        }
    }

    /// The block read last, counted from one, and where the next one begins.
    pub(super) fn place(&self) -> (u64, u64) {
        (self.blocks, self.at)
    }

    fn read(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.input.read_exact(bytes)?;
        self.hasher.update(bytes);
        self.at += bytes.len() as u64;
        Ok(())
    }
}

/// Begins every backup.
pub(super) const MAGIC: &[u8; 16] = b"millpond backup\n";

/// The version of all that follows it. It grows when a reader of the one before could misread the file.
pub(super) const FORMAT: u32 = 1;

/// Twice what a writer puts into one: whatever a file says, no more is allocated for it.
pub(super) const BODY_BYTES_MAX: usize = 4 << 20;

/// Bytes of a block around its body.
pub(super) const BLOCK_OVERHEAD_BYTES: usize = 1 + 4 + HASH_BYTES;

const HASH_BYTES: usize = blake3::OUT_LEN;
