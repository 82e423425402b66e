//! Many seeds, some at a time, and what was found in them.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use clap::Args;

#[derive(Args)]
pub(crate) struct Seeds {
    /// How many.
    #[arg(long, default_value_t = 10)]
    seeds: u64,
    /// The first one.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Seeds at once, each in a thread of its own.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..))]
    threads: u8,
}

/// What was found in a seed.
pub(crate) struct Found {
    pub(crate) failure: Option<String>,
    /// What is summed up.
    pub(crate) figures: [u64; 3],
    pub(crate) line: String,
}

/// What was found in all.
pub(crate) struct AllFound {
    by_seed: Vec<(u64, Found)>,
    took: Duration,
}

impl Seeds {
    /// Runs each of them.
    pub(crate) fn each(&self, run: impl Fn(u64) -> Found + Sync) -> AllFound {
        let (next, found) = (AtomicU64::new(0), Mutex::new(Vec::new()));
        let started = Instant::now();
        let work = || loop {
            let seed = self.seed + next.fetch_add(1, Relaxed);
            if seed >= self.seed + self.seeds {
                return;
            }
            let of_seed = run(seed);
            if let Some(why) = &of_seed.failure {
                println!("seed {seed} failed: {why}");
            }
            found.lock().expect("no thread panics while it holds it").push((seed, of_seed));
        };
        std::thread::scope(|scope| (0..self.threads).for_each(|_| drop(scope.spawn(work))));
        let mut by_seed = found.into_inner().expect("all threads have ended");
        by_seed.sort_by_key(|(seed, _)| *seed);
        AllFound { by_seed, took: started.elapsed() }
    }
}

impl AllFound {
    pub(crate) fn sums(&self) -> [u64; 3] {
        let mut sums = [0; 3];
        let figures = self.by_seed.iter().flat_map(|(_, found)| found.figures.iter().enumerate());
        figures.for_each(|(index, figure)| sums[index] += figure);
        sums
    }

    pub(crate) fn lines(&self) -> String {
        self.by_seed.iter().map(|(_, found)| found.line.as_str()).collect()
    }

    /// Says how many failed, and how to see one again.
    pub(crate) fn end(&self, command: &str) -> ExitCode {
        let failed = || self.by_seed.iter().filter(|(_, found)| found.failure.is_some());
        let (seeds, took) = (self.by_seed.len(), self.took.as_secs_f64());
        println!("{seeds} seeds, {} failed; {took:.1} s", failed().count());
        match failed().next() {
            None => ExitCode::SUCCESS,
            Some((seed, _)) => {
                println!("again: {command} --seed {seed} --seeds 1");
                ExitCode::FAILURE
            }
        }
    }
}
