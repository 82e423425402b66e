//! The delayed replica: it holds all that it has received, and shows what it had received some time ago.
//!
//! The main namespace is as current as on any node: replication, acks, collection and refresh know nothing of
//! the delay. What readers see is a namespace of its own, [`SHOWN`], which is on no wire. Each job that
//! changes the main namespace leaves a record of what it changed, with the time of its arrival, in the same
//! commit; the records are applied to [`SHOWN`] in their order, when they are old enough. So what is shown is
//! exactly what the main namespace was after one of its commits, and whatever was atomic there is so here.
//!
//! Time is the node's own: milliseconds during which it ran, on its monotonic clock. It is stored with each
//! record, and now and then while records wait, so a restart may make it late and never early.

use std::ops::ControlFlow;

use bytes::Bytes;
use millpond_core::{
    Dot, Entry, Hlc, LiveDot, Namespace, Path, Payload, PayloadKind, VersionVector,
};
use serde::{Deserialize, Serialize};

use super::heads::{Heads, meta_key, read_meta, write_meta};
use super::transaction::Transaction;
use super::view::View;
use crate::indexes::distrust;
use crate::planted::planted;
use crate::probes::sometimes;
use crate::store::{Changes, Durability, LogRow, Snapshot, Store, StoreError};

/// What a delayed replica shows: the main namespace as it was. No peer hears of it.
pub(crate) const SHOWN: Namespace = Namespace::from_number(u32::MAX);

/// The staged rows of this namespace are the records that wait.
const WAITING: Namespace = Namespace::from_number(u32::MAX - 1);

/// A delayed replica, as its store knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Delayed {
    /// The node's own time, and the wall clock's, when something last arrived or the two were last noted.
    pub(crate) clock_ms: u64,
    pub(crate) wall_ms: u64,
    /// The number of the next record.
    next: u64,
    /// When the oldest record arrived that waits, on the node's own clock; at the latest.
    pub(crate) oldest_ms: Option<u64>,
    /// When what is shown arrived, on the wall clock.
    pub(crate) shown_wall_ms: u64,
    /// What becomes of records.
    pub(crate) mode: DelayMode,
}

/// What becomes of the records of a delayed replica.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum DelayMode {
    /// They are applied when they are old enough.
    #[default]
    Running,
    /// They wait.
    Paused,
    /// Those that arrived up to a moment, on the wall clock, are applied now; then they wait.
    Until {
        /// That moment.
        wall_ms: u64,
    },
    /// There is no delay any more: readers see the main namespace.
    Promoted,
}

/// When a job's content arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// On the node's own clock.
    pub(crate) clock_ms: u64,
    /// On the wall clock.
    pub(crate) wall_ms: u64,
    /// Whether it is shown at once: a fresh replica begins with what there is.
    pub(crate) is_shown: bool,
}

/// How far records are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// What arrived up to here on the node's own clock.
    Clock(u64),
    /// What arrived up to here on the wall clock.
    Wall(u64),
}

/// What one job changed of the main namespace.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    arrived_ms: u64,
    wall_ms: u64,
    /// The vector afterwards. None while a cut is visible that is not folded: what is in the tables is not
    /// what readers see, so there is nothing to be shown between this record and the next one with a vector.
    vv: Option<VersionVector>,
    /// The floor afterwards: what readers of changes may go on from.
    floor: VersionVector,
    entries: Vec<(Vec<u8>, Vec<StoredDot>)>,
    log: Vec<(Dot, Option<StoredLogRow>)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredDot(Dot, Hlc, u16, Vec<u8>);

#[derive(Debug, Serialize, Deserialize)]
struct StoredLogRow(Vec<u8>, Option<Hlc>, bool);

impl Heads {
    /// The delay, while this replica is delayed.
    pub(crate) fn delay(&self) -> Option<&Delayed> {
        self.delayed.as_deref().filter(|it| it.mode != DelayMode::Promoted)
    }

    /// The namespace that readers of the data see.
    pub(crate) fn shown(&self) -> Namespace {
        if self.delay().is_some() { SHOWN } else { Namespace::MAIN }
    }
}

