//! How links and endpoints end.

use std::sync::Arc;
use std::time::Duration;

use millpond_core::transport::{DialError, Lane, Link, LinkError};

use crate::Broken;
use crate::broken::ensure;
use crate::frames::{largest, numbered};
use crate::nodes::{Pair, SILENCE, Suite, skipped};

/// Each call of the peer's ends with the code and the words of who closed; the first of two closes counts.
pub(crate) async fn a_close_tells_why(suite: &Suite) -> Result<(), Broken> {
    for dialer_closes in [true, false] {
        let pair = suite.linked().await?;
        let (closing, told) = ends(&pair, dialer_closes);
        // Two calls that wait already, and those that come later.
        let told_waiting = Arc::clone(told);
        let waiting = tokio::spawn(async move { told_waiting.receive(Lane::Bulk).await });
        closing.close(7, "not a member");
        closing.close(8, "too late");
        let expected = LinkError::Closed { code: 7, reason: "not a member".to_owned() };
        let waited = suite.within("the end of a call that waits", waiting).await?;
        ensure!(
            matches!(&waited, Ok(Err(error)) if *error == expected),
            "a waiting call gave {waited:?}"
        );
        for lane in [Lane::Control, Lane::Bulk] {
            let received = suite.within("the end of a lane", told.receive(lane)).await?;
            ensure!(
                received.as_ref() == Err(&expected),
                "after a close {lane:?} gave {received:?}"
            );
            let sent =
                suite.within("a send after a close", told.send(lane, numbered(1, 9))).await?;
            ensure!(
                sent.as_ref() == Err(&expected),
                "sending on {lane:?} after a close gave {sent:?}"
            );
            let received = suite.within("the end of a lane", closing.receive(lane)).await?;
            let is_known = received.as_ref() == Err(&LinkError::ClosedHere);
            ensure!(is_known, "where it was closed {lane:?} gave {received:?}");
        }
        let sent =
            suite.within("a send after a close", closing.send(Lane::Bulk, numbered(1, 9))).await?;
        ensure!(sent == Err(LinkError::ClosedHere), "sending where it was closed gave {sent:?}");
    }
    Ok(())
}

fn ends(pair: &Pair, dialer_first: bool) -> (&Arc<dyn Link>, &Arc<dyn Link>) {
    if dialer_first { (&pair.dialed, &pair.accepted) } else { (&pair.accepted, &pair.dialed) }
}

/// A reason has 256 bytes at most, and whole characters.
pub(crate) async fn a_long_reason_arrives_cut(suite: &Suite) -> Result<(), Broken> {
    let pair = suite.linked().await?;
    pair.dialed.close(1, &format!("a{}", "é".repeat(300)));
    let expected = LinkError::Closed { code: 1, reason: format!("a{}", "é".repeat(127)) };
    let error = suite.ended(&*pair.accepted, Lane::Control).await?;
    ensure!(error == expected, "a reason of 601 bytes arrived as: {error}");
    Ok(())
}

/// A close overtakes what waits in full lanes, and ends the sends that wait there.
pub(crate) async fn a_close_passes_full_lanes(suite: &Suite) -> Result<(), Broken> {
    for filler_closes in [true, false] {
        let pair = suite.linked().await?;
        let mut standing = Vec::new();
        for lane in [Lane::Control, Lane::Bulk] {
            let sender = Arc::clone(&pair.dialed);
            standing.push(tokio::spawn(async move {
                let mut number = 0;
                loop {
                    if let Err(error) = sender.send(lane, largest(number)).await {
                        return error;
                    }
                    number += 1;
                }
            }));
        }
        // Both lanes have begun to carry.
        suite.receive(&*pair.accepted, Lane::Control).await?;
        suite.receive(&*pair.accepted, Lane::Bulk).await?;
        let (closing, told) = ends(&pair, filler_closes);
        closing.close(9, "revoked");
        let expected = LinkError::Closed { code: 9, reason: "revoked".to_owned() };
        for lane in [Lane::Control, Lane::Bulk] {
            let error = suite.ended(&**told, lane).await?;
            ensure!(error == expected, "a close beside full lanes is told as: {error}");
        }
        for sender in standing {
            let error = suite.within("the end of a send that waits", sender).await?;
            let error = error.map_err(|error| Broken::new(format!("a send panicked: {error}")))?;
            let is_known =
                error == if filler_closes { LinkError::ClosedHere } else { expected.clone() };
            ensure!(is_known, "a send that waited ended with: {error}");
        }
    }
    Ok(())
}

