//! Topology: who is linked with whom, and by which way an update reaches each node once.

pub(crate) mod cost;
mod estimate;
mod greatest;
mod parts;
pub(crate) mod pick;
pub(crate) mod settings;
pub(crate) mod surveyed;
pub(crate) mod tree;
#[cfg(test)]
mod tree_rules;
pub(crate) mod view;
mod written;
