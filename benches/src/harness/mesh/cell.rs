//! What all protocols run under.

use millpond::sim::mesh::{MeshOptions, RoundTrips};
use serde::Serialize;

use super::disturbance::Disturbance;

/// A mesh, what is written in it, and what disturbs it.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    pub nodes: usize,
    /// Updates a second, over all nodes.
    pub rate: u32,
    pub distances: Distances,
    pub disturbance: Disturbance,
    /// Updates before those that are measured.
    pub warm_up: usize,
    /// Updates that are measured.
    pub updates: usize,
}

/// How far the nodes are from each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distances {
    /// 5 to 200 ms, each pair by chance.
    #[default]
    Random,
    /// Four regions, 1 to 10 ms within one and 60 to 200 ms between them.
    Regions,
    /// The same, and every node says where it is: links between regions cost more.
    RegionsWithCosts,
}

impl Cell {
    /// The mesh of a seed, and its writes.
    pub fn options(&self, seed: u64) -> MeshOptions {
        let round_trips = match self.distances.region_nodes(self.nodes) {
            None => RoundTrips::random(self.nodes, seed),
            Some(each) => RoundTrips::regions(REGIONS, each, seed),
        };
        let mut options = MeshOptions::over(round_trips, seed);
        (options.rate, options.warm_up, options.updates) = (self.rate, self.warm_up, self.updates);
        options.warm_up_rate = Some(WARM_UP_RATE.max(self.rate));
        options.region_nodes = self.distances.region_nodes(self.nodes);
        options.tells_regions = self.distances == Distances::RegionsWithCosts;
        options.disturbance = self.disturbance.into();
        options
    }
}

impl Distances {
    /// In reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Regions => "regions",
            Self::RegionsWithCosts => "regions-with-costs",
        }
    }

    fn region_nodes(self, nodes: usize) -> Option<usize> {
        match self {
            Self::Random => None,
            Self::Regions | Self::RegionsWithCosts => Some(nodes / REGIONS),
        }
    }
}

/// Updates a second while nothing is measured yet: a mesh that has been in use knows its ways, and at two a
/// second it would take virtual hours until it does.
const WARM_UP_RATE: u32 = 200;
/// How many regions a mesh of regions has.
pub const REGIONS: usize = 4;
