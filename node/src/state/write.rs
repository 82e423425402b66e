//! Writing: what a user's closure does in a transaction.

use std::collections::BTreeMap;

use bytes::Bytes;
use millpond_core::limits::{
    SIBLINGS_MAX, TRANSACTION_BYTES_MAX, TRANSACTION_WRITES_MAX, VALUE_BYTES_MAX,
};
use millpond_core::types::counter::{self, CounterError, Slot};
use millpond_core::types::log;
use millpond_core::{
    Dot, Entry, Hlc, Incarnation, LiveDot, Namespace, Path, PathError, Payload, PayloadKind, Push,
    PushWrite, Seq, StampError, VersionVector,
};

use super::compaction::is_spent;
use super::lost::{is_lost, whole};
use super::transaction::Transaction;
use crate::planted::planted;
use crate::probes::always;
use crate::store::StoreError;

/// A transaction in the making: short, synchronous, and run by the writer. Reads see what it has
/// written so far; nothing is visible to anybody else before it commits, and then all of it is.
pub struct WriteTx<'a> {
    pub(super) tx: &'a Transaction<'a>,
    pub(super) namespace: Namespace,
    incarnation: Incarnation,
    pub(super) pending: BTreeMap<Path, Option<Payload>>,
    /// Of what is pending, that which takes the place of some of the live dots only.
    parts: BTreeMap<Path, Part>,
    pending_bytes: usize,
}

/// What a write takes the place of, where that is not all that lives at its path.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// This dot, whose content it is once more, under the old stamp.
    Again(Dot),
    /// What is lost.
    Lost,
    /// All of a slot that adds nothing, with its stamp.
    Spent,
    /// All that lives there, as one of those values, with the greatest of their stamps.
    Kept,
    /// This dot, or nothing, by what was here before, if anything was, with the stamp that it had then.
    Restored { stamp: Hlc, over: Option<Dot> },
}

/// Why a transaction was refused. Nothing of it was written.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// One value exceeds the limit.
    #[error(
        "a value of {bytes} bytes exceeds the limit of {VALUE_BYTES_MAX}; split it over several fields or records"
    )]
    ValueTooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The transaction as a whole exceeds a limit.
    #[error(
        "a transaction of {writes} writes and {bytes} bytes exceeds the limits of {TRANSACTION_WRITES_MAX} and {TRANSACTION_BYTES_MAX}; split it"
    )]
    TransactionTooLarge {
        /// Writes so far.
        writes: usize,
        /// Bytes of paths and values so far.
        bytes: usize,
    },
    /// The write would itself leave more values side by side than the limit.
    #[error("the write would leave {live} concurrent values at one path, more than {SIBLINGS_MAX}")]
    TooManySiblings {
        /// How many.
        live: usize,
    },
    /// A key cannot be a path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A counter cannot change so.
    #[error(transparent)]
    Counter(#[from] CounterError),
    /// The closure gave up, for this reason.
    #[error("{0}")]
    Rejected(String),
    /// A transaction's closure asked for a further transaction and would have waited for itself.
    #[error("a write within a write; use the transaction that is open")]
    Nested,
    /// The replica does not take writes until a person has looked.
    #[error("this replica is fenced and takes no writes: {why}")]
    Fenced {
        /// What was found.
        why: String,
    },
    /// This node's role does not allow writes.
    #[error("this node's role is {role}, which may not write; ask an admin for another role")]
    ReadOnly {
        /// Its role.
        role: String,
    },
    /// This node is a backup, and another member is the primary, which alone takes writes.
    #[error("this node is a backup and takes no writes: {}", primary_text(primary, address))]
    NotPrimary {
        /// The primary's name, if there is one.
        primary: Option<String>,
        /// Where members reach it, if it has said.
        address: Option<String>,
    },
    /// This node is a delayed replica: it shows what was, and takes no writes.
    #[error(
        "this node is a delayed replica and takes no writes; write at another member, or promote it"
    )]
    Delayed,
    /// Fewer members are linked than the caller wants to be there.
    #[error(
        "{connected} other members are linked that could hold the write, and {wanted} are asked for"
    )]
    TooFewConnected {
        /// How many are, of those that count.
        connected: usize,
        /// How many are wanted.
        wanted: usize,
    },
    /// The replica does not hold what the write's context names.
    #[error("this replica is behind what the write refers to; retry when it has caught up")]
    Behind,
    /// The clock cannot stamp the write.
    #[error(transparent)]
    Clock(#[from] StampError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The replica is closing.
    #[error("the replica is closed")]
    Closed,
}

