//! Tests of the framework from outside.

mod client;
#[cfg(feature = "http")]
mod http;
mod records;
