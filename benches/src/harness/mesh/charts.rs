//! The charts of a run: copies, latencies and healing, of all protocols beside each other.

use std::path::{Path, PathBuf};

use plotters::prelude::SeriesLabelPosition;

use super::chart::{Axis, Chart, Line, Scale};
use super::heals::HealRow;
use super::report::Figures;
use super::row::Row;
use crate::Result;

/// Writes what these figures are good for into a folder; the files.
pub fn write(figures: &Figures, folder: &Path) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder)?;
    let modes = modes(figures);
    let mut files = Vec::new();
    let mut put = |name: String, chart: Chart| {
        let file = folder.join(name);
        chart.write(&file)?;
        files.push(file);
        Result::Ok(())
    };
    let rows: Vec<&Row> = figures.rows.iter().filter(|row| row.is_calm()).collect();
    for rate in distinct(rows.iter().map(|row| row.rate)) {
        let rows: Vec<&Row> = rows.iter().copied().filter(|row| row.rate == rate).collect();
        put(format!("copies-{rate}.svg"), copies(&rows, &modes, rate))?;
        put(format!("latency-{rate}.svg"), latency(&rows, &modes, rate))?;
    }
    for nodes in distinct(figures.heals.iter().map(|row| row.nodes)) {
        let rows: Vec<&HealRow> = figures.heals.iter().filter(|row| row.nodes == nodes).collect();
        put(format!("heal-{nodes}.svg"), heals(&rows, &modes, nodes))?;
    }
    Ok(files)
}

fn copies(rows: &[&Row], modes: &[String], rate: u32) -> Chart {
    let lines = by_nodes(rows, modes, |row| row.copies_per_update);
    Chart {
        title: format!("How often an update comes to each node, at {rate} updates/s"),
        x: sizes(rows),
        y: Axis {
            name: "copies for each node that needs one".into(),
            range: (0.9, above(&lines).max(2.0)),
            marks: POWERS.into(),
            scale: Scale::Logarithmic,
        },
        lines,
        names: SeriesLabelPosition::UpperLeft,
    }
}

fn latency(rows: &[&Row], modes: &[String], rate: u32) -> Chart {
    let mut lines = by_nodes(rows, modes, |row| row.p99_ms / row.shortest_p99_ms);
    let star = rows.iter().map(|row| (row.nodes as f64, row.star_p99_ms / row.shortest_p99_ms));
    let mut star: Vec<(f64, f64)> = star.collect();
    star.sort_by(|a, b| a.0.total_cmp(&b.0));
    star.dedup();
    lines.push(Line { name: "straight from the origin".into(), look: modes.len(), points: star });
    Chart {
        title: format!("How late the last node has an update, at {rate} updates/s"),
        x: sizes(rows),
        y: Axis {
            name: "p99, in multiples of the shortest ways' p99".into(),
            range: (0.9, above(&lines).max(2.0)),
            marks: vec![1.0, 1.25, 1.4, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0],
            scale: Scale::Logarithmic,
        },
        lines,
        names: SeriesLabelPosition::UpperLeft,
    }
}

fn heals(rows: &[&HealRow], modes: &[String], nodes: usize) -> Chart {
    let lines: Vec<Line> = rows
        .iter()
        .map(|row| {
            let mut sorted = row.each_ms.clone();
            sorted.sort_unstable();
            let share = |place: usize| 100.0 * (place + 1) as f64 / row.trials as f64;
            let points = sorted
                .iter()
                .enumerate()
                .map(|(place, ms)| ((*ms as f64).max(FASTEST_MS), share(place)));
            let name = match row.starved {
                0 => row.mode.clone(),
                starved => format!("{} ({starved} of {} never)", row.mode, row.trials),
            };
            Line { name, look: look(&row.mode, modes), points: points.collect() }
        })
        .collect();
    let longest = lines.iter().flat_map(|line| &line.points).map(|(ms, _)| *ms);
    Chart {
        title: format!("The first update after the feeding link of one of {nodes} nodes was cut"),
        x: Axis {
            name: "ms until the node has it".into(),
            range: (FASTEST_MS, longest.fold(1_000.0, f64::max) * 1.1),
            marks: vec![5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 1e4, 2e4],
            scale: Scale::Logarithmic,
        },
        y: Axis {
            name: "% of the cuts".into(),
            range: (0.0, 102.0),
            marks: (0..=10).map(|tenth| f64::from(tenth) * 10.0).collect(),
            scale: Scale::Linear,
        },
        lines,
        names: SeriesLabelPosition::LowerRight,
    }
}

/// A line for each mode, over the sizes of the mesh.
fn by_nodes(rows: &[&Row], modes: &[String], figure: impl Fn(&Row) -> f64) -> Vec<Line> {
    let lines = modes.iter().map(|mode| {
        let own = rows.iter().filter(|row| row.mode == *mode);
        let mut points: Vec<(f64, f64)> = own.map(|row| (row.nodes as f64, figure(row))).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Line { name: mode.clone(), look: look(mode, modes), points }
    });
    lines.filter(|line| !line.points.is_empty()).collect()
}

fn sizes(rows: &[&Row]) -> Axis {
    let marks: Vec<f64> = distinct(rows.iter().map(|row| row.nodes)).map(|n| n as f64).collect();
    let (least, most) = (marks[0], marks[marks.len() - 1]);
    let range = (least * 0.9, most * 1.12);
    Axis { name: "nodes".into(), range, marks, scale: Scale::Logarithmic }
}

/// A mode has one look in all charts of a run.
fn look(mode: &str, modes: &[String]) -> usize {
    modes.iter().position(|other| other == mode).unwrap_or(0)
}

/// In the order in which they ran.
fn modes(figures: &Figures) -> Vec<String> {
    let mut modes: Vec<String> = Vec::new();
    let of_rows = figures.rows.iter().map(|row| &row.mode);
    for mode in of_rows.chain(figures.heals.iter().map(|row| &row.mode)) {
        if !modes.contains(mode) {
            modes.push(mode.clone());
        }
    }
    modes
}

fn distinct<T: Ord>(figures: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    figures.collect::<std::collections::BTreeSet<T>>().into_iter()
}

fn above(lines: &[Line]) -> f64 {
    lines.iter().flat_map(|line| &line.points).map(|(_, y)| *y).fold(1.0, f64::max) * 1.2
}

/// What came sooner is drawn here: on a logarithmic axis zero has no place.
const FASTEST_MS: f64 = 5.0;
const POWERS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];
