//! Errors as answers: problem details (RFC 9457) with a stable code, a hint, and whether to retry.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::ErrorCode;
use crate::errors::code;
use crate::records::{IdError, RecordError};
use crate::state::WriteError;
use crate::store::StoreError;

/// Why a request failed.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    /// Stable, for programs.
    pub code: &'static str,
    /// The same more exactly, with a page that explains it.
    pub error_code: ErrorCode,
    /// What and why, for people.
    pub detail: String,
    hint: &'static str,
    /// Whether the same request may succeed later.
    pub retryable: bool,
}

impl Problem {
    /// What to do, and whether to retry, are as the code's page says.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        error_code: ErrorCode,
        detail: impl Into<String>,
    ) -> Self {
        let (hint, retryable) = (error_code.hint(), error_code.is_retryable());
        Self { status, code, error_code, detail: detail.into(), hint, retryable }
    }

    pub fn bad_request(
        code: &'static str,
        error_code: ErrorCode,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, error_code, detail)
    }

    pub fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", code::<923>(), detail)
    }

    /// The node is stopping.
    pub fn closing(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "closing", code::<922>(), detail)
    }

    /// What to do over HTTP, where that is more exact than the page.
    pub fn hint(self, hint: &'static str) -> Self {
        Self { hint, ..self }
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
    error_code: String,
    detail: &'a str,
    hint: &'a str,
    retryable: bool,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        tracing::debug!(code = self.code, detail = %self.detail, "request refused");
        let body = Body {
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            error_code: self.error_code.to_string(),
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
        let (code, detail) = (error.code(), error.to_string());
        let conflict = |name| Self::new(StatusCode::CONFLICT, name, code, detail.clone());
        match error {
            RecordError::Id(error) => error.into(),
            RecordError::IsCounter { .. } => conflict("is_counter").hint(
                "change it with POST .../count (millpond count), or delete the field first: \
                     PATCH {\"FIELD\":null}",
            ),
            RecordError::IsPlain { .. } => conflict("is_plain")
                .hint("count in another field, or delete this one first: PATCH {\"FIELD\":null}"),
            RecordError::IsTyped { .. } => conflict("is_typed")
                .hint("it can be left as it is, or deleted: PATCH {\"FIELD\":null}"),
            RecordError::Absent { .. } => Self::new(StatusCode::NOT_FOUND, "absent", code, detail),
            // Asked over HTTP is none.
            RecordError::NotIndexed { .. } => {
                Self::new(StatusCode::BAD_REQUEST, "not_indexed", code, detail)
            }
            RecordError::Unreadable { .. } | RecordError::Unwritable { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "malformed", code, detail)
            }
            RecordError::Changed { .. } => {
                Self::new(StatusCode::PRECONDITION_FAILED, "changed", code, detail)
                    .hint("read the record again, and repeat the write with its ETag")
            }
            RecordError::Write(error) => error.into(),
            RecordError::Store(error) => error.into(),
        }
    }
}

impl From<IdError> for Problem {
    fn from(error: IdError) -> Self {
        Self::bad_request("bad_name", error.code(), error.to_string())
    }
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        let (status, name) = match &error {
            WriteError::ValueTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "value_too_large"),
            WriteError::TransactionTooLarge { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "transaction_too_large")
            }
            WriteError::TooManySiblings { .. } => (StatusCode::CONFLICT, "too_many_siblings"),
            WriteError::Path(_) => (StatusCode::BAD_REQUEST, "bad_name"),
            WriteError::Counter(_) => (StatusCode::CONFLICT, "counter"),
            WriteError::Nested => (StatusCode::INTERNAL_SERVER_ERROR, "nested"),
            WriteError::Rejected(_) => (StatusCode::CONFLICT, "rejected"),
            WriteError::Fenced { .. } => (unavailable, "fenced"),
            WriteError::ReadOnly { .. } => (StatusCode::FORBIDDEN, "read_only"),
            WriteError::NotPrimary { .. } => (StatusCode::MISDIRECTED_REQUEST, "not_primary"),
            WriteError::Delayed => (StatusCode::MISDIRECTED_REQUEST, "delayed"),
            WriteError::TooFewConnected { .. } => (unavailable, "too_few_connected"),
            WriteError::Behind => (unavailable, "behind"),
            WriteError::Clock(_) => (unavailable, "clock"),
            WriteError::Closed => return Self::closing(error.to_string()),
            WriteError::Store(store) => return store.clone().into(),
        };
        Self::new(status, name, error.code(), error.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let (status, name) = match &error {
            StoreError::Full => (StatusCode::INSUFFICIENT_STORAGE, "disk_full"),
            StoreError::Poisoned { .. } => (StatusCode::SERVICE_UNAVAILABLE, "store_stopped"),
            StoreError::Corrupt { .. } | StoreError::Lost { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "damaged")
            }
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "store"),
        };
        Self::new(status, name, error.code(), error.to_string())
    }
}
