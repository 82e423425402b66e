//! What came of a measurement.

use serde::{Deserialize, Serialize};

use super::kinds::KindFigures;

/// What the measured updates took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MeshFigures {
    /// Rows received by rows that were new to their receiver, over all nodes.
    pub copies_per_update: f64,
    /// From the write until the last node has applied it.
    pub latency: Spread,
    /// The same, were each update to take the shortest path to every node.
    pub shortest: Spread,
    /// The same, were each update to go from its origin to every node directly.
    pub star: Spread,
    /// How much longer each update took than its shortest path.
    pub behind_shortest: Spread,
    /// The longest round trip between two nodes.
    pub max_round_trip_ms: u64,
    /// Bytes of announcements, grafts and prunes for each update, of all nodes together.
    pub control_bytes_per_update: f64,
    /// Bytes of acks, digests and heartbeats that a node sends in a second while updates come.
    pub status_bytes_per_s_per_node: f64,
    /// All bytes that a node sends in a second while nobody writes.
    pub idle_bytes_per_s_per_node: f64,
    /// Rows received from another region for each update; only where there are regions.
    pub inter_region_copies_per_update: Option<f64>,
    /// What was sent for the updates, by kind.
    pub kinds: Vec<KindFigures>,
    /// The same for the time when nobody wrote.
    pub idle_kinds: Vec<KindFigures>,
    /// Rows that were received, and those of them that were new.
    pub rows_received: u64,
    /// Rows that were new to their receiver.
    pub rows_new: u64,
    /// Links that were up when the measurement began.
    pub links: usize,
    /// How long all of it took, in virtual seconds.
    pub virtual_s: u64,
    /// The hash of everything that happened.
    pub trace: u64,
}

/// How times are spread, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Spread {
    /// Half of them are not above.
    pub p50_ms: u64,
    /// Of a hundred 99 are not above.
    pub p99_ms: u64,
    /// The longest.
    pub max_ms: u64,
}

impl Spread {
    /// How these times are spread; zero, if there are none.
    pub fn of(times_ms: impl IntoIterator<Item = u64>) -> Self {
        let mut all: Vec<u64> = times_ms.into_iter().collect();
        all.sort_unstable();
        let percentile = |percent: usize| {
            let rank = (all.len() * percent).div_ceil(100);
            all.get(rank.saturating_sub(1)).copied().unwrap_or(0)
        };
        Self { p50_ms: percentile(50), p99_ms: percentile(99), max_ms: percentile(100) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_time_that_was_measured() {
        let spread = |times: &[u64]| {
            let Spread { p50_ms, p99_ms, max_ms } = Spread::of(times.iter().copied());
            (p50_ms, p99_ms, max_ms)
        };
        assert_eq!(spread(&[]), (0, 0, 0));
        assert_eq!(spread(&[7]), (7, 7, 7));
        assert_eq!(spread(&[9, 1, 5, 3]), (3, 9, 9));
        let hundreds: Vec<u64> = (1..=1_000).rev().collect();
        assert_eq!(spread(&hundreds), (500, 990, 1_000));
    }
}
