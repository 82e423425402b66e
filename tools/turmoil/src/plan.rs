//! What is done to a cluster, as a seed draws it.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// What happens when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// How long a datagram travels.
    pub(crate) latency_ms: (u64, u64),
    /// Of a million datagrams so many are lost.
    pub(crate) lost_ppm: u64,
    /// And so many arrive twice.
    pub(crate) doubled_ppm: u64,
    /// By time from the beginning, in their order.
    pub(crate) steps: Vec<(u64, Step)>,
    pub(crate) until_ms: u64,
}

/// One thing that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Write {
        node: usize,
    },
    /// Nothing passes from one node to another.
    Cut {
        from: usize,
        to: usize,
    },
    Mend {
        a: usize,
        b: usize,
    },
    Crash {
        node: usize,
    },
    Start {
        node: usize,
    },
}

impl Plan {
    /// The plan of a seed, for so many nodes.
    pub(crate) fn draw(seed: u64, nodes: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ OF_PLANS);
        let mut below = |count: u64| rng.next_u64() % count;
        let latency_min_ms = 1 + below(10);
        let latency_ms = (latency_min_ms, latency_min_ms + below(80));
        let lost_ppm = if below(5) == 0 { 0 } else { below(LOST_PPM_MAX + 1) };
        let doubled_ppm = if below(2) == 0 { 0 } else { below(DOUBLED_PPM_MAX) };
        let until_ms = 6_000 + below(10_000);
        let mut steps = Vec::new();
        for _ in 0..20 + below(80) {
            steps.push((below(until_ms), Step::Write { node: below(nodes as u64) as usize }));
        }
        for _ in 0..below(5) {
            let at_ms = below(until_ms);
            let from = below(nodes as u64) as usize;
            let to = (from + 1 + below(nodes as u64 - 1) as usize) % nodes;
            steps.push((at_ms, Step::Cut { from, to }));
            if below(3) > 0 {
                steps.push((at_ms, Step::Cut { from: to, to: from }));
            }
            // Shorter than the idle timeout, or longer.
            steps.push((at_ms + 100 + below(15_000), Step::Mend { a: from, b: to }));
        }
        for _ in 0..below(4) {
            let (at_ms, node) = (below(until_ms), below(nodes as u64) as usize);
            steps.push((at_ms, Step::Crash { node }));
            steps.push((at_ms + 1 + below(6_000), Step::Start { node }));
        }
        // Of one moment in the order in which they were drawn.
        steps.sort_by_key(|(at_ms, _)| *at_ms);
        steps.retain(|(at_ms, _)| *at_ms < until_ms);
        Self { latency_ms, lost_ppm, doubled_ppm, steps, until_ms }
    }
}

/// Loss of 5%.
const LOST_PPM_MAX: u64 = 50_000;
const DOUBLED_PPM_MAX: u64 = 10_000;
/// Parts the draws of plans from others of the same seed.
const OF_PLANS: u64 = 0x0070_6c61_6e73;
