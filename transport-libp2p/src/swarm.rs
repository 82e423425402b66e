//! The task that owns the swarm: it dials, makes links of connections, and closes them.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use libp2p::allow_block_list::{self, AllowedPeers, BlockedPeers};
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, ListenerId};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError, NetworkBehaviour, SwarmEvent};
use libp2p::{
    Multiaddr, PeerId, Swarm, Transport as _, TransportError, identify, noise, ping, tcp, yamux,
};
use millpond_core::NodeKey;
use millpond_core::transport::LinkError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use crate::address::Below;
use crate::identity;
use crate::link::Libp2pLink;
use crate::session::{self, Session};
use crate::streams::{self, Opened, Streams};
use crate::transport::{Libp2pOptions, STOPPED};

/// What the swarm is made of. Nothing here finds peers: members tell each other where they are.
#[derive(NetworkBehaviour)]
#[behaviour(prelude = "libp2p::swarm::derive_prelude")]
pub(crate) struct Behaviours {
    limits: connection_limits::Behaviour,
    blocked: allow_block_list::Behaviour<BlockedPeers>,
    allowed: Toggle<allow_block_list::Behaviour<AllowedPeers>>,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    links: streams::Behaviour,
}

/// What is asked of the task.
pub(crate) enum Command {
    Dial {
        peer: PeerId,
        addresses: Vec<Multiaddr>,
        reply: oneshot::Sender<Result<Libp2pLink, Refusal>>,
    },
    /// The link of this connection has ended, and its goodbye is said.
    Ended(ConnectionId),
    Block(PeerId),
    Unblock(PeerId),
    Shutdown,
}

/// Why a dial gave no link.
#[derive(Debug)]
pub(crate) enum Refusal {
    Unreachable(String),
    WrongKey(String),
    Incompatible(String),
}

/// A swarm that listens nowhere yet.
pub(crate) fn build(
    pair: Keypair,
    below: Below,
    options: &Libp2pOptions,
) -> Result<Swarm<Behaviours>, String> {
    let agent = concat!("millpond/", env!("CARGO_PKG_VERSION")).to_owned();
    let identify = identify::Config::new("/millpond/1".to_owned(), pair.public())
        .with_agent_version(agent)
        .with_hide_listen_addrs(true); // members tell addresses themselves, to members
    let ping =
        ping::Config::new().with_interval(options.keep_alive).with_timeout(options.idle_timeout);
    let limits = ConnectionLimits::default()
        .with_max_pending_incoming(Some(PENDING_MAX))
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
    let behaviours = Behaviours {
        limits: connection_limits::Behaviour::new(limits),
        blocked,
        allowed: allowed.into(),
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::new(ping),
        links: streams::Behaviour::new(options.handshake_timeout),
    };
    let transport = below_swarm(&pair, below, options).map_err(|error| error.to_string())?;
    let swarm = libp2p::SwarmBuilder::with_existing_identity(pair)
        .with_tokio()
        .with_other_transport(|_| transport)
        .unwrap_or_else(|never: Infallible| match never {})
        .with_behaviour(|_| behaviours)
        .map_err(|error| error.to_string())?
        .with_swarm_config(|config| config)
        .with_connection_timeout(options.handshake_timeout)
        .build();
    Ok(swarm)
}

