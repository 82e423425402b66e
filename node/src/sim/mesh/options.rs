//! What a mesh is like, and what is done to it.

use serde::{Deserialize, Serialize};

use super::{Disturbance, RoundTrips};
use crate::topology::settings::Topology;

/// A mesh, and how it is measured. Everything follows from it: equal options give equal figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MeshOptions {
    /// How many nodes, all of them members from the start.
    pub nodes: usize,
    /// How many of them write, evenly spread over their numbers.
    pub writers: usize,
    /// Updates in a second, of all writers together: 1 to 1,000. One is a small transaction of one record, a
    /// key of 16 bytes and a value of 64, and the writers take turns by chance.
    pub rate: u32,
    /// Updates before anything is measured.
    pub warm_up: usize,
    /// How many of those come in a second, if not as many as afterwards: what is learned is learned sooner.
    pub warm_up_rate: Option<u32>,
    /// Updates that are measured.
    pub updates: usize,
    /// Draws everything but the round trips.
    pub seed: u64,
    /// How far the nodes are from each other.
    pub round_trips: RoundTrips,
    /// How each node takes part.
    pub topology: Topology,
    /// Nodes that are in one region, by their numbers one after the other: copies between regions are
    /// counted then.
    pub region_nodes: Option<usize>,
    /// Whether nodes tell where they are, so that links between regions cost more.
    pub tells_regions: bool,
    /// What happens to frames.
    pub disturbance: Disturbance,
}

impl MeshOptions {
    /// So many nodes with round trips by chance, and up to 16 writers: 200 updates to warm up, 1,000 that are
    /// measured, two in a second.
    pub fn new(nodes: usize, seed: u64) -> Self {
        Self::over(RoundTrips::random(nodes, seed), seed)
    }

    /// The same with these round trips.
    pub fn over(round_trips: RoundTrips, seed: u64) -> Self {
        Self {
            nodes: round_trips.nodes(),
            writers: round_trips.nodes().min(WRITERS),
            rate: 2,
            warm_up: 200,
            warm_up_rate: None,
            updates: 1_000,
            seed,
            round_trips,
            topology: Topology::default(),
            region_nodes: None,
            tells_regions: false,
            disturbance: Disturbance::None,
        }
    }

    /// The node that is the writer of this number.
    pub(crate) fn writer(&self, number: usize) -> usize {
        number * self.nodes / self.writers
    }
}

/// Writers, where nothing else is said.
const WRITERS: usize = 16;
