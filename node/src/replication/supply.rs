//! Catch-up at the supplier: every path with a live or uncollected delete dot between two vectors, in path
//! order, from one snapshot, frame by frame.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use millpond_core::message::{Message, Pull, PullRefusal, Resume};
use millpond_core::transport::Lane;
use millpond_core::wire::{RowsFrame, RowsWriter};
use millpond_core::{Dot, DotRange, Entry, Hlc, Namespace, Path, Row, RowDot, VersionVector};

use super::LinkId;
use super::engine::Engine;
use super::limits::Limits;
use crate::planted::planted;
use crate::probes::{always, never, sometimes};
use crate::reconcile::Differs;
use crate::state::{Fold, Overlay, meta_key, read_meta, tells_all};
use crate::store::{LogRow, Snapshot, StoreError};

/// A catch-up being supplied.
pub(super) struct Supply {
    /// What its readers see, and what its tables hold.
    snapshot: Arc<dyn Snapshot>,
    tables: Arc<dyn Snapshot>,
    /// A cut that is visible in the snapshot and not yet folded: what it brought is not in the log.
    fold: Option<Fold>,
    /// When it was taken.
    since_ms: u64,
    namespace: Namespace,
    transfer: u64,
    from: VersionVector,
    /// The vector of the snapshot.
    pub(super) upto: VersionVector,
    /// Its floor.
    pub(super) floor: VersionVector,
    resume: Option<Resume>,
    /// The comparison whose half it is, and what of it differs.
    pub(super) session: Option<u64>,
    differs: Option<Arc<Differs>>,
    /// Paths found in the log, with their delete dots.
    paths: BTreeMap<Path, Vec<(Dot, Hlc)>>,
    /// Whether `paths` holds only those with delete dots, since the entries are scanned anyway.
    scans: bool,
    phase: Phase,
    rows: u64,
    frame_bytes: usize,
}

/// How far it is.
enum Phase {
    /// Reading the log: ranges to go, the last one first.
    Log(Vec<DotRange>),
    /// Reading what is staged beyond a path, and visible.
    Staged(Option<Path>),
    /// Sending rows beyond a path.
    Rows(Option<Path>),
    /// Sending again what changed behind the cursor of a resumed transfer.
    Behind(Option<Path>),
}

/// What a step of supplying came to.
pub(super) enum Step {
    /// There is more to do.
    Working,
    /// A frame to send.
    Frame(RowsFrame, u64),
    /// The end.
    Done { rows: u64 },
}

impl Engine {
    /// A peer asks for all that it lacks.
    pub(super) fn supply(&mut self, link_id: LinkId, pull: Pull) {
        let transfer = pull.transfer;
        if !self.gives_to(link_id) {
            sometimes!(PullNotAllowed);
            return self.refuse_pull(link_id, transfer, PullRefusal::NotAllowed);
        }
        if !self.inboxes.contains_key(&pull.namespace) {
            never!("asks for a namespace that there is not");
            return self.refuse_pull(link_id, transfer, PullRefusal::NotAllowed);
        }
        self.answer_pull(link_id, pull);
    }

    /// Answers a question, or goes on with the answer, from the present.
    fn answer_pull(&mut self, link_id: LinkId, pull: Pull) {
        let transfer = pull.transfer;
        let supply = match self.start_supply(pull) {
            Ok(supply) => supply,
            Err(error) => {
                tracing::error!(%error, "a catch-up cannot be supplied");
                return self.refuse_pull(link_id, transfer, PullRefusal::Busy);
            }
        };
        if !supply.tells_all() {
            return self.refuse_pull(link_id, transfer, PullRefusal::BelowFloor);
        }
        if supply.is_torn() {
            // What changed behind the cursor is partly staged, in no order of time.
            sometimes!(ResumptionMeetsFold);
            return self.refuse_pull(link_id, transfer, PullRefusal::Busy);
        }
        self.begin_supply(link_id, supply);
    }

