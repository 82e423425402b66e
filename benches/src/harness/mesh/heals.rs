//! What fails in a mesh, and when all is well again: many trials as one row.

use millpond::sim::mesh::{self, Spread};
use serde::Serialize;

use super::subject::Subject;

/// What became of the first updates after the link that feeds a node was cut.
#[derive(Debug, Clone, Copy)]
pub struct Heal {
    /// Until the node had the first one; `None` if it never came.
    pub ms: Option<u64>,
    /// Until it had the next one.
    pub next_ms: Option<u64>,
    /// Rows received of the first one for each that was new to its receiver.
    pub copies: f64,
    pub max_round_trip_ms: u64,
}

/// The cuts of one protocol at one size.
#[derive(Debug, Clone, Serialize)]
pub struct HealRow {
    pub nodes: usize,
    /// The mode, or the name of the baseline.
    pub mode: String,
    /// Whether the bars are about it.
    #[serde(skip)]
    pub is_judged: bool,
    pub trials: usize,
    /// Trials in which the node never got the first update.
    pub starved: usize,
    /// Of the first update after the cut, until the node that was cut off has it, where it ever has.
    #[serde(flatten)]
    pub spread: Spread,
    /// Which share of the trials came within two of the longest round trips and 50 ms.
    pub within_bound: f64,
    /// Rows received of the first update for each that was new to its receiver: the mean.
    pub copies: f64,
    /// Of the update after the first, in the middle.
    pub next_p50_ms: u64,
    /// Of each trial in which it came, in the order of seeds.
    #[serde(skip)]
    pub each_ms: Vec<u64>,
}

/// Splits of one mode at one size.
#[derive(Debug, Clone, Serialize)]
pub struct SplitRow {
    pub nodes: usize,
    pub mode: String,
    #[serde(skip)]
    pub is_judged: bool,
    /// How long the halves were apart.
    pub split_ms: u64,
    pub trials: usize,
    /// From the end of the split until everybody has everything.
    #[serde(flatten)]
    pub spread: Spread,
    /// The most of all trials in multiples of the mesh's longest round trip.
    pub worst_round_trips: f64,
}

impl HealRow {
    /// The row of these cuts, of which there is one at least.
    pub fn new(nodes: usize, subject: &Subject, heals: &[Heal]) -> Self {
        let each_ms: Vec<u64> = heals.iter().filter_map(|heal| heal.ms).collect();
        let is_within =
            |heal: &&Heal| heal.ms.is_some_and(|ms| ms <= 2 * heal.max_round_trip_ms + SLACK_MS);
        let copies: f64 = heals.iter().map(|heal| heal.copies).sum();
        Self {
            nodes,
            mode: subject.name(),
            is_judged: subject.is_judged(),
            trials: heals.len(),
            starved: heals.len() - each_ms.len(),
            spread: Spread::of(each_ms.iter().copied()),
            within_bound: heals.iter().filter(is_within).count() as f64 / heals.len() as f64,
            copies: copies / heals.len() as f64,
            next_p50_ms: Spread::of(heals.iter().filter_map(|heal| heal.next_ms)).p50_ms,
            each_ms,
        }
    }
}

impl SplitRow {
    /// The row of these splits, of which there is one at least.
    pub fn new(nodes: usize, subject: &Subject, split_ms: u64, reunions: &[mesh::Reunion]) -> Self {
        let round_trips = |it: &mesh::Reunion| it.ms as f64 / it.max_round_trip_ms as f64;
        Self {
            nodes,
            mode: subject.name(),
            is_judged: subject.is_judged(),
            split_ms,
            trials: reunions.len(),
            spread: Spread::of(reunions.iter().map(|it| it.ms)),
            worst_round_trips: reunions.iter().map(round_trips).fold(0.0, f64::max),
        }
    }
}

impl From<mesh::Heal> for Heal {
    fn from(heal: mesh::Heal) -> Self {
        Self {
            ms: Some(heal.ms),
            next_ms: Some(heal.next_ms),
            copies: heal.copies_of_that_update,
            max_round_trip_ms: heal.max_round_trip_ms,
        }
    }
}

/// What nodes may take beyond the ways.
const SLACK_MS: u64 = 50;
