//! What a node does about damage in its own store.
//!
//! What the log has lost is told by the entries. What the entries have lost is on record in the log, and comes
//! from a peer that is compared with: a damaged value is put back whole, once all that it held is accounted
//! for. Until then it stays damaged, which nobody takes for deleted.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use millpond_core::{
    Dot, Hlc, LiveDot, Namespace, NodeKey, Path, Payload, PayloadKind, RowDot, VersionVector,
};

use super::commit::Pending;
use super::engine::Engine;
use super::{Answer, RequestId};
use crate::planted::planted;
use crate::probes::sometimes;
use crate::state::{Job, Mend, WriteError};
use crate::status::ScrubReport;
use crate::store::StoreError;
use crate::verify::Found;

/// Dots that are live here by the log, and that the entries have lost.
#[derive(Debug)]
pub(super) struct Hole {
    pub(super) namespace: Namespace,
    /// The path of the damaged value that held them all; none when they are missing from sound ones.
    damaged: Option<Path>,
    pub(super) lost: BTreeMap<(Path, Dot), Known>,
    /// Peers that have told what they hold there.
    asked: BTreeSet<NodeKey>,
    /// Whether it is being mended.
    pub(super) is_at_writer: bool,
}

/// What is known of a lost dot.
#[derive(Debug, Clone)]
pub(super) enum Known {
    Nothing,
    /// A peer has seen it go.
    Gone,
    /// A peer holds it.
    Held(LiveDot),
}

/// What is at the writer: what to do when it is done.
pub(super) struct Mending {
    /// Who waits.
    request: Option<RequestId>,
    deleted: u64,
}

impl Engine {
    /// A read met damage: find out how much there is.
    pub(super) fn look_for_damage(&mut self, error: &StoreError) {
        let is_idle = self.verify.scrub.is_none() && self.verify.holes.is_empty();
        if matches!(error, StoreError::Corrupt { .. }) && is_idle {
            sometimes!(DamageMet);
            self.verify.begin_scrub(self.now.mono_ms, true);
        }
    }

