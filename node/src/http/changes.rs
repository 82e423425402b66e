//! `GET /changes`: what changes, as server-sent events or JSON Lines, resumable without a gap.
//!
//! A *cut* is all that changed between two version vectors of this node. It is sent whole, as record-level
//! `change` events, and then a `cut` event whose id is the token to resume from: a client that breaks off
//! within a cut gets the cut again. The node keeps nothing per client but its vector. A slow client gets
//! larger cuts, in which each record comes once, as it is then. A client that was away until deletes that it
//! lacks were forgotten gets `resync` first: what it holds is void, and all that there is follows.

use std::ops::ControlFlow;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use millpond_core::VersionVector;
use serde::{Deserialize, Serialize};

use crate::http::problem::Problem;
use crate::http::records::query;
use crate::http::server::SharedApi;
use crate::http::stream::{self, JSON_LINES, Sink};
use crate::records::{Change, Document, RecordError, RecordId, RecordView, Token};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangesQuery {
    since: Option<String>,
    collection: Option<String>,
    #[serde(default)]
    prefix: String,
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
    let since = match resumed.or(query.since.as_deref()) {
        Some(token) => Some(token.parse::<Token>().map_err(|error| {
            Problem::bad_request("bad_token", error.to_string())
                .hint("leave `since` out to begin now, or pass since=1 to begin with all records")
        })?),
        None => None,
    };
    let wanted = move |id: &RecordId| {
        query.collection.as_deref().is_none_or(|collection| collection == id.collection())
            && id.key().starts_with(&query.prefix)
    };
    let form = if stream::wants_lines(&headers) { Form::Lines } else { Form::Events };
    let (sink, response) = stream::open(&api, form.media_type())?;
    let follower = Follower { since: since.map(|token| token.0), begun: false, form, sink, wanted };
    tokio::spawn(follower.run(api));
    Ok(response)
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

    fn write(self, sink: &mut Sink, event: &Event<'_>) -> ControlFlow<()> {
        match (self, event) {
            (Self::Lines, event) => sink.line(event),
            (Self::Events, Event::Change { .. }) => {
                sink.text("event: change\ndata: ", event, "\n\n")
            }
            (Self::Events, Event::Resync) => sink.text("event: resync\ndata: ", event, "\n\n"),
            (Self::Events, Event::Cut { token, .. }) => {
                sink.text(&format!("event: cut\nid: {token}\ndata: "), event, "\n\n")
            }
        }
    }
}

/// A client that follows the changes.
struct Follower<W> {
    /// What the client has seen; `None` before it has begun at the present.
    since: Option<VersionVector>,
    /// Whether the client has its first token.
    begun: bool,
    form: Form,
    sink: Sink,
    wanted: W,
}

impl<W: Fn(&RecordId) -> bool + Send + 'static> Follower<W> {
    async fn run(mut self, api: SharedApi) {
        let mut committed = api.replica.committed();
        loop {
            let seen = committed.latest();
            let level = self.since.as_ref().is_some_and(|since| since.covers_all(&seen));
            if !(self.begun && level) {
                let replica = api.replica.clone();
                let sending = tokio::task::spawn_blocking(move || {
                    let view = replica.read().map_err(RecordError::from);
                    let sent = view.and_then(|view| self.send_cut(&RecordView::new(view)));
                    (self, sent)
                });
                match sending.await {
                    Ok((follower, Ok(ControlFlow::Continue(())))) => self = follower,
                    Ok((_, Ok(ControlFlow::Break(())))) | Err(_) => return,
                    Ok((_, Err(error))) => {
                        tracing::warn!(%error, "a change stream broke off");
                        return;
                    }
                }
            }
            let heartbeat = tokio::time::sleep(HEARTBEAT);
            tokio::select! {
                () = api.stop.cancelled() => break,
                () = self.sink.closed() => break,
                changed = committed.changed() => if changed.is_err() { break },
                () = heartbeat => if self.form == Form::Events
                    && self.sink.comment(": \n\n").await.is_break() { break },
            }
        }
        self.sink.leave();
    }

    /// Sends all changes up to the view, then its token.
    fn send_cut(&mut self, view: &RecordView) -> Result<ControlFlow<()>, RecordError> {
        self.begun = true;
        let (form, sink) = (self.form, &mut self.sink);
        let since = self.since.get_or_insert_with(|| view.vv().clone());
        let mut flow = ControlFlow::Continue(());
        let mut changes = 0;
        if !view.can_tell_since(since)? {
            *since = VersionVector::new();
            flow = form.write(sink, &Event::Resync);
        }
        view.changes(since, &self.wanted, &mut |change: Change| {
            changes += 1;
            flow = form.write(sink, &Event::of(&change));
            flow
        })?;
        // The client may come from another node and have seen what this one has not.
        since.join(view.vv());
        if flow.is_continue() {
            let token = Token(since.clone()).to_string();
            flow = form.write(sink, &Event::Cut { token: &token, changes });
        }
        Ok(if flow.is_continue() { sink.flush() } else { flow })
    }
}

impl<'a> Event<'a> {
    fn of(change: &'a Change) -> Self {
        Self::Change {
            collection: change.id.collection(),
            key: change.id.key(),
            deleted: change.record.is_none(),
            fields: change.record.as_ref().map(|record| record.document()),
            version: change.record.as_ref().map(|record| record.version.to_string()),
        }
    }
}

/// Well below the minute after which proxies and laptops drop an idle connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
