//! Topology: who is linked with whom, and by which way an update reaches each node once.

pub(crate) mod cost;
mod parts;
pub(crate) mod settings;
pub(crate) mod surveyed;
mod written;
