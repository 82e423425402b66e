//! Many runs on many threads, with a result that does not depend on how many.

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Does the work of each number below `count`, and returns what came of it, in the order of the numbers.
/// `done` is told after each how many are done.
pub(super) fn fan_out<R: Send>(
    count: u64,
    threads: NonZero<usize>,
    work: impl Fn(u64) -> R + Sync,
    done: &(dyn Fn(u64) + Sync),
) -> Vec<R> {
    let (next, finished) = (AtomicU64::new(0), Mutex::new((0, Vec::new())));
    let worker = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return;
            }
            let result = work(number);
            let (so_far, results) = &mut *finished.lock().unwrap_or_else(PoisonError::into_inner);
            results.push((number, result));
            *so_far += 1;
            done(*so_far);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.get() {
            scope.spawn(worker);
        }
        worker();
    });
    let (_, mut results) = finished.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_unstable_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}
