//! The multi-value register: concurrent values all show, until a write replaces those that it saw.

use alloc::vec::Vec;

use crate::{Entry, LiveDot};

/// All live values, the latest (stamp, incarnation, seq) first, in the same order on every replica.
pub fn read(entry: &Entry) -> Vec<&LiveDot> {
    let mut values: Vec<_> = entry.live().iter().collect();
    values.sort_by_key(|live| core::cmp::Reverse((live.hlc, live.dot)));
    values
}
