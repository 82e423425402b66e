//! Dots: the name of one write.

use core::fmt;
use core::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use crate::Incarnation;

/// The number of a write within its incarnation and namespace: gap-free, from one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Seq(NonZeroU64);

impl Seq {
    /// The seq of an incarnation's first write.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// The seq of this number; `None` for zero, which no write has.
    pub const fn new(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Its number, at least one.
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// The seq `count` writes later; saturates at `u64::MAX`, which no history reaches.
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }
}

impl fmt::Debug for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The name of one write: which incarnation issued it, and its number there. Every put and every delete of
/// one path takes one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Dot {
    /// Who issued the write.
    pub incarnation: Incarnation,
    /// Its number there.
    pub seq: Seq,
}

impl Dot {
    /// The dot of this incarnation and seq.
    pub const fn new(incarnation: Incarnation, seq: Seq) -> Self {
        Self { incarnation, seq }
    }

    /// 24 bytes that sort as dots do: the incarnation, then the seq in big-endian.
    pub fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[..16].copy_from_slice(self.incarnation.as_bytes());
        bytes[16..].copy_from_slice(&self.seq.get().to_be_bytes());
        bytes
    }

    /// The dot that [`Dot::to_bytes`] wrote; `None` for a zero seq.
    pub fn from_bytes(bytes: [u8; 24]) -> Option<Self> {
        let (incarnation, seq) = bytes.split_first_chunk::<16>()?;
        let seq = Seq::new(u64::from_be_bytes(seq.try_into().ok()?))?;
        Some(Self::new(Incarnation::from_bytes(*incarnation), seq))
    }
}

impl fmt::Debug for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The short form for logs: `1f2e3d4c:17`.
impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}:{}", self.incarnation, self.seq)
    }
}
