//! Members that reach each other by several transports.

use std::collections::BTreeSet;
use std::sync::Arc;

use millpond::{Config, OwnTransport, Replica};
use millpond_transport_libp2p::{Libp2p, Libp2pOptions};

use crate::cluster::{Cluster, put, until, value};
use crate::replication::rows;

/// A socket beside the node's folder.
fn with_socket(config: &mut Config) {
    config.also_listen = vec![format!("unix:{}.sock", config.dir.display())];
}

/// Brought along, so that it is there whatever was compiled in.
fn libp2p() -> OwnTransport {
    OwnTransport::new(|pkcs8| {
        let any_port = "127.0.0.1:0".parse().unwrap();
        let bound = Libp2p::bind(pkcs8, any_port, Libp2pOptions::default());
        bound.map(|bound| Arc::new(bound) as _).map_err(|error| error.to_string())
    })
}

fn number_of(config: &Config) -> u32 {
    config.name.trim_start_matches("node-").parse().unwrap()
}

/// Waits until a node is linked with these, each by this transport. A name may come later than its link.
async fn linked_so(node: &Replica, expected: &BTreeSet<(String, String)>) {
    let what = format!("{expected:?}");
    until(&what, async || {
        let status = node.status().await;
        let linked = status.peers.iter().filter_map(|peer| Some((peer, peer.link.as_ref()?)));
        let linked = linked.map(|(peer, link)| (peer.name.clone(), link.transport.clone()));
        linked.collect::<BTreeSet<_>>() == *expected
    })
    .await;
}

fn pairs<const N: usize>(expected: [(&str, &str); N]) -> BTreeSet<(String, String)> {
    expected.into_iter().map(|(name, transport)| (name.into(), transport.into())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_pair_of_nodes_takes_the_cheapest_transport_that_both_have() {
    let cluster = Cluster::start_with(5, |config| match number_of(config) {
        1 => {
            with_socket(config);
            config.own_transports = vec![libp2p()];
        }
        2 => with_socket(config),
        3 => config.own_transports = vec![libp2p()],
        _ => {}
    })
    .await;
    let (quic, unix, libp2p) = ("quic", "unix", "libp2p");
    let expected = [
        pairs([("node-2", unix), ("node-3", libp2p), ("node-4", quic), ("node-5", quic)]),
        pairs([("node-1", unix), ("node-3", quic), ("node-4", quic), ("node-5", quic)]),
        pairs([("node-1", libp2p), ("node-2", quic), ("node-4", quic), ("node-5", quic)]),
        pairs([("node-1", quic), ("node-2", quic), ("node-3", quic), ("node-5", quic)]),
        pairs([("node-1", quic), ("node-2", quic), ("node-3", quic), ("node-4", quic)]),
    ];
    for (node, expected) in cluster.nodes.iter().zip(expected) {
        linked_so(node, &expected).await;
    }

    let before = rows(&cluster).await;
    for round in 0..60 {
        for (number, node) in cluster.nodes.iter().enumerate() {
            put(node, &format!("{number}-{round}"), "value").await;
        }
    }
    cluster.converged().await;
    let after = rows(&cluster).await;
    let (received, new) = (after.0 - before.0, after.1 - before.1);
    println!("{:.4} copies of each update", received as f64 / new as f64);
    // A machine that stalls makes a node ask elsewhere, as in `each_update_crosses_each_node_about_once`.
    assert!(received * 100 <= new * 105, "{received} rows, {new} of them new");
    cluster.close().await;
}

/// What a member told before it moved leads nowhere, and the next address does.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lost_its_socket_is_reached_by_the_network() {
    let mut cluster = Cluster::start_with(2, with_socket).await;
    linked_so(&cluster.nodes[0], &pairs([("node-2", "unix")])).await;
    cluster.nodes.remove(1).close().await;
    cluster.configs[1].also_listen.clear();
    put(&cluster.nodes[0], "meanwhile", "written").await;
    cluster.nodes.push(Replica::open(cluster.configs[1].clone()).await.unwrap());
    until("it has what was written", async || value(&cluster.nodes[1], "meanwhile").is_some())
        .await;
    linked_so(&cluster.nodes[0], &pairs([("node-2", "quic")])).await;
    cluster.close().await;
}

/// Where no other address is told, libp2p is what is dialled.
#[cfg(feature = "libp2p")]
#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_reached_by_libp2p_as_its_config_says() {
    let cluster = Cluster::start_with(2, |config| {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        config.also_listen = vec![format!("/ip4/127.0.0.1/tcp/{}", free.port())];
        config.advertise.clone_from(&config.also_listen);
    })
    .await;
    linked_so(&cluster.nodes[0], &pairs([("node-2", "libp2p")])).await;
    put(&cluster.nodes[0], "by", "libp2p").await;
    cluster.converged().await;
    cluster.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn libp2p_that_is_asked_for_and_cannot_be_is_an_error_that_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(folder.path().join("node-1"));
    Replica::init(&config).unwrap();
    config.libp2p.mdns = true;
    let error = Replica::open(config.clone()).await.err().unwrap().to_string();
    assert!(error.contains("listens nowhere"), "{error}");
    config.also_listen = vec!["/ip4/127.0.0.1/tcp/0".into()];
    config.libp2p.relays = vec!["anna".into()];
    let error = Replica::open(config).await.err().unwrap().to_string();
    let expected = match cfg!(feature = "libp2p") {
        true => "\"anna\" is no address of a node",
        false => "built without libp2p",
    };
    assert!(error.contains(expected), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_no_transport_is_an_error_that_says_what_to_write() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(folder.path().join("node-1"));
    config.also_listen = vec!["tcp:127.0.0.1:1".into()];
    Replica::init(&config).unwrap();
    let error = Replica::open(config).await.err().unwrap().to_string();
    assert!(error.contains("unix:/PATH"), "{error}");
}
