//! Trials: something fails in a mesh that has found its ways, and it is measured when all is well again.

use rand_core::Rng;
use serde::{Deserialize, Serialize};

use super::MeshOptions;
use super::field::{Field, MeshError};
use crate::sim::net::NodeId;

/// How a node came to its updates after the link was cut over which they came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Heal {
    /// The node that wrote.
    pub origin: usize,
    /// The node that lost its link.
    pub node: usize,
    /// The node at the other end of it.
    pub feeder: usize,
    /// From the first write after the cut until the node had it.
    pub ms: u64,
    /// Rows received for that update, by rows that were new, over all nodes.
    pub copies_of_that_update: f64,
    /// From the next write, a second later, until the node had it.
    pub next_ms: u64,
    /// The longest round trip between two nodes.
    pub max_round_trip_ms: u64,
}

/// How two halves of a mesh came together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reunion {
    /// From the end of the split until everybody had every update.
    pub ms: u64,
    /// Updates that were written while they were apart, on both sides.
    pub updates: usize,
    /// The longest round trip between two nodes.
    pub max_round_trip_ms: u64,
}

/// So many trials, one after the other, in one mesh that warmed up and came to rest: a link over which a node
/// gets the updates of an origin falls silent in both directions, nobody is told, and then the origin writes.
/// The link is mended after each trial, and updates find their ways again. What nodes have learned of late
/// updates in one trial they know in the next: a mesh for each trial shows how the first cut heals.
///
/// # Errors
/// If the members do not link, or an update does not come to a node.
pub fn cut_trials(options: &MeshOptions, trials: usize) -> Result<Vec<Heal>, MeshError> {
    let mut field = Field::found(options)?;
    field.follow_feeders();
    field.write_many(options.warm_up);
    (0..trials).map(|_| field.cut_trial()).collect()
}

/// A mesh that warmed up is split in two halves by chance, for so long, while updates go on on both sides;
/// then all roads are mended. A short split leaves the links up.
///
/// # Errors
/// If the members do not link, or an update does not come to a node.
pub fn split_trial(options: &MeshOptions, split_ms: u64) -> Result<Reunion, MeshError> {
    let mut field = Field::found(options)?;
    field.write_many(options.warm_up);
    field.rest()?;
    let halves = field.halves();
    field.set_cut(&halves, true);
    let updates = field.write_for(split_ms);
    field.set_cut(&halves, false);
    let ms = field.level()?;
    Ok(Reunion { ms, updates, max_round_trip_ms: options.round_trips.max_round_trip_ms() })
}

impl Field {
    fn cut_trial(&mut self) -> Result<Heal, MeshError> {
        self.write_many(SETTLING_UPDATES * self.writers.len());
        let writer = self.below(self.writers.len());
        self.write(writer);
        self.rest()?;
        let (origin, incarnation, _) = self.writers[writer];
        let node = (origin + 1 + self.below(self.options.nodes - 1)) % self.options.nodes;
        let feeder = self.meter().feeder(node, incarnation).unwrap_or(origin);
        self.set_cut(&[(node, feeder)], true);

        let before = self.rows();
        let ms = self.write_until_there(writer, node)?;
        self.level()?;
        self.world.run(NEXT_MS);
        let rows = self.rows().since(before);
        let next_ms = self.write_until_there(writer, node)?;
        self.level()?;

        self.set_cut(&[(node, feeder)], false);
        self.world.run(RELINKED_MS);
        let copies_of_that_update = rows.received as f64 / rows.new.max(1) as f64;
        let max_round_trip_ms = self.options.round_trips.max_round_trip_ms();
        Ok(Heal { origin, node, feeder, ms, copies_of_that_update, next_ms, max_round_trip_ms })
    }

    /// One update, and how long it takes to a node.
    fn write_until_there(&mut self, writer: usize, node: NodeId) -> Result<u64, MeshError> {
        let (origin, incarnation, _) = self.writers[writer];
        self.write(writer);
        let is_there = self.world.run_until(STARVED_MS, |world| {
            world.meter.as_ref().is_none_or(|meter| meter.has_all(node, incarnation))
        });
        is_there.map_err(|why| MeshError(format!("{node} has no update of {origin} {why}")))
    }

    /// Lets time pass until every update is everywhere and nothing more is said of them.
    fn rest(&mut self) -> Result<(), MeshError> {
        self.level()?;
        self.world.run(REST_MS);
        Ok(())
    }

    /// All pairs between two halves by chance.
    fn halves(&mut self) -> Vec<(NodeId, NodeId)> {
        let mut nodes: Vec<NodeId> = (0..self.options.nodes).collect();
        for last in (1..nodes.len()).rev() {
            let other = self.below(last + 1);
            nodes.swap(last, other);
        }
        let (left, right) = nodes.split_at(nodes.len() / 2);
        left.iter().flat_map(|&a| right.iter().map(move |&b| (a, b))).collect()
    }

    fn set_cut(&mut self, pairs: &[(NodeId, NodeId)], is_cut: bool) {
        let now_ms = self.world.now_ms;
        for &(a, b) in pairs {
            self.world.net.set_cut(now_ms, a, b, is_cut);
            self.world.net.set_cut(now_ms, b, a, is_cut);
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.rng.next_u32() as usize % bound.max(1)
    }
}

/// Updates of each writer between trials: so many that the ways of before the cut are found again.
const SETTLING_UPDATES: usize = 30;
/// How long the next write comes after the first has arrived: the silent link has not been noticed by then.
const NEXT_MS: u64 = 1_000;
/// How long a node may lack an update before it counts as starved.
const STARVED_MS: u64 = 30_000;
/// After this what is said of an update is said: acks and digests are through.
const REST_MS: u64 = 7_000;
/// How long a mended link has to come up again.
const RELINKED_MS: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn options(nodes: usize) -> MeshOptions {
        let mut options = MeshOptions::new(nodes, 5);
        (options.warm_up, options.rate) = (20, 20);
        options
    }

    #[test]
    fn a_node_whose_feeder_is_cut_off_gets_its_updates() {
        let heals = cut_trials(&options(4), 3).unwrap();
        assert_eq!(heals.len(), 3);
        for heal in &heals {
            assert!(heal.node != heal.origin && heal.node != heal.feeder, "{heal:?}");
            assert!(heal.ms > 0 && heal.next_ms > 0, "{heal:?}");
        }
    }

    #[test]
    fn two_halves_come_together() {
        let short = split_trial(&options(5), 1_000).unwrap();
        assert!(short.updates > 5 && short.ms < 30_000, "{short:?}");
        let long = split_trial(&options(5), 30_000).unwrap();
        assert!(long.updates > 400 && long.ms < 30_000, "{long:?}");
    }
}
