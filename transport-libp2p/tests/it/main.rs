//! The transport over real sockets.

mod conformance;
mod handshake;
#[cfg(feature = "quic")]
mod over_quic;
mod raw_peer;
