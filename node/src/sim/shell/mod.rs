//! The real shell in simulation: replicas as applications open them, with their tasks, queues and links, on disks, clocks
//! and randomness that follow from a seed.
//!
//! All else here drives engines without their shell. This is the other half of a simulation whose other half is a
//! runtime with virtual time and a transport over a simulated network, which are somebody else's: `tools/turmoil`
//! brings both. Here are the nodes' folders, a writer that is a task instead of a thread and takes its time, and the
//! same judge as elsewhere, as far as it can tell from outside: it hears of every commit.
//!
//! | module | is |
//! |---|---|
//! | `clients` | who writes and reads, and what they were answered |
//! | `cluster` | the nodes, and what is drawn for them |
//! | `judge` | what must hold |
//! | `writer` | the disk and the task that commits to it |

use bytes::Bytes;

mod clients;
mod cluster;
mod judge;
mod writer;

pub use clients::ClientWrite;
pub use cluster::{Cluster, DiskFault};

/// A frame in words, for who reads what was said.
pub fn describe(frame: &Bytes) -> String {
    super::describe::frame(frame)
}