    /// Begins to supply, unless there is too much to do.
    pub(super) fn begin_supply(&mut self, link_id: LinkId, supply: Supply) {
        let (namespace, transfer) = (supply.namespace, supply.transfer);
        let is_again = |(link, _): &(LinkId, u64), supply: &Supply| {
            *link == link_id && supply.namespace == namespace
        };
        // A new question on the same link replaces the one before.
        sometimes!(self.supplies.iter().any(|(key, supply)| is_again(key, supply)), AskedAgain);
        self.supplies.retain(|key, supply| !is_again(key, supply));
        if self.supplies.len() >= SUPPLIES_MAX || self.is_recalling(link_id) {
            sometimes!(SuppliesFull);
            return self.refuse_pull(link_id, transfer, PullRefusal::Busy);
        }
        sometimes!(supply.scans, SupplyScans);
        sometimes!(!supply.scans, SupplyCollects);
        let is_newest =
            supply.session.is_some() || supply.upto.covers_all(self.applied(supply.namespace));
        always!(is_newest, "a supplier's snapshot holds what it has applied");
        let (upto, floor) = (supply.upto.clone(), supply.floor.clone());
        let rows_estimate = upto.count_beyond(&supply.from);
        if !planted!("a batch introduces its incarnations") {
            self.introduce_all(link_id, Lane::Bulk, &upto);
        }
        let start = Message::PullStart { transfer, upto, rows_estimate, floor };
        self.send(link_id, Lane::Bulk, &start);
        self.supplies.insert((link_id, transfer), supply);
    }

    pub(super) fn refuse_pull(&mut self, link_id: LinkId, transfer: u64, reason: PullRefusal) {
        self.send(link_id, Lane::Bulk, &Message::PullRefused { transfer, reason });
    }

    fn start_supply(&self, pull: Pull) -> Result<Supply, StoreError> {
        let supply = Supply::new(self.store.snapshot()?, pull, self.config.limits)?;
        Ok(Supply { since_ms: self.now.mono_ms, ..supply })
    }

    /// A catch-up that takes long goes on from the present, as if it had been cut off and resumed: a snapshot
    /// keeps the store from using again the space of all that has changed since.
    pub(super) fn run_supplies(&mut self) {
        let now_ms = self.now.mono_ms;
        let is_old = |supply: &&Supply| self.renewal_ms(supply) <= now_ms;
        let old = self.supplies.iter().filter(|(_, supply)| is_old(supply));
        let old: Vec<(LinkId, u64)> = old.map(|(&key, _)| key).collect();
        for (link_id, transfer) in old {
            if let Some(supply) = self.supplies.remove(&(link_id, transfer)) {
                sometimes!(SnapshotGivenBack);
                self.answer_pull(link_id, supply.rest());
            }
        }
    }

    /// When a supply takes a new snapshot.
    fn renewal_ms(&self, supply: &Supply) -> u64 {
        match supply.is_renewable() && !planted!("a snapshot is given back in time") {
            true => supply.since_ms.saturating_add(self.config.limits.snapshot_ms),
            false => u64::MAX,
        }
    }

    /// How long the oldest snapshot has been held of those that are given back in time.
    #[cfg(any(test, feature = "sim"))]
    pub(super) fn oldest_snapshot_ms(&self) -> u64 {
        let held = self.supplies.values().filter(|it| it.is_renewable());
        held.map(|supply| self.now.mono_ms.saturating_sub(supply.since_ms)).max().unwrap_or(0)
    }

    pub(super) fn next_supply_ms(&self) -> u64 {
        self.supplies.values().map(|it| self.renewal_ms(it)).min().unwrap_or(u64::MAX)
    }

