//! Topology: who is linked with whom, and by which way an update reaches each node once.

#[allow(dead_code, reason = "the choice of sources comes to use it")]
pub(crate) mod cost;
pub(crate) mod settings;
