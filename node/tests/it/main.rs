//! Tests of whole replicas over real sockets.

mod bad_peers;
mod bookmarks;
mod client;
mod cluster;
mod concerns;
mod examples;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http")]
mod http_concerns;
mod opening;
mod records;
mod replication;
mod typed;
