//! How a write over HTTP is acknowledged: its concern, its receipt, and waiting for it again.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use millpond_core::{Dot, Seq};
use serde::{Deserialize, Serialize};

use crate::concern::{AckLevel, Concern, MemberAck};
use crate::errors::code;
use crate::http::problem::Problem;
use crate::http::records::query;
use crate::http::server::{Api, SharedApi};
use crate::records::{self, RecordError, RecordTx, Token};
use crate::{ConcernError, ConcernNotMet, Receipt};

/// What the parameters of a write ask for.
pub(super) struct Asked {
    concern: Option<Concern>,
    level: AckLevel,
    timeout: Option<Duration>,
    min_connected: usize,
}

/// What a write got.
pub(super) struct Acknowledged<T> {
    pub value: T,
    pub receipt: ReceiptBody,
    pub is_met: bool,
}

/// What a transaction got, as JSON.
#[derive(Serialize)]
pub(super) struct ReceiptBody {
    /// Its last dot; absent if it changed nothing.
    dot: Option<String>,
    /// Resume changes from here, or compare.
    token: String,
    /// What became of its concern, if it had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    concern: Option<ConcernBody>,
}

#[derive(Serialize)]
struct ConcernBody {
    asked: String,
    level: String,
    /// False is unknown: the write stays.
    is_met: bool,
    acked: Vec<MemberBody>,
    late: Vec<MemberBody>,
}

#[derive(Serialize)]
struct MemberBody {
    key: String,
    name: String,
    level: Option<String>,
    standing: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteQuery {
    concern: Option<String>,
    level: Option<String>,
    timeout: Option<String>,
    min_connected: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AcksQuery {
    dot: String,
    concern: String,
    level: Option<String>,
    timeout: Option<String>,
}

impl Asked {
    /// The parameters of a route that writes.
    pub fn parse(uri: &Uri) -> Result<Self, Problem> {
        let WriteQuery { concern, level, timeout, min_connected } = query(uri)?;
        if concern.is_none() && (level.is_some() || timeout.is_some()) {
            let detail = "level and timeout are of a concern: concern=replicas:2";
            return Err(Problem::bad_request("bad_concern", code::<422>(), detail));
        }
        Ok(Self {
            concern: concern.map(|text| text.parse()).transpose().map_err(bad)?,
            level: level.map(|text| text.parse()).transpose().map_err(bad)?.unwrap_or_default(),
            timeout: timeout.map(|text| span(&text)).transpose()?,
            min_connected: min_connected.unwrap_or(0),
        })
    }
}

impl Api {
    /// Runs a transaction over records, and waits for whom the request names.
    pub async fn write<T: Send + 'static>(
        &self,
        asked: Asked,
        closure: impl FnOnce(&mut RecordTx<'_, '_>) -> Result<T, RecordError> + Send + 'static,
    ) -> Result<Acknowledged<T>, Problem> {
        let write = records::write(&self.replica, closure).min_connected(asked.min_connected);
        let Some(concern) = asked.concern else {
            let (value, receipt) = write.await?;
            let receipt = ReceiptBody::new(&receipt, None);
            return Ok(Acknowledged { value, receipt, is_met: true });
        };
        let mut write = write.concern(concern.clone()).level(asked.level);
        if let Some(timeout) = asked.timeout {
            write = write.timeout(timeout);
        }
        match write.await {
            Ok((value, receipt)) => {
                let told = ConcernBody::new(&receipt, &concern, asked.level, true);
                let receipt = ReceiptBody::new(&receipt, Some(told));
                Ok(Acknowledged { value, receipt, is_met: true })
            }
            Err(ConcernError::NotMet { value, unmet }) => {
                let receipt = ReceiptBody::unmet(&unmet);
                Ok(Acknowledged { value, receipt, is_met: false })
            }
            Err(ConcernError::NotWritten(error)) => Err(error.into()),
        }
    }
}

impl<T> Acknowledged<T> {
    /// The status of an answer that would be `status` if nothing were asked for: 202 says that the concern is not
    /// met so far.
    pub fn status(&self, status: StatusCode) -> StatusCode {
        if self.is_met { status } else { StatusCode::ACCEPTED }
    }
}

impl ReceiptBody {
    fn new(receipt: &Receipt, concern: Option<ConcernBody>) -> Self {
        let dot = receipt.dot.map(|dot| format!("{}:{}", dot.incarnation, dot.seq));
        Self { dot, token: Token(receipt.vv.clone()).to_string(), concern }
    }

