//! What is demanded, and whether it is met.

use super::baseline::Baseline;
use super::disturbance::Disturbance;
use super::heals::HealRow;
use super::reference::{RAVENDB, RavenDb};
use super::report::{Figures, Judged};
use super::row::Row;
use crate::report::{median, percentile};

/// Judges every bar that these figures say something about.
pub fn judge(figures: &Figures) -> Vec<Judged> {
    RAVENDB.iter().filter_map(|reference| compare(reference, figures)).collect()
}

/// The model of RavenDB's rule beside the reference: proof that the comparison is fair.
fn compare(reference: &RavenDb, figures: &Figures) -> Option<Judged> {
    let nodes = reference.nodes;
    let is_it = |mode: &str, size: usize| mode == Baseline::HoldDown.name() && size == nodes;
    let row_at = |rate| {
        let is_row = |row: &&Row| {
            is_it(&row.mode, row.nodes) && row.rate == rate && row.disturbance == Disturbance::None
        };
        figures.rows.iter().find(is_row)
    };
    let mut pairs = Vec::new();
    if let Some(row) = row_at(2) {
        pairs.push(("copies", row.copies_per_update, reference.copies));
        pairs.push(("control", row.control_bytes_per_update, reference.control_bytes));
        let [p50, p99, max] = reference.latency_ms;
        pairs.push(("p50", row.pooled_p50_ms, p50));
        pairs.push(("p99", row.pooled_p99_ms, p99));
        pairs.push(("max", row.pooled_max_ms, max));
    }
    if let Some(row) = row_at(200) {
        pairs.push(("copies at 200/s", row.copies_per_update, reference.copies_under_load));
    }
    if let Some(row) = figures.heals.iter().find(|row| is_it(&row.mode, row.nodes)) {
        let [p50, p99, max] = reference.heal_ms;
        let ours = like_groups(row, reference.cuts);
        pairs.push(("cut p50", ours[0], p50));
        pairs.push(("cut p99", ours[1], p99));
        pairs.push(("cut max", ours[2], max));
    }
    if pairs.is_empty() {
        return None;
    }
    let differs = |ours: f64, theirs: f64| 100.0 * (ours / theirs - 1.0);
    let is_near = |ours, theirs| differs(ours, theirs).abs() <= 20.0;
    let words: Vec<String> = pairs
        .iter()
        .map(|(name, ours, theirs)| {
            let mark = if is_near(*ours, *theirs) { "" } else { " (!)" };
            format!("{name} {:+.0}%{mark}", differs(*ours, *theirs))
        })
        .collect();
    Some(Judged {
        bar: "B9",
        text: format!("RavenDB's rule at n={nodes} within 20% of the reference"),
        figure: words.join(", "),
        met: pairs.iter().all(|(_, ours, theirs)| is_near(*ours, *theirs)),
    })
}

/// The longest of many trials grows with their number, so groups as big as the reference's are compared with
/// it: the median over groups of p50, p99 and the longest.
fn like_groups(row: &HealRow, size: usize) -> [f64; 3] {
    let groups: Vec<&[f64]> = match row.each_ms.len() {
        count if count < size => vec![&row.each_ms],
        _ => row.each_ms.chunks_exact(size).collect(),
    };
    [0.5, 0.99, 1.0].map(|share| {
        median(&groups.iter().map(|group| percentile(group, share)).collect::<Vec<f64>>())
    })
}
