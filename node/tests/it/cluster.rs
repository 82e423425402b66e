//! Replicas on loopback, made for one test.

use std::time::Duration;

use bytes::Bytes;
use millpond::status::Status;
use millpond::{Config, InviteOptions, Replica, WriteError, WriteTx};
use millpond_core::{Path, Payload, PayloadKind};
use tempfile::TempDir;

/// Nodes of one domain, each in a folder of its own.
pub struct Cluster {
    pub nodes: Vec<Replica>,
    pub configs: Vec<Config>,
    pub folder: TempDir,
}

impl Cluster {
    /// `count` nodes that have joined and see each other.
    pub async fn start(count: usize) -> Self {
        Self::start_with(count, |_| {}).await
    }

    /// The same, with settings of the test's own.
    pub async fn start_with(count: usize, tune: impl Fn(&mut Config)) -> Self {
        let _ = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_test_writer()
            .try_init();
        let folder = tempfile::tempdir().unwrap();
        let mut cluster = Self { nodes: Vec::new(), configs: Vec::new(), folder };
        for number in 1..=count {
            let mut config = Config::new(cluster.folder.path().join(format!("node-{number}")));
            config.state_dir = Some(cluster.folder.path().join("state"));
            config.digest_interval = Duration::from_secs(1);
            tune(&mut config);
            if let Some(first) = cluster.nodes.first() {
                let invite = first.invite(InviteOptions::default()).await.unwrap();
                Replica::prepare_join(&config, &invite).unwrap();
            } else {
                Replica::init(&config).unwrap();
            }
            let node = Replica::open(config.clone()).await.unwrap();
            within("joined", node.joined()).await.unwrap();
            cluster.nodes.push(node);
            cluster.configs.push(config);
        }
        cluster.linked().await;
        cluster
    }

    /// Waits until every node is linked to every other and feeds it.
    pub async fn linked(&self) {
        for node in &self.nodes {
            let others = self.nodes.len() - 1;
            until("every node feeds every other", async || {
                let status = node.status().await;
                let feeding = |peer: &&millpond::status::PeerStatus| {
                    peer.link.as_ref().is_some_and(|link| link.feeding && link.fed)
                };
                status.peers.iter().filter(feeding).count() == others
            })
            .await;
        }
    }

    /// Waits until all nodes have the same vector, and asserts that they hold the same data.
    pub async fn converged(&self) {
        until("all vectors are equal", async || {
            let vv = self.nodes[0].read().unwrap().vv().clone();
            self.nodes.iter().all(|node| *node.read().unwrap().vv() == vv)
        })
        .await;
        let mut seals = Vec::new();
        for node in &self.nodes {
            seals.push(node.seal().await.unwrap());
        }
        assert!(seals.windows(2).all(|pair| pair[0] == pair[1]), "{seals:#?}");
    }

    pub async fn close(self) {
        for node in &self.nodes {
            node.close().await;
        }
    }
}

/// Puts a value at `data / key / value`.
pub async fn put(node: &Replica, key: &str, value: &str) {
    let (path, value) = (path(key), value.to_string());
    node.write(move |tx| put_in(tx, path, &value)).await.unwrap();
}

pub fn put_in(tx: &mut WriteTx<'_>, path: Path, value: &str) -> Result<(), WriteError> {
    let bytes = Bytes::copy_from_slice(value.as_bytes());
    tx.put(path, Payload { kind: PayloadKind::LWW, bytes })
}

pub fn path(key: &str) -> Path {
    Path::new(["data", key, "value"]).unwrap()
}

/// The value that a reader sees at `data / key / value`.
pub fn value(node: &Replica, key: &str) -> Option<String> {
    let entry = node.read().unwrap().entry(&path(key)).unwrap();
    let live = millpond_core::types::lww::read(&entry)?;
    Some(String::from_utf8(live.payload.bytes.to_vec()).unwrap())
}

/// Sums a counter over all nodes and peers.
pub async fn total(nodes: &[Replica], count: impl Fn(&Status) -> u64) -> u64 {
    let mut total = 0;
    for node in nodes {
        total += count(&node.status().await);
    }
    total
}

/// Waits for a condition, with a deadline.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        let mut interval = tokio::time::interval(Duration::from_millis(10));
        while !holds().await {
            interval.tick().await;
        }
    };
    within(what, wait).await;
}

/// Waits for a future, with a deadline.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(30), future).await {
        Ok(value) => value,
        Err(_) => panic!("not within 30 s: {what}"),
    }
}
