//! Streams of events as answers: server-sent events or JSON Lines, at the client's pace.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use futures_core::Stream;
use serde::Serialize;
use tokio::time::{Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::http::problem::Problem;
use crate::http::server::Api;
use crate::http::stream::{self, JSON_LINES};
use crate::records::{ParseTokenError, RecordError, Token};

/// How events are written.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Form {
    Events,
    Lines,
}

impl Form {
    /// What the client wants.
    pub fn of(headers: &HeaderMap) -> Self {
        if stream::wants_lines(headers) { Self::Lines } else { Self::Events }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Events => "text/event-stream",
            Self::Lines => JSON_LINES,
        }
    }

    /// Writes an event, with the id from which a client resumes, if it has one.
    pub fn write(self, chunk: &mut BytesMut, name: &str, id: Option<&str>, event: &impl Serialize) {
        if self == Self::Events {
            let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
            chunk.put_slice(format!("event: {name}\n{id}data: ").as_bytes());
        }
        serde_json::to_writer(chunk.writer(), event).expect("records always serialize");
        chunk.put_slice(if self == Self::Events { b"\n\n" } else { b"\n" });
    }
}

/// Where a client goes on: after the last event that it had, or after the token that it gives.
pub(super) fn resumed(headers: &HeaderMap, since: Option<&str>) -> Result<Option<Token>, Problem> {
    let last = headers.get("last-event-id").map(|id| id.to_str().unwrap_or_default());
    let bad =
        |error: ParseTokenError| Problem::bad_request("bad_token", error.code(), error.to_string());
    last.or(since).map(|token| token.parse::<Token>().map_err(bad)).transpose()
}

/// The answer that follows `events`. `write` says whether the stream goes on.
pub(super) fn feed<E: 'static>(
    api: &Api,
    form: Form,
    events: impl Stream<Item = Result<E, RecordError>> + Unpin + Send + 'static,
    write: impl FnMut(&mut BytesMut, &E) -> bool + Unpin + Send + 'static,
) -> Response {
    let mut heartbeat = interval_at(tokio::time::Instant::now() + HEARTBEAT, HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let feed = Feed {
        events,
        write,
        form,
        heartbeat,
        stop: Box::pin(api.stop.clone().cancelled_owned()),
        is_over: false,
    };
    stream::response(form.media_type(), Body::from_stream(feed))
}

/// A body that follows events, at the client's pace.
struct Feed<S, W> {
    events: S,
    write: W,
    form: Form,
    heartbeat: Interval,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    is_over: bool,
}

impl<E, S, W> Stream for Feed<S, W>
where
    S: Stream<Item = Result<E, RecordError>> + Unpin,
    W: FnMut(&mut BytesMut, &E) -> bool + Unpin,
{
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.is_over || this.stop.as_mut().poll(cx).is_ready() {
            this.is_over = true;
            return Poll::Ready(None);
        }
        let mut chunk = BytesMut::new();
        while chunk.len() < CHUNK_BYTES {
            let Poll::Ready(told) = Pin::new(&mut this.events).poll_next(cx) else { break };
            match told {
                Some(Ok(event)) if (this.write)(&mut chunk, &event) => continue,
                // The client sees an answer that broke off, and comes back with its token.
                Some(Ok(_)) => {}
                Some(Err(error)) => tracing::warn!(%error, "a stream of events broke off"),
                None => {
                    this.is_over = true;
                    break;
                }
            }
            this.is_over = true;
            return Poll::Ready(Some(Err(io::Error::other("the stream of events broke off"))));
        }
        if !chunk.is_empty() {
            this.heartbeat.reset();
            return Poll::Ready(Some(Ok(chunk.freeze())));
        }
        if this.is_over {
            return Poll::Ready(None);
        }
        if this.form == Form::Lines {
            return Poll::Pending;
        }
        this.heartbeat.poll_tick(cx).map(|_| Some(Ok(Bytes::from_static(b": \n\n"))))
    }
}

/// Well below the minute after which proxies and laptops drop an idle connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Some two hundred small records: far above the cost of a chunk.
const CHUNK_BYTES: usize = 32 * 1024;
