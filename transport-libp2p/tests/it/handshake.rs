//! Who may connect to whom.

use std::time::Duration;

use futures::StreamExt;
use libp2p::identity::Keypair;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{SwarmEvent, dummy};
use libp2p::{Multiaddr, SwarmBuilder, noise, tcp, yamux};
use millpond_core::transport::{DialError, Lane, Transport};
use millpond_transport_conformance::pkcs8;
use millpond_transport_libp2p::{BindError, Libp2p, Libp2pOptions};

use crate::raw_peer::pair;

fn node(seed: u8) -> Libp2p {
    with(seed, Libp2pOptions::default())
}

fn with(seed: u8, options: Libp2pOptions) -> Libp2p {
    Libp2p::bind(&pkcs8([seed; 32]), "127.0.0.1:0".parse().unwrap(), options).unwrap()
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("took longer than 30 s")
}

/// The node's Ed25519 key, libp2p's peer id and what the link shows are one thing, at both ends.
#[tokio::test]
async fn the_nodes_key_is_the_peer_id_and_what_the_peer_sees() {
    let (dialer, acceptor) = (node(1), node(2));
    for (node, seed) in [(&dialer, 1), (&acceptor, 2)] {
        let public = pair([seed; 32]).public();
        let peer = public.to_peer_id();
        let key = node.key();
        assert_eq!(*key.as_bytes(), public.try_into_ed25519().unwrap().to_bytes());
        // An Ed25519 peer id is the key behind a fixed head: nothing is hashed, nothing can be exchanged.
        assert_eq!(
            peer.to_bytes(),
            [&[0x00, 0x24, 0x08, 0x01, 0x12, 0x20], &key.as_bytes()[..]].concat()
        );
    }
    let address = acceptor.local_address();
    let (dialed, accepted) =
        within(async { tokio::join!(dialer.dial(&address, acceptor.key()), acceptor.accept()) })
            .await;
    assert_eq!(dialed.unwrap().peer(), acceptor.key());
    assert_eq!(accepted.unwrap().peer(), dialer.key());
}

/// Noise proves the static key by a signature of the identity: whoever shows another one is not let in.
#[tokio::test]
async fn a_node_that_answers_with_another_key_is_refused_by_its_key() {
    let (dialer, acceptor, other) = (node(1), node(2), node(3));
    let dialed = within(dialer.dial(&acceptor.local_address(), other.key())).await;
    let Some(DialError::WrongKey { reason, .. }) = dialed.err() else { panic!() };
    assert!(reason.contains(&acceptor.key().short().to_string()), "{reason}");
}

#[tokio::test]
async fn a_libp2p_node_of_another_kind_is_incompatible() {
    let mut swarm = SwarmBuilder::with_existing_identity(pair([9; 32]))
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|_| dummy::Behaviour)
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
        .build();
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
    let address: Multiaddr = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            break address;
        }
    };
    let swarm = tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
    let dialer = node(1);
    let key = millpond_core::NodeKey::from_bytes(
        pair([9; 32]).public().try_into_ed25519().unwrap().to_bytes(),
    );
    let error = within(dialer.dial(&address.to_string(), key)).await.err().unwrap();
    assert!(matches!(error, DialError::Incompatible { .. }), "{error}");
    swarm.abort();
}

#[tokio::test]
async fn a_peer_with_another_kind_of_key_never_becomes_a_link() {
    let acceptor = node(2);
    let expected = pair([2; 32]).public().to_peer_id();
    let mut swarm = SwarmBuilder::with_existing_identity(Keypair::generate_ed25519())
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|_| dummy::Behaviour)
        .unwrap()
        .build();
    // It opens no streams: connected, and no link.
    let to = acceptor.local_address().parse().unwrap();
    swarm.dial(DialOpts::peer_id(expected).addresses(vec![to]).build()).unwrap();
    within(async {
        while !matches!(swarm.select_next_some().await, SwarmEvent::ConnectionEstablished { .. }) {}
    })
    .await;
    let dialer = node(1);
    let address = acceptor.local_address();
    let (dialed, accepted) =
        within(async { tokio::join!(dialer.dial(&address, acceptor.key()), acceptor.accept()) })
            .await;
    assert_eq!(accepted.unwrap().peer(), dialer.key());
    drop(dialed);
}

