//! By which way a node gets what each origin writes.

use serde::{Deserialize, Serialize};

/// The way by which this node gets what one origin writes in the main namespace, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OriginStatus {
    /// The member that writes: its name, or the first digits of its key.
    pub origin: String,
    /// Its key, 64 hex digits.
    pub key: String,
    /// The incarnation under which it writes.
    pub incarnation: String,
    /// Whether it is this node itself.
    pub is_own: bool,
    /// The peer that sends its writes here; absent while nobody does, and of this node's own.
    pub source: Option<String>,
    /// The peer that would be asked next if the source kept silent: the nearest of those that announce.
    pub standby: Option<String>,
    /// The peers that this node sends its writes to.
    pub fed: Vec<String>,
    /// How long after an announcement the source may be late before the standby is asked, in milliseconds, as
    /// learned; absent while nothing is learned.
    pub deadline_ms: Option<u64>,
    /// How long its writes were missing here when the source last failed, in milliseconds; absent if it never
    /// did in this run.
    pub last_gap_ms: Option<u64>,
}
