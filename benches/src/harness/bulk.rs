//! What links carry in one direction, and what replicas make of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use millpond::{InviteOptions, Replica};
use millpond_core::frame::frame;
use millpond_core::transport::{Lane, Link, LinkError, Transport};
use millpond_transport_conformance::pkcs8;
use millpond_transport_libp2p::{Libp2p, Libp2pOptions};
use millpond_transport_quic::{Identity, Quic, QuicOptions};
use millpond_transport_unix::{Unix, UnixOptions};
use serde_json::json;

use crate::folder::ScratchFolder;
use crate::raw_quinn::RawQuinn;
use crate::report::{Figures, Report, median};
use crate::workload::Random;
use crate::{Common, Result, replicas};

pub const NAME: &str = "bulk";
pub const ABOUT: &str = "values of 64 KiB in one direction over one link: QUIC, libp2p over TCP, a Unix socket; and a \
                         catch-up over QUIC between replicas in memory. Limit: a stream of quinn. Bar (B5): QUIC carries \
                         0.85 of the limit, libp2p half of that, a Unix socket more than both";

/// What can be varied.
#[derive(Args)]
pub struct Parameters {
    #[command(flatten)]
    pub common: Common,
    /// MiB that each side carries in a sample.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    mib: u32,
}

pub async fn run(parameters: &Parameters, folder: &ScratchFolder) -> Result<Report> {
    let count = parameters.mib as usize * ((1 << 20) / VALUE_BYTES);
    let mut random = Random::new(0);
    let chunk = random.value(VALUE_BYTES);
    let mut raw = RawQuinn::connect(&pkcs8([1; 32])).await?;
    let links = Links::connect(folder).await?;
    let node = Replica::builder_in_memory().name("node").open().await?;
    replicas::load(&node, &random.rows(count, VALUE_BYTES), &["v".to_owned()]).await?;
    let rate = |took: Duration| (count * VALUE_BYTES) as f64 / took.as_secs_f64() / 1e6;
    let (mut limits, mut rates) = (Vec::new(), vec![Vec::new(); links.all.len()]);
    let mut caught_up = Vec::new();
    for number in 1..=parameters.common.samples {
        limits.push(rate(raw.carry(&chunk, count).await?));
        for (rates, (_, near, far)) in rates.iter_mut().zip(&links.all) {
            rates.push(rate(carry(&**near, &**far, &chunk, count).await?));
        }
        caught_up.push(rate(catch_up(&node).await?));
        let last = |rates: &[f64]| rates.last().copied().unwrap_or(0.0);
        let each = links.all.iter().zip(&rates);
        let each: Vec<String> =
            each.map(|((name, ..), rates)| format!("{name} {:.0}", last(rates))).collect();
        eprintln!(
            "sample {number}: quinn {:.0} MB/s, {}, catch-up {:.0}",
            last(&limits),
            each.join(", "),
            last(&caught_up)
        );
    }
    node.close().await;
    links.close().await;
    let limit = median(&limits);
    let [quic, libp2p, unix] = [0, 1, 2].map(|index| median(&rates[index]));
    let figures = Figures { unit: "MB/s", samples: rates.swap_remove(0), limit };
    let described = json!({ "mib": parameters.mib, "value_bytes": VALUE_BYTES });
    let report = Report::new(NAME, described, figures, folder)
        .with("limit_samples", limits)
        .with("libp2p_mb_per_s", libp2p)
        .with("libp2p_of_quic", libp2p / quic)
        .with("unix_mb_per_s", unix)
        .with("catch_up_mb_per_s", median(&caught_up))
        .with("catch_up_of_limit", median(&caught_up) / limit);
    let is_met =
        report.ratio() >= QUIC_MIN && libp2p >= quic * LIBP2P_MIN && unix > quic.max(libp2p);
    let text = "QUIC 0.85 of quinn; libp2p half of QUIC; a Unix socket ahead of both";
    Ok(report.judged(folder, text.into(), is_met))
}

type Pair = (&'static str, Box<dyn Link>, Box<dyn Link>);

/// A link of each transport, and what it is of.
struct Links {
    all: Vec<Pair>,
    transports: Vec<Arc<dyn Transport>>,
}

impl Links {
    async fn connect(folder: &ScratchFolder) -> Result<Self> {
        let any_port = "127.0.0.1:0".parse()?;
        let (one, other) = (pkcs8([1; 32]), pkcs8([2; 32]));
        let key = Identity::from_pkcs8(&other)?.key();
        let quic = |key: &[u8]| -> Result<Arc<dyn Transport>> {
            let identity = Identity::from_pkcs8(key)?;
            Ok(Arc::new(Quic::bind(&identity, any_port, QuicOptions::default())?))
        };
        let libp2p = |key: &[u8]| -> Result<Arc<dyn Transport>> {
            Ok(Arc::new(Libp2p::bind(key, any_port, Libp2pOptions::default())?))
        };
        let unix = |key: &[u8], name: &str| -> Result<Arc<dyn Transport>> {
            Ok(Arc::new(Unix::bind(key, folder.path().join(name), UnixOptions::default())?))
        };
        let ends = [
            ("QUIC", quic(&one)?, quic(&other)?),
            ("libp2p", libp2p(&one)?, libp2p(&other)?),
            ("Unix socket", unix(&one, "one")?, unix(&other, "other")?),
        ];
        let (mut all, mut transports) = (Vec::new(), Vec::new());
        for (name, near, far) in ends {
            let address = far.local_address();
            let (dialed, accepted) = tokio::join!(near.dial(&address, key), far.accept());
            all.push((name, dialed?, accepted.ok_or("the endpoint is closed")?));
            transports.extend([near, far]);
        }
        Ok(Self { all, transports })
    }

    async fn close(self) {
        for transport in self.transports {
            transport.close().await;
        }
    }
}

/// How long so many frames take on the lane for bulk.
async fn carry(near: &dyn Link, far: &dyn Link, chunk: &[u8], count: usize) -> Result<Duration> {
    let frame = frame(1, 1, chunk);
    let start = Instant::now();
    let sending = async {
        for _ in 0..count {
            near.send(Lane::Bulk, frame.clone()).await?;
        }
        Ok::<_, LinkError>(())
    };
    let receiving = async {
        for _ in 0..count {
            far.receive(Lane::Bulk).await?;
        }
        Ok(())
    };
    tokio::try_join!(sending, receiving)?;
    Ok(start.elapsed())
}

/// How long a new replica takes from its start until it holds what this one does.
async fn catch_up(node: &Replica) -> Result<Duration> {
    let vv = node.read()?.vv().clone();
    let invite = node.invite(InviteOptions::default()).await?;
    let start = Instant::now();
    let peer = Replica::builder_in_memory().name("peer").join(invite).open().await?;
    replicas::covers(&peer, &vv).await?;
    let took = start.elapsed();
    node.remove(peer.key()).await?;
    peer.close().await;
    Ok(took)
}

const VALUE_BYTES: usize = 64 << 10;
const QUIC_MIN: f64 = 0.85;
const LIBP2P_MIN: f64 = 0.5;