/// A link that is dropped tells its peer that it has ended.
pub(crate) async fn a_dropped_link_ends(suite: &Suite) -> Result<(), Broken> {
    for dialer_drops in [true, false] {
        let Pair { dialer, acceptor, dialed, accepted } = suite.linked().await?;
        let (dropped, told) = if dialer_drops { (dialed, accepted) } else { (accepted, dialed) };
        drop(dropped);
        for lane in [Lane::Control, Lane::Bulk] {
            suite.ended(&*told, lane).await?;
        }
        drop((dialer, acceptor));
    }
    Ok(())
}

/// Where one half of a lane has ended, all of the link has.
pub(crate) async fn a_lane_never_ends_alone(suite: &Suite) -> Result<(), Broken> {
    for (ended, other) in [(Lane::Control, Lane::Bulk), (Lane::Bulk, Lane::Control)] {
        let acceptor = suite.node().await?;
        let stranger = suite.node().await?;
        let Some(mut raw) = suite.rig.raw(stranger.seed, &acceptor.address(), acceptor.key).await
        else {
            return skipped("the rig has no raw links");
        };
        let accepted = suite.accept(&acceptor).await?;
        suite.within("the end of a raw lane", raw.end(ended)).await?;
        suite.ended(&*accepted, ended).await?;
        suite.ended(&*accepted, other).await?;
        let sent = suite.within("a send", accepted.send(other, numbered(1, 9))).await?;
        ensure!(sent.is_err(), "{other:?} goes on after {ended:?} has ended");
        suite.within("the end at who ended one lane", raw.ended()).await?;
    }
    Ok(())
}

/// An acceptor that closes at once is heard, however quick it is.
pub(crate) async fn a_refusal_reaches_who_dialled(suite: &Suite) -> Result<(), Broken> {
    let (dialer, acceptor) = (suite.node().await?, suite.node().await?);
    for round in 0..20 {
        let (dialed, accepted) = tokio::join!(suite.dial(&dialer, &acceptor), async {
            let accepted = suite.accept(&acceptor).await?;
            accepted.close(round, "not welcome");
            Ok(accepted)
        });
        let (dialed, accepted) = (dialed?, accepted?);
        let expected = LinkError::Closed { code: round, reason: "not welcome".to_owned() };
        let error = suite.ended(&*dialed, Lane::Control).await?;
        ensure!(error == expected, "a refusal is told as: {error}");
        drop(accepted);
    }
    Ok(())
}

/// Silence of those above is no silence of the peer.
pub(crate) async fn a_quiet_link_stays(suite: &Suite) -> Result<(), Broken> {
    let (dialer, acceptor) = (suite.impatient_node().await?, suite.impatient_node().await?);
    let pair = suite.link(dialer, acceptor).await?;
    tokio::time::sleep(SILENCE * 5 / 2).await; // time that passes is what it is about
    suite.carries(&*pair.dialed, &*pair.accepted).await
}

