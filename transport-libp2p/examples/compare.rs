//! What the transports cost on this machine: bytes in one direction on one bulk lane, and a small frame there and back
//! on control while nothing else happens. `cargo run --release -p millpond-transport-libp2p --example compare`

use std::time::{Duration, Instant};

use millpond_core::frame::frame;
use millpond_core::transport::{Lane, Link, Transport};
use millpond_transport_conformance::pkcs8;
use millpond_transport_libp2p::{Libp2p, Libp2pOptions};
use millpond_transport_quic::{Identity, Quic, QuicOptions};
use millpond_transport_unix::{Unix, UnixOptions};

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Fallible<()> {
    let folder = tempfile::tempdir()?;
    let any_port = "127.0.0.1:0".parse()?;
    let quic = |seed| {
        Quic::bind(&Identity::from_pkcs8(&pkcs8(seed))?, any_port, QuicOptions::default())
            .map_err(Into::into)
    };
    let libp2p = |seed| Libp2p::bind(&pkcs8(seed), any_port, Libp2pOptions::default());
    let unix = |name: &str, seed| {
        Unix::bind(&pkcs8(seed), folder.path().join(name), UnixOptions::default())
    };

    let (one, other): (Fallible<Quic>, Fallible<Quic>) = (quic([1; 32]), quic([2; 32]));
    let other = other?;
    measure(&one?, &other, other.key()).await?;
    let (one, other) = (libp2p([1; 32])?, libp2p([2; 32])?);
    measure(&one, &other, other.key()).await?;
    let (one, other) = (unix("one", [1; 32])?, unix("other", [2; 32])?);
    measure(&one, &other, other.key()).await?;
    Ok(())
}

async fn measure(
    one: &dyn Transport,
    other: &dyn Transport,
    key: millpond_core::NodeKey,
) -> Fallible<()> {
    let address = other.local_address();
    let (dialed, accepted) = tokio::join!(one.dial(&address, key), other.accept());
    let (dialed, accepted) = (dialed?, accepted.ok_or("it is closed")?);
    let (dialed, accepted): (&dyn Link, &dyn Link) = (&*dialed, &*accepted);

    let mut round_trips = Vec::new();
    let small = frame(1, 1, &[7; 100]);
    for _ in 0..ROUND_TRIPS {
        let start = Instant::now();
        dialed.send(Lane::Control, small.clone()).await?;
        let received = accepted.receive(Lane::Control).await?;
        accepted.send(Lane::Control, received).await?;
        dialed.receive(Lane::Control).await?;
        round_trips.push(start.elapsed());
    }
    round_trips.sort();

    let mut rates = Vec::new();
    let large = frame(2, 1, &[7; FRAME_BODY_BYTES]);
    for _ in 0..RUNS {
        let start = Instant::now();
        let sent = async {
            for _ in 0..FRAMES {
                dialed.send(Lane::Bulk, large.clone()).await?;
            }
            Ok::<(), millpond_core::transport::LinkError>(())
        };
        let received = async {
            for _ in 0..FRAMES {
                accepted.receive(Lane::Bulk).await?;
            }
            Ok(())
        };
        tokio::try_join!(sent, received)?;
        rates.push((FRAMES * FRAME_BODY_BYTES) as f64 / start.elapsed().as_secs_f64() / 1e6);
    }
    rates.sort_by(f64::total_cmp);
    let (median, p99) = (round_trips[ROUND_TRIPS / 2], round_trips[ROUND_TRIPS * 99 / 100]);
    println!(
        "{:8} {:6.0} MB/s (of {RUNS} runs: {:.0} to {:.0}), round trip p50 {} us, p99 {} us",
        dialed.transport(),
        rates[RUNS / 2],
        rates[0],
        rates[RUNS - 1],
        us(median),
        us(p99),
    );
    Ok(())
}

fn us(duration: Duration) -> u128 {
    duration.as_micros()
}

const ROUND_TRIPS: usize = 2_000;
const RUNS: usize = 5;
const FRAMES: usize = 4_096; // 256 MiB
const FRAME_BODY_BYTES: usize = 64 << 10;
