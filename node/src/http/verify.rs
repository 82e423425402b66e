//! `POST /verify`, `POST /refresh` and `POST /repair`.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use millpond_core::{NodeKey, Path};
use serde::{Deserialize, Serialize};

use crate::errors::code;
use crate::http::node::find_peer;
use crate::http::problem::Problem;
use crate::http::records::{bytes, json};
use crate::http::server::SharedApi;

/// `POST /verify`
pub(super) async fn verify(State(api): State<SharedApi>, body: Body) -> Result<Response, Problem> {
    #[derive(Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct VerifyBody {
        peer: Option<String>,
        all: bool,
        deep: bool,
    }
    let body = bytes(body).await?;
    let body: VerifyBody = match body.is_empty() {
        true => VerifyBody::default(),
        false => json(Body::from(body)).await?,
    };
    let peers = api.replica.status().await.peers;
    let key = |key: &str| {
        let parsed: Result<NodeKey, _> = key.parse();
        parsed.map_err(|_| Problem::internal("a peer's key is malformed"))
    };
    let peers = match body.peer {
        Some(wanted) => Some(vec![key(&find_peer(peers, &wanted)?.key)?]),
        None if body.all => None,
        None => {
            let linked = peers.iter().filter(|peer| peer.link.is_some());
            Some(linked.map(|peer| key(&peer.key)).collect::<Result<Vec<NodeKey>, Problem>>()?)
        }
    };
    Ok(Json(api.replica.verify(peers, body.deep).await).into_response())
}

/// `POST /refresh`
pub(super) async fn refresh(State(api): State<SharedApi>, body: Body) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct RefreshBody {
        from: String,
        #[serde(default)]
        dry_run: bool,
    }
    let RefreshBody { from, dry_run } = json(body).await?;
    let peer = find_peer(api.replica.status().await.peers, &from)?;
    let key = peer.key.parse().map_err(|_| Problem::internal("a peer's key is malformed"))?;
    let report = api.replica.refresh(key, dry_run).await.map_err(|error| {
        Problem::new(StatusCode::CONFLICT, "no_refresh", error.code(), error.to_string())
    })?;
    Ok(Json(report).into_response())
}

/// `POST /repair`
pub(super) async fn repair(State(api): State<SharedApi>, body: Body) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct RepairBody {
        /// Collection, key, field, as far as it goes.
        accept_loss: Vec<String>,
    }
    #[derive(Serialize)]
    struct Repaired {
        deleted: u64,
    }
    let RepairBody { accept_loss } = json(body).await?;
    let bad = |error: millpond_core::PathError| {
        Problem::bad_request("bad_path", code::<910>(), error.to_string())
    };
    let within = match accept_loss.is_empty() {
        true => None,
        false => Some(Path::new(accept_loss.iter().map(String::as_bytes)).map_err(bad)?),
    };
    let deleted = api.replica.accept_loss(within).await;
    let deleted = deleted.map_err(Problem::from)?;
    Ok(Json(Repaired { deleted }).into_response())
}
