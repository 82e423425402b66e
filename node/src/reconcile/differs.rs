//! What one side holds that the other does not hold alike.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};

use millpond_core::{Entry, Path};

use crate::state::View;
use crate::store::StoreError;

/// Paths of a snapshot: single ones, and whole ranges of which the other side holds nothing, or little. A path
/// in a range need not differ; one that differs is in here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Differs {
    paths: BTreeSet<Path>,
    /// By where they start; none touches the next.
    ranges: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Differs {
    /// Adds a path.
    pub(super) fn add(&mut self, path: Path) {
        self.paths.insert(path);
    }

    /// Adds a range.
    pub(super) fn add_range(&mut self, start: &[u8], end: Option<&[u8]>) {
        let end = end.map(<[u8]>::to_vec);
        let before = self.ranges.range_mut::<[u8], _>((Bound::Unbounded, Bound::Included(start)));
        match before.last().filter(|(_, last)| last.as_deref() == Some(start)) {
            Some((_, last)) => *last = end,
            None => drop(self.ranges.insert(start.to_vec(), end)),
        }
    }

    /// Whether a path may differ.
    pub(crate) fn contains(&self, path: &Path) -> bool {
        let bytes = path.as_bytes();
        let range = self.ranges.range::<[u8], _>((Bound::Unbounded, Bound::Included(bytes)));
        let is_within =
            |(_, end): (_, &Option<Vec<u8>>)| end.as_ref().is_none_or(|end| bytes < &end[..]);
        self.paths.contains(path) || range.last().is_some_and(is_within)
    }

    /// Whether nothing differs.
    pub(crate) fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.ranges.is_empty()
    }

    /// The single paths, if there are no ranges.
    pub(crate) fn listed(&self) -> Option<&BTreeSet<Path>> {
        self.ranges.is_empty().then_some(&self.paths)
    }

    /// Visits those of a view that differ, beyond `after`, in path order, and stops when the visitor breaks or
    /// after `rows_max` rows were looked at. Says where it stopped; `None` at the end.
    pub(crate) fn visit(
        &self,
        view: &View,
        after: Option<&Path>,
        rows_max: usize,
        visit: &mut dyn FnMut(&Path, Entry) -> ControlFlow<()>,
    ) -> Result<Option<Path>, StoreError> {
        let mut looked_at = 0;
        let mut stopped = None;
        if let Some(paths) = self.listed() {
            let start = after.map_or(Bound::Unbounded, Bound::Excluded);
            for path in paths.range::<Path, _>((start, Bound::Unbounded)) {
                looked_at += 1;
                let flow = visit(path, view.entry_with_lost(path)?);
                if flow.is_break() || looked_at >= rows_max {
                    return Ok(Some(path.clone()));
                }
            }
            return Ok(None);
        }
        view.entries_with_lost(None, after, &mut |path, entry| {
            looked_at += 1;
            let flow = match self.contains(&path) {
                true => visit(&path, entry),
                false => ControlFlow::Continue(()),
            };
            if flow.is_break() || looked_at >= rows_max {
                stopped = Some(path);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        Ok(stopped)
    }
}
