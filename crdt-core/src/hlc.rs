//! Hybrid logical clocks (Kulkarni et al., "Logical Physical Clocks", 2014).

use core::fmt;

use serde::{Deserialize, Serialize};

/// A hybrid logical timestamp: 48 bits of milliseconds since 1970, then a 16-bit counter.
///
/// It orders *concurrent* values and nothing else: a write replaces what it saw whatever the stamps say.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Hlc(u64);

impl Hlc {
    /// No stamp may exceed this one (the year 2200), so that one broken clock cannot use up the range.
    pub const MAX: Self = Self::from_ms(7_258_118_400_000);

    /// The first stamp of a millisecond.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms << 16)
    }

    /// The stamp of this 64-bit form.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its 64-bit form, which sorts as stamps do.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Its milliseconds since 1970.
    pub const fn ms(self) -> u64 {
        self.0 >> 16
    }

    /// The next stamp; the counter carries into the milliseconds.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Debug for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.ms(), self.0 & 0xffff)
    }
}

/// Issues stamps: each above the present, the last one issued and whatever the write overwrites.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HybridClock {
    last: Hlc,
}

/// The stamp would exceed [`Hlc::MAX`]; nothing was issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the clock stands beyond the year 2200, the greatest time that a write may carry")]
pub struct StampError;

impl HybridClock {
    /// A clock that issues stamps above `last`, the ceiling persisted by an earlier run.
    pub const fn starting_above(last: Hlc) -> Self {
        Self { last }
    }

    /// A stamp for a user's write: above `now_ms`, the last stamp issued, and `overwritten`.
    ///
    /// # Errors
    /// [`StampError`] when that exceeds the bound; the clock is unchanged.
    pub fn stamp(&mut self, now_ms: u64, overwritten: Option<Hlc>) -> Result<Hlc, StampError> {
        if now_ms >= Hlc::MAX.ms() {
            return Err(StampError);
        }
        let above = overwritten.map_or(self.last, |stamp| stamp.max(self.last));
        let stamp = Hlc::from_ms(now_ms).max(above.next());
        if stamp > Hlc::MAX {
            return Err(StampError);
        }
        self.last = stamp;
        Ok(stamp)
    }

    /// The last stamp issued.
    pub const fn last(&self) -> Hlc {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_exceeds_the_present_the_last_and_the_overwritten() {
        let mut clock = HybridClock::default();
        let first = clock.stamp(1_000, None).unwrap();
        assert_eq!(first, Hlc::from_ms(1_000));
        let second = clock.stamp(900, None).unwrap();
        assert_eq!(second, first.next(), "the clock stepped back");
        let third = clock.stamp(1_000, Some(Hlc::from_ms(5_000))).unwrap();
        assert_eq!(third, Hlc::from_ms(5_000).next(), "it overwrites a later stamp");
    }

    #[test]
    fn the_counter_carries_into_the_milliseconds() {
        let mut clock = HybridClock::starting_above(Hlc::from_bits((7 << 16) | 0xffff));
        assert_eq!(clock.stamp(0, None).unwrap(), Hlc::from_ms(8));
    }

    #[test]
    fn a_stamp_beyond_the_bound_is_refused_and_changes_nothing() {
        let mut clock = HybridClock::default();
        assert_eq!(clock.stamp(Hlc::MAX.ms(), None), Err(StampError));
        assert_eq!(clock.stamp(5, Some(Hlc::MAX)), Err(StampError));
        assert_eq!(clock.last(), Hlc::default());
    }
}
