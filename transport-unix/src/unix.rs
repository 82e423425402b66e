//! The transport: one socket that accepts, and dials.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use millpond_core::NodeKey;
use millpond_core::transport::{DialError, Link, Transport};
use ring::signature::{Ed25519KeyPair, KeyPair};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::limits::READY_LINKS_MAX;
use crate::link::UnixLink;
use crate::listener::{self, Door};
use crate::session::{self, Session};
use crate::socket_file::{BindError, SocketFile};
use crate::{address, dial};

/// Settings of a [`Unix`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnixOptions {
    /// How often a link says that it lives; zero is never. Default 2 s.
    pub keep_alive: Duration,
    /// A link on which nothing is heard for so long is lost; zero is never. Default 10 s: five keep-alives. A process
    /// that ends is noticed at once; this is for one that stands still.
    pub idle_timeout: Duration,
    /// Deadline of a dial, and of an inbound link until both its lanes are open. Default 5 s.
    pub handshake_timeout: Duration,
}

impl Default for UnixOptions {
    fn default() -> Self {
        Self {
            keep_alive: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(5),
        }
    }
}

/// Millpond's transport over Unix sockets.
///
/// Dropping it closes the socket and every link, and removes the socket's file, as [`Transport::close`] does.
pub struct Unix {
    pair: Arc<Ed25519KeyPair>,
    key: NodeKey,
    options: UnixOptions,
    local_address: String,
    ready: tokio::sync::Mutex<mpsc::Receiver<UnixLink>>,
    closed: watch::Sender<bool>,
    open: Mutex<Open>,
}

/// What closing ends.
struct Open {
    sessions: Vec<Weak<Session>>,
    listener: Option<JoinHandle<()>>,
    file: Option<SocketFile>,
}

impl Unix {
    /// Listens at `path`, readable and writable by this user only, and proves the key of `pkcs8` on each link. A
    /// socket that a process which is gone has left there is replaced; beside it a file `PATH.lock` is made, and
    /// stays. Must be called inside a tokio runtime, which then runs its tasks.
    ///
    /// # Errors
    /// [`BindError`] says what is wrong with the path, and what to do.
    pub fn bind(
        pkcs8: &[u8],
        path: impl AsRef<Path>,
        options: UnixOptions,
    ) -> Result<Self, BindError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| BindError::NoRuntime)?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8)
            .map_err(|_| BindError::MalformedKey)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| BindError::MalformedKey)?;
        let (file, socket) = SocketFile::bind(path.as_ref())?;
        let (pair, key) = (Arc::new(pair), NodeKey::from_bytes(public));
        let (sender, ready) = mpsc::channel(READY_LINKS_MAX);
        let door = Door::new(Arc::clone(&pair), options.clone(), sender);
        let local_address = address::of(file.path());
        let listener = runtime.spawn(listener::listen(socket, door));
        let (closed, _) = watch::channel(false);
        let open = Open { sessions: Vec::new(), listener: Some(listener), file: Some(file) };
        let (ready, open) = (tokio::sync::Mutex::new(ready), Mutex::new(open));
        Ok(Self { pair, key, options, local_address, ready, closed, open })
    }

    /// The key that this node proves on every link.
    pub fn key(&self) -> NodeKey {
        self.key
    }

    /// Remembers a link, so that closing the transport ends it.
    fn keep(&self, link: &UnixLink) {
        let mut open = self.open();
        open.sessions.retain(|session| session.strong_count() > 0);
        open.sessions.push(Arc::downgrade(link.session()));
        // Within the lock: whoever closes either finds it there, or has said so before.
        if *self.closed.borrow() {
            link.close(session::SHUTDOWN, STOPPED);
        }
    }

    /// Ends everything but the listener's task, which it returns.
    fn shut(&self) -> Option<JoinHandle<()>> {
        self.closed.send_replace(true);
        let mut open = self.open();
        for session in open.sessions.drain(..).filter_map(|session| session.upgrade()) {
            session.close(session::SHUTDOWN, STOPPED);
        }
        open.file = None;
        let listener = open.listener.take();
        if let Some(listener) = &listener {
            listener.abort();
        }
        listener
    }

    /// What is kept is whole after any panic: nothing here runs code of others.
    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Transport for Unix {
    fn local_address(&self) -> String {
        self.local_address.clone()
    }

    async fn dial(&self, address: &str, expected: NodeKey) -> Result<Box<dyn Link>, DialError> {
        let mut closed = self.closed.subscribe();
        let link = tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => {
                let (address, reason) = (address.to_owned(), STOPPED.to_owned());
                return Err(DialError::Unreachable { address, reason });
            }
            link = dial::dial(address, expected, &self.pair, &self.options) => link?,
        };
        self.keep(&link);
        Ok(Box::new(link))
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
            self.keep(&link);
            if link.session().end_so_far().is_none() {
                return Some(Box::new(link));
            }
        }
    }

    async fn close(&self) {
        // Peers are told at once: their sockets have room for a goodbye.
        if let Some(listener) = self.shut() {
            let _ = listener.await; // it was aborted; a panic was logged by its task
        }
        // What nobody has accepted ends as it is dropped.
        let mut ready = self.ready.lock().await;
        ready.close();
        while ready.try_recv().is_ok() {}
    }
}

impl Drop for Unix {
    fn drop(&mut self) {
        self.shut();
    }
}

impl fmt::Debug for Unix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unix")
            .field("key", &self.key)
            .field("local_address", &self.local_address)
            .finish_non_exhaustive()
    }
}

const STOPPED: &str = "the node was stopped";
