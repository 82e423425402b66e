//! A catch-up under way, at the asker.

use std::collections::VecDeque;

use millpond_core::message::Resume;
use millpond_core::wire::RowsFrame;
use millpond_core::{Boot, Namespace, NodeKey, VersionVector};

use super::LinkId;
use super::absences::Absences;
use super::commit::Pending;
use super::folding::next_slice;
use super::taking_over::TakingOver;
use crate::limits::Limits;
use crate::planted::planted;
use crate::probes::sometimes;
use crate::state::{Cut, CutMark, Job, Place, Takeover};

/// What to ask a supplier for.
#[derive(Debug)]
pub(super) struct Question {
    /// The base.
    pub(super) from: VersionVector,
    /// Where to go on, in a cut that has begun.
    pub(super) resume: Option<Resume>,
    /// That cut.
    mark: Option<CutMark>,
}

impl Question {
    /// The other half of a comparison of this state.
    pub(super) fn of_compared(compared: VersionVector) -> Self {
        Self { from: compared, resume: None, mark: None }
    }

    /// All that lies above `applied`, or the rest of the cut that this boot of the supplier has begun.
    pub(super) fn new(
        applied: VersionVector,
        cut: Option<&CutMark>,
        supplier: NodeKey,
        boot: Boot,
    ) -> Self {
        let held = cut.filter(|cut| {
            cut.supplier == supplier
                && cut.compared.is_none()
                && (cut.boot == boot || planted!("a cut is of one boot"))
                && applied.covers_all(&cut.from)
                && cut.is_joinable(&applied)
        });
        let resume = held.and_then(|cut| {
            let since = match planted!("a resumption starts from the oldest rows") {
                true => &cut.upto,
                false => &cut.since,
            };
            Some(Resume { upto: since.clone(), cursor: cut.cursor()? })
        });
        sometimes!(resume.is_some(), CutResumed);
        sometimes!(held.is_none() && cut.is_some(), CutNotResumed);
        let mark = held.filter(|_| resume.is_some()).cloned();
        let from = mark.as_ref().map_or(applied, |mark| mark.from.clone());
        Self { from, resume, mark }
    }
}

/// A catch-up under way.
#[cfg_attr(test, derive(Clone))]
pub(super) struct Pulling {
    pub(super) link: LinkId,
    pub(super) transfer: u64,
    /// The comparison whose other half it is.
    pub(super) session: Option<u64>,
    pub(super) supplier: NodeKey,
    pub(super) boot: Boot,
    pub(super) from: VersionVector,
    /// Known once it has begun, and the supplier's floor.
    pub(super) upto: Option<VersionVector>,
    pub(super) floor: VersionVector,
    /// Rows that arrived, and how many the supplier expects.
    pub(super) rows: u64,
    pub(super) rows_expected: u64,
    /// When it was asked for, and how many rows were here then.
    pub(super) since_ms: u64,
    pub(super) rows_before: u64,
    /// The vector that all rows of this transfer are at, at least.
    since: Option<VersionVector>,
    /// Rows not yet handed to the writer.
    pub(super) frames: VecDeque<Held>,
    pub(super) frames_bytes: usize,
    /// Bytes of the rows in the latest job, for which the supplier is owed credit.
    handed_bytes: u64,
    /// The mark of the cut, once it is too large for one commit: with all rows that the writer was given.
    pub(super) mark: Option<CutMark>,
    /// Jobs at the writer.
    pub(super) jobs: usize,
    /// How large slices are.
    pace: Pace,
    /// Whether everything has arrived.
    pub(super) is_complete: bool,
    /// What is staged of a refresh that broke off, while it has still to be looked through.
    pub(super) taking_over: Option<TakingOver>,
    /// Whether what the supplier left out of a comparison has still to be found, and how far that is.
    pub(super) looks_for_absences: bool,
    pub(super) absences: Option<Absences>,
    /// Whether something came since, which has to be compared too.
    pub(super) is_overtaken: bool,
    /// Whether the last job is at the writer.
    pub(super) is_finishing: bool,
    pub(super) progress_ms: u64,
}

