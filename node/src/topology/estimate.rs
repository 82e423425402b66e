//! A running estimate of a time and of how much it varies.

/// Mean and mean deviation of a time, as TCP keeps them of its round trips (Jacobson, "Congestion Avoidance
/// and Control", 1988): new samples count an eighth, new deviations a quarter.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Estimate {
    mean_ms: f64,
    deviation_ms: f64,
    samples: u32,
}

impl Estimate {
    /// Takes a sample.
    pub(super) fn add(&mut self, ms: u64) {
        let ms = ms as f64;
        if self.samples == 0 {
            (self.mean_ms, self.deviation_ms) = (ms, ms / 2.0);
        } else {
            self.deviation_ms += ((ms - self.mean_ms).abs() - self.deviation_ms) / 4.0;
            self.mean_ms += (ms - self.mean_ms) / 8.0;
        }
        self.samples = self.samples.saturating_add(1);
    }

    /// A time that few samples exceed; `None` before there are samples enough to say.
    pub(super) fn bound_ms(&self) -> Option<u64> {
        let bound = self.mean_ms + 4.0 * self.deviation_ms;
        (self.samples >= SAMPLES_MIN).then_some(bound as u64)
    }
}

/// Samples before an estimate says anything.
const SAMPLES_MIN: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_time_is_bounded_closely_and_a_varying_one_loosely() {
        let bound = |samples: &[u64]| {
            let mut estimate = Estimate::default();
            samples.iter().for_each(|&ms| estimate.add(ms));
            estimate.bound_ms()
        };
        assert_eq!(bound(&[20, 20]), None);
        assert_eq!(bound(&[20; 40]), Some(20));
        let varying: Vec<u64> = (0..40).map(|n| if n % 2 == 0 { 5 } else { 45 }).collect();
        assert!(bound(&varying).is_some_and(|bound| (80..130).contains(&bound)), "{varying:?}");
    }
}
