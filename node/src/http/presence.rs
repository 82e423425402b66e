//! `GET /peers/changes`: how the other members are, and what becomes of that.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use bytes::BytesMut;
use futures_core::Stream;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::http::feed::{Form, feed};
use crate::http::problem::Problem;
use crate::http::records::query;
use crate::http::server::SharedApi;
use crate::http::stream::{self, STALL};
use crate::records::RecordError;
use crate::status::{Lag, PeerState};
use crate::{Presence, PresenceEvent, PresentPeer};

/// A member as it is now, or that it is gone: an event's data, or a line.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Event<'a> {
    Peer {
        key: String,
        name: &'a str,
        state: PeerState,
        linked: bool,
        they_lack: Option<Lag>,
        we_lack: Option<Lag>,
    },
    Gone {
        key: String,
    },
}

/// `GET /peers/changes`
pub(super) async fn follow(
    State(api): State<SharedApi>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct NoQuery {}
    let NoQuery {} = query(&uri)?;
    let permit = stream::permit(&api)?;
    let (outbox, inbox) = mpsc::channel(1);
    tokio::spawn(relay(api.replica.presence(), outbox, permit));
    let form = Form::of(&headers);
    let write = move |chunk: &mut BytesMut, event: &PresenceEvent| {
        match event {
            PresenceEvent::Peer(peer) => form.write(chunk, "peer", None, &Event::of(peer)),
            PresenceEvent::Gone(key) => {
                form.write(chunk, "gone", None, &Event::Gone { key: key.to_string() });
            }
        }
        true
    };
    Ok(feed(&api, form, Relayed(inbox), write))
}

/// Hands on what becomes of members while the client reads. One that does not for long frees its place, whatever
/// becomes of its connection.
async fn relay(
    mut presence: Presence,
    outbox: mpsc::Sender<PresenceEvent>,
    _place: OwnedSemaphorePermit,
) {
    loop {
        let event = tokio::select! {
            () = outbox.closed() => return,
            event = presence.next() => event,
        };
        let Some(event) = event else { return };
        if !matches!(tokio::time::timeout(STALL, outbox.send(event)).await, Ok(Ok(()))) {
            return;
        }
    }
}

/// What was handed on, as a stream.
struct Relayed(mpsc::Receiver<PresenceEvent>);

impl Stream for Relayed {
    type Item = Result<PresenceEvent, RecordError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|event| event.map(Ok))
    }
}

impl<'a> Event<'a> {
    fn of(peer: &'a PresentPeer) -> Self {
        Self::Peer {
            key: peer.key.to_string(),
            name: &peer.name,
            state: peer.state,
            linked: peer.is_linked,
            they_lack: peer.they_lack,
            we_lack: peer.we_lack,
        }
    }
}