/// How large slices are: smaller where the machine is slow or busy, while users wait for them.
#[derive(Debug, Clone, Default)]
struct Pace {
    /// When each slice at the writer was handed to it, and when it was last done with one.
    handed_ms: VecDeque<u64>,
    done_ms: u64,
    /// Rows of the next one; none is all.
    rows_max: Option<usize>,
}

/// Rows at hand.
#[cfg_attr(test, derive(Clone))]
pub(super) struct Held {
    rows: RowsFrame,
    /// Bytes for which the supplier is owed credit; none if it did not send them.
    credit: usize,
}

/// What a supplier says when a catch-up begins.
#[derive(Debug, Clone, Default)]
pub(super) struct Offer {
    /// The vector afterwards.
    pub(super) upto: VersionVector,
    /// The supplier's floor, which `upto` covers.
    pub(super) floor: VersionVector,
}

/// A job of a catch-up at the writer.
pub(super) struct RowsJob {
    pub(super) namespace: Namespace,
    pub(super) link: LinkId,
    pub(super) transfer: u64,
    /// Bytes of rows, for which the supplier is to be given credit.
    pub(super) bytes: u64,
    /// What the last job of a catch-up covers.
    pub(super) covers: Option<VersionVector>,
}

impl Pulling {
    /// Whether the rest of a cut is asked for, and not answered yet.
    pub(super) fn is_resumed(&self) -> bool {
        self.mark.is_some() && self.upto.is_none()
    }

    /// A catch-up that has just been asked for.
    pub(super) fn new(question: Question, supplier: NodeKey, boot: Boot) -> Self {
        let rows_before = question.mark.as_ref().map_or(0, |mark| mark.rows);
        Self {
            link: LinkId(0),
            transfer: 0,
            session: None,
            supplier,
            boot,
            from: question.from,
            upto: None,
            floor: VersionVector::new(),
            rows: rows_before,
            rows_expected: 0,
            since_ms: 0,
            rows_before,
            since: None,
            frames: VecDeque::new(),
            frames_bytes: 0,
            handed_bytes: 0,
            mark: question.mark,
            jobs: 0,
            pace: Pace::default(),
            is_complete: false,
            taking_over: None,
            looks_for_absences: false,
            absences: None,
            is_overtaken: false,
            is_finishing: false,
            progress_ms: 0,
        }
    }

    /// It goes on with the cut of a refresh that broke off, towards this vector and floor.
    pub(super) fn take_over(&mut self, held: CutMark, upto: &VersionVector, of: TakingOver) {
        self.mark = Some(CutMark {
            supplier: self.supplier,
            boot: self.boot,
            from: self.from.clone(),
            upto: upto.clone(),
            floor: of.floor.clone(),
            since: upto.clone(),
            compared: Some(self.from.clone()),
            cursor: None,
            ..held
        });
        self.taking_over = Some(of);
    }

    /// Whether what is staged of a refresh that broke off is to be looked through.
    pub(super) fn wants_takeover(&self) -> bool {
        self.taking_over.is_some() && self.jobs == 0
    }

    /// Whether this is the transfer of that number.
    #[cfg(test)]
    pub(super) fn is(&self, transfer: u64) -> bool {
        self.transfer == transfer
    }

    /// The supplier's vector is known, or it goes on with a newer snapshot: false when it has fallen below
    /// that of the cut so far.
    pub(super) fn starts(&mut self, Offer { upto, floor }: Offer) -> bool {
        // `upto` need not cover `from`: what this node has and the supplier lacks stays as it is.
        let is_covered = self.mark.as_ref().is_none_or(|mark| upto.covers_all(&mark.upto));
        if !is_covered && !planted!("a cut never falls back") {
            return false;
        }
        sometimes!(self.mark.as_ref().is_some_and(|mark| mark.upto != upto), CutResumedOnNewer);
        let is_newer = self.upto.as_ref().is_none_or(|before| upto.covers_all(before));
        if !is_newer && !planted!("a cut never falls back") {
            return false;
        }
        sometimes!(self.upto.as_ref().is_some_and(|before| *before != upto), SupplyRenewed);
        if self.since.is_none() || planted!("a resumption starts from the oldest rows") {
            self.since = Some(upto.clone());
        }
        (self.upto, self.floor) = (Some(upto), floor);
        true
    }

