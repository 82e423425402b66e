//! Re-issue: what was written under an incarnation that went on elsewhere appears under a new one (DESIGN 9).
//!
//! One commit. The disputed dots leave the state, and the vector falls to the last one that stands: what
//! others hold under the same numbers would be rejected for ever as known (S5). Their writes reappear under a
//! new incarnation with the stamps that they had (finding 9), so that none of them wins a race by having been
//! re-issued. What a disputed dot had overwritten stays overwritten: the vector covers it, and a row of the new
//! dot says so to everybody. So these dots travel as rows of a catch-up, never as pushes, which would have to
//! name what they overwrite.

use std::collections::BTreeMap;

use bytes::Bytes;
use millpond_core::types::counter::{self, Slot};
use millpond_core::{
    Dot, Hlc, Incarnation, LiveDot, Namespace, NodeKey, Path, Payload, PayloadKind, Seq,
    VersionVector,
};

use super::apply::{close_ended, last_ended};
use super::clear::drop_cut;
use super::fold::fold_slice;
use super::job::{JobError, Outcome};
use super::transaction::Transaction;
use super::write::write;
use crate::membership;
use crate::planted::planted;
use crate::probes::{always, sometimes};
use crate::store::{LogRow, MetaKey, StoreError};

/// What leaves, and under what it comes back.
#[derive(Debug, Clone)]
pub(crate) struct Reissue {
    /// The incarnation that ends.
    pub(crate) ended: Incarnation,
    /// The last seq of it that stands, for each namespace: up to there others hold the same.
    pub(crate) stands: BTreeMap<Namespace, u64>,
    /// The incarnation to open.
    pub(crate) fresh: Incarnation,
    /// The node's key, under which the new incarnation is recorded.
    pub(crate) key: NodeKey,
    /// The wall clock, in milliseconds since 1970.
    pub(crate) now_ms: u64,
    /// Notes that change with it: the fence that it lifts.
    pub(crate) notes: Vec<(MetaKey, Option<Bytes>)>,
}

/// A write that was issued anew. One that is parted over two paths stands here twice.
#[derive(Debug, Clone)]
#[cfg_attr(
    not(any(test, feature = "sim")),
    expect(dead_code, reason = "for the simulator's oracle")
)]
pub(crate) struct Reissued {
    pub(crate) namespace: Namespace,
    pub(crate) path: Path,
    pub(crate) before: Dot,
    pub(crate) now: Dot,
}

/// Carries a re-issue out.
pub(super) fn reissue(tx: &mut Transaction<'_>, job: Reissue) -> Result<Outcome, JobError> {
    let Reissue { ended, stands, fresh, key, now_ms, notes } = job;
    let mut outcome = Outcome::default();
    for (namespace, stands) in stands {
        outcome.reissued.extend(reissue_in(tx, namespace, (ended, stands), fresh)?);
    }
    tx.heads.open = None;
    // The next push depends on everything that is here.
    tx.heads.last_local.clear();
    if !outcome.reissued.is_empty() {
        sometimes!(WritesReissued);
        tx.heads.open = Some(fresh);
        let last = last_ended(&tx.heads);
        tx.heads.incarnations.push(fresh);
        // Like what it is recorded for it is pulled, not sent.
        outcome.recorded = write(tx, Namespace::SYSTEM, fresh, now_ms, |tx| {
            membership::record_incarnation(tx, key, fresh)?;
            close_ended(tx, key, last)
        })?;
        tx.heads.last_local.clear();
    }
    notes.into_iter().for_each(|(key, value)| tx.put_meta(key, value));
    Ok(outcome)
}

fn reissue_in(
    tx: &mut Transaction<'_>,
    namespace: Namespace,
    (ended, stands): (Incarnation, u64),
    fresh: Incarnation,
) -> Result<Vec<Reissued>, StoreError> {
    if tx.heads.vv(namespace).seq(ended) <= stands {
        return Ok(Vec::new());
    }
    // What is visible is folded under the vector of before, and a cut that arrives has a base that goes.
    while tx.heads.folds.contains_key(&namespace) {
        fold_slice(tx, namespace, usize::MAX)?;
    }
    drop_cut(tx, namespace, 1)?;
    let disputed = tx.log_beyond(namespace, ended, stands)?;
    if !planted!("fencing lowers the vector") {
        lower(tx.heads.vv.entry(namespace).or_default(), ended, stands);
    }
    if let Some(floor) = tx.heads.floor.get_mut(&namespace) {
        lower(floor, ended, stands);
    }
    if let Some(tombstones) = tx.heads.tombstones.get_mut(&namespace) {
        // Those that others hold under the same numbers are still to come.
        lower(&mut tombstones.swept, ended, stands);
    }
    if let Some(compacted) = tx.heads.compacted.get_mut(&namespace) {
        lower(compacted, ended, stands);
    }
    let mut moving = Moving { namespace, ended, stands, fresh, last: None, moved: Vec::new() };
    for (dot, row) in &disputed {
        moving.reissue(tx, *dot, row)?;
    }
    if let Some(last) = moving.last {
        tx.heads.vv.entry(namespace).or_default().advance(last);
    }
    Ok(moving.moved)
}

/// Covers of an incarnation no more than this.
fn lower(vv: &mut VersionVector, incarnation: Incarnation, seq: u64) {
    let seq = seq.min(vv.seq(incarnation));
    vv.remove(incarnation);
    if let Some(seq) = Seq::new(seq) {
        vv.advance(Dot::new(incarnation, seq));
    }
}

