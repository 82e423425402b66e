//! Two nodes that could not hear each other, and have both forgotten what they deleted.

use std::time::{Duration, Instant};

use clap::Args;
use millpond::Replica;
use millpond::status::Status;
use millpond_core::{Path, VersionVector};
use serde_json::json;

use crate::folder::ScratchFolder;
use crate::machine::Memory;
use crate::report::{Figures, Report};
use crate::workload::{COLLECTION, KEY_BYTES, Random, Row};
use crate::{Common, Result, replicas};

pub const NAME: &str = "refresh";
pub const ABOUT: &str = "two nodes write and delete while they cannot hear each other, until each has forgotten \
                         its deletes, and meet again. Limit: 14 kB + 900 bytes for each difference. Bar: ratio \
                         <= 1.0, at most 6 round trips, memory grows by at most 64 MiB, nothing is lost";

/// What can be varied.
#[derive(Args)]
pub struct Parameters {
    #[command(flatten)]
    pub common: Common,
    /// Entries that both hold before.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    entries: u32,
    /// Paths that differ, once each: a half on each side, of which one is a delete. One is an absence.
    #[arg(long, default_value = "10,1000", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(4..))]
    differences: Vec<u32>,
    /// Bytes of a value.
    #[arg(long, default_value_t = 64)]
    value_bytes: usize,
    /// For how long a silent node is waited for, in seconds.
    #[arg(long, default_value_t = 3)]
    window_s: u64,
}

/// What one meeting came to.
struct Meeting {
    differences: u32,
    ms: f64,
    /// Both directions.
    frame_bytes: u64,
    rows: u64,
    round_trips: u64,
    /// Of both nodes together.
    memory_growth: u64,
}

impl Meeting {
    fn limit(&self) -> f64 {
        14_000.0 + 900.0 * f64::from(self.differences)
    }

    fn ratio(&self) -> f64 {
        self.frame_bytes as f64 / self.limit()
    }
}

struct Pair {
    nodes: [Replica; 2],
    records: Vec<Row>,
    rows: u64,
    next: usize,
    random: Random,
}

pub async fn run(parameters: &Parameters, folder: &ScratchFolder) -> Result<Report> {
    let mut pair = Pair::start(parameters, folder).await?;
    let mut meetings = Vec::new();
    for _ in 0..parameters.common.samples {
        for &differences in &parameters.differences {
            let meeting = pair.meet(differences, parameters).await?;
            eprintln!(
                "{differences} differences: {} frame bytes, limit {:.0}, {} round trips, {:.0} ms, memory +{:.1} MiB",
                meeting.frame_bytes,
                meeting.limit(),
                meeting.round_trips,
                meeting.ms,
                meeting.memory_growth as f64 / MIB
            );
            meetings.push(meeting);
        }
    }
    let equal = pair.meet_equal().await?;
    eprintln!("equal: {equal} frame bytes");
    for node in &pair.nodes {
        node.close().await;
    }
    let samples = meetings.iter().map(Meeting::ratio).collect();
    let figures = Figures { unit: "share of the limit", samples, limit: 1.0 };
    let described = json!({
        "entries": parameters.entries,
        "differences": parameters.differences,
        "key_bytes": KEY_BYTES,
        "value_bytes": parameters.value_bytes,
        "window_s": parameters.window_s,
        "limit": "14000 + 900 * differences bytes",
    });
    let of = |figure: fn(&Meeting) -> f64| meetings.iter().map(figure).collect::<Vec<f64>>();
    let is_met = meetings.iter().all(|it| {
        it.ratio() <= 1.0 && it.round_trips <= 6 && it.memory_growth as f64 <= MEMORY_MIB_MAX * MIB
    });
    let report = Report::new(NAME, described, figures, folder)
        .with("frame_bytes", of(|it| it.frame_bytes as f64))
        .with("limits", of(Meeting::limit))
        .with("rows", of(|it| it.rows as f64))
        .with("round_trips", of(|it| it.round_trips as f64))
        .with("ms", of(|it| it.ms))
        .with("memory_growth_mib", of(|it| it.memory_growth as f64 / MIB))
        .with("equal_frame_bytes", equal);
    let text = "at most the limit in bytes, 6 round trips, and 64 MiB more memory of both together";
    Ok(report.judged(folder, text.into(), is_met && equal <= EQUAL_BYTES_MAX))
}

