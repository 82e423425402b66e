//! Stand-in: a view of a map.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use millpond_core::{Dot, Entry, HybridClock, Incarnation, Path, Seq, VersionVector};

use crate::store::{LogRow, StoreError};

/// A consistent snapshot at one version vector.
#[derive(Debug, Clone)]
pub struct View(pub(crate) Arc<Data>);

#[derive(Debug, Clone)]
pub(crate) struct Data {
    pub incarnation: Incarnation,
    pub clock: HybridClock,
    pub entries: BTreeMap<Path, Entry>,
    pub log: BTreeMap<Dot, LogRow>,
    pub vv: VersionVector,
}

impl View {
    /// What it covers.
    pub fn vv(&self) -> &VersionVector {
        &self.0.vv
    }

    /// The entry of a path.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn entry(&self, path: &Path) -> Result<Entry, StoreError> {
        Ok(self.0.entries.get(path).cloned().unwrap_or_default())
    }

    /// Visits entries in path order.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn entries(
        &self,
        within: Option<&Path>,
        after: Option<&Path>,
        visit: &mut dyn FnMut(Path, Entry) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let lower = match (within, after) {
            (Some(within), Some(after)) if after >= within => Bound::Excluded(after),
            (Some(within), _) => Bound::Included(within),
            (None, Some(after)) => Bound::Excluded(after),
            (None, None) => Bound::Unbounded,
        };
        for (path, entry) in self.0.entries.range::<Path, _>((lower, Bound::Unbounded)) {
            if within.is_some_and(|within| !path.is_within(within)) {
                break;
            }
            if visit(path.clone(), entry.clone()).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Visits log rows with seqs in `(after, upto]`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn log(
        &self,
        incarnation: Incarnation,
        after: u64,
        upto: u64,
        visit: &mut dyn FnMut(Dot, LogRow) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let (Some(first), Some(last)) = (Seq::new(after + 1), Seq::new(upto)) else {
            return Ok(());
        };
        if first > last {
            return Ok(());
        }
        let range = Dot::new(incarnation, first)..=Dot::new(incarnation, last);
        for (dot, row) in self.0.log.range(range) {
            if visit(*dot, row.clone()).is_break() {
                break;
            }
        }
        Ok(())
    }
}
