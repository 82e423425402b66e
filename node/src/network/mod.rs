//! The network of a node: the transports that are compiled in and asked for, bound and ready.

mod advertise;
mod routes;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use millpond_core::transport::Transport;

pub(crate) use routes::Routes;

use crate::config::{Config, Libp2pConfig};
use crate::key_pair::KeyPair;

/// An address for peers cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct ListenError {
    reason: String,
}

/// A transport that the application brings along: what binds it, given the node's key pair as PKCS#8.
///
/// Called within the runtime each time the replica is opened. Whatever it binds should pass the suite of
/// `millpond-transport-conformance`. Members are dialled by it at those of their addresses that it takes for its own,
/// before QUIC is tried.
#[derive(Clone)]
pub struct OwnTransport(Arc<Bind>);

type Bind = dyn Fn(&[u8]) -> Result<Arc<dyn Transport>, String> + Send + Sync;

impl OwnTransport {
    /// A transport that this function binds. An error of it, in words, is one of opening the replica.
    pub fn new(
        bind: impl Fn(&[u8]) -> Result<Arc<dyn Transport>, String> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(bind))
    }
}

impl fmt::Debug for OwnTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnTransport").finish_non_exhaustive()
    }
}

/// Equal are copies of one.
impl PartialEq for OwnTransport {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for OwnTransport {}

/// The transports of a node, and what the operator should know about them.
pub(crate) struct Network {
    pub(crate) routes: Routes,
    pub(crate) warnings: Vec<String>,
}

#[cfg(any(test, feature = "sim"))]
impl Network {
    /// A network of one transport, which is bound.
    pub(crate) fn of(transport: Arc<dyn Transport>) -> Self {
        let mut routes = Routes::default();
        routes.add_main(transport);
        Self { routes, warnings: Vec::new() }
    }
}

/// What to tell others to dial.
pub(crate) fn addresses_to_tell(config: &Config, routes: Option<&Routes>) -> Vec<String> {
    match &config.advertise[..] {
        [] => routes.map(Routes::addresses).unwrap_or_default(),
        addresses => addresses.to_vec(),
    }
}

/// The same configuration, with the addresses that were bound where it leaves the choice.
fn as_bound(config: &Config, bound: &[Arc<dyn Transport>], main: usize) -> Config {
    let mut fixed = config.clone();
    let at = |index: usize| bound.get(index).map(|transport| transport.local_address());
    if let Some(listen) = at(main).and_then(|address| address.parse().ok()) {
        fixed.listen = listen;
    }
    // Those of libp2p are the last ones, in their order.
    let mut last = bound.len();
    for address in fixed.also_listen.iter_mut().rev().filter(|it| !it.starts_with("unix:")) {
        last = last.saturating_sub(1);
        let held = at(last).filter(|held| advertise::tcp_socket(held).is_some());
        *address = held.unwrap_or_else(|| address.clone());
    }
    fixed
}

/// Binds whatever is wanted; nothing if no network is.
pub(crate) fn bind(config: &Config, keys: &KeyPair) -> Result<Option<Network>, ListenError> {
    if config.is_offline {
        return Ok(None);
    }
    let mut network = Network { routes: Routes::default(), warnings: Vec::new() };
    // In the order of what they cost, which is the one in which they are tried.
    let (sockets, others) =
        config.also_listen.iter().partition::<Vec<_>, _>(|it| it.starts_with("unix:"));
    for address in sockets {
        network.routes.add(bind_unix(address, keys)?);
    }
    for own in &config.own_transports {
        let bound = own.0(keys.pkcs8()).map_err(|reason| ListenError { reason })?;
        network.routes.add(bound);
    }
    if let Some(quic) = bind_quic(config, keys, &mut network.warnings)? {
        network.routes.add_main(quic);
    }
    if others.is_empty() && config.libp2p != Libp2pConfig::default() {
        let reason = "libp2p is told what to do and listens nowhere: add /ip4/ADDRESS/tcp/PORT to \
                      what is listened on also";
        return Err(ListenError { reason: reason.into() });
    }
    for address in others {
        bind_libp2p(address, config, keys, &mut network.routes)?;
    }
    Ok(Some(network).filter(|network| !network.routes.is_empty()))
}

#[cfg(all(unix, feature = "unix"))]
fn bind_unix(address: &str, keys: &KeyPair) -> Result<Arc<dyn Transport>, ListenError> {
    use millpond_transport_unix::{Unix, UnixOptions};

    let path = address.trim_start_matches("unix:");
    let unix = Unix::bind(keys.pkcs8(), path, UnixOptions::default());
    Ok(Arc::new(unix.map_err(|error| ListenError { reason: full_text(&error) })?))
}

#[cfg(not(all(unix, feature = "unix")))]
fn bind_unix(address: &str, _: &KeyPair) -> Result<Arc<dyn Transport>, ListenError> {
    Err(ListenError { reason: format!("this program was built without Unix sockets: {address}") })
}

fn bind_libp2p(
    address: &str,
    config: &Config,
    keys: &KeyPair,
    routes: &mut Routes,
) -> Result<(), ListenError> {
    let at = advertise::tcp_socket(address).ok_or_else(|| {
        let forms = "write unix:/PATH, or /ip4/ADDRESS/tcp/PORT for libp2p";
        ListenError { reason: format!("{address:?} is no address to listen on also: {forms}") }
    })?;
    bind_tcp(at, &config.libp2p, keys, routes)
}

#[cfg(feature = "libp2p")]
fn bind_tcp(
    at: SocketAddr,
    config: &Libp2pConfig,
    keys: &KeyPair,
    routes: &mut Routes,
) -> Result<(), ListenError> {
    use millpond_transport_libp2p::{Libp2p, Libp2pOptions};

    let mut options = Libp2pOptions::default();
    options.mdns = config.mdns;
    options.kademlia = config.kademlia;
    options.bootstrap.clone_from(&config.bootstrap);
    options.relay_for_members = config.relay_for_members;
    options.relays.clone_from(&config.relays);
    options.hole_punching = config.hole_punching;
    let libp2p = Libp2p::bind(keys.pkcs8(), at, options)
        .map_err(|error| ListenError { reason: error.to_string() })?;
    routes.also_tell(libp2p.relayed_addresses());
    routes.add(Arc::new(libp2p));
    Ok(())
}

#[cfg(not(feature = "libp2p"))]
fn bind_tcp(
    at: SocketAddr,
    _: &Libp2pConfig,
    _: &KeyPair,
    _: &mut Routes,
) -> Result<(), ListenError> {
    let reason =
        format!("this program was built without libp2p (feature `libp2p`), which {at} needs");
    Err(ListenError { reason })
}

type Bound = Result<Option<Arc<dyn Transport>>, ListenError>;

#[cfg(feature = "quic")]
fn bind_quic(config: &Config, keys: &KeyPair, warnings: &mut Vec<String>) -> Bound {
    use millpond_transport_quic::{Identity, Quic, QuicOptions};

    let identity = Identity::from_pkcs8(keys.pkcs8())
        .map_err(|error| ListenError { reason: error.to_string() })?;
    let quic = Quic::bind(&identity, config.listen, QuicOptions::default())
        .map_err(|error| ListenError { reason: error.to_string() })?;
    let buffers = quic.socket_buffers();
    if !buffers.are_granted() {
        warnings.push(format!(
            "UDP socket buffers are {} and {} bytes where 4 MiB were asked for; raise \
             net.core.rmem_max and net.core.wmem_max to 4194304",
            buffers.receive_bytes, buffers.send_bytes
        ));
    }
    Ok(Some(Arc::new(quic)))
}

/// Without it a replica has the others, or reads and writes and is alone.
#[cfg(not(feature = "quic"))]
fn bind_quic(_: &Config, _: &KeyPair, _: &mut Vec<String>) -> Bound {
    Ok(None)
}

/// An error and what it came from.
#[cfg(all(unix, feature = "unix"))]
fn full_text(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
