//! An input or output error at the n-th operation of a workload, for every n.
//!
//! After the error the store may acknowledge nothing: each further commit must fail as the contract says, and
//! a snapshot must show just what was acknowledged, or fail. Then the process ends, with or without a power
//! cut. From what the disk then has the store must open, hold every commit that was acknowledged as synced
//! and a whole number of commits, and take the next one.

use std::fmt;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use serde::Serialize;

use super::disk::{self, Disk, Survivors};
use super::fan_out::fan_out;
use super::fault::{Among, Fault, FaultKind};
use super::workload::{Script, Verdict};
use crate::store::{Changes, Durability, Snapshot, Store, StoreError};

/// What became of a workload with an error at each of its operations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ErrorReport {
    /// Operations of the workloads that change the disk or make changes last.
    pub operations: u64,
    /// Operations of the workloads that read.
    pub reads: u64,
    /// Runs, each with an error at one operation.
    pub faults: u64,
    /// Runs that acknowledged a commit after the error.
    pub acked_after_fault: u64,
    /// Runs in which a commit after the failed one failed otherwise than as poisoned.
    pub unpoisoned: u64,
    /// Runs in which a snapshot showed something else than the acknowledged commits.
    pub misread: u64,
    /// Runs that panicked.
    pub panics: u64,
    /// Images after such runs that lost a commit that was acknowledged as synced.
    pub lost: u64,
    /// Images whose state is not that after a whole number of commits, or holds one that was refused.
    pub partial: u64,
    /// Images that could not be opened, read, or written.
    pub unopenable: u64,
    /// The first failure: its fault, and what was found.
    pub first_failure: Option<String>,
}

impl ErrorReport {
    /// Whether the store kept its word.
    pub fn is_clean(&self) -> bool {
        self.first_failure.is_none()
    }

    fn absorb(&mut self, later: Self) {
        self.operations += later.operations;
        self.reads += later.reads;
        self.faults += later.faults;
        self.acked_after_fault += later.acked_after_fault;
        self.unpoisoned += later.unpoisoned;
        self.misread += later.misread;
        self.panics += later.panics;
        self.lost += later.lost;
        self.partial += later.partial;
        self.unopenable += later.unopenable;
        self.first_failure = self.first_failure.take().or(later.first_failure);
    }

    fn add(&mut self, context: &str, verdict: Verdict) {
        let (count, found) = match verdict {
            Verdict::Kept => return,
            Verdict::Lost(found) => (&mut self.lost, found),
            Verdict::Partial(found) => (&mut self.partial, found),
            Verdict::Unopenable(found) => (&mut self.unopenable, found),
        };
        *count += 1;
        self.first_failure.get_or_insert(format!("{context}: {found}"));
    }
}

impl fmt::Display for ErrorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} faults at {} operations ", self.faults, self.operations)?;
        write!(f, "and {} reads: ", self.reads)?;
        write!(f, "{} acknowledged after the fault, ", self.acked_after_fault)?;
        write!(f, "{} unpoisoned, {} misread, ", self.unpoisoned, self.misread)?;
        write!(f, "{} panics, {} lost, ", self.panics, self.lost)?;
        write!(f, "{} partial, {} unopenable", self.partial, self.unopenable)?;
        self.first_failure.as_ref().map_or(Ok(()), |found| write!(f, "; first: {found}"))
    }
}

/// Three workloads of a thousand operations and more, one for each size of the cache; for every `step`-th operation
/// of each, and each way to fail, a run with that fault. What it reports does not depend on `threads`.
/// `progress` is told now and then how many runs there were so far.
pub fn error_at_each(
    step: NonZero<u64>,
    threads: NonZero<usize>,
    progress: &(dyn Fn(u64) + Sync),
) -> ErrorReport {
    Rig { wrap: &|store| store, is_lying: false }.error_at_each(step, threads, progress)
}

/// What stands between the runs and the store.
struct Rig<'a> {
    wrap: &'a (dyn Fn(Arc<dyn Store>) -> Arc<dyn Store> + Sync),
    /// Whether the disk lies about syncing.
    is_lying: bool,
}

