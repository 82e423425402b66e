//! All trials of a run, over all cores.

use std::time::Instant;

use millpond::sim::mesh::RoundTrips;
use millpond_benches::fan_out::{Done, fan_out, progress, threads};

use super::baseline::Baseline;
use super::charts;
use super::cut::{self, Heal};
use super::heals::HealRow;
use super::options::Parameters;
use super::report::{Figures, MeshReport};
use super::row::{Cell, Row};
use super::schedule::{Load, Schedule};
use super::trial::{self, Setting, Trial};
use crate::Result;

/// Runs all that is asked for.
pub fn run(parameters: &Parameters) -> Result<MeshReport> {
    let start = Instant::now();
    let subjects = subjects(parameters);
    let mut figures = Figures::default();
    for cell in cells(parameters) {
        for &subject in &subjects {
            figures.rows.push(row(parameters, &cell, subject)?);
        }
    }
    if parameters.cuts > 0 {
        for &nodes in &parameters.nodes {
            for &subject in &subjects {
                figures.heals.push(heal_row(parameters, nodes, subject));
            }
        }
    }
    if let Some(folder) = &parameters.charts {
        for file in charts::write(&figures, folder)? {
            eprintln!("wrote {}", file.display());
        }
    }
    Ok(MeshReport::new(parameters, figures, start.elapsed()))
}

fn subjects(parameters: &Parameters) -> Vec<Baseline> {
    if parameters.baselines { Baseline::ALL.to_vec() } else { Vec::new() }
}

/// Each size, rate and disturbance.
fn cells(parameters: &Parameters) -> Vec<Cell> {
    let mut cells = Vec::new();
    for &disturbance in &parameters.disturbance {
        for &nodes in &parameters.nodes {
            cells.extend(parameters.rate.iter().map(|&rate| Cell { nodes, rate, disturbance }));
        }
    }
    cells
}

fn row(parameters: &Parameters, cell: &Cell, subject: Baseline) -> Result<Row> {
    let title = format!("{} {} at {}/s", subject.name(), cell.nodes, cell.rate);
    let trials = on_all_cores(parameters, parameters.seeds, title, |seed| {
        let load = Load {
            nodes: cell.nodes,
            rate: cell.rate.into(),
            warm_up: parameters.warm_up,
            updates: parameters.updates,
        };
        let setting = Setting {
            round_trips: &RoundTrips::random(cell.nodes, seed),
            schedule: &Schedule::draw(&load, seed),
            disturbance: cell.disturbance,
            seed,
        };
        trial::run(subject, &setting)
    });
    let trials: Option<Vec<Trial>> = trials.into_iter().collect();
    let trials = trials.ok_or_else(|| {
        format!("{}: of {} nodes some never got an update", subject.name(), cell.nodes)
    })?;
    Ok(Row::new(cell, subject.name(), &trials))
}

fn heal_row(parameters: &Parameters, nodes: usize, subject: Baseline) -> HealRow {
    let title = format!("{} {nodes} cut", subject.name());
    let heals: Vec<Heal> = on_all_cores(parameters, parameters.cuts, title, |seed| {
        cut::run(subject, &RoundTrips::random(nodes, seed), seed)
    });
    HealRow::new(nodes, subject.name(), &heals)
}

/// Does this for so many seeds; what it comes to, in the order of seeds.
fn on_all_cores<T: Send>(
    parameters: &Parameters,
    count: u64,
    title: String,
    task: impl Fn(u64) -> T + Sync,
) -> Vec<T> {
    let bar = progress(count, title);
    let task = |number| Done { result: task(parameters.first_seed + number), is_last: false };
    let results = fan_out(count, threads(parameters.threads), &bar, task);
    bar.finish_and_clear();
    results
}
