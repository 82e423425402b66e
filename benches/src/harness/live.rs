//! How soon another node shows what was written here.

use std::time::Instant;

use clap::Args;
use millpond::{InviteOptions, Replica};
use serde_json::json;

use crate::bare_store::BareStore;
use crate::folder::ScratchFolder;
use crate::report::{Figures, Report, median, percentile};
use crate::workload::Random;
use crate::{Common, Result, replicas};

pub const NAME: &str = "live";
pub const ABOUT: &str = "one writer: from the call of a write until a second node on loopback shows it. Limit: a durable \
                         commit of the bare store and 0.6 ms. Bar (B6): on disks the median is within the limit; in \
                         memory the median is within 0.15 ms, and 99 of 100 within 1 ms";

/// What can be varied.
#[derive(Args)]
pub struct Parameters {
    #[command(flatten)]
    pub common: Common,
    /// Writes of a sample, of each kind.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(10..))]
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
    let (memory_node, memory_peer) = in_memory().await?;
    for (node, peer) in [(&node, &peer), (&memory_node, &memory_peer)] {
        peer.joined().await?;
        replicas::linked(node, 1).await?;
    }
    let mut random = Random::new(0);
    let (mut p50s, mut limits, mut p99s) = (Vec::new(), Vec::new(), Vec::new());
    let (mut memory_p50s, mut memory_p99s) = (Vec::new(), Vec::new());
    for number in 1..=parameters.common.samples {
        let (mut waits, mut memory_waits, mut commits) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..parameters.writes {
            waits.push(until_shown(&node, &peer, &mut random, parameters.value_bytes).await?);
            let in_memory =
                until_shown(&memory_node, &memory_peer, &mut random, parameters.value_bytes)
                    .await?;
            memory_waits.push(in_memory);
            let rows = [random.row(parameters.value_bytes)];
            let start = Instant::now();
            bare.commit(&rows)?;
            commits.push(start.elapsed().as_secs_f64() * 1e6);
        }
        let limit = median(&commits) + ON_THE_WAY_US;
        eprintln!(
            "sample {number}: {:.0} us, limit {limit:.0} us; in memory {:.0} us, p99 {:.0} us",
            median(&waits),
            median(&memory_waits),
            percentile(&memory_waits, 0.99)
        );
        p50s.push(median(&waits));
        p99s.push(percentile(&waits, 0.99));
        limits.push(limit);
        memory_p50s.push(median(&memory_waits));
        memory_p99s.push(percentile(&memory_waits, 0.99));
    }
    for replica in [node, peer, memory_node, memory_peer] {
        replica.close().await;
    }
    let figures = Figures { unit: "us", samples: p50s, limit: median(&limits) };
    let described = json!({ "writes": parameters.writes, "value_bytes": parameters.value_bytes });
    let (memory_p50, memory_p99) = (median(&memory_p50s), median(&memory_p99s));
    let report = Report::new(NAME, described, figures, folder)
        .with("limit_samples", limits)
        .with("p99_us", median(&p99s))
        .with("memory_samples", memory_p50s)
        .with("memory_p50_us", memory_p50)
        .with("memory_p99_us", memory_p99);
    let is_met =
        report.ratio() <= 1.0 && memory_p50 <= MEMORY_P50_US && memory_p99 <= MEMORY_P99_US;
    let text = "a bare durable commit and 0.6 ms; in memory p50 0.15 ms, p99 1 ms";
    Ok(report.judged(folder, text.into(), is_met))
}

/// Two nodes that keep nothing on a disk.
async fn in_memory() -> Result<(Replica, Replica)> {
    let node = Replica::builder_in_memory().name("node").open().await?;
    let invite = node.invite(InviteOptions::default()).await?;
    let peer = Replica::builder_in_memory().name("peer").join(invite).open().await?;
    Ok((node, peer))
}

/// Microseconds from the call of a write until the peer's readers see it, for a task of the runtime: the main thread is
/// beside it, and would be woken for each answer.
async fn until_shown(
    node: &Replica,
    peer: &Replica,
    random: &mut Random,
    value_bytes: usize,
) -> Result<f64> {
    let (node, mut committed) = (node.clone(), peer.committed());
    let row = random.row(value_bytes);
    let writes = async move {
        let start = Instant::now();
        let ((), receipt) = node.write(move |tx| row.put(tx, "v")).await?;
        committed.covers(&receipt.vv).await?;
        Ok(start.elapsed().as_secs_f64() * 1e6)
    };
    tokio::spawn(writes).await?
}

const ON_THE_WAY_US: f64 = 600.0;
const MEMORY_P50_US: f64 = 150.0;
const MEMORY_P99_US: f64 = 1_000.0;