    /// One step of each catch-up whose peer has room.
    pub(super) fn step_supplies(&mut self) {
        let keys: Vec<(LinkId, u64)> = self.supplies.keys().copied().collect();
        for key in keys {
            let (link_id, transfer) = key;
            if !self.links.get(&link_id).is_some_and(|link| link.has_room_for_rows()) {
                sometimes!(RowsWindowFull);
                continue;
            }
            let Some(supply) = self.supplies.get_mut(&key) else { continue };
            if planted!("a catch-up is of one snapshot") {
                supply.snapshot = self.store.snapshot().unwrap_or(supply.snapshot.clone());
            }
            match supply.step() {
                Ok(Step::Working) => {}
                Ok(Step::Frame(frame, payload)) => self.send_rows(link_id, frame, payload),
                Ok(Step::Done { rows }) => {
                    let session = self.supplies.remove(&key).and_then(|it| it.session);
                    self.send(link_id, Lane::Bulk, &Message::PullEnd { transfer, rows });
                    if let Some(session) = session {
                        self.supplied_compared((link_id, session));
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "a catch-up cannot be supplied");
                    self.supplies.remove(&key);
                    let reason = PullRefusal::Busy;
                    self.send(link_id, Lane::Bulk, &Message::PullRefused { transfer, reason });
                }
            }
        }
    }

    fn send_rows(&mut self, link_id: LinkId, frame: RowsFrame, payload: u64) {
        let (rows, bytes) = (frame.len() as u64, frame.encoded_bytes() as u64);
        self.send(link_id, Lane::Bulk, &Message::Rows(frame));
        let Some(link) = self.links.get_mut(&link_id) else { return };
        link.sent.rows_bytes += bytes;
        let counters = &mut self.peers.entry(link.peer).or_default().counters;
        counters.rows_sent += rows;
        counters.payload_bytes_sent += payload;
    }
}

impl Supply {
    /// The answer to a question, from a snapshot.
    pub(super) fn new(
        tables: Arc<dyn Snapshot>,
        pull: Pull,
        limits: Limits,
    ) -> Result<Self, StoreError> {
        let vv = read_meta(&*tables, &meta_key::vv(pull.namespace))?;
        let floor = read_meta(&*tables, &meta_key::floor(pull.namespace))?;
        let fold = read_meta(&*tables, &meta_key::fold(pull.namespace))?;
        let fold = fold.filter(|_| !planted!("what is supplied is folded"));
        let snapshot = match planted!("what is supplied is folded") {
            true => tables.clone(),
            false => Overlay::over(tables.clone(), pull.namespace)?,
        };
        let upto: VersionVector = vv.unwrap_or_default();
        let ranges: Vec<DotRange> = upto.beyond(&pull.from).collect();
        // With much to send, walking the entries beats collecting their paths; a fresh peer needs them all.
        let scans = pull.from.is_empty() || upto.count_beyond(&pull.from) > limits.collected_dots;
        Ok(Self {
            snapshot,
            tables,
            fold,
            since_ms: 0,
            namespace: pull.namespace,
            transfer: pull.transfer,
            upto,
            floor: floor.unwrap_or_default(),
            from: pull.from,
            resume: pull.resume,
            session: None,
            differs: None,
            paths: BTreeMap::new(),
            scans,
            phase: Phase::Log(ranges),
            rows: 0,
            frame_bytes: limits.rows_frame_bytes,
        })
    }

    /// Whether the asker learns of all that was deleted (R9). One that holds nothing of the supplier's has
    /// staged something of it when it resumes; what was collected since it would keep.
    pub(super) fn tells_all(&self) -> bool {
        let from = tells_all(&self.from, &self.upto, &self.floor)
            || planted!("who is below the floor is not supplied");
        let is_staged_above = self.from.covers_all(&self.floor)
            || self.resume.as_ref().is_none_or(|resume| resume.upto.covers_all(&self.floor))
            || planted!("a resumption is above the floor");
        from && is_staged_above
    }

