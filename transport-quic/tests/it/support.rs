//! Nodes on loopback, links between them, and the deadline of everything.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use millpond_core::frame::frame;
use millpond_core::transport::{Link, Transport};
use millpond_transport_quic::{Identity, Quic, QuicOptions};

/// One node: its identity and its transport.
pub struct Node {
    pub identity: Identity,
    pub quic: Quic,
}

impl Node {
    /// A node whose own deadlines are out of reach of a busy machine.
    pub fn new() -> Self {
        let mut options = QuicOptions::default();
        options.handshake_timeout = Duration::from_secs(60);
        options.idle_timeout = Duration::from_secs(60);
        Self::with(options)
    }

    pub fn with(options: QuicOptions) -> Self {
        let identity = Identity::generate().unwrap();
        let quic = Quic::bind(&identity, "127.0.0.1:0".parse().unwrap(), options).unwrap();
        Self { identity, quic }
    }

    /// A node whose handshakes, dialled and accepted, have so long.
    pub fn impatient(timeout_ms: u64) -> Self {
        let mut options = QuicOptions::default();
        options.handshake_timeout = Duration::from_millis(timeout_ms);
        Self::with(options)
    }

    pub async fn dial(&self, to: &Node) -> Box<dyn Link> {
        let address = to.quic.local_address();
        let dialed = self.quic.dial(&address, to.identity.key());
        within(dialed).await.unwrap()
    }

    pub async fn accept(&self) -> Box<dyn Link> {
        within(self.quic.accept()).await.expect("the transport is open")
    }
}

/// Two nodes and the two ends of a link between them: the dialler's, then the acceptor's.
pub async fn linked() -> (Node, Node, Box<dyn Link>, Box<dyn Link>) {
    let (dialer, acceptor) = (Node::new(), Node::new());
    let (dialed, accepted) = tokio::join!(dialer.dial(&acceptor), acceptor.accept());
    (dialer, acceptor, dialed, accepted)
}

/// Fails the test instead of hanging it. Far above what anything here takes on a busy machine.
pub async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("took longer than 30 s")
}

/// A small frame that says which one it is.
pub fn numbered(number: u32) -> Bytes {
    frame(1, 1, &number.to_le_bytes())
}

/// A frame of `body_bytes`, filled so that a mix-up of its parts would show.
pub fn large(number: u32, body_bytes: usize) -> Bytes {
    let body: Vec<u8> = (0..body_bytes as u32).map(|i| (i / 251 + i + number) as u8).collect();
    frame(2, 1, &body)
}
