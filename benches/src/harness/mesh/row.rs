//! The trials of one setting as one row.

use serde::Serialize;

use super::disturbance::Disturbance;
use super::trial::Trial;
use crate::report::{median, percentile};

/// The trials of one protocol at one size and rate. Figures are medians over trials; those that are called
/// pooled are of the updates of all trials together.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub nodes: usize,
    /// Updates a second, over all nodes.
    pub rate: u32,
    /// The mode, or the name of the baseline.
    pub mode: String,
    pub disturbance: Disturbance,
    /// How many trials there were.
    pub seeds: usize,
    /// Rows received for each that was new to its receiver.
    pub copies_per_update: f64,
    /// From an update's commit until the last node has it.
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
    /// The same on the shortest ways.
    pub shortest_p50_ms: f64,
    pub shortest_p99_ms: f64,
    /// The same straight from the origin.
    pub star_p50_ms: f64,
    pub star_p99_ms: f64,
    pub pooled_p50_ms: f64,
    pub pooled_p99_ms: f64,
    pub pooled_max_ms: f64,
    /// How much longer any update of any trial took than on the shortest way.
    pub worst_excess_ms: f64,
    /// For the whole mesh.
    pub control_bytes_per_update: f64,
    /// For the whole mesh.
    pub control_messages_per_update: f64,
    pub idle_bytes_per_s_per_node: f64,
}

/// What all protocols run under.
#[derive(Debug, Clone)]
pub struct Cell {
    pub nodes: usize,
    pub rate: u32,
    pub disturbance: Disturbance,
}

impl Row {
    /// The row of these trials, of which there is one at least.
    pub fn new(cell: &Cell, mode: impl Into<String>, trials: &[Trial]) -> Self {
        let Cell { nodes, rate, disturbance } = *cell;
        let middle = |figure: &dyn Fn(&Trial) -> f64| {
            median(&trials.iter().map(figure).collect::<Vec<f64>>())
        };
        let pooled: Vec<f64> =
            trials.iter().flat_map(|trial| trial.latencies_ms.iter().copied()).collect();
        Self {
            nodes,
            rate,
            mode: mode.into(),
            disturbance,
            seeds: trials.len(),
            copies_per_update: middle(&|trial| trial.copies_per_update),
            p50_ms: middle(&|trial| percentile(&trial.latencies_ms, 0.5)),
            p99_ms: middle(&|trial| percentile(&trial.latencies_ms, 0.99)),
            max_ms: middle(&|trial| percentile(&trial.latencies_ms, 1.0)),
            shortest_p50_ms: middle(&|trial| percentile(&trial.shortest_ms, 0.5)),
            shortest_p99_ms: middle(&|trial| percentile(&trial.shortest_ms, 0.99)),
            star_p50_ms: middle(&|trial| percentile(&trial.star_ms, 0.5)),
            star_p99_ms: middle(&|trial| percentile(&trial.star_ms, 0.99)),
            pooled_p50_ms: percentile(&pooled, 0.5),
            pooled_p99_ms: percentile(&pooled, 0.99),
            pooled_max_ms: percentile(&pooled, 1.0),
            worst_excess_ms: trials.iter().map(worst_excess_ms).fold(0.0, f64::max),
            control_bytes_per_update: middle(&|trial| trial.control_bytes_per_update),
            control_messages_per_update: middle(&|trial| trial.control_messages_per_update),
            idle_bytes_per_s_per_node: middle(&|trial| trial.idle_bytes_per_s_per_node),
        }
    }
}

fn worst_excess_ms(trial: &Trial) -> f64 {
    let excesses = trial.latencies_ms.iter().zip(&trial.shortest_ms);
    excesses.map(|(latency, shortest)| latency - shortest).fold(0.0, f64::max)
}
