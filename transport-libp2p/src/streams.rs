//! The three streams of a connection that make it a link: session, control and bulk.
//!
//! libp2p would share one connection among all who want to speak with a peer, and may have several of them. A link is
//! one connection and ends with it, so its streams are opened on the connection that the dial made, and on no other.

use std::collections::VecDeque;
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
    NetworkBehaviour, StreamUpgradeError, SubstreamProtocol, THandlerInEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol};
use tokio::time::Sleep;

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

/// Makes links of connections.
pub(crate) struct Behaviour {
    deadline: Duration,
    events: VecDeque<(ConnectionId, PeerId, Opened)>,
}

impl Behaviour {
    /// Streams have to be open after so long.
    pub(crate) fn new(deadline: Duration) -> Self {
        Self { deadline, events: VecDeque::new() }
    }

    fn handler(&self, peer: PeerId, dials: bool) -> Result<Handler, ConnectionDenied> {
        if identity::key_of(&peer).is_none() {
            return Err(ConnectionDenied::new("the peer's key is not an ed25519 key"));
        }
        let to_open = if dials { PROTOCOLS.into() } else { VecDeque::new() };
        let deadline = Box::pin(tokio::time::sleep(self.deadline));
        Ok(Handler {
            dials,
            to_open,
            open: Default::default(),
            result: None,
            is_done: false,
            deadline,
        })
    }
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
        self.handler(peer, false)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        self.handler(peer, true)
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        opened: Opened,
    ) {
        self.events.push_back((connection, peer, opened));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        // Handlers wake the swarm when they say something.
        self.events
            .pop_front()
            .map_or(Poll::Pending, |event| Poll::Ready(ToSwarm::GenerateEvent(event)))
    }
}

/// Opens the streams of one connection, or takes them in.
pub(crate) struct Handler {
    dials: bool,
    to_open: VecDeque<StreamProtocol>,
    open: [Option<Stream>; 3],
    result: Option<Opened>,
    /// Whether all has been said. The connection stays: whoever holds the link closes it.
    is_done: bool,
    deadline: Pin<Box<Sleep>>,
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
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Infallible;
    type ToBehaviour = Opened;
    type InboundProtocol = Offer;
    type OutboundProtocol = Offer;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Offer> {
        // Whoever dialled opens the streams, and takes none.
        let offered = if self.dials { Vec::new() } else { PROTOCOLS.to_vec() };
        SubstreamProtocol::new(Offer(offered), ())
    }

    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Offer, (), Opened>> {
        if let Some(result) = self.result.take() {
            self.is_done = true;
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(result));
        }
        if let Some(protocol) = self.to_open.pop_front() {
            let protocol = SubstreamProtocol::new(Offer(vec![protocol]), ());
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        if !self.is_done && self.deadline.as_mut().poll(context).is_ready() {
            self.is_done = true;
            let late = Opened::Failed("the streams were not open in time".into());
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(late));
        }
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, event: Infallible) {
        match event {}
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
