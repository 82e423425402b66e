//! A libp2p node of other make, which opens streams by hand.

use async_trait::async_trait;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::identity::Keypair;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol, SwarmBuilder, noise, tcp, yamux};
use millpond_core::transport::Lane;
use millpond_transport_conformance::{RawLink, Seed};
use tokio::task::AbortHandle;

pub struct Raw {
    session: Stream,
    control: Stream,
    bulk: Stream,
    _swarm: Running,
}

struct Running(AbortHandle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub fn pair(mut seed: Seed) -> Keypair {
    Keypair::ed25519_from_bytes(&mut seed[..]).unwrap()
}

impl Raw {
    pub async fn open(to: &str, pair: Keypair, expected: PeerId) -> Self {
        let to: Multiaddr = to.parse().unwrap();
        let builder = SwarmBuilder::with_existing_identity(pair)
            .with_tokio()
            .with_tcp(
                tcp::Config::default().nodelay(true),
                noise::Config::new,
                yamux::Config::default,
            )
            .unwrap();
        #[cfg(feature = "quic")]
        let builder = builder.with_quic();
        let mut swarm = builder
            .with_behaviour(|_| libp2p_stream::Behaviour::new())
            .unwrap()
            .with_swarm_config(|config| {
                config.with_idle_connection_timeout(std::time::Duration::from_secs(60))
            })
            .build();
        let mut control = swarm.behaviour().new_control();
        swarm.dial(DialOpts::peer_id(expected).addresses(vec![to]).build()).unwrap();
        let swarm = tokio::spawn(async move {
            loop {
                swarm.select_next_some().await;
            }
        });
        let swarm = Running(swarm.abort_handle());
        let mut streams = Vec::new();
        for name in ["/millpond/1/session", "/millpond/1/control", "/millpond/1/bulk"] {
            streams.push(control.open_stream(expected, StreamProtocol::new(name)).await.unwrap());
        }
        let [session, control, bulk] = streams.try_into().unwrap();
        Self { session, control, bulk, _swarm: swarm }
    }

    fn lane(&mut self, lane: Lane) -> &mut Stream {
        match lane {
            Lane::Control => &mut self.control,
            Lane::Bulk => &mut self.bulk,
        }
    }
}

#[async_trait]
impl RawLink for Raw {
    async fn write(&mut self, lane: Lane, bytes: &[u8]) {
        self.lane(lane).write_all(bytes).await.unwrap();
        self.lane(lane).flush().await.unwrap();
    }

    async fn end(&mut self, lane: Lane) {
        self.lane(lane).close().await.unwrap();
    }

    /// With a goodbye, since that is what a peer is told.
    async fn ended(&mut self) {
        let mut word = [0];
        while word != [1] {
            self.session.read_exact(&mut word).await.expect("a goodbye comes before the end");
        }
    }
}
