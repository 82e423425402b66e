//! Back-pressure, and who has to wait for whom.

use std::sync::Arc;
use std::time::Duration;

use millpond_core::transport::{Lane, Link};
use tokio::time::timeout;

use crate::Broken;
use crate::broken::ensure;
use crate::frames::{largest, numbered};
use crate::nodes::{Suite, skipped};

/// A lane that nobody receives stands still, and the other one carries on, more than it can hold at once.
pub(crate) async fn lanes_do_not_wait_for_each_other(suite: &Suite) -> Result<(), Broken> {
    for (full, open) in [(Lane::Bulk, Lane::Control), (Lane::Control, Lane::Bulk)] {
        let pair = suite.linked().await?;
        let sender = Arc::clone(&pair.dialed);
        let frames = full_lane_frames(suite);
        let standing = tokio::spawn(async move {
            for number in 0..frames {
                sender.send(full, largest(number)).await?;
            }
            Ok::<(), millpond_core::transport::LinkError>(())
        });
        for number in 0..64 {
            let frame = numbered(number, 64 << 10);
            for (from, to) in [(&pair.dialed, &pair.accepted), (&pair.accepted, &pair.dialed)] {
                let sent = suite.send(&**from, open, frame.clone());
                let received = suite.receive(&**to, open);
                let (_, received) = tokio::try_join!(sent, received).map_err(|broken| {
                    Broken::new(format!("{open:?} waits for {full:?}: {broken}"))
                })?;
                ensure!(received == frame, "{open:?} brought another frame than was sent on it");
            }
        }
        ensure!(!standing.is_finished(), "{full:?} took {frames} MiB that nobody has received");
        for number in 0..frames {
            let received = suite.receive(&*pair.accepted, full).await?;
            ensure!(received == largest(number), "frame {number} of {full:?} arrived changed");
        }
        let sent = suite.within("the end of sending", standing).await?;
        ensure!(matches!(sent, Ok(Ok(()))), "sending on {full:?} failed: {sent:?}");
    }
    Ok(())
}

/// So many frames of the largest size that no lane takes them all while nobody receives.
fn full_lane_frames(suite: &Suite) -> u32 {
    (suite.rig.lane_bytes_max() >> 20) as u32 + 2
}

/// What a sender may hand over is bounded while nobody receives, and all of it arrives afterwards.
pub(crate) async fn a_reader_that_stands_still_stops_its_sender(
    suite: &Suite,
) -> Result<(), Broken> {
    for lane in [Lane::Control, Lane::Bulk] {
        let pair = suite.linked().await?;
        let sender = Arc::clone(&pair.dialed);
        let (counted, mut count) = tokio::sync::watch::channel(0_u32);
        let frames = (suite.rig.lane_bytes_max() / STEP_BYTES) as u32 + 1;
        let sending = tokio::spawn(async move {
            for number in 0..=frames {
                sender.send(lane, numbered(number, STEP_BYTES)).await?;
                counted.send_replace(number + 1);
            }
            Ok::<(), millpond_core::transport::LinkError>(())
        });
        // It has stopped when it has sent nothing for a while; where that is wrong the check only sees less.
        while timeout(STANDSTILL, count.changed()).await.is_ok_and(|changed| changed.is_ok()) {}
        let handed_over = *count.borrow();
        ensure!(
            handed_over < frames,
            "{lane:?} took {handed_over} frames of {STEP_BYTES} bytes that nobody has received"
        );
        for number in 0..=frames {
            let received = suite.receive(&*pair.accepted, lane).await?;
            ensure!(
                received == numbered(number, STEP_BYTES),
                "frame {number} of {lane:?} arrived changed"
            );
        }
        let sent = suite.within("the end of sending", sending).await?;
        ensure!(matches!(sent, Ok(Ok(()))), "sending on {lane:?} failed: {sent:?}");
    }
    Ok(())
}

const STEP_BYTES: usize = 64 << 10;
const STANDSTILL: Duration = Duration::from_millis(300);

/// A reader that pauses after each frame gets all of them.
pub(crate) async fn a_slow_reader_loses_nothing(suite: &Suite) -> Result<(), Broken> {
    let pair = suite.linked().await?;
    let sent = async {
        for number in 0..SLOW_FRAMES {
            suite.send(&*pair.dialed, Lane::Bulk, numbered(number, 100_000)).await?;
        }
        Ok(())
    };
    let received = async {
        for number in 0..SLOW_FRAMES {
            tokio::time::sleep(Duration::from_millis(2)).await; // being slow is what it is about
            let received = suite.receive(&*pair.accepted, Lane::Bulk).await?;
            ensure!(received == numbered(number, 100_000), "frame {number} arrived changed");
        }
        Ok(())
    };
    tokio::try_join!(sent, received)?;
    Ok(())
}

const SLOW_FRAMES: u32 = 100;

/// While one peer stands still with a full lane, another one of the same endpoint is served.
pub(crate) async fn a_slow_reader_delays_nobody_else(suite: &Suite) -> Result<(), Broken> {
    let standing = suite.linked().await?;
    let sender = Arc::clone(&standing.dialed);
    let frames = full_lane_frames(suite);
    let full = tokio::spawn(async move {
        for number in 0..frames {
            if sender.send(Lane::Bulk, largest(number)).await.is_err() {
                return;
            }
        }
    });
    let healthy = suite.node().await?;
    let (dialed, accepted) =
        tokio::try_join!(suite.dial(&standing.dialer, &healthy), suite.accept(&healthy))?;
    let sent = async {
        for number in 0..64 {
            suite.send(&*dialed, Lane::Bulk, numbered(number, 256 << 10)).await?;
        }
        Ok(())
    };
    let received = async {
        for number in 0..64 {
            let received = suite.receive(&*accepted, Lane::Bulk).await?;
            ensure!(received == numbered(number, 256 << 10), "frame {number} arrived changed");
        }
        Ok(())
    };
    tokio::try_join!(sent, received)?;
    ensure!(!full.is_finished(), "a lane took {frames} MiB that nobody has received");
    full.abort();
    Ok(())
}

/// A narrow road is slow and loses nothing.
pub(crate) async fn a_slow_path_loses_nothing(suite: &Suite) -> Result<(), Broken> {
    let (dialer, acceptor) = (suite.node().await?, suite.node().await?);
    let Some(path) = suite.rig.path(&acceptor.address()).await else {
        return skipped("the rig has no paths");
    };
    let pair = suite.link_at(dialer, acceptor, &path.address()).await?;
    path.throttle(Some(1 << 20));
    let (one, other): (&dyn Link, &dyn Link) = (&*pair.dialed, &*pair.accepted);
    let sent = async {
        for number in 0..8 {
            suite.send(one, Lane::Bulk, numbered(number, 64 << 10)).await?;
            suite.send(one, Lane::Control, numbered(number, 100)).await?;
        }
        Ok(())
    };
    let control = async {
        for number in 0..8 {
            let received = suite.receive(other, Lane::Control).await?;
            ensure!(received == numbered(number, 100), "frame {number} of control arrived changed");
        }
        Ok(())
    };
    let bulk = async {
        for number in 0..8 {
            let received = suite.receive(other, Lane::Bulk).await?;
            ensure!(
                received == numbered(number, 64 << 10),
                "frame {number} of bulk arrived changed"
            );
        }
        Ok(())
    };
    tokio::try_join!(sent, control, bulk)?;
    Ok(())
}
