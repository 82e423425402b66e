//! A peer that takes next to nothing, beside others that take all they are given.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use clap::Args;
use millpond::{InviteOptions, OwnTransport, Replica};
use millpond_core::NodeKey;
use millpond_core::transport::{DialError, Lane, Link, LinkError, LinkStats, Transport};
use millpond_transport_quic::{Identity, Quic, QuicOptions};
use serde_json::json;

use crate::folder::ScratchFolder;
use crate::machine::Memory;
use crate::report::{Figures, Report, median};
use crate::workload::{Random, Row};
use crate::{Common, Result, replicas};

pub const NAME: &str = "slow-peer";
pub const ABOUT: &str = "one writer, four nodes that take all, and one that takes 1 kB/s, all in memory over QUIC. Limit: \
                         the same while that one is away. Bar (B4): the four get 0.9 of the limit, and the memory of \
                         the process grows by no more than 64 MiB for the slow one";

/// What can be varied.
#[derive(Args)]
pub struct Parameters {
    #[command(flatten)]
    pub common: Common,
    /// Seconds of writing of each side of a sample; the rings that keep what was written are full after the first.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Bytes of a second that the slow one takes, and gives.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    bytes_per_s: u64,
}

pub async fn run(parameters: &Parameters, folder: &ScratchFolder) -> Result<Report> {
    let rate = Arc::new(AtomicU64::new(0));
    let writer = Replica::builder_in_memory().name("writer").open().await?;
    let mut healthy = Vec::new();
    for number in 1..=HEALTHY {
        healthy.push(join(&writer, &format!("healthy-{number}"), None).await?);
    }
    let slow = join(&writer, "slow", Some(Arc::clone(&rate))).await?;
    replicas::linked(&writer, HEALTHY + 1).await?;
    let rows = Random::new(0).rows(ROWS, VALUE_BYTES);
    let time = Duration::from_secs(parameters.seconds.into());
    let (mut rates, mut limits, mut grown) = (Vec::new(), Vec::new(), Vec::new());
    for number in 1..=parameters.common.samples {
        slow.pause(None).await;
        replicas::linked(&writer, HEALTHY).await?;
        let limit = load(&writer, &healthy, &rows, time).await?;
        let memory = Memory::measure();
        slow.resume(None).await;
        replicas::linked(&writer, HEALTHY + 1).await?;
        replicas::covers(&slow, writer.read()?.vv()).await?;
        rate.store(parameters.bytes_per_s, Ordering::Relaxed);
        let beside = load(&writer, &healthy, &rows, time).await?;
        let growth = memory.growth();
        if slow.read()?.vv().covers_all(writer.read()?.vv()) {
            return Err("the slow node was not slow: it has all that was written".into());
        }
        rate.store(0, Ordering::Relaxed);
        eprintln!(
            "sample {number}: {beside:.0} rows/s, {limit:.0} without the slow one, {} MiB more",
            growth >> 20
        );
        rates.push(beside);
        limits.push(limit);
        grown.push(growth as f64);
    }
    for replica in healthy.iter().chain([&slow, &writer]) {
        replica.close().await;
    }
    let growth = median(&grown);
    let figures = Figures { unit: "rows/s", samples: rates, limit: median(&limits) };
    let described = json!({
        "seconds": parameters.seconds, "bytes_per_s": parameters.bytes_per_s, "healthy": HEALTHY,
        "rows_per_transaction": ROWS, "value_bytes": VALUE_BYTES,
    });
    let report = Report::new(NAME, described, figures, folder)
        .with("limit_samples", limits)
        .with("growth_bytes", growth);
    let is_met = report.ratio() >= RATIO_MIN && growth <= GROWTH_MAX;
    Ok(report.judged(folder, "0.9 of the limit, and at most 64 MiB more".into(), is_met))
}

