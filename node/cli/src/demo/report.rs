//! What came of the demo: as JSON, and as a story.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount};
use millpond::status::{LinkCounters, Status};
use serde::{Deserialize, Serialize};

use super::cluster::Cluster;
use super::load::{Load, VISITED_BY};
use super::screen::writes_here;

/// A node's digest, as `/api/v1/digest` answers it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Seal {
    digest: String,
    records: u64,
    rows: u64,
    conflicts: u64,
    vv: BTreeMap<String, u64>,
}

/// The figures.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Processes.
    nodes: usize,
    /// Records on each node.
    records: u64,
    /// Fields with a value, on each node.
    rows: u64,
    /// Writes of the data: dots issued by all nodes.
    updates: u64,
    /// Fields with several values.
    conflicts: u64,
    /// Whether all nodes hold the same.
    converged: bool,
    /// Each node's digest.
    digests: Vec<String>,
    /// From the first write until convergence was proven.
    elapsed_s: f64,
    /// Rows written or received, over all nodes, for each second.
    rows_per_s: u64,
    /// Rows received for each row that was new to its receiver.
    copies_per_update: f64,
    /// Keys, field names and values in the rows sent.
    payload_bytes: u64,
    /// Frames handed to links.
    frame_bytes: u64,
    /// On the wire.
    udp_bytes: u64,
    #[serde(skip)]
    received: u64,
}

impl Report {
    /// What happened between two moments at which all nodes were asked.
    pub(super) fn of(
        before: &[Status],
        after: &[Status],
        seals: Vec<Seal>,
        elapsed: Duration,
    ) -> Self {
        let moved = |count: fn(&LinkCounters) -> u64| {
            let sum = |statuses: &[Status]| -> u64 {
                statuses.iter().map(|status| count(&status.totals.links)).sum()
            };
            sum(after) - sum(before)
        };
        let seal = &seals[0];
        let updates = writes_here(&after[0]);
        let (received, new) = (moved(|it| it.rows_received), moved(|it| it.rows_new));
        let elapsed_s = elapsed.as_secs_f64();
        Self {
            nodes: seals.len(),
            records: seal.records,
            rows: seal.rows,
            updates,
            conflicts: seal.conflicts,
            converged: seals.iter().all(|other| other == seal),
            elapsed_s: (elapsed_s * 1000.0).round() / 1000.0,
            rows_per_s: ((updates + new) as f64 / elapsed_s) as u64,
            copies_per_update: (received as f64 / new.max(1) as f64 * 1e4).round() / 1e4,
            payload_bytes: moved(|it| it.payload_bytes_sent),
            frame_bytes: moved(|it| it.frame_bytes_sent),
            udp_bytes: moved(|it| it.wire_bytes_sent),
            digests: seals.into_iter().map(|seal| seal.digest).collect(),
            received,
        }
    }

    pub(super) fn converged(&self) -> bool {
        self.converged
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).expect("counts and texts have a JSON form")
    }

    /// What happened, for people.
    pub(super) fn story(&self, cluster: &Cluster, load: &Load) -> String {
        let mut out = String::new();
        let verdict = match self.converged {
            true => "All {n} nodes hold the same, to the byte",
            false => "The {n} nodes do NOT hold the same",
        };
        let (nodes, seconds) = (self.nodes, self.elapsed_s);
        let _ = writeln!(
            out,
            "\n{}, {seconds:.1} s after the first write.\n",
            verdict.replace("{n}", &nodes.to_string())
        );
        for (node, digest) in cluster.nodes.iter().zip(&self.digests) {
            let _ = writeln!(out, "  {}  digest {}...", node.name, &digest[..DIGEST_DIGITS]);
        }
        let contested = HumanCount(load.contested() as u64);
        let lines = [
            ("records", HumanCount(self.records).to_string(), "on every node".to_owned()),
            ("fields", HumanCount(self.rows).to_string(), "each a register of its own".into()),
            ("writes", HumanCount(self.updates).to_string(), "by all nodes together".into()),
            (
                "conflicts",
                HumanCount(self.conflicts).to_string(),
                format!(
                    "fields of the {contested} records that all {nodes} nodes wrote while cut apart; every \
                     node\n                            shows the same one of the values, the latest, and keeps the others"
                ),
            ),
            (
                "speed",
                format!("{}/s", HumanCount(self.rows_per_s)),
                "rows stored, over all nodes".into(),
            ),
            (
                "copies",
                format!("{:.4}", self.copies_per_update),
                format!(
                    "per write and receiver, of {} rows received; 1 is the least possible",
                    HumanCount(self.received)
                ),
            ),
            (
                "traffic",
                HumanBytes(self.frame_bytes).to_string(),
                format!(
                    "for {} of keys and values; {} as UDP",
                    HumanBytes(self.payload_bytes),
                    HumanBytes(self.udp_bytes)
                ),
            ),
        ];
        out.push('\n');
        for (name, figure, note) in lines {
            let _ = writeln!(out, "  {name:<10} {figure:>12}   {note}");
        }
        out
    }
}

/// What to try while the nodes are up.
pub(super) fn commands(cluster: &Cluster, load: &Load) -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| "millpond".into());
    let program = quoted(&program);
    let at = |index: usize| format!("--dir {}", quoted(&cluster.nodes[index].dir));
    let record = format!("{}/{}", load.collection, load.example);
    let record = quoted(Path::new(&record));
    let lines = [
        ("How is it? Who lacks what?", format!("status {}", at(0))),
        (
            "A record that all nodes wrote while cut apart: one value shows, none is lost",
            format!("get {record} {}", at(1)),
        ),
        (
            "Write on one node, read on another; the conflict is settled by that",
            format!("put {record} '{{\"{VISITED_BY}\":\"me\"}}' --merge {}", at(0)),
        ),
        ("", format!("get {record} {}", at(1))),
        ("Cut a node off, write on both sides, heal", format!("peers pause {}", at(1))),
        ("", format!("peers resume {}", at(1))),
        ("Follow what changes", format!("watch {}", at(1))),
        ("Compare digests", format!("digest {}", at(0))),
        ("", format!("digest {}", at(1))),
    ];
    let mut out = "\nThe nodes stay up. In another terminal:\n".to_owned();
    for (about, command) in lines {
        if !about.is_empty() {
            let _ = writeln!(out, "\n  # {about}");
        }
        let _ = writeln!(out, "  {program} {command}");
    }
    let _ = writeln!(out, "\nCtrl-C ends them.");
    out
}

/// A path as a shell reads it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@,".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// Enough of a digest to compare by eye.
const DIGEST_DIGITS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_spaces_and_quotes_is_quoted() {
        assert_eq!(quoted(Path::new("/tmp/a-1.b")), "/tmp/a-1.b");
        assert_eq!(quoted(Path::new("/tmp/it's me")), r"'/tmp/it'\''s me'");
    }
}