    fn unmet(unmet: &ConcernNotMet) -> Self {
        let told = ConcernBody::new(&unmet.receipt, &unmet.concern, unmet.level, false);
        Self::new(&unmet.receipt, Some(told))
    }
}

impl ConcernBody {
    fn new(receipt: &Receipt, concern: &Concern, level: AckLevel, is_met: bool) -> Self {
        let bodies = |members: &[MemberAck]| members.iter().map(MemberBody::from).collect();
        Self {
            asked: concern.to_string(),
            level: level.to_string(),
            is_met,
            acked: bodies(&receipt.acks.acked),
            late: bodies(&receipt.acks.late),
        }
    }
}

impl From<&MemberAck> for MemberBody {
    fn from(member: &MemberAck) -> Self {
        Self {
            key: member.key.to_string(),
            name: member.name.clone(),
            level: member.level.map(|level| level.to_string()),
            standing: member.standing.to_string(),
        }
    }
}

/// `GET /acks`
pub(super) async fn acks(State(api): State<SharedApi>, uri: Uri) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct Answer {
        receipt: ReceiptBody,
    }
    let AcksQuery { dot, concern, level, timeout } = query(&uri)?;
    let dot = parse_dot(&dot).ok_or_else(|| {
        Problem::bad_request("bad_dot", code::<909>(), "a dot is INCARNATION:SEQ, as in a receipt")
    })?;
    let concern: Concern = concern.parse().map_err(bad)?;
    let level = level.map(|text| text.parse()).transpose().map_err(bad)?.unwrap_or_default();
    let vv = api.replica.read()?.vv().clone();
    if !vv.covers(dot) {
        let detail = format!("this node does not hold {dot}");
        return Err(Problem::new(StatusCode::NOT_FOUND, "not_here", code::<914>(), detail));
    }
    let receipt = Receipt::new(&api.replica, Some(dot), vv, Default::default());
    let mut waiting = receipt.wait_for(concern.clone()).level(level);
    if let Some(timeout) = timeout {
        waiting = waiting.timeout(span(&timeout)?);
    }
    let (status, receipt) = match waiting.await {
        Ok(receipt) => {
            let told = ConcernBody::new(&receipt, &concern, level, true);
            (StatusCode::OK, ReceiptBody::new(&receipt, Some(told)))
        }
        Err(unmet) => (StatusCode::ACCEPTED, ReceiptBody::unmet(&unmet)),
    };
    Ok((status, Json(Answer { receipt })).into_response())
}

fn bad(error: impl std::fmt::Display) -> Problem {
    Problem::bad_request("bad_concern", code::<422>(), error.to_string())
}

fn parse_dot(text: &str) -> Option<Dot> {
    let (incarnation, seq) = text.split_once(':')?;
    Some(Dot::new(incarnation.parse().ok()?, Seq::new(seq.parse().ok()?)?))
}

/// A length of time: `500ms`, `2s`, `1m`.
fn span(text: &str) -> Result<Duration, Problem> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit_ms = match &text[digits.len()..] {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        _ => None,
    };
    let ms = digits.parse::<u64>().ok().zip(unit_ms).and_then(|(n, unit)| n.checked_mul(unit));
    let bad = || {
        Problem::bad_request(
            "bad_concern",
            code::<422>(),
            "a time is a number with its unit: 500ms, 2s, 1m",
        )
    };
    ms.map(Duration::from_millis).ok_or_else(bad)
}
