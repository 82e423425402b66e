//! How fast something long goes, and when it will be done.

use serde::{Deserialize, Serialize};

/// A catch-up under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CatchUp {
    /// The namespace.
    pub namespace: String,
    /// Rows that arrived so far, those of before a break included.
    pub rows: u64,
    /// Rows expected, about.
    pub rows_expected: u64,
    /// How fast they come, and until when.
    #[serde(flatten)]
    pub pace: Pace,
}

/// A catch-up that is visible, and moves to its place in the store meanwhile.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Folding {
    /// Rows in their place.
    pub rows: u64,
    /// Rows in all, about.
    pub rows_expected: u64,
    /// How fast they move, and until when.
    #[serde(flatten)]
    pub pace: Pace,
}

/// The pace of something that takes long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Pace {
    /// Rows in a second, on the average of this run; absent in its first moment.
    #[serde(default)]
    pub rows_per_s: Option<f64>,
    /// Seconds until it is done, if it goes on so; absent while no row has come.
    #[serde(default)]
    pub eta_s: Option<u64>,
}

impl Pace {
    /// The pace of `done` rows within so long, with so many to go.
    pub(crate) fn of(done: u64, elapsed_ms: u64, to_go: u64) -> Self {
        if elapsed_ms < MOMENT_MS {
            return Self::default();
        }
        let rows_per_s = done as f64 * 1000.0 / elapsed_ms as f64;
        let eta_s = (done > 0).then(|| (to_go as f64 / rows_per_s).ceil() as u64);
        Self { rows_per_s: Some(rows_per_s), eta_s }
    }
}

/// Less says nothing of what follows.
const MOMENT_MS: u64 = 250;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_foretells_the_end_once_it_is_known() {
        assert_eq!(Pace::of(10, 100, 1_000), Pace::default());
        let stalled = Pace { rows_per_s: Some(0.0), eta_s: None };
        assert_eq!(Pace::of(0, 5_000, 1_000), stalled);
        let steady = Pace { rows_per_s: Some(500.0), eta_s: Some(3) };
        assert_eq!(Pace::of(1_000, 2_000, 1_001), steady);
        assert_eq!(Pace::of(1_000, 2_000, 0).eta_s, Some(0));
    }
}
