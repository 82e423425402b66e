//! Single bits that flip in the file: how many of them are found out.
//!
//! A measurement, and no promise: a flip in a value is found by the value's checksum, one in the pages around
//! it only where redb verifies its own, which is after an unclean stop.

use std::fmt;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use serde::Serialize;

use super::disk::{self, Disk, Survivors};
use super::fan_out::fan_out;
use super::workload::History;
use super::{below, open};
use crate::store::{Store, StoreError};

/// What flips in a file came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FlipReport {
    /// Of a store that was closed in good order.
    pub clean: FlipCounts,
    /// Of a store that was not.
    pub unclean: FlipCounts,
}

/// What single flips came to, each in a file of its own that was then opened and read as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FlipCounts {
    /// Bits flipped.
    pub flips: u64,
    /// Nothing was different.
    pub harmless: u64,
    /// The store did not open, or a read failed.
    pub detected: u64,
    /// The same, but it panicked.
    pub panicked: u64,
    /// Rows were missing or different, and no read failed.
    pub silent: u64,
    /// The seed and the bit of the first flip that was silent.
    pub first_silent: Option<(u64, u64)>,
}

impl FlipCounts {
    fn absorb(&mut self, later: Self) {
        let Self { flips, harmless, detected, panicked, silent, first_silent } = later;
        self.flips += flips;
        self.harmless += harmless;
        self.detected += detected;
        self.panicked += panicked;
        self.silent += silent;
        self.first_silent = self.first_silent.or(first_silent);
    }
}

impl fmt::Display for FlipCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { flips, harmless, detected, panicked, silent, first_silent } = self;
        write!(f, "{flips} flips: {harmless} harmless, {detected} detected, ")?;
        write!(f, "{panicked} panicked, {silent} silent")?;
        match first_silent {
            Some((seed, bit)) => write!(f, "; first with seed {seed}, bit {bit}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for FlipReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "closed in good order, {}", self.clean)?;
        write!(f, "not closed, {}", self.unclean)
    }
}

/// Flips so many bits, half of them in files of either kind. What it reports does not depend on `threads`.
pub fn flip_bits(
    flips: u64,
    first_seed: u64,
    threads: NonZero<usize>,
    progress: &(dyn Fn(u64) + Sync),
) -> FlipReport {
    let one = |number: u64| {
        let before = number * FLIPS_PER_SEED;
        flip_in(first_seed + number, FLIPS_PER_SEED.min(flips - before))
    };
    let done = |runs: u64| progress(flips.min(runs * FLIPS_PER_SEED));
    let mut whole = FlipReport::default();
    for report in fan_out(flips.div_ceil(FLIPS_PER_SEED), threads, one, &done) {
        whole.clean.absorb(report.clean);
        whole.unclean.absorb(report.unclean);
    }
    whole
}

/// Flips bits in the two files of one history.
fn flip_in(seed: u64, flips: u64) -> FlipReport {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let history = History::play(&mut rng);
    let base = &history.script.base;
    let mut left = |operations| disk::image(base, operations, Survivors::All, &mut rng);
    let clean = left(&history.operations[..]);
    // After the last synced commit, and before all that a close does.
    let (open, commits) = history.last_synced();
    let unclean = left(&history.operations[..open]);
    let all = history.script.commits.len();
    let mut report = FlipReport::default();
    for number in 0..flips {
        let (counts, file, commits) = match number % 2 {
            0 => (&mut report.clean, &clean, all),
            _ => (&mut report.unclean, &unclean, commits),
        };
        let bit = below(&mut rng, file.len() * 8);
        let mut file = file.clone();
        file[bit / 8] ^= 1 << (bit % 8);
        counts.flips += 1;
        match read_all(&history, file, commits) {
            Found::Same => counts.harmless += 1,
            Found::Error => counts.detected += 1,
            Found::Panic => counts.panicked += 1,
            Found::Other => {
                counts.silent += 1;
                counts.first_silent.get_or_insert((seed, bit as u64));
            }
        }
    }
    report
}

enum Found {
    Same,
    Error,
    Panic,
    Other,
}

fn read_all(history: &History, file: Vec<u8>, commits: usize) -> Found {
    let read = || -> Result<bool, StoreError> {
        let store = open(&Disk::with_image(file), 1 << 20)?;
        history.script.is_shown(&*store.snapshot()?, commits)
    };
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(true)) => Found::Same,
        Ok(Ok(false)) => Found::Other,
        Ok(Err(_)) => Found::Error,
        Err(_) => Found::Panic,
    }
}

/// In the files of one history.
const FLIPS_PER_SEED: u64 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flips_in_values_are_detected() {
        let report = flip_bits(400, 1, NonZero::<usize>::MIN, &|_| {});
        println!("{report}");
        let all = |counts: &FlipCounts| {
            counts.harmless + counts.detected + counts.panicked + counts.silent
        };
        for counts in [&report.clean, &report.unclean] {
            assert_eq!((counts.flips, all(counts)), (200, 200));
            assert!(counts.detected > 0, "the rig is blind: {counts}");
            assert!(counts.silent <= counts.detected, "{counts}");
        }
    }

    #[test]
    fn another_state_is_noticed() {
        let history = History::play(&mut ChaCha8Rng::seed_from_u64(1));
        let (open, commits) = history.last_synced();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let operations = &history.operations[..open];
        let file = disk::image(&history.script.base, operations, Survivors::All, &mut rng);
        let found = |commits| read_all(&history, file.clone(), commits);
        assert!(matches!(found(commits), Found::Same));
        assert!(matches!(found(commits - 1), Found::Other));
    }
}
