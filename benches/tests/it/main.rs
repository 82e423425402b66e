//! Tests of the programs of this crate.

mod harness;
mod sim;