impl Rig<'_> {
    fn error_at_each(
        &self,
        step: NonZero<u64>,
        threads: NonZero<usize>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> ErrorReport {
        let mut whole = ErrorReport::default();
        for (number, (cache_bytes, commits)) in WORKLOADS.into_iter().enumerate() {
            let mut rng = ChaCha8Rng::seed_from_u64(number as u64);
            let script = Script::draw(commits, cache_bytes, &mut rng);
            let disk = Disk::with_image(script.base.clone());
            let run = self.play(&script, &disk);
            assert_eq!(run.acked, commits, "a disk that never fails fails no commit");
            let (changes, reads) = (disk.count(Among::Changes), disk.count(Among::Reads));
            assert!(changes >= OPERATIONS_MIN, "{changes} are too few");
            whole.operations += changes;
            whole.reads += reads;
            let faults = faults(changes, reads, step);
            let before = whole.faults;
            let work = |index: u64| self.strike(&script, faults[index as usize]);
            let done = |runs: u64| progress(before + runs);
            let reports = fan_out(faults.len() as u64, threads, work, &done);
            reports.into_iter().for_each(|report| whole.absorb(report));
        }
        whole
    }

    /// One run.
    fn strike(&self, script: &Script, fault: Fault) -> ErrorReport {
        let mut report = ErrorReport { faults: 1, ..ErrorReport::default() };
        let context = format!("{} bytes of cache, {fault:?}", script.cache_bytes);
        let disk = Disk::with_fault(script.base.clone(), fault);
        if self.is_lying {
            disk.lie_about_syncing();
        }
        let Ok(run) = catch_unwind(AssertUnwindSafe(|| self.play(script, &disk))) else {
            report.panics = 1;
            report.first_failure = Some(format!("{context}: a panic"));
            return report;
        };
        report.acked_after_fault = u64::from(run.acked_after_fault);
        report.unpoisoned = u64::from(run.is_unpoisoned);
        report.misread = u64::from(run.has_misread);
        if run.acked_after_fault || run.is_unpoisoned || run.has_misread {
            report.first_failure = Some(format!("{context}: {run:?}"));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(fault.at);
        let mut left =
            |survivors| disk::image(&script.base, &disk.operations(), survivors, &mut rng);
        let cut = [left(Survivors::Nothing), left(Survivors::Some)];
        for (image, end) in [disk.bytes()].into_iter().chain(cut).zip(ENDS) {
            let verdict = judge(script, image, &run);
            report.add(&format!("{context}, {end}, {run:?}"), verdict);
        }
        report
    }

    /// Opens the store and makes the commits until one fails; looks at the store now and then, and after
    /// the failure.
    fn play(&self, script: &Script, disk: &Disk) -> Run {
        let mut run = Run::default();
        let Ok(store) = script.open(disk) else { return run };
        let store = (self.wrap)(Arc::new(store));
        let mut earlier = None;
        for (number, (changes, durability)) in script.commits.iter().enumerate() {
            if number % COMMITS_PER_LOOK == 0 {
                if let Some((commits, snapshot)) = earlier.take() {
                    run.look(script, snapshot, commits);
                }
                run.look(script, store.snapshot(), number);
                earlier = Some((number, store.snapshot()));
            }
            run.attempted = number + 1;
            if store.commit(changes, *durability).is_err() {
                break;
            }
            run.acked = number + 1;
            run.acked_after_fault |= disk.has_failed();
            if *durability == Durability::Synced {
                run.synced = number + 1;
            }
        }
        if run.acked < run.attempted {
            run.insist(&*store, script);
            run.look(script, store.snapshot(), run.acked);
            if let Some((commits, snapshot)) = earlier {
                run.look(script, snapshot, commits);
            }
        }
        run
    }
}

/// What a run has seen.
#[derive(Debug, Default)]
struct Run {
    /// Commits that were tried one after the other, of these acknowledged, and of these as synced.
    attempted: usize,
    acked: usize,
    synced: usize,
    acked_after_fault: bool,
    is_unpoisoned: bool,
    has_misread: bool,
}

impl Run {
    /// Tries to commit after a commit has failed.
    fn insist(&mut self, store: &dyn Store, script: &Script) {
        let (next, _) = &script.commits[self.attempted % script.commits.len()];
        for changes in [next, &Changes::default()] {
            for durability in [Durability::Buffered, Durability::Synced] {
                match store.commit(changes, durability) {
                    Ok(()) => self.acked_after_fault = true,
                    Err(StoreError::Poisoned { .. }) => {}
                    Err(_) => self.is_unpoisoned = true,
                }
            }
        }
    }

    /// Checks that a snapshot shows this many commits; it may fail instead.
    fn look(
        &mut self,
        script: &Script,
        snapshot: Result<Arc<dyn Snapshot>, StoreError>,
        commits: usize,
    ) {
        let shown = snapshot.and_then(|snapshot| script.is_shown(&*snapshot, commits));
        self.has_misread |= matches!(shown, Ok(false));
    }
}

/// Opens what a run has left, and makes the next commit.
fn judge(script: &Script, image: Vec<u8>, run: &Run) -> Verdict {
    let judged = script.judge(&Disk::with_image(image), run.synced, |store, commits| {
        if commits > run.attempted {
            let found = format!("commit {commits} is there, and was refused");
            return Err(Verdict::Partial(found));
        }
        let Some((next, _)) = script.commits.get(commits) else { return Ok(()) };
        store.commit(next, Durability::Synced)?;
        script.compare(&store, commits + 1).map(drop)
    });
    judged.err().unwrap_or(Verdict::Kept)
}

/// Every `step`-th operation with each kind of failure.
fn faults(changes: u64, reads: u64, step: NonZero<u64>) -> Vec<Fault> {
    let every = |among, count: u64, kinds: &'static [FaultKind]| {
        let fault = move |at| kinds.iter().map(move |&kind| Fault { at, among, kind });
        (0..count).step_by(step.get() as usize).flat_map(fault)
    };
    // A read that fails does so in one way.
    let of_reads = every(Among::Reads, reads, &[FaultKind::Error, FaultKind::Dead]);
    every(Among::Changes, changes, &FaultKind::ALL).chain(of_reads).collect()
}

