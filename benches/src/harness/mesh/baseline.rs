//! The protocols to compare with.

use millpond::sim::mesh::RoundTrips;

use super::models::{Flood, HoldDown, Plumtree, Protocol, SpanningTree, Trees};

/// A protocol to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Baseline {
    Flood,
    HoldDown,
    PlumtreeShared,
    PlumtreePerOrigin,
    SpanningTree,
}

impl Baseline {
    pub const ALL: [Self; 5] = [
        Self::Flood,
        Self::HoldDown,
        Self::PlumtreeShared,
        Self::PlumtreePerOrigin,
        Self::SpanningTree,
    ];

    /// What reports call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flood => "flood",
            Self::HoldDown => "ravendb-rule",
            Self::PlumtreeShared => "plumtree-shared",
            Self::PlumtreePerOrigin => "plumtree-per-origin",
            Self::SpanningTree => "static-tree",
        }
    }

    /// The protocol, before anything happens.
    pub fn on(self, round_trips: &RoundTrips, seed: u64) -> Box<dyn Protocol> {
        let nodes = round_trips.nodes();
        match self {
            Self::Flood => Box::new(Flood),
            Self::HoldDown => Box::new(HoldDown::new(nodes, seed)),
            Self::PlumtreeShared => Box::new(Plumtree::new(nodes, Trees::SHARED)),
            Self::PlumtreePerOrigin => Box::new(Plumtree::new(nodes, Trees::FOR_EACH_ORIGIN)),
            Self::SpanningTree => Box::new(SpanningTree::new(round_trips)),
        }
    }
}
