//! Receipts: what a write's caller keeps of it, and waits with.

use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::{Arc, Weak};

use millpond_core::{Dot, VersionVector};

use super::Replica;
use super::concerned::Concerned;
use super::handle::Inner;
use crate::concern::{AckLevel, Acks, Concern};
use crate::replication::{Answer, Request, Waited};

/// A transaction that is committed and, on a durable replica, on disk.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Receipt {
    /// Its last dot; `None` when it changed nothing.
    pub dot: Option<Dot>,
    /// This replica's vector with it: a replica that covers it shows the transaction.
    pub vv: VersionVector,
    /// Which members had acknowledged it when this receipt was given, of those that its concern was about.
    pub acks: Acks,
    replica: Weak<Inner>,
    /// What bookmarks leave out, of a receipt without a replica.
    held_by_all: VersionVector,
}

/// A concern that has not been met in time, or before the replica was closed. The write **is stored** on this node
/// and stays: others may have it, and may still get it.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "unknown whether {concern} ({level}) is met: not in time. The write is stored on this node and stays; do not \
     write it again. {}",
    receipt.acks
)]
#[non_exhaustive]
pub struct ConcernNotMet {
    /// What the write got: to be awaited again, with the acks so far.
    pub receipt: Receipt,
    /// What was asked for.
    pub concern: Concern,
    /// At which level.
    pub level: AckLevel,
}

/// Waits for the acks of a write; made by [`Receipt::wait_for`].
pub type WaitFor<'r> = Concerned<&'r Receipt>;

impl Receipt {
    pub(crate) fn new(replica: &Replica, dot: Option<Dot>, vv: VersionVector, acks: Acks) -> Self {
        let replica = Arc::downgrade(&replica.inner);
        Self { dot, vv, acks, replica, held_by_all: VersionVector::new() }
    }

    /// Of a node of the test kit, which knows that all members have so much.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn simulated(
        dot: Option<Dot>,
        vv: VersionVector,
        acks: Acks,
        held_by_all: VersionVector,
    ) -> Self {
        Self { dot, vv, acks, replica: Weak::new(), held_by_all }
    }

    pub(super) fn held_by_all(&self) -> &VersionVector {
        &self.held_by_all
    }

    pub(super) fn replica(&self) -> Option<Replica> {
        self.replica.upgrade().map(|inner| Replica { inner })
    }

    /// Waits until these members hold the write: with any concern, whether or not one was waited for before. The
    /// voters are those on record now.
    ///
    /// # Errors
    /// [`ConcernNotMet`], with the acks so far.
    pub fn wait_for(&self, concern: Concern) -> WaitFor<'_> {
        Concerned::new(self, concern)
    }
}

/// Of the same write, whoever has acknowledged it.
impl PartialEq for Receipt {
    fn eq(&self, other: &Self) -> bool {
        (self.dot, &self.vv) == (other.dot, &other.vv)
    }
}

impl Eq for Receipt {}

impl WaitFor<'_> {
    async fn run(self) -> Result<Receipt, ConcernNotMet> {
        let wanted = self.wanted();
        let Self { subject: receipt, concern, level, .. } = self;
        let (Some(dot), Some(replica)) = (receipt.dot, receipt.replica()) else {
            // Nobody need hold what changed nothing.
            let receipt = receipt.clone();
            return match receipt.dot {
                None => Ok(receipt),
                Some(_) => Err(ConcernNotMet { receipt, concern, level }),
            };
        };
        let waited = match replica.ask(Request::Await { dot, wanted }).await {
            Some(Answer::Waited(waited)) => waited,
            _ => Waited { is_met: false, acks: receipt.acks.clone() },
        };
        let receipt = Receipt { acks: waited.acks, ..receipt.clone() };
        match waited.is_met {
            true => Ok(receipt),
            false => Err(ConcernNotMet { receipt, concern, level }),
        }
    }
}

impl<'r> IntoFuture for WaitFor<'r> {
    /// The receipt, with the acks.
    type Output = Result<Receipt, ConcernNotMet>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'r>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
