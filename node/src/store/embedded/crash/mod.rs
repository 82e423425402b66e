//! The crash rig: what a power cut may leave of the file, and whether the store keeps its word after it.
//!
//! A run commits random changes to a store over a disk in memory, which remembers every write. Then it cuts the
//! power at random moments: what was synced by then stays, of what was written since, a random choice of
//! 512-byte sectors does. From each such image the store is opened again; half of the images see a second
//! cut while it recovers. Every commit that was acknowledged as synced must be there, and the state must be
//! that after a whole number of commits. Not modelled: decay of bits, disks that lie about syncing.

use std::fmt;
use std::num::NonZero;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use serde::Serialize;

use disk::Operation;
pub(crate) use disk::{Disk, Survivors, image};
pub use error_at::{ErrorReport, error_at_each};
use fan_out::fan_out;
pub use flips::{FlipCounts, FlipReport, flip_bits};
use workload::{History, Verdict};

use super::space::Space;
use super::{EmbeddedOptions, EmbeddedStore};
use crate::store::StoreError;

mod disk;
mod error_at;
mod fan_out;
mod fault;
mod flips;
mod workload;

/// What became of the images of some runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CrashReport {
    /// Images from which the store was opened.
    pub images: u64,
    /// Of these, images with a second cut during recovery.
    pub double: u64,
    /// Images that lost an acknowledged commit.
    pub lost: u64,
    /// Images whose state is not that after a whole number of commits.
    pub partial: u64,
    /// Images that could not be opened or read.
    pub unopenable: u64,
    /// The first failure: the seed of its run, and what was found.
    pub first_failure: Option<(u64, String)>,
}

impl CrashReport {
    /// Whether the store kept its word.
    pub fn is_clean(&self) -> bool {
        self.lost + self.partial + self.unopenable == 0
    }

    /// Counts what `later` counted, too; its seeds come after those here.
    fn absorb(&mut self, later: Self) {
        let Self { images, double, lost, partial, unopenable, first_failure } = later;
        self.images += images;
        self.double += double;
        self.lost += lost;
        self.partial += partial;
        self.unopenable += unopenable;
        self.first_failure = self.first_failure.take().or(first_failure);
    }

    fn add(&mut self, seed: u64, verdict: Verdict) {
        let (count, found) = match verdict {
            Verdict::Kept => return,
            Verdict::Lost(found) => (&mut self.lost, found),
            Verdict::Partial(found) => (&mut self.partial, found),
            Verdict::Unopenable(found) => (&mut self.unopenable, found),
        };
        *count += 1;
        self.first_failure.get_or_insert((seed, found));
    }
}

impl fmt::Display for CrashReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { images, double, lost, partial, unopenable, first_failure } = self;
        write!(f, "{images} images, {double} of them with a second crash: ")?;
        write!(f, "{lost} lost, {partial} partial, {unopenable} unopenable")?;
        match first_failure {
            Some((seed, found)) => write!(f, "; first with seed {seed}: {found}"),
            None => Ok(()),
        }
    }
}

/// Runs with consecutive seeds until there were this many images, on this many threads. What it reports does
/// not depend on the threads. `progress` is told now and then how many images there were so far.
pub fn campaign(
    images: u64,
    first_seed: u64,
    threads: NonZero<usize>,
    progress: &(dyn Fn(u64) + Sync),
) -> CrashReport {
    let one = |number: u64| {
        let mut report = CrashReport::default();
        let before = number * IMAGES_PER_SEED;
        run(first_seed + number, IMAGES_PER_SEED.min(images - before), &mut report);
        report
    };
    let done = |runs: u64| progress(images.min(runs * IMAGES_PER_SEED));
    let reports = fan_out(images.div_ceil(IMAGES_PER_SEED), threads, one, &done);
    let mut whole = CrashReport::default();
    reports.into_iter().for_each(|report| whole.absorb(report));
    whole
}

