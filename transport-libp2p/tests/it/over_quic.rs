//! The suite that every transport passes, with QUIC below libp2p.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use millpond_core::NodeKey;
use millpond_core::transport::Transport;
use millpond_transport_conformance::path::Relay;
use millpond_transport_conformance::{Binding, Path, RawLink, Rig, Seed, pkcs8};
use millpond_transport_libp2p::Libp2p;

use crate::conformance::{key, options, raw};

struct OverQuic;

/// The socket of `/ip4/ADDRESS/udp/PORT/quic-v1`.
fn socket(address: &str) -> SocketAddr {
    let socket = address.strip_prefix("/ip4/").unwrap().strip_suffix("/quic-v1").unwrap();
    socket.replace("/udp/", ":").parse().unwrap()
}

#[async_trait]
impl Rig for OverQuic {
    fn key(&self, seed: Seed) -> NodeKey {
        key(seed)
    }

    async fn bind(&self, binding: Binding) -> Result<Arc<dyn Transport>, String> {
        let at = binding.at.as_ref().map_or(([127, 0, 0, 1], 0).into(), |address| socket(address));
        let bound = Libp2p::bind_quic(&pkcs8(binding.seed), at, options(&binding));
        bound.map(|bound| Arc::new(bound) as _).map_err(|error| error.to_string())
    }

    async fn path(&self, to: &str) -> Option<Box<dyn Path>> {
        let (relay, address) = Relay::udp(socket(to)).await.unwrap();
        Some(Box::new(UdpPath { relay, address }))
    }

    async fn raw(&self, seed: Seed, to: &str, expected: NodeKey) -> Option<Box<dyn RawLink>> {
        raw(seed, to, expected).await
    }
}

struct UdpPath {
    relay: Relay,
    address: SocketAddr,
}

#[async_trait]
impl Path for UdpPath {
    fn address(&self) -> String {
        format!("/ip4/{}/udp/{}/quic-v1", self.address.ip(), self.address.port())
    }

    fn throttle(&self, bytes_per_s: Option<u64>) {
        self.relay.throttle(bytes_per_s);
    }

    fn cut(&self) {
        self.relay.cut();
    }
}

millpond_transport_conformance::conformance_tests!(OverQuic);
