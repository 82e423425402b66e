//! The figures that the model of RavenDB's rule must come near: those of an independent simulation of the
//! same rule on the same scenarios.
//!
//! They are of the updates of all trials together, and so is what is compared with them.

use millpond::sim::mesh::Spread;

use super::baseline::Baseline;
use super::heals::HealRow;
use super::report::{Figures, Judged};
use super::row::Row;
use crate::report::median;

/// Judges how near the model comes, size by size.
pub fn judge(figures: &Figures) -> Vec<Judged> {
    RAVENDB.iter().filter_map(|reference| compare(reference, figures)).collect()
}

/// The model of RavenDB's rule beside the reference: proof that the comparison is fair.
fn compare(reference: &RavenDb, figures: &Figures) -> Option<Judged> {
    let nodes = reference.nodes;
    let is_it = |mode: &str, size: usize| mode == Baseline::HoldDown.name() && size == nodes;
    let row_at = |rate| {
        let is_row = |row: &&Row| is_it(&row.mode, row.nodes) && row.rate == rate && row.is_calm();
        figures.rows.iter().find(is_row)
    };
    let mut pairs = Vec::new();
    if let Some(row) = row_at(2) {
        pairs.push(("copies", row.copies_per_update, reference.copies));
        pairs.push(("control", row.control_bytes_per_update, reference.control_bytes));
        let names = ["p50", "p99", "max"].into_iter();
        let ours = row.pooled_ms.into_iter().flatten();
        pairs.extend(
            names
                .zip(ours)
                .zip(reference.latency_ms)
                .map(|((name, ours), theirs)| (name, ours, theirs)),
        );
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
        is_met: Some(pairs.iter().all(|(_, ours, theirs)| is_near(*ours, *theirs))),
    })
}

/// The longest of many trials grows with their number, so groups as big as the reference's are compared with
/// it: the median over groups of p50, p99 and the longest.
fn like_groups(row: &HealRow, size: usize) -> [f64; 3] {
    let groups: Vec<&[u64]> = match row.each_ms.len() {
        count if count < size => vec![&row.each_ms],
        _ => row.each_ms.chunks_exact(size).collect(),
    };
    let spreads: Vec<Spread> =
        groups.iter().map(|group| Spread::of(group.iter().copied())).collect();
    let middle = |figure: fn(&Spread) -> u64| {
        median(&spreads.iter().map(|spread| figure(spread) as f64).collect::<Vec<f64>>())
    };
    [middle(|spread| spread.p50_ms), middle(|spread| spread.p99_ms), middle(|spread| spread.max_ms)]
}

/// Of one size: random round trips of 5 to 200 ms, up to 16 writers.
struct RavenDb {
    nodes: usize,
    /// At 2 updates a second.
    copies: f64,
    /// At 200 updates a second.
    copies_under_load: f64,
    /// At 2 updates a second, for the whole mesh.
    control_bytes: f64,
    /// At 2 updates a second: p50, p99 and the longest.
    latency_ms: [f64; 3],
    /// Of the first update after a silent cut: p50, p99 and the longest.
    heal_ms: [f64; 3],
    /// Of how many cuts the longest is the longest.
    cuts: usize,
}

const RAVENDB: [RavenDb; 6] = [
    RavenDb {
        nodes: 3,
        copies: 1.05,
        copies_under_load: 1.79,
        control_bytes: 589.0,
        latency_ms: [80.0, 97.0, 102.0],
        heal_ms: [5755.0, 14730.0, 14882.0],
        cuts: 200,
    },
    RavenDb {
        nodes: 5,
        copies: 1.08,
        copies_under_load: 3.05,
        control_bytes: 3_200.0,
        latency_ms: [89.0, 107.0, 114.0],
        heal_ms: [2650.0, 10887.0, 12223.0],
        cuts: 200,
    },
    RavenDb {
        nodes: 8,
        copies: 1.11,
        copies_under_load: 4.55,
        control_bytes: 14_000.0,
        latency_ms: [94.0, 108.0, 113.0],
        heal_ms: [1854.0, 6618.0, 8071.0],
        cuts: 200,
    },
    RavenDb {
        nodes: 16,
        copies: 1.16,
        copies_under_load: 6.97,
        control_bytes: 115_000.0,
        latency_ms: [99.0, 108.0, 114.0],
        heal_ms: [768.0, 3955.0, 4825.0],
        cuts: 200,
    },
    RavenDb {
        nodes: 32,
        copies: 1.22,
        copies_under_load: 7.31,
        control_bytes: 925_000.0,
        latency_ms: [102.0, 109.0, 114.0],
        heal_ms: [426.0, 2490.0, 2490.0],
        cuts: 50,
    },
    RavenDb {
        nodes: 64,
        copies: 1.35,
        copies_under_load: 7.57,
        control_bytes: 7_400_000.0,
        latency_ms: [103.0, 110.0, 116.0],
        heal_ms: [298.0, 932.0, 932.0],
        cuts: 50,
    },
];
