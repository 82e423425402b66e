//! Routes of records.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::errors::code;
use crate::http::problem::Problem;
use crate::http::server::SharedApi;
use crate::http::stream;
use crate::http::writing::{Acknowledged, Asked, ReceiptBody};
use crate::limits::HTTP_BODY_BYTES_MAX;
use crate::records::{
    self, Document, Field, FieldKind, Precondition, Record, RecordId, Scan, rfc3339,
};

/// The record that a path names.
pub(super) struct Id(pub RecordId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path =
            <Path<(String, String)> as FromRequestParts<S>>::from_request_parts(parts, state);
        let Path((collection, key)) = path.await.map_err(|error: PathRejection| {
            Problem::bad_request("bad_name", code::<902>(), error.body_text())
        })?;
        Ok(Self(RecordId::new(collection, key)?))
    }
}

/// `GET /c`
pub(super) async fn collections(State(api): State<SharedApi>) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct Collection {
        collection: String,
        records: u64,
    }
    let found = api.read(|view| view.collections()).await?;
    let collections: Vec<_> =
        found.into_iter().map(|(collection, records)| Collection { collection, records }).collect();
    Ok(Json(BTreeMap::from([("collections", collections)])).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    #[serde(default)]
    prefix: String,
    after: Option<String>,
    limit: Option<usize>,
}

/// `GET /c/{collection}`
pub(super) async fn list(
    State(api): State<SharedApi>,
    collection: Result<Path<String>, PathRejection>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Path(collection) = collection
        .map_err(|error| Problem::bad_request("bad_name", code::<902>(), error.body_text()))?;
    // A name that no collection can have is refused before a stream begins.
    RecordId::new(&*collection, "-")?;
    let ListQuery { prefix, after, limit } = query(&uri)?;
    let scan = Scan { prefix, after };
    if limit == Some(0) {
        return Err(Problem::bad_request("bad_query", code::<902>(), "limit is at least 1"));
    }
    if stream::wants_lines(&headers) {
        let mut left = limit.unwrap_or(usize::MAX);
        return stream::lines(api, move |view, sink| {
            view.scan(&collection, &scan, &mut |record| {
                left -= 1;
                sink.line(&record)?;
                if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
        })
        .await;
    }
    let limit = limit.unwrap_or(PAGE_DEFAULT).min(PAGE_MAX);
    let page = api.read(move |view| page(view, &collection, &scan, limit)).await?;
    Ok(Json(page).into_response())
}

#[derive(Serialize)]
struct Page {
    records: Vec<PageRecord>,
    /// Pass it as `after` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct PageRecord {
    key: String,
    fields: BTreeMap<String, Field>,
}

fn page(
    view: &records::RecordView,
    collection: &str,
    scan: &Scan,
    limit: usize,
) -> Result<Page, records::RecordError> {
    let mut page = Page { records: Vec::new(), next: None };
    let mut bytes = 0;
    view.scan(collection, scan, &mut |record| {
        if page.records.len() == limit || bytes > PAGE_BYTES {
            page.next = page.records.last().map(|record| record.key.clone());
            return ControlFlow::Break(());
        }
        bytes += record.fields.values().map(|field| field.value.text().len()).sum::<usize>();
        let key = record.id.key().to_owned();
        page.records.push(PageRecord { key, fields: record.fields });
        ControlFlow::Continue(())
    })?;
    Ok(page)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadQuery {
    meta: Option<u8>,
}

/// `GET /c/{collection}/{key}`
pub(super) async fn read(
    State(api): State<SharedApi>,
    Id(id): Id,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let with_meta = query::<ReadQuery>(&uri)?.meta.is_some_and(|meta| meta != 0);
    let name = id.to_string();
    let found = api.read(move |view| view.get(&id)).await?;
    let record = found.ok_or_else(|| not_found(&name))?;
    let etag = etag(&record);
    if headers.get(header::IF_NONE_MATCH) == Some(&etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let conflicts = HeaderValue::from(record.conflicts().count());
    let headers = [(header::ETAG, etag), (CONFLICTS_HEADER, conflicts)];
    Ok(match with_meta {
        true => (headers, Json(RecordMeta::of(&record))).into_response(),
        false => (headers, Json(&record.fields)).into_response(),
    })
}

/// `PUT /c/{collection}/{key}`
pub(super) async fn put(
    State(api): State<SharedApi>,
    Id(id): Id,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let asked = Asked::parse(&uri)?;
    let condition = precondition(&headers)?;
    let document: Document = json(body).await?;
    let written = api.write(asked, move |tx| {
        tx.require(&id, condition)?;
        let created = tx.get(&id)?.is_none();
        tx.put(&id, &document)?;
        Ok(created)
    });
    Ok(answer(written.await?))
}

/// `PATCH /c/{collection}/{key}`
pub(super) async fn patch(
    State(api): State<SharedApi>,
    Id(id): Id,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let asked = Asked::parse(&uri)?;
    let condition = precondition(&headers)?;
    let changes: Document = json(body).await?;
    let written = api.write(asked, move |tx| {
        tx.require(&id, condition)?;
        let created = tx.get(&id)?.is_none();
        tx.patch(&id, &changes)?;
        Ok(created)
    });
    Ok(answer(written.await?))
}

/// `DELETE /c/{collection}/{key}`
pub(super) async fn delete(
    State(api): State<SharedApi>,
    Id(id): Id,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = Asked::parse(&uri)?;
    let condition = precondition(&headers)?;
    let name = id.to_string();
    let deleted = api.write(asked, move |tx| {
        tx.require(&id, condition)?;
        tx.delete(&id)
    });
    let deleted = deleted.await?;
    if !deleted.value {
        return Err(not_found(&name));
    }
    Ok(answer(Acknowledged { value: false, ..deleted }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CountBody {
    field: String,
    #[serde(default = "one")]
    delta: i64,
}

fn one() -> i64 {
    1
}

/// `POST /c/{collection}/{key}/count`
pub(super) async fn count(
    State(api): State<SharedApi>,
    Id(id): Id,
    uri: Uri,
    body: Body,
) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct Counted {
        value: records::Json,
        receipt: ReceiptBody,
    }
    let asked = Asked::parse(&uri)?;
    let CountBody { field, delta } = json(body).await?;
    let counted = api.write(asked, move |tx| tx.count(&id, &field, delta)).await?;
    let status = counted.status(StatusCode::OK);
    let value = records::Json::number(counted.value);
    Ok((status, Json(Counted { value, receipt: counted.receipt })).into_response())
}

/// `GET /export`
pub(super) async fn export(State(api): State<SharedApi>) -> Result<Response, Problem> {
    stream::lines(api, |view, sink| view.export(&mut |record| sink.line(&record))).await
}

/// A request's body, at most as long as one transaction may be in JSON.
pub(super) async fn bytes(body: Body) -> Result<Bytes, Problem> {
    to_bytes(body, HTTP_BODY_BYTES_MAX).await.map_err(|error| {
        let detail =
            format!("the body cannot be read: {error}; it may have {HTTP_BODY_BYTES_MAX} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", code::<920>(), detail)
    })
}

/// A request's body as JSON.
pub(super) async fn json<T: DeserializeOwned>(body: Body) -> Result<T, Problem> {
    let bytes = bytes(body).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Problem::bad_request("bad_json", code::<901>(), format!("the body: {error}"))
    })
}

/// The parameters after `?`.
pub(super) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    let parsed = Query::try_from_uri(uri);
    parsed
        .map(|Query(query)| query)
        .map_err(|e| Problem::bad_request("bad_query", code::<902>(), e.body_text()))
}

/// `If-Match` and `If-None-Match: *`.
fn precondition(headers: &HeaderMap) -> Result<Precondition, Problem> {
    let bad = || {
        Problem::bad_request(
            "bad_precondition",
            code::<903>(),
            "If-Match takes * or one ETag, If-None-Match takes *",
        )
    };
    let text = |name| headers.get(name).map(|value| value.to_str().map_err(|_| bad())).transpose();
    match (text(header::IF_MATCH)?, text(header::IF_NONE_MATCH)?) {
        (None, None) => Ok(Precondition::Any),
        (Some("*"), None) => Ok(Precondition::Exists),
        (None, Some("*")) => Ok(Precondition::Absent),
        (Some(etag), None) => {
            let version = etag.strip_prefix('"').and_then(|etag| etag.strip_suffix('"'));
            version.and_then(|version| version.parse().ok()).map(Precondition::At).ok_or_else(bad)
        }
        _ => Err(bad()),
    }
}

fn answer(written: Acknowledged<bool>) -> Response {
    #[derive(Serialize)]
    struct Written {
        created: bool,
        receipt: ReceiptBody,
    }
    let created = written.value;
    let status = written.status(if created { StatusCode::CREATED } else { StatusCode::OK });
    (status, Json(Written { created, receipt: written.receipt })).into_response()
}

fn not_found(name: &str) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "not_found",
        code::<913>(),
        format!("there is no record {name}"),
    )
}

fn etag(record: &Record) -> HeaderValue {
    let text = format!("\"{}\"", record.version);
    HeaderValue::from_str(&text).expect("hex digits in quotes are a header")
}

/// A record with who wrote what when.
#[derive(Serialize)]
struct RecordMeta<'a> {
    collection: &'a str,
    key: &'a str,
    version: String,
    fields: &'a BTreeMap<String, Field>,
    written: BTreeMap<&'a str, FieldMeta>,
    /// All values of the fields that have several, the one in `fields` first.
    conflicts: BTreeMap<&'a str, Vec<VersionMeta<'a>>>,
}

