//! The transport over real sockets.

mod conformance;
mod finding;
mod handshake;
#[cfg(target_os = "linux")]
mod on_one_wire;
#[cfg(feature = "quic")]
mod over_quic;
mod raw_peer;
