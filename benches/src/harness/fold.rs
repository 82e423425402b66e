//! A large catch-up arrives at a node that people write to.

use std::path::Path as FilePath;
use std::time::{Duration, Instant};

use clap::Args;
use millpond::Replica;
use millpond_core::{Path, VersionVector};
use serde_json::json;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use crate::folder::ScratchFolder;
use crate::report::{Figures, Report, median, percentile};
use crate::workload::{COLLECTION, KEY_BYTES, Random, Row};
use crate::{Common, Result, replicas};

pub const NAME: &str = "fold";
pub const ABOUT: &str = "a node that was away catches up while it is written to at a steady rate, one small \
                         put each. Limit: its longest write with nothing arriving. Bar: no write takes \
                         longer than 250 ms, and no reader sees a part of the catch-up";

/// What can be varied.
#[derive(Args)]
pub struct Parameters {
    #[command(flatten)]
    pub common: Common,
    /// Entries to catch up.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    entries: u32,
    /// Entries that both nodes hold before.
    #[arg(long, default_value_t = 1_000)]
    held: usize,
    /// Local writes in each second.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// Bytes of a value.
    #[arg(long, default_value_t = 64)]
    value_bytes: usize,
}

/// What one sample came to.
struct Sample {
    idle_max_ms: f64,
    writes: Vec<f64>,
    /// From the opening until everything is visible, and until it is folded, too.
    visible_ms: f64,
    folded_ms: f64,
    reads: u64,
    halves: u64,
}

pub async fn run(parameters: &Parameters, folder: &ScratchFolder) -> Result<Report> {
    let mut samples = Vec::new();
    for number in 1..=parameters.common.samples {
        let place = folder.path().join(format!("sample-{number}"));
        let sample = catch_up(parameters, &place).await?;
        std::fs::remove_dir_all(&place)?;
        eprintln!(
            "sample {number}: longest write {:.0} ms of {}, idle {:.0} ms; visible after {:.0} ms, folded after {:.0} ms; {} of {} reads saw a part",
            longest(&sample.writes),
            sample.writes.len(),
            sample.idle_max_ms,
            sample.visible_ms,
            sample.folded_ms,
            sample.halves,
            sample.reads
        );
        samples.push(sample);
    }
    let of = |figure: fn(&Sample) -> f64| -> Vec<f64> { samples.iter().map(figure).collect() };
    let idle = of(|sample| sample.idle_max_ms);
    let figures =
        Figures { unit: "ms", samples: of(|sample| longest(&sample.writes)), limit: median(&idle) };
    let described = json!({
        "entries": parameters.entries,
        "held": parameters.held,
        "rate": parameters.rate,
        "key_bytes": KEY_BYTES,
        "value_bytes": parameters.value_bytes,
    });
    let writes: Vec<f64> = samples.iter().flat_map(|sample| &sample.writes).copied().collect();
    let worst = longest(&writes);
    let halves: u64 = samples.iter().map(|sample| sample.halves).sum();
    let report = Report::new(NAME, described, figures, folder)
        .with("limit_samples", idle)
        .with("write_p50_ms", percentile(&writes, 0.5))
        .with("write_p99_ms", percentile(&writes, 0.99))
        .with("write_max_ms", worst)
        .with("visible_ms", median(&of(|sample| sample.visible_ms)))
        .with("folded_ms", median(&of(|sample| sample.folded_ms)))
        .with("reads", samples.iter().map(|sample| sample.reads).sum::<u64>())
        .with("reads_of_a_part", halves);
    let text = format!("no write longer than {WRITE_MS_MAX} ms, no reader sees a part");
    Ok(report.judged(folder, text, worst <= WRITE_MS_MAX && halves == 0))
}

