//! Routes about the node and its peers.

use std::fmt::Display;
use std::time::{Duration, SystemTime};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use millpond_core::NodeKey;
use serde::{Deserialize, Serialize};

use crate::errors::code;
use crate::http::problem::Problem;
use crate::http::records::{bytes, json, query};
use crate::http::server::{Api, SharedApi};
use crate::status::{DelayStatus, Health, PeerState, PeerStatus, Survey, SurveyNode};
use crate::topology::settings::{Topology, is_named};
use crate::{DelayError, ReleaseError, RemoveError};

/// `GET /status`
pub(super) async fn status(State(api): State<SharedApi>) -> Response {
    Json(api.replica.status().await).into_response()
}

/// `GET /digest`
pub(super) async fn digest(State(api): State<SharedApi>) -> Result<Response, Problem> {
    Ok(Json(api.replica.seal().await?).into_response())
}

/// `GET /peers`
pub(super) async fn peers(State(api): State<SharedApi>) -> Response {
    #[derive(Serialize)]
    struct Peers {
        peers: Vec<PeerStatus>,
    }
    Json(Peers { peers: api.replica.status().await.peers }).into_response()
}

/// `POST /peers/pause`
pub(super) async fn pause(State(api): State<SharedApi>, body: Body) -> Result<Response, Problem> {
    let (key, peers) = chosen(&api, body).await?;
    api.replica.pause(key).await;
    Ok(Json(peers).into_response())
}

/// `POST /peers/resume`
pub(super) async fn resume(State(api): State<SharedApi>, body: Body) -> Result<Response, Problem> {
    let (key, peers) = chosen(&api, body).await?;
    api.replica.resume(key).await;
    Ok(Json(peers).into_response())
}

/// `POST /fence/release`
pub(super) async fn release(State(api): State<SharedApi>) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct Released {
        fenced: Option<String>,
    }
    match api.replica.release().await {
        Ok(()) => Ok(Json(Released { fenced: None }).into_response()),
        Err(error @ ReleaseError::NotFenced) => {
            Err(Problem::new(StatusCode::CONFLICT, "not_fenced", error.code(), error.to_string()))
        }
        Err(error) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Err(Problem::new(status, "not_released", error.code(), error.to_string()).retryable())
        }
    }
}

/// Whose links an action was for.
#[derive(Serialize)]
struct Chosen {
    peers: Vec<String>,
}

/// The peer that the body names by its name, its key or the first digits of that; all without a body.
async fn chosen(api: &Api, body: Body) -> Result<(Option<NodeKey>, Chosen), Problem> {
    #[derive(Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct PeerBody {
        peer: Option<String>,
    }
    let body = bytes(body).await?;
    let body: PeerBody = match body.is_empty() {
        true => PeerBody::default(),
        false => json(Body::from(body)).await?,
    };
    let peers = api.replica.status().await.peers;
    let Some(wanted) = body.peer else {
        let peers = peers.into_iter().map(|peer| peer.name).collect();
        return Ok((None, Chosen { peers }));
    };
    let peer = find_peer(peers, &wanted)?;
    let key = peer.key.parse().map_err(|_| Problem::internal("a peer's key is malformed"))?;
    Ok((Some(key), Chosen { peers: vec![peer.name] }))
}

/// Key and name of the member that was meant; of this node, if none was named.
async fn member(api: &Api, wanted: Option<&str>) -> Result<(NodeKey, String), Problem> {
    let status = api.replica.status().await;
    let node = status.node;
    let (key, name) = match wanted {
        Some(wanted) if !is_named(wanted, &node.key, &node.name) => {
            let peer = find_peer(status.peers, wanted)?;
            (peer.key, peer.name)
        }
        _ => (node.key, node.name),
    };
    let key = key.parse().map_err(|_| Problem::internal("a member's key is malformed"))?;
    Ok((key, name))
}

