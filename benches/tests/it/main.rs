//! Tests of the programs of this crate.

#[cfg(feature = "harness")]
mod harness;
mod sim;
