//! Roads: what lies between two nodes in one direction, which can be slow, lossy, narrow, held or cut.

use std::collections::BTreeMap;

use super::mesh::RoundTrips;
use super::net::NodeId;

/// All roads.
#[derive(Default)]
pub(crate) struct Roads {
    /// Those that are not as they were in the beginning.
    changed: BTreeMap<(NodeId, NodeId), Road>,
    /// How far nodes are from each other in the beginning, if it is not one millisecond.
    round_trips: Option<RoundTrips>,
}

/// One direction between two nodes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Road {
    /// How long a frame travels, on each lane.
    pub(crate) delay_ms: [u64; 2],
    /// How long a lane is busy with one frame.
    pub(crate) frame_ms: [u64; 2],
    /// How much longer a frame may take, by chance.
    pub(crate) jitter_ms: u64,
    /// Of a hundred frames so many are lost, and sent again.
    pub(crate) loss_percent: u64,
    /// Bytes that pass in a millisecond; zero for any number.
    pub(crate) bytes_per_ms: u64,
    /// After so many more frames of the bulk lane the link breaks.
    pub(crate) breaks_after: Option<u64>,
    /// Whether a lane's frames wait.
    pub(crate) is_held: [bool; 2],
    /// Since when nothing passes.
    pub(crate) cut_since_ms: Option<u64>,
}

impl Default for Road {
    fn default() -> Self {
        Self {
            delay_ms: [1, 1],
            frame_ms: [0, 0],
            jitter_ms: 0,
            loss_percent: 0,
            bytes_per_ms: 0,
            breaks_after: None,
            is_held: [false, false],
            cut_since_ms: None,
        }
    }
}

impl Roads {
    /// Roads between nodes that are so far from each other.
    pub(crate) fn with(round_trips: RoundTrips) -> Self {
        Self { round_trips: Some(round_trips), ..Self::default() }
    }

    /// How one direction is.
    pub(crate) fn look(&self, from: NodeId, to: NodeId) -> Road {
        self.changed.get(&(from, to)).copied().unwrap_or_else(|| self.first(from, to))
    }

    /// One direction, to be changed.
    pub(crate) fn change(&mut self, from: NodeId, to: NodeId) -> &mut Road {
        let first = self.first(from, to);
        self.changed.entry((from, to)).or_insert(first)
    }

    /// All are as they were in the beginning.
    pub(crate) fn mend(&mut self) {
        self.changed.clear();
    }

    fn first(&self, from: NodeId, to: NodeId) -> Road {
        let far = self.round_trips.as_ref().filter(|it| from.max(to) < it.nodes());
        let delay_ms = far.map_or(Road::default().delay_ms, |it| [it.one_way_ms(from, to); 2]);
        Road { delay_ms, ..Road::default() }
    }
}
