//! What a reader of changes is told.

use millpond_core::{Dot, Hlc, Incarnation};

use crate::records::{RecordId, Token};

/// What a reader of changes is told, in this order: perhaps a resync, changes, the cut that they make up; and so
/// on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeEvent<R> {
    /// What the reader holds is void, and all rows that there are follow: deletes that it lacks are forgotten, or
    /// this replica does not have what the reader has seen elsewhere.
    Resync,
    /// A record changed.
    Change(Change<R>),
    /// The changes since the last cut are whole: what the reader now holds is what this replica showed at this
    /// moment. A transaction is never split over two cuts. Going on from the token misses nothing. Whoever keeps a
    /// copy applies changes here, with their token: what was told of a cut that is not whole may not be at the
    /// replica at which it goes on.
    Cut(Token),
    /// The reader took too long, and the stream ends. Whoever goes on from the token misses nothing; changes told
    /// after it come again.
    Lagged {
        /// The last whole cut.
        resume: Token,
    },
}

/// A record that changed: as it was at the last cut, and as it is at this one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change<R> {
    /// Which.
    pub id: RecordId,
    /// What it was.
    pub before: Before<R>,
    /// What it is; `None` if it is gone.
    pub after: Option<R>,
    /// The latest write that made the difference.
    pub dot: Dot,
    /// When that was, by its writer's clock.
    pub stamp: Hlc,
    /// Whether it may have been something else in between, which is not told: several transactions wrote it, or so
    /// much was overwritten that this is not known. Always so of a current row that a reader begins with.
    pub collapsed: bool,
}

impl<R> Change<R> {
    /// Who wrote it last: the incarnation of a node, which its status names.
    pub fn origin(&self) -> Incarnation {
        self.dot.incarnation
    }

    /// Whether it is gone.
    pub fn is_delete(&self) -> bool {
        self.after.is_none()
    }
}

/// What a record was before it changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Before<R> {
    /// It was not there.
    Absent,
    /// It was this.
    Row(R),
    /// Nobody can tell any more: the reader begins from a token, of which the past is gone, or does not want to
    /// know; or it cannot be read as what is wanted.
    Unknown,
}

impl<R> Before<R> {
    /// The row, if it was there and is known.
    pub fn row(&self) -> Option<&R> {
        match self {
            Self::Row(row) => Some(row),
            Self::Absent | Self::Unknown => None,
        }
    }
}
