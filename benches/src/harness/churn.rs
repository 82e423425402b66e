//! Scenario `churn`: real replicas of which each inserts and deletes the same keys again and again, with real
//! collection of tombstones: what stays on the disk, and in memory.

use std::path::Path as FilePath;
use std::time::{Duration, Instant};

use clap::Args;
use millpond::Replica;
use millpond_core::{Path, VersionVector};
use serde::Serialize;
use serde_json::json;
use tokio::task::JoinSet;

use crate::folder::ScratchFolder;
use crate::report::{Figures, Report};
use crate::workload::{COLLECTION, KEY_BYTES, Random, Row};
use crate::{Common, Result, replicas};

pub const NAME: &str = "churn";
pub const ABOUT: &str = "replicas insert and delete the same keys again and again. Limit: 3 times the live \
                         data + 64 MiB. Bar (B8): no replica's disk is above it, and disk and memory are flat \
                         over the last half";

/// What can be varied.
#[derive(Args)]
pub struct Parameters {
    #[command(flatten)]
    pub common: Common,
    /// Inserts and deletes, over all replicas.
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(100..))]
    operations: u64,
    /// Keys, of which about half are there at any time.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(10..))]
    keys: u64,
    /// Operations of a transaction.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    batch: u64,
    /// Replicas, each of which writes its share.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=8))]
    replicas: u64,
    /// Bytes of a value.
    #[arg(long, default_value_t = 64)]
    value_bytes: usize,
}

/// How it was at one moment.
#[derive(Debug, Clone, Copy, Serialize)]
struct Moment {
    s: f64,
    operations: u64,
    /// Of the replica with most of it.
    disk_bytes: u64,
    /// Of this process, with all replicas.
    memory_bytes: u64,
    /// Of the replica with most of them.
    tombstones: u64,
}

pub async fn run(parameters: &Parameters, folder: &ScratchFolder) -> Result<Report> {
    let mut nodes = Vec::new();
    for number in 0..parameters.replicas {
        let mut config = replicas::config(folder.path(), &format!("node-{number}"));
        // A comparison holds on to its snapshot, and the file grows meanwhile: that is to happen in every part of a run.
        config.verify_every = Some(VERIFY_EVERY);
        match nodes.first() {
            None => nodes.push(replicas::found(&config).await?),
            Some(first) => {
                replicas::prepare_join(&config, first).await?;
                let node = Replica::open(config).await?;
                node.joined().await?;
                nodes.push(node);
            }
        }
    }
    for node in &nodes {
        replicas::linked(node, nodes.len() - 1).await?;
    }
    let start = Instant::now();
    let mut writers = JoinSet::new();
    for (number, node) in nodes.iter().enumerate() {
        writers.spawn(write(node.clone(), Churn::new(parameters, number as u64)));
    }
    let mut moments = Vec::new();
    let mut live = 0;
    let mut every = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            _ = every.tick() => {
                let moment = look(folder.path(), &nodes, start).await?;
                let Moment { s, operations, disk_bytes, memory_bytes, tombstones } = moment;
                let [disk, memory] = [disk_bytes, memory_bytes].map(|bytes| bytes >> 20);
                eprintln!(
                    "{s:7.0} s: {operations} operations, disk {disk} MiB, memory {memory} MiB, \
                     {tombstones} tombstones"
                );
                moments.push(moment);
            }
            written = writers.join_next() => match written {
                Some(written) => live += written??,
                None => break,
            },
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    moments.push(look(folder.path(), &nodes, start).await?);
    level(&nodes).await?;
    for other in &nodes[1..] {
        replicas::check_same(&nodes[0], other, nodes[0].seal().await?.rows).await?;
    }
    let records = nodes[0].seal().await?.rows;
    if records != live {
        return Err(format!("{records} keys are there, and {live} should be").into());
    }
    for node in &nodes {
        node.close().await;
    }
    Ok(report(parameters, folder, moments, live, seconds))
}

