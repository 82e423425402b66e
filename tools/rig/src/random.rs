//! Choices that a seed makes.

use std::time::Duration;

/// A generator whose choices are spread evenly, and no better than that (SplitMix64: Steele, Lea, Flood, "Fast
/// Splittable Pseudorandom Number Generators", 2014).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another generator, whose choices have nothing to do with those of this one.
    pub fn split(&mut self) -> Self {
        Self(self.draw())
    }

    /// Any number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below this, which is not zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }

    /// Whether something happens that does so in this many of a hundred cases.
    pub fn happens(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A time between the two.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span_ms = most.saturating_sub(least).as_millis() as u64;
        least + Duration::from_millis(self.below(span_ms + 1))
    }
}
