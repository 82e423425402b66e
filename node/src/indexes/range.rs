//! Which part of an index is asked for.

use std::cmp::Ordering;
use std::ops::Bound;

use super::declared::Values;

/// From where to where: bounds in encoded values. One that has fewer values than the index has fields is of all that
/// begin so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: Bound<Values>,
    pub(crate) to: Bound<Values>,
}

impl Range {
    /// All of it.
    pub(crate) const ALL: Self = Self { from: Bound::Unbounded, to: Bound::Unbounded };

    /// What is equal to these values, or begins with them.
    pub(crate) fn equal(values: Values) -> Self {
        Self { from: Bound::Included(values.clone()), to: Bound::Included(values) }
    }

    pub(crate) fn contains(&self, values: &[Vec<u8>]) -> bool {
        let is_after = match &self.from {
            Bound::Included(from) => compare(values, from).is_ge(),
            Bound::Excluded(from) => compare(values, from).is_gt(),
            Bound::Unbounded => true,
        };
        let is_before = match &self.to {
            Bound::Included(to) => compare(values, to).is_le(),
            Bound::Excluded(to) => compare(values, to).is_lt(),
            Bound::Unbounded => true,
        };
        is_after && is_before
    }
}

/// As far as the bound says something.
pub(super) fn compare(values: &[Vec<u8>], bound: &[Vec<u8>]) -> Ordering {
    values[..values.len().min(bound.len())].cmp(bound)
}

pub(super) fn values_of(bound: &Bound<Values>) -> Option<&Values> {
    match bound {
        Bound::Included(values) | Bound::Excluded(values) => Some(values),
        Bound::Unbounded => None,
    }
}
