//! What the peer's half of a comparison says by saying nothing.
//!
//! A supplier sends every entry of its own that differs. Of an entry that only this side has it says nothing,
//! and means that it holds nothing there. And what came here since the comparison, from others, was not
//! compared: where the supplier covers such a dot and does not send it, it has seen it go (finding 14).

use std::ops::ControlFlow;
use std::sync::Arc;

use millpond_core::wire::{RowsFrame, RowsWriter};
use millpond_core::{Entry, Namespace, Path, Row, RowDot, VersionVector};

use crate::planted::planted;
use crate::probes::sometimes;
use crate::reconcile::Differs;
use crate::state::View;
use crate::store::{Snapshot, StoreError};

/// Finds the rows that the supplier left out, once all that it sent is staged.
#[derive(Clone)]
pub(super) struct Absences {
    namespace: Namespace,
    /// The store as it is now.
    snapshot: Arc<dyn Snapshot>,
    /// This side's state when it was compared.
    compared: View,
    differs: Arc<Differs>,
    /// What the supplier covers, and what of it was compared.
    upto: VersionVector,
    checked: VersionVector,
    phase: Phase,
}

/// How far it is.
#[derive(Clone)]
enum Phase {
    /// Entries that only this side has, beyond a path.
    Differing(Option<Path>),
    /// What came since.
    Arrived,
    Done,
}

impl Absences {
    pub(super) fn new(
        namespace: Namespace,
        snapshot: Arc<dyn Snapshot>,
        (compared, differs): (View, Arc<Differs>),
        (upto, checked): (VersionVector, VersionVector),
        is_again: bool,
    ) -> Self {
        let phase = if is_again { Phase::Arrived } else { Phase::Differing(None) };
        Self { namespace, snapshot, compared, differs, upto, checked, phase }
    }

    /// Does a bounded piece of work: rows to stage, if it found some. `None` at the end.
    pub(super) fn step(&mut self, transfer: u64) -> Result<Option<Option<RowsFrame>>, StoreError> {
        let mut rows = RowsWriter::new(transfer);
        match &self.phase {
            Phase::Differing(after) => {
                let next = self.differing(after.as_ref(), &mut rows)?;
                self.phase = next.map_or(Phase::Arrived, |last| Phase::Differing(Some(last)));
            }
            Phase::Arrived => {
                self.arrived(&mut rows)?;
                self.phase = Phase::Done;
            }
            Phase::Done => return Ok(None),
        }
        Ok(Some((!rows.is_empty()).then(|| rows.finish())))
    }

    /// Up to where nothing came that was not looked at.
    pub(super) fn checked(&self) -> Result<VersionVector, StoreError> {
        Ok(View::new(self.snapshot.clone(), self.namespace)?.vv().clone())
    }

    fn differing(
        &self,
        after: Option<&Path>,
        rows: &mut RowsWriter,
    ) -> Result<Option<Path>, StoreError> {
        if planted!("what a supplier does not send it does not have") {
            return Ok(None);
        }
        let mut failed = None;
        let visit = &mut |path: &Path, entry: Entry| {
            let is_known_there = entry.live().iter().any(|live| self.upto.covers(live.dot));
            let is_sent = self.snapshot.staged_row(self.namespace, path);
            match is_sent {
                Ok(None) if is_known_there => {
                    sometimes!(AbsentThere);
                    rows.push(&Row { path: path.clone(), live: Vec::new(), deletes: Vec::new() });
                }
                Ok(_) => {}
                Err(error) => failed = Some(error),
            }
            match failed.is_some() || rows.encoded_bytes() >= FRAME_BYTES {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        let stopped = self.differs.visit(&self.compared, after, STEP_ROWS, visit)?;
        failed.map_or(Ok(stopped), Err)
    }

    fn arrived(&self, rows: &mut RowsWriter) -> Result<(), StoreError> {
        if planted!("what came since the comparison is compared too") {
            return Ok(());
        }
        let now = View::new(self.snapshot.clone(), self.namespace)?;
        let mut paths = std::collections::BTreeSet::new();
        for range in now.vv().beyond(&self.checked) {
            let upto = range.upto.get().min(self.upto.seq(range.incarnation));
            now.log(range.incarnation, range.after, upto, &mut |_, row| {
                paths.insert(row.path);
                ControlFlow::Continue(())
            })?;
        }
        for path in paths {
            if self.snapshot.staged_row(self.namespace, &path)?.is_some() {
                continue;
            }
            sometimes!(ArrivedSinceCompared);
            let live = match self.differs.contains(&path) {
                // Only this side had something there, which the supplier does not cover: it sends nothing, and
                // holds nothing.
                true if planted!("what came beside what only this side has is compared too") => {
                    continue;
                }
                true => Vec::new(),
                // Both held the same there, and the supplier still does.
                false => {
                    let equal = self.compared.entry(&path)?;
                    equal.live().iter().map(|it| RowDot { dot: it.dot, content: None }).collect()
                }
            };
            rows.push(&Row { path, live, deletes: Vec::new() });
        }
        Ok(())
    }
}

/// Entries looked at in one step.
const STEP_ROWS: usize = 4_000;
/// Size of a frame of rows.
const FRAME_BYTES: usize = 64 << 10;
