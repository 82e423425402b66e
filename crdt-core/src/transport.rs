//! The transport contract: what a transport must do, in bytes, peer keys and events.
//!
//! A *transport* dials and accepts; a *link* is one authenticated connection with two *lanes*, control and
//! bulk, so that a snapshot never delays a small write. A lane carries whole frames ([`crate::frame`]),
//! ordered and reliable, with back-pressure. A transport never looks inside a frame, and knows nothing of
//! membership: whether a peer is welcome is decided above, after its hello.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

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
    /// its hello, since a refusing server's verdict may arrive after the dial has succeeded. Ends soon once the
    /// transport is closed. A dropped call leaves nothing behind that a later one would meet.
    async fn dial(&self, address: &str, expected: NodeKey) -> Result<Box<dyn Link>, DialError>;

    /// The next authenticated inbound link, or `None` once the transport is closed. Failed handshakes are
    /// logged and skipped. Cancel-safe.
    async fn accept(&self) -> Option<Box<dyn Link>>;

    /// Where this transport has found a peer by itself, on the local net for instance. It is dialled there when what
    /// it has told of itself leads nowhere. Asking may begin a search, for the next time. Most find nobody.
    fn found(&self, peer: NodeKey) -> Vec<String> {
        let _ = peer;
        Vec::new()
    }

    /// Tells all members of the node's domain, each time that they change: a transport that carries for others does so
    /// for members only. Most do nothing.
    fn members(&self, members: &[NodeKey]) {
        let _ = members;
    }

    /// Closes every link and the endpoint, waiting briefly for peers to be told. Idempotent; a dropped call is
    /// finished by the next one.
    async fn close(&self);
}

/// One authenticated connection to a peer. All methods may run at the same time. It lives while both ends do,
/// however quiet those above are; a peer of which nothing is heard for some time is lost. Dropping it closes it.
#[async_trait]
pub trait Link: Send + Sync + 'static {
    /// The key that the peer proved to hold.
    fn peer(&self) -> NodeKey;

    /// Whether this side dialled.
    fn dialed(&self) -> bool;

    /// The kind of network in one word, for people: `quic`.
    fn transport(&self) -> &'static str;

    /// The address of the peer as seen here, for people.
    fn remote_address(&self) -> String;

    /// Hands one whole frame to a lane, waiting while the lane is full: a peer that does not receive holds its
    /// sender up, and the other lane goes on. Frames of one lane arrive in the order of the calls, so one task
    /// sends per lane. The frame of a dropped call arrives whole or not at all, or the link ends.
    ///
    /// # Errors
    /// [`LinkError::Frame`] when the bytes are not one whole frame within the limit; then nothing was sent, and
    /// the link goes on. Any other error is the end of the link.
    async fn send(&self, lane: Lane, frame: Bytes) -> Result<(), LinkError>;

    /// The next whole frame of a lane. One task receives per lane. Cancel-safe: what a dropped call has read comes
    /// out of the next one.
    ///
    /// # Errors
    /// The end of the link. A lane never ends alone, and a frame of which only a part has come is none.
    async fn receive(&self, lane: Lane) -> Result<Bytes, LinkError>;

    /// Ends the link; the peer's calls fail with [`LinkError::Closed`] carrying `code` and `reason` (cut to
    /// [`REASON_BYTES_MAX`]), full lanes or not. Frames already handed over may be lost. Idempotent: the first
    /// one counts.
    fn close(&self, code: u32, reason: &str);

    /// Counters of the connection so far.
    fn stats(&self) -> LinkStats;
}

/// Close codes from here upward are a transport's own; the layer above uses smaller ones.
///
/// They tell people, with the reason beside them, why a link ended; no program needs to act on them.
pub const TRANSPORT_CLOSE_CODES_FROM: u32 = 0xffff_ff00;

/// Bytes of the reason of a close.
pub const REASON_BYTES_MAX: usize = 256;

/// The longest prefix of whole characters that a reason may have.
pub fn cut_reason(reason: &str) -> &str {
    let mut end = reason.len().min(REASON_BYTES_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
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
    /// The peer sent bytes that are no frame, or [`Link::send`] was handed some.
    #[error("bad frame: {0}")]
    Frame(#[from] crate::frame::FrameError),
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        assert_eq!(cut_reason("short"), "short");
        assert_eq!(cut_reason(&"a".repeat(256)).len(), 256);
        assert_eq!(cut_reason(&"a".repeat(300)).len(), 256);
        let wide = format!("a{}", "é".repeat(200));
        assert_eq!(cut_reason(&wide).len(), 255);
    }
}
