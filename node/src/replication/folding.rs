//! Folding at the engine: while a cut that has become visible is not in its place, the writer always has a
//! slice of it to fold, between all that it has to do besides; and of one that was given up a slice to drop.

use millpond_core::Namespace;

use super::commit::Pending;
use super::engine::{Engine, NAMESPACES};
use crate::planted::planted;
use crate::probes::sometimes;
use crate::state::{Job, JobError, Place};

/// A fold under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Folding {
    /// Whether a slice is at the writer.
    is_at_writer: bool,
    /// Since when, and how many rows it is to fold: fewer where the machine is slow or busy.
    handed_ms: u64,
    rows_max: usize,
    /// Not before then: the disk had no room for a slice.
    after_ms: u64,
    /// When this run began with it, and how many rows were folded then.
    pub(super) since_ms: u64,
    pub(super) folded_before: u64,
}

impl Engine {
    /// Hands the writer the next slice of each fold. That of an earlier run goes on, too.
    pub(super) fn run_folds(&mut self) {
        let now_ms = self.now.mono_ms;
        for namespace in NAMESPACES {
            if self.heads.place(namespace) == Place::Free {
                continue;
            }
            sometimes!(self.totals.commits == 0, FoldGoesOn);
            let begun = self.begun_fold(namespace);
            let folding = self.folding.entry(namespace).or_insert(begun);
            if folding.is_at_writer || folding.after_ms > now_ms || planted!("a fold goes on") {
                continue;
            }
            (folding.is_at_writer, folding.handed_ms) = (true, now_ms);
            let rows_max = folding.rows_max;
            self.submit(Pending::Fold(namespace), Job::Fold { namespace, rows_max });
        }
    }

    /// Gives up the cut of a namespace, and what the writer has of it.
    pub(super) fn drop_cut(&mut self, namespace: Namespace) {
        let begun = self.begun_fold(namespace);
        let folding = self.folding.entry(namespace).or_insert(begun);
        if !folding.is_at_writer {
            folding.is_at_writer = true;
            let rows_max = self.config.limits.slice_rows;
            self.submit(Pending::Fold(namespace), Job::DropCut { namespace, rows_max });
        }
    }

    fn begun_fold(&self, namespace: Namespace) -> Folding {
        let folded_before = self.heads.folds.get(&namespace).map_or(0, |fold| fold.folded);
        let since_ms = self.now.mono_ms;
        let rows_max = self.config.limits.fold_rows;
        let (is_at_writer, handed_ms, after_ms) = (false, since_ms, 0);
        Folding { is_at_writer, handed_ms, rows_max, after_ms, since_ms, folded_before }
    }

    /// A slice is folded or dropped, or could not be.
    pub(super) fn folded(&mut self, namespace: Namespace, error: Option<&JobError>) {
        let now_ms = self.now.mono_ms;
        if let Some(folding) = self.folding.get_mut(&namespace) {
            folding.is_at_writer = false;
            let took_ms = now_ms.saturating_sub(folding.handed_ms);
            folding.rows_max = next_slice(folding.rows_max, took_ms, self.config.limits.fold_rows);
            if let Some(error) = error {
                sometimes!(FoldFindsNoRoom);
                tracing::warn!(%namespace, %error, "a catch-up cannot be folded now");
                folding.after_ms = now_ms + self.config.digest_ms;
            }
        }
        if self.heads.place(namespace) != Place::Free {
            return;
        }
        self.folding.remove(&namespace);
        if error.is_some() {
            return;
        }
        tracing::debug!(%namespace, "nothing is left of a cut");
        if let Some(pulling) = self.pulls.get_mut(&namespace) {
            pulling.progress_ms = now_ms;
        }
        self.submit_rows(namespace);
    }

    pub(super) fn next_fold_ms(&self) -> u64 {
        let waits = |namespace: &Namespace| match self.folding.get(namespace) {
            Some(folding) if folding.is_at_writer => u64::MAX,
            Some(folding) => folding.after_ms,
            None => 0,
        };
        let left = self.heads.folds.keys().chain(self.heads.clears.keys());
        let next = left.map(waits).min().unwrap_or(u64::MAX);
        if planted!("a fold goes on") { u64::MAX } else { next }
    }
}

/// How many rows the next slice has, after one of `rows` that took so long, the wait for the writer included.
pub(super) fn next_slice(rows: usize, took_ms: u64, rows_max: usize) -> usize {
    match took_ms {
        0..QUICK_MS => (rows + rows / 4 + 1).min(rows_max),
        SLOW_MS.. => (rows / 2).max(rows_max.div_ceil(SLICES_SHRINK_MAX)),
        _ => rows,
    }
}

/// A slice may take longer.
const QUICK_MS: u64 = 20;
/// A local write waits for a slice, and then for its own commit.
const SLOW_MS: u64 = 50;
/// Each slice costs a commit, however small it is.
const SLICES_SHRINK_MAX: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_shrink_while_they_are_slow_and_grow_again() {
        let after =
            |times: &[u64]| times.iter().fold(1_500, |rows, ms| next_slice(rows, *ms, 1_500));
        assert_eq!(after(&[49, 20]), 1_500);
        assert_eq!(after(&[50]), 750);
        assert_eq!(after(&[900; 9]), 150);
        assert_eq!(after(&[900, 900, 5]), 469);
        assert_eq!(after(&[900, 900, 5, 5, 5, 5, 5, 5, 5, 5]), 1_500);
        assert_eq!(next_slice(1, 900, 3), 1, "a slice has a row");
    }
}
