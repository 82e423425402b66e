//! The transport: one endpoint that dials and accepts.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use millpond_core::NodeKey;
use millpond_core::transport::{DialError, Link, Transport};
use quinn::{Endpoint, EndpointConfig, ServerConfig, TokioRuntime, VarInt};
use rustls::crypto::CryptoProvider;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::congestion::Closable;
use crate::dial::{Dialer, FirstIds};
use crate::limits::{INCOMING_MAX, READY_LINKS_MAX};
use crate::link::QuicLink;
use crate::socket::{self, BindError, SocketBuffers};
use crate::{Identity, QuicOptions, close, listener, tls};

/// Millpond's QUIC transport: dials and accepts links on one UDP socket.
///
/// Dropping it closes the endpoint and every link without waiting; [`Transport::close`] waits until the
/// peers are told.
pub struct Quic {
    dialer: Dialer,
    congestion: Arc<Closable>,
    local_address: SocketAddr,
    buffers: SocketBuffers,
    ready: Mutex<mpsc::Receiver<QuicLink>>,
    listener: Mutex<Option<JoinHandle<()>>>,
}

impl Quic {
    /// Binds `address` (port 0 picks a free one; `[::]` takes IPv4 too) and starts to accept links, proving
    /// `identity`'s key on each. Must be called inside a tokio runtime, which then runs its tasks.
    ///
    /// # Errors
    /// [`BindError`] says what is wrong with the address, and what to do.
    ///
    /// # Panics
    /// When the runtime was built without I/O or time.
    pub fn bind(
        identity: &Identity,
        address: SocketAddr,
        options: QuicOptions,
    ) -> Result<Self, BindError> {
        let runtime = Handle::try_current().map_err(|_| BindError::NoRuntime)?;
        let failed = |source| BindError::Io { address, source };
        let (socket, buffers) = socket::bind(address)?;
        let local_address = socket.local_addr().map_err(failed)?;
        let congestion = Arc::new(Closable::default());
        let config = ServerConfig::with_crypto(Arc::new(tls::server(identity, tls::provider())));
        let endpoint = Endpoint::new(
            EndpointConfig::default(),
            Some(accepting(config, &options, &congestion)),
            socket,
            Arc::new(TokioRuntime),
        )
        .map_err(failed)?;
        let provider = tls::provider();
        let bound = Bound { endpoint, provider, first_ids: None, local_address, buffers };
        Ok(Self::start(&runtime, identity, bound, &options, congestion))
    }

    /// Starts to accept links on an endpoint.
    pub(crate) fn start(
        runtime: &Handle,
        identity: &Identity,
        bound: Bound,
        options: &QuicOptions,
        congestion: Arc<Closable>,
    ) -> Self {
        let Bound { endpoint, provider, first_ids, local_address, buffers } = bound;
        let (sender, ready) = mpsc::channel(READY_LINKS_MAX);
        let listener = listener::listen(endpoint.clone(), options.handshake_timeout, sender);
        let dialer = Dialer {
            endpoint,
            identity: identity.clone(),
            provider,
            first_ids,
            transport: options.dialing(&congestion),
            timeout: options.handshake_timeout,
        };
        Self {
            dialer,
            congestion,
            local_address,
            buffers,
            ready: Mutex::new(ready),
            listener: Mutex::new(Some(runtime.spawn(listener))),
        }
    }

    /// The key that this node proves on every link.
    pub fn key(&self) -> NodeKey {
        self.dialer.identity.key()
    }

    /// The address of the socket, with the real port when 0 was asked for.
    pub fn local_socket(&self) -> SocketAddr {
        self.local_address
    }

    /// What the operating system granted for the socket's buffers.
    pub fn socket_buffers(&self) -> SocketBuffers {
        self.buffers
    }

    fn shut(&self) {
        self.congestion.let_all_pass();
        self.dialer.endpoint.close(VarInt::from_u32(close::SHUTDOWN), b"the node was stopped");
    }
}

/// An endpoint, and where it is bound.
pub(crate) struct Bound {
    pub(crate) endpoint: Endpoint,
    /// By what it proves its key.
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) first_ids: Option<FirstIds>,
    pub(crate) local_address: SocketAddr,
    pub(crate) buffers: SocketBuffers,
}

/// What an endpoint grants to whoever connects, on top of how it proves its key.
pub(crate) fn accepting(
    mut config: ServerConfig,
    options: &QuicOptions,
    congestion: &Arc<Closable>,
) -> ServerConfig {
    config
        .transport_config(options.accepting(congestion))
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(INCOMING_BYTES_MAX)
        .incoming_buffer_size_total(INCOMING_BYTES_MAX * INCOMING_MAX as u64);
    config
}

#[async_trait]
impl Transport for Quic {
    fn local_address(&self) -> String {
        self.local_address.to_string()
    }

    async fn dial(&self, address: &str, expected: NodeKey) -> Result<Box<dyn Link>, DialError> {
        Ok(Box::new(self.dialer.dial(address, expected).await?))
    }

    async fn accept(&self) -> Option<Box<dyn Link>> {
        let mut ready = self.ready.lock().await;
        loop {
            let link = ready.recv().await?;
            if !link.has_ended() {
                return Some(Box::new(link));
            }
        }
    }

    async fn close(&self) {
        self.shut();
        let ended = async {
            if let Some(listener) = self.listener.lock().await.take() {
                // Its handshakes are aborted there; a panic among them was logged by its task.
                let _ = listener.await;
            }
            self.dialer.endpoint.wait_idle().await;
        };
        if timeout(CLOSE_WAIT, ended).await.is_err() {
            tracing::debug!(local = %self.local_address, "closed before every peer was told");
        }
    }
}

impl Drop for Quic {
    fn drop(&mut self) {
        self.shut();
    }
}

impl fmt::Debug for Quic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quic")
            .field("key", &self.key())
            .field("local_address", &self.local_address)
            .finish_non_exhaustive()
    }
}

/// Bytes kept of each of them beyond its first packet: the rest of one flight of a handshake.
const INCOMING_BYTES_MAX: u64 = 4 << 10;

/// How long closing waits for peers: a link is drained after three probe timeouts, about 0.1 s on a near
/// path, and a peer that is never told sees the idle timeout.
const CLOSE_WAIT: Duration = Duration::from_secs(1);
