//! The tasks of one link: two that send, two that receive, one that waits for the end.

use std::sync::Arc;

use bytes::Bytes;
use millpond_core::message::CloseCode;
use millpond_core::transport::{Lane, Link, LinkError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use super::Event;
use crate::replication::{Input, LinkId};

/// The queues into a link's lanes. The engine bounds what is in them.
pub(super) struct LinkQueues {
    link: Arc<dyn Link>,
    control: mpsc::UnboundedSender<Bytes>,
    bulk: mpsc::UnboundedSender<Bytes>,
}

impl LinkQueues {
    /// Starts the tasks of a link, for two inboxes: for everything, and for what comes on the bulk lane. Their last word
    /// is an [`Input::LinkDown`].
    pub(super) fn start(
        id: LinkId,
        link: Box<dyn Link>,
        [events, bulk_events]: [mpsc::Sender<Event>; 2],
        tracker: &TaskTracker,
    ) -> Self {
        let link: Arc<dyn Link> = link.into();
        let (control, control_frames) = mpsc::unbounded_channel();
        let (bulk, bulk_frames) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(send(id, link.clone(), Lane::Control, control_frames, events.clone()));
        tasks.spawn(send(id, link.clone(), Lane::Bulk, bulk_frames, events.clone()));
        tasks.spawn(receive(id, link.clone(), Lane::Control, events.clone()));
        tasks.spawn(receive(id, link.clone(), Lane::Bulk, bulk_events));
        tracker.spawn(supervise(id, link.clone(), tasks, events));
        Self { link, control, bulk }
    }

    /// Queues a frame.
    pub(super) fn send(&self, lane: Lane, frame: Bytes) {
        let queue = match lane {
            Lane::Control => &self.control,
            Lane::Bulk => &self.bulk,
        };
        // A link that is ending takes no more; its end is on the way to the engine.
        let _ = queue.send(frame);
    }

    /// Ends the link.
    pub(super) fn close(&self, code: CloseCode, reason: &str) {
        self.link.close(code.number(), reason);
    }

    /// The link itself, for its counters.
    pub(super) fn link(&self) -> &dyn Link {
        &*self.link
    }
}

async fn send(
    id: LinkId,
    link: Arc<dyn Link>,
    lane: Lane,
    mut frames: mpsc::UnboundedReceiver<Bytes>,
    events: mpsc::Sender<Event>,
) -> LinkError {
    while let Some(frame) = frames.recv().await {
        let bytes = frame.len();
        if let Err(error) = link.send(lane, frame).await {
            return error;
        }
        let sent = Input::Sent { link: id, lane, bytes };
        if events.send(Event::Input(sent)).await.is_err() {
            break;
        }
    }
    // The engine has let go of the link: its close, or its end, is what counts.
    std::future::pending().await
}

async fn receive(
    id: LinkId,
    link: Arc<dyn Link>,
    lane: Lane,
    events: mpsc::Sender<Event>,
) -> LinkError {
    loop {
        let frame = match link.receive(lane).await {
            Ok(frame) => frame,
            Err(error) => return error,
        };
        let frame = Input::Frame { link: id, lane, frame };
        if events.send(Event::Input(frame)).await.is_err() {
            return LinkError::ClosedHere;
        }
    }
}

async fn supervise(
    id: LinkId,
    link: Arc<dyn Link>,
    mut tasks: JoinSet<LinkError>,
    events: mpsc::Sender<Event>,
) {
    let error = match tasks.join_next().await {
        Some(Ok(error)) => error,
        Some(Err(panicked)) => LinkError::Lost(panicked.to_string()),
        None => LinkError::ClosedHere,
    };
    tasks.shutdown().await;
    let code = match &error {
        LinkError::Closed { code, .. } => Some(CloseCode::from_number(*code)),
        LinkError::Frame(frame) => {
            link.close(CloseCode::Protocol.number(), &frame.to_string());
            None
        }
        _ => None,
    };
    let reason = match error {
        LinkError::Closed { reason, .. } => reason,
        other => other.to_string(),
    };
    let (peer, stats) = (link.peer(), link.stats());
    let down = Input::LinkDown { link: id, peer, code, reason, stats };
    let _ = events.send(Event::LinkEnded(id, down)).await;
}
