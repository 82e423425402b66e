//! Tests of whole replicas over real sockets.

mod bad_peers;
mod client;
mod cluster;
mod concerns;
#[cfg(feature = "http")]
mod http;
mod opening;
mod records;
mod replication;
mod typed;
