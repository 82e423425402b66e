//! What links carry, and how they end.

use std::sync::Arc;

use millpond_core::frame::frame;
use millpond_core::limits::FRAME_BYTES_MAX;
use millpond_core::transport::{Lane, Link, LinkError, TRANSPORT_CLOSE_CODES_FROM, Transport};

use crate::support::{Node, large, linked, numbered, within};

#[tokio::test]
async fn each_end_knows_its_peer_and_who_dialled() {
    let (dialer, acceptor, dialed, accepted) = linked().await;
    assert_eq!((dialed.peer(), dialed.dialed()), (acceptor.identity.key(), true));
    assert_eq!((accepted.peer(), accepted.dialed()), (dialer.identity.key(), false));
    assert_eq!(dialed.remote_address(), acceptor.quic.local_address());
}

#[tokio::test]
async fn both_lanes_carry_frames_in_order_both_ways() {
    let (_a, _b, dialed, accepted) = linked().await;
    let (dialed, accepted) = (&*dialed, &*accepted);
    within(async {
        tokio::join!(
            send_all(dialed, Lane::Control),
            send_all(dialed, Lane::Bulk),
            send_all(accepted, Lane::Control),
            send_all(accepted, Lane::Bulk),
            receive_all(dialed, Lane::Control),
            receive_all(dialed, Lane::Bulk),
            receive_all(accepted, Lane::Control),
            receive_all(accepted, Lane::Bulk),
        )
    })
    .await;
}

async fn send_all(link: &dyn Link, lane: Lane) {
    for number in 0..500 {
        link.send(lane, numbered(number)).await.unwrap();
    }
}

async fn receive_all(link: &dyn Link, lane: Lane) {
    for number in 0..500 {
        assert_eq!(link.receive(lane).await.unwrap(), numbered(number));
    }
}

#[tokio::test]
async fn the_smallest_and_the_largest_frame_arrive_whole() {
    let (_a, _b, dialed, accepted) = linked().await;
    let frames = [frame(9, 9, b""), large(3, FRAME_BYTES_MAX - 7), frame(9, 9, b"x")];
    within(async {
        let sent = async {
            for frame in &frames {
                dialed.send(Lane::Bulk, frame.clone()).await.unwrap();
            }
        };
        let received = async {
            for frame in &frames {
                assert_eq!(accepted.receive(Lane::Bulk).await.unwrap(), frame);
            }
        };
        tokio::join!(sent, received)
    })
    .await;
}

/// The receiver does not touch its bulk lane, so bulk stands still with every window of it full; control
/// frames, themselves more than a lane's window together, must pass in both directions all the same.
#[tokio::test]
async fn bulk_in_flight_does_not_delay_control() {
    let (_a, _b, dialed, accepted) = linked().await;
    let dialed: Arc<dyn Link> = dialed.into();
    let sending = Arc::clone(&dialed);
    let bulk = tokio::spawn(async move {
        for number in 0..8 {
            sending.send(Lane::Bulk, large(number, BULK_BODY)).await.unwrap();
        }
    });
    for number in 0..64 {
        let ping = large(number, 64 << 10);
        within(dialed.send(Lane::Control, ping.clone())).await.unwrap();
        assert_eq!(within(accepted.receive(Lane::Control)).await.unwrap(), ping);
        within(accepted.send(Lane::Control, numbered(number))).await.unwrap();
        assert_eq!(within(dialed.receive(Lane::Control)).await.unwrap(), numbered(number));
    }
    assert!(!bulk.is_finished(), "bulk waits while nobody receives it");

    for number in 0..8 {
        assert_eq!(within(accepted.receive(Lane::Bulk)).await.unwrap(), large(number, BULK_BODY));
    }
    within(bulk).await.unwrap();
}

/// Both frames wait at the sender for the congestion window, bulk first. Control is the larger one: had it
/// only an equal share of the packets, or of quinn's send window, bulk would arrive first.
#[tokio::test]
async fn a_control_frame_overtakes_bulk_that_was_handed_over_before() {
    let (_a, _b, dialed, accepted) = linked().await;
    let (bulk, control) = (large(1, 900_000), large(2, 1_000_000));
    within(dialed.send(Lane::Bulk, bulk.clone())).await.unwrap();
    within(dialed.send(Lane::Control, control.clone())).await.unwrap();
    let mut bulk_received = accepted.receive(Lane::Bulk);
    let first = within(async {
        tokio::select! {
            biased;
            _ = &mut bulk_received => "bulk",
            received = accepted.receive(Lane::Control) => {
                assert_eq!(received.unwrap(), control);
                "control"
            }
        }
    });
    assert_eq!(first.await, "control");
    assert_eq!(within(bulk_received).await.unwrap(), bulk);
}

const BULK_BODY: usize = FRAME_BYTES_MAX - 7;

