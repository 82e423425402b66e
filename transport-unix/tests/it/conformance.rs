//! The suite that every transport passes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use millpond_core::NodeKey;
use millpond_core::transport::Transport;
use millpond_transport_conformance::path::Relay;
use millpond_transport_conformance::{Binding, Path, RawLink, Rig, Seed, pkcs8};
use millpond_transport_unix::{Unix, UnixOptions};
use ring::signature::KeyPair;
use tempfile::TempDir;

use crate::raw_peer::{Raw, pair};

/// Sockets in a folder of their own.
pub struct OverUnix {
    folder: TempDir,
    sockets: AtomicU32,
}

impl OverUnix {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), sockets: AtomicU32::new(0) }
    }

    fn new_path(&self) -> PathBuf {
        let number = self.sockets.fetch_add(1, Ordering::Relaxed);
        self.folder.path().join(format!("{number}.sock"))
    }
}

#[async_trait]
impl Rig for OverUnix {
    fn key(&self, seed: Seed) -> NodeKey {
        NodeKey::from_bytes(pair(seed).public_key().as_ref().try_into().unwrap())
    }

    async fn bind(&self, binding: Binding) -> Result<Arc<dyn Transport>, String> {
        let mut options = UnixOptions::default();
        options.handshake_timeout = Duration::from_secs(20);
        options.idle_timeout = binding.silence_max.unwrap_or(Duration::from_secs(60));
        options.keep_alive = options.idle_timeout / 10;
        let path = binding.at.map(|address| PathBuf::from(address.trim_start_matches("unix:")));
        let path = path.unwrap_or_else(|| self.new_path());
        let unix = Unix::bind(&pkcs8(binding.seed), path, options);
        unix.map(|unix| Arc::new(unix) as _).map_err(|error| error.to_string())
    }

    async fn path(&self, to: &str) -> Option<Box<dyn Path>> {
        let at = self.new_path();
        let relay = Relay::unix(to.trim_start_matches("unix:").into(), &at).unwrap();
        Some(Box::new(UnixPath { relay, at }))
    }

    async fn raw(&self, seed: Seed, to: &str, _: NodeKey) -> Option<Box<dyn RawLink>> {
        Some(Box::new(Raw::open(to, &pair(seed)).await.unwrap()))
    }
}

struct UnixPath {
    relay: Relay,
    at: PathBuf,
}

#[async_trait]
impl Path for UnixPath {
    fn address(&self) -> String {
        format!("unix:{}", self.at.display())
    }

    fn throttle(&self, bytes_per_s: Option<u64>) {
        self.relay.throttle(bytes_per_s);
    }

    fn cut(&self) {
        self.relay.cut();
    }
}

millpond_transport_conformance::conformance_tests!(OverUnix::new());