/// The namespace that readers of a snapshot see.
pub(crate) fn shown_in(snapshot: &dyn Snapshot) -> Result<Namespace, StoreError> {
    let delayed: Option<Delayed> = read_meta(snapshot, &meta_key::delayed())?;
    let is_delayed = delayed.is_some_and(|it| it.mode != DelayMode::Promoted);
    Ok(if is_delayed { SHOWN } else { Namespace::MAIN })
}

/// Something arrives.
pub(super) fn note_arrival(heads: &mut Heads, arrival: Arrival) {
    if let Some(delayed) = &mut heads.delayed {
        delayed.clock_ms = delayed.clock_ms.max(arrival.clock_ms);
        delayed.wall_ms = arrival.wall_ms;
    }
}

/// A job has changed something: leaves a record of that in the same commit, if the replica is delayed.
pub(super) fn record(
    before: &Heads,
    after: &mut Heads,
    changes: &mut Changes,
    is_shown: bool,
) -> Result<(), StoreError> {
    if after.delay().is_none() {
        return Ok(());
    }
    let record = Record::of(before, after, changes);
    let Some(record) = record else { return Ok(()) };
    let Some(delayed) = &mut after.delayed else { return Ok(()) };
    let is_first = delayed.oldest_ms.is_none() && delayed.mode == DelayMode::Running;
    if is_shown && is_first && record.vv.is_some() {
        delayed.shown_wall_ms = delayed.wall_ms;
        changes.absorb(record.apply(after)?);
        return Ok(());
    }
    delayed.oldest_ms.get_or_insert(delayed.clock_ms);
    let path = record_path(delayed.clock_ms, delayed.next);
    delayed.next += 1;
    let bytes = postcard::to_allocvec(&record).expect("plain values always encode");
    changes.staged.insert((WAITING, path), Some(bytes.into()));
    Ok(())
}

/// In the order of arrival.
fn record_path(clock_ms: u64, number: u64) -> Path {
    Path::new([clock_ms.to_be_bytes(), number.to_be_bytes()])
        .expect("two short components are a path")
}

impl Record {
    fn of(before: &Heads, after: &Heads, changes: &Changes) -> Option<Self> {
        let delayed = after.delayed.as_ref()?;
        let main = Namespace::MAIN;
        let entries = changes.entries.iter().filter(|((namespace, _), _)| *namespace == main);
        let log = changes.log.iter().filter(|((namespace, _), _)| *namespace == main);
        let is_folding =
            after.folds.contains_key(&main) && !planted!("a record is of what readers see");
        let was_folding = before.folds.contains_key(&main);
        let vv = (!is_folding).then(|| after.vv(main).clone());
        let record = Self {
            arrived_ms: delayed.clock_ms,
            wall_ms: delayed.wall_ms,
            floor: after.floor(main).clone(),
            entries: entries
                .map(|((_, path), entry)| (path.as_bytes().to_vec(), store(entry)))
                .collect(),
            log: log.map(|((_, dot), row)| (*dot, row.as_ref().map(StoredLogRow::of))).collect(),
            vv,
        };
        let is_of_vv = before.vv(main) != after.vv(main) || was_folding != is_folding;
        (is_of_vv || !record.entries.is_empty() || !record.log.is_empty()).then_some(record)
    }

    /// Changes the vector of what is shown, and its floor; and what is to be changed of its rows.
    fn apply(self, heads: &mut Heads) -> Result<Changes, StoreError> {
        let mut changes = Changes::default();
        for (path, dots) in self.entries {
            changes.entries.insert((SHOWN, stored_path(path)?), load(dots));
        }
        for (dot, row) in self.log {
            let row = row.map(|StoredLogRow(path, deleted, ends_transaction)| {
                Ok::<_, StoreError>(LogRow { path: stored_path(path)?, deleted, ends_transaction })
            });
            changes.log.insert((SHOWN, dot), row.transpose()?);
        }
        if let Some(vv) = self.vv {
            heads.vv.insert(SHOWN, vv);
            heads.floor.insert(SHOWN, self.floor);
        }
        Ok(changes)
    }
}

impl StoredLogRow {
    fn of(row: &LogRow) -> Self {
        Self(row.path.as_bytes().to_vec(), row.deleted, row.ends_transaction)
    }
}

fn store(entry: &Entry) -> Vec<StoredDot> {
    let stored =
        |it: &LiveDot| StoredDot(it.dot, it.hlc, it.payload.kind.0, it.payload.bytes.to_vec());
    entry.live().iter().map(stored).collect()
}

