//! The ways by which a node reaches others: its transports, the cheapest first.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use millpond_core::NodeKey;
use millpond_core::transport::{DialError, Link, Transport};

use super::advertise;
use crate::config::Config;
use crate::key_pair::KeyPair;

/// The transports of a node, in the order in which they are tried.
#[derive(Default)]
pub(crate) struct Routes {
    bound: RwLock<Arc<Bound>>,
    /// The keys that members show, for transports that are bound later.
    members: Mutex<Vec<NodeKey>>,
}

/// Transports that are bound.
#[derive(Default, Clone)]
struct Bound {
    transports: Vec<Arc<dyn Transport>>,
    /// Which one is at the address that the node is known by.
    main: usize,
    /// Where others reach this node beside where it listens.
    also_told: Vec<String>,
}

impl Bound {
    fn tell(&self, members: &[NodeKey]) {
        for transport in &self.transports {
            transport.members(members);
        }
    }
}

impl Routes {
    /// Adds a transport that costs more than those that are there.
    pub(super) fn add(&mut self, transport: Arc<dyn Transport>) {
        let mut bound = Bound::clone(&self.bound());
        bound.transports.push(transport);
        self.replace(bound);
    }

    /// Adds the one whose address the node is known by.
    pub(super) fn add_main(&mut self, transport: Arc<dyn Transport>) {
        let mut bound = Bound::clone(&self.bound());
        bound.main = bound.transports.len();
        bound.transports.push(transport);
        self.replace(bound);
    }

    /// Adds addresses at which others reach this node, and it does not listen.
    #[cfg(feature = "libp2p")]
    pub(super) fn also_tell(&mut self, addresses: &[String]) {
        let mut bound = Bound::clone(&self.bound());
        bound.also_told.extend_from_slice(addresses);
        self.replace(bound);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bound().transports.is_empty()
    }

    pub(crate) fn transports(&self) -> Vec<Arc<dyn Transport>> {
        self.bound().transports.clone()
    }

    /// The address that the node is known by here.
    pub(crate) fn local_address(&self) -> String {
        let bound = self.bound();
        bound.transports.get(bound.main).map(|it| it.local_address()).unwrap_or_default()
    }

    /// What to tell others to dial.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let bound = self.bound();
        let addresses = bound.transports.iter().map(|transport| transport.local_address());
        addresses.flat_map(advertise::told).chain(bound.also_told.iter().cloned()).collect()
    }

    /// Tells the transports which keys members show.
    pub(crate) fn tell_members(&self, keys: Vec<NodeKey>) {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        *members = keys;
        self.bound().tell(&members);
    }

    /// A link to the node that shows one of these keys, by the cheapest transport that reaches one of its addresses, or
    /// where that transport itself has found it; or, in words, why there is none.
    pub(crate) async fn dial(
        &self,
        addresses: &[String],
        keys: &[NodeKey],
    ) -> Result<Box<dyn Link>, String> {
        let mut told: Option<DialError> = None;
        for transport in &self.bound().transports {
            let found: Vec<String> = keys.iter().flat_map(|key| transport.found(*key)).collect();
            let found = found.iter().filter(|found| !addresses.contains(found));
            for address in addresses.iter().chain(found) {
                match dial_by(&**transport, address, keys).await {
                    Ok(link) => return Ok(link),
                    Err(error) => {
                        told = Some(told.map_or(error.clone(), |told| more_telling(told, error)));
                    }
                }
            }
        }
        Err(told.map_or("it has told no address".into(), |error| error.to_string()))
    }

    /// Closes all of them, at the same time.
    pub(crate) async fn close(&self) {
        let mut closing = tokio::task::JoinSet::new();
        for transport in self.transports() {
            closing.spawn(async move { transport.close().await });
        }
        closing.join_all().await;
    }

    /// Closes all of them, and binds them anew where they were, with another key. A socket that is not free yet is
    /// tried again until it is.
    pub(crate) async fn renew(&self, config: &Config, keys: &KeyPair) {
        let fixed = {
            let bound = self.bound();
            super::as_bound(config, &bound.transports, bound.main)
        };
        self.close().await;
        self.replace(Bound::default());
        let mut wait = REBIND_FIRST;
        let bound = loop {
            match super::bind(&fixed, keys) {
                Ok(network) => break network,
                Err(error) => {
                    tracing::debug!(%error, "not bound again yet");
                    tokio::time::sleep(wait).await;
                    wait = (2 * wait).min(REBIND_MAX);
                    if wait == REBIND_MAX {
                        tracing::warn!(%error, "an address cannot be listened on again");
                    }
                }
            }
        };
        if let Some(network) = bound {
            self.replace(Bound::clone(&network.routes.bound()));
        }
    }

    /// What is bound now: what is renewed meanwhile is closed, and says so.
    fn bound(&self) -> Arc<Bound> {
        self.bound.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, bound: Bound) {
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        bound.tell(&members);
        *self.bound.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(bound);
    }
}

