//! Which records were written between two vectors.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use millpond_core::{Dot, Hlc, VersionVector};

use crate::changes::ChangeFilter;
use crate::records::{RecordId, record_id};
use crate::state::View;
use crate::store::StoreError;

/// Records that the log says were written, some at a time.
pub(super) struct Touched {
    /// In order, each with what is known of its deletes.
    pub(super) records: BTreeMap<RecordId, Writes>,
    /// Whether something of any record was overwritten in between: the log does not tell of which.
    pub(super) some_overwritten: bool,
    /// Whether there may be more beyond the last one.
    pub(super) are_more: bool,
}

/// The writes of one record that are still to be seen: its live values, and its deletes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Writes {
    pub(super) newest: Option<(Hlc, Dot)>,
    /// Whether they are of several transactions.
    pub(super) are_several: bool,
}

impl Writes {
    /// Adds one. A transaction takes one stamp, and no two of an incarnation take the same.
    pub(super) fn add(&mut self, stamp: Hlc, dot: Dot) {
        if let Some((newest, other)) = self.newest {
            self.are_several |= newest != stamp || other.incarnation != dot.incarnation;
        }
        self.newest = self.newest.max(Some((stamp, dot)));
    }
}

/// The wanted records written in the view beyond `since`: the first so many of those beyond `after`, if given.
pub(super) fn touched(
    view: &View,
    since: &VersionVector,
    filter: &ChangeFilter,
    after: Option<&RecordId>,
    records_max: usize,
) -> Result<Touched, StoreError> {
    let mut touched =
        Touched { records: BTreeMap::new(), some_overwritten: false, are_more: false };
    for range in view.vv().beyond(since) {
        let mut rows = 0;
        view.log(range.incarnation, range.after, range.upto.get(), &mut |dot, row| {
            rows += 1;
            let id = record_id(&row.path).filter(|id| filter.wants(id));
            let Some(id) = id.filter(|id| after.is_none_or(|after| id > after)) else {
                return ControlFlow::Continue(());
            };
            let writes = touched.records.entry(id).or_default();
            if let Some(stamp) = row.deleted {
                writes.add(stamp, dot);
            }
            if touched.records.len() > records_max {
                touched.records.pop_last();
                touched.are_more = true;
            }
            ControlFlow::Continue(())
        })?;
        // A dot that is neither live nor a tombstone has no row any more.
        touched.some_overwritten |= rows < range.len();
    }
    Ok(touched)
}
