//! Starting and stopping the API.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::Replica;
use crate::errors::code;
use crate::http::guard::{self, Guard};
use crate::http::problem::Problem;
use crate::http::{
    backup, bookmarks, changes, conflicts, import, invites, join, keys, metrics, node, presence,
    records, tx, verify, writing,
};
use crate::limits::HTTP_STREAMS_MAX;
use crate::records::{RecordError, RecordView};

/// Where and for whom to serve.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpOptions {
    /// The folder for `http.token` and `http.addr`: the replica's.
    pub dir: PathBuf,
    /// The address to listen on; port 0 chooses one.
    pub listen: SocketAddr,
    /// Host names to answer to, besides this machine's loopback names and the address listened on.
    pub hosts: Vec<String>,
}

impl HttpOptions {
    /// A free port of the loopback address.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { dir: dir.into(), listen, hosts: Vec::new() }
    }
}

/// Why the API cannot start. Nothing keeps running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The address is taken or not this machine's.
    #[error("cannot serve HTTP on {address}: {source}")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the API cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A running API. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    address_file: PathBuf,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Starts the API of a replica. The replica outlives it: close it afterwards.
///
/// # Errors
/// Any [`HttpError`].
pub async fn serve(replica: Replica, options: HttpOptions) -> Result<HttpServer, HttpError> {
    let token = guard::load_or_create_token(&options.dir.join(TOKEN_FILE))?;
    let listen_error = |source| HttpError::Listen { address: options.listen, source };
    let listener = TcpListener::bind(options.listen).await.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    let address_file = options.dir.join(ADDRESS_FILE);
    write_whole(&address_file, &reachable(address).to_string())?;

    let stop = CancellationToken::new();
    let api = Arc::new(Api {
        replica,
        stop: stop.clone(),
        streams: Arc::new(Semaphore::new(HTTP_STREAMS_MAX)),
    });
    let guard = Arc::new(Guard::new(&token, address, options.hosts));
    let router = routes(api).layer(from_fn_with_state(guard, guard::check));
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true); // only a matter of latency
    });
    let stopped = stop.clone().cancelled_owned();
    let serving = axum::serve(listener, router).with_graceful_shutdown(stopped);
    let task = tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "http server failed");
        }
    });
    Ok(HttpServer { address, address_file, stop, task })
}

impl HttpServer {
    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops taking requests, ends streams, waits up to five seconds for requests under way, then drops
    /// them.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        if tokio::time::timeout(DRAIN, &mut self.task).await.is_err() {
            tracing::warn!("http requests were still under way at the deadline");
        }
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stop.cancel();
        self.task.abort();
        let _ = std::fs::remove_file(&self.address_file);
    }
}

/// What handlers share.
pub(super) struct Api {
    pub replica: Replica,
    /// Ends streams.
    pub stop: CancellationToken,
    /// One permit for each stream: a stalled one holds a blocking thread.
    pub streams: Arc<Semaphore>,
}

pub(super) type SharedApi = Arc<Api>;

impl Api {
    /// Reads records of a fresh snapshot on a blocking thread.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&RecordView) -> Result<T, RecordError> + Send + 'static,
    ) -> Result<T, Problem> {
        let replica = self.replica.clone();
        let reading = move || read(&RecordView::new(replica.read()?));
        let result = tokio::task::spawn_blocking(reading).await;
        Ok(result.map_err(|_| Problem::internal("a reader panicked"))??)
    }
}

fn routes(api: SharedApi) -> Router {
    // What clients read and write, and take bookmarks of.
    let data = Router::new()
        .route("/c", get(records::collections))
        .route("/c/{collection}", get(records::list))
        .route(
            "/c/{collection}/{key}",
            get(records::read).put(records::put).patch(records::patch).delete(records::delete),
        )
        .route("/c/{collection}/{key}/count", post(records::count))
        .route("/tx", post(tx::transact))
        .layer(from_fn_with_state(api.clone(), bookmarks::follow));
    let api_v1 = Router::new()
        .merge(data)
        .route("/acks", get(writing::acks))
        .route("/import", post(import::import))
        .route("/export", get(records::export))
        .route("/changes", get(changes::changes))
        .route("/conflicts", get(conflicts::conflicts))
        .route("/conflicts/changes", get(conflicts::follow))
        .route("/conflicts/resolve", post(conflicts::resolve))
        .route("/conflicts/undo", post(conflicts::undo))
        .route("/explain/{collection}/{key}/{field}", get(conflicts::explain))
        .route("/backup", post(backup::backup))
        .route("/status", get(node::status))
        .route("/digest", get(node::digest))
        .route("/peers", get(node::peers))
        .route("/peers/changes", get(presence::follow))
        .route("/peers/pause", post(node::pause))
        .route("/peers/resume", post(node::resume))
        .route("/verify", post(verify::verify))
        .route("/refresh", post(verify::refresh))
        .route("/repair", post(verify::repair))
        .route("/fence/release", post(node::release))
        .route("/topology", get(node::topology).put(node::set_topology))
        .route("/peers/remove", post(node::remove))
        .route("/keys", get(keys::keys))
        .route("/keys/rotate", post(keys::rotate))
        .route("/keys/revoke", post(keys::revoke))
        .route("/promote", post(node::promote))
        .route("/delayed", post(node::delayed))
        .route("/invites", get(invites::list).post(invites::issue))
        .route("/invites/revoke", post(invites::revoke))
        .route("/peers/pending", get(invites::pending))
        .route("/peers/approve", post(invites::approve))
        .route("/peers/deny", post(invites::deny))
        .route("/join", get(join::progress).post(join::join));
    Router::new()
        .nest("/api/v1", api_v1)
        .route("/livez", get(node::livez))
        .route("/readyz", get(node::readyz))
        .route("/metrics", get(metrics::metrics))
        .fallback(async || {
            Problem::new(StatusCode::NOT_FOUND, "no_such_route", code::<917>(), "no such route")
        })
        .method_not_allowed_fallback(async || {
            let name = "method_not_allowed";
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                name,
                code::<918>(),
                "the route has no such method",
            )
        })
        .with_state(api)
}

/// The address as a client of this machine dials it.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// Writes the file so that a reader sees the old text or the new one.
fn write_whole(path: &Path, text: &str) -> Result<(), HttpError> {
    let fresh = path.with_extension("addr.new");
    std::fs::write(&fresh, text)
        .and_then(|()| std::fs::rename(&fresh, path))
        .map_err(|source| HttpError::File { path: path.to_owned(), source })
}

/// Holds the token.
const TOKEN_FILE: &str = "http.token";

/// Holds the address while the API runs.
const ADDRESS_FILE: &str = "http.addr";

/// How long a stop waits for requests under way.
const DRAIN: Duration = Duration::from_secs(5);
