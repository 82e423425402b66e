//! What a refresh has done, or would do, for operators.

use serde::{Deserialize, Serialize};

/// What a refresh with a peer has done, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RefreshReport {
    /// Whether it only told.
    pub is_dry: bool,
    /// Whether the two need one: one of them was absent while the other forgot deletes.
    pub is_needed: bool,
    /// What comes from the peer; only told of one that is dry.
    pub come: RefreshSide,
    /// What goes here, since the peer has seen it go.
    pub go: RefreshSide,
    /// What stays here, and the peer gets: it has not seen it yet.
    pub stay: RefreshSide,
    /// Whether there is more than is counted.
    pub is_partial: bool,
}

/// Some of what differs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RefreshSide {
    /// Paths.
    pub count: u64,
    /// The first of them.
    pub paths: Vec<String>,
}

/// Why there was no refresh.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefreshError {
    /// No link is up over which data may be asked for.
    #[error("there is no link to that member over which data may be asked for")]
    NotLinked,
    /// It broke off, or the peer did not take part within a minute.
    #[error("the peer took no part within a minute: it may wait for its own operator")]
    Refused,
    /// The replica is closed.
    #[error("the replica is closed")]
    Closed,
}
