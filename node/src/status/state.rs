//! The states of a node.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a node is doing, as it sees itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum NodeState {
    /// It lacks nothing of what its linked peers have that is older than a moment.
    #[default]
    Current,
    /// It catches up.
    Lagging,
    /// It is not ready: [`NodeStatus::rehab`](super::NodeStatus::rehab) says why.
    Rehab,
    /// It is a delayed replica: it holds all that it has received, and shows it later.
    Delayed,
    /// It takes no writes until a person has looked.
    Fenced,
}

impl NodeState {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Current, Self::Lagging, Self::Rehab, Self::Delayed, Self::Fenced];

    /// Its word, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Lagging => "lagging",
            Self::Rehab => "rehab",
            Self::Delayed => "delayed",
            Self::Fenced => "fenced",
        }
    }
}

/// Why a node is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rehab {
    /// It is new, and has not caught up yet.
    Fresh,
    /// It was made of a backup or a copied folder, and has not caught up since.
    Restored,
    /// It compares its state with a peer's, since one of them was absent for long.
    Refreshing,
    /// It lags by more than [`Config::max_lag`](crate::Config::max_lag), or by more writes than
    /// [`Config::max_lag_writes`](crate::Config::max_lag_writes).
    TooFarBehind,
}

impl fmt::Display for Rehab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fresh => "is new, and has not caught up yet",
            Self::Restored => "was restored, and has not caught up yet",
            Self::Refreshing => "is being refreshed after a long absence",
            Self::TooFarBehind => "is further behind than `max_lag` or `max_lag_writes` allows",
        })
    }
}

/// Who alone takes writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PrimaryStatus {
    /// Its key, 64 hex digits; absent while there is none, and nobody takes writes.
    pub key: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Where members reach it, if it has said.
    pub address: Option<String>,
    /// Whether it is this node.
    pub is_this_node: bool,
}

/// What a delayed replica shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DelayStatus {
    /// How long it waits before it shows what it has received.
    pub apply_after_s: u64,
    /// Whether nothing more is shown until it is resumed.
    pub is_paused: bool,
    /// When the newest of what is shown arrived, in milliseconds since 1970; absent while nothing did.
    pub shown_wall_ms: Option<u64>,
    /// How long the oldest has waited that is not shown, on the node's own clock; absent while all is shown.
    pub oldest_waiting_s: Option<u64>,
}
