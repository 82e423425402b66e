//! Pushes: one transaction as written.

use alloc::vec::Vec;

use crate::{
    Dot, Entry, Hlc, Incarnation, Namespace, Path, Payload, Row, RowDot, Seq, VersionVector,
};

/// One local transaction as its origin committed it, with the dots that it overwrote and what it depends
/// on. A receiver applies it whole, once `deps` and its own predecessor are covered, so that its vector
/// stays gap-free and its readers see causes before effects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// Where it was written.
    pub namespace: Namespace,
    /// Who wrote it.
    pub origin: Incarnation,
    /// The seq of its first write; the others follow without gaps.
    pub first: Seq,
    /// The entries of the origin's vector that changed since its previous local transaction in this
    /// namespace: all of them for the first of an incarnation or boot. Without the origin's own entry,
    /// which is implied.
    pub deps: VersionVector,
    /// The writes, in path order, at least one, each path once.
    pub writes: Vec<PushWrite>,
}

/// One write of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushWrite {
    /// Where.
    pub path: Path,
    /// Its stamp.
    pub hlc: Hlc,
    /// The new value; `None` deletes.
    pub payload: Option<Payload>,
    /// The dots of this path that were live at the origin, and are no more.
    pub overwritten: Vec<Dot>,
}

impl Push {
    /// The dot of its write number `index`.
    pub fn dot(&self, index: usize) -> Dot {
        Dot::new(self.origin, self.first.plus(index as u64))
    }

    /// The dot of its last write.
    pub fn last(&self) -> Dot {
        self.dot(self.writes.len().saturating_sub(1))
    }
}

impl PushWrite {
    /// This write as a row, to be joined under [`crate::Context::Overwritten`].
    pub fn to_row(&self, dot: Dot) -> Row {
        let mut row = Row { path: self.path.clone(), live: Vec::new(), deletes: Vec::new() };
        match &self.payload {
            Some(payload) => {
                row.live.push(RowDot { dot, content: Some((self.hlc, payload.clone())) });
            }
            None => row.deletes.push((dot, self.hlc)),
        }
        row
    }

    /// Applies this write to the entry that it was made against, as its origin does.
    pub fn apply_to(&self, entry: &mut Entry, dot: Dot, vv: &VersionVector) -> crate::Joined {
        crate::join(entry, &self.to_row(dot), crate::Context::Overwritten(&self.overwritten), vv)
    }
}
