//! What a run comes to, for people and for programs.

use std::fmt;
use std::time::Duration;

use millpond::sim::mesh::Spread;
use serde::Serialize;
use serde_json::Value;

use super::bars;
use super::disturbance::Disturbance;
use super::heals::{HealRow, SplitRow};
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
    /// Of meshes that fell in two halves.
    pub splits: Vec<SplitRow>,
}

/// A bar, and what there is to say about it.
#[derive(Debug, Serialize)]
pub struct Judged {
    pub bar: &'static str,
    pub text: String,
    /// What was measured.
    pub figure: String,
    /// `None` where too little was measured to say that it is met.
    #[serde(rename = "met")]
    pub is_met: Option<bool>,
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
        let missed = self.bars.iter().filter(|judged| judged.is_met == Some(false));
        missed.map(|judged| format!("{} {}: {}", judged.bar, judged.text, judged.figure)).collect()
    }
}

impl fmt::Display for MeshReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.scenario, self.parameters)?;
        rows_as_table(f, &self.figures.rows)?;
        heals_as_table(f, &self.figures.heals)?;
        splits_as_table(f, &self.figures.splits)?;
        writeln!(f)?;
        for judged in &self.bars {
            let word = match judged.is_met {
                Some(true) => "met",
                Some(false) => "MISSED",
                None => "so far",
            };
            writeln!(f, "{} {:<6} {}: {}", judged.bar, word, judged.text, judged.figure)?;
        }
        writeln!(f, "{:.0} s, commit {}", self.elapsed_s, self.commit)
    }
}

fn rows_as_table(f: &mut fmt::Formatter<'_>, rows: &[Row]) -> fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(
        f,
        "\n{:>5} {:>5} {:<20} {:<22} {:>7} {:>14} {:>9} {:>9} {:>10} {:>8} {:>8} {:>7}",
        "nodes",
        "per s",
        "under",
        "mode",
        "copies",
        "p50/p99/max ms",
        "shortest",
        "star",
        "control B",
        "acks B/s",
        "idle B/s",
        "afar"
    )?;
    for row in rows {
        let or_dash = |figure: Option<f64>, digits: usize| {
            figure.map_or("-".into(), |figure| format!("{figure:.digits$}"))
        };
        let under = match (row.distances, row.disturbance) {
            (distances, Disturbance::None) => distances.name(),
            (_, disturbance) => disturbance.name(),
        };
        writeln!(
            f,
            "{:>5} {:>5} {:<20} {:<22} {:>7.3} {:>14} {:>9} {:>9} {:>10.0} {:>8} {:>8.0} {:>7}",
            row.nodes,
            row.rate,
            under,
            row.mode,
            row.copies_per_update,
            joined(&[row.p50_ms, row.p99_ms, row.max_ms]),
            joined(&[row.shortest_p50_ms, row.shortest_p99_ms]),
            joined(&[row.star_p50_ms, row.star_p99_ms]),
            row.control_bytes_per_update,
            or_dash(row.acks_bytes_per_s_per_node, 0),
            row.idle_bytes_per_s_per_node,
            or_dash(row.inter_region_copies_per_update, 1),
        )?;
    }
    Ok(())
}

fn heals_as_table(f: &mut fmt::Formatter<'_>, rows: &[HealRow]) -> fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(
        f,
        "\n{:>5} {:<22} {:>6} {:>8} {:>16} {:>9} {:>7} {:>8}",
        "nodes",
        "cut under",
        "trials",
        "starved",
        "p50/p99/max ms",
        "in bound",
        "copies",
        "next ms"
    )?;
    for row in rows {
        writeln!(
            f,
            "{:>5} {:<22} {:>6} {:>8} {:>16} {:>8.1}% {:>7.3} {:>8}",
            row.nodes,
            row.mode,
            row.trials,
            row.starved,
            spread(row.spread),
            100.0 * row.within_bound,
            row.copies,
            row.next_p50_ms,
        )?;
    }
    Ok(())
}

fn splits_as_table(f: &mut fmt::Formatter<'_>, rows: &[SplitRow]) -> fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(
        f,
        "\n{:>5} {:<22} {:>8} {:>6} {:>16} {:>17}",
        "nodes", "split under", "for ms", "trials", "p50/p99/max ms", "worst round trips"
    )?;
    for row in rows {
        writeln!(
            f,
            "{:>5} {:<22} {:>8} {:>6} {:>16} {:>17.1}",
            row.nodes,
            row.mode,
            row.split_ms,
            row.trials,
            spread(row.spread),
            row.worst_round_trips,
        )?;
    }
    Ok(())
}

fn spread(spread: Spread) -> String {
    format!("{}/{}/{}", spread.p50_ms, spread.p99_ms, spread.max_ms)
}

fn joined(figures: &[f64]) -> String {
    let words: Vec<String> = figures.iter().map(|figure| format!("{figure:.0}")).collect();
    words.join("/")
}
