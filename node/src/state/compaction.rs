//! Compaction of counters (R13): a slot that stands at its bases adds nothing, and need not stay for ever.
//!
//! It may go once all of it is causally stable, which is more than that all members have it. Each member's
//! word must cover it, those that were evicted included, and this node must cover that word. Then whatever its
//! owner counted before it heard of the reset is here, and has been looked at; what the owner counts later
//! overwrites what it sees of the slot, bases included. Of a reset that is forgotten earlier a count that comes
//! late would bring back all that it had taken away (findings 8 and 12, S10).
//!
//! What goes takes a delete dot for each slot, like any other delete, with the stamp of what it takes away
//! (finding 9). Each log row is looked at once, when it has become stable.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use millpond_core::types::counter::{Slot, slot_owner};
use millpond_core::{Dot, DotRange, Entry, Namespace, Path, VersionVector};

use super::apply::apply_local;
use super::job::{JobError, Local, Outcome};
use super::transaction::Transaction;
use crate::planted::planted;
use crate::probes::sometimes;
use crate::store::StoreError;

/// Deletes some slots that stand at their bases, of those that `stable` covers. The heads tell how far it came.
/// The closure of `local` is not run.
pub(super) fn compact(
    tx: &mut Transaction<'_>,
    local: Local,
    stable: VersionVector,
) -> Result<Outcome, JobError> {
    let namespace = local.namespace;
    if tx.heads.folds.contains_key(&namespace) {
        // What is to come may belong to a slot that seems to stand still.
        return Ok(Outcome::default());
    }
    let (swept, slots) = look(tx, namespace, &stable)?;
    if planted!("what is compacted takes dots") {
        forget(tx, namespace, slots, &stable)?;
        tx.heads.compacted.insert(namespace, swept);
        return Ok(Outcome::default());
    }
    let closure = move |write: &mut super::WriteTx<'_>| {
        slots.iter().try_for_each(|slot| write.compact_slot(slot, &stable).map(drop))
    };
    let outcome = apply_local(tx, Local { closure: Box::new(closure), ..local })?;
    sometimes!(!outcome.pushes.is_empty(), SlotsCompacted);
    tx.heads.compacted.insert(namespace, swept);
    Ok(outcome)
}

/// Whether a slot may go: it adds nothing, and all of it is stable.
pub(super) fn is_spent(slot: &Entry, stable: &VersionVector) -> bool {
    let is_stable = || slot.live().iter().all(|live| stable.covers(live.dot));
    let is_slot = || slot.live().iter().all(|live| Slot::decode(&live.payload).is_some());
    Slot::read(slot).is_some_and(Slot::is_zero) && is_slot() && is_stable()
}

/// Paths of slots among the log rows that have become stable, and how far it has looked.
fn look(
    tx: &Transaction<'_>,
    namespace: Namespace,
    stable: &VersionVector,
) -> Result<(VersionVector, BTreeSet<Path>), StoreError> {
    let mut swept = tx.heads.compacted.get(&namespace).cloned().unwrap_or_default();
    let (mut looked, mut slots) = (0, BTreeSet::new());
    let ranges: Vec<DotRange> = stable.beyond(&swept).collect();
    for range in ranges {
        let mut last = Dot::new(range.incarnation, range.upto);
        tx.stored_log(namespace, range, &mut |dot, row| {
            looked += 1;
            if row.deleted.is_none() && slot_owner(&row.path).is_some() {
                slots.insert(row.path);
            }
            match looked < ROWS_LOOKED_AT && slots.len() < SLOTS_DELETED {
                true => ControlFlow::Continue(()),
                false => {
                    last = dot;
                    ControlFlow::Break(())
                }
            }
        })?;
        swept.advance(last);
        if looked >= ROWS_LOOKED_AT || slots.len() >= SLOTS_DELETED {
            break;
        }
    }
    Ok((swept, slots))
}

/// What must not be: they go, and nobody is told.
fn forget(
    tx: &mut Transaction<'_>,
    namespace: Namespace,
    slots: BTreeSet<Path>,
    stable: &VersionVector,
) -> Result<(), StoreError> {
    for path in slots {
        let entry = tx.entry(namespace, &path)?;
        if is_spent(&entry, stable) {
            entry
                .live()
                .iter()
                .for_each(|live| drop(tx.own.log.insert((namespace, live.dot), None)));
            tx.put_entries(namespace, [(path, Entry::absent())].into());
        }
    }
    Ok(())
}

/// Log rows looked at in one job, of which most are of no slots.
const ROWS_LOOKED_AT: usize = 10_000;
/// Slots looked at in one job, and so deleted at most.
const SLOTS_DELETED: usize = 1_000;
