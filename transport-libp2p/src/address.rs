//! Addresses: `/ip4/203.0.113.9/tcp/8445`, as libp2p writes them.

use std::net::{IpAddr, SocketAddr};

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use millpond_core::transport::DialError;

/// What is below libp2p.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Below {
    Tcp,
    #[cfg(feature = "quic")]
    Quic,
}

impl Below {
    /// The address of a socket.
    pub(crate) fn of(self, socket: SocketAddr) -> Multiaddr {
        let address = Multiaddr::from(socket.ip());
        match self {
            Self::Tcp => address.with(Protocol::Tcp(socket.port())),
            #[cfg(feature = "quic")]
            Self::Quic => address.with(Protocol::Udp(socket.port())).with(Protocol::QuicV1),
        }
    }

    /// What is to be written for an address and for a name.
    fn forms(self) -> [&'static str; 2] {
        match self {
            Self::Tcp => ["/ip4/ADDRESS/tcp/PORT", "/dns/NAME/tcp/PORT"],
            #[cfg(feature = "quic")]
            Self::Quic => ["/ip4/ADDRESS/udp/PORT/quic-v1", "/dns/NAME/udp/PORT/quic-v1"],
        }
    }

    /// The port, if what follows a host is that and nothing else.
    fn port<'a>(self, mut rest: impl Iterator<Item = Protocol<'a>>) -> Option<u16> {
        match (self, rest.next()?, rest.next(), rest.next()) {
            (Self::Tcp, Protocol::Tcp(port), None, None) => Some(port),
            #[cfg(feature = "quic")]
            (Self::Quic, Protocol::Udp(port), Some(Protocol::QuicV1), None) => Some(port),
            _ => None,
        }
    }

    /// The sockets that an address to dial stands for: at least one. A name is looked up by the system. Whose peer id
    /// it ends with does not matter: the key that is expected is known better.
    pub(crate) async fn resolve(self, address: &str) -> Result<Vec<Multiaddr>, DialError> {
        let malformed = |reason: &str| DialError::Address {
            address: address.to_owned(),
            reason: reason.to_owned(),
        };
        let [socket_form, name_form] = self.forms();
        if !address.starts_with('/') {
            return Err(malformed(&format!("write {socket_form}")));
        }
        let parsed: Multiaddr = address
            .parse()
            .map_err(|error| malformed(&format!("it is no multiaddress: {error}")))?;
        let parsed = without_peer(parsed);
        if is_relayed(&parsed) {
            return match self.takes_relayed(&parsed) {
                true => Ok(vec![parsed]),
                false => Err(malformed(&format!("write {socket_form}/p2p/RELAY/p2p-circuit"))),
            };
        }
        let mut parts = parsed.iter();
        let (host, port) = (parts.next(), self.port(parts));
        let ip: IpAddr = match (host, port) {
            (Some(_), Some(0)) => return Err(malformed("port 0 cannot be dialled")),
            (Some(Protocol::Ip4(ip)), Some(_)) => ip.into(),
            (Some(Protocol::Ip6(ip)), Some(_)) => ip.into(),
            (
                Some(Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name)),
                Some(port),
            ) => return self.look_up(address, &name, port).await,
            _ => return Err(malformed(&format!("write {socket_form}, or {name_form}"))),
        };
        if ip.is_unspecified() {
            return Err(malformed("it means every address of a host, choose one of them"));
        }
        Ok(vec![parsed])
    }

    /// Whether this is the address of a socket.
    pub(crate) fn takes(self, address: &Multiaddr) -> bool {
        let mut parts = address.iter();
        let is_ip = matches!(parts.next(), Some(Protocol::Ip4(_) | Protocol::Ip6(_)));
        is_ip && self.port(parts).is_some_and(|port| port > 0)
    }

    /// Whether this is a place at a relay whose socket is known.
    fn takes_relayed(self, address: &Multiaddr) -> bool {
        let mut relay = address.clone();
        relay.pop() == Some(Protocol::P2pCircuit)
            && matches!(relay.pop(), Some(Protocol::P2p(_)))
            && self.takes(&relay)
    }

    async fn look_up(
        self,
        address: &str,
        name: &str,
        port: u16,
    ) -> Result<Vec<Multiaddr>, DialError> {
        let unreachable =
            |reason: String| DialError::Unreachable { address: address.to_owned(), reason };
        let found = tokio::net::lookup_host((name, port))
            .await
            .map_err(|error| unreachable(format!("the name lookup failed: {error}")))?;
        let found: Vec<_> = found.take(ADDRESSES_MAX).map(|socket| self.of(socket)).collect();
        if found.is_empty() {
            Err(unreachable("the name has no address".into()))
        } else {
            Ok(found)
        }
    }
}