fn load(dots: Vec<StoredDot>) -> Entry {
    let live = |StoredDot(dot, hlc, kind, bytes)| {
        let payload = Payload { kind: PayloadKind(kind), bytes: Bytes::from(bytes) };
        LiveDot { dot, hlc, payload }
    };
    Entry::from_live(dots.into_iter().map(live).collect())
}

fn stored_path(bytes: Vec<u8>) -> Result<Path, StoreError> {
    Path::from_encoded(bytes.into()).map_err(|_| corrupt())
}

fn corrupt() -> StoreError {
    StoreError::Corrupt { what: "a record of the delayed replica".into() }
}

/// Applies records that are due, in their order: some of them, and up to one after which readers may look.
pub(super) fn apply_due(tx: &mut Transaction<'_>, due: Due) -> Result<(), StoreError> {
    let Some(mode) = tx.heads.delay().map(|it| it.mode) else { return Ok(()) };
    // Since it was asked for, something else may have been ordered.
    let is_ordered = match (due, mode) {
        (Due::Clock(_), DelayMode::Running) => true,
        (Due::Wall(ms), DelayMode::Until { wall_ms }) => ms == wall_ms,
        _ => planted!("an order about the delay holds at once"),
    };
    if !is_ordered {
        sometimes!(ShowOvertaken);
        return Ok(());
    }
    let mut records_max = RECORDS_AT_ONCE;
    let (taken, rest) = loop {
        let (rows, is_all) = tx.some_staged(WAITING, records_max, usize::MAX)?;
        let mut taken = Vec::new();
        let (mut is_over, mut whole, mut bytes) = (false, 0, 0);
        let mut next = None;
        for (path, row) in rows {
            let record: Record = postcard::from_bytes(&row).map_err(|_| corrupt())?;
            let is_due = match due {
                Due::Clock(ms) => {
                    record.arrived_ms <= ms || planted!("what is delayed is not shown early")
                }
                Due::Wall(ms) => record.wall_ms <= ms || planted!("what came later is not shown"),
            };
            if !is_due || (whole > 0 && bytes > BYTES_AT_ONCE) {
                (is_over, next) = (true, Some((is_due, record.arrived_ms)));
                break;
            }
            bytes += row.len();
            let arrived_ms = record.arrived_ms;
            taken.push((path, record));
            if taken.last().is_some_and(|(_, record)| record.vv.is_some()) {
                whole = taken.len();
            }
            next = Some((true, arrived_ms));
        }
        // Without a moment at which readers may look there is nothing to stop at.
        if whole == 0 && !is_over && !is_all {
            records_max *= 2;
            continue;
        }
        let rest = match (taken.get(whole), is_over || !is_all) {
            (Some((_, record)), _) => Some((whole > 0, record.arrived_ms)),
            (None, true) => next,
            (None, false) => None,
        };
        taken.truncate(whole);
        break (taken, rest);
    };
    let is_progress = !taken.is_empty();
    for (path, record) in taken {
        let shown_wall_ms = record.wall_ms;
        let changes = record.apply(&mut tx.heads)?;
        tx.absorb(changes);
        tx.unstage(WAITING, path);
        if let Some(delayed) = &mut tx.heads.delayed {
            delayed.shown_wall_ms = shown_wall_ms;
        }
    }
    if let Some(delayed) = &mut tx.heads.delayed {
        delayed.oldest_ms = rest.map(|(_, arrived_ms)| arrived_ms);
        let is_done = !is_progress || rest.is_none_or(|(is_due, _)| !is_due);
        if is_done && matches!(delayed.mode, DelayMode::Until { .. }) {
            delayed.mode = DelayMode::Paused;
        }
    }
    Ok(())
}

