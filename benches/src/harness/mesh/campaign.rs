//! All trials of a run, over all cores.

use std::time::Instant;

use millpond::sim::mesh::Reunion;
use millpond_benches::fan_out::{Done, fan_out, progress, threads};

use super::baseline::Baseline;
use super::cell::{Cell, Distances};
use super::charts;
use super::disturbance::Disturbance;
use super::heals::{HealRow, SplitRow};
use super::options::Parameters;
use super::report::{Figures, MeshReport};
use super::row::Row;
use super::subject::Subject;
use crate::Result;

/// Runs all that is asked for.
pub fn run(parameters: &Parameters) -> Result<MeshReport> {
    let start = Instant::now();
    let subjects = subjects(parameters);
    let mut figures = Figures::default();
    for cell in cells(parameters) {
        for subject in &subjects {
            figures.rows.push(row(parameters, &cell, subject)?);
        }
    }
    for &nodes in &parameters.nodes {
        for subject in &subjects {
            let cell = Cell { nodes, warm_up: TRIAL_WARM_UP, ..CALM };
            if parameters.cuts > 0 {
                figures.heals.push(heal_row(parameters, &cell, subject)?);
            }
            if parameters.splits > 0 {
                for split_ms in SPLITS_MS {
                    figures.splits.extend(split_row(parameters, &cell, subject, split_ms)?);
                }
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

fn subjects(parameters: &Parameters) -> Vec<Subject> {
    let engines = parameters.mode.iter().flatten().cloned().map(Subject::Engine);
    let baselines = Baseline::ALL.into_iter().map(Subject::Baseline);
    engines.chain(baselines.filter(|_| parameters.baselines)).collect()
}

/// Each size, rate and disturbance; then the regions.
fn cells(parameters: &Parameters) -> Vec<Cell> {
    let Parameters { warm_up, updates, .. } = *parameters;
    let calm = Cell { warm_up, updates, ..CALM };
    let mut cells = Vec::new();
    for &disturbance in &parameters.disturbance {
        for &nodes in &parameters.nodes {
            // In less time a digest would come once or not at all.
            let updates = |rate: u32| updates.max(5 * rate as usize);
            cells.extend(parameters.rate.iter().map(|&rate| Cell {
                nodes,
                rate,
                disturbance,
                updates: updates(rate),
                ..calm
            }));
        }
    }
    if let Some(nodes) = parameters.regions {
        for distances in [Distances::Regions, Distances::RegionsWithCosts] {
            cells.push(Cell { nodes, distances, ..calm });
        }
    }
    cells
}

fn row(parameters: &Parameters, cell: &Cell, subject: &Subject) -> Result<Row> {
    let title = format!("{} {} at {}/s", subject.name(), cell.nodes, cell.rate);
    let trials =
        on_all_cores(parameters, parameters.seeds, title, |seed| subject.trial(cell, seed))?;
    Ok(Row::new(cell, subject, &trials))
}

fn heal_row(parameters: &Parameters, cell: &Cell, subject: &Subject) -> Result<HealRow> {
    let title = format!("{} {} cut", subject.name(), cell.nodes);
    let each = parameters.cuts.min(CUTS_OF_A_MESH);
    let meshes = parameters.cuts.div_ceil(each);
    let heals =
        on_all_cores(parameters, meshes, title, |seed| subject.cuts(cell, seed, each))?.concat();
    Ok(HealRow::new(cell.nodes, subject, &heals))
}

fn split_row(
    parameters: &Parameters,
    cell: &Cell,
    subject: &Subject,
    split_ms: u64,
) -> Result<Option<SplitRow>> {
    let title = format!("{} {} split", subject.name(), cell.nodes);
    let splits = on_all_cores(parameters, parameters.splits, title, |seed| {
        subject.split(cell, seed, split_ms)
    })?;
    let splits: Option<Vec<Reunion>> = splits.into_iter().collect();
    Ok(splits.map(|splits| SplitRow::new(cell.nodes, subject, split_ms, &splits)))
}

/// Does this for so many seeds; what it comes to, in the order of seeds.
fn on_all_cores<T: Send>(
    parameters: &Parameters,
    count: u64,
    title: String,
    task: impl Fn(u64) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let bar = progress(count, title);
    let task = |number| {
        let result = task(parameters.first_seed + number);
        Done { is_last: result.is_err(), result }
    };
    let results = fan_out(count, threads(parameters.threads), &bar, task);
    bar.finish_and_clear();
    results.into_iter().collect()
}

/// A mesh where little is written, and nothing disturbs.
const CALM: Cell = Cell {
    nodes: 0,
    rate: 2,
    distances: Distances::Random,
    disturbance: Disturbance::None,
    warm_up: 1,
    updates: 1,
};
/// Updates before something fails: each of 16 writers has had its turn thirty times.
const TRIAL_WARM_UP: usize = 500;
/// Many cuts in one mesh save most of the time of founding it; many meshes make the cuts differ.
const CUTS_OF_A_MESH: u64 = 20;
/// Shorter than a link takes to notice, and longer.
const SPLITS_MS: [u64; 2] = [1_000, 30_000];
