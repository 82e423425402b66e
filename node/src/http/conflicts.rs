//! `GET /conflicts`, `POST /conflicts/resolve`, `POST /conflicts/undo` and `GET /explain`: which values a field has,
//! which one it is to have, and why it shows the one that it shows.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use millpond_core::Dot;
use serde::{Deserialize, Deserializer, Serialize};

use crate::errors::code;
use crate::http::feed::{Form, feed, resumed};
use crate::http::problem::Problem;
use crate::http::records::{json, query};
use crate::http::server::SharedApi;
use crate::http::stream;
use crate::records::{FieldKind, Json as Value, RecordError, RecordId, Token, rfc3339};
use crate::{Candidate, Conflict, ConflictEvent, Receipt, ResolveError};

/// A field with several values.
#[derive(Serialize)]
struct ConflictLine {
    collection: String,
    key: String,
    field: String,
    kind: FieldKind,
    /// Whether nodes made the field with different types.
    clash: bool,
    candidates: Vec<CandidateLine>,
    /// The dots of all writes that it is about.
    seen: Vec<String>,
}

/// Why a field shows what it shows.
#[derive(Serialize)]
struct ExplanationLine {
    value: Value,
    kind: FieldKind,
    rule: &'static str,
    candidates: Vec<CandidateLine>,
    seen: Vec<String>,
}

/// A value, by whom it was written, and who has it.
#[derive(Serialize)]
struct CandidateLine {
    value: Value,
    kind: FieldKind,
    at: String,
    author: String,
    dot: String,
    writer: Option<String>,
    seen_by: Vec<String>,
}

impl CandidateLine {
    fn of(candidate: Candidate) -> Self {
        let author = candidate.dot.incarnation;
        Self {
            dot: dot_text(candidate.dot),
            value: candidate.value,
            kind: candidate.kind,
            at: rfc3339(candidate.stamp),
            author: author.to_string(),
            writer: candidate.writer.map(|writer| writer.name),
            seen_by: candidate.seen_by.iter().map(ToString::to_string).collect(),
        }
    }
}

impl ConflictLine {
    pub(super) fn of(conflict: Conflict) -> Self {
        Self {
            seen: conflict.seen().map(dot_text).collect(),
            clash: conflict.is_clash(),
            collection: conflict.id.collection().to_owned(),
            key: conflict.id.key().to_owned(),
            field: conflict.field,
            kind: conflict.kind,
            candidates: conflict.candidates.into_iter().map(CandidateLine::of).collect(),
        }
    }
}

/// `GET /conflicts`
pub(super) async fn conflicts(State(api): State<SharedApi>, uri: Uri) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct ConflictsQuery {
        collection: Option<String>,
    }
    #[derive(Serialize)]
    struct Conflicts {
        conflicts: Vec<ConflictLine>,
    }
    let ConflictsQuery { collection } = query(&uri)?;
    let found = api.replica.conflicts(collection.as_deref()).await?;
    let lines = found.into_iter().map(ConflictLine::of).collect();
    Ok(Json(Conflicts { conflicts: lines }).into_response())
}

/// `GET /conflicts/changes`: the conflicts that there are, or those since a token, then what becomes of them.
pub(super) async fn follow(
    State(api): State<SharedApi>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct FollowQuery {
        since: Option<String>,
        collection: Option<String>,
        #[serde(default)]
        prefix: String,
        key: Option<String>,
    }
    #[derive(Serialize)]
    #[serde(tag = "type", rename_all = "lowercase")]
    enum Event {
        Conflict(ConflictLine),
        Ended { collection: String, key: String, field: String },
        Cut { token: String },
        Resync,
    }
    let query: FollowQuery = query(&uri)?;
    let since = resumed(&headers, query.since.as_deref())?;
    let permit = stream::permit(&api)?;
    let mut conflicts = api.replica.follow_conflicts().prefix(query.prefix).holding(permit);
    if let Some(since) = since {
        conflicts = conflicts.since(since);
    }
    if let Some(collection) = query.collection {
        conflicts = conflicts.collection(collection);
    }
    if let Some(key) = query.key {
        conflicts = conflicts.key(key);
    }
    let form = Form::of(&headers);
    let write = move |chunk: &mut BytesMut, event: &ConflictEvent| {
        match event {
            ConflictEvent::Resync => form.write(chunk, "resync", None, &Event::Resync),
            ConflictEvent::Arisen(conflict) => {
                let line = ConflictLine::of(conflict.clone());
                form.write(chunk, "conflict", None, &Event::Conflict(line));
            }
            ConflictEvent::Ended { id, field } => {
                let (collection, key) = (id.collection().to_owned(), id.key().to_owned());
                let ended = Event::Ended { collection, key, field: field.clone() };
                form.write(chunk, "ended", None, &ended);
            }
            ConflictEvent::Cut(token) => {
                let token = token.to_string();
                form.write(chunk, "cut", Some(&token.clone()), &Event::Cut { token });
            }
            ConflictEvent::Lagged { .. } => return false,
        }
        true
    };
    Ok(feed(&api, form, conflicts, write))
}