#[tokio::test]
async fn whoever_opens_no_streams_is_ended_at_the_deadline() {
    let mut options = Libp2pOptions::default();
    options.handshake_timeout = Duration::from_millis(300);
    let acceptor = with(2, options);
    let expected = pair([2; 32]).public().to_peer_id();
    let mut swarm = SwarmBuilder::with_existing_identity(pair([7; 32]))
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|_| dummy::Behaviour)
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
        .build();
    let to = acceptor.local_address().parse().unwrap();
    swarm.dial(DialOpts::peer_id(expected).addresses(vec![to]).build()).unwrap();
    within(async {
        while !matches!(swarm.select_next_some().await, SwarmEvent::ConnectionClosed { .. }) {}
    })
    .await;
}

#[tokio::test]
async fn a_blocked_peer_is_ended_and_refused_until_it_is_unblocked() {
    let (dialer, acceptor) = (node(1), node(2));
    let address = acceptor.local_address();
    let (dialed, accepted) =
        within(async { tokio::join!(dialer.dial(&address, acceptor.key()), acceptor.accept()) })
            .await;
    let (dialed, accepted) = (dialed.unwrap(), accepted.unwrap());
    acceptor.block(dialer.key());
    assert!(within(dialed.receive(Lane::Control)).await.is_err());
    assert!(within(accepted.receive(Lane::Control)).await.is_err());
    // The acceptor's verdict may come after the dial.
    if let Ok(link) = within(dialer.dial(&address, acceptor.key())).await {
        assert!(within(link.receive(Lane::Control)).await.is_err());
    }
    acceptor.unblock(dialer.key());
    let (dialed, accepted) =
        within(async { tokio::join!(dialer.dial(&address, acceptor.key()), acceptor.accept()) })
            .await;
    assert_eq!(accepted.unwrap().peer(), dialer.key());
    drop(dialed);
}

#[tokio::test]
async fn who_is_not_on_the_list_of_the_allowed_is_refused() {
    let (friend, stranger) = (node(1), node(3));
    let mut options = Libp2pOptions::default();
    options.allowed = Some([friend.key()].into());
    let acceptor = with(2, options);
    let address = acceptor.local_address();
    if let Ok(link) = within(stranger.dial(&address, acceptor.key())).await {
        assert!(within(link.receive(Lane::Control)).await.is_err());
    }
    let (dialed, accepted) =
        within(async { tokio::join!(friend.dial(&address, acceptor.key()), acceptor.accept()) })
            .await;
    assert_eq!(accepted.unwrap().peer(), friend.key());
    drop(dialed);
}

#[tokio::test]
async fn connections_of_one_peer_are_limited() {
    let mut options = Libp2pOptions::default();
    options.connections_per_peer_max = 2;
    let (dialer, acceptor) = (node(1), with(2, options));
    let address = acceptor.local_address();
    let mut links = Vec::new();
    for _ in 0..2 {
        let (dialed, accepted) = within(async {
            tokio::join!(dialer.dial(&address, acceptor.key()), acceptor.accept())
        })
        .await;
        links.push((dialed.unwrap(), accepted.unwrap()));
    }
    if let Ok(link) = within(dialer.dial(&address, acceptor.key())).await {
        assert!(within(link.receive(Lane::Control)).await.is_err());
    }
    for (dialed, accepted) in &links {
        dialed.send(Lane::Control, millpond_core::frame::frame(1, 1, b"x")).await.unwrap();
        within(accepted.receive(Lane::Control)).await.unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_bound_is_refused_with_its_reason() {
    let first = node(1);
    let taken = first.local_address().replace("/ip4/", "").replace("/tcp/", ":");
    let error = Libp2p::bind(&pkcs8([2; 32]), taken.parse().unwrap(), Libp2pOptions::default())
        .unwrap_err();
    assert!(
        matches!(error, BindError::Refused { .. }) && error.to_string().contains(&taken),
        "{error}"
    );
    let any = "0.0.0.0:0".parse().unwrap();
    let bound = Libp2p::bind(&pkcs8([2; 32]), any, Libp2pOptions::default());
    assert!(matches!(bound, Err(BindError::NoPort { .. })));
    let bound = Libp2p::bind(b"no key", "127.0.0.1:0".parse().unwrap(), Libp2pOptions::default());
    assert!(matches!(bound, Err(BindError::MalformedKey)));
}
