//! What probes have met: counts for the whole process, and what was never to be, for each thread.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Probe;

static HITS: [AtomicU64; Probe::ALL.len()] = [const { AtomicU64::new(0) }; Probe::ALL.len()];

thread_local! {
    static NEVER: RefCell<BTreeSet<&'static str>> = const { RefCell::new(BTreeSet::new()) };
}

/// Counts that a probe was met.
pub(crate) fn hit(probe: Probe) {
    HITS[probe as usize].fetch_add(1, Ordering::Relaxed);
}

/// All probes, and how often each was met since the latest [`reset`].
pub(crate) fn hits() -> impl Iterator<Item = (Probe, u64)> {
    Probe::ALL.iter().map(|&probe| (probe, HITS[probe as usize].load(Ordering::Relaxed)))
}

/// Starts the counts again.
pub(crate) fn reset() {
    HITS.iter().for_each(|hits| hits.store(0, Ordering::Relaxed));
}

/// Notes what no honest peer does.
pub(crate) fn note_never(what: &'static str) {
    NEVER.with_borrow_mut(|noted| noted.insert(what));
}

/// What was noted on this thread since the last call: nothing, where all peers are honest.
pub(crate) fn take_never() -> BTreeSet<&'static str> {
    NEVER.take()
}
