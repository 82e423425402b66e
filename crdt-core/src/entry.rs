//! Entries: the live dots of one path with their payloads.

use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

use crate::{Dot, Hlc, Path, VersionVector};

/// What kind of payload a dot carries. Merging never looks at it; only reading and writing do, and a kind
/// that this version does not know is kept and forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayloadKind(pub u16);

impl PayloadKind {
    /// A register that shows its latest value ([`crate::types::lww`]).
    pub const LWW: Self = Self(1);
    /// A register that shows all concurrent values ([`crate::types::multi`]).
    pub const MULTI: Self = Self(2);
    /// A slot of a counter ([`crate::types::counter`]).
    pub const COUNTER: Self = Self(3);
    /// An entry of a log, on a path of its own that is named by a dot.
    pub const LOG: Self = Self(4);
    /// A flag that is on when set and cleared at once ([`crate::types::flag`]): its being there.
    pub const FLAG_ENABLE_WINS: Self = Self(5);
    /// A flag that is off then: one byte, 1 for on.
    pub const FLAG_DISABLE_WINS: Self = Self(6);
    /// An element of a set that holds what is added and removed at once ([`crate::types::set`]): its being there.
    pub const SET_ADD_WINS: Self = Self(7);
    /// An element of a set that does not: one byte, 1 for added.
    pub const SET_REMOVE_WINS: Self = Self(8);
    /// What a decision about a conflict took away, on a path of its own.
    pub const DECISION: Self = Self(12);
    /// Stands in for content that a replica's disk has lost: that the dot lives is known, and nothing else of
    /// it. A mark of one store, which never travels: a frame that has it is refused.
    pub const LOST: Self = Self(u16::MAX);
}

/// The content of one write.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Payload {
    /// How to read the bytes.
    pub kind: PayloadKind,
    /// The value.
    pub bytes: Bytes,
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({}, {} bytes)", self.kind.0, self.bytes.len())
    }
}

/// One live write: its dot, its stamp and its content.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LiveDot {
    /// Which write.
    pub dot: Dot,
    /// When, for ordering concurrent values.
    pub hlc: Hlc,
    /// What.
    pub payload: Payload,
}

/// The live dots of one path, sorted by dot, each at most once. Several are live when writers did not see
/// each other; none when the path is absent, and then there is nothing to store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Most entries have one, which takes no allocation.
    live: SmallVec<[LiveDot; 1]>,
}

impl Entry {
    /// The entry of no live dot: the path is absent.
    pub const fn absent() -> Self {
        Self { live: SmallVec::new_const() }
    }

    /// The entry of these live dots; sorts them, and of two with the same dot keeps one.
    pub fn from_live(mut live: Vec<LiveDot>) -> Self {
        live.sort_by_key(|live| live.dot);
        live.dedup_by_key(|live| live.dot);
        Self { live: live.into() }
    }

    /// The entry of one live dot.
    pub fn of(live: LiveDot) -> Self {
        Self { live: smallvec![live] }
    }

    /// Adds a live dot, in its place; replaces one of the same dot.
    pub fn insert(&mut self, live: LiveDot) {
        match self.live.binary_search_by_key(&live.dot, |live| live.dot) {
            Ok(index) => self.live[index] = live,
            Err(index) => self.live.insert(index, live),
        }
    }

    /// Keeps only the dots for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&LiveDot) -> bool) {
        self.live.retain(|live| keep(live));
    }

    /// The live dots, sorted by dot.
    pub fn live(&self) -> &[LiveDot] {
        &self.live
    }

    /// Whether this dot is live here.
    pub fn contains(&self, dot: Dot) -> bool {
        self.live.binary_search_by_key(&dot, |live| live.dot).is_ok()
    }

    /// Whether the path is absent.
    pub fn is_absent(&self) -> bool {
        self.live.is_empty()
    }

    /// The greatest stamp of a live dot.
    pub fn greatest_stamp(&self) -> Option<Hlc> {
        self.live.iter().map(|live| live.hlc).max()
    }

    /// The entry as a reader at `vv` may see it: without dots that the vector does not cover. Those belong
    /// to a cut that is still arriving.
    pub fn visible_at(mut self, vv: &VersionVector) -> Self {
        self.retain(|live| vv.covers(live.dot));
        self
    }
}

/// A path and its entry, as it travels in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Which path.
    pub path: Path,
    /// Its live dots at the supplier.
    pub live: Vec<RowDot>,
    /// Its uncollected delete dots above the batch's `from`, each with its stamp.
    pub deletes: Vec<(Dot, Hlc)>,
}

/// A live dot in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowDot {
    /// Which write.
    pub dot: Dot,
    /// Its stamp and content; `None` when the batch's `from` covers the dot, so that the receiver has it or
    /// knows it to be overwritten, and the join needs the name only.
    pub content: Option<(Hlc, Payload)>,
}
