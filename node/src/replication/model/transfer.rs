//! A catch-up: asked for, supplied and cut into jobs by production code.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use millpond_core::Namespace;
use millpond_core::message::{Message, Pull};
use millpond_core::wire::RowsFrame;

use super::super::pulling::{Offer, Pulling, Question, inadmissible};
use super::super::supply::{Step, Supply};
use super::check::{Fault, Rule, hold};
use super::history::{Covered, NodeId};
use super::state::{State, decode, encode};
use crate::limits::Limits;
use crate::state::{Job, Place};

/// A catch-up whose rows have left the supplier and may arrive at any time.
#[derive(Clone)]
pub(super) struct Transfer {
    pub(super) asker: NodeId,
    /// What the asker covered when it asked.
    pub(super) applied: Covered,
    /// Above what it is complete, and what it covers.
    pub(super) from: Covered,
    pub(super) upto: Covered,
    /// Whether it resumes a cut on a snapshot that is newer than the cut's.
    pub(super) is_newer: bool,
    /// Whether the supplier folds: its tables alone do not hold what it supplies.
    pub(super) is_of_folding: bool,
    /// The rows that have not arrived, one to a frame, the last one first.
    frames: Vec<Bytes>,
    /// The asker's side.
    pulling: Pulling,
}

/// What came of a question.
pub(super) enum Asked {
    Supplied(Box<Transfer>),
    /// Not now: the supplier folds.
    Refused,
    /// The supplier has less than before.
    FellBack,
}

impl Transfer {
    /// A node asks another one for all that it lacks, or for the rest of a cut.
    pub(super) fn ask(
        state: &State,
        asker: NodeId,
        supplier: NodeId,
        applied: Covered,
    ) -> Result<Asked, Fault> {
        let (key, boot) = (State::key(supplier), state.boot(supplier));
        let cut = state.nodes[asker].code.heads.cuts.get(&Namespace::MAIN);
        let question = Question::new(applied.vector(), cut, key, boot);
        let (from, resume) = (question.from.clone(), question.resume.clone());
        let pull = Pull { namespace: Namespace::MAIN, transfer: 1, from: from.clone(), resume };
        let snapshot = state.nodes[supplier].code.snapshot();
        let mut supply = Supply::new(snapshot, pull, ONE_ROW).expect("a store in memory works");
        if supply.is_torn() {
            return Ok(Asked::Refused);
        }
        let (upto, floor) = (supply.upto.clone(), supply.floor.clone());
        let is_newer = question.resume.is_some() && cut.is_some_and(|cut| cut.upto != upto);
        let mut pulling = Pulling::new(question, key, boot);
        if !pulling.starts(Offer { upto: upto.clone(), floor }) {
            return Ok(Asked::FellBack);
        }
        let mut frames = Vec::new();
        loop {
            match supply.step().expect("a store in memory works") {
                Step::Working => {}
                Step::Frame(rows, _) => {
                    let reason = inadmissible(&rows, &from, &upto);
                    hold!(Based, reason.is_none(), "{supplier} sends {rows:?}: {reason:?}");
                    frames.push(encode(&Message::Rows(rows)));
                }
                Step::Done { .. } => break,
            }
        }
        frames.reverse();
        let (from, upto) = (Covered::of(&from), Covered::of(&upto));
        let is_of_folding = state.nodes[supplier].is_folding();
        Ok(Asked::Supplied(Box::new(Self {
            asker,
            applied,
            from,
            upto,
            is_newer,
            is_of_folding,
            frames,
            pulling,
        })))
    }

    /// Whether some of its rows were handed to the writer, now or before it was resumed.
    pub(super) fn is_sliced(&self) -> bool {
        self.pulling.mark.is_some()
    }

    pub(super) fn has_rows(&self) -> bool {
        !self.frames.is_empty()
    }

    /// All rows arrive, few enough for one job.
    pub(super) fn whole(mut self) -> Job {
        while self.arrive() {}
        self.pulling.is_complete = true;
        self.next_job(&Limits::default()).expect("it is complete")
    }

    /// One more row arrives, and is enough for a slice.
    pub(super) fn slice(&mut self) -> Job {
        self.arrive();
        self.next_job(&SLICED).expect("a row is enough")
    }

    /// The rest arrives.
    pub(super) fn finish(mut self) -> Vec<Job> {
        while self.arrive() {}
        let mut jobs: Vec<Job> = self.next_job(&SLICED).into_iter().collect();
        self.pulling.is_complete = true;
        jobs.extend(std::iter::from_fn(|| self.next_job(&SLICED)));
        jobs
    }

    pub(super) fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.asker, self.applied, self.from, self.upto, self.is_newer, &self.frames)
            .hash(&mut hasher);
        if let Some(mark) = &self.pulling.mark {
            (&mark.from, &mark.upto, &mark.since, &mark.cursor).hash(&mut hasher);
            (mark.direct, mark.supplier, mark.boot.counter).hash(&mut hasher);
        }
        (self.pulling.supplier, self.pulling.boot.counter).hash(&mut hasher);
        hasher.finish()
    }

    fn arrive(&mut self) -> bool {
        let Some(frame) = self.frames.pop() else { return false };
        let rows = rows_of(&frame);
        self.pulling.arrived(rows);
        true
    }

    fn next_job(&mut self, limits: &Limits) -> Option<Job> {
        // An engine whose latest commit is still at the writer may take itself to be empty when it is not.
        // Nor does it know that the cut before has become visible.
        let job = self.pulling.next_job(Namespace::MAIN, true, Place::Free, limits);
        drop(self.pulling.pending(Namespace::MAIN));
        job
    }
}

fn rows_of(frame: &Bytes) -> RowsFrame {
    match decode(frame) {
        Message::Rows(rows) => rows,
        other => panic!("{other:?} instead of rows"),
    }
}

impl PartialEq for Transfer {
    fn eq(&self, other: &Self) -> bool {
        self.digest() == other.digest()
    }
}

impl Eq for Transfer {}

impl std::fmt::Debug for Transfer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { asker, from, upto, frames, .. } = self;
        let mark = &self.pulling.mark;
        write!(f, "to {asker}: {from:?}..{upto:?}, {} rows to come, {mark:?}", frames.len())
    }
}

/// One row to a frame; both ways of finding rows are used, since what is lacking is one dot or more.
const ONE_ROW: Limits = Limits { rows_frame_bytes: 1, collected_dots: 1, ..SLICED };
/// One frame is enough for a slice.
const SLICED: Limits = Limits {
    members: crate::limits::MEMBERS_MAX,
    strangers: crate::limits::STRANGERS_MAX,
    ring_bytes: 0,
    waiting_bytes: 0,
    batch_bytes: 1,
    slice_bytes: 1,
    slice_rows: 1,
    fold_rows: 1,
    snapshot_ms: u64::MAX,
    rows_frame_bytes: 1,
    collected_dots: 1,
};
