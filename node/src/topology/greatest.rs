//! The greatest time of late.

use crate::planted::planted;

/// The greatest of the times of this window and of the one before: each is remembered for one to two windows,
/// and what was never exceeded is forgotten all the same.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Greatest {
    window: u64,
    this_ms: u64,
    before_ms: u64,
}

impl Greatest {
    /// Takes a time.
    pub(super) fn add(&mut self, now_ms: u64, ms: u64) {
        *self = self.at(now_ms);
        self.this_ms = self.this_ms.max(ms);
    }

    /// The greatest time of late.
    pub(super) fn ms(&self, now_ms: u64) -> u64 {
        let it = self.at(now_ms);
        it.this_ms.max(it.before_ms)
    }

    fn at(mut self, now_ms: u64) -> Self {
        let window = now_ms / WINDOW_MS;
        if window == self.window || planted!("what was late once is forgotten in time") {
            return self;
        }
        self.before_ms = if window == self.window + 1 { self.this_ms } else { 0 };
        (self.window, self.this_ms) = (window, 0);
        self
    }
}

/// Long beside the time between two stalls of a busy link, and short beside that between two failures.
const WINDOW_MS: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_for_one_to_two_windows() {
        let mut greatest = Greatest::default();
        greatest.add(9_999, 80);
        greatest.add(10_000, 30);
        assert_eq!(greatest.ms(19_999), 80);
        assert_eq!(greatest.ms(20_000), 30);
        assert_eq!(greatest.ms(30_000), 0);
        greatest.add(31_000, 20);
        assert_eq!(greatest.ms(49_999), 20);
        assert_eq!(greatest.ms(500_000), 0);
    }
}