#[tokio::test]
async fn a_dropped_receive_loses_nothing() {
    let (_a, _b, dialed, accepted) = linked().await;
    let expected = large(1, 300_000);
    dialed.send(Lane::Bulk, expected.clone()).await.unwrap();
    let received = within(async {
        loop {
            tokio::select! {
                biased;
                frame = accepted.receive(Lane::Bulk) => break frame,
                () = tokio::task::yield_now() => {} // drops the call, most often inside of the frame
            }
        }
    });
    assert_eq!(received.await.unwrap(), expected);
}

#[tokio::test]
async fn a_send_dropped_inside_a_frame_ends_the_link() {
    let (_a, _b, dialed, accepted) = linked().await;
    // Two frames that fit into the lane's window only one and a half times, and nobody receives.
    within(dialed.send(Lane::Bulk, large(1, 700_000))).await.unwrap();
    tokio::select! {
        biased;
        sent = dialed.send(Lane::Bulk, large(2, 700_000)) => panic!("fitted: {sent:?}"),
        () = tokio::task::yield_now() => {}
    }
    let told = within(accepted.receive(Lane::Control)).await.unwrap_err();
    let LinkError::Closed { code, reason } = told else { panic!("{told}") };
    assert!(code >= TRANSPORT_CLOSE_CODES_FROM && reason.contains("cut off"), "{code} {reason}");
    assert_eq!(dialed.send(Lane::Control, numbered(1)).await, Err(LinkError::ClosedHere));
}

#[tokio::test]
async fn a_close_carries_its_code_and_reason_to_the_peer() {
    for dialer_closes in [true, false] {
        let (_a, _b, dialed, accepted) = linked().await;
        let (closing, told) = if dialer_closes { (dialed, accepted) } else { (accepted, dialed) };
        closing.close(7, "not a member");
        closing.close(8, "too late"); // idempotent: the first one counts
        let expected = Err(LinkError::Closed { code: 7, reason: "not a member".to_owned() });
        assert_eq!(within(told.receive(Lane::Control)).await, expected);
        assert_eq!(within(told.receive(Lane::Bulk)).await, expected);
        assert_eq!(within(told.send(Lane::Bulk, numbered(1))).await.err(), expected.err());
        assert_eq!(within(closing.receive(Lane::Bulk)).await, Err(LinkError::ClosedHere));
    }
}

/// quinn 0.11 by itself would hold the close back behind the full congestion window, for ever.
#[tokio::test]
async fn a_close_during_a_bulk_transfer_reaches_the_peer() {
    for whole_transport in [false, true] {
        let (dialer, _b, dialed, accepted) = linked().await;
        let dialed: Arc<dyn Link> = dialed.into();
        // The call returns when quinn holds the frame, most of which waits for the window.
        within(dialed.send(Lane::Bulk, large(1, BULK_BODY / 2))).await.unwrap();
        let expected = if whole_transport {
            within(dialer.quic.close()).await;
            (TRANSPORT_CLOSE_CODES_FROM, "the node was stopped")
        } else {
            dialed.close(9, "revoked");
            (9, "revoked")
        };
        let told = within(accepted.receive(Lane::Control)).await.unwrap_err();
        let LinkError::Closed { code, reason } = told else { panic!("{told}") };
        assert_eq!((code, &reason[..]), expected);
    }
}

#[tokio::test]
async fn a_long_reason_arrives_cut() {
    let (_a, _b, dialed, accepted) = linked().await;
    dialed.close(1, &"é".repeat(300));
    let expected = LinkError::Closed { code: 1, reason: "é".repeat(128) };
    assert_eq!(within(accepted.receive(Lane::Control)).await, Err(expected));
}

#[tokio::test]
async fn a_dropped_link_says_so() {
    let (_a, _b, dialed, accepted) = linked().await;
    drop(dialed);
    let told = within(accepted.receive(Lane::Control)).await.unwrap_err();
    assert!(matches!(told, LinkError::Closed { reason, .. } if reason == "the link was dropped"));
}

#[tokio::test]
async fn simultaneous_dials_yield_two_independent_links() {
    let (a, b) = (Node::new(), Node::new());
    let (a_dialed, b_dialed, a_accepted, b_accepted) =
        tokio::join!(a.dial(&b), b.dial(&a), a.accept(), b.accept());
    a_dialed.close(1, "the other one stays");
    assert!(within(b_accepted.receive(Lane::Control)).await.is_err());
    b_dialed.send(Lane::Control, numbered(5)).await.unwrap();
    assert_eq!(within(a_accepted.receive(Lane::Control)).await.unwrap(), numbered(5));
}

#[tokio::test]
async fn stats_count_what_went_over_the_wire() {
    let (_a, _b, dialed, accepted) = linked().await;
    let sent = large(1, 100_000);
    dialed.send(Lane::Bulk, sent.clone()).await.unwrap();
    within(accepted.receive(Lane::Bulk)).await.unwrap();
    assert!(dialed.stats().wire_bytes_sent >= sent.len() as u64);
    assert!(accepted.stats().wire_bytes_received >= sent.len() as u64);
    assert!(accepted.stats().wire_bytes_sent > 0);
    assert!(dialed.stats().round_trip_us > 0);
}