#[derive(Serialize)]
struct FieldMeta {
    kind: FieldKind,
    #[serde(flatten)]
    written: Option<WrittenMeta>,
}

#[derive(Serialize)]
struct VersionMeta<'a> {
    value: &'a records::Json,
    #[serde(flatten)]
    written: WrittenMeta,
}

#[derive(Serialize)]
struct WrittenMeta {
    at: String,
    author: String,
    dot: String,
}

impl<'a> RecordMeta<'a> {
    fn of(record: &'a Record) -> Self {
        let written = record.fields.iter().map(|(name, field)| {
            let written = field.versions.first().map(WrittenMeta::of);
            (name.as_str(), FieldMeta { kind: field.kind, written })
        });
        let conflicts = record.conflicts().map(|(name, field)| {
            let versions = field.versions.iter().map(|version| VersionMeta {
                value: &version.value,
                written: WrittenMeta::of(version),
            });
            (name, versions.collect())
        });
        Self {
            collection: record.id.collection(),
            key: record.id.key(),
            version: record.version.to_string(),
            fields: &record.fields,
            written: written.collect(),
            conflicts: conflicts.collect(),
        }
    }
}

impl WrittenMeta {
    fn of(version: &records::FieldVersion) -> Self {
        Self {
            at: rfc3339(version.stamp),
            author: version.author().to_string(),
            dot: format!("{}:{}", version.author(), version.dot.seq),
        }
    }
}

const CONFLICTS_HEADER: header::HeaderName = header::HeaderName::from_static("millpond-conflicts");

/// A screenful.
const PAGE_DEFAULT: usize = 100;

/// A page is held in memory; JSON Lines have no limit.
const PAGE_MAX: usize = 1000;

/// A page ends after the record that exceeds this.
const PAGE_BYTES: usize = 4 << 20;
