//! The suite that every transport passes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use millpond_core::NodeKey;
use millpond_core::transport::{Lane, Transport};
use millpond_transport_conformance::path::Relay;
use millpond_transport_conformance::{Binding, Path, RawLink, Rig, Seed, pkcs8};
use millpond_transport_quic::{Identity, Quic, QuicOptions};
use quinn::{Connection, Endpoint, RecvStream, SendStream};

use crate::raw_peer::{self, OUR_ALPN, holding};

pub struct OverQuic;

fn identity(seed: Seed) -> Identity {
    Identity::from_pkcs8(&pkcs8(seed)).unwrap()
}

#[async_trait]
impl Rig for OverQuic {
    fn key(&self, seed: Seed) -> NodeKey {
        identity(seed).key()
    }

    async fn bind(&self, binding: Binding) -> Result<Arc<dyn Transport>, String> {
        let mut options = QuicOptions::default();
        options.handshake_timeout = Duration::from_secs(10);
        options.idle_timeout = binding.silence_max.unwrap_or(Duration::from_secs(60));
        options.keep_alive = options.idle_timeout / 10;
        let at: SocketAddr = match binding.at {
            Some(address) => address.parse().map_err(|_| format!("{address:?} is no address"))?,
            None => "127.0.0.1:0".parse().unwrap(),
        };
        let quic = Quic::bind(&identity(binding.seed), at, options);
        quic.map(|quic| Arc::new(quic) as _).map_err(|error| error.to_string())
    }

    async fn path(&self, to: &str) -> Option<Box<dyn Path>> {
        let (relay, address) = Relay::udp(to.parse().unwrap()).await.unwrap();
        Some(Box::new(UdpPath { relay, address }))
    }

    async fn raw(&self, seed: Seed, to: &str, _: NodeKey) -> Option<Box<dyn RawLink>> {
        let key = holding(&identity(seed));
        let connected = raw_peer::connect(to.parse().unwrap(), OUR_ALPN, Some(key)).await;
        let (endpoint, connection) = connected.unwrap();
        let control = raw_peer::open(&connection, &[1, 0]).await;
        let bulk = raw_peer::open(&connection, &[1, 1]).await;
        Some(Box::new(Raw { control, bulk, connection, _endpoint: endpoint }))
    }
}

struct UdpPath {
    relay: Relay,
    address: SocketAddr,
}

#[async_trait]
impl Path for UdpPath {
    fn address(&self) -> String {
        self.address.to_string()
    }

    fn throttle(&self, bytes_per_s: Option<u64>) {
        self.relay.throttle(bytes_per_s);
    }

    fn cut(&self) {
        self.relay.cut();
    }

    async fn rebind(&self) -> bool {
        self.relay.rebind()
    }
}

struct Raw {
    control: (SendStream, RecvStream),
    bulk: (SendStream, RecvStream),
    connection: Connection,
    _endpoint: Endpoint,
}

impl Raw {
    fn lane(&mut self, lane: Lane) -> &mut SendStream {
        match lane {
            Lane::Control => &mut self.control.0,
            Lane::Bulk => &mut self.bulk.0,
        }
    }
}

#[async_trait]
impl RawLink for Raw {
    async fn write(&mut self, lane: Lane, bytes: &[u8]) {
        self.lane(lane).write_all(bytes).await.unwrap();
    }

    async fn end(&mut self, lane: Lane) {
        self.lane(lane).finish().unwrap();
    }

    async fn ended(&mut self) {
        self.connection.closed().await;
    }
}

millpond_transport_conformance::conformance_tests!(OverQuic);
