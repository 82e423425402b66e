//! The link that feeds a node is cut, and nobody is told.

use millpond::sim::mesh::RoundTrips;
use serde::Serialize;

use super::baseline::Baseline;
use super::disturbance::Disturbance;
use super::models::Stage;
use super::schedule::{Load, Schedule};
use crate::workload::Random;

/// What became of the first updates after a cut.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Heal {
    /// Until the node had the first one; `None` if it never came.
    pub ms: Option<f64>,
    /// Until it had the next one.
    pub next_ms: Option<f64>,
    /// Rows received of the first one for each that was new to its receiver.
    pub copies: f64,
    /// Within which the first one should have come.
    pub bound_ms: f64,
}

/// After a warm-up and a silence, cuts the link over which a random node got the last update of a random
/// writer, in both directions; then that writer writes, and writes again.
pub fn run(baseline: Baseline, round_trips: &RoundTrips, seed: u64) -> Heal {
    let nodes = round_trips.nodes();
    let load = Load { nodes, rate: RATE, warm_up: 0, updates: WARM_UP };
    let schedule = Schedule::draw(&load, seed);
    let protocol = baseline.on(round_trips, seed);
    let mut stage = Stage::new(protocol, round_trips.clone(), Disturbance::None, seed);
    for (at_ms, writer) in &schedule.writes {
        stage.run_until(*at_ms);
        stage.write(*writer);
    }
    let mut random = Random::new(seed ^ 0x6375_7400);
    stage.run_until(stage.net.now_ms() + QUIET_MS);
    stage.rest();
    let origin = schedule.writes[WARM_UP - 1].1;
    let node = (origin + 1 + random.below(nodes as u64 - 1) as usize) % nodes;
    let feeder = stage.net.spreads()[WARM_UP - 1].came[node].map_or(origin, |(_, from)| from);
    stage.net.cut(feeder, node);
    let first = stage.write(origin);
    let ms = wait(&mut stage, first, node);
    stage.run_until(stage.net.now_ms() + QUIET_MS);
    let next = stage.write(origin);
    let next_ms = ms.and_then(|_| wait(&mut stage, next, node));
    let copies = stage.net.spreads()[first].copies as f64 / (nodes - 1) as f64;
    let bound_ms = (2 * round_trips.max_round_trip_ms() + 50) as f64;
    Heal { ms, next_ms, copies, bound_ms }
}

/// How long it takes until the node has the update.
fn wait(stage: &mut Stage, update: usize, node: usize) -> Option<f64> {
    let written_ms = stage.net.now_ms();
    stage.run_until_level(written_ms + PATIENCE_MS);
    let (came_ms, _) = stage.net.spreads()[update].came[node]?;
    Some((came_ms - written_ms) as f64)
}

/// Updates a second before the cut, and how many of them.
const RATE: f64 = 2.0;
const WARM_UP: usize = 100;
/// Longer than any message is on its way.
const QUIET_MS: u64 = 2_000;
/// Two idle ticks of RavenDB's rule, and the ways.
const PATIENCE_MS: u64 = 40_000;
