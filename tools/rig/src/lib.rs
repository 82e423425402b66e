//! Real nodes for tests and measurements: `millpond run` as a process for each, on loopback or in a network
//! namespace of its own, with wires between them that can be cut.
//!
//! It is a crate of its own, since the tests of the program and the harness both need it, and neither may
//! depend on the other. It knows the program only from outside, by its commands and its API, and depends on
//! no crate of Millpond.
//!
//! A [`Network`] needs root and `ip` of iproute2, a NAT in it also `nft` of nftables, and nothing of what makes it is seen outside of its
//! namespaces. It leaves with its value; what an owner that was killed left behind, the next one removes.

mod chaos;
mod client;
mod cluster;
mod host;
mod nat;
mod network;
mod node;
mod random;
mod wait;
mod watch;

pub use chaos::{Chaos, Verdict};
pub use client::{Client, Connection};
pub use cluster::Cluster;
pub use host::Host;
pub use network::Network;
pub use node::Node;
pub use random::Random;
pub use wait::{DEADLINE, until, until_within};
pub use watch::{Seen, Watch};
