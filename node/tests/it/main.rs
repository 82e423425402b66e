//! Tests of whole replicas over real sockets.

mod bad_peers;
mod bookmarks;
mod changes;
mod client;
mod cluster;
mod concerns;
mod conflicts;
mod examples;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http")]
mod http_concerns;
mod indexes;
#[cfg(all(unix, feature = "quic", feature = "unix"))]
mod moving;
mod opening;
mod partners;
mod presence;
mod records;
mod replication;
#[cfg(all(unix, feature = "quic", feature = "unix"))]
mod revocation;
mod rotation;
mod routes;
mod typed;
