//! The link that feeds a node is cut, and nobody is told.

use millpond::sim::mesh::Writes;

use super::baseline::Baseline;
use super::cell::Cell;
use super::heals::Heal;
use super::models::Stage;
use crate::workload::Random;

/// After a warm-up and a silence, cuts the link over which a random node got the last update of a random
/// writer, in both directions; then that writer writes, and writes again.
pub fn run(baseline: Baseline, cell: &Cell, seed: u64) -> Heal {
    let options = cell.options(seed);
    let (round_trips, nodes) = (&options.round_trips, cell.nodes);
    let protocol = baseline.on(round_trips, seed);
    let mut stage = Stage::new(protocol, round_trips, cell.disturbance, seed);
    stage.write_all(Writes::new(&options).take(cell.warm_up + SETTLING));
    let mut random = Random::new(seed ^ 0x6375_7400);
    stage.pass(QUIET_MS);
    stage.rest();
    let last = &stage.net.spreads()[cell.warm_up + SETTLING - 1];
    let origin = last.origin();
    let node = (origin + 1 + random.below(nodes as u64 - 1) as usize) % nodes;
    let feeder = last.came[node].map_or(origin, |(_, from)| from);
    stage.net.cut(feeder, node);
    let first = stage.write(origin);
    let ms = wait(&mut stage, first, node);
    stage.pass(QUIET_MS);
    let next = stage.write(origin);
    let next_ms = ms.and_then(|_| wait(&mut stage, next, node));
    let copies = stage.net.spreads()[first].copies as f64 / (nodes - 1) as f64;
    Heal { ms, next_ms, copies, max_round_trip_ms: round_trips.max_round_trip_ms() }
}

/// How long it takes until the node has the update.
fn wait(stage: &mut Stage, update: usize, node: usize) -> Option<u64> {
    let written_ms = stage.net.now_ms();
    stage.level(PATIENCE_MS);
    let (came_ms, _) = stage.net.spreads()[update].came[node]?;
    Some(came_ms - written_ms)
}

/// Updates between the warm-up and the cut, so many as this engine gets as well.
const SETTLING: usize = 8;
/// Longer than any message is on its way.
const QUIET_MS: u64 = 2_000;
/// Two idle ticks of RavenDB's rule, and the ways.
const PATIENCE_MS: u64 = 40_000;
