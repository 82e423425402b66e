//! The real shell in simulation: replicas with their tasks, queues and links, QUIC as it ships, and beneath it a network
//! and a clock of turmoil's. One thread, virtual time, and one seed that draws everything.
//!
//! The simulator (`millpond::sim`) drives engines without a shell, much faster, and finds what is wrong with
//! replication. This finds what is wrong around it: races of dials, links that end in the middle of something,
//! handshakes on bad roads, queues, a process that ends while its disk is at work.
//!
//! Equal seeds make equal traces of (virtual time, port, size) of all datagrams. Their bytes differ, since TLS takes
//! its keys from the system.
//!
//! | module | is |
//! |---|---|
//! | `rig` | nodes on turmoil's hosts, and the time |
//! | `road` | what happens to datagrams, and the trace of them |
//! | `socket` | a UDP socket of turmoil's, as the QUIC transport takes it |
//! | `watched`, `wires` | what crosses each link, at both ends |
//! | `plan`, `run` | a cluster under loss, cuts and crashes |
//! | `dials` | two nodes that dial each other at once |
//! | `restart` | many nodes that are started at once |
#![forbid(unsafe_code)]

pub mod dials;
mod plan;
pub mod restart;
mod rig;
mod road;
pub mod run;
mod socket;
mod watched;
mod wires;

pub use rig::Fault;
pub use road::Datagram;
