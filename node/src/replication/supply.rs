//! Catch-up at the supplier: every path with a live or uncollected delete dot between two vectors, in path
//! order, from one snapshot, frame by frame.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use millpond_core::message::{Pull, Purpose, Resume};
use millpond_core::wire::{RowsFrame, RowsWriter};
use millpond_core::{
    Dot, DotRange, Entry, Hlc, LiveDot, Namespace, Path, Row, RowDot, VersionVector,
};

use crate::limits::Limits;
use crate::planted::planted;
use crate::probes::sometimes;
use crate::reconcile::Differs;
use crate::state::{Fold, Overlay, is_lost, meta_key, read_meta, tells_all};
use crate::store::{LogRow, Snapshot, StoreError};

/// A catch-up being supplied.
pub(super) struct Supply {
    /// What its readers see, and what its tables hold.
    pub(super) snapshot: Arc<dyn Snapshot>,
    tables: Arc<dyn Snapshot>,
    /// A cut that is visible in the snapshot and not yet folded: what it brought is not in the log.
    fold: Option<Fold>,
    /// When it was taken.
    pub(super) since_ms: u64,
    pub(super) namespace: Namespace,
    pub(super) transfer: u64,
    pub(super) from: VersionVector,
    /// The vector of the snapshot.
    pub(super) upto: VersionVector,
    /// Its floor.
    pub(super) floor: VersionVector,
    resume: Option<Resume>,
    /// The comparison whose half it is, and what of it differs.
    pub(super) session: Option<u64>,
    differs: Option<Arc<Differs>>,
    /// Whether it is for a verification, which needs contents and no more than what differs.
    pub(super) is_verify: bool,
    /// Whether there is damage here, which hides some of it.
    pub(super) is_partial: bool,
    /// Paths found in the log, with their delete dots.
    paths: BTreeMap<Path, Vec<(Dot, Hlc)>>,
    /// Whether `paths` holds only those with delete dots, since the entries are scanned anyway.
    pub(super) scans: bool,
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
            is_verify: false,
            is_partial: false,
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
        (session, differs, purpose): (u64, Arc<Differs>, Purpose),
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
        supply.is_verify = purpose == Purpose::Verify;
        Ok(supply)
    }

    /// Does a bounded piece of work.
    pub(super) fn step(&mut self) -> Result<Step, StoreError> {
        if self.is_verify && self.rows >= VERIFIED_ROWS_MAX {
            return Ok(Step::Done { rows: self.rows });
        }
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
    pub(super) fn rest(self) -> Pull {
        let Self { namespace, transfer, from, upto, mut resume, phase, .. } = self;
        if let Phase::Rows(Some(cursor)) = phase {
            let since = resume.map_or(upto, |resume| resume.upto);
            resume = Some(Resume { upto: since, cursor });
        }
        Pull { namespace, transfer, from, resume }
    }

    /// Whether it may go on with a newer snapshot. Not in its last part, which would begin again each time; nor
    /// for a refresh, which is of the snapshot that was compared.
    pub(super) fn is_renewable(&self) -> bool {
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
        let (scans, from, paths) = (self.scans || self.is_verify, &self.from, &mut self.paths);
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
        let (skips_live, paths) = (self.scans || self.is_verify, &mut self.paths);
        let mut visit = |dot: Dot, row: LogRow| {
            match row.deleted {
                Some(hlc) => paths.entry(row.path).or_default().push((dot, hlc)),
                None if skips_live => {}
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
            let entry = match self.snapshot.entry(self.namespace, path) {
                // It is this side's to mend, and hides nothing of the rest.
                Err(StoreError::Corrupt { .. }) if self.is_verify => continue,
                entry => entry?,
            };
            if let Some(row) = self.row(path.clone(), entry, deletes.clone())? {
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
        let (mut last, mut lost) = (None, None);
        let visit = &mut |path: Path, entry| {
            while let Some((gone, deletes)) = deleted.next_if(|(gone, _)| **gone < path) {
                piece.extend(self.deleted(gone, deletes));
            }
            let deletes = deleted.next_if(|(found, _)| **found == path);
            let deletes = deletes.map(|(_, deletes)| deletes.clone()).unwrap_or_default();
            match self.row(path.clone(), entry, deletes) {
                Ok(row) => piece.extend(row),
                Err(error) => {
                    lost = Some(error);
                    return ControlFlow::Break(());
                }
            }
            visited += 1;
            if piece.is_full() || visited >= STEP_ROWS {
                last = Some(path);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        };
        if self.is_verify {
            self.snapshot.sound_entries(self.namespace, cursor.as_ref(), &mut |met| match met {
                Ok((path, entry)) => visit(path, entry),
                Err(_) => ControlFlow::Continue(()),
            })?;
        } else {
            self.snapshot.entries(self.namespace, None, cursor.as_ref(), visit)?;
        }
        if let Some(error) = lost {
            return Err(error);
        }
        if last.is_none() {
            for (gone, deletes) in deleted {
                sometimes!(DeletesAfterAllEntries);
                piece.extend(self.deleted(gone, deletes));
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
            piece.extend(self.row(path.clone(), entry, deletes)?);
            if piece.is_full() {
                return Ok(piece.finish(Some(path.clone())));
            }
        }
        Ok(piece.finish(None))
    }

    /// The row of a path at which nothing lives.
    fn deleted(&self, path: &Path, deletes: &[(Dot, Hlc)]) -> Option<Row> {
        self.row(path.clone(), Entry::absent(), deletes.to_vec())
            .expect("of what is absent nothing is lost")
    }

    /// The row of a path; `None` when the peer needs none.
    ///
    /// # Errors
    /// [`StoreError::Lost`] when it needs what is lost here.
    fn row(
        &self,
        path: Path,
        entry: Entry,
        mut deletes: Vec<(Dot, Hlc)>,
    ) -> Result<Option<Row>, StoreError> {
        // They were found incarnation by incarnation, and those in no order.
        deletes.sort_unstable_by_key(|(dot, _)| *dot);
        if planted!("a batch carries the deletes") {
            deletes.clear();
        }
        let differs = self.differs.as_ref().is_some_and(|differs| differs.contains(&path));
        if self.is_verify {
            let live = entry.live().iter().map(|live| {
                // That a lost dot lives is worth telling.
                let is_told = differs && !is_lost(live);
                let content = is_told.then(|| (live.hlc, live.payload.clone()));
                RowDot { dot: live.dot, content }
            });
            let is_needed = differs || !deletes.is_empty();
            return Ok(is_needed.then(|| Row { path, live: live.collect(), deletes }));
        }
        let is_wanted = |live: &LiveDot| is_lost(live) && !self.from.covers(live.dot);
        if entry.live().iter().any(is_wanted) {
            sometimes!(LostWanted);
            return Err(StoreError::Lost { path: path.to_string() });
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
        // What the other side has staged is new to it, and compared.
        let is_compared = self.session.is_some() && !planted!("what is staged is not sent again");
        let is_new = !is_compared && live.iter().any(|live| live.content.is_some());
        let is_needed = differs || !deletes.is_empty() || is_new;
        Ok(is_needed.then_some(Row { path, live, deletes }))
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

/// Rows looked at in one step: some milliseconds.
const STEP_ROWS: usize = 4_000;
/// Rows of one verification: what differs beyond is no rot, and is told the next time.
const VERIFIED_ROWS_MAX: u64 = 4_000;
