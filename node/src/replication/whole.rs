//! All of a namespace as a catch-up from nothing would send it: for a backup, which is one that goes to a file.

use std::sync::Arc;

use millpond_core::message::Pull;
use millpond_core::wire::RowsFrame;
use millpond_core::{Namespace, VersionVector};

use super::pulling::inadmissible;
use super::supply::{Step, Supply};
use crate::limits::Limits;
use crate::store::{Snapshot, StoreError};

/// The rows of a namespace in one snapshot, frame by frame: every path with a live or uncollected delete dot.
pub(crate) struct Whole(Supply);

impl Whole {
    /// All of `namespace`, as the snapshot has it.
    pub(crate) fn of(
        snapshot: Arc<dyn Snapshot>,
        namespace: Namespace,
    ) -> Result<Self, StoreError> {
        let (from, resume) = (VersionVector::new(), None);
        let pull = Pull { namespace, transfer: 0, from, resume };
        Ok(Self(Supply::new(snapshot, pull, Limits::default())?))
    }

    /// The vector that the rows amount to.
    pub(crate) fn upto(&self) -> &VersionVector {
        &self.0.upto
    }

    /// The next rows, some 64 KiB of them; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<RowsFrame>, StoreError> {
        loop {
            match self.0.step()? {
                Step::Working => {}
                Step::Frame(frame, _) => return Ok(Some(frame)),
                Step::Done { .. } => return Ok(None),
            }
        }
    }
}

/// Why rows cannot be of the whole of a namespace at `upto`.
pub(crate) fn not_of_whole(rows: &RowsFrame, upto: &VersionVector) -> Option<&'static str> {
    inadmissible(rows, &VersionVector::new(), upto)
}