/// Both nodes hold a little; one goes away, and comes back to much.
async fn catch_up(parameters: &Parameters, place: &FilePath) -> Result<Sample> {
    let mut random = Random::new(0);
    let held = random.rows(parameters.held, parameters.value_bytes);
    let rows = random.rows(parameters.entries as usize, parameters.value_bytes);
    let config = |name| replicas::config(place, name);
    let source = replicas::found(&config("source")).await?;
    replicas::load(&source, &held, &[FIELD.into()]).await?;
    let away = config("away");
    replicas::prepare_join(&away, &source).await?;
    let node = Replica::open(away.clone()).await?;
    node.joined().await?;
    let vv = source.read()?.vv().clone();
    replicas::covers(&node, &vv).await?;
    // It has written, too.
    let idle = Writing::start(&node, parameters);
    tokio::time::sleep(IDLE).await;
    let idle_max_ms = longest(&idle.stop().await?);
    let vv = node.read()?.vv().clone();
    replicas::covers(&source, &vv).await?;
    node.close().await;
    drop(node);

    replicas::load(&source, &rows, &[FIELD.into()]).await?;
    let vv = source.read()?.vv().clone();
    let start = Instant::now();
    let node = Replica::open(away).await?;
    let writing = Writing::start(&node, parameters);
    let reading = Reading::start(&node, &rows, vv.clone());
    replicas::covers(&node, &vv).await?;
    let visible_ms = start.elapsed().as_secs_f64() * 1e3;
    while replicas::is_folding(&node).await? {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let folded_ms = start.elapsed().as_secs_f64() * 1e3;
    tokio::time::sleep(AFTER).await;
    let writes = writing.stop().await?;
    let (reads, halves) = reading.stop().await?;
    let vv = node.read()?.vv().clone();
    replicas::covers(&source, &vv).await?;
    let (left, right) = (source.seal().await?, node.seal().await?);
    if left.digest != right.digest {
        return Err(format!("the nodes differ: {left:?} and {right:?}").into());
    }
    node.close().await;
    source.close().await;
    Ok(Sample { idle_max_ms, writes, visible_ms, folded_ms, reads, halves })
}

/// Writes at a steady rate, whether or not earlier ones are done.
struct Writing {
    stop: tokio::sync::oneshot::Sender<()>,
    task: JoinHandle<Result<Vec<f64>>>,
}

impl Writing {
    fn start(node: &Replica, parameters: &Parameters) -> Self {
        let (node, value_bytes) = (node.clone(), parameters.value_bytes);
        let period = Duration::from_secs(1) / parameters.rate;
        let (stop, mut stopped) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            let mut random = Random::new(1);
            let mut ticks = tokio::time::interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let mut writes = JoinSet::new();
            loop {
                tokio::select! {
                    _ = ticks.tick() => {}
                    _ = &mut stopped => break,
                }
                let (row, node) = (random.row(value_bytes), node.clone());
                writes.spawn(async move {
                    let start = Instant::now();
                    let written = node.write(move |tx| row.put(tx, FIELD)).await;
                    written.map(|_| start.elapsed().as_secs_f64() * 1e3)
                });
            }
            let mut ms = Vec::new();
            while let Some(written) = writes.join_next().await {
                ms.push(written??);
            }
            Ok(ms)
        });
        Self { stop, task }
    }

    /// How long each write took, in milliseconds.
    async fn stop(self) -> Result<Vec<f64>> {
        let _ = self.stop.send(());
        self.task.await?
    }
}

/// Looks for some of the rows again and again: all of them are there, or none.
struct Reading {
    stop: tokio::sync::oneshot::Sender<()>,
    task: JoinHandle<Result<(u64, u64)>>,
}

impl Reading {
    fn start(node: &Replica, rows: &[Row], vv: VersionVector) -> Self {
        let node = node.clone();
        let step = (rows.len() / LOOKED_FOR).max(1);
        let keys: Vec<_> = rows.iter().step_by(step).map(|row| row.key).collect();
        let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let (mut reads, mut halves) = (0, 0);
            while stopped.try_recv().is_err() {
                let view = node.read()?;
                let mut found = 0;
                for key in &keys {
                    let path = Path::new([COLLECTION, key, FIELD.as_bytes()])?;
                    found += usize::from(!view.entry(&path)?.is_absent());
                }
                let expected = if view.vv().covers_all(&vv) { keys.len() } else { 0 };
                reads += 1;
                halves += u64::from(found != expected);
                tokio::time::sleep(BETWEEN_READS).await;
            }
            Ok((reads, halves))
        });
        Self { stop, task }
    }

    /// How many reads there were, and how many of them saw a part.
    async fn stop(self) -> Result<(u64, u64)> {
        let _ = self.stop.send(());
        self.task.await?
    }
}

fn longest(ms: &[f64]) -> f64 {
    ms.iter().copied().fold(0.0, f64::max)
}

const FIELD: &str = "v";
const WRITE_MS_MAX: f64 = 250.0;
/// How long the node is written to with nothing arriving.
const IDLE: Duration = Duration::from_secs(3);
/// How long it is written to after everything is in its place.
const AFTER: Duration = Duration::from_secs(1);
/// Rows that a reader looks for.
const LOOKED_FOR: usize = 40;
const BETWEEN_READS: Duration = Duration::from_millis(25);
