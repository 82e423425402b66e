//! Places at relays: where this node can be reached, though nobody can dial it.

use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, Swarm};

use crate::behaviours::Behaviours;

/// The relays that this node keeps a place at, again and again.
pub(crate) struct Relays(Vec<Relay>);

struct Relay {
    address: Multiaddr,
    listener: Option<ListenerId>,
}

impl Relays {
    pub(crate) fn new(relays: &[(PeerId, Multiaddr)]) -> Self {
        let relay = |(peer, address): &(PeerId, Multiaddr)| Relay {
            address: through(*peer, address),
            listener: None,
        };
        Self(relays.iter().map(relay).collect())
    }

    /// Asks for a place wherever there is none.
    pub(crate) fn listen(&mut self, swarm: &mut Swarm<Behaviours>) {
        for relay in self.0.iter_mut().filter(|relay| relay.listener.is_none()) {
            match swarm.listen_on(relay.address.clone()) {
                Ok(listener) => relay.listener = Some(listener),
                Err(error) => {
                    tracing::debug!(relay = %relay.address, %error, "no place at a relay")
                }
            }
        }
    }

    /// A listener has ended; if it was a place at a relay, that is asked for again.
    pub(crate) fn closed(&mut self, listener: ListenerId, error: Option<std::io::Error>) {
        for relay in self.0.iter_mut().filter(|relay| relay.listener == Some(listener)) {
            tracing::debug!(relay = %relay.address, ?error, "a place at a relay is lost");
            relay.listener = None;
        }
    }
}

/// The address of whoever has a place at a relay.
pub(crate) fn through(relay: PeerId, at: &Multiaddr) -> Multiaddr {
    at.clone().with(Protocol::P2p(relay)).with(Protocol::P2pCircuit)
}
