//! Verification with a peer: what differs between two snapshots, and what it means.
//!
//! Both sides have compared themselves ([`super::comparing`]), and each asks for the other's rows where they
//! differ. It judges them by itself, puts back what its own log says that it has lost, and remembers what
//! nothing explains. Only what a second comparison finds again is acted upon: by then a sick peer has mended
//! itself. Of a value that one side misses, the holder issues it again; the holders wait, each longer than those of
//! lesser keys, and what was overwritten meanwhile is not issued.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use millpond_core::message::{CloseCode, Credit, Message};
use millpond_core::transport::Lane;
use millpond_core::wire::RowsFrame;
use millpond_core::{Dot, LiveDot, Namespace, NodeKey, Path, RowDot, VersionVector};

use super::LinkId;
use super::commit::Pending;
use super::comparing::{Comparing, SessionId};
use super::engine::Engine;
use crate::planted::planted;
use crate::probes::{never, sometimes};
use crate::state::{Overlay, View};
use crate::status::{VerifiedPeer, VerifyOutcome};
use crate::store::StoreError;
use crate::verify::{Deletes, Finding, Ground, Suspicion, judge};

/// What a peer has told of its rows.
#[derive(Debug)]
pub(super) struct Told {
    transfer: u64,
    has_started: bool,
    rows: BTreeMap<Path, Vec<RowDot>>,
    /// Paths with a tombstone that this side does not cover.
    deletes: BTreeSet<Path>,
    bytes: usize,
    /// Whether it told all.
    is_cut: bool,
}

/// What a comparison came to.
#[derive(Default)]
struct Judged {
    differing: u64,
    explained: u64,
    lost: Vec<(Path, LiveDot)>,
    /// Damage that was met here.
    damage: Option<StoreError>,
    suspects: BTreeMap<(Path, Dot), Suspicion>,
}

#[cfg(test)]
impl Told {
    /// How many are kept.
    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }
}

#[cfg(test)]
impl Engine {
    /// A transfer that a peer has been asked for, and what it is expected to be of.
    pub(super) fn inspect_told(&self) -> Option<(u64, VersionVector, VersionVector)> {
        self.comparisons.values().find_map(|it| {
            let (vv, floor) = it.theirs.clone()?;
            Some((it.told.as_ref()?.transfer, vv, floor))
        })
    }
}

impl Engine {
    /// What differs is known: ask for the peer's rows, unless nothing does.
    pub(super) fn settle_verification(&mut self, id: SessionId) {
        let Some(comparing) = self.comparisons.get_mut(&id) else { return };
        if comparing.is_damaged {
            self.look_for_damage(&StoreError::Corrupt { what: "an entry".into() });
        }
        let Some(comparing) = self.comparisons.get_mut(&id) else { return };
        if comparing.is_equal && !comparing.is_damaged {
            sometimes!(VerifiedEqual);
            if self.plans(id) {
                self.planned(id, &BTreeMap::new(), false);
            }
            let Some(comparing) = self.comparisons.remove(&id) else { return };
            let Some(link) = self.links.get(&id.0) else { return };
            let (peer, namespace) = (link.peer, comparing.namespace);
            self.forget_suspects(peer, namespace, &BTreeMap::new());
            let mut report = self.verified_peer(peer, namespace, VerifyOutcome::Equal);
            report.entries = comparing.entries;
            self.verify.totals.comparisons += 1;
            return self.verified(peer, namespace, report);
        }
        // Who asks has looked whether it is worth it.
        let (namespace, theirs) = (comparing.namespace, comparing.theirs.clone());
        let is_mine = self.verify.todo.values().any(|todo| todo.is_of(id)) || self.plans(id);
        let is_far =
            !is_mine && theirs.is_none_or(|(vv, _)| self.is_far_from(id.0, namespace, &vv));
        let may_take = self.links.get(&id.0).is_some_and(|link| link.may_take());
        let Some(comparing) = self.comparisons.get_mut(&id) else { return };
        if is_far || !may_take {
            comparing.is_pulled = true;
            return self.end_comparison(id);
        }
        self.next_transfer += 1;
        let transfer = self.next_transfer;
        comparing.told = Some(Told {
            transfer,
            has_started: false,
            rows: BTreeMap::new(),
            deletes: BTreeSet::new(),
            bytes: 0,
            is_cut: false,
        });
        let message = Message::PullCompared { session: id.1, transfer, resume: None };
        self.send(id.0, Lane::Bulk, &message);
    }

