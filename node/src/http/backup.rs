//! `POST /backup`: a backup of this moment, as a stream.

use std::io::{self, Write};
use std::ops::ControlFlow;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::backup::BackupError;
use crate::http::problem::Problem;
use crate::http::server::SharedApi;
use crate::http::stream::{self, Sink};

/// `POST /backup`
///
/// The node's secret key is never in it: whoever has a token for the API is not yet the node.
pub(super) async fn backup(State(api): State<SharedApi>) -> Result<Response, Problem> {
    api.replica.may_back_up().map_err(refused)?;
    let (sink, response) = stream::open(&api, "application/vnd.millpond.backup")?;
    tokio::task::spawn_blocking(move || {
        let mut body = Body(sink);
        let go_on = &mut |_| ControlFlow::Continue(());
        match api.replica.back_up_into(&mut body, go_on) {
            Ok(_) => body.0.finish(),
            Err(error) => tracing::warn!(%error, "a backup broke off"),
        }
    });
    Ok(response)
}

fn refused(error: BackupError) -> Problem {
    match error {
        BackupError::NotJoined => {
            Problem::new(StatusCode::CONFLICT, "not_joined", error.code(), error.to_string())
        }
        BackupError::Store(error) => error.into(),
        error => Problem::internal(error.to_string()),
    }
}

/// The answer as something to write to.
struct Body(Sink);

impl Write for Body {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.bytes(bytes) {
            ControlFlow::Continue(()) => Ok(bytes.len()),
            ControlFlow::Break(()) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.flush() {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}
