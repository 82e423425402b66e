//! One of three nodes was away while records changed.

use std::collections::BTreeSet;
use std::path::Path as FilePath;
use std::time::{Duration, Instant};

use clap::Args;
use millpond::{Config, Replica};
use serde_json::json;

use crate::folder::ScratchFolder;
use crate::report::{Figures, Report, median};
use crate::workload::{KEY_BYTES, Random, Row};
use crate::{Common, Result, replicas};

pub const NAME: &str = "reattach";
pub const ABOUT: &str = "one of three nodes is away while records change, and comes back. Limit: payload + \
                         12 bytes for each row + 2 KiB. Bar: ratio <= 1.0, each changed row sent once, by \
                         one supplier; with --beside in at most 1.5 times the time";

/// What can be varied.
#[derive(Args)]
pub struct Parameters {
    #[command(flatten)]
    pub common: Common,
    /// Records that all nodes hold.
    #[arg(long, default_value_t = 100_000)]
    records: usize,
    /// The same with so many records, in turns: its time is what the time is compared with.
    #[arg(long)]
    beside: Option<usize>,
    /// Fields of each.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    fields: u16,
    /// Records that change while the node is away, in one field each; every tenth twice.
    #[arg(long, default_value_t = 1_000)]
    changes: usize,
    /// Bytes of a value.
    #[arg(long, default_value_t = 64)]
    value_bytes: usize,
}

/// What one return came to.
#[derive(Default)]
struct Return {
    /// From the opening until it is level.
    ms: f64,
    /// Of those, the opening of the store.
    open_ms: f64,
    /// Both directions, over all links of the returned node, from its opening until a while after it is
    /// level.
    frame_bytes: u64,
    wire_bytes: u64,
    payload_bytes: u64,
    rows_received: u64,
    distinct_rows: u64,
    suppliers: usize,
    pulls: u64,
    links: u64,
}

impl Return {
    fn limit(&self) -> f64 {
        (self.payload_bytes + ROW_BYTES * self.distinct_rows + BASE_BYTES) as f64
    }
}

struct Trio {
    stay: [Replica; 2],
    away: Option<Replica>,
    away_config: Config,
    records: Vec<Row>,
    fields: Vec<String>,
    random: Random,
}

pub async fn run(parameters: &Parameters, folder: &ScratchFolder) -> Result<Report> {
    let mut trio = Trio::start(parameters.records, parameters, folder.path()).await?;
    let small = folder.path().join("beside");
    let mut beside = match parameters.beside {
        Some(records) => Some(Trio::start(records, parameters, &small).await?),
        None => None,
    };
    let (mut returns, mut beside_ms) = (Vec::new(), Vec::new());
    for number in 1..=parameters.common.samples {
        if let Some(beside) = &mut beside {
            beside_ms.push(beside.come_back(parameters).await?.ms);
        }
        let came_back = trio.come_back(parameters).await?;
        eprintln!(
            "sample {number}: {:.0} ms, {} frame bytes for {} rows over {} links, limit {:.0}",
            came_back.ms,
            came_back.frame_bytes,
            came_back.rows_received,
            came_back.links,
            came_back.limit()
        );
        returns.push(came_back);
    }
    for node in [Some(trio), beside].iter().flatten().flat_map(|it| it.stay.iter().chain(&it.away))
    {
        node.close().await;
    }
    let limits: Vec<f64> = returns.iter().map(Return::limit).collect();
    let figures = Figures {
        unit: "frame bytes",
        samples: returns.iter().map(|it| it.frame_bytes as f64).collect(),
        limit: median(&limits),
    };
    let described = json!({
        "records": parameters.records,
        "fields": parameters.fields,
        "changes": parameters.changes,
        "key_bytes": KEY_BYTES,
        "value_bytes": parameters.value_bytes,
        "beside": parameters.beside,
        "limit": "payload + 12 * rows + 2048 bytes",
    });
    let ms: Vec<f64> = returns.iter().map(|it| it.ms).collect();
    let open_ms: Vec<f64> = returns.iter().map(|it| it.open_ms).collect();
    let is_exact = returns.iter().all(|it| {
        it.suppliers == 1
            && it.rows_received == it.distinct_rows
            && it.frame_bytes as f64 <= it.limit()
    });
    let last = returns.last().expect("there is a sample");
    let times = match beside_ms.is_empty() {
        true => 1.0,
        false => median(&ms) / median(&beside_ms),
    };
    let report = Report::new(NAME, described, figures, folder)
        .with("beside_ms_samples", beside_ms)
        .with("times_beside", times)
        .with("limit_samples", limits)
        .with("ms", median(&ms))
        .with("ms_samples", ms)
        .with("open_ms", median(&open_ms))
        .with("frame_bytes", last.frame_bytes)
        .with("wire_bytes", last.wire_bytes)
        .with("payload_bytes", last.payload_bytes)
        .with("rows", last.rows_received)
        .with("distinct_rows", last.distinct_rows)
        .with("suppliers", returns.iter().map(|it| it.suppliers).max().unwrap_or(0))
        .with("pulls", last.pulls)
        .with("links", last.links);
    let text = "at most the limit in bytes, each changed row once, from one supplier, in 1.5 times the time";
    Ok(report.judged(folder, text.into(), is_exact && times <= TIMES_MAX))
}

