//! `GET /changes`: what changes, as server-sent events or JSON Lines, resumable without a gap.
//!
//! It is the stream of [`crate::Changes`] in another form: `change` events, and after each cut a `cut` event whose
//! id is the token to resume from. A client that breaks off within a cut gets the cut again, as does one that the
//! node breaks off with since it lagged. `resync` says that what the client holds is void.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use futures_core::Stream;
use serde::{Deserialize, Serialize};
use tokio::time::{Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::http::problem::Problem;
use crate::http::records::query;
use crate::http::server::SharedApi;
use crate::http::stream::{self, JSON_LINES};
use crate::records::{Document, ParseTokenError, Record, Token, rfc3339};
use crate::{Before, Change, ChangeEvent, Changes};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangesQuery {
    since: Option<String>,
    collection: Option<String>,
    #[serde(default)]
    prefix: String,
    key: Option<String>,
    #[serde(default)]
    before: bool,
}

/// A change or a cut, as its event's data or its line.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Event<'a> {
    Change {
        collection: &'a str,
        key: &'a str,
        deleted: bool,
        fields: Option<Document>,
        version: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        before: Option<Option<Document>>,
        at: String,
        author: String,
        dot: String,
        collapsed: bool,
    },
    Cut {
        token: &'a str,
        changes: u64,
    },
    Resync,
}

/// `GET /changes`
pub(super) async fn changes(
    State(api): State<SharedApi>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query: ChangesQuery = query(&uri)?;
    let resumed = headers.get("last-event-id").map(|id| id.to_str().unwrap_or_default());
    let bad =
        |error: ParseTokenError| Problem::bad_request("bad_token", error.code(), error.to_string());
    let since = resumed.or(query.since.as_deref());
    let since = since.map(|token| token.parse::<Token>().map_err(bad)).transpose()?;
    // A client that stalls frees its place when it has lagged, whatever becomes of its connection.
    let mut changes = api.replica.changes().prefix(query.prefix).holding(stream::permit(&api)?);
    changes = match since {
        Some(token) => changes.since(token),
        None => changes.from_now(),
    };
    if let Some(collection) = query.collection {
        changes = changes.collection(collection);
    }
    if let Some(key) = query.key {
        changes = changes.key(key);
    }
    if !query.before {
        changes = changes.without_before();
    }
    let form = if stream::wants_lines(&headers) { Form::Lines } else { Form::Events };
    let mut heartbeat = interval_at(tokio::time::Instant::now() + HEARTBEAT, HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let feed = Feed {
        changes,
        changes_in_cut: 0,
        form,
        heartbeat,
        stop: Box::pin(api.stop.clone().cancelled_owned()),
        is_over: false,
    };
    Ok(stream::response(form.media_type(), Body::from_stream(feed)))
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Events,
    Lines,
}

impl Form {
    fn media_type(self) -> &'static str {
        match self {
            Self::Events => "text/event-stream",
            Self::Lines => JSON_LINES,
        }
    }

    fn write(self, chunk: &mut BytesMut, event: &Event<'_>) {
        let after = match (self, event) {
            (Self::Lines, _) => "\n",
            (Self::Events, Event::Change { .. }) => {
                chunk.put_slice(b"event: change\ndata: ");
                "\n\n"
            }
            (Self::Events, Event::Resync) => {
                chunk.put_slice(b"event: resync\ndata: ");
                "\n\n"
            }
            (Self::Events, Event::Cut { token, .. }) => {
                chunk.put_slice(format!("event: cut\nid: {token}\ndata: ").as_bytes());
                "\n\n"
            }
        };
        serde_json::to_writer(chunk.writer(), event).expect("records always serialize");
        chunk.put_slice(after.as_bytes());
    }
}

/// A body that follows the changes, at the client's pace.
struct Feed {
    changes: Changes,
    changes_in_cut: u64,
    form: Form,
    heartbeat: Interval,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    is_over: bool,
}

impl Feed {
    /// Writes what was told. False at the end.
    fn write(&mut self, chunk: &mut BytesMut, event: &ChangeEvent<Record>) -> bool {
        match event {
            ChangeEvent::Resync => self.form.write(chunk, &Event::Resync),
            ChangeEvent::Change(change) => {
                self.changes_in_cut += 1;
                self.form.write(chunk, &Event::of(change));
            }
            ChangeEvent::Cut(token) => {
                let changes = std::mem::take(&mut self.changes_in_cut);
                self.form.write(chunk, &Event::Cut { token: &token.to_string(), changes });
            }
            ChangeEvent::Lagged { .. } => return false,
        }
        true
    }
}

impl Stream for Feed {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.is_over || this.stop.as_mut().poll(cx).is_ready() {
            this.is_over = true;
            return Poll::Ready(None);
        }
        let mut chunk = BytesMut::new();
        while chunk.len() < CHUNK_BYTES {
            let Poll::Ready(told) = Pin::new(&mut this.changes).poll_next(cx) else { break };
            match told {
                Some(Ok(event)) if this.write(&mut chunk, &event) => continue,
                // The client sees an answer that broke off, and comes back with its token.
                Some(Ok(_)) => {}
                Some(Err(error)) => tracing::warn!(%error, "a change stream broke off"),
                None => {
                    this.is_over = true;
                    break;
                }
            }
            this.is_over = true;
            return Poll::Ready(Some(Err(io::Error::other("the stream of changes broke off"))));
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

impl<'a> Event<'a> {
    fn of(change: &'a Change<Record>) -> Self {
        Self::Change {
            collection: change.id.collection(),
            key: change.id.key(),
            deleted: change.is_delete(),
            fields: change.after.as_ref().map(Record::document),
            version: change.after.as_ref().map(|record| record.version.to_string()),
            before: match &change.before {
                Before::Unknown => None,
                known => Some(known.row().map(Record::document)),
            },
            at: rfc3339(change.stamp),
            author: change.origin().to_string(),
            dot: format!("{}:{}", change.origin(), change.dot.seq),
            collapsed: change.collapsed,
        }
    }
}

/// Well below the minute after which proxies and laptops drop an idle connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Some two hundred small records: far above the cost of a chunk.
const CHUNK_BYTES: usize = 32 * 1024;
