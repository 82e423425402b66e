//! Binding, addresses and closing.

use millpond_core::transport::{DialError, Lane, LinkError, TRANSPORT_CLOSE_CODES_FROM, Transport};
use millpond_transport_quic::{BindError, Identity, Quic, QuicOptions};

use crate::support::{Node, linked, numbered, within};

#[tokio::test]
async fn a_port_in_use_is_named_with_what_to_do() {
    let first = Node::new();
    let address = first.quic.local_socket();
    let error = Quic::bind(&first.identity, address, QuicOptions::default()).unwrap_err();
    assert!(matches!(error, BindError::InUse { address: used } if used == address));
    let text = error.to_string();
    assert!(text.contains(&address.to_string()) && text.contains("choose another port"), "{text}");
}

#[test]
fn binding_outside_a_runtime_is_refused() {
    let identity = Identity::generate().unwrap();
    let bound = Quic::bind(&identity, "127.0.0.1:0".parse().unwrap(), QuicOptions::default());
    assert!(matches!(bound, Err(BindError::NoRuntime)));
}

#[tokio::test]
async fn the_local_address_has_the_real_port_and_buffers_are_known() {
    let node = Node::new();
    assert_ne!(node.quic.local_socket().port(), 0);
    assert_eq!(node.quic.local_address(), node.quic.local_socket().to_string());
    assert_eq!(node.quic.key(), node.identity.key());
    assert!(node.quic.socket_buffers().receive_bytes > 0);
}

#[tokio::test]
async fn a_name_is_dialled_at_each_of_its_addresses() {
    let (dialer, acceptor) = (Node::new(), Node::new());
    // Where localhost is ::1 too, that address fails first: nobody listens there.
    let address = format!("localhost:{}", acceptor.quic.local_socket().port());
    let dialed = within(dialer.quic.dial(&address, acceptor.identity.key())).await.unwrap();
    let accepted = acceptor.accept().await;
    assert_eq!(dialed.remote_address(), acceptor.quic.local_address());
    assert_eq!(accepted.remote_address(), dialer.quic.local_address());
}

#[tokio::test]
async fn an_unspecified_ipv6_address_takes_ipv4_too() {
    let identity = Identity::generate().unwrap();
    let any = "[::]:0".parse().unwrap();
    let Ok(acceptor) = Quic::bind(&identity, any, QuicOptions::default()) else {
        return eprintln!("skipped: this host has no IPv6");
    };
    let dialer = Node::new();
    let address = format!("127.0.0.1:{}", acceptor.local_socket().port());
    let _dialed = within(dialer.quic.dial(&address, identity.key())).await.unwrap();
    let accepted = within(acceptor.accept()).await.unwrap();
    assert_eq!(accepted.remote_address(), dialer.quic.local_address());
}

#[tokio::test]
async fn text_that_is_no_address_is_refused_at_once() {
    let node = Node::new();
    let dialed = node.quic.dial("nowhere", node.identity.key()).await;
    assert!(
        matches!(dialed.err(), Some(DialError::Address { address, .. }) if address == "nowhere")
    );
}

#[tokio::test]
async fn closing_ends_links_accepts_and_dials_and_tells_the_peer() {
    let (dialer, acceptor, dialed, accepted) = linked().await;
    let (_, waiting) =
        within(async { tokio::join!(acceptor.quic.close(), acceptor.quic.accept()) }).await;
    assert!(waiting.is_none());
    assert_eq!(within(accepted.receive(Lane::Control)).await, Err(LinkError::ClosedHere));
    let told = within(dialed.receive(Lane::Control)).await.unwrap_err();
    let LinkError::Closed { code, reason } = told else { panic!("{told}") };
    assert_eq!((code, &reason[..]), (TRANSPORT_CLOSE_CODES_FROM, "the node was stopped"));

    within(acceptor.quic.close()).await;
    assert!(within(acceptor.quic.accept()).await.is_none());
    let address = dialer.quic.local_address();
    let again = acceptor.quic.dial(&address, dialer.identity.key());
    assert!(matches!(within(again).await.err(), Some(DialError::Unreachable { .. })));
}

#[tokio::test]
async fn a_closed_transport_frees_its_port() {
    let (_dialer, acceptor, dialed, accepted) = linked().await;
    dialed.send(Lane::Control, numbered(1)).await.unwrap();
    let address = acceptor.quic.local_socket();
    within(acceptor.quic.close()).await;
    drop((accepted, acceptor.quic));
    within(async {
        while Quic::bind(&acceptor.identity, address, QuicOptions::default()).is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
