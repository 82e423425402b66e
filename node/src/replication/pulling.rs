//! A catch-up under way, at the asker.

use millpond_core::wire::RowsFrame;
use millpond_core::{Boot, Namespace, NodeKey, VersionVector};

use super::LinkId;
use super::commit::Pending;
use super::limits::Limits;
use crate::probes::sometimes;
use crate::state::CutMark;

/// A catch-up under way.
pub(super) struct Pulling {
    pub(super) link: LinkId,
    pub(super) transfer: u64,
    pub(super) supplier: NodeKey,
    pub(super) boot: Boot,
    pub(super) from: VersionVector,
    /// Known once it has begun.
    pub(super) upto: Option<VersionVector>,
    /// Rows that arrived, and how many the supplier expects.
    pub(super) rows: u64,
    pub(super) rows_expected: u64,
    /// Rows not yet handed to the writer.
    pub(super) frames: Vec<RowsFrame>,
    pub(super) frames_bytes: usize,
    /// The mark of the cut, once it is too large for one commit.
    pub(super) mark: Option<CutMark>,
    /// Jobs at the writer.
    pub(super) jobs: usize,
    /// Whether everything has arrived.
    pub(super) is_complete: bool,
    /// Whether the last job is at the writer.
    pub(super) is_finishing: bool,
    pub(super) progress_ms: u64,
}

/// A job of a catch-up at the writer.
pub(super) struct RowsJob {
    pub(super) namespace: Namespace,
    pub(super) link: LinkId,
    pub(super) supplier: NodeKey,
    pub(super) transfer: u64,
    /// Bytes of rows, for which the supplier is to be given credit.
    pub(super) bytes: u64,
    /// What the last job of a catch-up covers.
    pub(super) covers: Option<VersionVector>,
}

impl RowsJob {
    /// Whether it ends a catch-up from this supplier.
    pub(super) fn completes_of(&self, supplier: NodeKey) -> bool {
        self.covers.is_some() && self.supplier == supplier
    }
}

impl Pulling {
    /// Whether this is the transfer of that number.
    #[cfg(test)]
    pub(super) fn is(&self, transfer: u64) -> bool {
        self.transfer == transfer
    }

    /// Whether there are rows enough for a slice, or the last ones of a cut.
    pub(super) fn has_slice(&self, limits: &Limits) -> bool {
        self.frames_bytes
            >= if self.mark.is_some() { limits.slice_bytes } else { limits.batch_bytes }
            || (self.is_complete && self.mark.is_some() && !self.frames.is_empty())
    }

    /// The mark of the cut with the frames at hand.
    pub(super) fn slice_mark(&mut self, upto: VersionVector, is_empty: bool) -> CutMark {
        let fresh = CutMark {
            supplier: self.supplier,
            boot: self.boot,
            from: self.from.clone(),
            upto: upto.clone(),
            since: upto.clone(),
            cursor: None,
            direct: is_empty && self.from.is_empty(),
        };
        let mark = self.mark.get_or_insert(fresh);
        let last = self.frames.last().and_then(|rows| rows.rows().last());
        let cursor = last.map(|row| row.path.as_bytes().to_vec());
        // Rows sent again after a resumption come behind the cursor and do not move it.
        sometimes!(cursor < mark.cursor, RowsBehindCursor);
        mark.cursor = mark.cursor.take().max(cursor);
        mark.upto = upto;
        mark.clone()
    }

    pub(super) fn pending(&mut self, namespace: Namespace) -> Pending {
        Pending::Rows(RowsJob {
            namespace,
            link: self.link,
            supplier: self.supplier,
            transfer: self.transfer,
            bytes: std::mem::take(&mut self.frames_bytes) as u64,
            covers: self.upto.clone().filter(|_| self.is_finishing),
        })
    }
}

/// Why rows cannot be of an honest batch: a dot beyond its vector, or without its content though the base
/// does not cover it.
pub(super) fn inadmissible(
    rows: &RowsFrame,
    from: &VersionVector,
    upto: &VersionVector,
) -> Option<&'static str> {
    for row in rows.rows() {
        let is_beyond = row.live.iter().any(|live| !upto.covers(live.dot))
            || row.deletes.iter().any(|(dot, _)| !upto.covers(*dot));
        if is_beyond {
            return Some("a row holds a dot beyond the catch-up's vector");
        }
        if row.live.iter().any(|live| live.content.is_none() && !from.covers(live.dot)) {
            return Some("a row lacks the content of a dot that is new here");
        }
    }
    None
}