fn primary_text(primary: &Option<String>, address: &Option<String>) -> String {
    match (primary, address) {
        (Some(primary), Some(address)) => format!("the primary is {primary}, at {address}"),
        (Some(primary), None) => format!("the primary is {primary}"),
        (None, _) => "no member is the primary yet; an admin promotes one".into(),
    }
}

impl WriteTx<'_> {
    /// Writes a payload at a path, overwriting all values that are live there.
    ///
    /// # Errors
    /// [`WriteError::ValueTooLarge`], [`WriteError::TransactionTooLarge`]; [`WriteError::Rejected`] for the kind
    /// [`PayloadKind::LOST`], which is no content.
    pub fn put(&mut self, path: Path, payload: Payload) -> Result<(), WriteError> {
        if payload.bytes.len() > VALUE_BYTES_MAX {
            return Err(WriteError::ValueTooLarge { bytes: payload.bytes.len() });
        }
        if payload.kind == PayloadKind::LOST {
            return Err(WriteError::Rejected("this kind of payload marks what is lost".into()));
        }
        self.set(path, Some(payload))
    }

    /// Deletes what is live at a path. False when the path is absent; then no dot is taken.
    ///
    /// # Errors
    /// [`WriteError::TransactionTooLarge`], [`WriteError::Store`].
    pub fn delete(&mut self, path: &Path) -> Result<bool, WriteError> {
        if self.entry(path)?.is_absent() {
            return Ok(false);
        }
        self.set(path.clone(), None)?;
        Ok(true)
    }

    /// Adds `delta` to the counter at a path: this replica's own slot takes it, and a first count opens one.
    ///
    /// # Errors
    /// [`WriteError::Counter`] on overflow, [`WriteError::Path`], [`WriteError::Store`].
    pub fn count(&mut self, counter: &Path, delta: i64) -> Result<(), WriteError> {
        let own = self.entries(counter)?.into_iter().find_map(|(path, entry)| {
            let is_own = counter::slot_owner(&path) == Some(self.incarnation)
                || planted!("each incarnation counts in its own slot");
            is_own.then(|| Slot::read(&entry).map(|slot| (path, slot))).flatten()
        });
        let (path, slot) = match own {
            Some((path, slot)) => {
                self.note_slot(&path, slot)?;
                (path, slot)
            }
            None => (counter::slot_path(counter, self.provisional_dot())?, Slot::default()),
        };
        self.put(path, slot.counted(delta)?.encode())
    }

    /// Resets the counter at a path: every count that this replica has seen is taken back, those that it has
    /// not seen survive.
    ///
    /// # Errors
    /// [`WriteError::TransactionTooLarge`], [`WriteError::Store`].
    pub fn reset_counter(&mut self, counter: &Path) -> Result<(), WriteError> {
        for (path, entry) in self.entries(counter)? {
            if let Some(reset) = Slot::read(&entry).and_then(Slot::reset) {
                self.put(path, reset.encode())?;
            }
        }
        Ok(())
    }

    /// Appends an entry to the log at a path.
    ///
    /// # Errors
    /// [`WriteError::Path`], [`WriteError::ValueTooLarge`], [`WriteError::TransactionTooLarge`],
    /// [`WriteError::Store`].
    pub fn append(&mut self, log: &Path, bytes: Bytes) -> Result<(), WriteError> {
        let next = self.provisional_dot();
        let mut seq = next.seq.plus(self.pending.len() as u64);
        // What a transaction wrote and deleted again takes no dot, so an earlier one may have named an entry so.
        let path = loop {
            let path = log::entry_path(log, Dot::new(next.incarnation, seq))?;
            if self.entry(&path)?.is_absent() && !self.pending.contains_key(&path) {
                break path;
            }
            seq = seq.plus(1);
        };
        self.put(path, log::payload(bytes))
    }

    /// Removes all that is at and below a path: a delete for each path that holds a live dot, and a reset for
    /// each counter's slot.
    ///
    /// # Errors
    /// [`WriteError::TransactionTooLarge`], [`WriteError::Store`].
    pub fn clear(&mut self, within: &Path) -> Result<(), WriteError> {
        for (path, entry) in self.entries(within)? {
            let is_slot = entry.live().iter().any(|it| it.payload.kind == PayloadKind::COUNTER);
            match is_slot {
                true => self.reset_counter(&path)?,
                false => drop(self.delete(&path)?),
            }
        }
        Ok(())
    }

    /// Writes once more what a dot holds that is live at a path, with its stamp: the new dot takes the place
    /// of that one only. False when it is not live any more; then no dot is taken.
    pub(crate) fn write_again(&mut self, path: &Path, dot: Dot) -> Result<bool, WriteError> {
        let entry = self.entry(path)?;
        let Some(live) = entry.live().iter().find(|live| live.dot == dot) else {
            return Ok(false);
        };
        self.set(path.clone(), Some(live.payload.clone()))?;
        self.parts.insert(path.clone(), Part::Again(dot));
        Ok(true)
    }

    /// Ends a conflict by one of its values: the new dot takes the place of all that lives at the path, with the
    /// greatest of their stamps. It is housekeeping, which decides among what is here and wins no race against what
    /// is not: a write elsewhere that is later than all of these still shows. False when the dot is not live any
    /// more; then no dot is taken.
    pub(crate) fn keep(&mut self, path: &Path, dot: Dot) -> Result<bool, WriteError> {
        let entry = self.entry(path)?;
        let Some(live) = entry.live().iter().find(|live| live.dot == dot) else {
            return Ok(false);
        };
        self.set(path.clone(), Some(live.payload.clone()))?;
        self.parts.insert(path.clone(), Part::Kept);
        Ok(true)
    }

    /// Writes what was at a path before, with the stamp that it had then, in the place of `over` or, without, beside
    /// all that lives there.
    pub(crate) fn restore(
        &mut self,
        path: &Path,
        payload: Payload,
        stamp: Hlc,
        over: Option<Dot>,
    ) -> Result<(), WriteError> {
        let live =
            self.entry(path)?.live().iter().filter(|live| Some(live.dot) != over).count() + 1;
        if live > SIBLINGS_MAX {
            return Err(WriteError::TooManySiblings { live });
        }
        self.put(path.clone(), payload)?;
        self.parts.insert(path.clone(), Part::Restored { stamp, over });
        Ok(())
    }

    /// Deletes one of the dots that are live at a path, and leaves what else lives there.
    pub(crate) fn take_back(&mut self, path: &Path, dot: Dot) -> Result<(), WriteError> {
        let entry = self.entry(path)?;
        if let Some(live) = entry.live().iter().find(|live| live.dot == dot) {
            self.set(path.clone(), None)?;
            self.parts.insert(path.clone(), Part::Restored { stamp: live.hlc, over: Some(dot) });
        }
        Ok(())
    }

    /// Deletes a slot of a counter that adds nothing and of which all is stable, with its stamp: housekeeping
    /// wins no race. False when it is not so any more; then no dot is taken.
    pub(crate) fn compact_slot(
        &mut self,
        slot: &Path,
        stable: &VersionVector,
    ) -> Result<bool, WriteError> {
        if !is_spent(&self.entry(slot)?, stable) {
            return Ok(false);
        }
        self.set(slot.clone(), None)?;
        self.parts.insert(slot.clone(), Part::Spent);
        Ok(true)
    }

    /// Deletes what is lost at a path, and leaves what else lives there. Says how many writes that were.
    pub(crate) fn give_up(&mut self, path: &Path) -> Result<u64, WriteError> {
        let lost = self.tx.entry(self.namespace, path)?.visible_at(self.vv());
        let lost = lost.live().iter().filter(|live| is_lost(live)).count() as u64;
        if lost > 0 {
            self.set(path.clone(), None)?;
            self.parts.insert(path.clone(), Part::Lost);
        }
        Ok(lost)
    }

    /// The entry at a path, with what this transaction wrote there so far.
    ///
    /// # Errors
    /// [`WriteError::Store`].
    pub fn entry(&self, path: &Path) -> Result<Entry, WriteError> {
        match self.pending.get(path) {
            Some(pending) => Ok(self.pending_entry(pending)),
            None => Ok(known(path, self.tx.entry(self.namespace, path)?.visible_at(self.vv()))?),
        }
    }

    /// The entries at and below a path, in path order, with what this transaction wrote so far.
    ///
    /// # Errors
    /// [`WriteError::Store`].
    pub fn entries(&self, within: &Path) -> Result<Vec<(Path, Entry)>, WriteError> {
        let mut entries = self.tx.entries(self.namespace, Some(within))?;
        for (path, entry) in &mut entries {
            *entry = known(path, std::mem::take(entry).visible_at(self.vv()))?;
        }
        let pending = self.pending.range(within.clone()..);
        for (path, pending) in pending.take_while(|(path, _)| path.is_within(within)) {
            entries.insert(path.clone(), self.pending_entry(pending));
        }
        Ok(entries.into_iter().filter(|(_, entry)| !entry.is_absent()).collect())
    }

    /// A name that no other path component has: the dot that a write made now would take, or one close
    /// above it. Entries of a log are named so.
    pub(crate) fn unique_name(&self) -> [u8; 24] {
        let next = self.provisional_dot();
        Dot::new(next.incarnation, next.seq.plus(self.pending.len() as u64)).to_bytes()
    }

    /// The replica's vector before this transaction.
    pub fn vv(&self) -> &VersionVector {
        self.tx.heads.vv(self.namespace)
    }

    /// A slot of before this boot is counted in.
    fn note_slot(&self, path: &Path, slot: Slot) -> Result<(), WriteError> {
        let began = &self.tx.heads.began;
        let is_old = |live: &LiveDot| {
            live.dot.incarnation == self.incarnation && began.with(self.namespace, live.dot)
        };
        if self.entry(path)?.live().iter().any(is_old) {
            began.note_slot(self.namespace, path, slot);
        }
        Ok(())
    }

    fn set(&mut self, path: Path, payload: Option<Payload>) -> Result<(), WriteError> {
        let size = |payload: &Option<Payload>| payload.as_ref().map_or(0, |it| it.bytes.len());
        let bytes = path.as_bytes().len() + size(&payload);
        let path_bytes = path.as_bytes().len();
        let replaced = self.pending.insert(path, payload);
        self.pending_bytes += bytes;
        self.pending_bytes -= replaced.map_or(0, |replaced| path_bytes + size(&replaced));
        let writes = self.pending.len();
        if writes > TRANSACTION_WRITES_MAX || self.pending_bytes > TRANSACTION_BYTES_MAX {
            return Err(WriteError::TransactionTooLarge { writes, bytes: self.pending_bytes });
        }
        Ok(())
    }

    fn pending_entry(&self, pending: &Option<Payload>) -> Entry {
        let live = pending.iter().map(|payload| LiveDot {
            dot: self.provisional_dot(),
            hlc: self.tx.heads.clock.last().next(),
            payload: payload.clone(),
        });
        Entry::from_live(live.collect())
    }

    /// A dot that this transaction will take: for names, and for pending values until their dot is known.
    fn provisional_dot(&self) -> Dot {
        Dot::new(self.incarnation, next_seq(self.vv(), self.incarnation))
    }
}

