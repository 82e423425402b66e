//! Peers that finish the handshake and then break the rules.

use std::net::SocketAddr;
use std::time::Duration;

use millpond_core::frame::FrameError;
use millpond_core::transport::{Lane, Link, LinkError, TRANSPORT_CLOSE_CODES_FROM};
use millpond_transport_quic::{Identity, QuicOptions};
use quinn::{Connection, Endpoint, RecvStream, SendStream};

use crate::raw_peer::{self, OUR_ALPN, holding};
use crate::support::{Node, numbered, within};

#[tokio::test]
async fn a_frame_longer_than_the_limit_ends_the_link_before_it_is_read() {
    let acceptor = Node::new();
    let mut raw = RawLink::open(&acceptor).await;
    raw.control.0.write_all(&[0, 0, 1, 0xff, 0xff, 0xff, 0x7f]).await.unwrap();
    let received = within(raw.accepted.receive(Lane::Control)).await;
    assert_eq!(received, Err(LinkError::Frame(FrameError::TooLong(0x7fff_ffff + 7))));
    refused(&raw.connection, "exceeds the limit").await;
}

#[tokio::test]
async fn lanes_may_be_opened_in_any_order_and_frames_may_come_in_pieces() {
    let acceptor = Node::new();
    let (_endpoint, connection) = stranger(&acceptor).await;
    let mut bulk = raw_peer::open(&connection, &[1, 1]).await;
    let mut control = raw_peer::open(&connection, &[1, 0]).await;
    let accepted = acceptor.accept().await;
    for byte in numbered(1) {
        bulk.0.write_all(&[byte]).await.unwrap();
    }
    control.0.write_all(&numbered(2)).await.unwrap();
    assert_eq!(within(accepted.receive(Lane::Bulk)).await.unwrap(), numbered(1));
    assert_eq!(within(accepted.receive(Lane::Control)).await.unwrap(), numbered(2));
}

#[tokio::test]
async fn streams_that_are_not_our_lanes_are_refused_and_others_are_served() {
    let acceptor = Node::new();
    let cases: [(&[&[u8]], &str); 4] = [
        (&[&[1, 0], &[1, 2]], "lane 2 is unknown"),
        (&[&[2, 0]], "version 2 is unknown"),
        (&[&[1, 0], &[1, 0]], "opened twice"),
        (&[&[0xff, 0xff, 0xff, 0xff]], "version 255 is unknown"),
    ];
    for (starts, reason) in cases {
        let (_endpoint, connection) = stranger(&acceptor).await;
        let mut streams = Vec::new();
        for start in starts {
            streams.push(raw_peer::open(&connection, start).await);
        }
        refused(&connection, reason).await;
    }
    still_serves(&acceptor).await;
}

#[tokio::test]
async fn a_stream_that_ends_before_it_names_its_lane_is_refused() {
    let acceptor = Node::new();
    let (_endpoint, connection) = stranger(&acceptor).await;
    let (mut send, _receive) = raw_peer::open(&connection, &[1]).await;
    send.finish().unwrap();
    refused(&connection, "before it named its lane").await;
}

#[tokio::test]
async fn clients_that_stall_delay_nobody() {
    let acceptor = Node::new();
    let mut stalled = Vec::new();
    for stage in 0..12 {
        let (endpoint, connection) = stranger(&acceptor).await;
        let streams = match stage % 3 {
            0 => None,                                             // no stream at all
            1 => Some(raw_peer::open(&connection, &[1]).await),    // half of a start
            _ => Some(raw_peer::open(&connection, &[1, 0]).await), // one lane of two
        };
        stalled.push((endpoint, connection, streams));
    }
    still_serves(&acceptor).await;
}

/// Enough of them to pass the point from which addresses must be proved first.
#[tokio::test]
async fn a_crowd_of_stalled_clients_delays_nobody() {
    let acceptor = Node::new();
    let mut stalled = Vec::new();
    for _ in 0..140 {
        stalled.push(stranger(&acceptor).await);
    }
    still_serves(&acceptor).await;
    assert!(stalled.iter().all(|(_, connection)| connection.close_reason().is_none()));
}

