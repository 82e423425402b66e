//! Who writes when.

use crate::workload::Random;

/// The writes of a run, in the order of time. All protocols get the same ones.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// When, and at which node.
    pub writes: Vec<(u64, usize)>,
    /// So many of them are not measured: learned state settles.
    pub warm_up: usize,
}

impl Schedule {
    /// Writes at random writers, so many a second over all, at exponential intervals.
    pub fn draw(options: &Load, seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x7363_6865_6475);
        let writers = options.nodes.min(WRITERS_MAX) as u64;
        let mut at_s = 0.0;
        let count = options.warm_up + options.updates;
        let writes = (0..count).map(|_| {
            at_s += -(1.0 - random.share()).ln() / options.rate;
            ((at_s * 1e3) as u64 + 1, random.below(writers) as usize)
        });
        Self { writes: writes.collect(), warm_up: options.warm_up }
    }
}

/// How much is written.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub nodes: usize,
    /// Updates a second, over all nodes.
    pub rate: f64,
    /// Updates before those that are measured.
    pub warm_up: usize,
    /// Measured updates.
    pub updates: usize,
}

/// Of more nodes only so many write.
pub const WRITERS_MAX: usize = 16;