/// One run: a history of commits from this seed, and `images` images of it, counted in `report`.
pub fn run(seed: u64, images: u64, report: &mut CrashReport) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let history = History::play(&mut rng);
    for _ in 0..images {
        report.images += 1;
        let cut = below(&mut rng, history.operations.len() + 1);
        let survivors = Survivors::draw(&mut rng);
        let image =
            disk::image(&history.script.base, &history.operations[..cut], survivors, &mut rng);
        let promised = history.promised(cut);
        let context = format!("cut at {cut} of {}, {survivors:?}", history.operations.len());
        let is_double = rng.next_u32().is_multiple_of(2);
        report.double += u64::from(is_double);
        let verdict = if is_double {
            cut_recovery(&history, &image, promised, &mut rng)
        } else {
            history.judge(image, promised)
        };
        report.add(seed, verdict.with_context(&context));
    }
}

/// Opens the image, cuts the power once more while that goes on or right after, and judges what is left.
fn cut_recovery(history: &History, image: &[u8], promised: usize, rng: &mut ChaCha8Rng) -> Verdict {
    let disk = Disk::with_image(image.to_vec());
    let first = match history.script.judge(&disk, promised, |_, commits| Ok(commits)) {
        Ok(commits) => commits,
        Err(verdict) => return verdict,
    };
    let (opened, operations) = (disk.marked(), disk.operations());
    let cut = below(rng, operations.len() + 1);
    let survivors = Survivors::draw(rng);
    let second = disk::image(image, &operations[..cut], survivors, rng);
    // Once the store was open, its user may have seen what it held.
    let promised = if cut >= opened { first } else { promised };
    let context = format!("second cut at {cut} of {}, {survivors:?}", operations.len());
    history.judge(second, promised).with_context(&context)
}

/// Opens a store over a disk in memory.
pub(crate) fn open(disk: &Disk, cache_bytes: usize) -> Result<EmbeddedStore, StoreError> {
    let probe = disk.clone();
    let space = move || Space { used: probe.len_bytes(), free: None };
    EmbeddedStore::open_backend(disk.clone(), space, &EmbeddedOptions { cache_bytes })
}

/// A number below `bound`, near enough to uniform.
fn below(rng: &mut ChaCha8Rng, bound: usize) -> usize {
    (rng.next_u64() % bound as u64) as usize
}

/// Operations of a disk in their order.
type Operations = Vec<Operation>;

/// Images of one history in a [`campaign`].
pub const IMAGES_PER_SEED: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_crash_loses_an_acknowledged_commit() {
        let number =
            |name| std::env::var(name).ok().map(|text: String| text.parse::<u64>().unwrap());
        let (first, images) = match (number("MILLPOND_SEED"), number("MILLPOND_CRASH_IMAGES")) {
            (Some(seed), images) => (seed, images.unwrap_or(IMAGES_PER_SEED)),
            (None, images) => (1, images.unwrap_or(1_000)),
        };
        let report = campaign(images, first, NonZero::new(2).unwrap(), &|_| {});
        println!("{report}");
        assert!(report.is_clean(), "MILLPOND_SEED: {report}");
        assert!(report.double > report.images / 3);
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let report = |threads| campaign(95, 7, NonZero::new(threads).unwrap(), &|_| {});
        assert_eq!(report(1), report(3));
        assert_eq!(report(1).images, 95);
    }

    #[test]
    fn the_rig_notices_a_disk_that_lies_about_syncing() {
        let mut report = CrashReport::default();
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut history = History::play(&mut rng);
            let cut = history.operations.len();
            let promised = history.promised(cut);
            history.operations.retain(|operation| !matches!(operation, Operation::Sync));
            let survivors = Survivors::Some;
            let image = disk::image(&history.script.base, &history.operations, survivors, &mut rng);
            report.add(seed, history.judge(image, promised));
        }
        assert!(!report.is_clean(), "the rig is blind: {report}");
    }
}
