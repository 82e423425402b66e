//! The transport: a socket that accepts, and dials.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use futures::{FutureExt, StreamExt};
use libp2p::swarm::SwarmEvent;
use millpond_core::NodeKey;
use millpond_core::transport::{DialError, Link, Transport};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::address::Below;
use crate::identity;
use crate::link::Libp2pLink;
use crate::swarm::{self, Command, Driver, Refusal};

/// Settings of a [`Libp2p`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Libp2pOptions {
    /// How often a link says that it lives, and pings. Default 2 s.
    pub keep_alive: Duration,
    /// A link on which nothing arrives for so long is lost; zero is never. Default 10 s: five keep-alives.
    pub idle_timeout: Duration,
    /// Deadline of a dial, name lookup and all addresses included, and of an inbound connection until its streams are
    /// open. Default 5 s.
    pub handshake_timeout: Duration,
    /// Whose connections are taken and made, and nobody else's; without a list, anybody's, since members are told
    /// from strangers by their hello.
    pub allowed: Option<BTreeSet<NodeKey>>,
    /// Whose connections are refused: see [`Libp2p::block`].
    pub blocked: BTreeSet<NodeKey>,
    /// Connections at the same time. Default 512.
    pub connections_max: u32,
    /// Connections with one peer at the same time. Default 16: the two of a simultaneous dial, and some that are about
    /// to end.
    pub connections_per_peer_max: u32,
}

impl Default for Libp2pOptions {
    fn default() -> Self {
        Self {
            keep_alive: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(5),
            allowed: None,
            blocked: BTreeSet::new(),
            connections_max: 512,
            connections_per_peer_max: 16,
        }
    }
}

/// Why a [`Libp2p`] could not be bound. No socket or task is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The bytes are no Ed25519 key pair in PKCS#8 form.
    #[error("not an ed25519 key pair in pkcs#8 form")]
    MalformedKey,
    /// Of a free port on every address nobody would know which it is.
    #[error("choose a port for {address}: a free one is found for a single address only")]
    NoPort {
        /// What was asked for.
        address: SocketAddr,
    },
    /// The call came from outside a tokio runtime.
    #[error("binding needs a running tokio runtime")]
    NoRuntime,
    /// The operating system refused.
    #[error("cannot listen at {address}: {reason}")]
    Refused {
        /// What was asked for.
        address: SocketAddr,
        /// What it said.
        reason: String,
    },
}

/// Millpond's transport over libp2p.
///
/// Dropping it closes the socket and every link without waiting; [`Transport::close`] waits until the peers are told.
pub struct Libp2p {
    key: NodeKey,
    below: Below,
    local_address: String,
    options: Libp2pOptions,
    commands: mpsc::UnboundedSender<Command>,
    closed: watch::Sender<bool>,
    ready: Mutex<mpsc::Receiver<Libp2pLink>>,
    driver: Mutex<Option<JoinHandle<()>>>,
}

impl Libp2p {
    /// Listens on a TCP socket (port 0 picks a free one), proving the key of `pkcs8` on each link. Must be called
    /// inside a tokio runtime, which then runs its tasks.
    ///
    /// # Errors
    /// [`BindError`] says what is wrong.
    pub fn bind(pkcs8: &[u8], at: SocketAddr, options: Libp2pOptions) -> Result<Self, BindError> {
        Self::bind_over(Below::Tcp, pkcs8, at, options)
    }

    /// The same over QUIC on a UDP socket. Links of this one are dialled at addresses of QUIC, and at no others.
    ///
    /// # Errors
    /// [`BindError`] says what is wrong.
    #[cfg(feature = "quic")]
    pub fn bind_quic(
        pkcs8: &[u8],
        at: SocketAddr,
        options: Libp2pOptions,
    ) -> Result<Self, BindError> {
        Self::bind_over(Below::Quic, pkcs8, at, options)
    }

