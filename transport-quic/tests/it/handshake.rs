//! Who may connect to whom, and what a dial that fails says.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use millpond_core::transport::{DialError, Transport};
use millpond_transport_quic::{Identity, QuicOptions};
use quinn::{ConnectionError, TransportErrorCode};

use crate::raw_peer::{self, OUR_ALPN, claiming, holding};
use crate::support::{Node, within};

#[tokio::test]
async fn another_key_than_the_expected_one_is_refused() {
    let (dialer, acceptor) = (Node::new(), Node::new());
    let other = Identity::generate().unwrap().key();
    let to = acceptor.quic.local_address();
    let error = within(dialer.quic.dial(&to, other)).await.err().unwrap();
    let DialError::WrongKey { address, expected, reason } = error else { panic!("{error}") };
    assert_eq!((address, expected), (to, other));
    let key = acceptor.identity.key().short().to_string();
    assert!(reason.contains(&key), "{reason}");
}

#[tokio::test]
async fn a_server_that_shows_a_key_it_does_not_hold_is_refused() {
    let (dialer, honest) = (Node::new(), Identity::generate().unwrap());
    let impostor = claiming(honest.key(), &Identity::generate().unwrap());
    let server = raw_peer::serve(OUR_ALPN, impostor);
    let address = server.local_addr().unwrap().to_string();
    let error = within(dialer.quic.dial(&address, honest.key())).await.err().unwrap();
    assert!(matches!(error, DialError::WrongKey { .. }), "{error}");
}

#[tokio::test]
async fn a_client_that_shows_a_key_it_does_not_hold_never_becomes_a_link() {
    let acceptor = Node::new();
    let victim = Identity::generate().unwrap();
    let impostor = claiming(victim.key(), &Identity::generate().unwrap());
    refuse_client(&acceptor, Some(impostor)).await;
}

#[tokio::test]
async fn a_client_without_a_key_never_becomes_a_link() {
    refuse_client(&Node::new(), None).await;
}

/// The refusal comes after the client believes itself connected; then another client is served.
async fn refuse_client(acceptor: &Node, key: Option<std::sync::Arc<rustls::sign::CertifiedKey>>) {
    let connected = raw_peer::connect(acceptor.quic.local_socket(), OUR_ALPN, key);
    let (_endpoint, connection) = within(connected).await.expect("the trap: it succeeds");
    let ended = within(connection.closed()).await;
    assert!(matches!(ended, ConnectionError::ConnectionClosed(_)), "{ended}");

    let dialer = Node::new();
    let (_dialed, accepted) = tokio::join!(dialer.dial(acceptor), acceptor.accept());
    assert_eq!(accepted.peer(), dialer.identity.key());
}

#[tokio::test]
async fn a_server_of_another_protocol_version_is_incompatible() {
    let (dialer, server) = (Node::new(), Identity::generate().unwrap());
    let endpoint = raw_peer::serve(b"millpond/2", holding(&server));
    let address = endpoint.local_addr().unwrap().to_string();
    let error = within(dialer.quic.dial(&address, server.key())).await.err().unwrap();
    assert!(matches!(error, DialError::Incompatible { .. }), "{error}");
}

#[tokio::test]
async fn a_client_of_another_protocol_version_is_told() {
    let (acceptor, client) = (Node::new(), Identity::generate().unwrap());
    let to = acceptor.quic.local_socket();
    let connected = raw_peer::connect(to, b"millpond/2", Some(holding(&client)));
    let error = within(connected).await.err().unwrap();
    let ConnectionError::ConnectionClosed(close) = error else { panic!("{error}") };
    assert_eq!(close.error_code, TransportErrorCode::crypto(120)); // no_application_protocol
}

#[tokio::test]
async fn an_address_where_nobody_answers_is_unreachable() {
    let dialer = Node::impatient(300);
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap(); // takes packets, never answers
    let address = silent.local_addr().unwrap().to_string();
    let error = within(dialer.quic.dial(&address, dialer.identity.key())).await.err().unwrap();
    assert!(matches!(error, DialError::Unreachable { .. }), "{error}");
}

/// A network that comes back is noticed by the next packet, or by the next dial.
#[tokio::test]
async fn a_dial_that_nobody_answers_asks_again_and_ends_soon() {
    let dialer = Node::with(QuicOptions::default());
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let start = Instant::now();
    let asked = async {
        let mut asked_ms: Vec<u128> = Vec::new();
        while silent.recv_from(&mut [0; 2048]).await.is_ok() {
            let at_ms = start.elapsed().as_millis();
            // A packet that is sent again goes out twice.
            if asked_ms.last().is_none_or(|last_ms| at_ms > last_ms + 100) {
                asked_ms.push(at_ms);
            }
            if asked_ms.len() == 3 {
                break;
            }
        }
        asked_ms
    };
    let key = dialer.identity.key();
    let (dialed, asked_ms) =
        within(async { tokio::join!(dialer.quic.dial(&address, key), asked) }).await;
    assert!(matches!(dialed, Err(DialError::Unreachable { .. })));
    assert!(asked_ms[2] < 1_500, "it asked at {asked_ms:?} ms");
    assert!(start.elapsed() < Duration::from_millis(4_000), "{:?}", start.elapsed());
}

#[tokio::test]
async fn an_address_of_another_family_is_unreachable() {
    let dialer = Node::new(); // bound to an IPv4 address
    let error = within(dialer.quic.dial("[::1]:9", dialer.identity.key())).await.err().unwrap();
    assert!(matches!(error, DialError::Unreachable { .. }), "{error}");
}
