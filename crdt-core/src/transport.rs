//! The transport contract: what a transport must do, in bytes, peer keys and events.
//!
//! A *transport* dials and accepts; a *link* is one authenticated connection with two *lanes*, control and
//! bulk, so that a snapshot never delays a small write. A lane carries whole frames ([`crate::frame`]),
//! ordered and reliable, with back-pressure. A transport never looks inside a frame, and knows nothing of
//! membership: whether a peer is welcome is decided above, after its hello.

use alloc::boxed::Box;
use alloc::string::String;

use async_trait::async_trait;
use bytes::Bytes;

use crate::NodeKey;

/// One of the two ordered frame streams of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Hello, digests, acks and live pushes: small and urgent.
    Control,
    /// Catch-up rows: large and patient.
    Bulk,
}

/// A way to reach peers. One per node and kind of network; shared by reference between tasks.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// The address that others can dial on this host, as bound (with the real port when 0 was asked for).
    fn local_address(&self) -> String;

    /// Connects to `address` and proves that the node there holds `expected`'s key.
    ///
    /// Success means an authenticated connection, not that the peer welcomes us: that is known only after
    /// its hello, since a refusing server's verdict may arrive after the dial has succeeded.
    async fn dial(&self, address: &str, expected: NodeKey) -> Result<Box<dyn Link>, DialError>;

    /// The next authenticated inbound link, or `None` once the transport is closed. Failed handshakes are
    /// logged and skipped. Cancel-safe.
    async fn accept(&self) -> Option<Box<dyn Link>>;

    /// Closes every link and the endpoint, waiting briefly for peers to be told. Idempotent.
    async fn close(&self);
}

/// One authenticated connection to a peer. All methods may run at the same time.
#[async_trait]
pub trait Link: Send + Sync + 'static {
    /// The key that the peer proved to hold.
    fn peer(&self) -> NodeKey;

    /// Whether this side dialled.
    fn dialed(&self) -> bool;

    /// The address of the peer as seen here, for people.
    fn remote_address(&self) -> String;

    /// Hands one whole frame to a lane, waiting while the lane is full. Frames of one lane arrive in the
    /// order of the calls, so one task sends per lane. Not cancel-safe: a frame cut off ends the link.
    async fn send(&self, lane: Lane, frame: Bytes) -> Result<(), LinkError>;

    /// The next whole frame of a lane. One task receives per lane. Not cancel-safe.
    async fn receive(&self, lane: Lane) -> Result<Bytes, LinkError>;

    /// Ends the link; the peer's calls fail with [`LinkError::Closed`] carrying `code` and `reason` (cut to
    /// 256 bytes). Frames already handed over may be lost. Idempotent.
    fn close(&self, code: u32, reason: &str);

    /// Counters of the connection so far.
    fn stats(&self) -> LinkStats;
}

/// What a link has moved, as its network sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkStats {
    /// Bytes sent on the wire, transport overhead included (QUIC: UDP payload bytes).
    pub wire_bytes_sent: u64,
    /// Bytes received on the wire, transport overhead included.
    pub wire_bytes_received: u64,
    /// Smoothed round-trip time in microseconds; 0 while unknown.
    pub round_trip_us: u64,
}

/// Why a dial failed. Nothing is left behind; dialling again is safe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The text is no address of this transport.
    #[error("{address:?} is not a dialable address: {reason}")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answered in time, or the network refused.
    #[error("{address} is unreachable: {reason}")]
    Unreachable {
        /// What was dialled.
        address: String,
        /// What the network said.
        reason: String,
    },
    /// Somebody answered, but holds another key than the expected one.
    #[error("{address} does not hold the expected key {}: {reason}", expected.short())]
    WrongKey {
        /// What was dialled.
        address: String,
        /// Whom we wanted.
        expected: NodeKey,
        /// What the handshake said.
        reason: String,
    },
    /// The peer speaks no protocol version of ours.
    #[error("{address} speaks another protocol version: {reason}")]
    Incompatible {
        /// What was dialled.
        address: String,
        /// What the handshake said.
        reason: String,
    },
}

/// Why a link ended. Both lanes are gone; what was sent and not acknowledged may or may not have arrived.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The peer closed the link and said why.
    #[error("closed by the peer ({code}): {reason}")]
    Closed {
        /// The peer's code, as given to [`Link::close`].
        code: u32,
        /// The peer's words.
        reason: String,
    },
    /// This side closed the link.
    #[error("closed by this node")]
    ClosedHere,
    /// The connection was lost: idle timeout, reset, network down.
    #[error("connection lost: {0}")]
    Lost(String),
    /// The peer sent bytes that are no frame.
    #[error("bad frame: {0}")]
    Frame(#[from] crate::frame::FrameError),
}