    fn bind_over(
        below: Below,
        pkcs8: &[u8],
        at: SocketAddr,
        options: Libp2pOptions,
    ) -> Result<Self, BindError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| BindError::NoRuntime)?;
        let pair = identity::key_pair(pkcs8).ok_or(BindError::MalformedKey)?;
        let key = identity::key_of(&pair.public().to_peer_id()).ok_or(BindError::MalformedKey)?;
        let refused = |reason: String| BindError::Refused { address: at, reason };
        if at.ip().is_unspecified() && at.port() == 0 {
            return Err(BindError::NoPort { address: at });
        }
        if below == Below::Tcp {
            // libp2p lets two processes share a port, so that each would get some of the other's peers. A plain socket
            // is refused where somebody listens.
            drop(std::net::TcpListener::bind(at).map_err(|error| refused(error.to_string()))?);
        }
        let mut swarm = swarm::build(pair, below, &options).map_err(refused)?;
        let listener = swarm.listen_on(below.of(at)).map_err(|error| refused(error.to_string()))?;
        let local_address = if at.port() == 0 {
            // It is bound already; the swarm says where when it is asked for the first time.
            let mut bound = None;
            while let Some(event) = swarm.next().now_or_never().flatten() {
                if let SwarmEvent::NewListenAddr { address, .. } = event {
                    bound = Some(address);
                }
            }
            bound.ok_or_else(|| refused("it does not say which port it took".to_owned()))?
        } else {
            below.of(at)
        };
        let (commands, commanded) = mpsc::unbounded_channel();
        let (sender, ready) = mpsc::channel(READY_LINKS_MAX);
        let driver = Driver {
            swarm,
            below,
            listener,
            commands: commanded,
            ended: commands.downgrade(),
            ready: sender,
            options: options.clone(),
            dials: Default::default(),
            connections: Default::default(),
        };
        let driver = runtime.spawn(driver.run());
        let (closed, _) = watch::channel(false);
        let local_address = local_address.to_string();
        let (ready, driver) = (Mutex::new(ready), Mutex::new(Some(driver)));
        Ok(Self { key, below, local_address, options, commands, closed, ready, driver })
    }

    /// The key that this node proves on every link.
    pub fn key(&self) -> NodeKey {
        self.key
    }

    /// Ends all connections with a peer, and refuses new ones.
    pub fn block(&self, peer: NodeKey) {
        if let Some(peer) = identity::peer_of(peer) {
            let _ = self.commands.send(Command::Block(peer));
        }
    }

    /// Takes connections with a peer again.
    pub fn unblock(&self, peer: NodeKey) {
        if let Some(peer) = identity::peer_of(peer) {
            let _ = self.commands.send(Command::Unblock(peer));
        }
    }

    async fn connect(&self, address: &str, expected: NodeKey) -> Result<Libp2pLink, DialError> {
        let addresses = self.below.resolve(address).await?;
        let refused = |refusal: Refusal| {
            let address = address.to_owned();
            match refusal {
                Refusal::Unreachable(reason) => DialError::Unreachable { address, reason },
                Refusal::WrongKey(reason) => DialError::WrongKey { address, expected, reason },
                Refusal::Incompatible(reason) => DialError::Incompatible { address, reason },
            }
        };
        let no_key = || refused(Refusal::WrongKey("nobody can hold that key".to_owned()));
        let peer = identity::peer_of(expected).ok_or_else(no_key)?;
        let (reply, answer) = oneshot::channel();
        let _ = self.commands.send(Command::Dial { peer, addresses, reply });
        match answer.await {
            Ok(Ok(link)) => Ok(link.shown_as(address)),
            Ok(Err(refusal)) => Err(refused(refusal)),
            Err(_) => Err(refused(Refusal::Unreachable(STOPPED.to_owned()))),
        }
    }

    fn shut(&self) {
        self.closed.send_replace(true);
        let _ = self.commands.send(Command::Shutdown);
    }
}

#[async_trait]
impl Transport for Libp2p {
    fn local_address(&self) -> String {
        self.local_address.clone()
    }

    async fn dial(&self, address: &str, expected: NodeKey) -> Result<Box<dyn Link>, DialError> {
        let mut closed = self.closed.subscribe();
        let unreachable = |reason: &str| {
            let (address, reason) = (address.to_owned(), reason.to_owned());
            DialError::Unreachable { address, reason }
        };
        tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => Err(unreachable(STOPPED)),
            dialed = timeout(self.options.handshake_timeout, self.connect(address, expected)) => match dialed {
                Ok(link) => Ok(Box::new(link?)),
                Err(_) => Err(unreachable("nobody answered in time")),
            },
        }
    }

    async fn accept(&self) -> Option<Box<dyn Link>> {
        let mut closed = self.closed.subscribe();
        let mut ready = tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => return None,
            ready = self.ready.lock() => ready,
        };
        loop {
            let link = tokio::select! {
                biased;
                _ = closed.wait_for(|closed| *closed) => return None,
                link = ready.recv() => link?,
            };
            if !link.session().has_ended() {
                return Some(Box::new(link));
            }
        }
    }

    async fn close(&self) {
        self.shut();
        let mut driver = self.driver.lock().await;
        if let Some(running) = driver.as_mut() {
            let _ = running.await; // a panic was logged by its task
            *driver = None;
        }
    }
}

impl Drop for Libp2p {
    fn drop(&mut self) {
        self.shut();
    }
}

impl fmt::Debug for Libp2p {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Libp2p")
            .field("key", &self.key)
            .field("local_address", &self.local_address)
            .finish_non_exhaustive()
    }
}

pub(crate) const STOPPED: &str = "the node was stopped";
/// Links whose streams are open, waiting for `accept`; beyond it they are dropped, and dialled again.
const READY_LINKS_MAX: usize = 256;