/// A node that changes its key may show the one before, or the next one.
async fn dial_by(
    transport: &dyn Transport,
    address: &str,
    keys: &[NodeKey],
) -> Result<Box<dyn Link>, DialError> {
    let mut last = Err(DialError::Unreachable {
        address: address.to_owned(),
        reason: "none of its keys is known".to_owned(),
    });
    for key in keys {
        last = transport.dial(address, *key).await;
        if !matches!(last, Err(DialError::WrongKey { .. })) {
            break;
        }
    }
    last
}

/// How soon a socket is tried again that was not free; then twice as long each time.
const REBIND_FIRST: Duration = Duration::from_millis(5);
/// The longest such wait.
const REBIND_MAX: Duration = Duration::from_secs(1);

/// Of two reasons the one that helps a person more, the first of equals. That an address is another transport's says
/// nothing.
fn more_telling(first: DialError, second: DialError) -> DialError {
    if weight(&second) > weight(&first) { second } else { first }
}

fn weight(error: &DialError) -> u8 {
    match error {
        DialError::Address { .. } => 0,
        DialError::WrongKey { address, .. } | DialError::Incompatible { address, .. }
            if !is_of_each_host(address) =>
        {
            2
        }
        _ => 1,
    }
}

/// A peer's loopback address or socket leads to itself on its own host only; anywhere else somebody else is there,
/// or nobody.
fn is_of_each_host(address: &str) -> bool {
    let socket = address.parse().ok().or_else(|| advertise::tcp_socket(address));
    address.starts_with("unix:") || socket.is_some_and(|it: SocketAddr| it.ip().is_loopback())
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;

    /// Dials nobody, and notes what it was asked to.
    struct Noting {
        scheme: &'static str,
        noted: Arc<Mutex<Vec<String>>>,
    }

    #[async_trait]
    impl Transport for Noting {
        fn local_address(&self) -> String {
            format!("{}here", self.scheme)
        }

        async fn dial(&self, address: &str, _: NodeKey) -> Result<Box<dyn Link>, DialError> {
            let address = address.to_owned();
            if !address.starts_with(self.scheme) {
                return Err(DialError::Address { address, reason: "another's".into() });
            }
            self.noted.lock().unwrap().push(address.clone());
            Err(DialError::Unreachable { address, reason: "nobody is there".into() })
        }

        async fn accept(&self) -> Option<Box<dyn Link>> {
            None
        }

        fn found(&self, _: NodeKey) -> Vec<String> {
            let found = ["found:1", "found:told"].into_iter();
            found.filter(|it| it.starts_with(self.scheme)).map(String::from).collect()
        }

        async fn close(&self) {}
    }

    fn routes() -> (Routes, Arc<Mutex<Vec<String>>>) {
        let noted = Arc::default();
        let mut routes = Routes::default();
        routes.add(Arc::new(Noting { scheme: "near:", noted: Arc::clone(&noted) }));
        routes.add_main(Arc::new(Noting { scheme: "far:", noted: Arc::clone(&noted) }));
        (routes, noted)
    }

    #[tokio::test]
    async fn addresses_are_tried_by_what_their_transport_costs() {
        let (routes, noted) = routes();
        let addresses = ["far:1", "near:1", "none:1", "near:2", "far:2"].map(String::from);
        let error = routes.dial(&addresses, &[NodeKey::from_bytes([1; 32])]).await.err().unwrap();
        assert_eq!(*noted.lock().unwrap(), ["near:1", "near:2", "far:1", "far:2"]);
        assert_eq!(error, "near:1 is unreachable: nobody is there");
    }

    #[tokio::test]
    async fn addresses_of_transports_that_are_not_here_say_so() {
        let (routes, _) = routes();
        let addresses = ["none:1".to_owned()];
        let error = routes.dial(&addresses, &[NodeKey::from_bytes([1; 32])]).await.err().unwrap();
        assert!(error.contains("not a dialable address"), "{error}");
    }

    #[tokio::test]
    async fn where_a_transport_has_found_a_peer_is_tried_last() {
        let (mut routes, noted) = routes();
        routes.add(Arc::new(Noting { scheme: "found:", noted: Arc::clone(&noted) }));
        let addresses = ["found:told", "far:1"].map(String::from);
        drop(routes.dial(&addresses, &[NodeKey::from_bytes([1; 32])]).await);
        assert_eq!(*noted.lock().unwrap(), ["far:1", "found:told", "found:1"]);
    }

    #[test]
    fn all_transports_are_told_and_one_names_the_node() {
        let (routes, _) = routes();
        assert_eq!(routes.addresses(), ["near:here", "far:here"]);
        assert_eq!(routes.local_address(), "far:here");
    }

    #[test]
    fn what_another_host_answers_on_loopback_tells_little() {
        let wrong = |address: &str| DialError::WrongKey {
            address: address.into(),
            expected: NodeKey::from_bytes([1; 32]),
            reason: String::new(),
        };
        let silent = DialError::Unreachable { address: "a:1".into(), reason: String::new() };
        for address in ["127.0.0.1:1", "/ip4/127.0.0.1/tcp/1", "unix:/run/pond.sock"] {
            assert_eq!(more_telling(silent.clone(), wrong(address)), silent);
        }
        assert_eq!(more_telling(silent.clone(), wrong("10.0.0.1:1")), wrong("10.0.0.1:1"));
    }
}
