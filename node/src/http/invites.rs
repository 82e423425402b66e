//! Routes about invites.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::errors::code;
use crate::http::problem::Problem;
use crate::http::records::{bytes, json};
use crate::http::server::SharedApi;
use crate::limits::INVITE_S_MAX;
use crate::{InviteError, InviteOptions, IssuedInvite, PendingMember, Role};

/// `GET /invites`
pub(super) async fn list(State(api): State<SharedApi>) -> Response {
    #[derive(Serialize)]
    struct Invites {
        invites: Vec<IssuedInvite>,
    }
    Json(Invites { invites: api.replica.invites().await }).into_response()
}

/// `POST /invites`
pub(super) async fn issue(State(api): State<SharedApi>, body: Body) -> Result<Response, Problem> {
    #[derive(Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct InviteBody {
        role: Option<String>,
        expires_s: Option<u64>,
        uses: Option<u32>,
        #[serde(default)]
        approve: bool,
    }
    #[derive(Serialize)]
    struct Invited {
        invite: String,
        id: String,
        role: Role,
        expires_s: u64,
        uses: u32,
    }
    let body = bytes(body).await?;
    let body: InviteBody = match body.is_empty() {
        true => InviteBody::default(),
        false => json(Body::from(body)).await?,
    };
    let role = match body.role.as_deref() {
        None | Some("writer") => Role::Writer,
        Some("admin") => Role::Admin,
        Some("reader") => Role::Reader,
        Some(other) => {
            let detail = format!("there is no role `{other}`: admin, writer and reader are");
            return Err(Problem::bad_request("bad_role", code::<206>(), detail));
        }
    };
    let expires_s = body.expires_s.unwrap_or(INVITE_DEFAULT_S);
    if !(1..=INVITE_S_MAX).contains(&expires_s) {
        let detail = format!("an invite is valid for 1 to {INVITE_S_MAX} seconds");
        return Err(Problem::bad_request("bad_expiry", code::<905>(), detail));
    }
    let uses = body.uses.unwrap_or(1);
    let expires = Duration::from_secs(expires_s);
    let options = InviteOptions { role, expires, uses, needs_approval: body.approve };
    let invite = api.replica.invite(options).await.map_err(|error| refused(&error))?;
    let (id, invite) = (invite.id().to_string(), invite.to_string());
    Ok((StatusCode::CREATED, Json(Invited { invite, id, role, expires_s, uses })).into_response())
}

/// `POST /invites/revoke`
pub(super) async fn revoke(State(api): State<SharedApi>, body: Body) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct RevokeBody {
        invite: String,
    }
    let RevokeBody { invite } = json(body).await?;
    let revoked = api.replica.revoke_invite(&invite).await.map_err(|error| refused(&error))?;
    Ok(Json(revoked).into_response())
}

/// `GET /peers/pending`
pub(super) async fn pending(State(api): State<SharedApi>) -> Response {
    #[derive(Serialize)]
    struct Pending {
        pending: Vec<PendingMember>,
    }
    Json(Pending { pending: api.replica.status().await.pending }).into_response()
}

/// Who waits.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhoBody {
    peer: String,
}

/// `POST /peers/approve`
pub(super) async fn approve(State(api): State<SharedApi>, body: Body) -> Result<Response, Problem> {
    let WhoBody { peer } = json(body).await?;
    let approved = api.replica.approve(&peer).await.map_err(|error| refused(&error))?;
    Ok(Json(approved).into_response())
}

/// `POST /peers/deny`
pub(super) async fn deny(State(api): State<SharedApi>, body: Body) -> Result<Response, Problem> {
    let WhoBody { peer } = json(body).await?;
    let denied = api.replica.deny(&peer).await.map_err(|error| refused(&error))?;
    Ok(Json(denied).into_response())
}

fn refused(error: &InviteError) -> Problem {
    let (status, name) = match error {
        InviteError::NotAdmin | InviteError::TooMany => (StatusCode::CONFLICT, "no_invite"),
        InviteError::Uses => (StatusCode::BAD_REQUEST, "bad_uses"),
        InviteError::NobodyWaits => (StatusCode::NOT_FOUND, "nobody_waits"),
        InviteError::NoInvite => (StatusCode::NOT_FOUND, "no_such_invite"),
        InviteError::Store(_) | InviteError::Closed => {
            (StatusCode::SERVICE_UNAVAILABLE, "no_invite")
        }
    };
    Problem::new(status, name, error.code(), error.to_string())
}

/// Ten minutes: an invite is used at once, or made again.
const INVITE_DEFAULT_S: u64 = 600;
