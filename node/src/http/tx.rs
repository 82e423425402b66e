//! `POST /tx`: several operations, all or nothing.

use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::errors::code;
use crate::http::problem::Problem;
use crate::http::records::json;
use crate::http::server::SharedApi;
use crate::http::writing::{Asked, ReceiptBody};
use crate::records::{Document, Json, Precondition, RecordError, RecordId, RecordTx};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TxBody {
    ops: Vec<OpBody>,
}

/// One operation, all kinds in one: a tagged enum would buffer its values, and round their numbers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OpBody {
    op: OpKind,
    collection: String,
    key: String,
    /// `exists`, `absent` or a version.
    #[serde(rename = "if")]
    condition: Option<String>,
    fields: Option<Document>,
    field: Option<String>,
    value: Option<Json>,
    delta: Option<i64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OpKind {
    Put,
    Patch,
    Delete,
    Count,
    Multi,
}

/// An operation whose parts are those of its kind.
struct Op {
    id: RecordId,
    condition: Precondition,
    action: Action,
}

enum Action {
    Put(Document),
    Patch(Document),
    Delete,
    Count(String, i64),
    Multi(String, Json),
}

/// What an operation answers.
#[derive(Default, Serialize)]
struct Outcome {
    #[serde(skip_serializing_if = "Option::is_none")]
    existed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Json>,
}

/// `POST /tx`
pub(super) async fn transact(
    State(api): State<SharedApi>,
    uri: Uri,
    body: Body,
) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct Done {
        results: Vec<Outcome>,
        receipt: ReceiptBody,
    }
    let asked = Asked::parse(&uri)?;
    let body: TxBody = json(body).await?;
    let ops = body.ops.into_iter().enumerate().map(|(index, op)| Op::parse(index, op));
    let ops: Vec<Op> = ops.collect::<Result<_, _>>()?;
    let run = move |tx: &mut RecordTx<'_, '_>| ops.iter().map(|op| op.run(tx)).collect();
    let done = api.write(asked, run).await?;
    let status = done.status(StatusCode::OK);
    let done = Done { results: done.value, receipt: done.receipt };
    Ok((status, axum::Json(done)).into_response())
}

impl Op {
    fn parse(index: usize, body: OpBody) -> Result<Self, Problem> {
        let bad = |what: &str| {
            Problem::bad_request("bad_op", code::<904>(), format!("ops[{index}]: {what}"))
        };
        let id =
            RecordId::new(body.collection, body.key).map_err(|error| bad(&error.to_string()))?;
        let condition = match body.condition.as_deref() {
            None => Precondition::Any,
            Some("exists") => Precondition::Exists,
            Some("absent") => Precondition::Absent,
            Some(version) => match version.parse() {
                Ok(version) => Precondition::At(version),
                Err(_) => return Err(bad("`if` is \"exists\", \"absent\" or a version")),
            },
        };
        let action = match (body.op, body.fields, body.field, body.value, body.delta) {
            (OpKind::Put, Some(fields), None, None, None) => Action::Put(fields),
            (OpKind::Patch, Some(fields), None, None, None) => Action::Patch(fields),
            (OpKind::Delete, None, None, None, None) => Action::Delete,
            (OpKind::Count, None, Some(field), None, delta) => {
                Action::Count(field, delta.unwrap_or(1))
            }
            (OpKind::Multi, None, Some(field), Some(value), None) => Action::Multi(field, value),
            (OpKind::Put | OpKind::Patch, ..) => return Err(bad("it takes `fields`, no more")),
            (OpKind::Delete, ..) => return Err(bad("it takes the record's name only")),
            (OpKind::Count, ..) => return Err(bad("it takes `field` and `delta`")),
            (OpKind::Multi, ..) => return Err(bad("it takes `field` and `value`")),
        };
        Ok(Self { id, condition, action })
    }

    fn run(&self, tx: &mut RecordTx<'_, '_>) -> Result<Outcome, RecordError> {
        tx.require(&self.id, self.condition)?;
        let mut outcome = Outcome::default();
        match &self.action {
            Action::Put(document) => tx.put(&self.id, document)?,
            Action::Patch(changes) => tx.patch(&self.id, changes)?,
            Action::Delete => outcome.existed = Some(tx.delete(&self.id)?),
            Action::Count(field, delta) => {
                outcome.value = Some(Json::number(tx.count(&self.id, field, *delta)?));
            }
            Action::Multi(field, value) => tx.put_multi(&self.id, field, value)?,
        }
        Ok(outcome)
    }
}
