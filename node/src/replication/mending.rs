//! What a node does about damage in its own store.
//!
//! What the log has lost is told by the entries. What the entries have lost is on record in the log: it gets a
//! stand-in at once, and its content from a peer, or a peer has overwritten it and that write comes. What nobody
//! has any more stays so until a person gives it up.

use std::collections::{BTreeMap, BTreeSet};

use millpond_core::{Dot, LiveDot, Namespace, Path, RowDot};

use super::commit::Pending;
use super::engine::Engine;
use super::{Answer, RequestId};
use crate::probes::sometimes;
use crate::state::{Job, JobError, Mend, WriteError, has_content};
use crate::status::ScrubReport;
use crate::store::{Snapshot, StoreError};
use crate::verify::Found;

/// A dot that lives here by the log, and whose content the entries have lost.
pub(super) type LostDot = (Namespace, Path, Dot);

/// What is at the writer: whom to tell when it is done.
#[derive(Default)]
pub(super) struct Mending {
    /// Who waits, and for the giving up of how many writes.
    given_up: Option<(Option<RequestId>, u64)>,
}

impl Mending {
    /// Whether it takes dots of this node's own.
    pub(super) fn is_local(&self) -> bool {
        self.given_up.is_some()
    }
}

impl Engine {
    /// A read met damage: find out how much there is.
    pub(super) fn look_for_damage(&mut self, error: &StoreError) {
        let is_new = match error {
            StoreError::Corrupt { .. } => true,
            StoreError::Lost { .. } => self.verify.lost.is_empty(),
            _ => false,
        };
        // What was found a moment ago is being mended.
        let now_ms = self.now.mono_ms;
        let is_fresh =
            self.verify.scrubbed.as_ref().is_some_and(|(_, at_ms)| at_ms + FRESH_MS > now_ms);
        if is_new && !is_fresh {
            sometimes!(DamageMet);
            self.verify.begin_scrub(now_ms, true);
        }
    }

    /// Looks at some more of the own store.
    pub(super) fn step_scrub(&mut self) {
        let now_ms = self.now.mono_ms;
        let Some(scrub) = &mut self.verify.scrub else { return };
        let declared = &self.heads.indexing.declared;
        let stepped = self.store.snapshot().and_then(|it| scrub.step(&*it, declared, STEP_ROWS));
        self.verify.scrub_due_ms = now_ms + self.verify.pause_ms(STEP_ROWS as u64);
        match stepped {
            Ok(None) => {}
            Ok(Some(found)) => self.scrubbed(found),
            Err(error) => {
                tracing::error!(%error, "the store cannot be looked through");
                self.verify.alarm(format!("the store cannot be looked through: {error}"));
                (self.verify.scrub, self.verify.is_hurried) = (None, false);
            }
        }
    }

    fn scrubbed(&mut self, mut found: Found) {
        let now_ms = self.now.mono_ms;
        self.renew_indexes(std::mem::take(&mut found.indexes));
        self.verify.end_scrub(now_ms);
        let lost = found.lost.values().map(|dots| dots.len() as u64).sum();
        let report = ScrubReport {
            entries: found.entries,
            log_rows: found.log_rows,
            damaged: (found.damaged.len() + found.blocks.len()) as u64,
            lost,
            unlogged: found.unlogged.len() as u64,
            age_s: 0,
        };
        self.verify.scrubbed = Some((report, now_ms));
        self.verify.lost.clear();
        if !found.is_sound() {
            tracing::warn!(damaged = found.damaged.len(), lost, "the store is damaged");
            sometimes!(!found.damaged.is_empty(), EntryDamaged);
            sometimes!(found.damaged.is_empty() && lost > 0, EntryLost);
            self.mend_found(found);
        }
        self.note_lost();
        // Whoever may have what is lost.
        if !self.verify.lost.is_empty() {
            self.verify.retry_lost(now_ms);
            self.verify_with_all();
        }
    }

    /// What the log has lost is told by the entries, and the other way round, but for the content.
    fn mend_found(&mut self, found: Found) {
        let mut mends: BTreeMap<Namespace, Mend> = BTreeMap::new();
        for (namespace, block) in found.blocks {
            mend_of(&mut mends, namespace).blocks.push(block);
        }
        for (namespace, path, dot) in found.unlogged {
            mend_of(&mut mends, namespace).unlogged.push((path, dot));
        }
        for (namespace, damaged) in found.damaged {
            mend_of(&mut mends, namespace).damaged.push(damaged);
        }
        for ((namespace, path), dots) in found.lost {
            let lost = &mut mend_of(&mut mends, namespace).lost;
            lost.extend(dots.iter().map(|dot| (path.clone(), *dot)));
            let all = dots.into_iter().map(|dot| (namespace, path.clone(), dot));
            self.verify.lost.extend(all);
        }
        mends.into_values().for_each(|mend| self.submit_mend(mend));
    }

    fn submit_mend(&mut self, mend: Mend) {
        self.submit(Pending::Mend(Mending::default()), Job::Mend(mend));
    }