    /// Whether a transfer is of a verification.
    pub(super) fn is_told_of(&self, link: LinkId, transfer: u64) -> bool {
        self.telling(link, transfer).is_some()
    }

    fn telling(&self, link: LinkId, transfer: u64) -> Option<SessionId> {
        let is_it = |(id, it): &(&SessionId, &Comparing)| {
            id.0 == link && it.told.as_ref().is_some_and(|told| told.transfer == transfer)
        };
        self.comparisons.iter().find(is_it).map(|(&id, _)| id)
    }

    /// The peer begins to tell its rows: it is at the vector that was compared.
    pub(super) fn verified_start(
        &mut self,
        link: LinkId,
        transfer: u64,
        offer: (VersionVector, VersionVector),
    ) {
        let now_ms = self.now.mono_ms;
        let Some(id) = self.telling(link, transfer) else { return };
        let Some(comparing) = self.comparisons.get_mut(&id) else { return };
        if comparing.theirs.as_ref() != Some(&offer) {
            never!("tells rows of another snapshot than the one compared");
            return self.close(link, CloseCode::Protocol, "rows of another snapshot");
        }
        comparing.progress_ms = now_ms;
        if let Some(told) = &mut comparing.told {
            told.has_started = true;
        }
    }

    pub(super) fn verified_rows(&mut self, link: LinkId, rows: &RowsFrame) {
        let now_ms = self.now.mono_ms;
        let Some(id) = self.telling(link, rows.transfer()) else { return };
        let Some(comparing) = self.comparisons.get_mut(&id) else { return };
        let Some(told) = &mut comparing.told else { return };
        if !told.has_started {
            never!("tells rows before the start");
            return self.close(link, CloseCode::Protocol, "rows before the start");
        }
        comparing.progress_ms = now_ms;
        told.bytes += rows.encoded_bytes();
        told.is_cut |= told.bytes > TOLD_BYTES_MAX;
        for row in rows.rows().filter(|_| !told.is_cut || planted!("what is told is bounded")) {
            if !row.deletes.is_empty() {
                told.deletes.insert(row.path.clone());
            }
            told.rows.insert(row.path, row.live);
        }
        let credit = Credit { push_bytes: 0, rows_bytes: rows.encoded_bytes() as u64 };
        self.give_credit(link, credit);
    }

    /// The peer cannot tell all: what it has not told it may hold all the same.
    pub(super) fn verified_refused(&mut self, link: LinkId, transfer: u64) {
        let Some(id) = self.telling(link, transfer) else { return };
        if let Some(told) = self.comparisons.get_mut(&id).and_then(|it| it.told.as_mut()) {
            sometimes!(ToldInPart);
            told.is_cut |= !planted!("a damaged side does not tell all");
        }
        self.verified_end(link, transfer);
    }

    /// The peer has told all: judge.
    pub(super) fn verified_end(&mut self, link: LinkId, transfer: u64) {
        let Some(id) = self.telling(link, transfer) else { return };
        let Some(comparing) = self.comparisons.get_mut(&id) else { return };
        comparing.is_pulled = true;
        let Some(told) = comparing.told.take() else { return };
        // Had it a question it would have asked it when the comparison was settled, before it told its rows.
        let is_asked =
            self.supplies.iter().any(|((link, _), it)| *link == id.0 && it.session == Some(id.1));
        if !is_asked
            && !planted!("who has told all asks nothing more")
            && let Some(comparing) = self.comparisons.get_mut(&id)
        {
            sometimes!(!comparing.is_supplied, PeerAsksForNothing);
            comparing.is_supplied = true;
        }
        let Some(link) = self.links.get(&id.0) else { return };
        let peer = link.peer;
        if self.plans(id) {
            self.planned(id, &told.rows, told.is_cut || is_full(&told));
            return self.end_comparison(id);
        }
        let mut judged = match judge_all(&self.comparisons[&id], &told) {
            Ok(judged) => judged,
            Err(error) => {
                tracing::error!(%error, "a verification cannot go on");
                self.look_for_damage(&error);
                return self.end_comparison(id);
            }
        };
        let comparing = &self.comparisons[&id];
        let (namespace, entries) = (comparing.namespace, comparing.entries);
        self.verify.totals.comparisons += 1;
        self.end_comparison(id);
        let lost: BTreeSet<String> = judged.lost.iter().map(|(path, _)| path.to_string()).collect();
        if let Some(damage) = judged.damage.take() {
            self.look_for_damage(&damage);
        }
        let besides = std::mem::take(&mut judged.lost);
        let mended = self.give_back(namespace, &told.rows, besides);
        let mut report = self.act_on(peer, namespace, mended, &judged);
        report.entries = entries;
        report.paths.extend(lost);
        report.paths.truncate(PATHS_TOLD_MAX);
        self.verified(peer, namespace, report);
    }

