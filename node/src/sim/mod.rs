//! The simulator: whole clusters in one thread and in virtual time, driving the code that ships.

pub(crate) mod asking;
pub(crate) mod audit;
pub(crate) mod held;
pub(crate) mod history;
pub(crate) mod net;
pub(crate) mod node;
pub(crate) mod world;
