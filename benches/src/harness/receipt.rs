//! How long a writer waits for another node's disk.

use std::time::{Duration, Instant};

use clap::Args;
use millpond::{Concern, ConcernError, Replica, WriteError};
use serde_json::json;

use crate::bare_store::BareStore;
use crate::folder::ScratchFolder;
use crate::report::{Figures, Report, median, percentile};
use crate::workload::Random;
use crate::{Common, Result, replicas};

pub const NAME: &str = "receipt";
pub const ABOUT: &str = "one writer, each of whose writes waits until a second node on loopback has it on disk. \
                         Limit: two durable commits of the bare store, one after the other, and 1 ms. Bar \
                         (B5): the median is within the limit";

/// What can be varied.
#[derive(Args)]
pub struct Parameters {
    #[command(flatten)]
    pub common: Common,
    /// Writes of a sample.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(10..))]
    writes: u32,
    /// Bytes of a value.
    #[arg(long, default_value_t = 64)]
    value_bytes: usize,
}

pub async fn run(parameters: &Parameters, folder: &ScratchFolder) -> Result<Report> {
    let place = folder.path();
    let node = replicas::found(&replicas::config(place, "node")).await?;
    let peer_config = replicas::config(place, "peer");
    let mut bare = BareStore::create(&place.join("bare"), peer_config.cache_bytes)?;
    replicas::prepare_join(&peer_config, &node).await?;
    let peer = Replica::open(peer_config).await?;
    peer.joined().await?;
    replicas::linked(&node, 1).await?;
    let mut random = Random::new(0);
    let (mut p50s, mut limits, mut p99s) = (Vec::new(), Vec::new(), Vec::new());
    for number in 1..=parameters.common.samples {
        let (mut waits, mut commits) = (Vec::new(), Vec::new());
        for _ in 0..parameters.writes {
            let row = random.row(parameters.value_bytes);
            let start = Instant::now();
            let write = node.write(move |tx| row.put(tx, "v"));
            let acked: std::result::Result<_, ConcernError<(), WriteError>> =
                write.concern(Concern::Replicas(1)).timeout(PATIENCE).await;
            acked.map_err(|error| format!("a write was not acknowledged: {error}"))?;
            waits.push(start.elapsed().as_secs_f64() * 1e6);
            let rows = [random.row(parameters.value_bytes)];
            let start = Instant::now();
            bare.commit(&rows)?;
            commits.push(start.elapsed().as_secs_f64() * 1e6);
        }
        let limit = 2.0 * median(&commits) + 1_000.0;
        eprintln!("sample {number}: {:.0} us, limit {limit:.0} us", median(&waits));
        p50s.push(median(&waits));
        p99s.push(percentile(&waits, 0.99));
        limits.push(limit);
    }
    node.close().await;
    peer.close().await;
    let figures = Figures { unit: "us", samples: p50s, limit: median(&limits) };
    let described = json!({ "writes": parameters.writes, "value_bytes": parameters.value_bytes });
    let report = Report::new(NAME, described, figures, folder)
        .with("limit_samples", limits)
        .with("p99_us", median(&p99s));
    let is_met = report.ratio() <= 1.0;
    Ok(report.judged(folder, "within two bare durable commits and 1 ms".into(), is_met))
}

/// Nothing keeps the two apart.
const PATIENCE: Duration = Duration::from_secs(30);