    fn act_on(
        &mut self,
        peer: NodeKey,
        namespace: Namespace,
        mended: u64,
        judged: &Judged,
    ) -> VerifiedPeer {
        let suspect = judged.suspects.len() as u64;
        sometimes!(judged.differing > 0 && mended + suspect == 0, DifferenceExplained);
        let outcome = match (suspect, mended) {
            (1.., _) => VerifyOutcome::Differs,
            (0, 1..) => VerifyOutcome::Mended,
            (0, 0) => VerifyOutcome::Level,
        };
        self.forget_suspects(peer, namespace, &judged.suspects);
        for ((path, dot), suspicion) in &judged.suspects {
            let key = (peer, namespace, path.clone(), *dot);
            let (kept, count) = self.verify.suspects.entry(key).or_insert((*suspicion, 0));
            (*kept, *count) = (*suspicion, *count + 1);
            let is_sure = *count >= CONFIRMED || planted!("what differs is looked at again");
            if is_sure {
                self.confirm(peer, namespace, (path, *dot), *suspicion, suspect);
            }
        }
        let paths: BTreeSet<&Path> = judged.suspects.keys().map(|(path, _)| path).collect();
        VerifiedPeer {
            differing: judged.differing,
            explained: judged.explained,
            mended,
            suspect,
            paths: paths.into_iter().take(PATHS_TOLD_MAX).map(ToString::to_string).collect(),
            ..self.verified_peer(peer, namespace, outcome)
        }
    }

    /// What was found twice is a fault.
    fn confirm(
        &mut self,
        peer: NodeKey,
        namespace: Namespace,
        (path, dot): (&Path, Dot),
        suspicion: Suspicion,
        count: u64,
    ) {
        let name = self.verified_peer(peer, namespace, VerifyOutcome::Differs).peer;
        let is_ours = match suspicion {
            Suspicion::OnlyHere => true,
            Suspicion::OnlyThere => false,
            Suspicion::Collision { is_lesser } => is_lesser,
        };
        let what = match suspicion {
            Suspicion::OnlyHere => "is here, and missing there without a trace",
            Suspicion::OnlyThere => "is there, and missing here without a trace",
            Suspicion::Collision { .. } => "has two contents under one number",
        };
        let place = (namespace, path.clone(), dot);
        if self.verify.again.contains_key(&place) {
            return;
        }
        self.verify.totals.suspect += 1;
        self.verify.alarm(format!("{namespace}/{path} ({dot}) {what}: compared with {name}"));
        if count > AGAIN_MAX {
            return self.verify.alarm(format!(
                "{count} values differ from {name}: too many to be issued again without a person"
            ));
        }
        if is_ours && self.may_write().is_ok() {
            let rank = self.members.iter().filter(|(key, _)| *key < self.config.key).count() as u64;
            let due_ms = self.now.mono_ms + rank * 2 * self.config.digest_ms;
            self.verify.again.insert(place, due_ms);
        }
    }

    /// Issues again what is due.
    pub(super) fn run_again(&mut self) {
        let now_ms = self.now.mono_ms;
        let due = self.verify.again.iter().filter(|(_, due_ms)| **due_ms <= now_ms);
        let due: Vec<(Namespace, Path, Dot)> = due.map(|(place, _)| place.clone()).collect();
        for place in due {
            self.verify.again.remove(&place);
            let (namespace, path, dot) = place;
            self.verify.totals.issued_again += 1;
            tracing::warn!(%path, %dot, "issued again");
            let closure = Box::new(move |tx: &mut crate::state::WriteTx<'_>| {
                tx.write_again(&path, dot).map(drop)
            });
            self.submit_local(Pending::Own, namespace, closure);
        }
    }

    /// What was not found again is forgotten.
    fn forget_suspects(
        &mut self,
        peer: NodeKey,
        namespace: Namespace,
        found: &BTreeMap<(Path, Dot), Suspicion>,
    ) {
        self.verify.suspects.retain(|(of, within, path, dot), _| {
            *of != peer || *within != namespace || found.contains_key(&(path.clone(), *dot))
        });
    }
}

