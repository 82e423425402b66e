//! Other protocols as models, to compare with: each says when a node sends what to whom, and nothing of how
//! it is stored. All run on the same stage as each other: the same round trips, writes and disturbances.
//!
//! | module | is |
//! |---|---|
//! | `stage` | virtual time, the links, and who holds which update |
//! | `protocol` | what a model answers |
//! | `flood` | everything new goes to everybody |
//! | `hold_down` | RavenDB's rule: what came by replication waits for the next idle tick |
//! | `plumtree` | one tree for all, or one for each origin, mended by announcements |
//! | `spanning_tree` | a fixed tree of least cost, never mended |

mod flood;
mod hold_down;
mod plumtree;
mod protocol;
mod spanning_tree;
mod stage;
#[cfg(test)]
mod tests;

pub use flood::Flood;
pub use hold_down::HoldDown;
pub use plumtree::{Plumtree, Trees};
pub use protocol::Protocol;
pub use spanning_tree::SpanningTree;
pub use stage::Stage;

/// What the network and the encryption add to each message: headers of IP and UDP (28), of a QUIC packet and
/// its frame, and the seal (22).
pub const HEADER_BYTES: u64 = 50;