/// One namespace's disputed dots, on their way to new ones.
struct Moving {
    namespace: Namespace,
    ended: Incarnation,
    stands: u64,
    fresh: Incarnation,
    /// The last dot taken.
    last: Option<Dot>,
    moved: Vec<Reissued>,
}

impl Moving {
    fn reissue(
        &mut self,
        tx: &mut Transaction<'_>,
        dot: Dot,
        row: &LogRow,
    ) -> Result<(), StoreError> {
        if let Some(hlc) = row.deleted {
            tx.drop_tombstone(self.namespace, dot, &row.path);
            let next = self.next(dot, &row.path);
            tx.log_delete(self.namespace, &row.path, next, hlc, row.ends_transaction);
            return Ok(());
        }
        tx.own.log.insert((self.namespace, dot), None);
        let mut entry = tx.entry(self.namespace, &row.path)?;
        let live = entry.live().iter().find(|live| live.dot == dot).cloned();
        always!(live.is_some(), "a log row without a delete is of a live dot");
        let Some(live) = live else { return Ok(()) };
        entry.retain(|live| live.dot != dot);
        tx.own.entries.insert((self.namespace, row.path.clone()), entry);
        for (path, payload) in self.places(tx, &row.path, &live.payload) {
            let path = path.named(self.peek());
            let next = self.next(dot, &path);
            self.put(tx, &path, LiveDot { dot: next, hlc: stamp(&live), payload }, row)?;
        }
        Ok(())
    }

    fn put(
        &self,
        tx: &mut Transaction<'_>,
        path: &Path,
        live: LiveDot,
        row: &LogRow,
    ) -> Result<(), StoreError> {
        let mut entry = tx.entry(self.namespace, path)?;
        let (dot, log) = (live.dot, LogRow { path: path.clone(), ..row.clone() });
        entry.insert(live);
        tx.own.entries.insert((self.namespace, path.clone()), entry);
        tx.own.log.insert((self.namespace, dot), Some(log));
        Ok(())
    }

    /// The dot that comes next.
    fn peek(&self) -> Dot {
        Dot::new(self.fresh, self.last.map_or(Seq::FIRST, |last| last.seq.plus(1)))
    }

    /// Takes it.
    fn next(&mut self, before: Dot, path: &Path) -> Dot {
        let now = self.peek();
        self.last = Some(now);
        let (namespace, path) = (self.namespace, path.clone());
        self.moved.push(Reissued { namespace, path, before, now });
        now
    }

    /// Where a write reappears. Of an entry of a log others may hold another one at the same path, which is
    /// named by the disputed dot; so it takes a new path. Of a slot that others have counted in before, only
    /// what it gained since is this replica's to bring again (S1).
    fn places(
        &self,
        tx: &Transaction<'_>,
        path: &Path,
        payload: &Payload,
    ) -> Vec<(Place, Payload)> {
        if payload.kind == PayloadKind::LOG {
            return vec![(Place::Named(path.clone()), payload.clone())];
        }
        let opened = slot_opened(path).filter(|dot| dot.incarnation == self.ended);
        let (Some(opened), Some(slot)) = (opened, Slot::decode(payload)) else {
            return vec![(Place::Same(path.clone()), payload.clone())];
        };
        if opened.seq.get() > self.stands {
            return vec![(Place::Named(path.clone()), payload.clone())];
        }
        let before = tx.heads.began.slot(self.namespace, path);
        let whole = planted!("of a slot only the gain is issued again");
        match before.filter(|_| !whole) {
            Some(before) => {
                let (old, gain) = parted(slot, before);
                let moved = (Place::Named(path.clone()), gain.encode());
                vec![(Place::Same(path.clone()), old.encode()), moved]
            }
            // What it gained is not known. Its totals join with those of others by the greater of each, so
            // that nothing counts twice.
            None => vec![(Place::Same(path.clone()), payload.clone())],
        }
    }
}

/// Where a write reappears.
enum Place {
    Same(Path),
    /// Beside its old place, under the name of its new dot.
    Named(Path),
}

impl Place {
    fn named(self, dot: Dot) -> Path {
        match self {
            Self::Same(path) => path,
            Self::Named(path) => {
                let mut components: Vec<Vec<u8>> = path.components().collect();
                components.pop();
                components.push(dot.to_bytes().to_vec());
                Path::new(components).expect("a name of the same length makes a path again")
            }
        }
    }
}

fn stamp(live: &LiveDot) -> Hlc {
    match planted!("a re-issued write keeps its stamp") {
        true => Hlc::from_ms(live.hlc.ms() + 1_000_000),
        false => live.hlc,
    }
}

/// The dot that a slot is named by.
fn slot_opened(path: &Path) -> Option<Dot> {
    counter::slot_owner(path)?;
    Dot::from_bytes(path.components().last()?.try_into().ok()?)
}

/// A slot's totals as they were, with the resets that reach them, and what it has gained since.
fn parted(slot: Slot, before: Slot) -> (Slot, Slot) {
    let old = Slot {
        plus: slot.plus.min(before.plus),
        minus: slot.minus.min(before.minus),
        plus_base: slot.plus_base.min(before.plus),
        minus_base: slot.minus_base.min(before.minus),
    };
    let gain = Slot {
        plus: slot.plus - old.plus,
        minus: slot.minus - old.minus,
        plus_base: slot.plus_base - old.plus_base,
        minus_base: slot.minus_base - old.minus_base,
    };
    (old, gain)
}
