//! The keys of a node.

use serde::{Deserialize, Serialize};

/// One of a node's keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KeyStatus {
    /// The key, 64 hex digits.
    pub key: String,
    /// What it is now.
    pub state: KeyState,
    /// Until when it is valid at least, in milliseconds since 1970; absent while no other one takes its place.
    pub until_ms: Option<u64>,
}

/// What a key is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum KeyState {
    /// It is recorded, and takes the place of the one that is shown once all members know it.
    Next,
    /// The node shows it.
    Shown,
    /// Another one took its place; it is valid until the overlap is over.
    Old,
}
