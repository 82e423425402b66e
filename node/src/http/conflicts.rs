//! `GET /conflicts` and `GET /explain`: which values a field has, and why it shows the one that it shows.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::Candidate;
use crate::http::problem::Problem;
use crate::http::records::query;
use crate::http::server::SharedApi;
use crate::records::{FieldKind, Json as Value, RecordError, RecordId, rfc3339};

/// A field with several values.
#[derive(Serialize)]
struct ConflictLine {
    collection: String,
    key: String,
    field: String,
    kind: FieldKind,
    candidates: Vec<CandidateLine>,
}

/// Why a field shows what it shows.
#[derive(Serialize)]
struct ExplanationLine {
    value: Value,
    kind: FieldKind,
    rule: &'static str,
    candidates: Vec<CandidateLine>,
}

/// A value, by whom it was written, and who has it.
#[derive(Serialize)]
struct CandidateLine {
    value: Value,
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
            value: candidate.value,
            at: rfc3339(candidate.stamp),
            author: author.to_string(),
            dot: format!("{author}:{}", candidate.dot.seq),
            writer: candidate.writer.map(|writer| writer.name),
            seen_by: candidate.seen_by.iter().map(ToString::to_string).collect(),
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
    let line = |conflict: crate::Conflict| ConflictLine {
        collection: conflict.id.collection().to_owned(),
        key: conflict.id.key().to_owned(),
        field: conflict.field,
        kind: conflict.kind,
        candidates: conflict.candidates.into_iter().map(CandidateLine::of).collect(),
    };
    Ok(Json(Conflicts { conflicts: found.into_iter().map(line).collect() }).into_response())
}

/// `GET /explain/{collection}/{key}/{field}`
pub(super) async fn explain(
    State(api): State<SharedApi>,
    place: Result<Path<(String, String, String)>, PathRejection>,
) -> Result<Response, Problem> {
    let Path((collection, key, field)) =
        place.map_err(|error| Problem::bad_request("bad_name", error.body_text()))?;
    let id = RecordId::new(collection, key).map_err(RecordError::from)?;
    let Some(found) = api.replica.explain(&id, &field).await? else {
        let detail = format!("{id} has no field `{field}`");
        return Err(Problem::new(StatusCode::NOT_FOUND, "no_such_field", detail));
    };
    let candidates = found.candidates.into_iter().map(CandidateLine::of).collect();
    let (value, kind, rule) = (found.value, found.kind, found.rule);
    Ok(Json(ExplanationLine { value, kind, rule, candidates }).into_response())
}