impl std::fmt::Debug for WriteTx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteTx").field("pending", &self.pending.len()).finish_non_exhaustive()
    }
}

/// Runs a user's closure under `incarnation` and commits what it wrote into the transaction. `None` when it
/// wrote nothing.
///
/// One stamp is taken for the whole transaction, above everything that it overwrites, so that of two
/// concurrent transactions one wins all the registers that both wrote.
pub(crate) fn write(
    tx: &mut Transaction<'_>,
    namespace: Namespace,
    incarnation: Incarnation,
    now_ms: u64,
    closure: impl FnOnce(&mut WriteTx<'_>) -> Result<(), WriteError>,
) -> Result<Option<Push>, WriteError> {
    let mut write = WriteTx {
        tx,
        namespace,
        incarnation,
        pending: BTreeMap::new(),
        parts: BTreeMap::new(),
        pending_bytes: 0,
    };
    closure(&mut write)?;
    let (pending, parts) = (write.pending, write.parts);
    let vv = tx.heads.vv(namespace).clone();

    // R12: what a write overwrites is live here, now. A delete of an absent path takes no dot, so that seqs
    // have no gaps.
    let mut writes = Vec::with_capacity(pending.len());
    let mut entries = Vec::with_capacity(pending.len());
    let mut stamps = Vec::with_capacity(pending.len());
    let mut greatest = None;
    for (path, payload) in pending {
        tx.fold_first(namespace, &path)?;
        let part = parts.get(&path);
        let entry = match part {
            Some(Part::Lost) => tx.entry(namespace, &path)?,
            _ => known(&path, tx.entry(namespace, &path)?)?,
        };
        let is_seen =
            |dot| vv.covers(dot) || planted!("a write overwrites what its node has covered");
        let is_meant = |live: &LiveDot| match part {
            None | Some(Part::Spent | Part::Kept) => true,
            Some(Part::Restored { over, .. }) => {
                *over == Some(live.dot) || planted!("what is brought back leaves what is beside it")
            }
            Some(Part::Again(dot)) => *dot == live.dot,
            Some(Part::Lost) => is_lost(live),
        };
        let seen = entry.live().iter().filter(|live| is_seen(live.dot) && is_meant(live));
        let kept = match part {
            Some(Part::Kept) if planted!("a decision keeps the stamp of what it decides") => None,
            Some(Part::Again(_) | Part::Spent | Part::Kept) => {
                seen.clone().map(|live| live.hlc).max()
            }
            Some(Part::Restored { stamp, .. }) => Some(*stamp),
            None | Some(Part::Lost) => None,
        };
        let is_kept = kept.is_some();
        if !is_kept {
            greatest = greatest.max(seen.clone().map(|live| live.hlc).max());
        }
        let overwritten: Vec<Dot> = seen.map(|live| live.dot).collect();
        if payload.is_none() && overwritten.is_empty() {
            continue;
        }
        let live = overwritten.len();
        if live > 2 && planted!("a write may resolve any number of values") {
            return Err(WriteError::TooManySiblings { live });
        }
        writes.push(PushWrite { path, hlc: Default::default(), payload, overwritten });
        stamps.push(kept);
        entries.push(entry);
    }
    if writes.is_empty() {
        return Ok(None);
    }
    let hlc = match planted!("a stamp is above what it overwrites") {
        true => Hlc::from_ms(now_ms),
        false => tx.heads.clock.stamp(now_ms, greatest)?,
    };
    always!(greatest.is_none_or(|seen| seen < hlc), "a stamp is above what it overwrites");
    for (write, kept) in writes.iter_mut().zip(stamps) {
        write.hlc = kept.unwrap_or(hlc);
    }

    let push = Push {
        namespace,
        origin: incarnation,
        first: first_seq(tx, namespace, incarnation),
        deps: dependencies(tx, namespace, incarnation),
        writes,
    };
    // Each path is written once, so no entry has changed since it was read.
    super::apply::apply_push_writes(tx, &push, entries);
    let vv = tx.heads.vv(namespace).clone();
    tx.heads.last_local.insert(namespace, vv);
    Ok(Some(push))
}

/// The entry, of which nothing is lost: else nobody knows what a write there overwrites, nor what it read.
fn known(path: &Path, mut entry: Entry) -> Result<Entry, StoreError> {
    if planted!("what is lost is not absent") {
        entry.retain(|live| !is_lost(live));
    }
    whole(path, entry)
}

/// The entries of the vector that changed since the previous local transaction of this boot and
/// incarnation; its own predecessor is implied.
fn dependencies(
    tx: &Transaction<'_>,
    namespace: Namespace,
    incarnation: Incarnation,
) -> VersionVector {
    let vv = tx.heads.vv(namespace);
    if planted!("a push names its causes") {
        return VersionVector::new();
    }
    let mut dependencies = match tx.heads.last_local.get(&namespace) {
        Some(last) => vv.difference(last),
        None => vv.clone(),
    };
    dependencies.remove(incarnation);
    dependencies
}

/// Seqs are counted in each namespace for itself, and without gaps: nobody would bring what is missing.
fn first_seq(tx: &Transaction<'_>, namespace: Namespace, incarnation: Incarnation) -> Seq {
    let next = next_seq(tx.heads.vv(namespace), incarnation);
    if planted!("each namespace counts its seqs") {
        let all = tx.heads.vv.values().map(|vv| next_seq(vv, incarnation));
        return all.max().unwrap_or(next);
    }
    match planted!("seqs have no gaps") && !tx.heads.last_local.contains_key(&namespace) {
        true => next.plus(100),
        false => next,
    }
}

fn next_seq(vv: &VersionVector, incarnation: Incarnation) -> Seq {
    Seq::new(vv.seq(incarnation)).map_or(Seq::FIRST, |last| last.plus(1))
}
