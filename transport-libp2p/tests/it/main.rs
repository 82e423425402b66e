//! The transport over real sockets.

mod conformance;
mod handshake;
mod raw_peer;