    /// A peer has told what it holds where this node and it differ: what of it was lost here is put back, with
    /// what the comparison has found besides. Says how much.
    pub(super) fn give_back(
        &mut self,
        namespace: Namespace,
        rows: &BTreeMap<Path, Vec<RowDot>>,
        besides: Vec<(Path, LiveDot)>,
    ) -> u64 {
        let mut found: BTreeMap<(Path, Dot), LiveDot> = BTreeMap::new();
        found.extend(besides.into_iter().map(|(path, live)| ((path, live.dot), live)));
        for (_, path, dot) in self.verify.lost.iter().filter(|(of, ..)| *of == namespace) {
            let row = rows.get(path).and_then(|row| row.iter().find(|it| it.dot == *dot));
            if let Some((hlc, payload)) = row.and_then(|row| row.content.clone()) {
                found.insert((path.clone(), *dot), LiveDot { dot: *dot, hlc, payload });
            }
        }
        let count = found.len() as u64;
        if count > 0 {
            let mut mend = Mend::new(namespace);
            mend.found = found.into_iter().map(|((path, _), live)| (path, live)).collect();
            self.submit_mend(mend);
        }
        count
    }

    /// Something was mended; or not, and then it is found again.
    pub(super) fn mended(&mut self, mending: &Mending, result: Result<u64, JobError>) {
        self.note_lost();
        match (&result, mending.given_up) {
            (Ok(_), Some(_)) => {}
            (Ok(rows), None) => {
                sometimes!(*rows > 0, Mended);
                tracing::warn!(rows, "the store was mended");
                self.verify.totals.mended += rows;
            }
            (Err(error), _) => tracing::error!(%error, "the store was not mended"),
        }
        if let Some((Some(request), count)) = mending.given_up {
            let result = result.map(|_| count).map_err(|error| match error {
                JobError::Write(error) => error,
                error => WriteError::Rejected(error.to_string()),
            });
            self.answer(request, Answer::LossAccepted(result));
        }
    }

    /// Forgets of what was lost that which is back, or overwritten since.
    pub(super) fn note_lost(&mut self) {
        if !self.verify.lost.is_empty()
            && let Ok(snapshot) = self.store.snapshot()
        {
            self.verify.lost.retain(|lost| is_still_lost(&*snapshot, lost));
        }
        self.verify.totals.lost = self.verify.lost.len() as u64;
    }

    /// Asks all peers once more for what is lost, ever less often.
    pub(super) fn run_lost(&mut self) {
        let now_ms = self.now.mono_ms;
        if self.verify.lost.is_empty() || self.verify.lost_due_ms > now_ms {
            return;
        }
        self.note_lost();
        self.verify.retry_lost(now_ms);
        if !self.verify.lost.is_empty() {
            self.verify_with_all();
        }
    }

    /// The application gives up what nobody has any more.
    pub(super) fn accept_loss(&mut self, id: RequestId, within: Option<&Path>) {
        if let Err(error) = self.may_write() {
            return self.answer(id, Answer::LossAccepted(Err(error)));
        }
        self.note_lost();
        let is_meant = |path: &Path| within.is_none_or(|within| path.is_within(within));
        let lost: Vec<LostDot> =
            self.verify.lost.iter().filter(|(_, path, _)| is_meant(path)).cloned().collect();
        let mut paths: BTreeMap<Namespace, BTreeSet<Path>> = BTreeMap::new();
        for (namespace, path, dot) in &lost {
            paths.entry(*namespace).or_default().insert(path.clone());
            self.verify.alarms.push_back(format!("the loss of {path} ({dot}) was accepted"));
            tracing::warn!(%path, %dot, "a loss was accepted");
        }
        let Some((last, in_last)) = paths.pop_last() else {
            return self.answer(id, Answer::LossAccepted(Ok(0)));
        };
        for (namespace, paths) in paths {
            self.give_up((None, 0), namespace, paths);
        }
        self.give_up((Some(id), lost.len() as u64), last, in_last);
    }

    fn give_up(
        &mut self,
        given_up: (Option<RequestId>, u64),
        namespace: Namespace,
        paths: BTreeSet<Path>,
    ) {
        let mending = Mending { given_up: Some(given_up) };
        let closure = Box::new(move |tx: &mut crate::state::WriteTx<'_>| {
            paths.iter().try_for_each(|path| tx.give_up(path).map(drop))
        });
        self.submit_local(Pending::Mend(mending), namespace, closure);
    }
}

fn mend_of(mends: &mut BTreeMap<Namespace, Mend>, namespace: Namespace) -> &mut Mend {
    mends.entry(namespace).or_insert_with(|| Mend::new(namespace))
}

/// Whether a dot lives by the log, and its content is not there.
fn is_still_lost(snapshot: &dyn Snapshot, (namespace, path, dot): &LostDot) -> bool {
    let is_logged = snapshot.log_row(*namespace, *dot);
    let is_logged = is_logged.map(|row| row.is_some_and(|row| row.deleted.is_none()));
    let is_here = snapshot.entry(*namespace, path).map(|entry| has_content(&entry, *dot));
    // What cannot be read is not known to be well.
    is_logged.unwrap_or(true) && !is_here.unwrap_or(false)
}

/// Rows looked at in one step: some milliseconds.
const STEP_ROWS: usize = 1_000;
/// How long what a walk through the store has found counts as known.
const FRESH_MS: u64 = 5_000;
