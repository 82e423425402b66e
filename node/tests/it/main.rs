//! Tests of whole replicas over real sockets.

mod cluster;
mod replication;
