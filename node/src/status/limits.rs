//! Limits, beside what is used of them.

use serde::{Deserialize, Serialize};

/// A limit that a node keeps to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LimitStatus {
    /// Of what, with its unit.
    pub what: String,
    /// The most that there may be.
    pub limit: u64,
    /// How much there is now; absent where nobody counts.
    pub used: Option<u64>,
}

impl LimitStatus {
    pub(crate) fn new(what: &str, limit: u64, used: Option<u64>) -> Self {
        Self { what: what.into(), limit, used }
    }

    /// Whether nine tenths of it are used.
    pub(crate) fn is_near(&self) -> bool {
        self.used.is_some_and(|used| used.saturating_mul(10) >= self.limit.saturating_mul(9))
    }
}
