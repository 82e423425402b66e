//! A node's wall clock, which may be wrong in every way that clocks are.

use serde::{Deserialize, Serialize};

/// What a node takes for the time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SimClock {
    /// Ahead of true time at `since_ms`, in milliseconds.
    ahead_ms: i64,
    /// Gained in a million milliseconds since then.
    drift_ppm: i64,
    since_ms: u64,
    frozen_ms: Option<u64>,
}

/// What happens to a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClockFault {
    /// Set so far ahead of true time (or behind): a step.
    Ahead { ms: i64 },
    /// Gains, or loses, so much in a million.
    Drift { ppm: i64 },
    /// Stands still.
    Freeze,
    /// Shows the year 2100.
    Year2100,
    /// Right again.
    Right,
}

impl SimClock {
    /// A right clock.
    pub(crate) const RIGHT: Self = Self { ahead_ms: 0, drift_ppm: 0, since_ms: 0, frozen_ms: None };

    /// What it shows, in milliseconds since 1970.
    pub(crate) fn shows_ms(&self, now_ms: u64) -> u64 {
        let gained = (now_ms - self.since_ms) as i64 * self.drift_ppm / 1_000_000;
        let running_ms = (EPOCH_MS + now_ms).saturating_add_signed(self.ahead_ms + gained);
        self.frozen_ms.unwrap_or(running_ms)
    }

    /// Does something to it.
    pub(crate) fn suffer(&mut self, now_ms: u64, fault: ClockFault) {
        let shown_ms = self.shows_ms(now_ms);
        let ahead_ms = shown_ms as i64 - (EPOCH_MS + now_ms) as i64;
        let running = Self { ahead_ms, since_ms: now_ms, ..Self::RIGHT };
        *self = match fault {
            ClockFault::Ahead { ms } => Self { ahead_ms: ms, ..running },
            ClockFault::Drift { ppm } => Self { drift_ppm: ppm, ..running },
            ClockFault::Freeze => Self { frozen_ms: Some(shown_ms), ..running },
            ClockFault::Year2100 => {
                Self { ahead_ms: YEAR_2100_MS as i64 - (EPOCH_MS + now_ms) as i64, ..running }
            }
            ClockFault::Right => Self::RIGHT,
        };
    }
}

/// Milliseconds since 1970 at the beginning of time.
const EPOCH_MS: u64 = 1_790_000_000_000;
/// The same at the beginning of the year 2100.
const YEAR_2100_MS: u64 = 4_102_444_800_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_wrong_as_told_and_right_again() {
        let mut clock = SimClock::RIGHT;
        assert_eq!(clock.shows_ms(5), EPOCH_MS + 5);
        clock.suffer(10, ClockFault::Ahead { ms: -1_000 });
        assert_eq!(clock.shows_ms(10), EPOCH_MS - 990);
        clock.suffer(20, ClockFault::Drift { ppm: 500_000 });
        assert_eq!(clock.shows_ms(120), EPOCH_MS - 980 + 150, "it goes on from where it was");
        clock.suffer(120, ClockFault::Freeze);
        assert_eq!(clock.shows_ms(9_000), EPOCH_MS - 830);
        clock.suffer(9_000, ClockFault::Year2100);
        assert_eq!(clock.shows_ms(9_001), YEAR_2100_MS + 1);
        clock.suffer(9_001, ClockFault::Right);
        assert_eq!(clock.shows_ms(9_002), EPOCH_MS + 9_002);
    }
}
