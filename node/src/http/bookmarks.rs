//! Bookmarks over HTTP: a request brings what its client has seen, the answer what it has seen then.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::errors::code;
use crate::http::problem::Problem;
use crate::http::server::SharedApi;
use crate::http::stream::JSON_LINES;
use crate::{AtLeastError, Bookmark};

/// Waits until this node shows what the client has seen, and tells it what it has seen then: all that the store shows
/// once the answer is made, so what was read or written for it is covered.
pub(super) async fn follow(
    State(api): State<SharedApi>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let seen = bookmark(request.headers())?;
    if let Some(seen) = &seen
        && let Err(error) = api.replica.at_least(seen, wait(request.headers())?).await
    {
        return Ok(behind(error));
    }
    let mut response = next.run(request).await;
    // Lines are read later than this.
    let is_stream =
        response.headers().get(header::CONTENT_TYPE) == Some(&HeaderValue::from_static(JSON_LINES));
    // The notice of a commit comes somewhat behind the commit itself.
    if !is_stream && let Ok(view) = api.replica.read() {
        let text = api.replica.bookmark_of(view.vv()).to_string();
        let value = HeaderValue::from_str(&text).expect("digits, letters and dots are a header");
        response.headers_mut().insert(BOOKMARK_HEADER, value);
    }
    Ok(response)
}

fn bookmark(headers: &HeaderMap) -> Result<Option<Bookmark>, Problem> {
    let Some(value) = headers.get(BOOKMARK_HEADER) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    let bookmark = text.parse().map_err(|error: crate::ParseBookmarkError| {
        Problem::bad_request("bad_bookmark", error.code(), error.to_string())
    })?;
    Ok(Some(bookmark))
}

/// `Prefer: wait=2` (RFC 7240).
fn wait(headers: &HeaderMap) -> Result<Duration, Problem> {
    let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut waits = preferences.flat_map(|it| it.split(',')).filter_map(|preference| {
        let (name, value) = preference.split_once('=')?;
        name.trim().eq_ignore_ascii_case("wait").then(|| value.trim().parse::<u64>())
    });
    match waits.next() {
        None => Ok(WAIT_DEFAULT),
        Some(Ok(seconds)) => Ok(Duration::from_secs(seconds)),
        Some(Err(_)) => {
            Err(Problem::bad_request("bad_query", code::<902>(), "Prefer: wait=SECONDS"))
        }
    }
}

fn behind(error: AtLeastError) -> Response {
    let (error_code, detail) = (error.code(), error.to_string());
    match error {
        AtLeastError::Behind { eta, .. } => {
            let problem =
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "behind", error_code, detail);
            let mut response = problem.into_response();
            if let Some(eta) = eta {
                let value = HeaderValue::from(eta.as_secs().max(1));
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
            response
        }
        AtLeastError::Store(error) => Problem::from(error).into_response(),
        AtLeastError::Closed => Problem::closing(detail).into_response(),
    }
}

const BOOKMARK_HEADER: HeaderName = HeaderName::from_static("millpond-bookmark");

/// For as long as people hardly notice.
const WAIT_DEFAULT: Duration = Duration::from_secs(2);