    /// Looks at some more of the own store.
    pub(super) fn step_scrub(&mut self) {
        let now_ms = self.now.mono_ms;
        let Some(scrub) = &mut self.verify.scrub else { return };
        let stepped = self.store.snapshot().and_then(|it| scrub.step(&*it, STEP_ROWS));
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

    fn scrubbed(&mut self, found: Found) {
        (self.verify.scrub, self.verify.is_hurried) = (None, false);
        self.verify.totals.scrubs += 1;
        let lost = found.lost.values().map(|dots| dots.len() as u64).sum();
        let report = ScrubReport {
            entries: found.entries,
            log_rows: found.log_rows,
            damaged: (found.damaged.len() + found.blocks.len()) as u64,
            lost,
            unlogged: found.unlogged.len() as u64,
            age_s: 0,
        };
        self.verify.scrubbed = Some((report, self.now.mono_ms));
        self.verify.holes.retain(|hole| hole.is_at_writer);
        if found.is_sound() {
            return;
        }
        tracing::warn!(damaged = found.damaged.len(), lost, "the store is damaged");
        sometimes!(!found.blocks.is_empty(), LogDamaged);
        sometimes!(!found.damaged.is_empty(), EntryDamaged);
        sometimes!(found.damaged.is_empty() && lost > 0, EntryLost);
        self.mend_log(&found);
        self.note_holes(found);
        self.mend_holes();
        // Whoever may have what is lost.
        if !self.verify.holes.is_empty() {
            self.verify_with_all();
        }
    }

    /// The log is told by the entries.
    fn mend_log(&mut self, found: &Found) {
        let namespaces: BTreeSet<Namespace> = (found.blocks.iter().map(|(of, _)| *of))
            .chain(found.unlogged.iter().map(|(of, ..)| *of))
            .collect();
        for namespace in namespaces {
            let mut mend = Mend::new(namespace);
            let blocks = found.blocks.iter().filter(|(of, _)| *of == namespace);
            mend.blocks = blocks.map(|(_, block)| *block).collect();
            let unlogged = found.unlogged.iter().filter(|(of, ..)| *of == namespace);
            mend.unlogged = unlogged.map(|(_, path, dot)| (path.clone(), *dot)).collect();
            self.submit_mend(mend);
        }
    }

    fn note_holes(&mut self, found: Found) {
        let at_writer: BTreeSet<(Path, Dot)> =
            self.verify.holes.iter().flat_map(|hole| hole.lost.keys().cloned()).collect();
        let mut holes: Vec<(Hole, Option<crate::store::DamagedEntries>)> = Vec::new();
        for (namespace, damaged) in found.damaged {
            let mut hole = Hole::new(namespace);
            hole.damaged = Some(damaged.first.clone());
            holes.push((hole, Some(damaged)));
        }
        for ((namespace, path), dots) in found.lost {
            let lost = dots.into_iter().map(|dot| (path.clone(), dot));
            let lost = lost.filter(|it| !at_writer.contains(it)).map(|it| (it, Known::Nothing));
            let within = holes.iter_mut().find(|(hole, damaged)| {
                let holds = |it: &crate::store::DamagedEntries| it.contains(&path);
                hole.namespace == namespace && damaged.as_ref().is_some_and(holds)
            });
            match within {
                Some((hole, _)) => hole.lost.extend(lost),
                None => {
                    let mut hole = Hole::new(namespace);
                    hole.lost.extend(lost);
                    holes.push((hole, None));
                }
            }
        }
        self.verify.holes.extend(holes.into_iter().map(|(hole, _)| hole));
        self.verify.totals.lost = self.count_lost();
    }

    /// A peer has told what it holds where this node and it differ; all of it, if its vector is given.
    pub(super) fn fill_holes(
        &mut self,
        peer: NodeKey,
        namespace: Namespace,
        (theirs, rows): (Option<&VersionVector>, &BTreeMap<Path, Vec<RowDot>>),
    ) {
        let covers = |dot: Dot| theirs.is_some_and(|theirs| theirs.covers(dot));
        for hole in self.verify.holes.iter_mut().filter(|it| it.namespace == namespace) {
            if theirs.is_some() {
                hole.asked.insert(peer);
            }
            for ((path, dot), known) in &mut hole.lost {
                let row = rows.get(path).and_then(|row| row.iter().find(|it| it.dot == *dot));
                match row.and_then(|row| row.content.clone()) {
                    Some((hlc, payload)) => {
                        *known = Known::Held(LiveDot { dot: *dot, hlc, payload });
                    }
                    None if covers(*dot) && matches!(known, Known::Nothing) => {
                        *known = Known::Gone;
                    }
                    None => {}
                }
            }
        }
        self.mend_holes();
    }

    /// Puts back what is lost and known by now.
    pub(super) fn mend_holes(&mut self) {
        let linked: BTreeSet<NodeKey> =
            self.links.values().filter(|it| it.may_take()).map(|it| it.peer).collect();
        for place in 0..self.verify.holes.len() {
            let hole = &self.verify.holes[place];
            if hole.is_at_writer || !hole.is_known(&linked) {
                continue;
            }
            let mend = hole.to_mend();
            self.verify.holes[place].is_at_writer = true;
            self.submit_mend(mend);
        }
    }

    fn submit_mend(&mut self, mend: Mend) {
        let mending = Mending { request: None, deleted: 0 };
        self.submit(Pending::Mend(mending), Job::Mend(mend));
    }

    /// Something was mended; or not, and then it is found again.
    pub(super) fn mended(
        &mut self,
        mending: &Mending,
        result: Result<u64, crate::state::JobError>,
    ) {
        if !self.jobs.values().any(|pending| matches!(pending, Pending::Mend(_))) {
            self.verify.holes.retain(|hole| !hole.is_at_writer);
        }
        self.verify.totals.lost = self.count_lost();
        match &result {
            Ok(rows) => {
                sometimes!(*rows > 0, Mended);
                tracing::warn!(rows, "the store was mended");
                self.verify.totals.mended += rows;
            }
            Err(error) => tracing::error!(%error, "the store was not mended"),
        }
        if let Some(request) = mending.request {
            let deleted = mending.deleted;
            let result = result.map(|_| deleted).map_err(|error| match error {
                crate::state::JobError::Write(error) => error,
                error => WriteError::Rejected(error.to_string()),
            });
            self.answer(request, Answer::LossAccepted(result));
        }
    }

    /// The application gives up what nobody has any more.
    pub(super) fn accept_loss(&mut self, id: RequestId, within: Option<&Path>) {
        if let Err(error) = self.may_write() {
            return self.answer(id, Answer::LossAccepted(Err(error)));
        }
        let is_meant = |hole: &Hole| {
            let mut paths = hole.lost.keys().map(|(path, _)| path);
            let is_within = |path: &Path| within.is_none_or(|within| path.is_within(within));
            !hole.is_at_writer
                && (paths.any(is_within) || (hole.lost.is_empty() && within.is_none()))
        };
        let places: Vec<usize> =
            (0..self.verify.holes.len()).filter(|&it| is_meant(&self.verify.holes[it])).collect();
        let Some((&last, _)) = places.split_last() else {
            return self.answer(id, Answer::LossAccepted(Ok(0)));
        };
        let mut deleted = 0;
        for place in places {
            let hole = &mut self.verify.holes[place];
            hole.is_at_writer = true;
            let mut mend = hole.to_mend();
            let lost = hole.unknown();
            deleted += lost.len() as u64;
            for (path, dot) in &lost {
                // Stands for what is lost until the same commit deletes it.
                let payload = Payload { kind: PayloadKind::LWW, bytes: Bytes::new() };
                let live = LiveDot { dot: *dot, hlc: Hlc::from_ms(0), payload };
                mend.found.push((path.clone(), live));
                self.verify.alarms.push_back(format!("the loss of {path} ({dot}) was accepted"));
                tracing::warn!(%path, %dot, "a loss was accepted");
            }
            let paths: BTreeSet<Path> = lost.into_iter().map(|(path, _)| path).collect();
            let request = (place == last).then_some(id);
            let pending = Pending::Mend(Mending { request, deleted });
            let namespace = mend.namespace;
            let delete = Box::new(move |tx: &mut crate::state::WriteTx<'_>| {
                paths.iter().try_for_each(|path| tx.delete(path).map(drop))
            });
            self.submit_loss(pending, namespace, delete, mend);
        }
    }

