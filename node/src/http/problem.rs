//! Errors as answers: problem details (RFC 9457) with a stable code, a hint, and whether to retry.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::records::{IdError, RecordError};
use crate::state::WriteError;
use crate::store::StoreError;

/// Why a request failed.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    /// Stable, for programs.
    pub code: &'static str,
    /// What and why, for people.
    pub detail: String,
    hint: Option<&'static str>,
    /// Whether the same request may succeed later.
    pub retryable: bool,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), hint: None, retryable: false }
    }

    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    pub fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
            .hint("this is a fault of the program: its log says more")
    }

    pub fn hint(self, hint: &'static str) -> Self {
        Self { hint: Some(hint), ..self }
    }

    pub fn retryable(self) -> Self {
        Self { retryable: true, ..self }
    }

    /// Whether the node, not the request, is at fault: what follows would fail alike.
    pub fn is_node_wide(&self) -> bool {
        // What is damaged is one record.
        (self.status.is_server_error() && self.code != "damaged")
            || matches!(self.code, "read_only" | "not_primary" | "delayed")
    }
}

#[derive(Serialize)]
struct Body<'a> {
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    retryable: bool,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        tracing::debug!(code = self.code, detail = %self.detail, "request refused");
        let body = Body {
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
            hint: self.hint,
            retryable: self.retryable,
        };
        let mut response = (self.status, Json(body)).into_response();
        let media_type = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, media_type);
        response
    }
}

impl From<RecordError> for Problem {
    fn from(error: RecordError) -> Self {
        let detail = error.to_string();
        match error {
            RecordError::Id(error) => error.into(),
            RecordError::IsCounter { .. } => Self::new(StatusCode::CONFLICT, "is_counter", detail)
                .hint(
                    "change it with POST .../count (millpond count), or delete the field first: \
                     PATCH {\"FIELD\":null}",
                ),
            RecordError::IsPlain { .. } => Self::new(StatusCode::CONFLICT, "is_plain", detail)
                .hint("count in another field, or delete this one first: PATCH {\"FIELD\":null}"),
            RecordError::IsTyped { .. } => Self::new(StatusCode::CONFLICT, "is_typed", detail)
                .hint("it can be left as it is, or deleted: PATCH {\"FIELD\":null}"),
            // Asked over HTTP is none.
            RecordError::NotIndexed { .. } => Self::bad_request("not_indexed", detail),
            RecordError::Absent { .. } => Self::new(StatusCode::NOT_FOUND, "absent", detail),
            RecordError::Unreadable { .. } | RecordError::Unwritable { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "malformed", detail)
            }
            RecordError::Changed { .. } => {
                Self::new(StatusCode::PRECONDITION_FAILED, "changed", detail)
                    .hint("read the record again, and repeat the write with its ETag")
            }
            RecordError::Write(error) => error.into(),
            RecordError::Store(error) => error.into(),
        }
    }
}

impl From<IdError> for Problem {
    fn from(error: IdError) -> Self {
        Self::bad_request("bad_name", error.to_string())
    }
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        let detail = error.to_string();
        let too_large = |code| Self::new(StatusCode::PAYLOAD_TOO_LARGE, code, detail.clone());
        let unavailable = |code| Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail.clone());
        match error {
            WriteError::ValueTooLarge { .. } => {
                too_large("value_too_large").hint("split the value over several fields or records")
            }
            WriteError::TransactionTooLarge { .. } => too_large("transaction_too_large")
                .hint("split it; import does so by itself, 500 records at a time"),
            WriteError::TooManySiblings { .. } => {
                Self::new(StatusCode::CONFLICT, "too_many_siblings", detail)
            }
            WriteError::Path(_) => Self::bad_request("bad_name", detail),
            WriteError::Counter(_) => Self::new(StatusCode::CONFLICT, "counter", detail),
            WriteError::Nested => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "nested", detail),
            WriteError::Rejected(_) => Self::new(StatusCode::CONFLICT, "rejected", detail),
            WriteError::Fenced { .. } => {
                unavailable("fenced").hint("millpond fence status says what to do")
            }
            WriteError::ReadOnly { .. } => Self::new(StatusCode::FORBIDDEN, "read_only", detail)
                .hint("write at a node whose role is writer or admin"),
            WriteError::NotPrimary { .. } => {
                Self::new(StatusCode::MISDIRECTED_REQUEST, "not_primary", detail).hint(
                    "write at the primary; if it is gone for good: millpond promote, at an admin's node",
                )
            }
            WriteError::Delayed => {
                Self::new(StatusCode::MISDIRECTED_REQUEST, "delayed", detail)
                    .hint("write at another member; millpond delayed promote ends the delay")
            }
            WriteError::TooFewConnected { .. } => unavailable("too_few_connected").retryable(),
            WriteError::Behind => unavailable("behind")
                .retryable()
                .hint("retry when the node has caught up: millpond status"),
            WriteError::Store(error) => error.into(),
            WriteError::Clock(_) => unavailable("clock").hint("set this machine's clock"),
            WriteError::Closed => unavailable("closing").retryable(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let detail = error.to_string();
        match error {
            StoreError::Full => Self::new(StatusCode::INSUFFICIENT_STORAGE, "disk_full", detail)
                .retryable()
                .hint("free some space and write again: the node needs no restart"),
            StoreError::Poisoned { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_stopped", detail)
            }
            StoreError::Corrupt { .. } | StoreError::Lost { .. } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "damaged",
                detail,
            )
            .retryable()
            .hint(
                "millpond verify --deep has it mended from a peer at once, and says what nobody has \
                 any more",
            ),
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "store", detail),
        }
    }
}