/// Bytes of cache, and commits: from a store that reads and writes pages at once to one that keeps all.
const WORKLOADS: [(usize, usize); 3] = [(0, 20), (64 << 10, 24), (1 << 20, 46)];

/// That change the disk, or make changes last.
const OPERATIONS_MIN: u64 = 1_000;

const COMMITS_PER_LOOK: usize = 7;

/// How a run may end.
const ENDS: [&str; 3] = ["no power cut", "unsynced sectors lost", "unsynced sectors torn"];

#[cfg(test)]
mod tests {
    use std::panic::resume_unwind;

    use super::*;

    #[test]
    fn no_error_is_followed_by_an_acknowledgement_or_a_loss() {
        let step = std::env::var("MILLPOND_ERROR_STEP").ok();
        let step = step.map_or(97, |text| text.parse().unwrap());
        let step = NonZero::new(step).unwrap();
        let report = error_at_each(step, NonZero::new(2).unwrap(), &|_| {});
        println!("{report}");
        assert!(report.is_clean(), "{report}");
    }

    fn report(rig: &Rig<'_>) -> ErrorReport {
        rig.error_at_each(NonZero::new(997).unwrap(), NonZero::<usize>::MIN, &|_| {})
    }

    /// What breaks the contract between the store and its user.
    struct Breach {
        store: Arc<dyn Store>,
        kind: BreachKind,
        first: Arc<dyn Snapshot>,
    }

    #[derive(Clone, Copy)]
    enum BreachKind {
        /// It says that failed commits succeeded.
        Boasts,
        /// It says that poisoned commits failed for another reason.
        Plays,
        /// It shows an old state.
        LagsBehind,
        /// A failed commit panics.
        Panics,
    }

    impl Store for Breach {
        fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
            match self.kind {
                BreachKind::LagsBehind => Ok(self.first.clone()),
                _ => self.store.snapshot(),
            }
        }

        fn commit(&self, changes: &Changes, durability: Durability) -> Result<(), StoreError> {
            match (self.store.commit(changes, durability), self.kind) {
                (Err(_), BreachKind::Boasts) => Ok(()),
                (Err(_), BreachKind::Plays) => Err(StoreError::Full),
                // Without a word: the test wants it.
                (Err(error), BreachKind::Panics) => resume_unwind(Box::new(error)),
                (result, _) => result,
            }
        }

        fn size_bytes(&self) -> u64 {
            self.store.size_bytes()
        }
    }

    fn report_with(kind: BreachKind) -> ErrorReport {
        let wrap = move |store: Arc<dyn Store>| -> Arc<dyn Store> {
            match store.snapshot() {
                Ok(first) => Arc::new(Breach { store, kind, first }),
                Err(_) => store,
            }
        };
        report(&Rig { wrap: &wrap, is_lying: false })
    }

    #[test]
    fn the_rig_notices_what_breaks_the_contract() {
        let boasts = report_with(BreachKind::Boasts);
        assert!(boasts.acked_after_fault > 0 && boasts.lost > 0, "{boasts}");
        let plays = report_with(BreachKind::Plays);
        assert!(plays.unpoisoned > 0 && plays.acked_after_fault == 0, "{plays}");
        let lags = report_with(BreachKind::LagsBehind);
        assert!(lags.misread > 0 && lags.lost == 0, "{lags}");
        let panics = report_with(BreachKind::Panics);
        assert!(panics.panics > 0, "{panics}");
    }

    #[test]
    fn the_rig_notices_a_disk_that_lies_about_syncing() {
        let report = report(&Rig { wrap: &|store| store, is_lying: true });
        assert!(report.lost > 0 && report.acked_after_fault == 0, "{report}");
    }
}
