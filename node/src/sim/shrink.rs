//! Shrinking: the smallest part of a failing scenario that fails in the same way.

use super::run::{RunOptions, run};
use super::scenario::Scenario;

impl Scenario {
    /// Takes steps out while the scenario goes on failing the same check, for at most so many runs (delta
    /// debugging: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002). A
    /// scenario that does not fail is returned as it is.
    pub fn shrink(&self, runs_max: usize) -> Self {
        let Some(failure) = run(self, RunOptions::default()).failure else { return self.clone() };
        let mut smallest = self.clone();
        let mut runs = 0;
        let mut fails = |steps: &[super::scenario::Step]| {
            runs += 1;
            let candidate = Self { steps: steps.to_vec(), ..self.clone() };
            let found = run(&candidate, RunOptions::default()).failure;
            (found.is_some_and(|found| found.check == failure.check), runs < runs_max)
        };
        let mut chunk = smallest.steps.len().div_ceil(2);
        while chunk > 0 {
            let mut start = 0;
            while start < smallest.steps.len() {
                let end = (start + chunk).min(smallest.steps.len());
                let mut steps = smallest.steps.clone();
                // Time passes as before, so that what follows meets the same moment.
                let skipped_ms: u64 = steps.drain(start..end).map(|step| step.after_ms).sum();
                if let Some(next) = steps.get_mut(start) {
                    next.after_ms += skipped_ms;
                }
                let (is_failing, may_go_on) = fails(&steps);
                if is_failing {
                    smallest.steps = steps;
                } else {
                    start = end;
                }
                if !may_go_on {
                    return smallest;
                }
            }
            chunk /= 2;
        }
        smallest
    }
}
