//! Addresses to dial: `host:port`, where host is a name, an IPv4 or a bracketed IPv6 address.

use std::net::SocketAddr;

use millpond_core::transport::DialError;

/// The socket addresses that an address stands for, in the order to try them; at least one.
pub(crate) async fn resolve(address: &str) -> Result<Vec<SocketAddr>, DialError> {
    match parse(address).map_err(|reason| malformed(address, reason))? {
        Host::Literal(socket) => Ok(vec![socket]),
        Host::Name(name, port) => look_up(name, port)
            .await
            .map_err(|reason| DialError::Unreachable { address: address.to_owned(), reason }),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Host<'a> {
    Literal(SocketAddr),
    Name(&'a str, u16),
}

fn parse(address: &str) -> Result<Host<'_>, &'static str> {
    let host = if let Ok(socket) = address.parse::<SocketAddr>() {
        Host::Literal(socket)
    } else {
        let (name, port) = address.rsplit_once(':').ok_or("a port is missing (host:port)")?;
        let port = port.parse().map_err(|_| "the port is no number up to 65535")?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if name.contains(':') {
            return Err("write an IPv6 address in brackets ([::1]:port)");
        }
        if name.is_empty() || !name.chars().all(plain) {
            return Err("the host is neither a name nor an IP address");
        }
        Host::Name(name, port)
    };
    match host {
        Host::Literal(socket) if socket.port() == 0 => Err("port 0 cannot be dialled"),
        Host::Name(_, 0) => Err("port 0 cannot be dialled"),
        Host::Literal(socket) if socket.ip().is_unspecified() => {
            Err("it means every address of a host, choose one of them")
        }
        host => Ok(host),
    }
}

async fn look_up(name: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let found = tokio::net::lookup_host((name, port))
        .await
        .map_err(|error| format!("the name lookup failed: {error}"))?;
    let addresses: Vec<_> = found.take(ADDRESSES_MAX).collect();
    if addresses.is_empty() {
        return Err("the name has no address".to_owned());
    }
    Ok(addresses)
}

fn malformed(address: &str, reason: &str) -> DialError {
    DialError::Address { address: address.to_owned(), reason: reason.to_owned() }
}

/// Addresses of one name that a dial tries: they share its deadline, so more would only make each too short.
const ADDRESSES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_both_kinds_of_ip_addresses_parse() {
        let literal = |text: &str| Ok(Host::Literal(text.parse().unwrap()));
        assert_eq!(parse("127.0.0.1:4433"), literal("127.0.0.1:4433"));
        assert_eq!(parse("[::1]:4433"), literal("[::1]:4433"));
        assert_eq!(parse("pond-1.example:4433"), Ok(Host::Name("pond-1.example", 4433)));
    }

    #[test]
    fn what_cannot_be_dialled_is_refused_with_its_reason() {
        let cases = [
            ("", "port is missing"),
            ("localhost", "port is missing"),
            ("localhost:", "no number"),
            ("localhost:65536", "no number"),
            (":4433", "neither a name nor"),
            ("two words:4433", "neither a name nor"),
            ("::1:4433", "in brackets"),
            ("127.0.0.1:0", "port 0"),
            ("localhost:0", "port 0"),
            ("0.0.0.0:4433", "every address"),
        ];
        for (address, reason) in cases {
            let error = parse(address).unwrap_err();
            assert!(error.contains(reason), "{address:?}: {error}");
        }
    }

    #[tokio::test]
    async fn a_name_resolves_to_all_its_addresses() {
        let addresses = resolve("localhost:4433").await.unwrap();
        assert!(addresses.iter().all(|a| a.ip().is_loopback() && a.port() == 4433));
        assert!(!addresses.is_empty());
    }
}
