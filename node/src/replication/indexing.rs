//! Indexes at the engine: while one is not built to its end, or rows of one that is left are there, the writer always
//! has a slice of that to do, between all that it has to do besides.

use super::commit::Pending;
use super::engine::Engine;
use super::folding::next_slice;
use crate::probes::sometimes;
use crate::state::{IndexWork, Job, JobError};

/// What is under way of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Building {
    /// Whether a slice is at the writer.
    is_at_writer: bool,
    /// Since when, and how many rows it has: fewer where the machine is slow or busy.
    handed_ms: u64,
    rows_max: usize,
    /// Not before then: the disk had no room for a slice.
    after_ms: u64,
}

impl Building {
    pub(super) fn new(rows_max: usize) -> Self {
        Self { is_at_writer: false, handed_ms: 0, rows_max, after_ms: 0 }
    }
}

impl Engine {
    /// Hands the writer the next slice. What an earlier run has begun goes on, too.
    pub(super) fn run_building(&mut self) {
        let now_ms = self.now.mono_ms;
        let is_free = !self.building.is_at_writer && self.building.after_ms <= now_ms;
        if is_free && self.heads.indexing.has_work(&self.heads) {
            (self.building.is_at_writer, self.building.handed_ms) = (true, now_ms);
            let work = IndexWork::Slice(self.building.rows_max);
            self.submit(Pending::Index, Job::Index(work));
        }
    }

    /// A slice is done, or could not be.
    pub(super) fn built(&mut self, error: Option<&JobError>) {
        let (now_ms, rows_max) = (self.now.mono_ms, self.config.limits.fold_rows);
        let building = &mut self.building;
        building.is_at_writer = false;
        let took_ms = now_ms.saturating_sub(building.handed_ms);
        building.rows_max = next_slice(building.rows_max, took_ms, rows_max);
        if let Some(error) = error {
            sometimes!(IndexFindsNoRoom);
            tracing::warn!(%error, "an index cannot be built now");
            building.after_ms = now_ms + self.config.digest_ms;
        }
    }

    /// Indexes that are not what they should be are built anew.
    pub(super) fn renew_indexes(&mut self, numbers: Vec<u32>) {
        if !numbers.is_empty() {
            tracing::warn!(count = numbers.len(), "indexes are wrong, and are built anew");
            self.submit(Pending::Note, Job::Index(IndexWork::Renew(numbers)));
        }
    }

    pub(super) fn next_building_ms(&self) -> u64 {
        let waits = !self.building.is_at_writer && self.heads.indexing.has_work(&self.heads);
        if waits { self.building.after_ms } else { u64::MAX }
    }
}
