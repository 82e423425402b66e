//! The transport over real loopback sockets: port 0, deadlines, no sleeps.

mod bind;
mod handshake;
mod hostile;
mod lanes;
mod raw_peer;
mod support;