/// A member in memory; with a rate, over links that move so many bytes in a second.
async fn join(writer: &Replica, name: &str, rate: Option<Arc<AtomicU64>>) -> Result<Replica> {
    let invite = writer.invite(InviteOptions::default()).await?;
    let own = rate.map(|rate| {
        OwnTransport::new(move |pkcs8| {
            let quic = bind(pkcs8).map_err(|error| error.to_string())?;
            Ok(Arc::new(Slow { quic, rate: Arc::clone(&rate) }) as _)
        })
    });
    let builder = Replica::builder_in_memory().name(name).join(invite);
    let joined = builder.configure(|config| config.own_transports.extend(own)).open().await?;
    joined.joined().await?;
    Ok(joined)
}

fn bind(pkcs8: &[u8]) -> Result<Quic> {
    let any_port = "127.0.0.1:0".parse()?;
    Ok(Quic::bind(&Identity::from_pkcs8(pkcs8)?, any_port, QuicOptions::default())?)
}

/// Writes the same rows again and again; rows a second until the slowest of these has the last.
async fn load(writer: &Replica, readers: &[Replica], rows: &[Row], time: Duration) -> Result<f64> {
    let (start, mut written) = (Instant::now(), 0);
    while start.elapsed() < time {
        let rows = rows.to_vec();
        written += rows.len();
        writer.write(move |tx| rows.iter().try_for_each(|row| row.put(tx, "v"))).await?;
    }
    let vv = writer.read()?.vv().clone();
    for reader in readers {
        replicas::covers(reader, &vv).await?;
    }
    Ok(written as f64 / start.elapsed().as_secs_f64())
}

/// QUIC at an end that takes its time for each frame: what it does not take waits at the other end.
struct Slow {
    quic: Quic,
    rate: Arc<AtomicU64>,
}

struct SlowLink {
    link: Box<dyn Link>,
    rate: Arc<AtomicU64>,
}

impl Slow {
    fn slowed(&self, link: Box<dyn Link>) -> Box<dyn Link> {
        Box::new(SlowLink { link, rate: Arc::clone(&self.rate) })
    }
}

impl SlowLink {
    async fn pass(&self, frame: &Bytes) {
        let rate = self.rate.load(Ordering::Relaxed);
        if rate > 0 {
            tokio::time::sleep(Duration::from_secs_f64(frame.len() as f64 / rate as f64)).await;
        }
    }
}

#[async_trait]
impl Transport for Slow {
    fn local_address(&self) -> String {
        self.quic.local_address()
    }

    async fn dial(
        &self,
        address: &str,
        expected: NodeKey,
    ) -> std::result::Result<Box<dyn Link>, DialError> {
        self.quic.dial(address, expected).await.map(|link| self.slowed(link))
    }

    async fn accept(&self) -> Option<Box<dyn Link>> {
        self.quic.accept().await.map(|link| self.slowed(link))
    }

    async fn close(&self) {
        self.quic.close().await;
    }
}

#[async_trait]
impl Link for SlowLink {
    fn peer(&self) -> NodeKey {
        self.link.peer()
    }

    fn dialed(&self) -> bool {
        self.link.dialed()
    }

    fn transport(&self) -> &'static str {
        "slow"
    }

    fn remote_address(&self) -> String {
        self.link.remote_address()
    }

    async fn send(&self, lane: Lane, frame: Bytes) -> std::result::Result<(), LinkError> {
        self.pass(&frame).await;
        self.link.send(lane, frame).await
    }

    /// The next frame is taken off the link only when the one before has had its time.
    async fn receive(&self, lane: Lane) -> std::result::Result<Bytes, LinkError> {
        let frame = self.link.receive(lane).await?;
        self.pass(&frame).await;
        Ok(frame)
    }

    fn close(&self, code: u32, reason: &str) {
        self.link.close(code, reason);
    }

    fn stats(&self) -> LinkStats {
        self.link.stats()
    }
}

const HEALTHY: usize = 4;
/// Of a transaction; the same rows each time, so that the stores do not grow.
const ROWS: usize = 100;
const VALUE_BYTES: usize = 100;
const RATIO_MIN: f64 = 0.9;
const GROWTH_MAX: f64 = (64 << 20) as f64;
