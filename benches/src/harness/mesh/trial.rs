//! One run of one protocol: what the updates cost, and when they were everywhere.

use millpond::sim::mesh::RoundTrips;
use serde::Serialize;

use super::baseline::Baseline;
use super::disturbance::Disturbance;
use super::models::Stage;
use super::schedule::Schedule;

/// Where and how a trial runs.
pub struct Setting<'a> {
    pub round_trips: &'a RoundTrips,
    pub schedule: &'a Schedule,
    pub disturbance: Disturbance,
    pub seed: u64,
}

/// What came of the measured updates of one run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Trial {
    /// Rows received for each that was new to its receiver.
    pub copies_per_update: f64,
    /// Of each update until the last node had it.
    pub latencies_ms: Vec<f64>,
    /// Of each update the same on the shortest ways, which no protocol beats.
    pub shortest_ms: Vec<f64>,
    /// Of each update the same straight from its origin.
    pub star_ms: Vec<f64>,
    /// For the whole mesh.
    pub control_bytes_per_update: f64,
    /// For the whole mesh.
    pub control_messages_per_update: f64,
    /// While nobody writes.
    pub idle_bytes_per_s_per_node: f64,
}

/// Runs a baseline; `None` if some update never came to some node.
pub fn run(baseline: Baseline, setting: &Setting<'_>) -> Option<Trial> {
    let Setting { round_trips, schedule, disturbance, seed } = *setting;
    let protocol = baseline.on(round_trips, seed);
    let mut stage = Stage::new(protocol, round_trips.clone(), disturbance, seed);
    let mut before = (0, 0);
    for (place, (at_ms, writer)) in schedule.writes.iter().enumerate() {
        stage.run_until(*at_ms);
        if place == schedule.warm_up {
            before = (stage.net.control_bytes, stage.net.control_messages);
        }
        stage.write(*writer);
    }
    let last_ms = stage.net.now_ms();
    if !stage.run_until_level(last_ms + PATIENCE_MS) {
        return None;
    }
    let control_bytes = stage.net.control_bytes - before.0;
    let control_messages = stage.net.control_messages - before.1;
    // Copies that are still on their way count.
    let level_ms = stage.net.now_ms();
    stage.run_until(level_ms + 4 * round_trips.max_round_trip_ms());
    let quiet_bytes = stage.net.control_bytes;
    stage.run_until(stage.net.now_ms() + IDLE_MS);
    let idle_bytes = (stage.net.control_bytes - quiet_bytes) as f64;

    let measured = &stage.net.spreads()[schedule.warm_up..];
    let others = (round_trips.nodes() - 1) as f64;
    let updates = measured.len() as f64;
    let copies: u64 = measured.iter().map(|spread| spread.copies).sum();
    let shortest = furthest(&round_trips.shortest_paths());
    let star = star(round_trips);
    let latency_ms = |level_ms: u64, written_ms: u64| (level_ms - written_ms) as f64;
    Some(Trial {
        copies_per_update: copies as f64 / (updates * others),
        latencies_ms: measured
            .iter()
            .map(|spread| Some(latency_ms(spread.level_ms()?, spread.written_ms)))
            .collect::<Option<_>>()?,
        shortest_ms: measured.iter().map(|spread| shortest[spread.origin()]).collect(),
        star_ms: measured.iter().map(|spread| star[spread.origin()]).collect(),
        control_bytes_per_update: control_bytes as f64 / updates,
        control_messages_per_update: control_messages as f64 / updates,
        idle_bytes_per_s_per_node: idle_bytes * 1e3 / IDLE_MS as f64 / round_trips.nodes() as f64,
    })
}

/// For each node the way to the node that is furthest from it.
fn furthest(paths: &[Vec<u32>]) -> Vec<f64> {
    paths.iter().map(|path| path.iter().copied().max().unwrap_or(0).into()).collect()
}

/// For each node the longest of its own links.
fn star(round_trips: &RoundTrips) -> Vec<f64> {
    let all = 0..round_trips.nodes();
    let longest = |from| all.clone().map(move |to| round_trips.one_way_ms(from, to)).max();
    all.clone().map(|from| longest(from).unwrap_or(0) as f64).collect()
}

/// Longer than any protocol takes that delivers at all: two idle ticks of RavenDB's rule, and the ways.
const PATIENCE_MS: u64 = 40_000;
/// How long nobody writes: four idle ticks of RavenDB's rule.
const IDLE_MS: u64 = 60_000;
