//! The task that owns the swarm: it dials, makes links of connections, and closes them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use libp2p::core::ConnectedPoint;
use libp2p::core::transport::ListenerId;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, TransportError, ping};
use millpond_core::NodeKey;
use millpond_core::transport::LinkError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use crate::address::{Below, is_relayed, without_peer};
use crate::behaviours::{Behaviours, BehavioursEvent, Members};
use crate::found::Found;
use crate::identity;
use crate::link::Libp2pLink;
use crate::relays::Relays;
use crate::session::{self, Session};
use crate::streams::{Opened, Streams};
use crate::transport::{Libp2pOptions, STOPPED};

/// What is asked of the task.
pub(crate) enum Command {
    Dial {
        peer: PeerId,
        addresses: Vec<Multiaddr>,
        dial: Dial,
    },
    /// A peer is wanted: whoever might know where it is, is asked.
    Find(PeerId),
    Members(BTreeSet<PeerId>),
    /// The link of this connection has ended, and its goodbye is said.
    Ended(ConnectionId),
    Block(PeerId),
    Unblock(PeerId),
    Shutdown,
}

/// A dial under way.
pub(crate) struct Dial {
    pub(crate) reply: oneshot::Sender<Result<Libp2pLink, Refusal>>,
    /// What was dialled, which the link shows.
    pub(crate) address: String,
}

impl Dial {
    fn refuse(self, refusal: Refusal) {
        let _ = self.reply.send(Err(refusal));
    }
}