/// A peer that dies without a word ends the link, also when nothing is sent.
pub(crate) async fn a_peer_that_vanishes_is_noticed(suite: &Suite) -> Result<(), Broken> {
    for survivor_dialed in [true, false] {
        let (doomed, runtime) = suite.doomed_node().await?;
        let survivor = suite.impatient_node().await?;
        let (link, gone);
        if survivor_dialed {
            let pair = suite.link(survivor, doomed).await?;
            (link, gone) = ((pair.dialed, pair.dialer), (pair.accepted, pair.acceptor));
        } else {
            let pair = suite.link(doomed, survivor).await?;
            (link, gone) = ((pair.accepted, pair.acceptor), (pair.dialed, pair.dialer));
        }
        suite.carries(&*link.0, &*gone.0).await?;
        runtime.shutdown_background();
        drop(gone);
        for lane in [Lane::Control, Lane::Bulk] {
            let error = suite.ended(&*link.0, lane).await?;
            let is_end = matches!(error, LinkError::Lost(_) | LinkError::Closed { .. });
            ensure!(is_end, "a peer that is gone is reported as: {error}");
        }
    }
    Ok(())
}

/// After a close nothing is accepted, dialled or carried, the peers know, and the address is free.
pub(crate) async fn a_closed_transport_is_closed(suite: &Suite) -> Result<(), Broken> {
    let Pair { dialer, acceptor, dialed, accepted } = suite.linked().await?;
    let closing = async { tokio::join!(acceptor.transport.close(), acceptor.transport.accept()) };
    let (_, waiting) = suite.within("closing", closing).await?;
    ensure!(waiting.is_none(), "a closed transport accepted a link");
    let error = suite.ended(&*accepted, Lane::Control).await?;
    ensure!(error == LinkError::ClosedHere, "a link of a closed transport ends with: {error}");
    let error = suite.ended(&*dialed, Lane::Bulk).await?;
    ensure!(
        matches!(error, LinkError::Closed { .. }),
        "the peer of a closed transport hears: {error}"
    );

    suite.within("closing again", acceptor.transport.close()).await?;
    let again = suite.within("accepting after a close", acceptor.transport.accept()).await?;
    ensure!(again.is_none(), "a closed transport accepted a link");
    let error = suite.dial_in_vain(&acceptor, &dialer.address(), dialer.key).await?;
    let is_known = matches!(error, DialError::Unreachable { .. });
    ensure!(is_known, "a dial from a closed transport is reported as: {error}");
    let error = suite.dial_in_vain(&dialer, &acceptor.address(), acceptor.key).await?;
    let is_known = matches!(error, DialError::Unreachable { .. });
    ensure!(is_known, "a dial of a closed transport is reported as: {error}");

    let (seed, address) = (acceptor.seed, acceptor.address());
    drop((acceptor, accepted));
    let free = async {
        loop {
            if let Ok(node) = suite.again(seed, Some(address.clone())).await {
                return node;
            }
            tokio::time::sleep(Duration::from_millis(5)).await; // until the system has let go of it
        }
    };
    let acceptor = suite.within("binding the address of a closed transport", free).await?;
    let pair = suite.link(dialer, acceptor).await?;
    suite.carries(&*pair.dialed, &*pair.accepted).await
}

/// Whoever closes an endpoint need not wait for its dials.
pub(crate) async fn closing_ends_a_dial_under_way(suite: &Suite) -> Result<(), Broken> {
    for polls in 0..8 {
        let (dialer, acceptor) = (suite.node().await?, suite.node().await?);
        let (address, key) = (acceptor.address(), acceptor.key);
        let (transport, dialing) = (Arc::clone(&dialer.transport), Arc::clone(&dialer.transport));
        let dial = tokio::spawn(async move { dialing.dial(&address, key).await });
        for _ in 0..polls {
            tokio::task::yield_now().await;
        }
        suite.within("closing", transport.close()).await?;
        let dialed = suite.within("the end of a dial", dial).await?;
        match dialed.map_err(|error| Broken::new(format!("a dial panicked: {error}")))? {
            Err(DialError::Unreachable { .. }) => {}
            Err(error) => {
                return Err(Broken::new(format!("a dial that was closed is reported as: {error}")));
            }
            // It was through before the close, which has ended it.
            Ok(link) => drop(suite.ended(&*link, Lane::Control).await?),
        }
    }
    Ok(())
}