pub(super) fn find_peer(peers: Vec<PeerStatus>, wanted: &str) -> Result<PeerStatus, Problem> {
    let is_meant = |peer: &PeerStatus| is_named(wanted, &peer.key, &peer.name);
    only(peers.into_iter().filter(is_meant), wanted)
}

fn find_node<'a>(nodes: &'a [SurveyNode], wanted: &str) -> Result<&'a SurveyNode, Problem> {
    only(nodes.iter().filter(|node| is_named(wanted, &node.key, &node.name)), wanted)
}

/// The member that was meant.
fn only<T>(meant: impl Iterator<Item = T>, wanted: &str) -> Result<T, Problem> {
    let mut meant: Vec<T> = meant.collect();
    match (meant.pop(), meant.is_empty()) {
        (Some(member), true) => Ok(member),
        (Some(_), false) => {
            let detail = format!("several members answer to `{wanted}`");
            Err(Problem::new(StatusCode::CONFLICT, "ambiguous_peer", code::<919>(), detail))
        }
        (None, _) => {
            let detail = format!("there is no member `{wanted}`");
            Err(Problem::new(StatusCode::NOT_FOUND, "no_such_peer", code::<2>(), detail))
        }
    }
}

/// `GET /topology?origin`
pub(super) async fn topology(State(api): State<SharedApi>, uri: Uri) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        origin: Option<String>,
    }
    #[derive(Serialize)]
    struct Told {
        mode: &'static str,
        settings: Topology,
        nodes: Vec<Node>,
        links: Vec<Link>,
        survey: Survey,
    }
    #[derive(Serialize)]
    struct Node {
        key: String,
        name: String,
        is_this_node: bool,
    }
    #[derive(Serialize)]
    struct Link {
        from: String,
        to: String,
        state: PeerState,
        transport: Option<String>,
        round_trip_us: Option<u64>,
    }
    let Asked { origin } = query(&uri)?;
    let (status, mut survey) = (api.replica.status().await, api.replica.survey().await);
    if let Some(wanted) = origin {
        let origin = find_node(&survey.nodes, &wanted)?.name.clone();
        survey.trees.retain(|tree| tree.origin == origin);
        survey.losses.iter_mut().for_each(|it| it.turns.retain(|it| it.origin == origin));
        survey.losses.retain(|it| !it.turns.is_empty() || !it.cut_off.is_empty());
    }
    let own = Node { key: status.node.key, name: status.node.name.clone(), is_this_node: true };
    let others = status.peers.iter().map(|peer| Node {
        key: peer.key.clone(),
        name: peer.name.clone(),
        is_this_node: false,
    });
    let nodes = std::iter::once(own).chain(others).collect();
    let links = status.peers.iter().map(|peer| Link {
        from: status.node.name.clone(),
        to: peer.name.clone(),
        state: peer.state,
        transport: peer.link.as_ref().map(|link| link.transport.clone()),
        round_trip_us: peer.link.as_ref().map(|link| link.round_trip_us).filter(|&us| us > 0),
    });
    let links = links.collect();
    let settings = status.node.topology;
    Ok(Json(Told { mode: settings.mode.word(), settings, nodes, links, survey }).into_response())
}

/// `PUT /topology`
pub(super) async fn set_topology(
    State(api): State<SharedApi>,
    body: Body,
) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct Set {
        settings: Topology,
    }
    let bad =
        |why: &dyn Display| Problem::bad_request("bad_topology", code::<906>(), why.to_string());
    let settings: serde_json::Value = json(body).await?;
    let settings: Topology = serde_json::from_value(settings).map_err(|error| bad(&error))?;
    let set = api.replica.set_topology(settings.clone()).await;
    set.map_err(|error| bad(&error))?;
    Ok(Json(Set { settings }).into_response())
}