impl Trio {
    /// Three nodes that hold the records and feed each other.
    async fn start(records: usize, parameters: &Parameters, folder: &FilePath) -> Result<Self> {
        let mut random = Random::new(0);
        let records = random.rows(records, parameters.value_bytes);
        let fields: Vec<String> =
            (1..=parameters.fields).map(|number| format!("f{number}")).collect();
        let config = |name| replicas::config(folder, name);
        let first = replicas::found(&config("node-1")).await?;
        replicas::load(&first, &records, &fields).await?;
        let vv = first.read()?.vv().clone();
        let mut joined = Vec::new();
        for name in ["node-2", "node-3"] {
            let config = config(name);
            replicas::prepare_join(&config, &first).await?;
            let node = Replica::open(config).await?;
            node.joined().await?;
            replicas::covers(&node, &vv).await?;
            joined.push(node);
        }
        let [second, away] = <[Replica; 2]>::try_from(joined).map_err(|_| "two nodes joined")?;
        // It comes back where its peers know it.
        let mut away_config = config("node-3");
        away_config.listen = away.listen_socket().ok_or("a node on a socket")?;
        for node in [&first, &second, &away] {
            replicas::linked(node, 2).await?;
        }
        let (stay, away) = ([first, second], Some(away));
        Ok(Self { stay, away, away_config, records, fields, random })
    }

    /// Sends the third node away, changes records on the other two, and takes it back.
    async fn come_back(&mut self, parameters: &Parameters) -> Result<Return> {
        // What it has not told yet about itself is told first.
        tokio::time::sleep(SETTLE).await;
        if let Some(away) = self.away.take() {
            away.close().await; // its folder is free once the last handle is gone, which is this one
        }
        let mut came_back = Return::default();
        self.change(parameters, &mut came_back).await?;
        let [first, second] = &self.stay;
        let (left, right) = (first.read()?.vv().clone(), second.read()?.vv().clone());
        replicas::covers(first, &right).await?;
        replicas::covers(second, &left).await?;
        let vv = first.read()?.vv().clone();

        replicas::port_is_free(self.away_config.listen).await?;
        let start = Instant::now();
        let node = Replica::open(self.away_config.clone()).await?;
        came_back.open_ms = start.elapsed().as_secs_f64() * 1e3;
        replicas::covers(&node, &vv).await?;
        came_back.ms = start.elapsed().as_secs_f64() * 1e3;

        replicas::linked(&node, 2).await?;
        // Whatever were sent twice would come by then.
        tokio::time::sleep(SETTLE).await;
        let status = node.status().await;
        let links = status.totals.links;
        came_back.frame_bytes = links.frame_bytes_sent + links.frame_bytes_received;
        came_back.wire_bytes = links.wire_bytes_sent + links.wire_bytes_received;
        came_back.rows_received = links.rows_received;
        came_back.pulls = links.pulls;
        came_back.links = links.links;
        came_back.suppliers =
            status.peers.iter().filter(|peer| peer.counters.rows_received > 0).count();
        let rows = (self.records.len() * self.fields.len()) as u64;
        replicas::check_same(&self.stay[0], &node, rows).await?;
        self.away = Some(node);
        Ok(came_back)
    }

    /// Changes records, spread evenly over all, one transaction each, by turns on the two nodes.
    async fn change(&mut self, parameters: &Parameters, came_back: &mut Return) -> Result<()> {
        let step = (self.records.len() / parameters.changes.max(1)).max(1);
        let mut changed = BTreeSet::new();
        for number in 0..parameters.changes {
            let index = number * step % self.records.len().max(1);
            let field = self.fields[number % self.fields.len()].clone();
            let times = if number % 10 == 0 { 2 } else { 1 };
            for _ in 0..times {
                self.records[index].value = self.random.value(parameters.value_bytes);
                let (row, field) = (self.records[index].clone(), field.clone());
                self.stay[number % 2].write(move |tx| row.put(tx, &field)).await?;
            }
            if changed.insert((index, field.clone())) {
                came_back.payload_bytes += self.records[index].payload_bytes(&field);
            }
        }
        came_back.distinct_rows = changed.len() as u64;
        Ok(())
    }
}

/// Bytes that a row may cost beyond its payload.
const ROW_BYTES: u64 = 12;
/// Bytes that a return may cost however little has changed: hellos, vectors, acks.
const BASE_BYTES: u64 = 2048;
/// How much longer it may take than with fewer records.
const TIMES_MAX: f64 = 1.5;
/// Longer than the hold-down of a second, after which a row would be forwarded.
const SETTLE: Duration = Duration::from_millis(1500);
