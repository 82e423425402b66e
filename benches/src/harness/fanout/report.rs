//! What a run comes to, for people and for programs.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::Parameters;
use super::trial::Row;
use crate::folder::ScratchFolder;
use crate::machine::{self, Machine};
use crate::report::Outcome;

/// The outcome of the scenario.
#[derive(Debug, Serialize)]
pub struct FanoutReport {
    scenario: &'static str,
    parameters: Value,
    rows: Vec<Row>,
    machine: Machine,
    commit: String,
}

impl FanoutReport {
    pub fn new(parameters: &Parameters, rows: Vec<Row>, folder: &ScratchFolder) -> Self {
        Self {
            scenario: super::NAME,
            parameters: serde_json::to_value(parameters).expect("plain values are JSON"),
            rows,
            machine: Machine::here(Some(folder)),
            commit: machine::commit(),
        }
    }
}

impl Outcome for FanoutReport {
    fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a report has text keys and finite numbers")
    }

    fn missed(&self) -> Vec<String> {
        let missed = self.rows.iter().filter(|row| row.copies_per_update > COPIES_MAX);
        missed
            .map(|row| {
                let Row { nodes, mode, copies_per_update, .. } = row;
                format!("B8 {nodes} nodes, {mode:?}: {copies_per_update:.3} copies > {COPIES_MAX}")
            })
            .collect()
    }
}

impl fmt::Display for FanoutReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.scenario, self.parameters)?;
        writeln!(
            f,
            "\n{:>5} {:<13} {:>7} {:>8} {:>9} {:>9} {:>8} {:>9} {:>9} {:>9} {:>5}",
            "nodes",
            "mode",
            "writers",
            "copies",
            "updates",
            "per s",
            "equal s",
            "frame B",
            "control B",
            "wire B",
            "pulls"
        )?;
        for row in &self.rows {
            let mode = serde_json::to_value(row.mode).expect("a mode is a word");
            writeln!(
                f,
                "{:>5} {:<13} {:>7} {:>8.4} {:>9} {:>9.0} {:>8.2} {:>9.0} {:>9.0} {:>9.0} {:>5}",
                row.nodes,
                mode.as_str().unwrap_or_default(),
                row.writers,
                row.copies_per_update,
                row.updates,
                row.updates_per_s,
                row.equal_s,
                row.frame_bytes_per_update,
                row.control_bytes_per_update,
                row.wire_bytes_per_update,
                row.pulls,
            )?;
        }
        let machine = serde_json::to_string(&self.machine).map_err(|_| fmt::Error)?;
        writeln!(f, "\nbytes are for each update, over all nodes\nmachine {machine}")?;
        writeln!(f, "commit  {}", self.commit)
    }
}

/// Bar B8.
const COPIES_MAX: f64 = 1.02;