/// Judges all paths at which the two differ.
fn judge_all(comparing: &Comparing, told: &Told) -> Result<Judged, StoreError> {
    let namespace = comparing.namespace;
    let view = View::new(comparing.snapshot.clone(), namespace)?;
    let nothing = (VersionVector::new(), VersionVector::new());
    let (their_vv, their_floor) = comparing.theirs.as_ref().unwrap_or(&nothing);
    let ours = Ground { vv: &comparing.vv, floor: &comparing.floor };
    let theirs = Ground { vv: their_vv, floor: their_floor };
    let log = Overlay::over(comparing.snapshot.clone(), namespace)?;
    let own_deletes = deletes_beyond(&view, their_vv)?;
    let mut judged = Judged::default();
    for path in paths(comparing, told, &view)? {
        let own = match view.entry(&path) {
            Ok(own) => own,
            // It is mended as such.
            Err(error) if error.is_damage() => {
                judged.damage = Some(error);
                continue;
            }
            Err(error) => return Err(error),
        };
        let deletes =
            Deletes { ours: own_deletes.contains(&path), theirs: told.deletes.contains(&path) };
        let row = told.rows.get(&path).map(Vec::as_slice).unwrap_or_default();
        let mut logs_live = |dot| {
            let row = log.log_row(namespace, dot);
            row.is_ok_and(|row| row.is_some_and(|row| row.path == path && row.deleted.is_none()))
        };
        let found = judge((&own, ours), (row, theirs), deletes, &mut logs_live);
        judged.differing += 1;
        judged.explained += u64::from(found.is_empty());
        for finding in found {
            match finding {
                Finding::Lost(live) => {
                    judged.lost.push((path.clone(), live));
                }
                Finding::Suspect(dot, suspicion) => {
                    judged.suspects.insert((path.clone(), dot), suspicion);
                }
            }
        }
    }
    Ok(judged)
}

/// The paths at which the two differ: those of this side, and of the other. If the other did not tell all, a
/// path that it did not tell is not known to be absent there.
fn paths(comparing: &Comparing, told: &Told, view: &View) -> Result<BTreeSet<Path>, StoreError> {
    let mut paths: BTreeSet<Path> = told.rows.keys().cloned().collect();
    let Some(differs) = comparing.differs().filter(|_| !told.is_cut && !is_full(told)) else {
        return Ok(paths);
    };
    if let Some(listed) = differs.listed() {
        paths.extend(listed.iter().take(PATHS_MAX).cloned());
        return Ok(paths);
    }
    view.sound_entries(None, &mut |met| {
        if let Ok((path, _)) = met
            && differs.contains(&path)
        {
            paths.insert(path);
        }
        match paths.len() < PATHS_MAX {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    })?;
    Ok(paths)
}

fn is_full(told: &Told) -> bool {
    told.rows.len() >= PATHS_MAX
}

/// Paths with a tombstone here that the other side does not cover.
fn deletes_beyond(view: &View, theirs: &VersionVector) -> Result<BTreeSet<Path>, StoreError> {
    let mut paths = BTreeSet::new();
    for range in view.vv().beyond(theirs) {
        view.log(range.incarnation, range.after, range.upto.get(), &mut |_, row| {
            if row.deleted.is_some() {
                paths.insert(row.path);
            }
            ControlFlow::Continue(())
        })?;
    }
    Ok(paths)
}

/// Bytes of rows that a peer may tell in one verification.
const TOLD_BYTES_MAX: usize = 16 << 20;
/// Paths judged in one verification: as many as a peer tells.
const PATHS_MAX: usize = 4_000;
/// Comparisons in turn that must find the same.
const CONFIRMED: u32 = 2;
/// Values that differ from one peer, beyond which nothing is issued again: that is no rot.
const AGAIN_MAX: u64 = 64;
/// Paths told to people.
const PATHS_TOLD_MAX: usize = 20;