    /// A frame of rows has arrived.
    pub(super) fn arrived(&mut self, rows: RowsFrame) {
        self.rows += rows.len() as u64;
        let credit = rows.encoded_bytes();
        self.frames_bytes += credit;
        self.frames.push_back(Held { rows, credit });
    }

    /// Rows were found here that the supplier has left out.
    pub(super) fn found(&mut self, rows: RowsFrame) {
        self.frames_bytes += rows.encoded_bytes();
        self.frames.push_back(Held { rows, credit: 0 });
    }

    /// A slice goes to the writer.
    pub(super) fn slice_handed(&mut self, now_ms: u64) {
        self.pace.handed_ms.push_back(now_ms);
    }

    /// A slice is done, and users wait or not.
    pub(super) fn slice_done(&mut self, now_ms: u64, users_wait: bool, limits: &Limits) {
        let Some(handed_ms) = self.pace.handed_ms.pop_front() else { return };
        let took_ms = now_ms.saturating_sub(handed_ms.max(self.pace.done_ms));
        self.pace.done_ms = now_ms;
        let rows = self.pace.rows_max.unwrap_or(limits.slice_rows);
        let took_ms = if users_wait { took_ms } else { 0 };
        self.pace.rows_max = Some(next_slice(rows, took_ms, limits.slice_rows));
    }

    /// Sizes as they are at this pace.
    fn paced(&self, limits: &Limits) -> Limits {
        let slice_rows = self.pace.rows_max.unwrap_or(limits.slice_rows);
        let slice_bytes = limits.slice_bytes * slice_rows / limits.slice_rows.max(1);
        Limits { slice_rows, slice_bytes: slice_bytes.max(1), ..*limits }
    }

    /// Bytes of the rows at hand for which the supplier is owed credit.
    pub(super) fn owed_bytes(&self) -> u64 {
        self.frames.iter().map(|frame| frame.credit as u64).sum()
    }

    /// Whether rows, or the end, wait until nothing is left of the cut before them.
    pub(super) fn waits_for_place(&self, limits: &Limits) -> bool {
        self.jobs == 0 && !self.is_finishing && (self.is_complete || self.has_slice(limits))
    }

    /// Whether the next job cannot be done beside a cut that is here and not this one: it is the first slice of
    /// a cut, or a batch whose vector may cover what is hidden.
    pub(super) fn takes_place(&self, is_direct: bool, limits: &Limits) -> bool {
        let is_batch = self.is_complete && is_direct;
        self.mark.is_none()
            && self.upto.is_some()
            && !self.is_finishing
            && (self.has_slice(limits) || is_batch)
    }

    /// What the writer is to do next, with the rows at hand: all of them at once if they are few, else slice
    /// by slice, and in the end the flip. No slice while something is left of the cut before this one.
    pub(super) fn next_job(
        &mut self,
        namespace: Namespace,
        is_empty: bool,
        place: Place,
        limits: &Limits,
    ) -> Option<Job> {
        if self.is_finishing || self.taking_over.is_some() {
            return None;
        }
        let upto = self.upto.clone()?;
        let limits = &self.paced(limits);
        if self.has_slice(limits) {
            if place != Place::Free && !planted!("a cut waits for the fold before it") {
                sometimes!(RowsWaitForFold);
                return None;
            }
            let begins = self.mark.is_none();
            let rows = self.take(limits.slice_rows, limits.slice_bytes);
            let mark = self.slice_mark(upto, is_empty, &rows);
            sometimes!(mark.direct, CutIsDirect);
            sometimes!(!mark.direct, CutIsStaged);
            let takes = Takeover::default();
            return Some(Job::Cut(Cut { namespace, mark, begins, rows, takes }));
        }
        let is_hindered =
            place == Place::Clearing && !planted!("a batch waits until what is hidden is gone");
        if !self.is_complete || self.looks_for_absences || is_hindered {
            return None;
        }
        self.is_finishing = true;
        Some(match self.mark.clone() {
            Some(mark) => Job::Flip { namespace, mark, rows_max: limits.fold_rows },
            None => {
                let (from, floor) = (self.from.clone(), self.floor.clone());
                let rows = self.take(usize::MAX, usize::MAX);
                Job::Batch { namespace, from, upto, floor, rows }
            }
        })
    }

