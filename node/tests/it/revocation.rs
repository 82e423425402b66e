//! A member is removed from a running cluster: over whatever transport it is linked, its links end at once, it gets no
//! new ones, and what it wrote before stays.

use std::sync::Arc;
use std::time::{Duration, Instant};

use millpond::{Config, InviteOptions, OwnTransport, Replica};
use millpond_transport_libp2p::{Libp2p, Libp2pOptions};

use crate::cluster::{Cluster, put, until, value};

fn libp2p() -> OwnTransport {
    OwnTransport::new(|pkcs8| {
        let any_port = "127.0.0.1:0".parse().unwrap();
        let bound = Libp2p::bind(pkcs8, any_port, Libp2pOptions::default());
        bound.map(|bound| Arc::new(bound) as _).map_err(|error| error.to_string())
    })
}

/// Node 5, which is removed, is linked with node 2 by a Unix socket, with node 3 by libp2p, with others by QUIC.
fn over_three_transports(config: &mut Config) {
    let number: u32 = config.name.trim_start_matches("node-").parse().unwrap();
    if [2, 5].contains(&number) {
        config.also_listen = vec![format!("unix:{}.sock", config.dir.display())];
    }
    if [3, 5].contains(&number) {
        config.own_transports = vec![libp2p()];
    }
}

async fn links(node: &Replica) -> Vec<(String, String)> {
    let peers = node.status().await.peers.into_iter();
    let mut links: Vec<_> =
        peers.filter_map(|peer| Some((peer.name, peer.link?.transport))).collect();
    links.sort();
    links
}

async fn links_with(node: &Replica, other: &Replica) -> usize {
    let key = other.key().to_string();
    let peers = node.status().await.peers;
    peers.iter().filter(|peer| peer.key == key && peer.link.is_some()).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_members_links_end_within_a_second_over_all_transports() {
    let mut cluster = Cluster::start_with(5, over_three_transports).await;
    let revoked = cluster.nodes.pop().unwrap();
    let pairs = [("node-1", "quic"), ("node-2", "unix"), ("node-3", "libp2p"), ("node-4", "quic")];
    let expected = pairs.map(|(name, by)| (name.to_owned(), by.to_owned()));
    until("it is linked over three transports", async || links(&revoked).await == expected).await;

    let load = {
        let revoked = revoked.clone();
        tokio::spawn(async move {
            for number in 0_u32.. {
                let key = format!("revoked-{number}");
                if tokio::time::timeout(Duration::from_secs(1), put(&revoked, &key, "v"))
                    .await
                    .is_err()
                {
                    return number;
                }
                if revoked.status().await.peers.iter().all(|peer| peer.link.is_none()) {
                    return number;
                }
            }
            0
        })
    };
    put(&revoked, "before", "acknowledged").await;
    for node in &cluster.nodes {
        until("all have it", async || value(node, "before").is_some()).await;
    }

    cluster.nodes[0].remove(revoked.key()).await.unwrap();
    let removed = Instant::now();
    until("its links have ended at both ends", async || {
        let mut left = links(&revoked).await.len();
        for node in &cluster.nodes {
            left += links_with(node, &revoked).await;
        }
        left == 0
    })
    .await;
    let elapsed = removed.elapsed();
    assert!(elapsed < Duration::from_secs(1), "after {elapsed:?}");
    load.await.unwrap();

    // It asks again and again, and is refused; the others go on, with what it had written.
    until("it was refused", async || {
        let peers = revoked.status().await.peers;
        let errors = peers.iter().filter_map(|peer| peer.last_error.as_ref());
        errors.filter(|error| error.contains("is no member here")).count() > 0
    })
    .await;
    assert_eq!(links(&revoked).await, []);
    put(&cluster.nodes[1], "after", "others").await;
    cluster.converged().await;
    for node in &cluster.nodes {
        assert_eq!(value(node, "before").as_deref(), Some("acknowledged"));
        assert_eq!(links_with(node, &revoked).await, 0);
    }
    assert_eq!(value(&revoked, "after"), None);
    // A key that was removed is not barred: an admin may take it in again.
    cluster.nodes[0].invite(InviteOptions::default()).await.unwrap();
    revoked.close().await;
    cluster.close().await;
}
