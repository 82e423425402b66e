//! What a run comes to, for people and for programs.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::bars;
use super::heals::HealRow;
use super::options::Parameters;
use super::row::Row;
use crate::machine::{self, Machine};
use crate::report::Outcome;

/// The outcome of the scenario.
#[derive(Debug, Serialize)]
pub struct MeshReport {
    scenario: &'static str,
    parameters: Value,
    #[serde(flatten)]
    figures: Figures,
    bars: Vec<Judged>,
    elapsed_s: f64,
    machine: Machine,
    commit: String,
}

/// All that was measured.
#[derive(Debug, Default, Serialize)]
pub struct Figures {
    pub rows: Vec<Row>,
    /// Of cuts of the feeding link.
    pub heals: Vec<HealRow>,
}

/// A bar, and what there is to say about it.
#[derive(Debug, Serialize)]
pub struct Judged {
    pub bar: &'static str,
    pub text: String,
    /// What was measured.
    pub figure: String,
    pub met: bool,
}

impl MeshReport {
    /// Judges these figures.
    pub fn new(parameters: &Parameters, figures: Figures, elapsed: Duration) -> Self {
        let parameters = serde_json::to_value(parameters).expect("plain values are JSON");
        Self {
            scenario: super::NAME,
            parameters,
            bars: bars::judge(&figures),
            figures,
            elapsed_s: elapsed.as_secs_f64(),
            machine: Machine::here(None),
            commit: machine::commit(),
        }
    }
}

impl Outcome for MeshReport {
    fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a report has text keys and finite numbers")
    }

    fn missed(&self) -> Vec<String> {
        let missed = self.bars.iter().filter(|judged| !judged.met);
        missed.map(|judged| format!("{} {}: {}", judged.bar, judged.text, judged.figure)).collect()
    }
}

impl fmt::Display for MeshReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.scenario, self.parameters)?;
        let Figures { rows, heals } = &self.figures;
        if !rows.is_empty() {
            writeln!(
                f,
                "\n{:>5} {:>5} {:<10} {:<20} {:>7} {:>17} {:>9} {:>9} {:>10} {:>8}",
                "nodes",
                "per s",
                "disturbed",
                "mode",
                "copies",
                "p50/p99/max ms",
                "shortest",
                "star",
                "control B",
                "idle B/s"
            )?;
        }
        for row in rows {
            writeln!(
                f,
                "{:>5} {:>5} {:<10} {:<20} {:>7.3} {:>17} {:>9} {:>9} {:>10.0} {:>8.0}",
                row.nodes,
                row.rate,
                row.disturbance.to_string(),
                row.mode,
                row.copies_per_update,
                joined(&[row.p50_ms, row.p99_ms, row.max_ms]),
                joined(&[row.shortest_p50_ms, row.shortest_p99_ms]),
                joined(&[row.star_p50_ms, row.star_p99_ms]),
                row.control_bytes_per_update,
                row.idle_bytes_per_s_per_node,
            )?;
        }
        if !heals.is_empty() {
            writeln!(
                f,
                "\n{:>5} {:<20} {:>6} {:>8} {:>20} {:>9} {:>7} {:>8}",
                "nodes",
                "cut of",
                "trials",
                "starved",
                "p50/p99/max ms",
                "in bound",
                "copies",
                "next ms"
            )?;
        }
        for row in heals {
            let times = [row.p50_ms, row.p99_ms, row.max_ms].map(|ms| ms.unwrap_or(f64::INFINITY));
            writeln!(
                f,
                "{:>5} {:<20} {:>6} {:>8} {:>20} {:>8.1}% {:>7.3} {:>8.0}",
                row.nodes,
                row.mode,
                row.trials,
                row.starved,
                joined(&times),
                100.0 * row.within_bound,
                row.copies,
                row.next_p50_ms.unwrap_or(f64::INFINITY),
            )?;
        }
        writeln!(f)?;
        for judged in &self.bars {
            let word = if judged.met { "met" } else { "MISSED" };
            writeln!(f, "{} {:<6} {}: {}", judged.bar, word, judged.text, judged.figure)?;
        }
        writeln!(f, "{:.0} s, commit {}", self.elapsed_s, self.commit)
    }
}

fn joined(figures: &[f64]) -> String {
    let words: Vec<String> = figures.iter().map(|figure| format!("{figure:.0}")).collect();
    words.join("/")
}
