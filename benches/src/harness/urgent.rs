//! A large catch-up is under way to a node that is told something small.

use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use millpond::Replica;
use serde_json::json;

use crate::folder::ScratchFolder;
use crate::report::{Figures, Report, median, percentile};
use crate::workload::Random;
use crate::{Common, Result, replicas};

pub const NAME: &str = "urgent";
pub const ABOUT: &str = "small writes to the system namespace of one node (a promotion, and its end) until the other shows \
                         them, one after the other, while that one catches up 1 GiB of data and folds it. Limit: the \
                         same with nothing arriving, half of them before and half after. Bar (B4): 99 of 100 take no \
                         more than three times as long";

/// What can be varied.
#[derive(Args)]
pub struct Parameters {
    #[command(flatten)]
    pub common: Common,
    /// MiB to catch up, in values of 64 KiB.
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1..))]
    mib: u32,
    /// Small writes with nothing arriving.
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(10..))]
    writes: u32,
    /// One small write in so many milliseconds; 0 for one as soon as the one before is told.
    #[arg(long, default_value_t = 0)]
    pace_ms: u64,
}

pub async fn run(parameters: &Parameters, folder: &ScratchFolder) -> Result<Report> {
    let (mut p99s, mut limits, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    for number in 1..=parameters.common.samples {
        let place = folder.path().join(format!("sample-{number}"));
        let (idle, busy) = sample(parameters, &place).await?;
        std::fs::remove_dir_all(&place)?;
        let [idle, p99] = [&idle, &busy].map(|ms| percentile(ms, 0.99));
        eprintln!("sample {number}: p99 {p99:.1} ms of {}, idle {idle:.1} ms", busy.len());
        p99s.push(p99);
        limits.push(idle);
        counts.push(busy.len());
    }
    let figures = Figures { unit: "ms", samples: p99s, limit: median(&limits) };
    let Parameters { mib, writes, pace_ms, .. } = parameters;
    let described = json!({ "mib": mib, "writes": writes, "pace_ms": pace_ms });
    let report = Report::new(NAME, described, figures, folder)
        .with("limit_samples", limits)
        .with("writes_meanwhile", counts);
    let is_met = report.ratio() <= TIMES_MAX;
    Ok(report.judged(folder, "three times as long as with nothing arriving".into(), is_met))
}

/// How long each small write took, with nothing arriving and while it did, in milliseconds.
async fn sample(parameters: &Parameters, place: &Path) -> Result<(Vec<f64>, Vec<f64>)> {
    let mut random = Random::new(0);
    let source = replicas::found(&replicas::config(place, "source")).await?;
    replicas::load(&source, &random.rows(100, VALUE_BYTES), &["v".to_owned()]).await?;
    let away = replicas::config(place, "away");
    replicas::prepare_join(&away, &source).await?;
    let node = Replica::open(away.clone()).await?;
    node.joined().await?;
    replicas::covers(&node, source.read()?.vv()).await?;
    replicas::linked(&source, 1).await?;
    let pace = Duration::from_millis(parameters.pace_ms);
    let (mut idle, mut busy, mut is_primary) = (Vec::new(), Vec::new(), false);
    // Half of the limit is of the end, when both hold as much as they do meanwhile.
    for _ in 0..parameters.writes.div_ceil(2) {
        idle.push(until_told(&source, &node, &mut is_primary, pace).await?);
    }
    node.close().await;
    drop(node);
    for _ in 0..parameters.mib {
        let rows = random.rows((1 << 20) / VALUE_BYTES, VALUE_BYTES);
        replicas::load(&source, &rows, &["v".to_owned()]).await?;
    }
    let vv = source.read()?.vv().clone();
    let node = Replica::open(away).await?;
    replicas::connected(&source).await?;
    loop {
        let took = until_told(&source, &node, &mut is_primary, pace).await?;
        let is_level = node.read()?.vv().covers_all(&vv) && !replicas::is_folding(&node).await?;
        if is_level && !busy.is_empty() {
            break;
        }
        busy.push(took);
    }
    for _ in 0..parameters.writes / 2 {
        idle.push(until_told(&source, &node, &mut is_primary, pace).await?);
    }
    node.close().await;
    source.close().await;
    Ok((idle, busy))
}

/// Milliseconds from the call of a promotion, or else of its end, until the other node tells it. Keeps to the pace.
async fn until_told(
    source: &Replica,
    node: &Replica,
    is_primary: &mut bool,
    pace: Duration,
) -> Result<f64> {
    *is_primary = !*is_primary;
    let primary = is_primary.then(|| source.key());
    let start = Instant::now();
    source.promote(primary).await?;
    let wanted = primary.map(|key| key.to_string());
    while node.status().await.node.primary.and_then(|it| it.key) != wanted {
        if start.elapsed() > PATIENCE {
            return Err("a promotion has not arrived within a minute".into());
        }
        tokio::task::spawn_blocking(between_looks).await?;
    }
    let took = start.elapsed();
    tokio::time::sleep_until((start + pace).into()).await;
    Ok(took.as_secs_f64() * 1e3)
}

/// A thread's sleep, since the runtime's clock ticks in milliseconds: about as long as all of it takes.
#[expect(clippy::disallowed_methods, reason = "nothing tells when to look again")]
fn between_looks() {
    std::thread::sleep(BETWEEN_LOOKS);
}

const VALUE_BYTES: usize = 64 << 10;
const TIMES_MAX: f64 = 3.0;
const BETWEEN_LOOKS: Duration = Duration::from_micros(200);
const PATIENCE: Duration = Duration::from_secs(60);
