//! Tests of whole replicas over real sockets.

mod bad_peers;
mod changes;
mod client;
mod cluster;
#[cfg(feature = "http")]
mod http;
mod presence;
mod records;
mod replication;
mod typed;
