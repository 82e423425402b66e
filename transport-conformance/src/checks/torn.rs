//! Connections that end in the middle of a frame: what arrived of it is no frame.

use millpond_core::transport::{Lane, Link, LinkError};

use crate::Broken;
use crate::broken::ensure;
use crate::frames::{largest, numbered};
use crate::nodes::{Suite, skipped};

/// A sender that stops within a frame and goes.
pub(crate) async fn a_frame_torn_by_its_sender_never_arrives(suite: &Suite) -> Result<(), Broken> {
    let whole = numbered(2, 1_000);
    for torn in [1, 6, 7, 8, 500, whole.len() - 1] {
        let acceptor = suite.node().await?;
        let stranger = suite.node().await?;
        let Some(mut raw) = suite.rig.raw(stranger.seed, &acceptor.address(), acceptor.key).await
        else {
            return skipped("the rig has no raw links");
        };
        let accepted = suite.accept(&acceptor).await?;
        suite.within("a raw write", raw.write(Lane::Bulk, &whole[..torn])).await?;
        suite.within("the end of a raw lane", raw.end(Lane::Bulk)).await?;
        drop(raw);
        only_whole_frames(suite, &*accepted, &[]).await?;
    }
    Ok(())
}

/// A network that breaks within a frame.
pub(crate) async fn a_frame_torn_by_the_network_never_arrives(suite: &Suite) -> Result<(), Broken> {
    let (dialer, acceptor) = (suite.impatient_node().await?, suite.impatient_node().await?);
    let Some(path) = suite.rig.path(&acceptor.address()).await else {
        return skipped("the rig has no paths");
    };
    let pair = suite.link_at(dialer, acceptor, &path.address()).await?;
    let frames = [largest(0), largest(1), largest(2), largest(3)];
    path.throttle(Some(2 << 20));
    let sent = async {
        for frame in &frames {
            if pair.dialed.send(Lane::Bulk, frame.clone()).await.is_err() {
                break; // as it must, once the network is gone
            }
        }
    };
    let cut = async {
        let first = suite.receive(&*pair.accepted, Lane::Bulk).await?;
        ensure!(first == frames[0], "the first frame arrived changed");
        path.cut();
        only_whole_frames(suite, &*pair.accepted, &frames[1..]).await
    };
    let (_, cut) =
        suite.within("a break within a frame", async { tokio::join!(sent, cut) }).await?;
    cut
}

/// A process that dies within a frame.
pub(crate) async fn a_frame_torn_by_a_crash_never_arrives(suite: &Suite) -> Result<(), Broken> {
    let (doomed, runtime) = suite.doomed_node().await?;
    let survivor = suite.impatient_node().await?;
    let pair = suite.link(doomed, survivor).await?;
    let frames = [largest(0), largest(1), largest(2), largest(3), largest(4), largest(5)];
    let (sending, sender) = (frames.clone(), pair.dialed.clone());
    let sent = tokio::spawn(async move {
        for frame in sending {
            if sender.send(Lane::Bulk, frame).await.is_err() {
                break;
            }
        }
    });
    let first = suite.receive(&*pair.accepted, Lane::Bulk).await?;
    ensure!(first == frames[0], "the first frame arrived changed");
    runtime.shutdown_background();
    sent.abort();
    drop((pair.dialed, pair.dialer, sent.await));
    only_whole_frames(suite, &*pair.accepted, &frames[1..]).await
}

/// That what still comes are the next frames in order, and then an error that ends both lanes.
async fn only_whole_frames(
    suite: &Suite,
    link: &dyn Link,
    frames: &[bytes::Bytes],
) -> Result<(), Broken> {
    let mut frames = frames.iter();
    let error = loop {
        match suite.within("the end of a torn lane", link.receive(Lane::Bulk)).await? {
            Ok(frame) => {
                let is_next = frames.next().is_some_and(|next| frame == next);
                ensure!(
                    is_next,
                    "a torn lane brought {} bytes that nobody sent as a frame",
                    frame.len()
                );
            }
            Err(error) => break error,
        }
    };
    let is_end = matches!(error, LinkError::Lost(_) | LinkError::Closed { .. });
    ensure!(is_end, "a torn lane is reported as: {error}");
    suite.ended(link, Lane::Control).await?;
    Ok(())
}