    /// Whether there are rows enough for a slice, or the last ones of a cut. A refresh is a cut however small.
    fn has_slice(&self, limits: &Limits) -> bool {
        let (bytes_max, is_rest) = match self.mark {
            Some(_) => (limits.slice_bytes, !self.frames.is_empty()),
            None => (limits.batch_bytes, self.session.is_some()),
        };
        let rows = || self.frames.iter().map(|frame| frame.rows.len()).sum::<usize>();
        self.frames_bytes >= bytes_max
            || (self.is_complete && is_rest)
            || rows() >= limits.slice_rows
    }

    /// Whether all that the supplier sent of a comparison is staged, and what it left out is to be found.
    pub(super) fn wants_absences(&self) -> bool {
        self.looks_for_absences
            && self.taking_over.is_none()
            && self.is_complete
            && self.jobs == 0
            && self.frames.is_empty()
            && self.mark.is_some()
    }

    fn take(&mut self, rows_max: usize, bytes_max: usize) -> Vec<RowsFrame> {
        let (mut taken, mut rows, mut bytes) = (Vec::new(), 0, 0);
        while rows < rows_max
            && bytes < bytes_max
            && let Some(frame) = self.frames.pop_front()
        {
            rows += frame.rows.len();
            bytes += frame.rows.encoded_bytes();
            self.handed_bytes += frame.credit as u64;
            taken.push(frame.rows);
        }
        self.frames_bytes -= bytes;
        taken
    }

    /// The mark of the cut with these rows.
    fn slice_mark(&mut self, upto: VersionVector, is_empty: bool, rows: &[RowsFrame]) -> CutMark {
        let fresh = CutMark {
            supplier: self.supplier,
            boot: self.boot,
            from: self.from.clone(),
            upto: upto.clone(),
            since: self.since.clone().unwrap_or_else(|| upto.clone()),
            rows: 0,
            floor: VersionVector::new(),
            cursor: None,
            direct: is_empty && self.from.is_empty() && self.session.is_none(),
            compared: self.session.map(|_| self.from.clone()),
        };
        let mark = self.mark.get_or_insert(fresh);
        let last = rows.last().and_then(|rows| rows.rows().last());
        let cursor = last.map(|row| row.path.as_bytes().to_vec());
        // Rows sent again after a resumption come behind the cursor and do not move it.
        sometimes!(cursor < mark.cursor, RowsBehindCursor);
        mark.cursor = mark.cursor.take().max(cursor);
        mark.rows += rows.iter().map(|rows| rows.len() as u64).sum::<u64>();
        (mark.upto, mark.floor) = (upto, self.floor.clone());
        mark.clone()
    }

    pub(super) fn pending(&mut self, namespace: Namespace) -> Pending {
        Pending::Rows(RowsJob {
            namespace,
            link: self.link,
            transfer: self.transfer,
            bytes: std::mem::take(&mut self.handed_bytes),
            covers: self.upto.clone().filter(|_| self.is_finishing),
        })
    }
}

/// Why rows cannot be of an honest batch: a dot beyond its vector, or without its content though the base
/// does not cover it.
pub(super) fn inadmissible(
    rows: &RowsFrame,
    from: &VersionVector,
    upto: &VersionVector,
) -> Option<&'static str> {
    for row in rows.rows() {
        let is_beyond = row.live.iter().any(|live| !upto.covers(live.dot))
            || row.deletes.iter().any(|(dot, _)| !upto.covers(*dot));
        if is_beyond {
            return Some("a row holds a dot beyond the catch-up's vector");
        }
        if row.live.iter().any(|live| live.content.is_none() && !from.covers(live.dot)) {
            return Some("a row lacks the content of a dot that is new here");
        }
    }
    None
}
