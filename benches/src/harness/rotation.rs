//! Keys that change and a member that is removed, under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use millpond::{Replica, WriteError};
use millpond_core::NodeKey;
use serde_json::json;
use tokio::task::JoinSet;

use crate::folder::ScratchFolder;
use crate::report::{Figures, Report, median};
use crate::workload::{KEY_BYTES, Random, Row};
use crate::{Common, Result, replicas};

pub const NAME: &str = "rotation";
pub const ABOUT: &str = "five nodes that all write change their keys, one after the other, and then one of them is \
                         removed: from there until no other node has a link with it. Limit: a second. Bar: within \
                         that, and no write that was acknowledged is lost";

/// What can be varied.
#[derive(Args)]
pub struct Parameters {
    #[command(flatten)]
    pub common: Common,
    /// Nodes.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(3..))]
    nodes: u32,
    /// How many of them change their keys, in each sample.
    #[arg(long, default_value_t = 3)]
    rotations: u32,
    /// Bytes of a value.
    #[arg(long, default_value_t = 64)]
    value_bytes: usize,
}

/// What one sample came to.
struct Sample {
    closed_ms: f64,
    /// From each change until all other nodes were linked under the next key.
    changed_ms: Vec<f64>,
    longest_write_ms: f64,
    writes: usize,
    lost: usize,
}

pub async fn run(parameters: &Parameters, folder: &ScratchFolder) -> Result<Report> {
    let mut samples = Vec::new();
    for number in 1..=parameters.common.samples {
        let sample = sample(parameters, folder, number).await?;
        eprintln!(
            "sample {number}: links ended within {:.0} ms, keys shown within {:.0?} ms, {} writes, {} lost",
            sample.closed_ms, sample.changed_ms, sample.writes, sample.lost
        );
        samples.push(sample);
    }
    let closed: Vec<f64> = samples.iter().map(|it| it.closed_ms).collect();
    let changed: Vec<f64> = samples.iter().flat_map(|it| it.changed_ms.clone()).collect();
    let most = closed.iter().copied().fold(0.0, f64::max);
    let lost: usize = samples.iter().map(|it| it.lost).sum();
    let figures = Figures { unit: "ms", samples: closed, limit: CLOSED_MS_MAX };
    let described = json!({
        "nodes": parameters.nodes,
        "rotations": parameters.rotations,
        "key_bytes": KEY_BYTES,
        "value_bytes": parameters.value_bytes,
    });
    let report = Report::new(NAME, described, figures, folder)
        .with("changed_ms", median(&changed))
        .with("longest_write_ms", samples.iter().map(|it| it.longest_write_ms).fold(0.0, f64::max))
        .with("writes", samples.iter().map(|it| it.writes).sum::<usize>())
        .with("lost", lost);
    let text = format!("links end within {CLOSED_MS_MAX} ms, and nothing is lost");
    Ok(report.judged(folder, text, most <= CLOSED_MS_MAX && lost == 0))
}

async fn sample(parameters: &Parameters, folder: &ScratchFolder, number: u32) -> Result<Sample> {
    let place = folder.path().join(format!("sample-{number}"));
    let mut nodes: Vec<Replica> = Vec::new();
    for index in 0..parameters.nodes {
        let config = replicas::config(&place, &format!("node-{index}"));
        let node = match nodes.first() {
            None => replicas::found(&config).await?,
            Some(first) => {
                replicas::prepare_join(&config, first).await?;
                let node = Replica::open(config).await?;
                node.joined().await?;
                node
            }
        };
        nodes.push(node);
    }
    for node in &nodes {
        replicas::linked(node, nodes.len() - 1).await?;
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for (index, node) in nodes.iter().enumerate() {
        let random = Random::new(u64::from(number) << 32 | index as u64);
        writers.spawn(write_until(node.clone(), random, is_over.clone(), parameters.value_bytes));
    }
    let mut changed_ms = Vec::new();
    for member in nodes.iter().take(parameters.rotations as usize) {
        let start = Instant::now();
        let next = member.rotate_key(None).await?;
        until_seen(&nodes, member, Some(next)).await?;
        changed_ms.push(start.elapsed().as_secs_f64() * 1e3);
    }
    is_over.store(true, Ordering::Relaxed);
    let (mut rows, mut longest) = (Vec::new(), Duration::ZERO);
    while let Some(written) = writers.join_next().await {
        let (written, slowest) = written??;
        rows.extend(written);
        longest = longest.max(slowest);
    }
    for from in &nodes {
        for node in &nodes {
            replicas::covers(node, from.read()?.vv()).await?;
        }
    }
    let last = nodes.pop().ok_or("there are nodes")?;
    let start = Instant::now();
    nodes[0].remove(last.key()).await?;
    until_seen(&nodes, &last, None).await?;
    let closed_ms = start.elapsed().as_secs_f64() * 1e3;
    let mut lost = 0;
    for node in &nodes {
        let view = node.read()?;
        for row in &rows {
            lost += usize::from(view.entry(&row.path(FIELD)?)?.is_absent());
        }
    }
    for node in nodes.iter().chain([&last]) {
        node.close().await;
    }
    let longest_write_ms = longest.as_secs_f64() * 1e3;
    Ok(Sample { closed_ms, changed_ms, longest_write_ms, writes: rows.len(), lost })
}

/// Waits until all other nodes are linked with a member under this key, or none is.
async fn until_seen(nodes: &[Replica], member: &Replica, shows: Option<NodeKey>) -> Result<()> {
    let key = member.key().to_string();
    let shows = shows.map(|shows| shows.to_string());
    let start = Instant::now();
    loop {
        let mut is_so = true;
        for node in nodes.iter().filter(|node| node.key() != member.key()) {
            let peers = node.status().await.peers;
            let peer = peers.into_iter().find(|peer| peer.key == key && peer.link.is_some());
            is_so &= peer.and_then(|peer| peer.shows.or(Some(peer.key))) == shows;
        }
        if is_so {
            return Ok(());
        }
        if start.elapsed() > PATIENCE {
            return Err("the links of a member did not become what they should".into());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// One writer: what it wrote, each on disk before the next, and the longest that one took.
async fn write_until(
    node: Replica,
    mut random: Random,
    is_over: Arc<AtomicBool>,
    value_bytes: usize,
) -> std::result::Result<(Vec<Row>, Duration), WriteError> {
    let (mut rows, mut longest) = (Vec::new(), Duration::ZERO);
    while !is_over.load(Ordering::Relaxed) {
        let (row, start) = (random.row(value_bytes), Instant::now());
        rows.push(row.clone());
        node.write(move |tx| row.put(tx, FIELD)).await?;
        longest = longest.max(start.elapsed());
    }
    Ok((rows, longest))
}

const FIELD: &str = "v";
/// How soon links of who is removed have ended.
const CLOSED_MS_MAX: f64 = 1_000.0;
/// How often it is looked, and how long that may take.
const LOOK: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(60);
