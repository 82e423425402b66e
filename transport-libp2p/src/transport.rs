//! The transport: a socket that accepts, and dials.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{FutureExt, StreamExt};
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, PeerId};
use millpond_core::NodeKey;
use millpond_core::transport::{DialError, Link, Transport};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::address::Below;
use crate::behaviours::{self, Members};
use crate::found::Found;
use crate::limits::READY_LINKS_MAX;
use crate::link::Libp2pLink;
use crate::relays::{self, Relays};
use crate::swarm::{Command, Dial, Driver, Refusal};
use crate::{address, identity};

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
    /// Whether the local net is told that this key is here, and is asked who else is: by multicast DNS, to anybody
    /// near. Default no.
    pub mdns: bool,
    /// Whether a table of addresses is kept together with all who do the same (Kademlia), in which peers that have moved
    /// are looked up. Whoever connects may ask for the keys and addresses in it. Default no.
    pub kademlia: bool,
    /// Where that table begins, apart from the peers that this node is linked with: `/ip4/ADDRESS/tcp/PORT/p2p/KEY`, the
    /// key in hex digits or as a peer id.
    pub bootstrap: Vec<String>,
    /// Whether connections between members are carried here, who reach each other in no other way, and members are told
    /// whether they can be reached: see [`Transport::members`]. Nobody else is served. Default no.
    pub relay_for_members: bool,
    /// Relays at which this node can be reached, and by which it reaches others: written as in `bootstrap`. They must
    /// know it as a member.
    pub relays: Vec<String>,
    /// Whether two nodes that meet at a relay try to reach each other without it, through the holes that they make in
    /// their NATs by dialling at the same moment. Both must want it. Default no.
    pub hole_punching: bool,
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
            mdns: false,
            kademlia: false,
            bootstrap: Vec::new(),
            relay_for_members: false,
            relays: Vec::new(),
            hole_punching: false,
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
    /// A relay, or where the table of addresses begins, is no address of a node.
    #[error("{text:?} is no address of a node: write {form}")]
    MalformedPeer {
        /// What was given.
        text: String,
        /// What it should look like.
        form: String,
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
    relayed_addresses: Vec<String>,
    options: Libp2pOptions,
    found: Arc<Found>,
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
        let peers = |texts: &[String]| -> Result<Vec<(PeerId, Multiaddr)>, BindError> {
            texts.iter().map(|text| peer(below, text)).collect()
        };
        let (relays, bootstrap) = (peers(&options.relays)?, peers(&options.bootstrap)?);
        let members = Members::default();
        let mut swarm = behaviours::build(pair, below, &options, &members).map_err(refused)?;
        if let Some(kademlia) = swarm.behaviour_mut().kademlia.as_mut() {
            for (peer, address) in bootstrap {
                kademlia.add_address(&peer, address);
            }
        }
        let listener = swarm.listen_on(below.of(at)).map_err(|error| refused(error.to_string()))?;
        let local_address = if at.port() == 0 {
            // It is bound already; the swarm says where when it is asked for the first time.
            let mut bound = None;
            while let Some(event) = swarm.next().now_or_never().flatten() {
                if let SwarmEvent::NewListenAddr { address, .. } = event {
                    bound = Some(address);
                }
            }
            if let Some(bound) = bound.clone().filter(|_| options.relay_for_members) {
                swarm.add_external_address(bound);
            }
            bound.ok_or_else(|| refused("it does not say which port it took".to_owned()))?
        } else {
            below.of(at)
        };
        let (commands, commanded) = mpsc::unbounded_channel();
        let (sender, ready) = mpsc::channel(READY_LINKS_MAX);
        let found = Arc::<Found>::default();
        let relayed = relays.iter().map(|(peer, at)| relays::through(*peer, at).to_string());
        let relayed_addresses = relayed.collect();
        let driver = Driver {
            swarm,
            below,
            listener,
            commands: commanded,
            ended: commands.downgrade(),
            ready: sender,
            options: options.clone(),
            found: Arc::clone(&found),
            members,
            relays: Relays::new(&relays),
            punching: Default::default(),
            dials: Default::default(),
            connections: Default::default(),
        };
        let driver = runtime.spawn(driver.run());
        let (closed, _) = watch::channel(false);
        let local_address = local_address.to_string();
        let (ready, driver) = (Mutex::new(ready), Mutex::new(Some(driver)));
        Ok(Self {
            key,
            below,
            local_address,
            relayed_addresses,
            options,
            found,
            commands,
            closed,
            ready,
            driver,
        })
    }

    /// The key that this node proves on every link.
    pub fn key(&self) -> NodeKey {
        self.key
    }

    /// The addresses at which this node can be dialled through its relays.
    pub fn relayed_addresses(&self) -> &[String] {
        &self.relayed_addresses
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
        if self.options.relays.is_empty() && addresses.iter().any(address::is_relayed) {
            let (address, reason) = (address.to_owned(), "this node uses no relays".to_owned());
            return Err(DialError::Address { address, reason });
        }
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
        let dial = Dial { reply, address: address.to_owned() };
        let _ = self.commands.send(Command::Dial { peer, addresses, dial });
        match answer.await {
            Ok(Ok(link)) => Ok(link),
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

    fn found(&self, peer: NodeKey) -> Vec<String> {
        let Some(peer) = identity::peer_of(peer) else { return Vec::new() };
        if self.options.kademlia {
            let _ = self.commands.send(Command::Find(peer)); // what it finds is there the next time
        }
        self.found.of(&peer).iter().map(Multiaddr::to_string).collect()
    }

    fn members(&self, members: &[NodeKey]) {
        let members = members.iter().copied().filter_map(identity::peer_of).collect();
        let _ = self.commands.send(Command::Members(members));
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

/// Who is where, as `/ip4/ADDRESS/tcp/PORT/p2p/KEY` says it.
fn peer(below: Below, text: &str) -> Result<(PeerId, Multiaddr), BindError> {
    let found = text.rsplit_once("/p2p/").and_then(|(at, key)| {
        let peer = match key.parse::<NodeKey>() {
            Ok(key) => identity::peer_of(key)?,
            Err(_) => key.parse().ok()?,
        };
        Some((peer, at.parse().ok().filter(|at| below.takes(at))?))
    });
    let form = || format!("{}/p2p/KEY", below.of(([203, 0, 113, 9], 8445).into()));
    found.ok_or_else(|| BindError::MalformedPeer { text: text.to_owned(), form: form() })
}

pub(crate) const STOPPED: &str = "the node was stopped";
