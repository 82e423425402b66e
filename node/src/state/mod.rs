//! Stand-in for the engine's state: a map in memory.

mod view;
mod write;

pub(crate) use view::Data;
pub use view::View;
pub use write::{WriteError, WriteTx};
