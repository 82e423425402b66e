//! Routes about the node's keys.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use millpond_core::NodeKey;
use serde::{Deserialize, Serialize};

use crate::http::problem::Problem;
use crate::http::records::{bytes, json};
use crate::http::server::SharedApi;
use crate::status::KeyStatus;
use crate::{Certificate, RevokeError, RotateError};

/// `GET /keys`
pub(super) async fn keys(State(api): State<SharedApi>) -> Response {
    #[derive(Serialize)]
    struct Keys {
        key: String,
        certificate: String,
        keys: Vec<KeyStatus>,
    }
    let node = api.replica.status().await.node;
    let certificate = Certificate::of(api.replica.key()).to_string();
    Json(Keys { key: node.key, certificate, keys: node.keys }).into_response()
}

/// `POST /keys/rotate`
pub(super) async fn rotate(State(api): State<SharedApi>, body: Body) -> Result<Response, Problem> {
    #[derive(Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct RotateBody {
        overlap_ms: Option<u64>,
    }
    #[derive(Serialize)]
    struct Rotated {
        next: String,
    }
    let body = bytes(body).await?;
    let RotateBody { overlap_ms } = match body.is_empty() {
        true => RotateBody::default(),
        false => json(Body::from(body)).await?,
    };
    match api.replica.rotate_key(overlap_ms.map(Duration::from_millis)).await {
        Ok(next) => Ok(Json(Rotated { next: next.to_string() }).into_response()),
        Err(error @ RotateError::NotMember) => {
            let status = StatusCode::CONFLICT;
            Err(Problem::new(status, "not_rotated", error.code(), error.to_string()))
        }
        Err(error) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Err(Problem::new(status, "not_rotated", error.code(), error.to_string()).retryable())
        }
    }
}

/// `POST /keys/revoke`
pub(super) async fn revoke(State(api): State<SharedApi>, body: Body) -> Result<Response, Problem> {
    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct RevokeBody {
        key: NodeKeyText,
    }
    let RevokeBody { key } = json(body).await?;
    match api.replica.revoke_key(key.0).await {
        Ok(()) => Ok(Json(RevokeBody { key }).into_response()),
        Err(error @ (RevokeError::NotRecorded(_) | RevokeError::Closed)) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Err(Problem::new(status, "not_revoked", error.code(), error.to_string()).retryable())
        }
        Err(error) => {
            let status = StatusCode::CONFLICT;
            Err(Problem::new(status, "not_revoked", error.code(), error.to_string()))
        }
    }
}

/// A key as its 64 hex digits.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct NodeKeyText(NodeKey);

impl TryFrom<String> for NodeKeyText {
    type Error = millpond_core::ParseNodeKeyError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl From<NodeKeyText> for String {
    fn from(text: NodeKeyText) -> Self {
        text.0.to_string()
    }
}