fn report(
    parameters: &Parameters,
    folder: &ScratchFolder,
    moments: Vec<Moment>,
    live: u64,
    seconds: f64,
) -> Report {
    let row_bytes = (COLLECTION.len() + KEY_BYTES + FIELD.len() + parameters.value_bytes) as u64;
    let (live_bytes, operations) = (live * row_bytes, parameters.operations);
    let most = |of: fn(&Moment) -> u64, from: u64, to: u64| {
        let within = moments
            .iter()
            .filter(|it| (operations * from / 4..=operations * to / 4).contains(&it.operations));
        within.map(of).max().unwrap_or(0)
    };
    let disk: fn(&Moment) -> u64 = |it| it.disk_bytes;
    let memory: fn(&Moment) -> u64 = |it| it.memory_bytes;
    let limit = 3 * live_bytes + DISK_BYTES_FREE;
    let disk_max = most(disk, 0, 4);
    // The last quarter beside the one before.
    let growth = |of| most(of, 3, 4) as f64 / most(of, 2, 3).max(1) as f64;
    let (disk_growth, memory_growth) = (growth(disk), growth(memory));
    let described = json!({
        "operations": operations, "keys": parameters.keys, "batch": parameters.batch,
        "replicas": parameters.replicas, "key_bytes": KEY_BYTES,
        "value_bytes": parameters.value_bytes, "limit": "3 * live data + 64 MiB",
    });
    let figures =
        Figures { unit: "bytes on disk", samples: vec![disk_max as f64], limit: limit as f64 };
    let is_met = disk_max <= limit && disk_growth <= FLAT && memory_growth <= FLAT;
    let text =
        format!("disk <= limit; the last quarter's disk and memory <= {FLAT} of the third's");
    Report::new(NAME, described, figures, folder)
        .with("live_bytes", live_bytes)
        .with("operations_per_s", operations as f64 / seconds)
        .with("disk_growth", disk_growth)
        .with("memory_growth", memory_growth)
        .with("memory_bytes_max", most(memory, 0, 4))
        .with("tombstones_max", most(|it| it.tombstones, 0, 4))
        .with("moments", serde_json::to_value(&moments).expect("plain figures are JSON"))
        .judged(folder, text, is_met)
}

/// One replica's share: the keys that it alone writes.
struct Churn {
    keys: Vec<Key>,
    random: Random,
    operations: u64,
    batch: u64,
    value_bytes: usize,
}

#[derive(Clone, Copy)]
struct Key {
    bytes: [u8; KEY_BYTES],
    is_here: bool,
}

impl Churn {
    fn new(parameters: &Parameters, number: u64) -> Self {
        let mut random = Random::new(number);
        // What is left of the division goes to the first ones.
        let share =
            |all: u64| all / parameters.replicas + u64::from(number < all % parameters.replicas);
        let keys = random.rows(share(parameters.keys) as usize, 0);
        let keys = keys.iter().map(|row| Key { bytes: row.key, is_here: false }).collect();
        Self {
            keys,
            random,
            operations: share(parameters.operations),
            batch: parameters.batch,
            value_bytes: parameters.value_bytes,
        }
    }

    /// Inserts what is not there, and deletes what is. No key comes twice.
    fn next(&mut self) -> Vec<(Row, bool)> {
        let count = self.batch.min(self.operations).min(self.keys.len() as u64);
        self.operations -= count;
        let first = self.random.below(self.keys.len() as u64) as usize;
        let mut number = first;
        (0..count)
            .map(|_| {
                number = (number + 1) % self.keys.len();
                let key = &mut self.keys[number];
                key.is_here = !key.is_here;
                let value = self.random.value(self.value_bytes);
                (Row { key: key.bytes, value }, key.is_here)
            })
            .collect()
    }
}

/// Writes a replica's share, and tells how many keys are there in the end.
async fn write(node: Replica, mut churn: Churn) -> Result<u64> {
    while churn.operations > 0 {
        let changes = churn.next();
        node.write(move |tx| {
            changes.iter().try_for_each(|(row, is_here)| match is_here {
                true => row.put(tx, FIELD),
                false => tx.delete(&Path::new([COLLECTION, &row.key, FIELD.as_bytes()])?).map(drop),
            })
        })
        .await?;
    }
    Ok(churn.keys.iter().filter(|key| key.is_here).count() as u64)
}

async fn look(folder: &FilePath, nodes: &[Replica], start: Instant) -> Result<Moment> {
    let mut moment = Moment {
        s: start.elapsed().as_secs_f64(),
        operations: 0,
        disk_bytes: 0,
        memory_bytes: resident_bytes()?,
        tombstones: 0,
    };
    for (number, node) in nodes.iter().enumerate() {
        let status = node.status().await;
        moment.operations += status.totals.dots_issued;
        moment.tombstones = moment.tombstones.max(status.node.tombstones.count);
        let bytes = bytes_of(&folder.join(format!("node-{number}")))?;
        moment.disk_bytes = moment.disk_bytes.max(bytes);
    }
    Ok(moment)
}

/// What the files in a folder occupy.
fn bytes_of(folder: &FilePath) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for file in std::fs::read_dir(folder)? {
        bytes += file?.metadata()?.blocks() * 512;
    }
    Ok(bytes)
}

fn resident_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).ok_or("there is no VmRSS")?;
    Ok(kib.parse::<u64>()? * 1024)
}

/// Waits until each covers what any of them does.
async fn level(nodes: &[Replica]) -> Result<()> {
    let mut all = VersionVector::new();
    for node in nodes {
        all.join(node.read()?.vv());
    }
    for node in nodes {
        replicas::covers(node, &all).await?;
    }
    Ok(())
}

const FIELD: &str = "v";
const DISK_BYTES_FREE: u64 = 64 << 20;
/// What still counts as flat: what is there moves with what the machine does meanwhile.
const FLAT: f64 = 1.1;
/// More often than by default.
const VERIFY_EVERY: Duration = Duration::from_secs(60);
/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);
