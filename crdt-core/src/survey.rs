//! What a node tells of itself and its links when the whole mesh is surveyed.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{Incarnation, NodeKey};

/// A node's answer to a survey. It is for people: nothing acts on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeReport {
    /// The node.
    pub key: NodeKey,
    /// Its name.
    pub name: String,
    /// Where it is; empty if it has not said.
    pub region: String,
    /// What it costs others to receive from it, beside the way to it.
    pub cost: u32,
    /// Whom it links with.
    pub mode: ReportedMode,
    /// Whether it announces what came by replication, and sends it to who asks; if not it sends it to who still
    /// lacks it after a delay.
    pub is_adaptive: bool,
    /// The incarnation under which it writes, if it has written.
    pub open: Option<Incarnation>,
    /// Its links, at most [`SURVEYED_LINKS_MAX`](crate::limits::SURVEYED_LINKS_MAX).
    pub links: Vec<LinkReport>,
    /// From whom it takes what is written, at most
    /// [`SURVEYED_ORIGINS_MAX`](crate::limits::SURVEYED_ORIGINS_MAX).
    pub origins: Vec<OriginReport>,
}

/// Whom a node links with, as it reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReportedMode {
    /// Every member.
    FullMesh,
    /// Some, and it feeds its own writes to so many.
    SpanningTree {
        /// How many.
        fanout: u32,
    },
    /// Those that its operator named.
    Static,
    /// A mode that this version does not know.
    Other(u8),
}

impl ReportedMode {
    /// The number on the wire.
    pub const fn number(self) -> u8 {
        match self {
            Self::FullMesh => 1,
            Self::SpanningTree { .. } => 2,
            Self::Static => 3,
            Self::Other(number) => number,
        }
    }

    /// The mode of this number and, for a spanning tree, fanout; `None` if another one comes with a fanout.
    pub const fn from_numbers(number: u8, fanout: u32) -> Option<Self> {
        match (number, fanout) {
            (2, fanout) => Some(Self::SpanningTree { fanout }),
            (1, 0) => Some(Self::FullMesh),
            (3, 0) => Some(Self::Static),
            (number, 0) => Some(Self::Other(number)),
            _ => None,
        }
    }
}

/// A link, as one end reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkReport {
    /// The other end.
    pub peer: NodeKey,
    /// Smoothed round trip in microseconds; 0 while unknown.
    pub round_trip_us: u64,
    /// What it costs this end to receive over it.
    pub cost: u32,
}

/// From whom a node takes what an origin writes: places in its list of links, which there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OriginReport {
    /// The origin.
    pub origin: Incarnation,
    /// Who sends it.
    pub source: Option<usize>,
    /// Who would be asked next.
    pub standby: Option<usize>,
}
