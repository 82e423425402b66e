//! Addresses: `/ip4/203.0.113.9/tcp/8445`, as libp2p writes them.

use std::net::{IpAddr, SocketAddr};

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use millpond_core::transport::DialError;

/// The address of a socket.
pub(crate) fn of(socket: SocketAddr) -> Multiaddr {
    Multiaddr::from(socket.ip()).with(Protocol::Tcp(socket.port()))
}

/// The socket of an address that has only that.
pub(crate) fn socket(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip: IpAddr = match parts.next()? {
        Protocol::Ip4(ip) => ip.into(),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    match (parts.next()?, parts.next()) {
        (Protocol::Tcp(port), None) => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}

/// The sockets that an address to dial stands for: at least one. A name is looked up by the system. Whose peer id it
/// ends with does not matter: the key that is expected is known better.
pub(crate) async fn resolve(address: &str) -> Result<Vec<Multiaddr>, DialError> {
    let malformed = |reason: &str| DialError::Address {
        address: address.to_owned(),
        reason: reason.to_owned(),
    };
    if !address.starts_with('/') {
        return Err(malformed("write /ip4/ADDRESS/tcp/PORT"));
    }
    let mut parsed: Multiaddr =
        address.parse().map_err(|error| malformed(&format!("it is no multiaddress: {error}")))?;
    if matches!(parsed.iter().last(), Some(Protocol::P2p(_))) {
        parsed.pop();
    }
    if let Some(socket) = socket(&parsed) {
        return match (socket.port(), socket.ip().is_unspecified()) {
            (0, _) => Err(malformed("port 0 cannot be dialled")),
            (_, true) => Err(malformed("it means every address of a host, choose one of them")),
            _ => Ok(vec![parsed]),
        };
    }
    let mut parts = parsed.iter();
    let (name, port) = match (parts.next(), parts.next(), parts.next()) {
        (
            Some(Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name)),
            Some(Protocol::Tcp(port)),
            None,
        ) if port > 0 => (name.into_owned(), port),
        _ => return Err(malformed("write /ip4/ADDRESS/tcp/PORT, or /dns/NAME/tcp/PORT")),
    };
    let unreachable =
        |reason: String| DialError::Unreachable { address: address.to_owned(), reason };
    let found = tokio::net::lookup_host((name, port))
        .await
        .map_err(|error| unreachable(format!("the name lookup failed: {error}")))?;
    let found: Vec<_> = found.take(ADDRESSES_MAX).map(of).collect();
    if found.is_empty() { Err(unreachable("the name has no address".into())) } else { Ok(found) }
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
            let found = resolve(&address).await.unwrap();
            assert_eq!(found, ["/ip4/127.0.0.1/tcp/8445".parse().unwrap()]);
        }
        let found = resolve("/dns/localhost/tcp/8445").await.unwrap();
        assert!(found.iter().all(|it| socket(it).unwrap().ip().is_loopback()), "{found:?}");
    }

    #[tokio::test]
    async fn what_cannot_be_dialled_is_refused_with_its_reason() {
        let cases = [
            ("", "write /ip4"),
            ("127.0.0.1:1", "write /ip4"),
            ("/ip4/127.0.0.1", "write /ip4"),
            ("/ip4/127.0.0.1/udp/1", "write /ip4"),
            ("/ip4/300.0.0.1/tcp/1", "no multiaddress"),
            ("/ip4/127.0.0.1/tcp/0", "port 0"),
            ("/ip4/0.0.0.0/tcp/1", "every address"),
        ];
        for (address, expected) in cases {
            let DialError::Address { reason, .. } = resolve(address).await.unwrap_err() else {
                panic!()
            };
            assert!(reason.contains(expected), "{address:?}: {reason}");
        }
    }
}
