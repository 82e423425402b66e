//! What the blocks of a backup say.
//!
//! ```text
//! kind  body
//! 1     header: postcard                     first: whose data, when, up to which vectors
//! 2     namespace u32 | zstd of frames       rows frames of the wire, system first; a row may span blocks
//! 3     PKCS#8                               the node's key pair, in a backup that was asked for it
//! 4     rows u64 | dots u64 | deletes u64 | has key u8      last
//! ```

use std::io;

use millpond_core::{Boot, Domain, Hlc, Incarnation, Namespace, NodeKey, VersionVector};
use serde::{Deserialize, Serialize};

/// Whose data it is, and what it amounts to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    /// The version of the program that wrote it.
    pub(super) program: String,
    /// When the snapshot was taken, in milliseconds since 1970 by the node's clock.
    pub(super) taken_ms: u64,
    /// The domain that the data belongs to.
    pub(super) domain: Domain,
    /// The store that it is from.
    pub(super) store: [u8; 16],
    /// That store's boot.
    pub(super) boot: Boot,
    /// The node that it is from.
    pub(super) key: NodeKey,
    /// That node's name.
    pub(super) name: String,
    /// All incarnations of that node, oldest first.
    pub(super) incarnations: Vec<Incarnation>,
    /// No stamp up to here is issued again.
    pub(super) ceiling: Hlc,
    /// The namespaces, in the order in which their rows come.
    pub(super) namespaces: Vec<NamespaceHeader>,
}

/// What the rows of a namespace amount to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NamespaceHeader {
    pub(super) namespace: Namespace,
    pub(super) vv: VersionVector,
    /// Below it deletes were collected, and are not among the rows.
    pub(super) floor: VersionVector,
}

/// What a whole backup has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct End {
    /// Paths with a live dot or a delete.
    pub(super) rows: u64,
    /// Live dots.
    pub(super) dots: u64,
    /// Deletes that are not yet collected.
    pub(super) deletes: u64,
    /// Whether the node's secret key is in it.
    pub(super) has_key: bool,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("plain values always encode")
    }

    /// Reads what [`Header::encode`] wrote, and nothing else.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (header, rest) = postcard::take_from_bytes(bytes).ok()?;
        rest.is_empty().then_some(header)
    }

    pub(super) fn of(&self, namespace: Namespace) -> Option<&NamespaceHeader> {
        self.namespaces.iter().find(|it| it.namespace == namespace)
    }
}

impl End {
    pub(super) const BYTES: usize = 25;

    pub(super) fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        for (place, number) in bytes.chunks_exact_mut(8).zip([self.rows, self.dots, self.deletes]) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes[Self::BYTES - 1] = self.has_key.into();
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::BYTES] = bytes.try_into().ok()?;
        let number = |index: usize| {
            let bytes = bytes[8 * index..8 * (index + 1)].try_into();
            u64::from_le_bytes(bytes.expect("eight of them"))
        };
        let has_key = match bytes[Self::BYTES - 1] {
            0 => false,
            1 => true,
            _ => return None,
        };
        Some(Self { rows: number(0), dots: number(1), deletes: number(2), has_key })
    }
}

/// Compresses the frames of a block.
pub(super) struct Press(zstd::bulk::Compressor<'static>);

impl Press {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(zstd::bulk::Compressor::new(LEVEL)?))
    }

    /// The body of a block.
    pub(super) fn rows(&mut self, namespace: Namespace, frames: &[u8]) -> io::Result<Vec<u8>> {
        let mut body = namespace.number().to_le_bytes().to_vec();
        body.extend_from_slice(&self.0.compress(frames)?);
        Ok(body)
    }
}

/// The namespace and the frames of a block; `None` when they are not of this form, or larger than any writer
/// makes them.
pub(super) fn unpress(body: &[u8]) -> Option<(Namespace, Vec<u8>)> {
    let (namespace, compressed) = body.split_first_chunk()?;
    let frames = zstd::bulk::decompress(compressed, FRAMES_BYTES_MAX).ok()?;
    Some((Namespace::from_number(u32::from_le_bytes(*namespace)), frames))
}

pub(super) const HEADER: u8 = 1;
pub(super) const ROWS: u8 = 2;
pub(super) const KEY: u8 = 3;
pub(super) const END: u8 = 4;

/// A block of rows is written when its frames are so large: enough for the compression to find what repeats.
pub(super) const FRAMES_BYTES: usize = 1 << 20;

/// Frames of a block at most: what is gathered, and one more frame.
pub(super) const FRAMES_BYTES_MAX: usize = FRAMES_BYTES + millpond_core::limits::FRAME_BYTES_MAX;

/// What zstd itself takes for the best trade of time for size.
const LEVEL: i32 = 3;
