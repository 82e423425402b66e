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
    /// How long each side of a sample writes.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Bytes of a value.
    #[arg(long, default_value_t = 64)]
    value_bytes: usize,
}

/// What a number of writers reached.
struct Written {
    rows_per_s: f64,
    latencies_us: Vec<f64>,
}

pub async fn run(parameters: &Parameters, folder: &ScratchFolder) -> Result<Report> {
    let duration = Duration::try_from_secs_f64(parameters.seconds)?;
    let (mut many, mut one, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    let (mut fsyncs_us, mut commits, mut latencies_us) = (Vec::new(), Vec::new(), Vec::new());
    for number in 1..=parameters.common.samples {
        let place = folder.path().join(format!("sample-{number}"));
        let node = replicas::found(&replicas::config(&place, "node")).await?;
        let written = write(&node, 1, duration, parameters.value_bytes).await?;
        one.push(written.rows_per_s);
        fsyncs_us.push(fsync_p50_us(&place)?);

        let before = node.status().await.totals;
        let written = write(&node, parameters.writers, duration, parameters.value_bytes).await?;
        let after = node.status().await.totals;
        node.close().await;
        many.push(written.rows_per_s);
        latencies_us.extend(written.latencies_us);
        let transactions = (after.transactions - before.transactions) as f64;
        commits.push(transactions / (after.commits - before.commits).max(1) as f64);

        bare.push(write_bare(&place.join("bare"), parameters, duration)?);
        std::fs::remove_dir_all(&place)?;
        let last = |figures: &[f64]| figures[figures.len() - 1];
        eprintln!(
            "sample {number}: {:.0} rows/s, one writer {:.0} rows/s, bare store {:.0} rows/s",
            last(&many),
            last(&one),
            last(&bare)
        );
    }
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
        .with("transactions_per_commit", median(&commits))
        .with("latency_p50_us", percentile(&latencies_us, 0.5))
        .with("latency_p99_us", percentile(&latencies_us, 0.99));
    let times_one = report.median() / one_median;
    let is_met = times_one >= TIMES_ONE_WRITER || report.ratio() >= SHARE_OF_LIMIT;
    let text = format!("{TIMES_ONE_WRITER} times one writer, or {SHARE_OF_LIMIT} of the limit");
    Ok(report.with("times_one_writer", times_one).judged(folder, text, is_met))
}

/// Writes for a while, each writer one put after the other, each on disk before its next.
async fn write(
    node: &Replica,
    writers: u32,
    duration: Duration,
    value_bytes: usize,
) -> Result<Written> {
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for writer in 0..writers {
        let (node, random) = (node.clone(), Random::new(u64::from(writers * 1000 + writer)));
        tasks.spawn(write_until(node, random, start + duration, value_bytes));
    }
    let mut latencies_us = Vec::new();
    while let Some(written) = tasks.join_next().await {
        latencies_us.extend(written??);
    }
    let rows_per_s = latencies_us.len() as f64 / start.elapsed().as_secs_f64();
    Ok(Written { rows_per_s, latencies_us })
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

fn write_bare(folder: &Path, parameters: &Parameters, duration: Duration) -> Result<f64> {
    let cache_bytes = replicas::config(folder, "bare").cache_bytes;
    let mut store = BareStore::create(folder, cache_bytes)?;
    let mut random = Random::new(0);
    let mut written = 0;
    let start = Instant::now();
    while written == 0 || start.elapsed() < duration {
        let rows: Vec<Row> = random.rows(parameters.writers as usize, parameters.value_bytes);
        store.commit(&rows)?;
        written += rows.len();
    }
    Ok(written as f64 / start.elapsed().as_secs_f64())
}

const FIELD: &str = "v";
const TIMES_ONE_WRITER: f64 = 15.0;
const SHARE_OF_LIMIT: f64 = 0.7;