    /// This side's half of a comparison: what the other's vector does not cover, and all that differs.
    pub(super) fn of_compared(
        snapshot: Arc<dyn Snapshot>,
        (namespace, transfer, from): (Namespace, u64, VersionVector),
        (session, differs): (u64, Arc<Differs>),
        limits: Limits,
    ) -> Result<Self, StoreError> {
        let pull = Pull { namespace, transfer, from, resume: None };
        let mut supply = Self::new(snapshot, pull, limits)?;
        match differs.listed() {
            Some(paths) => {
                let paths = paths.iter().filter(|_| !supply.scans);
                supply.paths.extend(paths.map(|path| (path.clone(), Vec::new())));
            }
            None => supply.scans = true,
        }
        (supply.session, supply.differs) = (Some(session), Some(differs));
        Ok(supply)
    }

    /// Does a bounded piece of work.
    pub(super) fn step(&mut self) -> Result<Step, StoreError> {
        match &mut self.phase {
            Phase::Log(ranges) => match ranges.pop() {
                Some(range) => self.read_log(range),
                None => {
                    self.phase = match self.fold {
                        Some(_) => Phase::Staged(None),
                        None => self.first_rows(),
                    };
                    Ok(Step::Working)
                }
            },
            Phase::Staged(after) => {
                let after = after.clone();
                self.phase = match self.read_staged(after)? {
                    Some(last) => Phase::Staged(Some(last)),
                    None => self.first_rows(),
                };
                Ok(Step::Working)
            }
            Phase::Rows(cursor) => {
                let cursor = cursor.clone();
                let (frame, payload, last) =
                    if self.scans { self.scan(cursor)? } else { self.collected(cursor)? };
                self.phase = match last {
                    Some(last) => Phase::Rows(Some(last)),
                    None => Phase::Behind(None),
                };
                Ok(self.frame(frame, payload))
            }
            Phase::Behind(cursor) => {
                let cursor = cursor.clone();
                if planted!("a resumption sends what changed") {
                    self.resume = None;
                }
                let Some(resume) = self.resume.clone() else {
                    return Ok(Step::Done { rows: self.rows });
                };
                let (frame, payload, last) = self.changed_behind(&resume, cursor)?;
                match last {
                    Some(last) => self.phase = Phase::Behind(Some(last)),
                    None => self.resume = None,
                }
                Ok(self.frame(frame, payload))
            }
        }
    }

    /// The question for the rest, as whoever asked would put it if this ended here.
    fn rest(self) -> Pull {
        let Self { namespace, transfer, from, upto, mut resume, phase, .. } = self;
        if let Phase::Rows(Some(cursor)) = phase {
            let since = resume.map_or(upto, |resume| resume.upto);
            resume = Some(Resume { upto: since, cursor });
        }
        Pull { namespace, transfer, from, resume }
    }

    /// Whether it may go on with a newer snapshot. Not in its last part, which would begin again each time; nor
    /// for a refresh, which is of the snapshot that was compared.
    fn is_renewable(&self) -> bool {
        self.session.is_none() && !matches!(self.phase, Phase::Behind(_))
    }

    /// Whether it resumes another one while what has changed since is partly staged.
    pub(super) fn is_torn(&self) -> bool {
        self.fold.is_some() && self.resume.is_some()
    }

    fn first_rows(&self) -> Phase {
        Phase::Rows(self.resume.as_ref().map(|resume| resume.cursor.clone()))
    }

    /// Finds the paths of some staged rows, as the log will have them; and where it ended, unless that was
    /// the end.
    fn read_staged(&mut self, after: Option<Path>) -> Result<Option<Path>, StoreError> {
        let (Some(fold), mut read, mut last) = (&self.fold, 0, None) else { return Ok(None) };
        let (scans, from, paths) = (self.scans, &self.from, &mut self.paths);
        fold.staged_rows(&*self.tables, self.namespace, after.as_ref(), &mut |row| {
            let deletes = fold.new_deletes(&row).filter(|(dot, _)| !from.covers(*dot));
            let deletes: Vec<(Dot, Hlc)> = deletes.collect();
            let is_new = row.live.iter().any(|live| !from.covers(live.dot));
            if !deletes.is_empty() || (is_new && !scans) {
                paths.entry(row.path.clone()).or_default().extend(deletes);
            }
            read += 1;
            if read < STEP_ROWS {
                return ControlFlow::Continue(());
            }
            last = Some(row.path);
            ControlFlow::Break(())
        })?;
        Ok(last)
    }

