//! Long answers, written by a blocking thread at the client's pace.

use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;

use crate::errors::code;
use crate::http::problem::Problem;
use crate::http::server::SharedApi;
use crate::records::{RecordError, RecordView};

/// The writing end of an answer. Holds up to [`CHUNK_BYTES`] back until flushed. Unless it is finished, the
/// client sees an answer that broke off, and does not take it for whole.
pub(super) struct Sink {
    channel: mpsc::Sender<Bytes>,
    buffer: BytesMut,
    stop: CancellationToken,
    finished: Arc<AtomicBool>,
    _permit: OwnedSemaphorePermit,
}

/// A sink, and the response that carries what is written to it.
pub(super) fn open(api: &SharedApi, media_type: &'static str) -> Result<(Sink, Response), Problem> {
    let permit = permit(api)?;
    let (channel, receiver) = mpsc::channel(CHUNKS_AHEAD);
    let buffer = BytesMut::with_capacity(CHUNK_BYTES);
    let finished = Arc::new(AtomicBool::new(false));
    let source = Source { receiver, finished: finished.clone() };
    let sink = Sink { channel, buffer, stop: api.stop.clone(), finished, _permit: permit };
    Ok((sink, response(media_type, Body::from_stream(source))))
}

/// A place among the streams that may be open at once.
pub(super) fn permit(api: &SharedApi) -> Result<OwnedSemaphorePermit, Problem> {
    api.streams.clone().try_acquire_owned().map_err(|_| {
        let detail = "too many streams are open";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", code::<921>(), detail)
    })
}

/// A long answer.
pub(super) fn response(media_type: &'static str, body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, body).into_response()
}

/// Answers with JSON Lines that `write` produces from a fresh snapshot.
pub(super) async fn lines(
    api: SharedApi,
    write: impl FnOnce(&RecordView, &mut Sink) -> Result<(), RecordError> + Send + 'static,
) -> Result<Response, Problem> {
    let (mut sink, response) = open(&api, JSON_LINES)?;
    tokio::task::spawn_blocking(move || {
        let written = api
            .replica
            .read()
            .map_err(RecordError::from)
            .and_then(|view| write(&RecordView::new(view), &mut sink));
        match written {
            Ok(()) => sink.finish(),
            Err(error) => tracing::warn!(%error, "a stream broke off"),
        }
    });
    Ok(response)
}

/// Whether the client asks for JSON Lines.
pub(super) fn wants_lines(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accepted.is_some_and(|accept| accept.contains("jsonl") || accept.contains("ndjson"))
}

impl Sink {
    /// Writes a value and a line feed.
    pub fn line(&mut self, value: &impl Serialize) -> ControlFlow<()> {
        self.text("", value, "\n")
    }

    /// Writes a value as JSON between two texts. Breaks when the client is gone or stalls.
    pub fn text(&mut self, before: &str, value: &impl Serialize, after: &str) -> ControlFlow<()> {
        self.buffer.extend_from_slice(before.as_bytes());
        let mut writer = bytes::BufMut::writer(&mut self.buffer);
        serde_json::to_writer(&mut writer, value).expect("records always serialize");
        self.buffer.extend_from_slice(after.as_bytes());
        if self.buffer.len() < CHUNK_BYTES { ControlFlow::Continue(()) } else { self.flush() }
    }

    /// Writes bytes as they are. Breaks when the client is gone or stalls.
    pub fn bytes(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        for chunk in bytes.chunks(CHUNK_BYTES) {
            self.buffer.extend_from_slice(chunk);
            if self.buffer.len() >= CHUNK_BYTES && self.flush().is_break() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// Sends what is held back. Blocks while the client is [`CHUNKS_AHEAD`] behind, but not for ever: the
    /// snapshot behind the stream keeps old pages of the store alive.
    pub fn flush(&mut self) -> ControlFlow<()> {
        if self.buffer.is_empty() {
            return ControlFlow::Continue(());
        }
        let chunk = self.buffer.split().freeze();
        let (stop, channel) = (&self.stop, &self.channel);
        let sent = Handle::current().block_on(async {
            tokio::select! {
                () = stop.cancelled() => false,
                sent = tokio::time::timeout(STALL, channel.send(chunk)) => matches!(sent, Ok(Ok(()))),
            }
        });
        if sent { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Sends the rest, and ends the answer as whole.
    pub fn finish(mut self) {
        if self.flush().is_continue() {
            self.finished.store(true, Ordering::Release);
        }
    }
}

/// The reading end: the body.
struct Source {
    receiver: mpsc::Receiver<Bytes>,
    finished: Arc<AtomicBool>,
}

impl Stream for Source {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let chunk = std::task::ready!(self.receiver.poll_recv(cx));
        Poll::Ready(match chunk {
            Some(chunk) => Some(Ok(chunk)),
            None if self.finished.load(Ordering::Acquire) => None,
            None => Some(Err(io::Error::other("the answer broke off"))),
        })
    }
}

/// The media type of JSON Lines.
pub(super) const JSON_LINES: &str = "application/jsonl";

/// Some two hundred small records: far above the cost of a chunk.
const CHUNK_BYTES: usize = 32 * 1024;

/// Enough to keep the client busy while the next chunk is made.
const CHUNKS_AHEAD: usize = 4;

/// A client that reads nothing for so long is gone, or will come back with its token.
pub(super) const STALL: Duration = Duration::from_secs(30);
