//! Numbered tasks over threads, with a result that does not depend on how many threads there are.

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use indicatif::{ProgressBar, ProgressStyle};

/// What a task came to.
pub struct Done<T> {
    /// What it found.
    pub result: T,
    /// Whether tasks of higher numbers are not wanted any more.
    pub is_last: bool,
}

/// Does the tasks of numbers below `count`, and returns their results in order: up to the first that is the
/// last one, whichever thread came to it when.
pub fn fan_out<T: Send>(
    count: u64,
    threads: NonZero<usize>,
    progress: &ProgressBar,
    task: impl Fn(u64) -> Done<T> + Sync,
) -> Vec<T> {
    let (next, last) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..threads.get() {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count || number > last.load(Ordering::Relaxed) {
                        return;
                    }
                    let Done { result, is_last } = task(number);
                    if is_last {
                        last.fetch_min(number, Ordering::Relaxed);
                    }
                    results
                        .lock()
                        .expect("no task panics while it is locked")
                        .push((number, result));
                    progress.inc(1);
                }
            });
        }
    });
    let mut results = results.into_inner().expect("all threads are done");
    results.retain(|(number, _)| *number <= last.load(Ordering::Relaxed));
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

/// As many as asked for, or one for each core.
pub fn threads(wanted: Option<NonZero<usize>>) -> NonZero<usize> {
    let threads = wanted.or_else(|| thread::available_parallelism().ok());
    threads.unwrap_or(NonZero::<usize>::MIN)
}

/// A bar on the terminal, if standard error is one.
pub fn progress(count: u64, title: String) -> ProgressBar {
    let bar = ProgressBar::new(count).with_message(title);
    let style =
        ProgressStyle::with_template("{msg:12} {wide_bar} {pos}/{len} {per_sec:>12} {eta:>5}");
    bar.with_style(style.expect("the template is valid"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_and_end_with_the_first_last_one() {
        for threads in [1, 2, 7] {
            let threads = NonZero::new(threads).unwrap();
            let task = |number| Done { result: number, is_last: number % 50 == 20 };
            let results = fan_out(1_000, threads, &ProgressBar::hidden(), task);
            assert_eq!(results, (0..=20).collect::<Vec<_>>(), "{threads} threads");
            let task = |number| Done { result: number, is_last: false };
            let results = fan_out(100, threads, &ProgressBar::hidden(), task);
            assert_eq!(results, (0..100).collect::<Vec<_>>(), "{threads} threads");
        }
    }
}
