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
                         them, while that one catches up 1 GiB of data and folds it. Limit: the same with nothing \
                         arriving. Bar (B4): 99 of 100 take no more than three times as long";

/// What can be varied.
#[derive(Args)]
pub struct Parameters {
    #[command(flatten)]
    pub common: Common,
    /// MiB to catch up, in values of 64 KiB.
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1..))]
    mib: u32,
    /// Small writes with nothing arriving.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(10..))]
    writes: u32,
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
    let described = json!({ "mib": parameters.mib, "writes": parameters.writes });
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
    let mut idle = Vec::new();
    for number in 0..parameters.writes {
        idle.push(until_told(&source, &node, number % 2 == 0).await?);
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
    let (mut busy, mut promote) = (Vec::new(), true);
    loop {
        let took = until_told(&source, &node, promote).await?;
        promote = !promote;
        let is_level = node.read()?.vv().covers_all(&vv) && !replicas::is_folding(&node).await?;
        if is_level && !busy.is_empty() {
            break;
        }
        busy.push(took);
    }
    node.close().await;
    source.close().await;
    Ok((idle, busy))
}

/// Milliseconds from the call of a promotion, or of its end, until the other node tells it.
async fn until_told(source: &Replica, node: &Replica, promote: bool) -> Result<f64> {
    let primary = promote.then(|| source.key());
    let start = Instant::now();
    source.promote(primary).await?;
    let wanted = primary.map(|key| key.to_string());
    while node.status().await.node.primary.and_then(|it| it.key) != wanted {
        if start.elapsed() > PATIENCE {
            return Err("a promotion has not arrived within a minute".into());
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

const VALUE_BYTES: usize = 64 << 10;
const TIMES_MAX: f64 = 3.0;
const BETWEEN_LOOKS: Duration = Duration::from_micros(500);
const PATIENCE: Duration = Duration::from_secs(60);
