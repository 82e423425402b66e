//! Verification beside writes: what it takes from them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use millpond::{Config, Replica, WriteError};
use serde_json::json;
use tokio::task::JoinSet;

use crate::folder::ScratchFolder;
use crate::report::{Figures, Report, median};
use crate::workload::{KEY_BYTES, Random};
use crate::{Common, Result, replicas};

pub const NAME: &str = "verify";
pub const ABOUT: &str = "two nodes verify themselves, each reading its own store at its limited pace once and \
                         comparing itself with the other, while one is written to. Limit: the same writes \
                         without that. Bar: on the schedule of once in ten minutes it costs no more than 5% of \
                         the writes, and nothing is found";

/// What can be varied.
#[derive(Args)]
pub struct Parameters {
    #[command(flatten)]
    pub common: Common,
    /// Entries that both nodes hold.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    entries: u32,
    /// Concurrent writers.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    writers: u32,
    /// How long each side of a sample writes at least. Beside a verification it writes until that is over.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Bytes of a value.
    #[arg(long, default_value_t = 64)]
    value_bytes: usize,
}

/// Writes in a second, without verification and beside one, and how long that took.
struct Sample {
    alone: f64,
    beside: f64,
    seconds: f64,
}

pub async fn run(parameters: &Parameters, folder: &ScratchFolder) -> Result<Report> {
    let place = folder.path().join("nodes");
    let mut configs = ["node", "peer"].map(|name| replicas::config(&place, name));
    let node = replicas::found(&configs[0]).await?;
    let rows = Random::new(0).rows(parameters.entries as usize, parameters.value_bytes);
    replicas::load(&node, &rows, &[FIELD.into()]).await?;
    replicas::prepare_join(&configs[1], &node).await?;
    let peer = Replica::open(configs[1].clone()).await?;
    peer.joined().await?;
    let vv = node.read()?.vv().clone();
    replicas::covers(&peer, &vv).await?;
    // Both start again, and have to find each other.
    for (config, replica) in configs.iter_mut().zip([&node, &peer]) {
        config.listen = replica.listen_socket().ok_or("it listens")?;
    }
    node.close().await;
    peer.close().await;
    drop((node, peer));
    let (mut samples, mut found, mut comparisons) = (Vec::new(), 0, 0);
    for number in 1..=u64::from(parameters.common.samples) {
        let alone = write(parameters, &configs, None, number * 2).await?;
        let beside = write(parameters, &configs, Some(START), number * 2 + 1).await?;
        eprintln!(
            "sample {number}: {:.0} writes/s alone, {:.0} beside, for {:.1} s",
            alone.rate, beside.rate, beside.seconds
        );
        found += beside.found;
        comparisons += beside.comparisons;
        let (alone, beside, seconds) = (alone.rate, beside.rate, beside.seconds);
        samples.push(Sample { alone, beside, seconds });
    }
    let of = |figure: fn(&Sample) -> f64| -> Vec<f64> { samples.iter().map(figure).collect() };
    let (alone, beside) = (median(&of(|it| it.alone)), median(&of(|it| it.beside)));
    let seconds = median(&of(|it| it.seconds));
    // What takes long is made less often: a node rests for seven times as long.
    let share = (seconds / SCHEDULE_S).min(1.0 / 8.0);
    let cost = (1.0 - beside / alone).max(0.0) * share;
    let figures = Figures { unit: "rows/s", samples: of(|it| it.beside), limit: alone };
    let described = json!({
        "entries": parameters.entries,
        "writers": parameters.writers,
        "seconds": parameters.seconds,
        "key_bytes": KEY_BYTES,
        "value_bytes": parameters.value_bytes,
    });
    let report = Report::new(NAME, described, figures, folder)
        .with("limit_samples", of(|it| it.alone))
        .with("verification_s", seconds)
        .with("cost_of_schedule", cost)
        .with("comparisons", comparisons)
        .with("found", found);
    let text = format!("on its schedule it costs no more than {COST_MAX} of the writes");
    Ok(report.judged(folder, text, cost <= COST_MAX && found == 0))
}

/// What a side of a sample came to.
struct Written {
    rate: f64,
    seconds: f64,
    comparisons: u64,
    found: u64,
}

/// Opens both nodes, verifying themselves so often, and writes for a while.
async fn write(
    parameters: &Parameters,
    configs: &[Config; 2],
    every: Option<Duration>,
    stream: u64,
) -> Result<Written> {
    let config = |at: usize| {
        let mut config = configs[at].clone();
        config.verify_every = every;
        config
    };
    for config in configs {
        replicas::port_is_free(config.listen).await?;
    }
    let node = Replica::open(config(0)).await?;
    let peer = Replica::open(config(1)).await?;
    replicas::linked(&node, 1).await?;
    tokio::time::sleep(SETTLING).await;
    let start = Instant::now();
    let is_over = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for writer in 0..u64::from(parameters.writers) {
        let random = Random::new(stream << 32 | writer);
        tasks.spawn(write_until(node.clone(), random, is_over.clone(), parameters.value_bytes));
    }
    let mut looks = tokio::time::interval(LOOK);
    loop {
        looks.tick().await;
        let verify = node.status().await.totals.verify;
        let is_verified = every.is_none() || verify.scrubs > 0 && verify.comparisons > 0;
        if is_verified && start.elapsed().as_secs_f64() >= parameters.seconds {
            break;
        }
        if start.elapsed() > PATIENCE {
            return Err("the nodes did not come to the end of a verification".into());
        }
    }
    is_over.store(true, Ordering::Relaxed);
    let mut rows = 0;
    while let Some(written) = tasks.join_next().await {
        rows += written??;
    }
    let seconds = start.elapsed().as_secs_f64();
    let rate = rows as f64 / seconds;
    let totals = node.status().await.totals.verify;
    let found = totals.mended + totals.suspect + totals.lost;
    node.close().await;
    peer.close().await;
    Ok(Written { rate, seconds, comparisons: totals.comparisons, found })
}

/// One writer: how many rows it wrote, each on disk before the next.
async fn write_until(
    node: Replica,
    mut random: Random,
    is_over: Arc<AtomicBool>,
    value_bytes: usize,
) -> std::result::Result<u64, WriteError> {
    let mut rows = 0;
    while !is_over.load(Ordering::Relaxed) {
        let row = random.row(value_bytes);
        node.write(move |tx| row.put(tx, FIELD)).await?;
        rows += 1;
    }
    Ok(rows)
}

const FIELD: &str = "v";
/// When the two begin: as soon as they are written to. Then they rest for seven times as long as it took.
const START: Duration = Duration::from_secs(2);
/// How often it is looked whether they are done, and how long that may take.
const LOOK: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(1800);
/// How long the two are left alone after they have linked.
const SETTLING: Duration = Duration::from_secs(2);
/// How often a node verifies itself, if nobody says otherwise.
const SCHEDULE_S: f64 = 600.0;
const COST_MAX: f64 = 0.05;
