//! Tombstones, and who holds their collection back.

use serde::{Deserialize, Serialize};

/// What deletes have left, and why it is still here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TombstoneStatus {
    /// Deletes that some member may not have on its disk yet.
    pub count: u64,
    /// About how many bytes they take.
    pub bytes: u64,
    /// For how many seconds a silent member is waited for.
    pub offline_window_s: u64,
    /// Members that hold them back, for longer than it takes to hear of each other.
    pub gc_blocked_by: Vec<Blocker>,
}

/// A member that holds tombstones back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Blocker {
    /// Its name.
    pub name: String,
    /// Its key, 64 hex digits.
    pub key: String,
    /// For how many seconds it has held some back.
    pub since_s: u64,
    /// For how many seconds nobody has heard of it.
    pub silent_s: u64,
    /// In how many seconds of further silence it is no longer waited for.
    pub evicted_in_s: u64,
}

/// Why a member is not waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Eviction {
    /// It was silent for longer than the offline window.
    Silent,
    /// It was silent, and too many tombstones waited for it.
    Cap,
}
