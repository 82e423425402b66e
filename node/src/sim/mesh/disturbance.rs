//! What happens to frames on the roads of a mesh, though nothing fails.

use rand_chacha::ChaCha8Rng;
use rand_core::Rng;
use serde::{Deserialize, Serialize};

/// What happens to frames. A link keeps their order: those behind a late one wait for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Disturbance {
    /// Nothing.
    #[default]
    None,
    /// Some take longer.
    Late {
        /// How many of a hundred.
        percent: u32,
        /// How much longer.
        ms: u32,
    },
    /// Some are held back for one more round trip of their link: what a loss does under a reliable transport.
    HeldBack {
        /// How many of a hundred.
        percent: u32,
    },
}

impl Disturbance {
    /// How much longer the next frame takes, on a link of that round trip.
    pub(crate) fn draw(self, rng: &mut ChaCha8Rng, round_trip_ms: impl Fn() -> u64) -> u64 {
        let mut is_hit = |percent: u32| rng.next_u32() % 100 < percent;
        match self {
            Self::None => 0,
            Self::Late { percent, ms } => u64::from(ms) * u64::from(is_hit(percent)),
            Self::HeldBack { percent } => round_trip_ms() * u64::from(is_hit(percent)),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn so_many_of_a_hundred_are_late() {
        let rng = &mut ChaCha8Rng::seed_from_u64(1);
        let mut late = |disturbance: Disturbance| {
            let all = (0..10_000).map(|_| disturbance.draw(rng, || 30));
            all.filter(|ms| *ms > 0)
                .map(|ms| (ms, 1))
                .fold((0, 0), |(_, n), (ms, one)| (ms, n + one))
        };
        assert_eq!(late(Disturbance::None), (0, 0));
        let (ms, count) = late(Disturbance::Late { percent: 1, ms: 100 });
        assert!(ms == 100 && (50..200).contains(&count), "{count}");
        let (ms, count) = late(Disturbance::HeldBack { percent: 2 });
        assert!(ms == 30 && (120..300).contains(&count), "{count}");
    }
}