#[tokio::test]
async fn a_peer_that_vanishes_is_lost_after_the_idle_timeout() {
    let mut options = QuicOptions::default();
    options.idle_timeout = Duration::from_millis(1000);
    options.keep_alive = Duration::from_millis(100);
    let acceptor = Node::with(options);
    let address = acceptor.quic.local_socket();
    // Its runtime ends with its tasks, so it does not even say that it goes.
    let raw = tokio::task::spawn_blocking(move || {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let (endpoint, connection) = stranger_to(address).await;
            let mut control = raw_peer::open(&connection, &[1, 0]).await;
            let bulk = raw_peer::open(&connection, &[1, 1]).await;
            control.1.read_exact(&mut [0]).await.unwrap();
            (endpoint, connection, control, bulk)
        })
    });
    let accepted = acceptor.accept().await;
    accepted.send(Lane::Control, numbered(1)).await.unwrap();
    drop(within(raw).await.unwrap());
    let lost = within(accepted.receive(Lane::Control)).await;
    assert_eq!(lost, Err(LinkError::Lost("nothing arrived in time".to_owned())));
}

#[tokio::test]
async fn a_client_that_opens_no_lanes_is_closed_at_the_deadline() {
    let acceptor = Node::impatient(200);
    let (_endpoint, connection) = stranger(&acceptor).await;
    refused(&connection, "not open in time").await;
}

#[tokio::test]
async fn a_lane_that_ends_alone_ends_the_link() {
    let acceptor = Node::new();
    let mut raw = RawLink::open(&acceptor).await;
    raw.bulk.0.finish().unwrap();
    let received = within(raw.accepted.receive(Lane::Bulk)).await;
    assert!(matches!(received, Err(LinkError::Lost(_))), "{received:?}");
    refused(&raw.connection, "ended alone").await;
}

#[tokio::test]
async fn a_lane_that_nobody_reads_at_the_other_end_ends_the_link() {
    let acceptor = Node::new();
    let mut raw = RawLink::open(&acceptor).await;
    raw.control.1.stop(0u32.into()).unwrap();
    let error = within(async {
        loop {
            if let Err(error) = raw.accepted.send(Lane::Control, numbered(1)).await {
                break error;
            }
            tokio::task::yield_now().await; // until the stop has arrived
        }
    });
    assert!(matches!(error.await, LinkError::Lost(_)));
    refused(&raw.connection, "ended alone").await;
}

/// A raw client's end of a link, and ours.
struct RawLink {
    _endpoint: Endpoint,
    connection: Connection,
    control: (SendStream, RecvStream),
    bulk: (SendStream, RecvStream),
    accepted: Box<dyn Link>,
}

impl RawLink {
    async fn open(acceptor: &Node) -> Self {
        let (endpoint, connection) = stranger(acceptor).await;
        let control = raw_peer::open(&connection, &[1, 0]).await;
        let bulk = raw_peer::open(&connection, &[1, 1]).await;
        let accepted = acceptor.accept().await;
        Self { _endpoint: endpoint, connection, control, bulk, accepted }
    }
}

/// A raw client with a key of its own, connected and silent.
async fn stranger(acceptor: &Node) -> (Endpoint, Connection) {
    stranger_to(acceptor.quic.local_socket()).await
}

async fn stranger_to(address: SocketAddr) -> (Endpoint, Connection) {
    let key = holding(&Identity::generate().unwrap());
    let connected = raw_peer::connect(address, OUR_ALPN, Some(key));
    within(connected).await.unwrap()
}

async fn refused(connection: &Connection, expected: &str) {
    let close = within(raw_peer::closed(connection)).await;
    let reason = String::from_utf8(close.reason.to_vec()).unwrap();
    assert!(reason.contains(expected), "{reason}");
    assert!(close.error_code.into_inner() >= u64::from(TRANSPORT_CLOSE_CODES_FROM));
}

/// A node of ours still gets its link while the others are what they are.
async fn still_serves(acceptor: &Node) {
    let dialer = Node::new();
    let (dialed, accepted) = tokio::join!(dialer.dial(acceptor), acceptor.accept());
    assert_eq!(accepted.peer(), dialer.identity.key());
    dialed.send(Lane::Control, numbered(1)).await.unwrap();
    assert_eq!(within(accepted.receive(Lane::Control)).await.unwrap(), numbered(1));
}
