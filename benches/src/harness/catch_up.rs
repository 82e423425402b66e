//! A fresh node joins and catches up.

use std::path::Path;
use std::time::Instant;

use clap::Args;
use serde_json::json;

use crate::bare_store::{BareStore, fsync_p50_us};
use crate::folder::ScratchFolder;
use crate::report::{Figures, Report, median};
use crate::workload::{KEY_BYTES, Random, Row};
use crate::{Common, Result, replicas};

pub const NAME: &str = "catch-up";
pub const ABOUT: &str = "a fresh node joins and catches up, durable on both sides. Limit: the bare store \
                         inserting the same rows, 1,000 to a commit. Bar (B6): ratio >= 1.0";

/// What can be varied.
#[derive(Args)]
pub struct Parameters {
    #[command(flatten)]
    pub common: Common,
    /// Entries to catch up.
    #[arg(long, default_value_t = 100_000, value_parser = at_least_one)]
    entries: usize,
    /// Bytes of a value.
    #[arg(long, default_value_t = 64)]
    value_bytes: usize,
}

/// What one sample came to.
struct Sample {
    rows_per_s: f64,
    /// From the opening to membership.
    joined_ms: f64,
    frame_bytes: u64,
    rows_received: u64,
    suppliers: usize,
}

pub async fn run(parameters: &Parameters, folder: &ScratchFolder) -> Result<Report> {
    let rows = Random::new(0).rows(parameters.entries, parameters.value_bytes);
    let mut sorted = rows.clone();
    sorted.sort_unstable_by_key(|row| row.key);
    let (mut samples, mut bare, mut bare_sorted) = (Vec::new(), Vec::new(), Vec::new());
    let mut fsyncs_us = Vec::new();
    for number in 1..=parameters.common.samples {
        let place = folder.path().join(format!("sample-{number}"));
        // Whoever goes first changes, so that neither profits from it.
        if number % 2 == 0 {
            bare.push(insert_bare(&place.join("bare"), &rows)?);
            bare_sorted.push(insert_bare(&place.join("bare-sorted"), &sorted)?);
        }
        let sample = catch_up(&place, &rows).await?;
        if number % 2 == 1 {
            bare.push(insert_bare(&place.join("bare"), &rows)?);
            bare_sorted.push(insert_bare(&place.join("bare-sorted"), &sorted)?);
        }
        fsyncs_us.push(fsync_p50_us(&place)?);
        std::fs::remove_dir_all(&place)?;
        let (rate, limit) = (sample.rows_per_s, bare[bare.len() - 1]);
        eprintln!("sample {number}: {rate:.0} rows/s, bare store {limit:.0} rows/s");
        samples.push(sample);
    }
    let figures = Figures {
        unit: "rows/s",
        samples: samples.iter().map(|sample| sample.rows_per_s).collect(),
        limit: median(&bare),
    };
    let described = json!({
        "entries": parameters.entries,
        "key_bytes": KEY_BYTES,
        "value_bytes": parameters.value_bytes,
        "bare_rows_per_commit": BARE_ROWS_PER_COMMIT,
    });
    let joined_ms: Vec<f64> = samples.iter().map(|sample| sample.joined_ms).collect();
    let last = samples.last().expect("there is a sample");
    let payload_bytes: u64 = rows.iter().map(|row| row.payload_bytes(FIELD)).sum();
    let report = Report::new(NAME, described, figures, folder)
        .with("limit_samples", bare)
        .with("bare_in_key_order_rows_per_s", median(&bare_sorted))
        .with("fsync_p50_us", median(&fsyncs_us))
        .with("joined_ms", median(&joined_ms))
        .with("rows", last.rows_received)
        .with("suppliers", last.suppliers)
        .with("payload_bytes", payload_bytes)
        .with("frame_bytes", last.frame_bytes)
        .with("frame_bytes_per_entry", last.frame_bytes as f64 / rows.len() as f64);
    let is_met = report.ratio() >= 1.0;
    Ok(report.judged(folder, "at least the bare store's rate".into(), is_met))
}

/// From the opening of the fresh node to the commit that makes everything visible.
async fn catch_up(place: &Path, rows: &[Row]) -> Result<Sample> {
    let source = replicas::found(&replicas::config(place, "source")).await?;
    replicas::load(&source, rows, &[FIELD.into()]).await?;
    let vv = source.read()?.vv().clone();
    let config = replicas::config(place, "fresh");
    replicas::prepare_join(&config, &source).await?;

    let start = Instant::now();
    let fresh = millpond::Replica::open(config).await?;
    fresh.joined().await?;
    let joined_ms = start.elapsed().as_secs_f64() * 1e3;
    replicas::covers(&fresh, &vv).await?;
    let elapsed = start.elapsed();

    replicas::check_same(&source, &fresh, rows.len() as u64).await?;
    let status = fresh.status().await;
    let links = status.totals.links;
    let sample = Sample {
        rows_per_s: rows.len() as f64 / elapsed.as_secs_f64(),
        joined_ms,
        frame_bytes: links.frame_bytes_sent + links.frame_bytes_received,
        rows_received: links.rows_received,
        suppliers: status.peers.iter().filter(|peer| peer.counters.rows_received > 0).count(),
    };
    fresh.close().await;
    source.close().await;
    Ok(sample)
}

fn insert_bare(folder: &Path, rows: &[Row]) -> Result<f64> {
    let cache_bytes = replicas::config(folder, "bare").cache_bytes;
    let mut store = BareStore::create(folder, cache_bytes)?;
    let start = Instant::now();
    store.insert(rows, BARE_ROWS_PER_COMMIT)?;
    Ok(rows.len() as f64 / start.elapsed().as_secs_f64())
}

fn at_least_one(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least one is needed".into()),
        Ok(count) => Ok(count),
        Err(error) => Err(format!("{error}")),
    }
}

const FIELD: &str = "v";
const BARE_ROWS_PER_COMMIT: usize = 1_000;
