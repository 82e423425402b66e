//! What is staged of a refresh that broke off, and goes into the next one (S11, finding 14).
//!
//! The next one is compared as if that were here already. Where both are found equal nothing is sent again,
//! whoever supplied what is staged, and whatever has become of its process; what its supplier has collected
//! since, or others brought, is found to differ like anything else. What differs is dropped before the first
//! row comes, and what is equal is made to say exactly that.
//!
//! It takes a supplier that covers all that is staged: what it has never seen it could not tell from what it
//! has seen go. And no row may have come to the cut since it was compared.

use std::ops::ControlFlow;
use std::sync::Arc;

use millpond_core::wire::{RowsFrame, RowsWriter};
use millpond_core::{Entry, Namespace, Path, Row, RowDot, VersionVector};

use super::engine::Engine;
use super::pulling::Pulling;
use crate::planted::planted;
use crate::probes::sometimes;
use crate::reconcile::Differs;
use crate::state::{Cut, CutMark, Job, Takeover, View, decode_staged};
use crate::store::{Snapshot, StoreError};

/// Looks through what is staged.
#[derive(Clone)]
pub(super) struct TakingOver {
    pub(super) namespace: Namespace,
    /// The cut as it was compared; `None` once the writer was told.
    pub(super) held: Option<CutMark>,
    /// The state that was compared, without the cut and with it.
    pub(super) tables: Arc<dyn Snapshot>,
    pub(super) compared: View,
    pub(super) differs: Arc<Differs>,
    /// What this side covers without it, and below which the supplier has no tombstones.
    pub(super) from: VersionVector,
    pub(super) floor: VersionVector,
    /// How far it is.
    pub(super) after: Option<Path>,
}

/// What a step found.
struct Found {
    rows: Option<RowsFrame>,
    takes: Takeover,
    is_last: bool,
}

impl TakingOver {
    /// Looks through some staged rows.
    fn step(&mut self, transfer: u64) -> Result<Found, StoreError> {
        let mut rows = RowsWriter::new(transfer);
        let mut takes = Takeover { held: self.held.take().map(Box::new), dropped: Vec::new() };
        let (mut looked_at, mut last, mut failed) = (0, None, None);
        self.tables.staged(self.namespace, self.after.as_ref(), &mut |path, bytes| {
            looked_at += 1;
            match self.differs.contains(&path) && !planted!("what is staged and differs is dropped")
            {
                true => {
                    sometimes!(StagedDiffers);
                    takes.dropped.push(path.clone());
                }
                false => match self.restaged(&path, bytes) {
                    Ok(row) => row.into_iter().for_each(|row| rows.push(&row)),
                    Err(error) => failed = Some(error),
                },
            }
            let is_full = looked_at >= STEP_ROWS || rows.encoded_bytes() >= FRAME_BYTES;
            if failed.is_none() && !is_full {
                return ControlFlow::Continue(());
            }
            last = Some(path);
            ControlFlow::Break(())
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        let is_last = last.is_none();
        self.after = last;
        Ok(Found { rows: (!rows.is_empty()).then(|| rows.finish()), takes, is_last })
    }

    /// The row that says what was compared, unless the one that is staged does. Its supplier may not be the one
    /// of now, whose vector takes away more.
    fn restaged(&self, path: &Path, staged: bytes::Bytes) -> Result<Option<Row>, StoreError> {
        let Row { live, mut deletes, .. } = decode_staged(path, staged)?;
        let entry: Entry = self.compared.entry(path)?;
        let is_same = live.iter().map(|it| it.dot).eq(entry.live().iter().map(|it| it.dot));
        let before = deletes.len();
        deletes.retain(|(dot, _)| !self.floor.covers(*dot));
        if is_same && deletes.len() == before {
            return Ok(None);
        }
        let live = entry.live().iter().map(|live| {
            let is_new = !self.from.covers(live.dot);
            RowDot { dot: live.dot, content: is_new.then(|| (live.hlc, live.payload.clone())) }
        });
        Ok(Some(Row { path: path.clone(), live: live.collect(), deletes }))
    }
}

impl Engine {
    /// Whether something is to be looked through.
    pub(super) fn has_takeovers_to_step(&self) -> bool {
        self.pulls.values().any(Pulling::wants_takeover)
    }

    /// Looks through some of what is staged for each refresh that takes it over.
    pub(super) fn step_takeovers(&mut self) {
        let wanting = self.pulls.iter().filter(|(_, it)| it.wants_takeover());
        for namespace in wanting.map(|(&it, _)| it).collect::<Vec<_>>() {
            if let Err(error) = self.step_takeover(namespace) {
                tracing::error!(%error, "a refresh cannot be resumed");
                self.drop_cut(namespace);
                self.give_up_pull(namespace);
            }
        }
    }

    fn step_takeover(&mut self, namespace: Namespace) -> Result<(), StoreError> {
        let Some(pulling) = self.pulls.get_mut(&namespace) else { return Ok(()) };
        let transfer = pulling.transfer;
        let Some(taking_over) = &mut pulling.taking_over else { return Ok(()) };
        let Found { rows, takes, is_last } = taking_over.step(transfer)?;
        if is_last {
            pulling.taking_over = None;
        }
        pulling.progress_ms = self.now.mono_ms;
        let is_changed = rows.is_some() || takes != Takeover::default();
        if let Some(mark) = &mut pulling.mark
            && is_changed
        {
            mark.rows = mark.rows.saturating_sub(takes.dropped.len() as u64);
            (pulling.rows, pulling.rows_before) = (mark.rows, mark.rows);
            let (mark, rows) = (mark.clone(), rows.into_iter().collect());
            let cut = Cut { namespace, mark, begins: false, rows, takes };
            pulling.jobs += 1;
            let pending = pulling.pending(namespace);
            self.submit(pending, Job::Cut(cut));
        }
        self.submit_rows(namespace);
        Ok(())
    }
}

/// Staged rows looked at in one step: what is dropped of them is one small commit.
const STEP_ROWS: usize = 2_000;
/// Size of a frame of rows.
const FRAME_BYTES: usize = 64 << 10;
