//! Millpond over QUIC: links whose two ends have proved their Ed25519 keys.
#![forbid(unsafe_code)]

mod identity;

pub use identity::{Identity, IdentityError};
