//! The transport over real sockets.

mod bind;
mod conformance;
mod hostile;
mod raw_peer;
