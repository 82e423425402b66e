//! Jobs: every change to the store, as the engine asks for it.

use std::fmt;

use millpond_core::wire::{PushFrame, RowsFrame};
use millpond_core::{Incarnation, Namespace, NodeKey, Path, Push, VersionVector};

use super::delayed::{Arrival, DelayMode, Due};
use super::enter::Enter;
use super::heads::CutMark;
use super::mend::Mend;
use super::reissue::{Reissue, Reissued};
use super::write::{WriteError, WriteTx};
use crate::store::{MetaKey, StoreError};

/// One change, applied whole or not at all.
#[derive(Debug)]
pub(crate) enum Job {
    /// A user's transaction.
    Local(Local),
    /// Transactions of others, in an order in which each one's dependencies come first.
    Pushes(Vec<PushFrame>),
    /// A whole batch, small enough for one commit.
    Batch {
        /// Of which namespace.
        namespace: Namespace,
        /// The base that it is complete relative to.
        from: VersionVector,
        /// The vector afterwards.
        upto: VersionVector,
        /// The supplier's floor, which `upto` covers.
        floor: VersionVector,
        /// Its rows.
        rows: Rows,
    },
    /// Some rows of a cut that is too large for one commit.
    Cut(Cut),
    /// The end of a cut: its rows become visible, and the first of them are folded.
    Flip {
        /// Of which namespace.
        namespace: Namespace,
        /// The cut, as it stands once all of its rows are committed.
        mark: CutMark,
        /// How many rows are folded at once: a small cut needs no fold of its own.
        rows_max: usize,
    },
    /// Folds some rows of a cut that is visible, or drops some of one that was given up; nothing if there is
    /// none.
    Fold {
        /// Of which namespace.
        namespace: Namespace,
        /// How many.
        rows_max: usize,
    },
    /// Gives up a cut that cannot be resumed, and drops the first of its rows.
    DropCut {
        /// Of which namespace.
        namespace: Namespace,
        /// How many.
        rows_max: usize,
    },
    /// Mends what is damaged.
    Mend(Mend),
    /// Drops some tombstones that every live member has on its disk.
    Collect {
        /// Of which namespace.
        namespace: Namespace,
        /// What they all have, and this node too.
        stable: VersionVector,
        /// The final seqs of closed incarnations.
        closed: VersionVector,
    },
    /// Deletes some slots of counters that add nothing. The closure is not run.
    Compact {
        /// Who does so, and where.
        local: Local,
        /// What all members have, evicted ones too, and this node as well.
        stable: VersionVector,
    },
    /// Builds some rows of an index, or drops some of one that is left, or begins anew with some.
    Index(IndexWork),
    /// What this one does arrived at that time: a delayed replica shows it as long after. Without a job the time
    /// is only noted.
    At(Arrival, Option<Box<Job>>),
    /// A delayed replica shows what is due.
    Show(Due),
    /// A delayed replica does something else with what waits.
    Delay(DelayMode),
    /// Ends the open incarnation: the next write opens a new one.
    Close,
    /// Ends an incarnation that went on elsewhere, and issues anew what is disputed of it.
    Reissue(Reissue),
    /// Leaves a domain in which nothing is for another one.
    Enter(Enter),
    /// Notes that are nobody's data: peers' vectors, invites, marks.
    Meta(Vec<(MetaKey, Option<bytes::Bytes>)>),
}

/// What is to be done about indexes.
#[derive(Debug, Clone)]
pub(crate) enum IndexWork {
    /// So many rows are built, or dropped.
    Slice(usize),
    /// These are built anew, by their numbers.
    Renew(Vec<u32>),
}

/// A user's transaction.
pub(crate) struct Local {
    /// Where it writes.
    pub(crate) namespace: Namespace,
    /// What it does.
    pub(crate) closure: LocalClosure,
    /// The wall clock, in milliseconds since 1970.
    pub(crate) now_ms: u64,
    /// An incarnation that this boot has ended. The store may not have heard of that: its disk was full.
    pub(crate) ended: Option<Incarnation>,
    /// The incarnation to open, if none is open.
    pub(crate) fresh: Incarnation,
    /// The node's key, under which a new incarnation is recorded.
    pub(crate) key: NodeKey,
}

/// What a user does in a transaction.
pub(crate) type LocalClosure = Box<dyn FnOnce(&mut WriteTx<'_>) -> Result<(), WriteError> + Send>;

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// Rows as they came.
pub(crate) type Rows = Vec<RowsFrame>;

/// Some rows of a cut, with the mark that stands for the cut so far once they are committed.
#[derive(Debug)]
pub(crate) struct Cut {
    /// Of which namespace.
    pub(crate) namespace: Namespace,
    /// Whose cut, and how far it is with these rows.
    pub(crate) mark: CutMark,
    /// Whether the cut begins with these rows. Else they mean nothing without those before them.
    pub(crate) begins: bool,
    /// The rows.
    pub(crate) rows: Rows,
    /// What it takes over of a refresh that broke off.
    pub(crate) takes: Takeover,
}

/// What a refresh takes over of one that broke off: all that is staged, but for what is not right any more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Takeover {
    /// The cut as it was when it was compared; `None` once it has been taken over, and where there is none.
    pub(crate) held: Option<Box<CutMark>>,
    /// Paths at which nothing is staged any more.
    pub(crate) dropped: Vec<Path>,
}

/// What a job did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// Local transactions to send, in order.
    pub(crate) pushes: Vec<Push>,
    /// What was issued anew, which is not sent but pulled: where, under which dot before, and under which now.
    pub(crate) reissued: Vec<Reissued>,
    /// The record of the incarnation under which that was.
    pub(crate) recorded: Option<Push>,
    /// Rows with a dot that was new here.
    pub(crate) rows_new: u64,
    /// Rows that were covered already.
    pub(crate) rows_duplicate: u64,
}

/// Why a job did nothing.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum JobError {
    /// A user's transaction was refused.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A batch whose base this replica does not cover (any more): its gaps would be claimed.
    #[error("the batch starts above this replica's vector")]
    Base,
    /// A batch whose supplier has collected tombstones of which this replica has not heard: it may hold what
    /// they deleted.
    #[error("this replica is below the supplier's floor")]
    BelowFloor,
    /// A batch that claims dots of this replica's incarnation that it never issued.
    #[error("a peer holds dots of this replica's incarnation that this replica never issued")]
    ClaimsOwn(Incarnation),
    /// A push whose dependencies are not covered.
    #[error("the push depends on dots that are not here")]
    Dependencies,
    /// Rows of a cut while there are rows of the one before it.
    #[error("there are still rows of the catch-up before this one")]
    Occupied,
    /// Something has come since the comparison that a refresh is based on, which its supplier covers.
    #[error("something that the supplier covers came since the two were compared")]
    Overtaken,
    /// An order about the delay of a replica that has none, or none any more.
    #[error("this replica is not delayed")]
    NotDelayed,
    /// The cut of a refresh that broke off is not as it was when it was compared: rows came late to it.
    #[error("the refresh that broke off has changed since it was compared")]
    Changed,
    /// Another domain was to be entered, and something is here, or has changed since that was found.
    #[error("there is something in the domain that was to be left")]
    NotEmpty,
    /// There is no cut of this namespace.
    #[error("no cut is arriving")]
    NoCut,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
