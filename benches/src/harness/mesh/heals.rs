//! Many cuts as one row.

use serde::Serialize;

use super::cut::Heal;
use crate::report::percentile;

/// The cuts of one protocol at one size.
#[derive(Debug, Clone, Serialize)]
pub struct HealRow {
    pub nodes: usize,
    /// The mode, or the name of the baseline.
    pub mode: String,
    pub trials: usize,
    /// Trials in which the node never got the first update.
    pub starved: usize,
    /// Of the first update after the cut, until the node that was cut off has it. Nothing if it starves.
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub max_ms: Option<f64>,
    /// Which share came within two of the longest round trips and 50 ms.
    pub within_bound: f64,
    /// Rows received of the first update for each that was new to its receiver, over all trials.
    pub copies: f64,
    /// Of the update after the first.
    pub next_p50_ms: Option<f64>,
    /// Of each trial in which it came, in the order of seeds.
    #[serde(skip)]
    pub each_ms: Vec<f64>,
}

impl HealRow {
    /// The row of these cuts, of which there is one at least.
    pub fn new(nodes: usize, mode: impl Into<String>, heals: &[Heal]) -> Self {
        let each_ms: Vec<f64> = heals.iter().filter_map(|heal| heal.ms).collect();
        let next_ms: Vec<f64> = heals.iter().filter_map(|heal| heal.next_ms).collect();
        let is_within = |heal: &&Heal| heal.ms.is_some_and(|ms| ms <= heal.bound_ms);
        let copies: f64 = heals.iter().map(|heal| heal.copies).sum();
        Self {
            nodes,
            mode: mode.into(),
            trials: heals.len(),
            starved: heals.len() - each_ms.len(),
            p50_ms: of(&each_ms, 0.5),
            p99_ms: of(&each_ms, 0.99),
            max_ms: of(&each_ms, 1.0),
            within_bound: heals.iter().filter(is_within).count() as f64 / heals.len() as f64,
            copies: copies / heals.len() as f64,
            next_p50_ms: of(&next_ms, 0.5),
            each_ms,
        }
    }
}

fn of(figures: &[f64], share: f64) -> Option<f64> {
    (!figures.is_empty()).then(|| percentile(figures, share))
}