/// `GET /explain/{collection}/{key}/{field}`
pub(super) async fn explain(
    State(api): State<SharedApi>,
    place: Result<Path<(String, String, String)>, PathRejection>,
) -> Result<Response, Problem> {
    let Path((collection, key, field)) = place
        .map_err(|error| Problem::bad_request("bad_name", code::<902>(), error.body_text()))?;
    let id = RecordId::new(collection, key).map_err(RecordError::from)?;
    let Some(found) = api.replica.explain(&id, &field).await? else {
        let detail = format!("{id} has no field `{field}`");
        return Err(Problem::new(StatusCode::NOT_FOUND, "no_such_field", code::<915>(), detail));
    };
    let seen = found.seen().map(dot_text).collect();
    let candidates = found.candidates.into_iter().map(CandidateLine::of).collect();
    let (value, kind, rule) = (found.value, found.kind, found.rule);
    Ok(Json(ExplanationLine { value, kind, rule, candidates, seen }).into_response())
}

/// `POST /conflicts/resolve`
pub(super) async fn resolve(State(api): State<SharedApi>, body: Body) -> Result<Response, Problem> {
    /// One of `keep` and `value`.
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct ResolveBody {
        collection: String,
        key: String,
        field: String,
        /// The dots of all writes that the decision is about.
        seen: Vec<String>,
        /// The dot of the value that stays.
        keep: Option<String>,
        /// Another value; `null` is one.
        #[serde(default, deserialize_with = "present")]
        value: Option<Value>,
    }
    let body: ResolveBody = json(body).await?;
    let id = RecordId::new(body.collection, body.key).map_err(RecordError::from)?;
    let conflict = api.replica.conflict(&id, &body.field).await?;
    let conflict = conflict.ok_or_else(|| {
        let detail = format!("`{}` of {id} has not several values", body.field);
        Problem::new(StatusCode::NOT_FOUND, "no_conflict", code::<916>(), detail)
    })?;
    if !conflict.seen().all(|dot| body.seen.contains(&dot_text(dot))) {
        return Err(ResolveError::Changed.into());
    }
    let receipt = match (body.keep, body.value) {
        (Some(keep), None) => {
            let index = conflict.candidates.iter().position(|it| dot_text(it.dot) == keep);
            conflict.keep(index.ok_or(ResolveError::Changed)?).await?
        }
        (None, Some(value)) => conflict.set(value).await?,
        _ => {
            return Err(Problem::bad_request(
                "bad_json",
                code::<901>(),
                "give either `keep` or `value`",
            ));
        }
    };
    Ok(Resolved::of(receipt))
}

/// `POST /conflicts/undo`
pub(super) async fn undo(State(api): State<SharedApi>, body: Body) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct UndoBody {
        collection: String,
        key: String,
        field: String,
    }
    let UndoBody { collection, key, field } = json(body).await?;
    let id = RecordId::new(collection, key).map_err(RecordError::from)?;
    Ok(Resolved::of(api.replica.undo_decision(&id, &field).await?))
}

#[derive(Serialize)]
struct Resolved {
    token: String,
}

impl Resolved {
    fn of(receipt: Receipt) -> Response {
        Json(Self { token: Token(receipt.vv).to_string() }).into_response()
    }
}

/// What is there, though it be `null`.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

fn dot_text(dot: Dot) -> String {
    format!("{}:{}", dot.incarnation, dot.seq)
}

impl From<ResolveError> for Problem {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::Record(error) => error.into(),
            other => {
                let name = match other {
                    ResolveError::NothingToUndo => "nothing_to_undo",
                    _ => "changed",
                };
                Problem::new(StatusCode::CONFLICT, name, other.code(), other.to_string())
            }
        }
    }
}
