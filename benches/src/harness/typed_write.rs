//! What typed records cost beyond the puts that they come down to.

use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use millpond::records::RecordError;
use millpond::{Record, Replica, WriteError, WriteTx};
use millpond_core::{Path, Payload, PayloadKind};
use serde_json::json;

use crate::folder::ScratchFolder;
use crate::report::{Figures, Report, median};
use crate::workload::{COLLECTION, Random};
use crate::{Common, Result, replicas};

pub const NAME: &str = "typed-write";
pub const ABOUT: &str = "a record of five fields, stored as what it is. Limit: five raw puts of the same bytes in \
                         one transaction. Bar (B5): 1.5 times the limit, on disk and in memory";

/// What can be varied.
#[derive(Args)]
pub struct Parameters {
    #[command(flatten)]
    pub common: Common,
    /// Transactions of each side of a sample.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(10..))]
    transactions: u32,
}

#[derive(Record)]
struct Task {
    #[millpond(key)]
    id: String,
    title: String,
    owner: String,
    points: u32,
    due_ms: u64,
    is_done: bool,
}

/// Microseconds of a transaction, both sides.
#[derive(Debug, Default)]
struct Sides {
    typed: Vec<f64>,
    raw: Vec<f64>,
}

pub async fn run(parameters: &Parameters, folder: &ScratchFolder) -> Result<Report> {
    let disk = replicas::found(&replicas::config(folder.path(), "node")).await?;
    let memory = Replica::builder_in_memory().offline().open().await?;
    let (mut on_disk, mut in_memory) = (Sides::default(), Sides::default());
    let mut random = Random::new(0);
    for number in 1..=parameters.common.samples {
        measure(&disk, &mut random, parameters.transactions, &mut on_disk).await?;
        measure(&memory, &mut random, parameters.transactions, &mut in_memory).await?;
        eprintln!(
            "sample {number}: {:.2} times on disk, {:.2} times in memory",
            times(&on_disk),
            times(&in_memory)
        );
    }
    disk.close().await;
    memory.close().await;
    let described = json!({ "transactions": parameters.transactions, "fields": FIELDS.len() });
    let limit = median(&on_disk.raw);
    let (disk_times, memory_times) = (times(&on_disk), times(&in_memory));
    let figures = Figures { unit: "us", samples: on_disk.typed, limit };
    let report = Report::new(NAME, described, figures, folder)
        .with("limit_samples", on_disk.raw)
        .with("memory_samples", in_memory.typed)
        .with("memory_limit_samples", in_memory.raw)
        .with("times_on_disk", disk_times)
        .with("times_in_memory", memory_times);
    let is_met = disk_times <= TIMES_MAX && memory_times <= TIMES_MAX;
    Ok(report.judged(folder, format!("{TIMES_MAX} times five raw puts, in both"), is_met))
}

fn times(sides: &Sides) -> f64 {
    median(&sides.typed) / median(&sides.raw)
}

/// The two sides by turns, a share of the transactions each: new records, and as often ones that exist.
async fn measure(
    node: &Replica,
    random: &mut Random,
    transactions: u32,
    sides: &mut Sides,
) -> Result<()> {
    let share = transactions.div_ceil(ROUNDS);
    let (mut typed, mut raw) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..ROUNDS {
        let ids: Vec<String> = (0..share.div_ceil(2)).map(|_| id(random)).collect();
        let ids: Vec<String> = ids.iter().chain(&ids).cloned().collect();
        let tasks: Vec<Task> = ids.into_iter().map(|id| task(id, random)).collect();
        let start = Instant::now();
        for task in tasks {
            node.write(move |tx| -> std::result::Result<(), RecordError> { tx.store(&task) })
                .await?;
        }
        typed += start.elapsed();
        let ids: Vec<String> = (0..share.div_ceil(2)).map(|_| id(random)).collect();
        let ids: Vec<String> = ids.iter().chain(&ids).cloned().collect();
        let rows: Vec<[(Path, Bytes); 5]> =
            ids.iter().map(|id| puts(id, random)).collect::<Result<_>>()?;
        let start = Instant::now();
        for row in rows {
            node.write(move |tx| put_all(tx, row)).await?;
        }
        raw += start.elapsed();
    }
    let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(share * ROUNDS);
    sides.typed.push(each(typed));
    sides.raw.push(each(raw));
    Ok(())
}

fn put_all(tx: &mut WriteTx<'_>, row: [(Path, Bytes); 5]) -> std::result::Result<(), WriteError> {
    row.into_iter()
        .try_for_each(|(path, bytes)| tx.put(path, Payload { kind: PayloadKind::LWW, bytes }))
}

fn id(random: &mut Random) -> String {
    format!("{:016x}", random.below(u64::MAX))
}

fn task(id: String, random: &mut Random) -> Task {
    Task {
        id,
        title: format!("{:032x}", random.below(u64::MAX)),
        owner: format!("{:08x}", random.below(1 << 32)),
        points: random.below(100) as u32,
        due_ms: random.below(1 << 40),
        is_done: random.below(2) == 0,
    }
}

/// What the same record comes down to.
fn puts(id: &str, random: &mut Random) -> Result<[(Path, Bytes); 5]> {
    let lengths = [33, 9, 1, 6, 1]; // as postcard has them
    let mut rows = Vec::new();
    for (field, bytes) in FIELDS.iter().zip(lengths) {
        let path = Path::new([COLLECTION, id.as_bytes(), field.as_bytes()])?;
        rows.push((path, random.value(bytes).into()));
    }
    rows.try_into().map_err(|_| "five fields".into())
}

const FIELDS: [&str; 5] = ["due_ms", "is_done", "owner", "points", "title"];
const TIMES_MAX: f64 = 1.5;
/// So many turns in a sample that both sides see the same load.
const ROUNDS: u32 = 10;
