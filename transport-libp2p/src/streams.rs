//! The three streams of a connection that make it a link: session, control and bulk.
//!
//! libp2p would share one connection among all who want to speak with a peer, and may have several of them. A link is
//! one connection and ends with it, so its streams are opened on the connection that the dial made, and on no other.

use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::swarm::handler::{
    ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound,
};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm,
    NetworkBehaviour, NotifyHandler, StreamUpgradeError, SubstreamProtocol, THandlerInEvent,
    ToSwarm,
};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol};
use tokio::time::{Sleep, sleep};

use crate::address::is_relayed;
use crate::identity;

/// The streams of a link, each in its place: session, control, bulk.
const PROTOCOLS: [StreamProtocol; 3] = [
    StreamProtocol::new("/millpond/1/session"),
    StreamProtocol::new("/millpond/1/control"),
    StreamProtocol::new("/millpond/1/bulk"),
];

/// All streams of a link.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) session: Stream,
    pub(crate) control: Stream,
    pub(crate) bulk: Stream,
}

/// What became of a connection's streams.
#[derive(Debug)]
pub(crate) enum Opened {
    All(Box<Streams>),
    /// The peer speaks libp2p, and not with us.
    Incompatible,
    Failed(String),
}

/// That the streams of a connection are to be opened now.
#[derive(Debug)]
pub(crate) struct Open;

/// Makes links of connections.
pub(crate) struct Behaviour {
    deadline: Duration,
    /// For how long the streams of a relayed connection wait for a direct one to take its place.
    patience: Option<Duration>,
    /// Dials that are to become links. Other behaviours dial too, for purposes of theirs.
    wanted: HashSet<ConnectionId>,
    actions: VecDeque<ToSwarm<(ConnectionId, PeerId, Opened), Open>>,
}

impl Behaviour {
    /// Streams have to be open after so long.
    pub(crate) fn new(deadline: Duration, patience: Option<Duration>) -> Self {
        Self { deadline, patience, wanted: HashSet::new(), actions: VecDeque::new() }
    }

    /// A dial is to become a link.
    pub(crate) fn want(&mut self, dial: ConnectionId) {
        self.wanted.insert(dial);
    }

    /// Makes a link of a connection that was not dialled to be one, or that waits.
    pub(crate) fn open(&mut self, connection: ConnectionId, peer: PeerId) {
        let handler = NotifyHandler::One(connection);
        self.actions.push_back(ToSwarm::NotifyHandler { peer_id: peer, handler, event: Open });
    }

    fn handler(&self, peer: PeerId, part: Part) -> Result<Handler, ConnectionDenied> {
        if identity::key_of(&peer).is_none() {
            return Err(ConnectionDenied::new("the peer's key is not an ed25519 key"));
        }
        let is_idle = part == Part::None;
        Ok(Handler {
            offers: part == Part::Offers,
            to_open: if part == Part::Opens { PROTOCOLS.into() } else { VecDeque::new() },
            open: Default::default(),
            result: None,
            is_done: is_idle,
            is_idle,
            time: self.deadline,
            deadline: Box::pin(sleep(self.deadline)),
            opens_at: match (part, self.patience) {
                (Part::Waits, Some(patience)) => Some(Box::pin(sleep(patience))),
                _ => None,
            },
        })
    }
}

