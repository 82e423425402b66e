//! Who writes when.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::MeshOptions;
use crate::sim::net::NodeId;

/// The updates of a mesh, one after the other, without end: writers by chance, at the rate that is asked for.
/// In each millisecond one is written with equal chance, so that the times between them are as good as
/// exponential. Equal options give equal updates, so that other protocols can be measured under the same.
#[derive(Debug, Clone)]
pub struct Writes {
    rng: ChaCha8Rng,
    rate: u32,
    /// Of the first ones the rate, and how many of them are still to come.
    warm_up: (u32, usize),
    /// The nodes that write.
    writers: Vec<NodeId>,
}

/// An update to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Write {
    /// How long after the one before.
    pub after_ms: u64,
    /// Which of the writers writes it.
    pub writer: usize,
    /// The node that this is.
    pub node: usize,
}

impl Writes {
    /// The updates under these options.
    pub fn new(options: &MeshOptions) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(options.seed ^ 0x006d_6573_6800),
            rate: options.rate,
            warm_up: (options.warm_up_rate.unwrap_or(options.rate), options.warm_up),
            writers: (0..options.writers).map(|number| options.writer(number)).collect(),
        }
    }

    /// Goes on by a millisecond: which of the writers writes in it, if one does.
    pub(crate) fn next_ms(&mut self) -> Option<usize> {
        let (warm_up_rate, left) = self.warm_up;
        let rate = if left > 0 { warm_up_rate } else { self.rate };
        if self.rng.next_u32() % 1_000 >= rate {
            return None;
        }
        self.warm_up.1 = left.saturating_sub(1);
        Some(self.rng.next_u32() as usize % self.writers.len())
    }
}

impl Iterator for Writes {
    type Item = Write;

    fn next(&mut self) -> Option<Write> {
        let mut after_ms = 1;
        let writer = loop {
            match self.next_ms() {
                Some(writer) => break writer,
                None => after_ms += 1,
            }
        };
        Some(Write { after_ms, writer, node: self.writers[writer] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_writers_write_at_the_rate() {
        let mut options = MeshOptions::new(20, 1);
        options.rate = 50;
        let writes: Vec<Write> = Writes::new(&options).take(4_000).collect();
        assert_eq!(writes, Writes::new(&options).take(4_000).collect::<Vec<_>>());
        let took_ms: u64 = writes.iter().map(|write| write.after_ms).sum();
        assert!((76_000..84_000).contains(&took_ms), "{took_ms} ms for 4,000 at 50/s");
        let of = |writer| writes.iter().filter(|write| write.writer == writer).count();
        assert!((0..16).all(|writer| (180..320).contains(&of(writer))));
        assert!(writes.iter().all(|write| write.node == options.writer(write.writer)));
    }

    #[test]
    fn the_first_ones_come_at_their_own_rate() {
        let mut options = MeshOptions::new(4, 1);
        (options.rate, options.warm_up, options.warm_up_rate) = (2, 1_000, Some(500));
        let mut writes = Writes::new(&options);
        let mut took_ms =
            |count| -> u64 { writes.by_ref().take(count).map(|write| write.after_ms).sum() };
        let (warm_up_ms, after_ms) = (took_ms(1_000), took_ms(100));
        assert!((1_800..2_200).contains(&warm_up_ms), "{warm_up_ms}");
        assert!((35_000..70_000).contains(&after_ms), "{after_ms}");
    }
}
