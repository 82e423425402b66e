//! The core of Millpond.
#![no_std]

extern crate alloc;

pub mod frame;
mod hex;
pub mod limits;
mod node_key;
pub mod transport;

pub use node_key::{NodeKey, ParseNodeKeyError, ShortKey};
