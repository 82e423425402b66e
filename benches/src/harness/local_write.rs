//! Many durable writers on one replica.

use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use millpond::{Replica, WriteError};
use serde_json::json;
use tokio::task::JoinSet;

use crate::bare_store::{BareStore, fsync_p50_us};
use crate::folder::ScratchFolder;
use crate::report::{Figures, Report, median, percentile};
use crate::workload::{KEY_BYTES, Random, Row};
use crate::{Common, Result, replicas};

pub const NAME: &str = "local-write";
pub const ABOUT: &str = "concurrent durable writers, one small put each, beside one writer. Limit: the bare \
                         store committing the same rows, as many to a commit. Bar (B5): 15 times one \
                         writer or 0.7 of the limit, whichever is lower";

/// What can be varied.
#[derive(Args)]
pub struct Parameters {
    #[command(flatten)]
    pub common: Common,
    /// Concurrent writers.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    writers: u32,
    /// How long each side of a sample writes, in all.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Bytes of a value.
    #[arg(long, default_value_t = 64)]
    value_bytes: usize,
}

/// What was written, and how long it took.
#[derive(Default)]
struct Written {
    rows: usize,
    time: Duration,
    latencies_us: Vec<f64>,
}

impl Written {
    fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.time += other.time;
        self.latencies_us.extend(other.latencies_us);
    }

    fn rows_per_s(&self) -> f64 {
        self.rows as f64 / self.time.as_secs_f64()
    }
}

/// One sample: the three sides, the syncs, and how many writes shared a commit.
#[derive(Default)]
struct Sample {
    many: Written,
    one: Written,
    bare: Written,
    fsync_us: f64,
    rows_per_commit: f64,
}

pub async fn run(parameters: &Parameters, folder: &ScratchFolder) -> Result<Report> {
    let mut samples = Vec::new();
    for number in 1..=parameters.common.samples {
        let place = folder.path().join(format!("sample-{number}"));
        let sample = measure(parameters, &place).await?;
        std::fs::remove_dir_all(&place)?;
        eprintln!(
            "sample {number}: {:.0} rows/s, one writer {:.0} rows/s, bare store {:.0} rows/s",
            sample.many.rows_per_s(),
            sample.one.rows_per_s(),
            sample.bare.rows_per_s()
        );
        samples.push(sample);
    }
    let rates = |side: fn(&Sample) -> &Written| -> Vec<f64> {
        samples.iter().map(|sample| side(sample).rows_per_s()).collect()
    };
    let (many, one) = (rates(|sample| &sample.many), rates(|sample| &sample.one));
    let bare = rates(|sample| &sample.bare);
    let fsyncs_us: Vec<f64> = samples.iter().map(|sample| sample.fsync_us).collect();
    let per_commit: Vec<f64> = samples.iter().map(|sample| sample.rows_per_commit).collect();
    let latencies_us: Vec<f64> =
        samples.iter().flat_map(|sample| &sample.many.latencies_us).copied().collect();
    let figures = Figures { unit: "rows/s", samples: many, limit: median(&bare) };
    let described = json!({
        "writers": parameters.writers,
        "seconds": parameters.seconds,
        "key_bytes": KEY_BYTES,
        "value_bytes": parameters.value_bytes,
        "bare_rows_per_commit": parameters.writers,
    });
    let one_median = median(&one);
    let report = Report::new(NAME, described, figures, folder)
        .with("limit_samples", bare)
        .with("one_writer_samples", one)
        .with("one_writer_rows_per_s", one_median)
        .with("fsync_p50_us", median(&fsyncs_us))
        .with("transactions_per_commit", median(&per_commit))
        .with("latency_p50_us", percentile(&latencies_us, 0.5))
        .with("latency_p99_us", percentile(&latencies_us, 0.99));
    let times_one = report.median() / one_median;
    let is_met = times_one >= TIMES_ONE_WRITER || report.ratio() >= SHARE_OF_LIMIT;
    let text = format!("{TIMES_ONE_WRITER} times one writer, or {SHARE_OF_LIMIT} of the limit");
    Ok(report.with("times_one_writer", times_one).judged(folder, text, is_met))
}

/// The three sides by turns, a fraction of a second each.
async fn measure(parameters: &Parameters, place: &Path) -> Result<Sample> {
    let (writers, value_bytes) = (parameters.writers, parameters.value_bytes);
    let config = replicas::config(place, "node");
    let mut bare = BareStore::create(&place.join("bare"), config.cache_bytes)?;
    let node = replicas::found(&config).await?;
    let mut sample = Sample::default();
    let (mut fsyncs_us, mut transactions, mut commits) = (Vec::new(), 0, 0);
    let duration = Duration::try_from_secs_f64(parameters.seconds)?;
    let rounds = duration.div_duration_f64(ROUND).ceil().max(1.0) as u32;
    for round in 0..rounds {
        let random = |writer| Random::new(u64::from(round) << 32 | u64::from(writer));
        sample.one.add(write(&node, vec![random(writers)], duration / rounds, value_bytes).await?);
        fsyncs_us.push(fsync_p50_us(place)?);
        let before = node.status().await.totals;
        let randoms = (0..writers).map(random).collect();
        sample.many.add(write(&node, randoms, duration / rounds, value_bytes).await?);
        let after = node.status().await.totals;
        transactions += after.transactions - before.transactions;
        commits += after.commits - before.commits;
        let random = random(writers + 1);
        sample.bare.add(write_bare(&mut bare, random, parameters, duration / rounds)?);
    }
    node.close().await;
    sample.fsync_us = median(&fsyncs_us);
    sample.rows_per_commit = transactions as f64 / commits.max(1) as f64;
    Ok(sample)
}

/// Writes for a while, each writer one put after the other, each on disk before its next.
async fn write(
    node: &Replica,
    randoms: Vec<Random>,
    duration: Duration,
    value_bytes: usize,
) -> Result<Written> {
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for random in randoms {
        tasks.spawn(write_until(node.clone(), random, start + duration, value_bytes));
    }
    let mut latencies_us = Vec::new();
    while let Some(written) = tasks.join_next().await {
        latencies_us.extend(written??);
    }
    Ok(Written { rows: latencies_us.len(), time: start.elapsed(), latencies_us })
}

/// One writer: the time that each of its writes took.
async fn write_until(
    node: Replica,
    mut random: Random,
    deadline: Instant,
    value_bytes: usize,
) -> std::result::Result<Vec<f64>, WriteError> {
    let mut latencies_us = Vec::new();
    loop {
        let row = random.row(value_bytes);
        let start = Instant::now();
        node.write(move |tx| row.put(tx, FIELD)).await?;
        latencies_us.push(start.elapsed().as_secs_f64() * 1e6);
        if Instant::now() >= deadline {
            return Ok(latencies_us);
        }
    }
}

/// Commits as many rows at a time as there are writers.
fn write_bare(
    store: &mut BareStore,
    mut random: Random,
    parameters: &Parameters,
    duration: Duration,
) -> Result<Written> {
    let mut written = Written::default();
    let start = Instant::now();
    while written.rows == 0 || start.elapsed() < duration {
        let rows: Vec<Row> = random.rows(parameters.writers as usize, parameters.value_bytes);
        store.commit(&rows)?;
        written.rows += rows.len();
    }
    written.time = start.elapsed();
    Ok(written)
}

const FIELD: &str = "v";
const TIMES_ONE_WRITER: f64 = 15.0;
const SHARE_OF_LIMIT: f64 = 0.7;
/// How long a side writes before the next one has its turn: so short that all see the same load.
const ROUND: Duration = Duration::from_millis(250);
