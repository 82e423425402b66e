//! One run of one protocol: what the updates cost, and when they were everywhere.

use millpond::sim::mesh::{MeshOptions, RoundTrips, Spread, Writes};

use super::baseline::Baseline;
use super::cell::Cell;
use super::models::Stage;

/// What came of the measured updates of one run.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Rows received for each that was new to its receiver.
    pub copies_per_update: f64,
    /// Of each update until the last node had it.
    pub latency: Spread,
    /// The same on the shortest ways, which no protocol beats.
    pub shortest: Spread,
    /// The same straight from the origin.
    pub star: Spread,
    /// By how much each update took longer than on the shortest way.
    pub behind_shortest: Spread,
    pub max_round_trip_ms: u64,
    /// Of announcements and what else finds the way of updates, for the whole mesh.
    pub control_bytes_per_update: f64,
    /// For the whole mesh.
    pub control_messages_per_update: f64,
    /// Of acks and heartbeats while updates come, where they are told apart from the control bytes.
    pub acks_bytes_per_s_per_node: Option<f64>,
    /// While nobody writes.
    pub idle_bytes_per_s_per_node: f64,
    /// Rows received from another region; only where there are regions.
    pub inter_region_copies_per_update: Option<f64>,
    /// Of each update until the last node had it, if they are known one by one.
    pub latencies_ms: Vec<u64>,
}

/// Runs a baseline; `None` if some update never came to some node.
pub fn run(baseline: Baseline, cell: &Cell, seed: u64) -> Option<Trial> {
    let options = cell.options(seed);
    let MeshOptions { round_trips, warm_up, updates, .. } = &options;
    let mut stage = Stage::new(baseline.on(round_trips, seed), round_trips, cell.disturbance, seed);
    stage.net.region_nodes = options.region_nodes;
    let mut writes = Writes::new(&options);
    stage.write_all(writes.by_ref().take(*warm_up));
    stage.level(PATIENCE_MS).then_some(())?;
    stage.pass(QUIET_MS);

    let before = (stage.net.control_bytes, stage.net.control_messages);
    stage.write_all(writes.take(*updates));
    stage.level(PATIENCE_MS).then_some(())?;
    let control_bytes = stage.net.control_bytes - before.0;
    let control_messages = stage.net.control_messages - before.1;
    // Copies that are still on their way count.
    stage.pass(QUIET_MS);
    let quiet_bytes = stage.net.control_bytes;
    stage.pass(IDLE_MS);
    let idle_bytes = (stage.net.control_bytes - quiet_bytes) as f64;

    let measured = &stage.net.spreads()[*warm_up..];
    let (nodes, count) = (round_trips.nodes() as f64, measured.len() as f64);
    let copies: u64 = measured.iter().map(|spread| spread.copies).sum();
    let from_afar: u64 = measured.iter().map(|spread| spread.copies_from_afar).sum();
    let latencies: Option<Vec<u64>> = measured.iter().map(|spread| spread.latency_ms()).collect();
    let latencies_ms = latencies?;
    let shortest_ms = furthest(&round_trips.shortest_paths());
    let star_ms = star(round_trips);
    let of_origins =
        |ms: &[u64]| measured.iter().map(|spread| ms[spread.origin()]).collect::<Vec<u64>>();
    let shortest = of_origins(&shortest_ms);
    Some(Trial {
        copies_per_update: copies as f64 / (count * (nodes - 1.0)),
        latency: Spread::of(latencies_ms.iter().copied()),
        behind_shortest: Spread::of(latencies_ms.iter().zip(&shortest).map(|(a, b)| a - b)),
        shortest: Spread::of(shortest),
        star: Spread::of(of_origins(&star_ms)),
        max_round_trip_ms: round_trips.max_round_trip_ms(),
        control_bytes_per_update: control_bytes as f64 / count,
        control_messages_per_update: control_messages as f64 / count,
        acks_bytes_per_s_per_node: None,
        idle_bytes_per_s_per_node: idle_bytes * 1e3 / IDLE_MS as f64 / nodes,
        inter_region_copies_per_update: options.region_nodes.map(|_| from_afar as f64 / count),
        latencies_ms,
    })
}

/// For each node the way to the node that is furthest from it.
fn furthest(paths: &[Vec<u32>]) -> Vec<u64> {
    paths.iter().map(|path| path.iter().copied().max().unwrap_or(0).into()).collect()
}

/// For each node the longest of its own links.
fn star(round_trips: &RoundTrips) -> Vec<u64> {
    let all = 0..round_trips.nodes();
    let longest = |from| all.clone().map(move |to| round_trips.one_way_ms(from, to)).max();
    all.clone().map(|from| longest(from).unwrap_or(0)).collect()
}

/// Longer than any protocol takes that delivers at all: two idle ticks of RavenDB's rule, and the ways.
const PATIENCE_MS: u64 = 40_000;
/// Longer than any message is on its way.
const QUIET_MS: u64 = 2_000;
/// How long nobody writes: four idle ticks of RavenDB's rule.
const IDLE_MS: u64 = 60_000;
