//! Topology: who is linked with whom, and by which way an update reaches each node once.

pub(crate) mod cost;
pub(crate) mod settings;
mod written;