/// Brings a store in line with what its replica is to be, before anything else uses it: one that becomes
/// delayed shows what it has, and one that is so no more forgets what it showed.
pub(crate) fn settle_delay(store: &dyn Store, is_delayed: bool) -> Result<(), StoreError> {
    let held: Option<Delayed> = read_meta(&*store.snapshot()?, &meta_key::delayed())?;
    match (held, is_delayed) {
        (None, false) => Ok(()),
        // Once promoted it stays so until its configuration says no more that it is delayed.
        (Some(_), true) => Ok(()),
        (Some(_), false) => {
            let promoted = Delayed { mode: DelayMode::Promoted, ..Delayed::default() };
            let mut changes = Changes::default();
            write_meta(&mut changes, meta_key::delayed(), Some(&promoted));
            store.commit(&changes, Durability::Synced)?;
            clear(store)?;
            let mut changes = Changes::default();
            write_meta::<Delayed>(&mut changes, meta_key::delayed(), None);
            store.commit(&changes, Durability::Synced)
        }
        (None, true) => {
            clear(store)?;
            copy(store)
        }
    }
}

/// Forgets what was shown, and what waited.
fn clear(store: &dyn Store) -> Result<(), StoreError> {
    let snapshot = store.snapshot()?;
    let mut slices = Slices::new(store);
    slices.changes.unstaged.insert(WAITING);
    distrust(&*snapshot, &mut slices.changes)?;
    for namespace in [SHOWN, Namespace::MAIN] {
        let vv: Option<VersionVector> = read_meta(&*snapshot, &meta_key::vv(namespace))?;
        for Dot { incarnation, .. } in vv.unwrap_or_default().iter() {
            slices.each(|visit| {
                snapshot.log(SHOWN, incarnation, 0, u64::MAX, &mut |dot, _| {
                    visit(&mut |changes| drop(changes.log.insert((SHOWN, dot), None)))
                })
            })?;
        }
    }
    slices.each(|visit| {
        snapshot.entries(SHOWN, None, None, &mut |path, _| {
            visit(&mut |changes| {
                changes.entries.insert((SHOWN, path.clone()), Entry::absent());
            })
        })
    })?;
    write_meta::<VersionVector>(&mut slices.changes, meta_key::vv(SHOWN), None);
    write_meta::<VersionVector>(&mut slices.changes, meta_key::floor(SHOWN), None);
    slices.commit()
}

/// Shows what there is.
fn copy(store: &dyn Store) -> Result<(), StoreError> {
    let snapshot = store.snapshot()?;
    let view = View::new(snapshot, Namespace::MAIN)?;
    let mut slices = Slices::new(store);
    // First: who clears what was half copied finds the log by it.
    write_meta(&mut slices.changes, meta_key::vv(SHOWN), Some(view.vv()));
    write_meta(&mut slices.changes, meta_key::floor(SHOWN), Some(&view.floor()?));
    for Dot { incarnation, seq } in view.vv().iter() {
        slices.each(|visit| {
            view.log(incarnation, 0, seq.get(), &mut |dot, row| {
                visit(&mut |changes| drop(changes.log.insert((SHOWN, dot), Some(row.clone()))))
            })
        })?;
    }
    slices.each(|visit| {
        view.entries(None, None, &mut |path, entry| {
            visit(&mut |changes| {
                changes.entries.insert((SHOWN, path.clone()), entry.clone());
            })
        })
    })?;
    write_meta(&mut slices.changes, meta_key::delayed(), Some(&Delayed::default()));
    slices.commit()
}

/// Changes that are committed some at a time.
struct Slices<'a> {
    store: &'a dyn Store,
    changes: Changes,
}

/// Changes something for one row.
type Change<'c> = &'c mut dyn FnMut(&mut Changes);

impl<'a> Slices<'a> {
    fn new(store: &'a dyn Store) -> Self {
        Self { store, changes: Changes::default() }
    }

    /// Runs a scan that changes something for each row.
    fn each(
        &mut self,
        scan: impl FnOnce(&mut dyn FnMut(Change<'_>) -> ControlFlow<()>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut failed = None;
        scan(&mut |change| {
            change(&mut self.changes);
            if self.changes.entries.len() + self.changes.log.len() < ROWS_AT_ONCE {
                return ControlFlow::Continue(());
            }
            match self.commit() {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let changes = std::mem::take(&mut self.changes);
        self.store.commit(&changes, Durability::Synced)
    }
}

/// Records read at once.
const RECORDS_AT_ONCE: usize = 64;
/// Bytes of records applied at once: what a disk takes within some ten milliseconds.
const BYTES_AT_ONCE: usize = 512 << 10;
/// Rows of one commit while a store is brought in line: nobody waits for it yet.
const ROWS_AT_ONCE: usize = 20_000;
