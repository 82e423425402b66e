//! New nodes, one load, and what their counters say.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use millpond_rig::{Client, Cluster, Host, Node, until, until_within};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Mode, Parameters};
use crate::Result;

/// What one trial came to.
#[derive(Debug, Serialize)]
pub struct Row {
    pub nodes: u64,
    pub mode: Mode,
    pub writers: u64,
    /// Updates that were written and answered.
    pub updates: u64,
    /// Rows that arrived at all nodes, over those that were new where they arrived.
    pub copies_per_update: f64,
    pub rows_received: u64,
    pub rows_new: u64,
    pub rows_duplicate: u64,
    pub rows_forwarded: u64,
    /// While the writers wrote.
    pub updates_per_s: f64,
    /// From the last answer until all nodes had everything.
    pub equal_s: f64,
    /// Over all nodes, sent.
    pub frame_bytes_per_update: f64,
    /// Of those, what is neither key nor value.
    pub overhead_bytes_per_update: f64,
    /// Of those, what says who has what: all kinds of messages but pushes and catch-ups.
    pub control_bytes_per_update: f64,
    /// On the wire, over all nodes, sent.
    pub wire_bytes_per_update: f64,
    /// Catch-ups that nodes pulled.
    pub pulls: u64,
}

/// The counters of all nodes.
#[derive(Debug, Default, Clone, PartialEq)]
struct Counters(BTreeMap<String, u64>);

pub fn run(
    parameters: &Parameters,
    nodes: u64,
    mode: Mode,
    program: &Path,
    folder: &Path,
) -> Result<Row> {
    let hosts = vec![Host::here(); nodes as usize];
    let cluster = Cluster::start(program, &hosts, &mode.settings(), Some(folder))?;
    cluster.until_linked(mode.links_min(nodes) as usize)?;
    let before = settled(&cluster)?;
    let writers = parameters.writers.unwrap_or(nodes).clamp(1, nodes);
    let start = Instant::now();
    let updates = write(parameters, &cluster.nodes()[..writers as usize])?;
    let written = start.elapsed();
    until_level(&cluster)?;
    let equal = start.elapsed() - written;
    let after = settled(&cluster)?;
    check_equal(&cluster)?;
    let moved = |name: &str| after.of(name) - before.of(name);
    let each = |bytes: u64| bytes as f64 / updates as f64;
    Ok(Row {
        nodes,
        mode,
        writers,
        updates,
        copies_per_update: moved("rows_received") as f64 / moved("rows_new").max(1) as f64,
        rows_received: moved("rows_received"),
        rows_new: moved("rows_new"),
        rows_duplicate: moved("rows_duplicate"),
        rows_forwarded: moved("rows_forwarded"),
        updates_per_s: updates as f64 / written.as_secs_f64(),
        equal_s: equal.as_secs_f64(),
        frame_bytes_per_update: each(moved("frame_bytes_sent")),
        overhead_bytes_per_update: each(
            moved("frame_bytes_sent").saturating_sub(moved("payload_bytes_sent")),
        ),
        control_bytes_per_update: each(moved("control")),
        wire_bytes_per_update: each(moved("wire_bytes_sent")),
        pulls: moved("pulls"),
    })
}

/// Writes with all clients at once, and tells how many updates were answered.
fn write(parameters: &Parameters, nodes: &[Node]) -> Result<u64> {
    let clients = nodes.len() as u64 * parameters.clients;
    let rows = parameters.transaction;
    let transactions = parameters.updates.div_ceil(rows * clients);
    let work = |client: Client, number: u64| -> std::io::Result<()> {
        let mut connection = client.connect()?;
        for transaction in 0..transactions {
            let ops: Vec<Value> = (0..rows)
                .map(|row| {
                    let key = format!("{number}-{transaction}-{row}");
                    json!({"op": "put", "collection": "fanout", "key": key, "fields": {"n": row}})
                })
                .collect();
            connection.request("POST", "/api/v1/tx", &json!({"ops": ops}).to_string())?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients)
            .map(|number| {
                let client = nodes[(number % nodes.len() as u64) as usize].client().clone();
                scope.spawn(move || work(client, number))
            })
            .collect();
        for thread in threads {
            thread.join().map_err(|_| "a client panicked")??;
        }
        Ok(clients * transactions * rows)
    })
}

/// Waits until each node covers what any of them does.
fn until_level(cluster: &Cluster) -> Result<()> {
    let mut wanted = Vector::new();
    for node in cluster.nodes() {
        for (incarnation, seq) in vector(node)? {
            let greatest = wanted.entry(incarnation).or_default();
            *greatest = seq.max(*greatest);
        }
    }
    for node in cluster.nodes() {
        until_within(PATIENCE, "the node is level", || {
            let Ok(vector) = vector(node) else { return false };
            wanted.iter().all(|(incarnation, seq)| vector.get(incarnation) >= Some(seq))
        })?;
    }
    Ok(())
}

type Vector = BTreeMap<(String, String), u64>;

/// What a node has applied: by namespace and incarnation.
fn vector(node: &Node) -> Result<Vector> {
    let status = node.status()?;
    let mut vector = Vector::new();
    for namespace in status["namespaces"].as_array().into_iter().flatten() {
        let name = namespace["namespace"].as_str().unwrap_or_default();
        for (incarnation, seq) in namespace["vv"].as_object().into_iter().flatten() {
            let key = (name.to_owned(), incarnation.clone());
            vector.insert(key, seq.as_u64().ok_or("a seq is a number")?);
        }
    }
    Ok(vector)
}

/// The counters, once no row has moved for longer than a hold-down: what is forwarded late counts.
fn settled(cluster: &Cluster) -> Result<Counters> {
    let mut last = (Counters::default(), Instant::now());
    until("the counters stand still", || {
        let Ok(counters) = Counters::read(cluster) else { return false };
        if counters.rows() != last.0.rows() {
            last = (counters, Instant::now());
            return false;
        }
        last.0 = counters;
        last.1.elapsed() > STILL
    })?;
    Ok(last.0)
}

fn check_equal(cluster: &Cluster) -> Result<()> {
    let digests = cluster.nodes().iter().map(Node::digest).collect::<std::io::Result<Vec<_>>>()?;
    if digests.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(format!("the nodes differ: {digests:?}").into());
    }
    Ok(())
}

impl Counters {
    fn read(cluster: &Cluster) -> Result<Self> {
        let mut sums = Self::default();
        for node in cluster.nodes() {
            let status = node.status()?;
            let links = status["totals"]["links"].as_object().ok_or("a status has totals")?;
            for (name, value) in links {
                match value {
                    Value::Object(kinds) => {
                        for value in kinds.values() {
                            sums.add("control", value);
                        }
                    }
                    value => sums.add(name, value),
                }
            }
        }
        Ok(sums)
    }

    fn add(&mut self, name: &str, value: &Value) {
        *self.0.entry(name.to_owned()).or_default() += value.as_u64().unwrap_or(0);
    }

    fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    fn rows(&self) -> [u64; 2] {
        [self.of("rows_received"), self.of("rows_sent")]
    }
}

/// Longer than the hold-down of a second.
const STILL: Duration = Duration::from_millis(1500);
/// How long nodes may take until they are level.
const PATIENCE: Duration = Duration::from_secs(600);