/// What this side does for the streams of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Opens,
    /// Opens them if nothing better comes.
    Waits,
    Offers,
    /// Nothing, unless it is told: the connection is for something else.
    None,
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = (ConnectionId, PeerId, Opened);

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        self.handler(peer, Part::Offers)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        let is_wanted = self.wanted.remove(&connection);
        let part = match role {
            // Both have dialled through their NATs, and one of them plays the other part.
            Endpoint::Listener => Part::Offers,
            Endpoint::Dialer if !is_wanted => Part::None,
            Endpoint::Dialer if self.patience.is_some() && is_relayed(address) => Part::Waits,
            Endpoint::Dialer => Part::Opens,
        };
        self.handler(peer, part)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::DialFailure(failure) = event {
            self.wanted.remove(&failure.connection_id);
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        opened: Opened,
    ) {
        self.actions.push_back(ToSwarm::GenerateEvent((connection, peer, opened)));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        // Handlers wake the swarm when they say something.
        self.actions.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

/// Opens the streams of one connection, or takes them in.
pub(crate) struct Handler {
    offers: bool,
    to_open: VecDeque<StreamProtocol>,
    open: [Option<Stream>; 3],
    result: Option<Opened>,
    /// Whether all has been said. The connection stays: whoever holds the link closes it.
    is_done: bool,
    /// Whether the connection need not stay for the sake of links.
    is_idle: bool,
    time: Duration,
    deadline: Pin<Box<Sleep>>,
    opens_at: Option<Pin<Box<Sleep>>>,
}

impl Handler {
    fn came(&mut self, stream: Stream, protocol: &StreamProtocol) {
        let place = PROTOCOLS.iter().position(|it| it == protocol).expect("no other was offered");
        if self.is_done || self.open[place].replace(stream).is_some() {
            return self.say(Opened::Failed("a stream was opened twice".into()));
        }
        if self.open.iter().all(Option::is_some) {
            let [session, control, bulk] =
                std::mem::take(&mut self.open).map(|it| it.expect("all are there"));
            self.say(Opened::All(Box::new(Streams { session, control, bulk })));
        }
    }

    fn say(&mut self, result: Opened) {
        self.result.get_or_insert(result);
    }

    fn opens(&mut self) {
        self.opens_at = None;
        self.is_done = false;
        self.is_idle = false;
        self.to_open = PROTOCOLS.into();
        self.deadline = Box::pin(sleep(self.time));
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = Opened;
    type InboundProtocol = Offer;
    type OutboundProtocol = Offer;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Offer> {
        // Whoever dialled opens the streams, and takes none.
        let offered = if self.offers { PROTOCOLS.to_vec() } else { Vec::new() };
        SubstreamProtocol::new(Offer(offered), ())
    }

    fn connection_keep_alive(&self) -> bool {
        !self.is_idle
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Offer, (), Opened>> {
        if let Some(result) = self.result.take() {
            self.is_done = true;
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(result));
        }
        if self.opens_at.as_mut().is_some_and(|at| at.as_mut().poll(context).is_ready()) {
            self.opens();
        }
        if let Some(protocol) = self.to_open.pop_front() {
            let protocol = SubstreamProtocol::new(Offer(vec![protocol]), ());
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        if !self.is_done && self.deadline.as_mut().poll(context).is_ready() {
            self.is_done = true;
            if self.offers && self.open.iter().all(Option::is_none) {
                // It is there for something else, or for nothing, and then it ends soon.
                self.is_idle = true;
                return Poll::Pending;
            }
            let late = Opened::Failed("the streams were not open in time".into());
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(late));
        }
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, _: Open) {
        // Those that are open, or on their way, stay.
        if self.is_idle || self.opens_at.is_some() {
            self.opens();
        }
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Offer, Offer>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol, ..
            }) => {
                self.came(protocol.0, &protocol.1);
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol, ..
            }) => {
                self.came(protocol.0, &protocol.1);
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { error, .. }) => {
                self.say(match error {
                    StreamUpgradeError::NegotiationFailed => Opened::Incompatible,
                    error => Opened::Failed(error.to_string()),
                });
            }
            _ => {}
        }
    }
}

/// Streams of these protocols, as they are.
pub(crate) struct Offer(Vec<StreamProtocol>);

impl UpgradeInfo for Offer {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.clone().into_iter()
    }
}

impl InboundUpgrade<Stream> for Offer {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}

impl OutboundUpgrade<Stream> for Offer {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}