/// `POST /delayed`
pub(super) async fn delayed(State(api): State<SharedApi>, body: Body) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct OrderBody {
        order: String,
        until_ms: Option<u64>,
    }
    #[derive(Serialize)]
    struct Ordered {
        delayed: Option<DelayStatus>,
    }
    let OrderBody { order, until_ms } = json(body).await?;
    let replica = &api.replica;
    let ordered = match (order.as_str(), until_ms) {
        ("pause", None) => replica.pause_delay().await,
        ("resume", None) => replica.resume_delay().await,
        ("promote", None) => replica.end_delay().await,
        ("apply-until", Some(ms)) => {
            replica.apply_until(SystemTime::UNIX_EPOCH + Duration::from_millis(ms)).await
        }
        _ => {
            let detail = "the orders are pause, resume, promote, and apply-until with until_ms";
            return Err(Problem::bad_request("bad_order", code::<908>(), detail));
        }
    };
    ordered.map_err(|error| {
        let code = match error {
            DelayError::Past | DelayError::Future => "no_such_moment",
            _ => "not_delayed",
        };
        Problem::new(StatusCode::CONFLICT, code, error.code(), error.to_string())
    })?;
    Ok(Json(Ordered { delayed: replica.status().await.node.delayed }).into_response())
}

/// `POST /peers/remove`
pub(super) async fn remove(State(api): State<SharedApi>, body: Body) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct RemoveBody {
        peer: String,
    }
    let RemoveBody { peer } = json(body).await?;
    let (key, name) = member(&api, Some(&peer)).await?;
    match api.replica.remove(key).await {
        Ok(()) => Ok(Json(Chosen { peers: vec![name] }).into_response()),
        Err(error @ (RemoveError::NotRecorded(_) | RemoveError::Closed)) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Err(Problem::new(status, "not_removed", error.code(), error.to_string()).retryable())
        }
        Err(error) => {
            Err(Problem::new(StatusCode::CONFLICT, "not_removed", error.code(), error.to_string()))
        }
    }
}

/// `POST /promote`
pub(super) async fn promote(State(api): State<SharedApi>, body: Body) -> Result<Response, Problem> {
    #[derive(Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct PromoteBody {
        node: Option<String>,
        #[serde(default)]
        everybody: bool,
    }
    #[derive(Serialize)]
    struct Promoted {
        primary: Option<String>,
    }
    let body = bytes(body).await?;
    let body: PromoteBody = match body.is_empty() {
        true => PromoteBody::default(),
        false => json(Body::from(body)).await?,
    };
    if body.everybody && body.node.is_some() {
        let detail = "one node is the primary, or everybody writes: not both";
        return Err(Problem::bad_request("bad_primary", code::<907>(), detail));
    }
    let (key, name) = match body.everybody {
        true => (None, None),
        false => {
            let (key, name) = member(&api, body.node.as_deref()).await?;
            (Some(key), Some(name))
        }
    };
    api.replica.promote(key).await.map_err(|error| {
        Problem::new(StatusCode::CONFLICT, "not_promoted", error.code(), error.to_string())
    })?;
    Ok(Json(Promoted { primary: name }).into_response())
}

/// `GET /livez`
pub(super) async fn livez() -> Response {
    #[derive(Serialize)]
    struct Live {
        live: bool,
    }
    Json(Live { live: true }).into_response()
}

/// `GET /readyz`
pub(super) async fn readyz(State(api): State<SharedApi>) -> Response {
    #[derive(Serialize)]
    struct Ready {
        ready: bool,
        reasons: Vec<String>,
    }
    let status = api.replica.status().await;
    let mut reasons = Vec::new();
    if status.verdict.health == Health::Failing {
        reasons.push(status.verdict.text);
    }
    if let Some(why) = status.node.rehab {
        reasons.push(format!("the node {why}"));
    }
    if let Some(delay) = status.node.delayed {
        let after_s = delay.apply_after_s;
        reasons.push(format!("the node shows what was {after_s} s ago: it is a delayed replica"));
    }
    if let Err(error) = api.read(|_| Ok(())).await {
        reasons.push(error.detail);
    }
    let ready = reasons.is_empty();
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(Ready { ready, reasons })).into_response()
}
