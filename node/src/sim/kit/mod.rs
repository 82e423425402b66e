//! The test kit: an application's own records and closures on a simulated cluster.
//!
//! | module | is |
//! |---|---|
//! | `cluster` | the cluster, as a test holds it |
//! | `faults` | what a seed has happen between two steps |
//! | `check` | a test over many seeds |
//! | `laws`, `drawn`, `values` | what must hold for every type of record, and the histories that it is tried on |
//! | `sessions` | writes that wait for other nodes, and clients that move between nodes |
//! | `story` | what is told when a test fails |

mod check;
mod cluster;
mod drawn;
mod faults;
mod laws;
mod sessions;
mod story;
#[cfg(test)]
mod tests;
mod values;

pub use check::check;
pub use cluster::Sim;
pub use laws::laws;
pub use sessions::{SimWait, SimWrite};
