//! Nodes whose addresses change.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use millpond::{Config, OwnTransport, Replica};
use millpond_transport_conformance::path::Relay;
use millpond_transport_libp2p::{Libp2p, Libp2pOptions};

use crate::cluster::{Cluster, put, until, value};

/// A port that nobody has at the moment.
fn free_udp() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn free_tcp() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn is_first(config: &Config) -> bool {
    config.name == "node-1"
}

/// Where nobody is: who tells this is never dialled with success.
const NOWHERE: &str = "127.0.0.1:1";

/// The address at which a node sees the peer that it is linked with, and how many links it has had.
async fn seen(node: &Replica) -> (Option<String>, u64) {
    let status = node.status().await;
    let link = status.peers.iter().find_map(|peer| peer.link.as_ref());
    (link.map(|link| link.remote_address.clone()), status.totals.links.links)
}

/// Writes at both nodes while `change` happens again and again, and waits until both hold all of it.
async fn written_through(cluster: &Cluster, rounds: usize, mut change: impl AsyncFnMut(usize)) {
    for round in 0..rounds {
        let writing = async {
            for number in 0..20 {
                for (node, replica) in cluster.nodes.iter().enumerate() {
                    put(replica, &format!("{node}-{round}-{number}"), "kept").await;
                }
            }
        };
        tokio::join!(writing, change(round));
    }
    until("every write is at every node", async || {
        cluster.nodes.iter().all(|node| {
            (0..cluster.nodes.len()).all(|writer| {
                (0..rounds).all(|round| {
                    (0..20)
                        .all(|number| value(node, &format!("{writer}-{round}-{number}")).is_some())
                })
            })
        })
    })
    .await;
    cluster.converged().await;
}

/// QUIC knows a connection by its number, not by its address: the dialler's port and address change under way, as
/// they do when a NAT forgets it or a laptop changes networks, and the link lives on.
#[tokio::test(flavor = "multi_thread")]
async fn a_quic_link_follows_a_peer_that_moves() {
    let listen = free_udp();
    let (relay, told) = Relay::udp(listen).await.unwrap();
    let cluster = Cluster::start_with(2, |config| {
        config.advertise = vec![NOWHERE.into()];
        if is_first(config) {
            config.listen = listen;
            config.advertise = vec![told.to_string()];
        }
    })
    .await;
    let (first, before) = (&cluster.nodes[0], seen(&cluster.nodes[0]).await);
    let mut addresses = vec![before.0.clone().unwrap()];
    written_through(&cluster, 6, async |_| {
        assert!(relay.rebind());
        until("the peer is seen at its new address", async || {
            let address = seen(first).await.0;
            address.is_some_and(|address| !addresses.contains(&address))
        })
        .await;
        addresses.extend(seen(first).await.0);
    })
    .await;
    assert_eq!(seen(first).await.1, before.1, "it is the same link all the time");
    let hosts = addresses.iter().map(|it| it.parse::<SocketAddr>().unwrap().ip());
    let mut hosts: Vec<_> = hosts.collect();
    hosts.sort();
    hosts.dedup();
    assert!(hosts.len() > 1 || cfg!(not(target_os = "linux")), "it moved to other addresses too");
    cluster.close().await;
}

/// A stream ends with its path. The link is made anew by another one, and what was under way is sent again.
async fn a_link_is_made_anew(cluster: Cluster, transport: &str, mut paths: Vec<Relay>) {
    let transport_of = async |node: &Replica| {
        let status = node.status().await;
        status.peers.iter().find_map(|peer| peer.link.as_ref().map(|it| it.transport.clone()))
    };
    assert_eq!(transport_of(&cluster.nodes[0]).await.as_deref(), Some(transport));
    let before = seen(&cluster.nodes[0]).await.1;
    let cuts = paths.len() - 1;
    written_through(&cluster, cuts, async |_| {
        let links = seen(&cluster.nodes[0]).await.1;
        drop(paths.remove(0));
        until("there is another link", async || {
            let (address, now) = seen(&cluster.nodes[0]).await;
            address.is_some() && now > links
        })
        .await;
    })
    .await;
    assert!(seen(&cluster.nodes[0]).await.1 >= before + cuts as u64);
    assert_eq!(transport_of(&cluster.nodes[0]).await.as_deref(), Some(transport));
    cluster.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_libp2p_link_that_lost_its_path_is_made_anew() {
    let listen = free_tcp();
    let (mut paths, mut told) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let (relay, address) = Relay::tcp(listen).await.unwrap();
        paths.push(relay);
        told.push(format!("/ip4/{}/tcp/{}", address.ip(), address.port()));
    }
    let cluster = Cluster::start_with(2, |config| {
        config.advertise = vec![NOWHERE.into()];
        let mut at = SocketAddr::from(([127, 0, 0, 1], 0));
        if is_first(config) {
            config.advertise.clone_from(&told);
            at = listen;
        }
        config.own_transports = vec![OwnTransport::new(move |pkcs8| {
            let bound = Libp2p::bind(pkcs8, at, Libp2pOptions::default());
            bound.map(|bound| Arc::new(bound) as _).map_err(|error| error.to_string())
        })];
    })
    .await;
    a_link_is_made_anew(cluster, "libp2p", paths).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_link_that_lost_its_path_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let listen = folder.path().join("node.sock");
    let (mut paths, mut told) = (Vec::new(), Vec::new());
    for number in 0..3 {
        let at = folder.path().join(format!("relay-{number}.sock"));
        paths.push(Relay::unix(listen.clone(), &at).unwrap());
        told.push(format!("unix:{}", at.display()));
    }
    let cluster = Cluster::start_with(2, |config| {
        config.advertise = vec![NOWHERE.into()];
        config.also_listen = vec![format!("unix:{}.sock", config.dir.display())];
        if is_first(config) {
            config.advertise.clone_from(&told);
            config.also_listen = vec![format!("unix:{}", listen.display())];
        }
    })
    .await;
    a_link_is_made_anew(cluster, "unix", paths).await;
}

/// Two nodes come back at other ports than those that each knew of the other. The third, which stayed, tells them.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_come_back_at_other_ports_are_found_again() {
    let mut cluster = Cluster::start(3).await;
    let mut before = Vec::new();
    for number in [2, 1] {
        let node = cluster.nodes.remove(number);
        before.push(node.local_address().unwrap());
        put(&node, &format!("last-{number}"), "written").await;
        node.close().await;
    }
    // Their ports are taken by others, so that they cannot come back at them.
    let _taken: Vec<_> = before.iter().filter_map(|it| UdpSocket::bind(it).ok()).collect();
    put(&cluster.nodes[0], "meanwhile", "written").await;
    for number in [1, 2] {
        let node = Replica::open(cluster.configs[number].clone()).await.unwrap();
        assert!(!before.contains(&node.local_address().unwrap()), "it has moved");
        cluster.nodes.push(node);
    }
    cluster.linked().await;
    cluster.converged().await;
    for node in &cluster.nodes {
        for key in ["last-1", "last-2", "meanwhile"] {
            assert!(value(node, key).is_some(), "{key} is at each node");
        }
    }
    cluster.close().await;
}
