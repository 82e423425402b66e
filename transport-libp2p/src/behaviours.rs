//! What the swarm is made of: what is always there, and what is asked for.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libp2p::allow_block_list::{self, AllowedPeers, BlockedPeers};
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::kad::store::MemoryStore;
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{
    PeerId, StreamProtocol, Swarm, Transport as _, autonat, dcutr, identify, kad, mdns, noise,
    ping, relay, tcp, yamux,
};

use crate::address::Below;
use crate::identity;
use crate::limits::{
    CIRCUITS_MAX, HANDSHAKES_MAX, RELAYED_STREAMS_MAX, RESERVATIONS_MAX, STREAMS_MAX,
};
use crate::streams;
use crate::transport::Libp2pOptions;

/// What the swarm does. Without the options that say so, nothing here finds peers or carries for others: members tell
/// each other where they are.
#[derive(NetworkBehaviour)]
#[behaviour(prelude = "libp2p::swarm::derive_prelude")]
pub(crate) struct Behaviours {
    limits: connection_limits::Behaviour,
    pub(crate) blocked: allow_block_list::Behaviour<BlockedPeers>,
    allowed: Toggle<allow_block_list::Behaviour<AllowedPeers>>,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    pub(crate) links: streams::Behaviour,
    mdns: Toggle<mdns::tokio::Behaviour>,
    pub(crate) kademlia: Toggle<kad::Behaviour<MemoryStore>>,
    relay: Toggle<relay::Behaviour>,
    relayed: Toggle<relay::client::Behaviour>,
    punching: Toggle<dcutr::Behaviour>,
    reachable: Toggle<autonat::v2::client::Behaviour>,
    dials_back: Toggle<autonat::v2::server::Behaviour>,
}

/// The members of the domain, for whom alone a relay carries.
pub(crate) type Members = Arc<Mutex<HashSet<PeerId>>>;

/// A swarm that listens nowhere yet.
pub(crate) fn build(
    pair: Keypair,
    below: Below,
    options: &Libp2pOptions,
    members: &Members,
) -> Result<Swarm<Behaviours>, String> {
    let transport = transport(&pair, below, options).map_err(|error| error.to_string())?;
    let streams_max = streams_max(options);
    let muxer = move || yamux_config(streams_max);
    let swarm = libp2p::SwarmBuilder::with_existing_identity(pair)
        .with_tokio()
        .with_other_transport(|_| transport)
        .unwrap_or_else(|never: Infallible| match never {})
        .with_relay_client(noise::Config::new, muxer)
        .map_err(|error| error.to_string())?
        .with_behaviour(|pair, client| {
            behaviours(pair, client, options, members).map_err(Into::into)
        })
        .map_err(|error| error.to_string())?
        // Connections that serve nothing any more end soon.
        .with_swarm_config(|config| config.with_idle_connection_timeout(options.handshake_timeout))
        .with_connection_timeout(options.handshake_timeout)
        .build();
    Ok(swarm)
}

fn behaviours(
    pair: &Keypair,
    client: relay::client::Behaviour,
    options: &Libp2pOptions,
    members: &Members,
) -> std::io::Result<Behaviours> {
    let me = pair.public().to_peer_id();
    let agent = concat!("millpond/", env!("CARGO_PKG_VERSION")).to_owned();
    let identify = identify::Config::new("/millpond/1".to_owned(), pair.public())
        .with_agent_version(agent)
        // Members tell addresses themselves, to members. A table of addresses is made of what all tell.
        .with_hide_listen_addrs(!options.kademlia);
    let ping =
        ping::Config::new().with_interval(options.keep_alive).with_timeout(options.idle_timeout);
    let limits = ConnectionLimits::default()
        .with_max_pending_incoming(Some(HANDSHAKES_MAX))
        .with_max_established(Some(options.connections_max))
        .with_max_established_per_peer(Some(options.connections_per_peer_max));
    let mut blocked = allow_block_list::Behaviour::<BlockedPeers>::default();
    for peer in options.blocked.iter().copied().filter_map(identity::peer_of) {
        blocked.block_peer(peer);
    }
    let allowed = options.allowed.as_ref().map(|allowed| {
        let mut list = allow_block_list::Behaviour::<AllowedPeers>::default();
        for peer in allowed.iter().copied().filter_map(identity::peer_of) {
            list.allow_peer(peer);
        }
        list
    });
    let patience = options.hole_punching.then_some(options.handshake_timeout * PUNCH_TENTHS / 10);
    let mdns = mdns::Config { query_interval: MDNS_INTERVAL, ..mdns::Config::default() };
    let mdns = options.mdns.then(|| mdns::tokio::Behaviour::new(mdns, me)).transpose()?;
    let uses_relays = !options.relays.is_empty();
    Ok(Behaviours {
        limits: connection_limits::Behaviour::new(limits),
        blocked,
        allowed: allowed.into(),
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::new(ping),
        links: streams::Behaviour::new(options.handshake_timeout, patience),
        mdns: mdns.into(),
        kademlia: options.kademlia.then(|| kademlia(me)).into(),
        relay: options.relay_for_members.then(|| relay_server(me, members)).into(),
        relayed: uses_relays.then_some(client).into(),
        punching: options.hole_punching.then(|| dcutr::Behaviour::new(me)).into(),
        reachable: options.hole_punching.then(autonat::v2::client::Behaviour::default).into(),
        dials_back: options.relay_for_members.then(autonat::v2::server::Behaviour::default).into(),
    })
}

