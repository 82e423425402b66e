//! A member changes its key in a running cluster: bar B8, over real QUIC sockets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use millpond::{Concern, Config, OwnTransport, Replica};
use millpond_core::NodeKey;
use millpond_transport_libp2p::{Libp2p, Libp2pOptions};

use crate::cluster::{Cluster, path, put, put_in, until, value};

/// Writes at all nodes, as fast as each takes them, until it is told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    /// How many writes were acknowledged, over all nodes.
    acknowledged: Arc<AtomicU64>,
    writers: Vec<tokio::task::JoinHandle<BTreeMap<String, String>>>,
}

impl Load {
    fn start(nodes: &[Replica]) -> Self {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let writers = nodes.iter().enumerate().map(|(number, node)| {
            let (node, stop, acknowledged) = (node.clone(), stop.clone(), acknowledged.clone());
            tokio::spawn(async move {
                let mut last = BTreeMap::new();
                for round in 0_u64.. {
                    let (key, value) = (format!("{number}-{}", round % 500), round.to_string());
                    put(&node, &key, &value).await;
                    last.insert(key, value);
                    acknowledged.fetch_add(1, Relaxed);
                    if stop.load(Relaxed) {
                        break;
                    }
                }
                last
            })
        });
        let writers = writers.collect();
        Self { stop, acknowledged, writers }
    }

    async fn goes_on(&self) {
        let before = self.acknowledged.load(Relaxed);
        until("the load goes on", async || self.acknowledged.load(Relaxed) > before + 50).await;
    }

    /// What was acknowledged last, of each key.
    async fn end(self) -> BTreeMap<String, String> {
        self.stop.store(true, Relaxed);
        let mut all = BTreeMap::new();
        for writer in self.writers {
            all.extend(writer.await.unwrap());
        }
        all
    }
}

/// Which key each other node's link with this member shows.
async fn seen(nodes: &[Replica], member: &Replica) -> Vec<String> {
    let key = member.key().to_string();
    let mut seen = Vec::new();
    for node in nodes.iter().filter(|node| node.key() != member.key()) {
        let peers = node.status().await.peers;
        let peer = peers.into_iter().find(|peer| peer.key == key && peer.link.is_some());
        seen.extend(peer.map(|peer| peer.shows.unwrap_or(peer.key)));
    }
    seen
}

async fn shown_to_all(nodes: &[Replica], member: &Replica, key: NodeKey) {
    until("all are linked with it under its next key", async || {
        let seen = seen(nodes, member).await;
        seen.len() == nodes.len() - 1 && seen.iter().all(|seen| *seen == key.to_string())
    })
    .await;
}

async fn valid_keys(node: &Replica) -> usize {
    node.status().await.node.keys.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_changes_and_another_is_revoked_under_load() {
    let mut cluster = Cluster::start(5).await;
    let load = Load::start(&cluster.nodes);
    load.goes_on().await;

    // One that overlaps, and that all have to know before it is shown.
    let member = cluster.nodes[1].clone();
    let (first, role) = (member.key(), member.status().await.node.role);
    let incarnation = member.status().await.node.incarnation;
    let next = member.rotate_key(Some(Duration::from_secs(20))).await.unwrap();
    shown_to_all(&cluster.nodes, &member, next).await;
    load.goes_on().await;
    assert_eq!((member.key(), member.shown_key()), (first, next));
    let node = member.status().await.node;
    assert_eq!((node.role, node.incarnation), (role, incarnation), "it is the member that it was");
    // All members acknowledge a write of it, and of others.
    for node in [&member, &cluster.nodes[3]] {
        let write = node.write(move |tx| put_in(tx, path("for-all"), "v"));
        let receipt = write.concern(Concern::All).timeout(Duration::from_secs(20)).await.unwrap();
        drop(receipt);
    }

    // The old key is revoked before its overlap is over.
    assert_eq!(valid_keys(&member).await, 2);
    cluster.nodes[0].revoke_key(first).await.unwrap();
    until("the old key is valid nowhere", async || valid_keys(&member).await == 1).await;
    load.goes_on().await;

    // At once, as for a key that was stolen; and by the member that founded the domain.
    for index in [0, 2] {
        let member = cluster.nodes[index].clone();
        let next = member.rotate_key(Some(Duration::ZERO)).await.unwrap();
        shown_to_all(&cluster.nodes, &member, next).await;
        until("its old key is gone", async || valid_keys(&member).await == 1).await;
        load.goes_on().await;
    }

    let acknowledged = load.end().await;
    // Then a member is removed, whose key has changed before.
    cluster.converged().await;
    let revoked = cluster.nodes.remove(2);
    cluster.configs.remove(2);
    cluster.nodes[0].remove(revoked.key()).await.unwrap();
    let removed = Instant::now();
    until("its links have ended", async || seen(&cluster.nodes, &revoked).await.is_empty()).await;
    assert!(removed.elapsed() < Duration::from_secs(1), "after {:?}", removed.elapsed());

    cluster.converged().await;
    for (key, last) in &acknowledged {
        assert_eq!(value(&cluster.nodes[0], key).as_ref(), Some(last), "{key} was lost");
    }
    println!("{} writes acknowledged to the end, none lost", acknowledged.len());

    // Opened again, they show what they showed.
    drop(member);
    let shown: Vec<NodeKey> = cluster.nodes.iter().map(|node| node.shown_key()).collect();
    for (node, config) in cluster.nodes.drain(..).zip(&mut cluster.configs) {
        // Where they were, or nobody would find anybody.
        config.listen = node.listen_socket().unwrap();
        node.close().await;
    }
    for config in &cluster.configs {
        cluster.nodes.push(Replica::open(config.clone()).await.unwrap());
    }
    assert_eq!(cluster.nodes.iter().map(|node| node.shown_key()).collect::<Vec<_>>(), shown);
    cluster.linked().await;
    revoked.close().await;
    cluster.close().await;
}

fn libp2p() -> OwnTransport {
    OwnTransport::new(|pkcs8| {
        let any_port = "127.0.0.1:0".parse().unwrap();
        let bound = Libp2p::bind(pkcs8, any_port, Libp2pOptions::default());
        bound.map(|bound| Arc::new(bound) as _).map_err(|error| error.to_string())
    })
}

/// Of the first three: by a socket, by libp2p, which gets another port each time, and by both.
fn over_three_transports(config: &mut Config) {
    let number: u32 = config.name.trim_start_matches("node-").parse().unwrap();
    if number != 2 {
        config.also_listen = vec![format!("unix:{}.sock", config.dir.display())];
    }
    if number != 1 {
        config.own_transports = vec![libp2p()];
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_transports_show_the_next_key() {
    let cluster = Cluster::start_with(3, over_three_transports).await;
    for member in &cluster.nodes {
        let next = member.rotate_key(Some(Duration::ZERO)).await.unwrap();
        shown_to_all(&cluster.nodes, member, next).await;
    }
    let mut transports = std::collections::BTreeSet::new();
    for node in &cluster.nodes {
        let peers = node.status().await.peers;
        transports.extend(peers.into_iter().filter_map(|peer| Some(peer.link?.transport)));
    }
    println!("linked by {transports:?}");
    put(&cluster.nodes[2], "after", "all of it").await;
    cluster.converged().await;
    cluster.close().await;
}
