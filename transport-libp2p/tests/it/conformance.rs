//! The suite that every transport passes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use millpond_core::NodeKey;
use millpond_core::transport::Transport;
use millpond_transport_conformance::path::Relay;
use millpond_transport_conformance::{Binding, Path, RawLink, Rig, Seed, pkcs8};
use millpond_transport_libp2p::{Libp2p, Libp2pOptions};

use crate::raw_peer::{Raw, pair};

struct OverTcp;

/// The socket of `/ip4/ADDRESS/tcp/PORT`.
fn socket(address: &str) -> SocketAddr {
    let (ip, port) = address.strip_prefix("/ip4/").unwrap().split_once("/tcp/").unwrap();
    format!("{ip}:{port}").parse().unwrap()
}

pub fn key(seed: Seed) -> NodeKey {
    NodeKey::from_bytes(pair(seed).public().try_into_ed25519().unwrap().to_bytes())
}

pub fn options(binding: &Binding) -> Libp2pOptions {
    let mut options = Libp2pOptions::default();
    options.handshake_timeout = Duration::from_secs(20);
    options.idle_timeout = binding.silence_max.unwrap_or(Duration::from_secs(60));
    options.keep_alive = options.idle_timeout / 10;
    options
}

pub async fn raw(seed: Seed, to: &str, expected: NodeKey) -> Option<Box<dyn RawLink>> {
    let key = libp2p::identity::ed25519::PublicKey::try_from_bytes(expected.as_bytes()).unwrap();
    let peer = libp2p::identity::PublicKey::from(key).to_peer_id();
    Some(Box::new(Raw::open(to, pair(seed), peer).await))
}

#[async_trait]
impl Rig for OverTcp {
    fn key(&self, seed: Seed) -> NodeKey {
        key(seed)
    }

    async fn bind(&self, binding: Binding) -> Result<Arc<dyn Transport>, String> {
        let at = binding.at.as_ref().map_or(([127, 0, 0, 1], 0).into(), |address| socket(address));
        let bound = Libp2p::bind(&pkcs8(binding.seed), at, options(&binding));
        bound.map(|bound| Arc::new(bound) as _).map_err(|error| error.to_string())
    }

    async fn path(&self, to: &str) -> Option<Box<dyn Path>> {
        let (relay, address) = Relay::tcp(socket(to)).await.unwrap();
        Some(Box::new(TcpPath { relay, address }))
    }

    async fn raw(&self, seed: Seed, to: &str, expected: NodeKey) -> Option<Box<dyn RawLink>> {
        raw(seed, to, expected).await
    }
}

struct TcpPath {
    relay: Relay,
    address: SocketAddr,
}

#[async_trait]
impl Path for TcpPath {
    fn address(&self) -> String {
        format!("/ip4/{}/tcp/{}", self.address.ip(), self.address.port())
    }

    fn throttle(&self, bytes_per_s: Option<u64>) {
        self.relay.throttle(bytes_per_s);
    }

    fn cut(&self) {
        self.relay.cut();
    }
}

millpond_transport_conformance::conformance_tests!(OverTcp);