/// A table of addresses, and no store: what others want kept here is not.
fn kademlia(me: PeerId) -> kad::Behaviour<MemoryStore> {
    let mut config = kad::Config::new(KADEMLIA);
    config
        .set_kbucket_inserts(kad::BucketInserts::Manual)
        .set_record_filtering(kad::StoreInserts::FilterBoth);
    let mut kademlia = kad::Behaviour::with_config(me, MemoryStore::new(me), config);
    kademlia.set_mode(Some(kad::Mode::Server));
    kademlia
}

/// A relay that carries whatever comes, for as long as it comes, between members only.
fn relay_server(me: PeerId, members: &Members) -> relay::Behaviour {
    let for_members = || {
        let members = Arc::clone(members);
        let is_member = move |peer: PeerId, _: &libp2p::Multiaddr, _| {
            members.lock().unwrap_or_else(PoisonError::into_inner).contains(&peer)
        };
        Box::new(is_member) as Box<dyn relay::RateLimiter>
    };
    let config = relay::Config {
        max_reservations: RESERVATIONS_MAX,
        max_circuits: CIRCUITS_MAX,
        max_circuits_per_peer: RELAYED_STREAMS_MAX,
        max_circuit_duration: CIRCUIT_TIME,
        max_circuit_bytes: 0, // no limit
        reservation_rate_limiters: vec![for_members()],
        circuit_src_rate_limiters: vec![for_members()],
        ..relay::Config::default()
    };
    let mut relay = relay::Behaviour::new(me, config);
    // Whether it can be reached is up to whoever has asked for it.
    relay.set_status(Some(relay::Status::Enable));
    relay
}

/// What connections are made of.
fn transport(
    pair: &Keypair,
    below: Below,
    options: &Libp2pOptions,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, noise::Error> {
    match below {
        Below::Tcp => {
            let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
                .upgrade(Version::V1Lazy)
                .authenticate(noise::Config::new(pair)?)
                .multiplex(yamux_config(streams_max(options)))
                .timeout(options.handshake_timeout);
            Ok(tcp.boxed())
        }
        #[cfg(feature = "quic")]
        Below::Quic => Ok(crate::quic::transport(pair, options)),
    }
}

fn yamux_config(streams_max: usize) -> yamux::Config {
    let mut yamux = yamux::Config::default();
    yamux.set_max_num_streams(streams_max);
    yamux
}

/// Streams of one connection at the same time.
pub(crate) fn streams_max(options: &Libp2pOptions) -> usize {
    let is_relayed = options.relay_for_members || !options.relays.is_empty();
    STREAMS_MAX + if is_relayed { RELAYED_STREAMS_MAX } else { 0 }
}

/// Its own, so that no other network's nodes get into the table.
pub(crate) const KADEMLIA: StreamProtocol = StreamProtocol::new("/millpond/kad/1");
/// After a day a relayed link is made anew.
const CIRCUIT_TIME: Duration = Duration::from_secs(24 * 3600);
/// How often the local net is asked.
const MDNS_INTERVAL: Duration = Duration::from_secs(60);
/// So many tenths of the deadline of a dial a relayed link waits for holes to be punched: a few round trips.
const PUNCH_TENTHS: u32 = 4;
