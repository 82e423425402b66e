//! The trials of one setting as one row.

use serde::Serialize;

use super::cell::{Cell, Distances};
use super::disturbance::Disturbance;
use super::subject::Subject;
use super::trial::Trial;
use crate::report::median;

/// The trials of one protocol under one setting. Figures are medians over trials where nothing else is said.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub nodes: usize,
    /// Updates a second, over all nodes.
    pub rate: u32,
    /// The mode, or the name of the baseline.
    pub mode: String,
    /// Whether the bars are about it.
    #[serde(skip)]
    pub is_judged: bool,
    pub distances: Distances,
    pub disturbance: Disturbance,
    /// How many trials there were.
    pub seeds: usize,
    /// Rows received for each that was new to its receiver.
    pub copies_per_update: f64,
    /// From an update's write until the last node has it.
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
    /// The same on the shortest ways.
    pub shortest_p50_ms: f64,
    pub shortest_p99_ms: f64,
    /// The same straight from the origin.
    pub star_p50_ms: f64,
    pub star_p99_ms: f64,
    /// By how much the slowest update of the worst trial was later than on its shortest way, and two of the
    /// longest round trips.
    pub worst_beyond_two_round_trips_ms: f64,
    /// Of announcements and what else finds the way of updates, for the whole mesh.
    pub control_bytes_per_update: f64,
    /// For the whole mesh.
    pub control_messages_per_update: f64,
    /// Of acks and heartbeats while updates come; nothing where they are among the control bytes.
    pub acks_bytes_per_s_per_node: Option<f64>,
    pub idle_bytes_per_s_per_node: f64,
    /// Rows received from another region; only where there are regions.
    pub inter_region_copies_per_update: Option<f64>,
    /// Of the updates of all trials together: p50, p99 and the longest. Of baselines only.
    pub pooled_ms: Option<[f64; 3]>,
}

impl Row {
    /// The row of these trials, of which there is one at least.
    pub fn new(cell: &Cell, subject: &Subject, trials: &[Trial]) -> Self {
        let middle = |figure: &dyn Fn(&Trial) -> f64| {
            median(&trials.iter().map(figure).collect::<Vec<f64>>())
        };
        let perhaps = |figure: &dyn Fn(&Trial) -> Option<f64>| {
            let figures: Option<Vec<f64>> = trials.iter().map(figure).collect();
            figures.map(|figures| median(&figures))
        };
        Self {
            nodes: cell.nodes,
            rate: cell.rate,
            mode: subject.name(),
            is_judged: subject.is_judged(),
            distances: cell.distances,
            disturbance: cell.disturbance,
            seeds: trials.len(),
            copies_per_update: middle(&|trial| trial.copies_per_update),
            p50_ms: middle(&|trial| trial.latency.p50_ms as f64),
            p99_ms: middle(&|trial| trial.latency.p99_ms as f64),
            max_ms: middle(&|trial| trial.latency.max_ms as f64),
            shortest_p50_ms: middle(&|trial| trial.shortest.p50_ms as f64),
            shortest_p99_ms: middle(&|trial| trial.shortest.p99_ms as f64),
            star_p50_ms: middle(&|trial| trial.star.p50_ms as f64),
            star_p99_ms: middle(&|trial| trial.star.p99_ms as f64),
            worst_beyond_two_round_trips_ms: trials
                .iter()
                .map(beyond_two_round_trips_ms)
                .fold(f64::NEG_INFINITY, f64::max),
            control_bytes_per_update: middle(&|trial| trial.control_bytes_per_update),
            control_messages_per_update: middle(&|trial| trial.control_messages_per_update),
            acks_bytes_per_s_per_node: perhaps(&|trial| trial.acks_bytes_per_s_per_node),
            idle_bytes_per_s_per_node: middle(&|trial| trial.idle_bytes_per_s_per_node),
            inter_region_copies_per_update: perhaps(&|trial| trial.inter_region_copies_per_update),
            pooled_ms: pooled_ms(trials),
        }
    }

    /// Random round trips, and nothing disturbs.
    pub fn is_calm(&self) -> bool {
        self.distances == Distances::Random && self.disturbance == Disturbance::None
    }
}

fn beyond_two_round_trips_ms(trial: &Trial) -> f64 {
    trial.behind_shortest.max_ms as f64 - 2.0 * trial.max_round_trip_ms as f64
}

fn pooled_ms(trials: &[Trial]) -> Option<[f64; 3]> {
    let latencies = trials.iter().flat_map(|trial| trial.latencies_ms.iter().copied());
    let mut all: Vec<f64> = latencies.map(|ms| ms as f64).collect();
    all.sort_by(f64::total_cmp);
    (!all.is_empty()).then(|| [0.5, 0.99, 1.0].map(|share| crate::report::percentile(&all, share)))
}