/// What connections are made of.
fn below_swarm(
    pair: &Keypair,
    below: Below,
    options: &Libp2pOptions,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, noise::Error> {
    match below {
        Below::Tcp => {
            let mut yamux = yamux::Config::default();
            yamux.set_max_num_streams(STREAMS_MAX);
            let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
                .upgrade(Version::V1Lazy)
                .authenticate(noise::Config::new(pair)?)
                .multiplex(yamux)
                .timeout(options.handshake_timeout);
            Ok(tcp.boxed())
        }
        #[cfg(feature = "quic")]
        Below::Quic => Ok(crate::quic::transport(pair, options)),
    }
}

/// The state of the task.
pub(crate) struct Driver {
    pub(crate) swarm: Swarm<Behaviours>,
    pub(crate) below: Below,
    pub(crate) listener: ListenerId,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    /// For links to say that they have ended.
    pub(crate) ended: mpsc::WeakUnboundedSender<Command>,
    pub(crate) ready: mpsc::Sender<Libp2pLink>,
    pub(crate) options: Libp2pOptions,
    pub(crate) dials: HashMap<ConnectionId, oneshot::Sender<Result<Libp2pLink, Refusal>>>,
    pub(crate) connections: HashMap<ConnectionId, Connection>,
}

/// An established connection.
pub(crate) struct Connection {
    is_dialed: bool,
    remote_address: String,
    session: Option<Arc<Session>>,
}

impl Driver {
    /// Runs until it is shut down, or nobody is left to command it.
    pub(crate) async fn run(mut self) {
        let period = self.options.keep_alive.max(Duration::from_millis(10));
        let mut look = interval_at(Instant::now() + period, period);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.event(event),
                command = self.commands.recv() => match command {
                    Some(Command::Shutdown) | None => break,
                    Some(command) => self.command(command),
                },
                _ = look.tick() => self.end_the_silent(),
            }
        }
        self.shut_down().await;
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Dial { reply, .. } if reply.is_closed() => {} // it was dropped meanwhile
            Command::Dial { peer, addresses, reply } => {
                // Each dial is a link of its own, whoever is connected already.
                let dial =
                    DialOpts::peer_id(peer).addresses(addresses).condition(PeerCondition::Always);
                let dial = match self.below {
                    // From a port of its own, or the second to one peer would have the addresses of the first.
                    Below::Tcp => dial.allocate_new_port().build(),
                    #[cfg(feature = "quic")]
                    Below::Quic => dial.build(),
                };
                let connection = dial.connection_id();
                match self.swarm.dial(dial) {
                    Ok(()) => drop(self.dials.insert(connection, reply)),
                    Err(error) => drop(reply.send(Err(refusal(error)))),
                }
            }
            Command::Ended(connection) => drop(self.swarm.close_connection(connection)),
            Command::Block(peer) => drop(self.swarm.behaviour_mut().blocked.block_peer(peer)),
            Command::Unblock(peer) => drop(self.swarm.behaviour_mut().blocked.unblock_peer(peer)),
            Command::Shutdown => {}
        }
    }

    fn event(&mut self, event: SwarmEvent<BehavioursEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { connection_id, endpoint, .. } => {
                let (is_dialed, session) = (endpoint.is_dialer(), None);
                let remote_address = endpoint.get_remote_address().to_string();
                self.connections
                    .insert(connection_id, Connection { is_dialed, remote_address, session });
                if self.dials.get(&connection_id).is_some_and(|reply| reply.is_closed()) {
                    self.swarm.close_connection(connection_id);
                }
            }
            SwarmEvent::ConnectionClosed { connection_id, cause, .. } => {
                let why = cause.map_or("the peer is gone".to_owned(), |cause| cause.to_string());
                if let Some(reply) = self.dials.remove(&connection_id) {
                    let _ = reply.send(Err(Refusal::Unreachable(why)));
                }
                // Its link ends with its streams, after whatever goodbye came before their end.
                self.connections.remove(&connection_id);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                if let Some(reply) = self.dials.remove(&connection_id) {
                    let _ = reply.send(Err(refusal(error)));
                }
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                tracing::debug!(remote = %send_back_addr, %error, "inbound handshake failed");
            }
            SwarmEvent::Behaviour(BehavioursEvent::Links((connection, peer, opened))) => {
                self.opened(connection, peer, opened);
            }
            SwarmEvent::Behaviour(BehavioursEvent::Ping(ping::Event {
                connection,
                result,
                ..
            })) => {
                let known = self.connections.get(&connection);
                if let (Some(session), Ok(round_trip)) =
                    (known.and_then(|it| it.session.as_ref()), result)
                {
                    session.measured(round_trip);
                }
            }
            _ => {}
        }
    }

    fn opened(&mut self, id: ConnectionId, peer: PeerId, opened: Opened) {
        let dial = self.dials.remove(&id);
        let refusal = match opened {
            Opened::All(streams) => return self.linked(id, peer, *streams, dial),
            Opened::Incompatible => Refusal::Incompatible("it takes no lanes".to_owned()),
            Opened::Failed(reason) => Refusal::Unreachable(reason),
        };
        tracing::debug!(%peer, ?refusal, "a connection became no link");
        if let Some(session) = self.connections.get(&id).and_then(|it| it.session.clone()) {
            session.close(session::LANE_ENDED, "a stream was opened twice");
        } else {
            self.swarm.close_connection(id);
        }
        if let Some(reply) = dial {
            let _ = reply.send(Err(refusal));
        }
    }

    fn linked(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        streams: Streams,
        dial: Option<oneshot::Sender<Result<Libp2pLink, Refusal>>>,
    ) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Some(key) = identity::key_of(&peer) else { return }; // its connection was refused
        let session = Session::new();
        connection.session = Some(Arc::clone(&session));
        let (is_dialed, from) = (connection.is_dialed, connection.remote_address.clone());
        let link = Libp2pLink::new(
            Arc::clone(&session),
            streams.control,
            streams.bulk,
            key,
            is_dialed,
            from,
        );
        let (ended, keep_alive) = (self.ended.clone(), self.options.keep_alive);
        tokio::spawn(async move {
            session.run(streams.session, keep_alive).await;
            if let Some(commands) = ended.upgrade() {
                let _ = commands.send(Command::Ended(id));
            }
        });
        // A link that nobody takes, since the dial was dropped or too many wait, says goodbye as it is dropped.
        match dial {
            Some(reply) => drop(reply.send(Ok(link))),
            None => drop(self.ready.try_send(link)),
        }
    }

    /// A live peer says something now and then. A connection whose other end has vanished without
    /// a word would be kept by the system for minutes.
    fn end_the_silent(&mut self) {
        if self.options.idle_timeout.is_zero() {
            return;
        }
        let silent = |it: &&Arc<Session>| it.silence() > self.options.idle_timeout;
        for (id, connection) in &self.connections {
            if let Some(session) = connection.session.as_ref().filter(silent) {
                session.end(LinkError::Lost("nothing arrived in time".to_owned()));
                self.swarm.close_connection(*id);
            }
        }
    }

    /// Says goodbye on every link, and waits briefly until the peers have heard.
    async fn shut_down(mut self) {
        if self.below == Below::Tcp {
            self.swarm.remove_listener(self.listener); // with that of QUIC its connections would end unheard
        }
        for (_, reply) in self.dials.drain() {
            let _ = reply.send(Err(Refusal::Unreachable(STOPPED.to_owned())));
        }
        for (id, connection) in &self.connections {
            match &connection.session {
                Some(session) => session.close(session::SHUTDOWN, STOPPED),
                None => drop(self.swarm.close_connection(*id)),
            }
        }
        let deadline = Instant::now() + CLOSE_WAIT;
        while !self.connections.is_empty() {
            tokio::select! {
                event = self.swarm.select_next_some() => self.event(event),
                Some(command) = self.commands.recv() => match command {
                    Command::Dial { reply, .. } => {
                        let _ = reply.send(Err(Refusal::Unreachable(STOPPED.to_owned())));
                    }
                    command => self.command(command),
                },
                () = sleep_until(deadline) => break,
            }
        }
    }
}

fn refusal(error: DialError) -> Refusal {
    match error {
        DialError::WrongPeerId { obtained, .. } => {
            let found = identity::key_of(&obtained).map(|key: NodeKey| key.short().to_string());
            Refusal::WrongKey(format!("{} is there", found.unwrap_or_else(|| obtained.to_string())))
        }
        DialError::LocalPeerId { .. } => Refusal::WrongKey("this node itself is there".to_owned()),
        DialError::Transport(tried) => {
            let why = tried.into_iter().next().map(|(_, error)| match error {
                TransportError::Other(error) => deepest(&error),
                error => error.to_string(),
            });
            Refusal::Unreachable(why.unwrap_or_else(|| "nobody answered".to_owned()))
        }
        error => Refusal::Unreachable(deepest(&error)),
    }
}

/// What the error at the bottom says: those above it only name the layers.
fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Handshakes under way: many more than a node has peers, so that all may come at once.
const PENDING_MAX: u32 = 256;
/// Streams of one connection: three of a link, and those of identify and ping, both ways.
pub(crate) const STREAMS_MAX: usize = 16;
/// How long closing waits for peers to be told: no time at all, unless a peer stands still.
const CLOSE_WAIT: Duration = Duration::from_secs(3);