    fn count_lost(&self) -> u64 {
        self.verify.holes.iter().map(|hole| hole.lost.len() as u64).sum()
    }
}

impl Hole {
    fn new(namespace: Namespace) -> Self {
        Self {
            namespace,
            damaged: None,
            lost: BTreeMap::new(),
            asked: BTreeSet::new(),
            is_at_writer: false,
        }
    }

    /// A dot that a peer has just told of.
    pub(super) fn of_held(namespace: Namespace, path: Path, live: LiveDot) -> Self {
        let mut hole = Self::new(namespace);
        hole.lost.insert((path, live.dot), Known::Held(live));
        hole
    }

    /// Whether all that is lost is accounted for. That a dot is gone is believed once no linked peer has it.
    fn is_known(&self, linked: &BTreeSet<NodeKey>) -> bool {
        let all_asked = linked.is_subset(&self.asked);
        self.lost.values().all(|known| match known {
            Known::Nothing => planted!("a damaged value is put back whole"),
            Known::Gone => all_asked,
            Known::Held(_) => true,
        })
    }

    fn unknown(&self) -> Vec<(Path, Dot)> {
        let unknown = self.lost.iter().filter(|(_, known)| matches!(known, Known::Nothing));
        unknown.map(|(key, _)| key.clone()).collect()
    }

    fn to_mend(&self) -> Mend {
        let mut mend = Mend::new(self.namespace);
        mend.damaged = self.damaged.clone();
        for ((path, dot), known) in &self.lost {
            match known {
                Known::Nothing => {}
                Known::Gone => mend.gone.push((path.clone(), *dot)),
                Known::Held(live) => mend.found.push((path.clone(), live.clone())),
            }
        }
        mend
    }
}

/// Rows looked at in one step: some milliseconds.
const STEP_ROWS: usize = 1_000;
