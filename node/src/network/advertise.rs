//! What a node tells others to dial while nobody has said what that is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// The addresses to tell others for one that is listened on, of whatever transport.
pub(super) fn told(listened: String) -> Vec<String> {
    if let Ok(bound) = listened.parse() {
        return addresses(bound);
    }
    let Some(bound) = tcp_socket(&listened) else { return vec![listened] };
    let sockets = addresses(bound).into_iter().filter_map(|address| address.parse().ok());
    sockets.map(multiaddress).collect()
}

/// The socket of `/ip4/ADDRESS/tcp/PORT` or `/ip6/ADDRESS/tcp/PORT`, as libp2p writes them.
pub(super) fn tcp_socket(address: &str) -> Option<SocketAddr> {
    let (family, rest) = address.strip_prefix("/ip")?.split_once('/')?;
    let (ip, port) = rest.split_once("/tcp/")?;
    let ip = match family {
        "4" => IpAddr::V4(ip.parse().ok()?),
        "6" => IpAddr::V6(ip.parse().ok()?),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port.parse().ok()?))
}

fn multiaddress(socket: SocketAddr) -> String {
    let family = if socket.is_ipv4() { 4 } else { 6 };
    format!("/ip{family}/{}/tcp/{}", socket.ip(), socket.port())
}

/// The addresses to tell others for a socket bound to `bound`: itself, or, if it takes packets of every
/// address of this host, those that the host would send from.
fn addresses(bound: SocketAddr) -> Vec<String> {
    if bound.ip().is_unspecified() { dialable(bound, outbound()) } else { vec![bound.to_string()] }
}

/// Loopback comes last: it leads to this node from this host only, but there always.
fn dialable(bound: SocketAddr, outbound: impl IntoIterator<Item = IpAddr>) -> Vec<String> {
    let is_taken = |ip: &IpAddr| bound.is_ipv6() || ip.is_ipv4();
    let is_of_use = |ip: &IpAddr| !ip.is_loopback() && !ip.is_unspecified();
    let mut ips: Vec<IpAddr> = outbound.into_iter().filter(is_taken).filter(is_of_use).collect();
    ips.push(Ipv4Addr::LOCALHOST.into()); // [::] takes IPv4 too
    ips.dedup();
    ips.into_iter().map(|ip| SocketAddr::new(ip, bound.port()).to_string()).collect()
}

/// The addresses that this host would send from, of each family at most one. Connecting a UDP socket only
/// looks up the route: nothing is sent.
fn outbound() -> impl Iterator<Item = IpAddr> {
    let v4 = (IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(FAR_V4));
    let v6 = (IpAddr::from(Ipv6Addr::UNSPECIFIED), IpAddr::from(FAR_V6));
    [v4, v6].into_iter().filter_map(|(from, far)| {
        let socket = UdpSocket::bind((from, 0)).ok()?;
        socket.connect((far, 9)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    })
}

/// Addresses for documentation (RFC 5737, RFC 3849): no host has them, so the default route leads there.
const FAR_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const FAR_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_other_transports_are_told_as_they_are_written() {
        for listened in ["unix:/run/pond.sock", "memory:1", "/ip4/203.0.113.9/tcp/8445"] {
            assert_eq!(told(listened.into()), [listened]);
        }
        let every = told("/ip4/0.0.0.0/tcp/8445".into());
        assert_eq!(every.last().unwrap(), "/ip4/127.0.0.1/tcp/8445");
        assert!(every.iter().all(|it| it.starts_with("/ip4/") && it.ends_with("/tcp/8445")));
    }

    #[test]
    fn a_multiaddress_of_tcp_has_a_socket() {
        for socket in ["127.0.0.1:1", "[::1]:1"] {
            let socket = socket.parse().unwrap();
            assert_eq!(tcp_socket(&multiaddress(socket)), Some(socket));
        }
        for other in ["/ip4/::1/tcp/1", "/ip4/127.0.0.1/udp/1", "/dns/a/tcp/1", "127.0.0.1:1"] {
            assert_eq!(tcp_socket(other), None, "{other}");
        }
    }

    fn ips<const N: usize>(texts: [&str; N]) -> [IpAddr; N] {
        texts.map(|text| text.parse().unwrap())
    }

    #[test]
    fn a_bound_address_is_told_as_it_is() {
        for bound in ["127.0.0.1:4000", "[::1]:4000", "203.0.113.9:4000"] {
            assert_eq!(addresses(bound.parse().unwrap()), [bound]);
        }
    }

    #[test]
    fn every_address_is_told_as_those_that_lead_here_and_loopback_last() {
        let outbound = ips(["203.0.113.9", "2001:db8::7"]);
        let v6 = dialable("[::]:8444".parse().unwrap(), outbound);
        assert_eq!(v6, ["203.0.113.9:8444", "[2001:db8::7]:8444", "127.0.0.1:8444"]);
        let v4 = dialable("0.0.0.0:8444".parse().unwrap(), outbound);
        assert_eq!(v4, ["203.0.113.9:8444", "127.0.0.1:8444"], "it takes no IPv6");
    }

    #[test]
    fn a_host_without_a_route_is_told_as_loopback() {
        let bound = "0.0.0.0:8444".parse().unwrap();
        assert_eq!(dialable(bound, []), ["127.0.0.1:8444"]);
        assert_eq!(dialable(bound, ips(["127.0.0.1", "0.0.0.0"])), ["127.0.0.1:8444"]);
    }

    #[test]
    fn what_this_host_tells_is_dialable() {
        for bound in ["0.0.0.0:8444", "[::]:8444"] {
            let told = addresses(bound.parse().unwrap());
            assert_eq!(told.last().unwrap(), "127.0.0.1:8444");
            for address in told {
                let address: SocketAddr = address.parse().unwrap();
                assert!(!address.ip().is_unspecified() && address.port() == 8444, "{address}");
            }
        }
    }
}