/// Why a dial gave no link.
#[derive(Debug)]
pub(crate) enum Refusal {
    Unreachable(String),
    WrongKey(String),
    Incompatible(String),
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
    pub(crate) found: Arc<Found>,
    pub(crate) members: Members,
    pub(crate) relays: Relays,
    pub(crate) dials: HashMap<ConnectionId, Dial>,
    /// Relayed connections that wait for a direct one to the same peer.
    pub(crate) punching: HashMap<PeerId, ConnectionId>,
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
        self.relays.listen(&mut self.swarm);
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.event(event),
                command = self.commands.recv() => match command {
                    Some(Command::Shutdown) | None => break,
                    Some(command) => self.command(command),
                },
                _ = look.tick() => {
                    self.end_the_silent();
                    self.relays.listen(&mut self.swarm);
                }
            }
        }
        self.shut_down().await;
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Dial { dial, .. } if dial.reply.is_closed() => {} // it was dropped meanwhile
            Command::Dial { peer, addresses, dial } => self.dial(peer, addresses, dial),
            Command::Find(peer) => {
                if let Some(kademlia) = self.swarm.behaviour_mut().kademlia.as_mut() {
                    kademlia.get_closest_peers(peer);
                }
            }
            Command::Members(members) => self.members_changed(members),
            Command::Ended(connection) => drop(self.swarm.close_connection(connection)),
            Command::Block(peer) => drop(self.swarm.behaviour_mut().blocked.block_peer(peer)),
            Command::Unblock(peer) => drop(self.swarm.behaviour_mut().blocked.unblock_peer(peer)),
            Command::Shutdown => {}
        }
    }

    fn dial(&mut self, peer: PeerId, addresses: Vec<Multiaddr>, dial: Dial) {
        let waits = self.options.hole_punching && addresses.iter().any(is_relayed);
        // Each dial is a link of its own, whoever is connected already.
        let options = DialOpts::peer_id(peer).addresses(addresses).condition(PeerCondition::Always);
        let options = match self.below {
            // From a port of its own, or the second to one peer would have the addresses of the first.
            Below::Tcp => options.allocate_new_port().build(),
            #[cfg(feature = "quic")]
            Below::Quic => options.build(),
        };
        let connection = options.connection_id();
        self.swarm.behaviour_mut().links.want(connection);
        match self.swarm.dial(options) {
            Ok(()) => {
                self.dials.insert(connection, dial);
                if waits {
                    self.punching.insert(peer, connection);
                }
            }
            Err(error) => dial.refuse(refusal(error)),
        }
    }

    /// Who is no member any more is served no longer.
    fn members_changed(&mut self, members: BTreeSet<PeerId>) {
        let mut known = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<PeerId> = known.iter().copied().filter(|it| !members.contains(it)).collect();
        *known = members.into_iter().collect();
        drop(known);
        for peer in gone {
            let _ = self.swarm.disconnect_peer_id(peer); // an error says that it is not connected
        }
    }

    /// Both have dialled each other through their NATs at the same moment, and met or not.
    fn punched(&mut self, peer: PeerId, direct: Option<ConnectionId>) {
        // Only here, if it was this side that dialled through the relay.
        let Some(relayed) = self.punching.remove(&peer) else { return };
        let Some(direct) = direct else {
            return self.swarm.behaviour_mut().links.open(relayed, peer);
        };
        let Some(mut dial) = self.dials.remove(&relayed) else { return }; // it is a link already
        if let Some(connection) = self.connections.get(&direct) {
            dial.address.clone_from(&connection.remote_address);
        }
        self.dials.insert(direct, dial);
        self.swarm.behaviour_mut().links.open(direct, peer);
        self.swarm.close_connection(relayed);
    }

    fn event(&mut self, event: SwarmEvent<BehavioursEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { connection_id, endpoint, .. } => {
                // Who has dialled through its NAT at the same moment as its peer may have the other part.
                let is_dialed = match &endpoint {
                    ConnectedPoint::Dialer { role_override, .. } => role_override.is_dialer(),
                    ConnectedPoint::Listener { .. } => false,
                };
                let remote_address =
                    without_peer(endpoint.get_remote_address().clone()).to_string();
                let connection = Connection { is_dialed, remote_address, session: None };
                self.connections.insert(connection_id, connection);
                if self.dials.get(&connection_id).is_some_and(|dial| dial.reply.is_closed()) {
                    self.swarm.close_connection(connection_id);
                }
            }
            SwarmEvent::ConnectionClosed { connection_id, cause, .. } => {
                let why = cause.map_or("the peer is gone".to_owned(), |cause| cause.to_string());
                if let Some(dial) = self.dials.remove(&connection_id) {
                    dial.refuse(Refusal::Unreachable(why));
                }
                self.punching.retain(|_, relayed| *relayed != connection_id);
                // Its link ends with its streams, after whatever goodbye came before their end.
                self.connections.remove(&connection_id);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                if let Some(dial) = self.dials.remove(&connection_id) {
                    dial.refuse(refusal(error));
                }
                self.punching.retain(|_, relayed| *relayed != connection_id);
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                tracing::debug!(remote = %send_back_addr, %error, "inbound handshake failed");
            }
            SwarmEvent::NewListenAddr { address, .. } if self.options.relay_for_members => {
                self.swarm.add_external_address(address); // a relay tells where it is
            }
            SwarmEvent::ListenerClosed { listener_id, reason, .. } => {
                self.relays.closed(listener_id, reason.err());
            }
            SwarmEvent::Behaviour(BehavioursEvent::Punching(event)) => {
                tracing::debug!(peer = %event.remote_peer_id, result = ?event.result, "holes were punched");
                self.punched(event.remote_peer_id, event.result.ok());
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
            SwarmEvent::Behaviour(event) => self.discovered(event),
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
        if let Some(dial) = dial {
            dial.refuse(refusal);
        }
    }

    fn linked(&mut self, id: ConnectionId, peer: PeerId, streams: Streams, dial: Option<Dial>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if connection.is_dialed && dial.is_none() {
            // A direct connection has taken its place meanwhile.
            self.swarm.close_connection(id);
            return;
        }
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
            Some(dial) => drop(dial.reply.send(Ok(link.shown_as(&dial.address)))),
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
        for (_, dial) in self.dials.drain() {
            dial.refuse(Refusal::Unreachable(STOPPED.to_owned()));
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
                    Command::Dial { dial, .. } => {
                        dial.refuse(Refusal::Unreachable(STOPPED.to_owned()));
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

/// How long closing waits for peers to be told: no time at all, unless a peer stands still.
const CLOSE_WAIT: Duration = Duration::from_secs(3);
