//! What is demanded, and whether it is met.

use super::cell::Distances;
use super::disturbance::Disturbance;
use super::heals::{HealRow, SplitRow};
use super::reference;
use super::report::{Figures, Judged};
use super::row::Row;

/// Judges every bar that these figures say something about. All but those of the baselines are about this
/// engine as it is meant to be used: its nodes announce what came by replication.
pub fn judge(figures: &Figures) -> Vec<Judged> {
    let rows: Vec<&Row> = figures.rows.iter().filter(|row| row.is_judged).collect();
    let mut judged = copies(&rows);
    judged
        .extend(rows.iter().filter(|row| row.is_calm() && row.nodes == 64).map(|row| latency(row)));
    judged.extend(figures.heals.iter().filter(|row| row.is_judged).map(heal));
    judged.extend(figures.splits.iter().filter(|row| row.is_judged).map(split));
    judged.extend(rows.iter().filter(|row| row.is_calm() && row.nodes == 64).map(|row| bytes(row)));
    judged
        .extend(rows.iter().filter(|row| row.is_calm() && row.rate == 200).map(|row| slowest(row)));
    judged.extend(rows.iter().filter_map(|row| regions(row, &rows)));
    judged.extend(reference::judge(figures));
    judged.extend(rows.iter().filter_map(|row| thousand(row, &rows)));
    judged
}

/// The most copies of any size and rate, for each disturbance.
fn copies(rows: &[&Row]) -> Vec<Judged> {
    let bars =
        [(Disturbance::None, 1.02), (Disturbance::Late, 1.05), (Disturbance::HeldBack, 1.10)];
    let of = |(disturbance, most): (Disturbance, f64)| {
        let is_asked = |row: &&&Row| {
            row.distances == Distances::Random && row.disturbance == disturbance && row.nodes <= 64
        };
        let rows = rows.iter().filter(is_asked);
        let worst = rows.max_by(|a, b| a.copies_per_update.total_cmp(&b.copies_per_update))?;
        Some(Judged {
            bar: "B1",
            text: format!("copies <= {most}, disturbance {}", disturbance.name()),
            figure: format!("{:.3} at most, {}", worst.copies_per_update, called(worst)),
            is_met: Some(worst.copies_per_update <= most),
        })
    };
    bars.into_iter().filter_map(of).collect()
}

fn latency(row: &Row) -> Judged {
    let (p50, p99) = (row.p50_ms / row.shortest_p50_ms, row.p99_ms / row.shortest_p99_ms);
    let is_ahead = row.p50_ms < row.star_p50_ms && row.p99_ms < row.star_p99_ms;
    Judged {
        bar: "B2",
        text: "p50 <= 1.25x, p99 <= 1.4x of the shortest ways, ahead of a star".into(),
        figure: format!(
            "{p50:.2}x, {p99:.2}x, {} a star, {}",
            if is_ahead { "ahead of" } else { "not ahead of" },
            called(row)
        ),
        is_met: Some(p50 <= 1.25 && p99 <= 1.4 && is_ahead),
    }
}

fn heal(row: &HealRow) -> Judged {
    let share = if row.nodes < 5 { 0.93 } else { 0.99 };
    let is_well = row.within_bound >= share && row.spread.max_ms <= 1_000 && row.starved == 0;
    Judged {
        bar: "B3",
        text: format!(
            "of 1,000 silent cuts {:.0}% within 2 round trips and 50 ms, none above 1 s",
            100.0 * share
        ),
        figure: format!(
            "{:.1}%, {} ms at most, {} starved, {} cuts, {} {}",
            100.0 * row.within_bound,
            row.spread.max_ms,
            row.starved,
            row.trials,
            row.nodes,
            row.mode,
        ),
        is_met: (!is_well || row.trials >= 1_000).then_some(is_well),
    }
}

/// Nothing limits how much a simulated link carries, so the transfer itself takes no time.
fn split(row: &SplitRow) -> Judged {
    Judged {
        bar: "B3",
        text: format!("equal within 3 round trips after a split of {} ms", row.split_ms),
        figure: format!(
            "{:.1} round trips, {} ms at most, {} splits, {} {}",
            row.worst_round_trips, row.spread.max_ms, row.trials, row.nodes, row.mode
        ),
        is_met: Some(row.worst_round_trips <= 3.0),
    }
}

fn bytes(row: &Row) -> Judged {
    // More updates share an announcement when more of them come.
    let most = if row.rate >= 200 { 12_000.0 } else { 30_000.0 };
    let acks = row.acks_bytes_per_s_per_node.unwrap_or(0.0);
    Judged {
        bar: "B4",
        text: format!("control <= {most:.0} B/update, acks <= 2000 and idle <= 1000 B/s a node"),
        figure: format!(
            "{:.0} B, {acks:.0} B/s, {:.0} B/s, {}",
            row.control_bytes_per_update,
            row.idle_bytes_per_s_per_node,
            called(row)
        ),
        is_met: Some(
            row.control_bytes_per_update <= most
                && acks <= 2_000.0
                && row.idle_bytes_per_s_per_node <= 1_000.0,
        ),
    }
}

fn slowest(row: &Row) -> Judged {
    Judged {
        bar: "B5",
        text: "the slowest update <= its shortest way + 2 round trips + 50 ms".into(),
        figure: format!(
            "{:+.0} ms beyond 2 round trips at worst, {}",
            row.worst_beyond_two_round_trips_ms,
            called(row)
        ),
        is_met: Some(row.worst_beyond_two_round_trips_ms <= 50.0),
    }
}

/// The run with costs beside the one without.
fn regions(row: &Row, rows: &[&Row]) -> Option<Judged> {
    let copies = row.inter_region_copies_per_update?;
    let is_without = |other: &&&Row| {
        other.distances == Distances::Regions
            && (&other.mode, other.nodes, other.rate) == (&row.mode, row.nodes, row.rate)
    };
    let without = rows.iter().find(is_without)?;
    if row.distances != Distances::RegionsWithCosts {
        return None;
    }
    let slower = row.p99_ms / without.p99_ms;
    Some(Judged {
        bar: "B6",
        text: "regions with costs: <= 8 copies between them, p99 <= 1.5x of without costs".into(),
        figure: format!(
            "{copies:.1} copies ({:.1} without), {slower:.2}x, {}",
            without.inter_region_copies_per_update.unwrap_or(0.0),
            called(row)
        ),
        is_met: Some(copies <= 8.0 && slower <= 1.5),
    })
}

/// The big mesh beside the one of 64 nodes, whatever the modes: what a node spends must stay bounded.
fn thousand(row: &Row, rows: &[&Row]) -> Option<Judged> {
    let is_small = |other: &&&Row| other.nodes == 64 && other.rate == row.rate && other.is_calm();
    let small = rows.iter().find(is_small)?;
    if row.nodes < 1_000 {
        return None;
    }
    let per_node = |row: &Row| row.control_bytes_per_update / row.nodes as f64;
    let times = per_node(row) / per_node(small);
    Some(Judged {
        bar: "B10",
        text: "copies <= 1.05, control bytes a node <= 2x of 64 nodes".into(),
        figure: format!(
            "{:.3}, {:.0} B for an update at a node ({times:.2}x), {}",
            row.copies_per_update,
            per_node(row),
            called(row)
        ),
        is_met: Some(row.copies_per_update <= 1.05 && times <= 2.0),
    })
}

fn called(row: &Row) -> String {
    format!("{} {} at {}/s", row.nodes, row.mode, row.rate)
}