impl Pair {
    /// Two nodes that hold the same.
    async fn start(parameters: &Parameters, folder: &ScratchFolder) -> Result<Self> {
        let mut random = Random::new(0);
        let records = random.rows(parameters.entries as usize, parameters.value_bytes);
        let config = |name| {
            let mut config = replicas::config(folder.path(), name);
            config.offline_window = Duration::from_secs(parameters.window_s);
            config.verify_every = None;
            config
        };
        let first = replicas::found(&config("first")).await?;
        replicas::load(&first, &records, &[FIELD.into()]).await?;
        let second = config("second");
        replicas::prepare_join(&second, &first).await?;
        let second = Replica::open(second).await?;
        second.joined().await?;
        let nodes = [first, second];
        let rows = records.len() as u64;
        let pair = Self { nodes, records, rows, next: 0, random };
        pair.level().await?;
        Ok(pair)
    }

    /// Parts the two until both have forgotten their deletes, and brings them together.
    async fn meet(&mut self, differences: u32, parameters: &Parameters) -> Result<Meeting> {
        for node in &self.nodes {
            node.pause(None).await;
        }
        let mut kept = Vec::new();
        for number in 0..differences {
            let side = (number % 2) as usize;
            let record = self.next % self.records.len();
            // Spread over all keys, and no key twice.
            self.next += STRIDE;
            if number < 2 && self.rows > 2 {
                let path = path(&self.records[record])?;
                self.nodes[side].write(move |tx| tx.delete(&path).map(drop)).await?;
                self.rows -= 1;
                continue;
            }
            self.records[record].value = self.random.value(parameters.value_bytes);
            let row = self.records[record].clone();
            kept.push(row.clone());
            self.nodes[side].write(move |tx| row.put(tx, FIELD)).await?;
        }
        for node in &self.nodes {
            until(node, |status| status.node.tombstones.count == 0).await?;
        }
        let before = self.told().await;
        let memory = Memory::measure();
        let start = Instant::now();
        for node in &self.nodes {
            node.resume(None).await;
        }
        self.level().await?;
        let ms = start.elapsed().as_secs_f64() * 1e3;
        let memory_growth = memory.growth();
        // What would come besides comes by then.
        tokio::time::sleep(SETTLE).await;
        let after = self.told().await;
        for row in &kept {
            for node in &self.nodes {
                let entry = node.read()?.entry(&path(row)?)?;
                if entry.live().iter().all(|live| live.payload.bytes != row.value) {
                    return Err("a write that was not synced is gone".into());
                }
            }
        }
        replicas::check_same(&self.nodes[0], &self.nodes[1], self.rows).await?;
        let [bytes, rows, turns] = [0, 1, 2].map(|at| after[at] - before[at]);
        if turns == 0 {
            return Err("the two met without a refresh".into());
        }
        // To ask for the comparison, to talk, and to ask for what differs.
        let round_trips = 1 + turns.div_ceil(2) + 1;
        Ok(Meeting { differences, ms, frame_bytes: bytes, rows, round_trips, memory_growth })
    }

    /// Refreshes though nothing differs.
    async fn meet_equal(&self) -> Result<u64> {
        let before = self.told().await;
        let peer = self.nodes[1].key();
        self.nodes[0].refresh(peer, false).await?;
        Ok(self.told().await[0] - before[0])
    }

    /// Frame bytes and rows that the two have sent each other, and turns of comparisons.
    async fn told(&self) -> [u64; 3] {
        let mut told = [0; 3];
        for node in &self.nodes {
            let links = node.status().await.totals.links;
            told[0] += links.frame_bytes_sent;
            told[1] += links.rows_sent;
            told[2] += links.compare_turns;
        }
        told
    }

    /// Waits until both cover what the other has, and feed each other.
    async fn level(&self) -> Result<()> {
        let [first, second] = &self.nodes;
        let vv: [VersionVector; 2] = [first.read()?.vv().clone(), second.read()?.vv().clone()];
        replicas::covers(first, &vv[1]).await?;
        replicas::covers(second, &vv[0]).await?;
        for node in &self.nodes {
            replicas::linked(node, 1).await?;
        }
        Ok(())
    }
}

/// Waits until the status of a node is as wanted.
async fn until(node: &Replica, is_wanted: impl Fn(&Status) -> bool) -> Result<()> {
    let start = Instant::now();
    while !is_wanted(&node.status().await) {
        if start.elapsed() > PATIENCE {
            return Err("deletes are not forgotten".into());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

fn path(row: &Row) -> Result<Path> {
    Ok(Path::new([COLLECTION, &row.key, FIELD.as_bytes()])?)
}

const FIELD: &str = "v";
const MIB: f64 = (1 << 20) as f64;
const MEMORY_MIB_MAX: f64 = 64.0;
/// Hellos, vectors and credit besides the one fingerprint of each side.
const EQUAL_BYTES_MAX: u64 = 2_048;
/// Prime, so that it meets each key once.
const STRIDE: usize = 7_919;
/// Deletes stay for a minute for readers of changes.
const PATIENCE: Duration = Duration::from_secs(180);
/// Longer than acks and digests wait.
const SETTLE: Duration = Duration::from_millis(1500);
