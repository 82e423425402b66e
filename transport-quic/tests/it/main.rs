//! The transport over real loopback sockets: port 0, deadlines, no sleeps.

mod bind;
mod conformance;
mod faults;
mod handshake;
mod hostile;
mod lanes;
mod raw_peer;
mod support;
