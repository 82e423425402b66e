//! `GET /changes`: what changes, as server-sent events or JSON Lines, resumable without a gap.
//!
//! It is the stream of [`crate::Changes`] in another form: `change` events, and after each cut a `cut` event whose
//! id is the token to resume from. A client that breaks off within a cut gets the cut again, as does one that the
//! node breaks off with since it lagged. `resync` says that what the client holds is void.

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use bytes::BytesMut;
use serde::{Deserialize, Serialize};

use crate::http::feed::{Form, feed, resumed};
use crate::http::problem::Problem;
use crate::http::records::query;
use crate::http::server::SharedApi;
use crate::http::stream;
use crate::records::{Document, Record, rfc3339};
use crate::{Before, Change, ChangeEvent};

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
    let since = resumed(&headers, query.since.as_deref())?;
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
    let form = Form::of(&headers);
    let mut changes_in_cut = 0;
    let write = move |chunk: &mut BytesMut, event: &ChangeEvent<Record>| {
        match event {
            ChangeEvent::Resync => write(form, chunk, &Event::Resync),
            ChangeEvent::Change(change) => {
                changes_in_cut += 1;
                write(form, chunk, &Event::of(change));
            }
            ChangeEvent::Cut(token) => {
                let changes = std::mem::take(&mut changes_in_cut);
                write(form, chunk, &Event::Cut { token: &token.to_string(), changes });
            }
            ChangeEvent::Lagged { .. } => return false,
        }
        true
    };
    Ok(feed(&api, form, changes, write))
}

fn write(form: Form, chunk: &mut BytesMut, event: &Event<'_>) {
    match event {
        Event::Change { .. } => form.write(chunk, "change", None, event),
        Event::Resync => form.write(chunk, "resync", None, event),
        Event::Cut { token, .. } => form.write(chunk, "cut", Some(token), event),
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
