//! Comparing what two nodes hold of a namespace, range by range.
//!
//! Both sides look at one snapshot of theirs. A range of the path order is told by its [`Fingerprint`]; where
//! the two differ it is divided, until few entries are left, which are then told one by one. It is range-based
//! set reconciliation (Meyer, "Range-Based Set Reconciliation", 2023): what travels grows with what differs
//! and with the logarithm of what is held.

use alloc::vec::Vec;

use crate::{Namespace, VersionVector};

/// Begins a comparison: the first message of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compare {
    /// A number that the asker drew for it.
    pub session: u64,
    /// What is compared.
    pub namespace: Namespace,
    /// What for.
    pub purpose: Purpose,
    /// Drawn by the asker: goes into the hash of each entry, so that two entries that collide once do not
    /// collide for ever.
    pub salt: [u8; 16],
    /// What the asker's snapshot covers.
    pub vv: VersionVector,
    /// Below this vector the asker has no tombstones any more.
    pub floor: VersionVector,
}

/// What a comparison is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// To join all that each side has into the other, though tombstones between them are gone.
    Refresh,
    /// To find whether both hold the same.
    Verify,
}

/// The fingerprint of a range of paths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// How many entries with a live dot lie in it.
    pub count: u64,
    /// The sum of their hashes, little-endian, modulo 2^128.
    pub sum: [u8; 16],
}

/// One range of the path order, and what its teller says of it. The ranges of a message follow each other, and
/// the first one begins with the first path that there can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The encoded path before which it ends, or a beginning of one; `None` is behind all paths.
    pub end: Option<Vec<u8>>,
    /// What is said of it.
    pub claim: Claim,
}

/// What is said of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Nothing: it has been settled, or another message tells.
    Skip,
    /// Its fingerprint.
    Whole(Fingerprint),
    /// The first eight bytes of the hash of each entry in it, ascending.
    Items(Vec<[u8; 8]>),
    /// Of the entries that the other side has told in it, those that this side does not have, ascending.
    Wants(Vec<[u8; 8]>),
}

/// Why a comparison is refused or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompareRefusal {
    /// As many as the node allows itself are under way: later.
    Busy,
    /// The node does not hold this namespace, or the asker may not read it.
    NotAllowed,
    /// A reason that this version does not know.
    Other(u8),
}

impl CompareRefusal {
    /// The number on the wire.
    pub const fn number(self) -> u8 {
        match self {
            Self::Busy => 1,
            Self::NotAllowed => 2,
            Self::Other(number) => number,
        }
    }

    /// The reason of this number.
    pub const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Busy,
            2 => Self::NotAllowed,
            number => Self::Other(number),
        }
    }
}

impl Purpose {
    /// The number on the wire.
    pub const fn number(self) -> u8 {
        match self {
            Self::Refresh => 0,
            Self::Verify => 1,
        }
    }

    /// The purpose of this number; `None` when this version does not know it.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Refresh),
            1 => Some(Self::Verify),
            _ => None,
        }
    }
}