/// An address without the peer that it leads to.
pub(crate) fn without_peer(mut address: Multiaddr) -> Multiaddr {
    if matches!(address.iter().last(), Some(Protocol::P2p(_))) {
        address.pop();
    }
    address
}

/// Whether somebody carries between this address and its dialler.
pub(crate) fn is_relayed(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::P2pCircuit)
}

/// Addresses of one name that a dial tries.
const ADDRESSES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_of_sockets_and_names_are_dialable() {
        let peer = "12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo";
        for address in
            ["/ip4/127.0.0.1/tcp/8445".to_owned(), format!("/ip4/127.0.0.1/tcp/8445/p2p/{peer}")]
        {
            let found = Below::Tcp.resolve(&address).await.unwrap();
            assert_eq!(found, [Below::Tcp.of("127.0.0.1:8445".parse().unwrap())]);
        }
        let found = Below::Tcp.resolve("/dns/localhost/tcp/8445").await.unwrap();
        let loopback =
            ["127.0.0.1:8445", "[::1]:8445"].map(|it| Below::Tcp.of(it.parse().unwrap()));
        assert!(found.iter().all(|it| loopback.contains(it)), "{found:?}");
    }

    #[cfg(feature = "quic")]
    #[tokio::test]
    async fn each_takes_addresses_of_its_own_kind_only() {
        let (tcp, quic) = ("/ip4/127.0.0.1/tcp/8445", "/ip4/127.0.0.1/udp/8445/quic-v1");
        let socket = "127.0.0.1:8445".parse().unwrap();
        assert_eq!(Below::Quic.resolve(quic).await.unwrap(), [Below::Quic.of(socket)]);
        assert_eq!(Below::Quic.of(socket).to_string(), quic);
        for (below, address) in [(Below::Tcp, quic), (Below::Quic, tcp)] {
            let refused = below.resolve(address).await.unwrap_err();
            assert!(matches!(refused, DialError::Address { .. }), "{address}");
        }
    }

    #[tokio::test]
    async fn a_place_at_a_relay_is_dialable() {
        let relay = "12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo";
        let place = format!("/ip4/127.0.0.1/tcp/8445/p2p/{relay}/p2p-circuit");
        for address in [place.clone(), format!("{place}/p2p/{relay}")] {
            let found = Below::Tcp.resolve(&address).await.unwrap();
            assert_eq!(found, [place.parse().unwrap()]);
        }
        for address in
            ["/ip4/127.0.0.1/tcp/8445/p2p-circuit".into(), format!("{place}/p2p-circuit")]
        {
            assert!(Below::Tcp.resolve(&address).await.is_err(), "{address}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_dialled_is_refused_with_its_reason() {
        let cases = [
            ("", "write /ip4"),
            ("127.0.0.1:1", "write /ip4"),
            ("/ip4/127.0.0.1", "write /ip4"),
            ("/ip4/127.0.0.1/udp/1", "write /ip4"),
            ("/ip4/127.0.0.1/tcp/1/ws", "write /ip4"),
            ("/ip4/300.0.0.1/tcp/1", "no multiaddress"),
            ("/ip4/127.0.0.1/tcp/0", "port 0"),
            ("/ip4/0.0.0.0/tcp/1", "every address"),
        ];
        for (address, expected) in cases {
            let DialError::Address { reason, .. } = Below::Tcp.resolve(address).await.unwrap_err()
            else {
                panic!()
            };
            assert!(reason.contains(expected), "{address:?}: {reason}");
        }
    }
}
