//! The join: the one way in which states merge.

use alloc::vec::Vec;

use crate::{Dot, Entry, LiveDot, Row, VersionVector};

/// Which dots a sender vouches to know about: one of those that it does not show is overwritten.
#[derive(Debug, Clone, Copy)]
pub enum Context<'a> {
    /// All that this vector covers: a batch's `upto`.
    Upto(&'a VersionVector),
    /// Exactly these, in dot order: the dots that a push overwrote.
    Overwritten(&'a [Dot]),
}

impl Context<'_> {
    /// Whether the sender knows about this dot.
    pub fn covers(&self, dot: Dot) -> bool {
        match self {
            Self::Upto(vv) => vv.covers(dot),
            Self::Overwritten(dots) => dots.binary_search(&dot).is_ok(),
        }
    }
}

/// What a join changed: exactly the log rows to write and to drop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Joined {
    /// Dots that became live here.
    pub added: Vec<Dot>,
    /// Dots that were live here and are no longer.
    pub removed: Vec<Dot>,
}

impl Joined {
    /// Whether the entry is what it was.
    pub fn is_unchanged(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// Merges a row into the entry of its path, and says what changed.
///
/// ```text
/// keep my dot      iff  it is in the row, or the context does not cover it
/// take their dot   iff  my vv does not cover it, or I already have it
/// ```
///
/// It is evaluated at commit, against the `vv` of that moment. Total, and never looks at a payload. The
/// lattice: entries under a vector, ordered by what their vectors cover; the join is commutative,
/// associative, idempotent and inflationary on states that replicas can reach (property-tested), with the
/// absent entry under the empty vector as its bottom. Two concurrent writes are both kept. (Almeida, Shoker,
/// Baquero, "Delta State Replicated Data Types", 2018, causal CRDTs; the per-entry context is the vector, as
/// in Goncalves et al., "DottedDB", 2017.)
///
/// Costs O(n log n) in the dots of both sides. A dot shown without content is never taken: admission has checked that my vv covers it.
pub fn join(entry: &mut Entry, row: &Row, context: Context<'_>, vv: &VersionVector) -> Joined {
    let mut joined = Joined::default();
    entry.retain(|mine| {
        let keep = row.live.binary_search_by_key(&mine.dot, |theirs| theirs.dot).is_ok()
            || !context.covers(mine.dot);
        if !keep {
            joined.removed.push(mine.dot);
        }
        keep
    });
    for theirs in &row.live {
        if vv.covers(theirs.dot) || entry.contains(theirs.dot) {
            continue;
        }
        if let Some((hlc, payload)) = &theirs.content {
            entry.insert(LiveDot { dot: theirs.dot, hlc: *hlc, payload: payload.clone() });
            joined.added.push(theirs.dot);
        }
    }
    joined
}
