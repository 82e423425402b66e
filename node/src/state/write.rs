//! Stand-in: writes to a map.

use std::time::{SystemTime, UNIX_EPOCH};

use millpond_core::limits::{
    PATH_BYTES_MAX, SIBLINGS_MAX, TRANSACTION_BYTES_MAX, TRANSACTION_WRITES_MAX, VALUE_BYTES_MAX,
};
use millpond_core::types::counter::{self, CounterError, Slot};
use millpond_core::{
    Dot, Entry, Hlc, LiveDot, Path, PathError, Payload, Seq, StampError, VersionVector,
};

use super::view::Data;
use crate::store::{LogRow, StoreError};

/// Why a transaction did not commit. Nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A payload beyond the limit.
    #[error("a value of {bytes} bytes exceeds the limit of {VALUE_BYTES_MAX}")]
    ValueTooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Too much in one transaction.
    #[error(
        "the transaction exceeds {TRANSACTION_WRITES_MAX} writes or {TRANSACTION_BYTES_MAX} bytes"
    )]
    TransactionTooLarge {
        /// Writes so far.
        writes: usize,
        /// Bytes so far.
        bytes: usize,
    },
    /// Too many concurrent values.
    #[error("{path} has more than {SIBLINGS_MAX} concurrent values")]
    TooManySiblings {
        /// Where.
        path: String,
    },
    /// No path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The counter cannot be changed.
    #[error(transparent)]
    Counter(#[from] CounterError),
    /// The closure refused.
    #[error("{0}")]
    Rejected(String),
    /// The node may not write.
    #[error("the node is fenced: {why}")]
    Fenced {
        /// Why.
        why: String,
    },
    /// The node's role does not allow writes.
    #[error("the node is {role} and takes no writes")]
    ReadOnly {
        /// Its role.
        role: String,
    },
    /// The node is not level yet.
    #[error("the node has not caught up yet")]
    Behind,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The clock is beyond its bound.
    #[error(transparent)]
    Clock(#[from] StampError),
    /// The replica is closed.
    #[error("the node is shutting down")]
    Closed,
}

/// A transaction under way.
#[derive(Debug)]
pub struct WriteTx<'a> {
    pub(crate) data: &'a mut Data,
    pub(crate) before: VersionVector,
    pub(crate) last: Option<Dot>,
    pub(crate) bytes: usize,
    pub(crate) writes: usize,
}

impl WriteTx<'_> {
    /// The entry of a path.
    ///
    /// # Errors
    /// Any [`WriteError`].
    pub fn entry(&self, path: &Path) -> Result<Entry, WriteError> {
        Ok(self.data.entries.get(path).cloned().unwrap_or_default())
    }

    /// The entries at and below a path.
    ///
    /// # Errors
    /// Any [`WriteError`].
    pub fn entries(&self, within: &Path) -> Result<Vec<(Path, Entry)>, WriteError> {
        let below = self.data.entries.range(within.clone()..);
        let below = below.take_while(|(path, _)| path.is_within(within));
        Ok(below.map(|(path, entry)| (path.clone(), entry.clone())).collect())
    }

    /// Writes a payload.
    ///
    /// # Errors
    /// Any [`WriteError`].
    pub fn put(&mut self, path: Path, payload: Payload) -> Result<(), WriteError> {
        if payload.bytes.len() > VALUE_BYTES_MAX {
            return Err(WriteError::ValueTooLarge { bytes: payload.bytes.len() });
        }
        debug_assert!(path.as_bytes().len() <= PATH_BYTES_MAX);
        let (dot, hlc) = self.issue(&path, payload.bytes.len(), None)?;
        self.data.entries.insert(path, Entry::from_live(vec![LiveDot { dot, hlc, payload }]));
        Ok(())
    }

    /// Deletes a path.
    ///
    /// # Errors
    /// Any [`WriteError`].
    pub fn delete(&mut self, path: &Path) -> Result<bool, WriteError> {
        if !self.data.entries.contains_key(path) {
            return Ok(false);
        }
        self.issue(path, 0, Some(()))?;
        self.data.entries.remove(path);
        Ok(true)
    }

    /// Counts.
    ///
    /// # Errors
    /// Any [`WriteError`].
    pub fn count(&mut self, counter: &Path, delta: i64) -> Result<(), WriteError> {
        let own = self
            .entries(counter)?
            .into_iter()
            .find(|(path, _)| counter::slot_owner(path) == Some(self.data.incarnation));
        let (path, slot) = match own {
            Some((path, entry)) => (path, Slot::read(&entry).unwrap_or_default()),
            None => (counter::slot_path(counter, self.next_dot())?, Slot::default()),
        };
        self.put(path, slot.counted(delta)?.encode())
    }

    /// Resets a counter.
    ///
    /// # Errors
    /// Any [`WriteError`].
    pub fn reset_counter(&mut self, counter: &Path) -> Result<(), WriteError> {
        for (path, entry) in self.entries(counter)? {
            if let Some(reset) = Slot::read(&entry).and_then(Slot::reset) {
                self.put(path, reset.encode())?;
            }
        }
        Ok(())
    }

    /// The vector before this transaction.
    pub fn vv(&self) -> &VersionVector {
        &self.before
    }

    fn next_dot(&self) -> Dot {
        let seq = self.data.vv.seq(self.data.incarnation) + 1;
        Dot::new(self.data.incarnation, Seq::new(seq).expect("a successor"))
    }

    fn issue(
        &mut self,
        path: &Path,
        bytes: usize,
        deletes: Option<()>,
    ) -> Result<(Dot, Hlc), WriteError> {
        self.writes += 1;
        self.bytes += bytes + path.as_bytes().len();
        if self.writes > TRANSACTION_WRITES_MAX || self.bytes > TRANSACTION_BYTES_MAX {
            return Err(WriteError::TransactionTooLarge { writes: self.writes, bytes: self.bytes });
        }
        let dot = self.next_dot();
        let seen = self.data.entries.get(path).cloned().unwrap_or_default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let hlc = self.data.clock.stamp(now.as_millis() as u64, seen.greatest_stamp())?;
        for live in seen.live() {
            self.data.log.remove(&live.dot);
        }
        let deleted = deletes.map(|()| hlc);
        let row = LogRow { path: path.clone(), deleted, ends_transaction: false };
        self.data.log.insert(dot, row);
        self.data.vv.advance(dot);
        self.last = Some(dot);
        Ok((dot, hlc))
    }
}
