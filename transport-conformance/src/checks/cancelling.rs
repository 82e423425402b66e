//! Calls that are dropped before they end.

use std::sync::Arc;

use millpond_core::transport::{Lane, Link};

use crate::Broken;
use crate::broken::ensure;
use crate::frames::{largest, number_of, numbered};
use crate::nodes::{Suite, dropped_after};

/// Each link comes out of some later call.
pub(crate) async fn a_dropped_accept_loses_no_link(suite: &Suite) -> Result<(), Broken> {
    let (dialer, acceptor) = (suite.node().await?, suite.node().await?);
    for round in 0..LINKS {
        let dial = suite.dial(&dialer, &acceptor);
        let accept = async {
            let mut call = round as usize;
            loop {
                // More polls or fewer, so that calls are dropped at each of their steps.
                let accepted = dropped_after(1 + call % 5, acceptor.transport.accept());
                call += 1;
                if let Some(accepted) = accepted.await {
                    return accepted.map(Arc::<dyn Link>::from);
                }
            }
        };
        let accept = suite.within("accepting in calls that are dropped", accept);
        let (dialed, accepted) = tokio::try_join!(dial, accept)?;
        let accepted = accepted.ok_or_else(|| Broken::new("an open transport accepts no more"))?;
        suite.send(&*dialed, Lane::Control, numbered(round, 10)).await?;
        let received = suite.receive(&*accepted, Lane::Control).await?;
        ensure!(number_of(&received) == round, "a link of an earlier round was accepted");
    }
    Ok(())
}

const LINKS: u32 = 20;

/// Each frame comes out of some later call, whole and once.
pub(crate) async fn a_dropped_receive_loses_no_frame(suite: &Suite) -> Result<(), Broken> {
    for lane in [Lane::Control, Lane::Bulk] {
        let pair = suite.linked().await?;
        let sent = async {
            for number in 0..FRAMES {
                suite.send(&*pair.dialed, lane, of_any_size(number)).await?;
            }
            Ok(())
        };
        let received = async {
            let mut call = 0;
            for number in 0..FRAMES {
                let received = loop {
                    let received = dropped_after(1 + call % 3, pair.accepted.receive(lane));
                    call += 1;
                    if let Some(received) = received.await {
                        break received;
                    }
                };
                let received = received
                    .map_err(|error| Broken::new(format!("a frame was not received: {error}")))?;
                let found = number_of(&received);
                ensure!(
                    received == of_any_size(number),
                    "frame {found} came in the place of {number}"
                );
            }
            Ok(())
        };
        let both = async { tokio::try_join!(sent, received) };
        suite.within("receiving in calls that are dropped", both).await??;
    }
    Ok(())
}

const FRAMES: u32 = 60;

fn of_any_size(number: u32) -> bytes::Bytes {
    numbered(number, if number % 10 == 9 { 300_000 } else { 20 })
}

/// A frame whose call was dropped arrives whole or not at all, and never twice; or the link has ended.
pub(crate) async fn a_dropped_send_sends_all_or_nothing(suite: &Suite) -> Result<(), Broken> {
    for lane in [Lane::Control, Lane::Bulk] {
        for polls in 1..6 {
            let pair = suite.linked().await?;
            // The last number of which it is known that it was sent, and whether the link lives.
            let sending = async {
                let mut sent = Vec::new();
                for number in 0..12 {
                    match dropped_after(polls, pair.dialed.send(lane, largest(number))).await {
                        Some(Ok(())) => sent.push(number),
                        Some(Err(_)) => return (sent, false),
                        None => {}
                    }
                }
                let last = pair.dialed.send(lane, numbered(LAST, 10)).await;
                (sent, last.is_ok())
            };
            let receiving = async {
                let mut received = Vec::new();
                while let Ok(frame) = pair.accepted.receive(lane).await {
                    let number = number_of(&frame);
                    if number == LAST {
                        return Ok((received, true));
                    }
                    ensure!(
                        frame == largest(number),
                        "frame {number} arrived changed after a dropped send"
                    );
                    received.push(number);
                }
                Ok((received, false))
            };
            let both = async { tokio::join!(sending, receiving) };
            let ((sent, lives), received) = suite.within("sends that are dropped", both).await?;
            let (received, arrived) = received?;
            ensure!(
                received.is_sorted_by(|a, b| a < b),
                "frames came twice or out of order: {received:?}"
            );
            ensure!(!lives || arrived, "the link ended after its last send had succeeded");
            let all_arrived = sent.iter().all(|number| received.contains(number));
            ensure!(!lives || all_arrived, "of the frames {sent:?} those arrived: {received:?}");
        }
    }
    Ok(())
}

const LAST: u32 = 0xffff;

/// What a dial had reached when it was dropped goes, and others are served.
pub(crate) async fn a_dropped_dial_leaves_nothing(suite: &Suite) -> Result<(), Broken> {
    let (dialer, acceptor) = (suite.node().await?, suite.node().await?);
    let address = acceptor.address();
    for polls in 1..DROPPED_DIALS {
        let dial = dialer.transport.dial(&address, acceptor.key);
        drop(dropped_after(polls * polls, dial).await); // squared: the last ones get far
    }
    let dialed = suite.dial(&dialer, &acceptor).await?;
    suite.send(&*dialed, Lane::Control, numbered(1, 10)).await?;
    // Links of dropped dials may have been accepted: all of them end, and the last one is the good one.
    let good = async {
        loop {
            let accepted = suite.accept(&acceptor).await?;
            match accepted.receive(Lane::Control).await {
                Ok(frame) => {
                    ensure!(number_of(&frame) == 1, "a dropped dial sent a frame");
                    return suite.carries(&*dialed, &*accepted).await;
                }
                Err(_) => continue,
            }
        }
    };
    suite.within("finding the link of the dial that was not dropped", good).await?
}

const DROPPED_DIALS: usize = 20;

/// A close that was dropped is finished by the next one.
pub(crate) async fn a_dropped_close_can_be_repeated(suite: &Suite) -> Result<(), Broken> {
    for polls in 1..4 {
        let pair = suite.linked().await?;
        dropped_after(polls, pair.acceptor.transport.close()).await;
        suite.within("closing again", pair.acceptor.transport.close()).await?;
        let accepted =
            suite.within("accepting after a close", pair.acceptor.transport.accept()).await?;
        ensure!(accepted.is_none(), "a closed transport accepted a link");
        suite.ended(&*pair.dialed, Lane::Control).await?;
    }
    Ok(())
}