    /// Reads some of the log, and puts the rest of the range back.
    fn read_log(&mut self, range: DotRange) -> Result<Step, StoreError> {
        let mut read = 0;
        let mut last = None;
        let (scans, paths) = (self.scans, &mut self.paths);
        let mut visit = |dot: Dot, row: LogRow| {
            match row.deleted {
                Some(hlc) => paths.entry(row.path).or_default().push((dot, hlc)),
                None if scans => {}
                None => drop(paths.entry(row.path).or_default()),
            }
            read += 1;
            last = Some(dot.seq.get());
            if read < STEP_ROWS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let DotRange { incarnation, after, upto } = range;
        self.tables.log(self.namespace, incarnation, after, upto.get(), &mut visit)?;
        if let (STEP_ROWS.., Some(after), Phase::Log(ranges)) = (read, last, &mut self.phase)
            && after < upto.get()
        {
            ranges.push(DotRange { after, ..range });
        }
        Ok(Step::Working)
    }

    /// Rows of the collected paths beyond a cursor: a frame's worth, and where it ended unless that was the
    /// end.
    fn collected(&self, cursor: Option<Path>) -> Result<Piece, StoreError> {
        let mut piece = PieceWriter::new(self.transfer, self.frame_bytes);
        for (path, deletes) in self.paths_beyond(cursor) {
            let entry = self.snapshot.entry(self.namespace, path)?;
            if let Some(row) = self.row(path.clone(), entry, deletes.clone()) {
                piece.push(&row);
            }
            if piece.is_full() {
                return Ok(piece.finish(Some(path.clone())));
            }
        }
        Ok(piece.finish(None))
    }

    /// The same by walking the entries, merged with the paths that have delete dots.
    fn scan(&self, cursor: Option<Path>) -> Result<Piece, StoreError> {
        let mut piece = PieceWriter::new(self.transfer, self.frame_bytes);
        let mut deleted = self.paths_beyond(cursor.clone()).peekable();
        let mut visited = 0;
        let mut last = None;
        self.snapshot.entries(self.namespace, None, cursor.as_ref(), &mut |path, entry| {
            while let Some((gone, deletes)) = deleted.next_if(|(gone, _)| **gone < path) {
                piece.extend(self.row(gone.clone(), Entry::absent(), deletes.clone()));
            }
            let deletes = deleted.next_if(|(found, _)| **found == path);
            let deletes = deletes.map(|(_, deletes)| deletes.clone()).unwrap_or_default();
            piece.extend(self.row(path.clone(), entry, deletes));
            visited += 1;
            if piece.is_full() || visited >= STEP_ROWS {
                last = Some(path);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        if last.is_none() {
            for (gone, deletes) in deleted {
                sometimes!(DeletesAfterAllEntries);
                piece.extend(self.row(gone.clone(), Entry::absent(), deletes.clone()));
                if piece.is_full() {
                    last = Some(gone.clone());
                    break;
                }
            }
        }
        Ok(piece.finish(last))
    }

    /// Rows at or before the cursor of a resumed transfer whose log rows are younger than its snapshot.
    fn changed_behind(&self, resume: &Resume, after: Option<Path>) -> Result<Piece, StoreError> {
        let mut changed: BTreeMap<Path, Vec<(Dot, Hlc)>> = BTreeMap::new();
        for DotRange { incarnation, after, upto } in self.upto.beyond(&resume.upto) {
            self.snapshot.log(
                self.namespace,
                incarnation,
                after,
                upto.get(),
                &mut |dot, row| {
                    if row.path <= resume.cursor {
                        let deletes = changed.entry(row.path).or_default();
                        deletes.extend(row.deleted.map(|hlc| (dot, hlc)));
                    }
                    ControlFlow::Continue(())
                },
            )?;
        }
        let mut piece = PieceWriter::new(self.transfer, self.frame_bytes);
        for (path, deletes) in
            changed.range((after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded))
        {
            let entry = self.snapshot.entry(self.namespace, path)?;
            // The row replaces the staged one, so it holds the delete dots of the whole range.
            let deletes = match planted!("a row sent again holds all its deletes") {
                true => deletes.clone(),
                false => self.paths.get(path).cloned().unwrap_or_default(),
            };
            sometimes!(ChangedBehindCursor);
            piece.extend(self.row(path.clone(), entry, deletes));
            if piece.is_full() {
                return Ok(piece.finish(Some(path.clone())));
            }
        }
        Ok(piece.finish(None))
    }

    /// The row of a path; `None` when the peer needs none.
    fn row(&self, path: Path, entry: Entry, mut deletes: Vec<(Dot, Hlc)>) -> Option<Row> {
        // They were found incarnation by incarnation, and those in no order.
        deletes.sort_unstable_by_key(|(dot, _)| *dot);
        if planted!("a batch carries the deletes") {
            deletes.clear();
        }
        let live: Vec<RowDot> = entry
            .live()
            .iter()
            .filter(|live| self.upto.covers(live.dot) || planted!("hidden dots are not supplied"))
            .map(|live| {
                let is_new = !self.from.covers(live.dot);
                let content = is_new.then(|| (live.hlc, live.payload.clone()));
                RowDot { dot: live.dot, content }
            })
            .collect();
        sometimes!(live.iter().any(|live| live.content.is_none()), ContentOmitted);
        let differs = self.differs.as_ref().is_some_and(|differs| differs.contains(&path));
        let is_needed =
            differs || !deletes.is_empty() || live.iter().any(|live| live.content.is_some());
        is_needed.then_some(Row { path, live, deletes })
    }

    fn paths_beyond(
        &self,
        cursor: Option<Path>,
    ) -> impl Iterator<Item = (&Path, &Vec<(Dot, Hlc)>)> {
        let start = cursor.map_or(Bound::Unbounded, Bound::Excluded);
        self.paths.range((start, Bound::Unbounded))
    }

    fn frame(&mut self, frame: Option<RowsFrame>, payload: u64) -> Step {
        let Some(frame) = frame else { return Step::Working };
        self.rows += frame.len() as u64;
        Step::Frame(frame, payload)
    }
}

/// A frame if there is one, the payload bytes in it, and where to go on unless that was the end.
type Piece = (Option<RowsFrame>, u64, Option<Path>);

struct PieceWriter {
    rows: RowsWriter,
    payload: u64,
    bytes_max: usize,
}

impl PieceWriter {
    fn new(transfer: u64, bytes_max: usize) -> Self {
        Self { rows: RowsWriter::new(transfer), payload: 0, bytes_max }
    }

    fn push(&mut self, row: &Row) {
        self.payload += payload_bytes(row);
        self.rows.push(row);
    }

    fn extend(&mut self, row: Option<Row>) {
        if let Some(row) = row {
            self.push(&row);
        }
    }

    fn is_full(&self) -> bool {
        self.rows.encoded_bytes() >= self.bytes_max
    }

    fn finish(self, last: Option<Path>) -> Piece {
        let frame = (!self.rows.is_empty()).then(|| self.rows.finish());
        (frame, self.payload, last)
    }
}

/// Key, field name and value bytes of a row: what a user would say that it holds.
fn payload_bytes(row: &Row) -> u64 {
    let names: usize = row.path.components().skip(1).map(|component| component.len()).sum();
    let values = row.live.iter().filter_map(|live| live.content.as_ref());
    (names + values.map(|(_, payload)| payload.bytes.len()).sum::<usize>()) as u64
}

/// Catch-ups supplied at the same time.
const SUPPLIES_MAX: usize = 4;
/// Rows looked at in one step: some milliseconds.
const STEP_ROWS: usize = 4_000;
