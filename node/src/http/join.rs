//! Routes about joining a domain while the node runs.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::http::problem::Problem;
use crate::http::records::json;
use crate::http::server::SharedApi;
use crate::replication::JoinProgress;
use crate::{Invite, JoinError, ParseInviteError};

/// How a node is on its way into its domain.
#[derive(Serialize)]
struct Joining {
    /// `joined`, `joining` or `refused`.
    state: &'static str,
    /// Why it is no member yet, or will not be.
    why: Option<String>,
    /// The three words to compare, while an admin has to approve it.
    words: Option<String>,
}

/// `GET /join`
pub(super) async fn progress(State(api): State<SharedApi>) -> Response {
    let words = api.replica.join_words();
    let why = api.replica.join_progress();
    let state = match api.replica.join_state() {
        Some(JoinProgress::Joined) => "joined",
        Some(JoinProgress::Refused(_)) => "refused",
        Some(JoinProgress::Waiting(_) | JoinProgress::Asked { .. }) | None => "joining",
    };
    Json(Joining { state, why, words }).into_response()
}

/// `POST /join`
pub(super) async fn join(State(api): State<SharedApi>, body: Body) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct JoinBody {
        invite: String,
    }
    let JoinBody { invite } = json(body).await?;
    let invite: Invite = invite.parse().map_err(|error: ParseInviteError| {
        Problem::bad_request("bad_invite", error.code(), error.to_string())
    })?;
    api.replica.join(invite).await.map_err(|error| {
        let (status, name) = match &error {
            JoinError::OtherDomain { .. } => (StatusCode::CONFLICT, "other_domain"),
            JoinError::AlreadyMember => (StatusCode::CONFLICT, "already_member"),
            JoinError::NotRecorded(_) | JoinError::Closed => {
                (StatusCode::SERVICE_UNAVAILABLE, "not_joining")
            }
            _ => (StatusCode::CONFLICT, "not_joining"),
        };
        Problem::new(status, name, error.code(), error.to_string())
    })?;
    Ok((StatusCode::ACCEPTED, progress(State(api)).await).into_response())
}
