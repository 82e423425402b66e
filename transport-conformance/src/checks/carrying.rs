//! What lanes carry.

use millpond_core::frame::{FrameError, frame};
use millpond_core::limits::FRAME_BYTES_MAX;
use millpond_core::transport::{Lane, Link, LinkError};

use crate::Broken;
use crate::broken::ensure;
use crate::frames::{BODY_BYTES_MAX, largest, number_of, numbered};
use crate::nodes::{Suite, skipped};

/// All frames of a lane arrive, once each and in order, on both lanes and both ways at the same time.
pub(crate) async fn frames_of_a_lane_arrive_in_order(suite: &Suite) -> Result<(), Broken> {
    let pair = suite.linked().await?;
    let (one, other) = (&*pair.dialed, &*pair.accepted);
    let (control, bulk) = (Lane::Control, Lane::Bulk);
    tokio::try_join!(
        send_many(suite, one, control),
        send_many(suite, one, bulk),
        send_many(suite, other, control),
        send_many(suite, other, bulk),
        receive_many(suite, one, control),
        receive_many(suite, one, bulk),
        receive_many(suite, other, control),
        receive_many(suite, other, bulk),
    )?;
    Ok(())
}

async fn send_many(suite: &Suite, link: &dyn Link, lane: Lane) -> Result<(), Broken> {
    for number in 0..FRAMES {
        suite.send(link, lane, one_of_many(number, lane, link)).await?;
    }
    Ok(())
}

async fn receive_many(suite: &Suite, link: &dyn Link, lane: Lane) -> Result<(), Broken> {
    for number in 0..FRAMES {
        let received = suite.receive(link, lane).await?;
        let expected = numbered(id(number, lane, !link.dialed()), bytes_of(number));
        let found = number_of(&received);
        ensure!(
            received == expected,
            "{lane:?} brought frame {found:#x} in the place of number {number}"
        );
    }
    Ok(())
}

fn one_of_many(number: u32, lane: Lane, sender: &dyn Link) -> bytes::Bytes {
    numbered(id(number, lane, sender.dialed()), bytes_of(number))
}

/// No two frames of the check are equal.
fn id(number: u32, lane: Lane, from_dialer: bool) -> u32 {
    number | u32::from(lane == Lane::Bulk) << 30 | u32::from(from_dialer) << 31
}

/// Mostly small ones, some larger, of ever other sizes.
fn bytes_of(number: u32) -> usize {
    (number as usize % 17) * if number.is_multiple_of(25) { 4_000 } else { 11 }
}

const FRAMES: u32 = 400;

/// An empty body, and one that fills the largest frame.
pub(crate) async fn the_smallest_and_the_largest_frame_arrive_whole(
    suite: &Suite,
) -> Result<(), Broken> {
    let pair = suite.linked().await?;
    let frames = [frame(9, 9, b""), largest(3), frame(9, 9, b"x"), largest(4)];
    for lane in [Lane::Control, Lane::Bulk] {
        let sent = async {
            for frame in &frames {
                suite.send(&*pair.dialed, lane, frame.clone()).await?;
            }
            Ok(())
        };
        let received = async {
            for frame in &frames {
                let received = suite.receive(&*pair.accepted, lane).await?;
                ensure!(
                    received == frame,
                    "a frame of {} bytes arrived changed on {lane:?}",
                    frame.len()
                );
            }
            Ok(())
        };
        tokio::try_join!(sent, received)?;
    }
    Ok(())
}

/// What is cut, padded or too long is refused with its reason; nothing of it is sent and the link goes on.
pub(crate) async fn bytes_that_are_no_frame_are_not_sent(suite: &Suite) -> Result<(), Broken> {
    let pair = suite.linked().await?;
    let whole = numbered(1, 50);
    let too_long = {
        let mut bytes = vec![1, 0, 1];
        bytes.extend_from_slice(&(BODY_BYTES_MAX as u32 + 1).to_le_bytes());
        bytes.resize(FRAME_BYTES_MAX + 1, 7);
        bytes::Bytes::from(bytes)
    };
    let padded = bytes::Bytes::from([&whole[..], b"x"].concat());
    for bytes in [whole.slice(..5), whole.slice(..20), padded, too_long] {
        let length = bytes.len();
        let sent = suite.within("a send of no frame", pair.dialed.send(Lane::Bulk, bytes)).await?;
        ensure!(
            matches!(sent, Err(LinkError::Frame(_))),
            "sending {length} bytes of no frame gave {sent:?}"
        );
    }
    suite.carries(&*pair.dialed, &*pair.accepted).await
}

/// How bytes come has nothing to do with where frames begin.
pub(crate) async fn a_frame_may_come_in_pieces(suite: &Suite) -> Result<(), Broken> {
    let acceptor = suite.node().await?;
    let stranger = suite.node().await?;
    let Some(mut raw) = suite.rig.raw(stranger.seed, &acceptor.address(), acceptor.key).await
    else {
        return skipped("the rig has no raw links");
    };
    let accepted = suite.accept(&acceptor).await?;
    ensure!(accepted.peer() == stranger.key, "a raw link came with another key than its own");
    let whole = numbered(5, 40);
    let bytes = [&whole[..], &whole[..]].concat();
    for piece in bytes.chunks(3) {
        suite.within("a raw write", raw.write(Lane::Control, piece)).await?;
    }
    for _ in 0..2 {
        let received = suite.receive(&*accepted, Lane::Control).await?;
        ensure!(received == whole, "a frame that came in pieces arrived changed");
    }
    Ok(())
}

/// A header that promises too much ends the link before anything is kept for it, and the sender is told.
pub(crate) async fn a_frame_beyond_the_limit_ends_the_link(suite: &Suite) -> Result<(), Broken> {
    for announced in [BODY_BYTES_MAX as u32 + 1, u32::MAX] {
        let acceptor = suite.node().await?;
        let stranger = suite.node().await?;
        let Some(mut raw) = suite.rig.raw(stranger.seed, &acceptor.address(), acceptor.key).await
        else {
            return skipped("the rig has no raw links");
        };
        let accepted = suite.accept(&acceptor).await?;
        let [l0, l1, l2, l3] = announced.to_le_bytes();
        suite.within("a raw write", raw.write(Lane::Bulk, &[1, 0, 1, l0, l1, l2, l3])).await?;
        let error = suite.ended(&*accepted, Lane::Bulk).await?;
        let is_told = matches!(error, LinkError::Frame(FrameError::TooLong(_)));
        ensure!(is_told, "a frame beyond the limit is reported as: {error}");
        suite.ended(&*accepted, Lane::Control).await?;
        suite.within("the end at who sent too much", raw.ended()).await?;
    }
    Ok(())
}

/// Counters tell at least what was carried.
pub(crate) async fn counters_count(suite: &Suite) -> Result<(), Broken> {
    let pair = suite.linked().await?;
    let sent = numbered(1, 100_000);
    suite.send(&*pair.dialed, Lane::Bulk, sent.clone()).await?;
    suite.receive(&*pair.accepted, Lane::Bulk).await?;
    let least = sent.len() as u64;
    let (sender, receiver) = (pair.dialed.stats(), pair.accepted.stats());
    ensure!(
        sender.wire_bytes_sent >= least,
        "{} bytes count as sent of {least}",
        sender.wire_bytes_sent
    );
    let received = receiver.wire_bytes_received;
    ensure!(received >= least, "{received} bytes count as received of {least}");
    Ok(())
}
