//! Comparisons with peers: two snapshots, and what differs between them.

use std::sync::Arc;

use millpond_core::message::{
    CloseCode, Compare, CompareRefusal, Message, PullRefusal, Purpose, Range,
};
use millpond_core::transport::Lane;
use millpond_core::{Namespace, VersionVector};
use rand_core::Rng;

use super::LinkId;
use super::engine::{Engine, NAMESPACES};
use super::supply::Supply;
use super::taking_over::TakingOver;
use super::verifying::Told;
use crate::limits::COMPARISONS_MAX;
use crate::planted::planted;
use crate::probes::{never, sometimes};
use crate::reconcile::{Differs, Reconciler, Turn};
use crate::state::{CutMark, View, meta_key, read_meta};
use crate::store::{Snapshot, StoreError};

/// A comparison, seen from one side.
pub(super) struct Comparing {
    pub(super) namespace: Namespace,
    pub(super) purpose: Purpose,
    /// Whether this side has asked for it.
    is_asker: bool,
    /// This side's snapshot, its vector and its floor.
    pub(super) snapshot: Arc<dyn Snapshot>,
    pub(super) vv: VersionVector,
    pub(super) floor: VersionVector,
    /// What is staged of a refresh that broke off, and was compared as if it were here; and that state.
    broke_off: Option<(CutMark, View)>,
    /// The peer's; the asker learns them when it is accepted.
    pub(super) theirs: Option<(VersionVector, VersionVector)>,
    stage: Stage,
    /// A question for this side's half that came before it was settled.
    wish: Option<u64>,
    /// Whether this side has the peer's half, or wants none, and whether the peer has had this side's.
    pub(super) is_pulled: bool,
    pub(super) is_supplied: bool,
    /// The peer's rows, in a verification.
    pub(super) told: Option<Told>,
    /// How many entries this side holds, whether it passed over damaged ones, and whether both are equal.
    pub(super) entries: u64,
    pub(super) is_damaged: bool,
    pub(super) is_equal: bool,
    pub(super) progress_ms: u64,
}

/// How far a comparison is.
enum Stage {
    /// Both sum up their snapshots, then speak in turn.
    Talking(Box<Reconciler>),
    /// What differs is known.
    Settled(Arc<Differs>),
}

/// Names a comparison.
pub(super) type SessionId = (LinkId, u64);

impl Comparing {
    /// What differs, once it is known.
    pub(super) fn differs(&self) -> Option<&Arc<Differs>> {
        match &self.stage {
            Stage::Settled(differs) => Some(differs),
            _ => None,
        }
    }

    /// What is taken over of a refresh that broke off: its cut, the vector to go to, and the way there.
    pub(super) fn taking_over(&self) -> Option<(CutMark, VersionVector, TakingOver)> {
        let (held, compared) = self.broke_off.clone()?;
        let (upto, floor) = self.theirs.clone()?;
        let taking_over = TakingOver {
            namespace: self.namespace,
            held: Some(held.clone()),
            tables: self.snapshot.clone(),
            compared,
            differs: self.differs()?.clone(),
            from: self.vv.clone(),
            floor,
            after: None,
        };
        Some((held, upto, taking_over))
    }

    /// For how long the peer is waited for. In a verification that is settled it asks at once, or never: it may be
    /// so far away that it is not worth it. Meanwhile the snapshot keeps all pages that are written, and no
    /// tombstone is collected.
    fn patience_ms(&self) -> u64 {
        let is_mine_over = self.purpose == Purpose::Verify
            && self.is_pulled
            && !planted!("who may ask no more is not waited for");
        if is_mine_over { QUESTION_MS_MAX } else { SILENCE_MS_MAX }
    }

    /// Whether a step would do something.
    fn has_work(&self) -> bool {
        match &self.stage {
            Stage::Talking(reconciler) => reconciler.has_work() || reconciler.settled().is_some(),
            Stage::Settled(_) => false,
        }
    }
}

impl Engine {
    /// Asks a peer to compare a namespace.
    pub(super) fn ask_comparison(
        &mut self,
        link_id: LinkId,
        namespace: Namespace,
        purpose: Purpose,
    ) -> Option<u64> {
        let peer = self.links.get(&link_id).filter(|link| link.has_greeted())?.peer;
        let (session, mut salt) = (self.rng.next_u64(), [0; 16]);
        self.rng.fill_bytes(&mut salt);
        let reach = self.peers.get(&peer).map(|it| it.vectors(namespace).applied.clone());
        let reach = reach.unwrap_or_default();
        let comparing = match self.comparing((namespace, purpose), salt, &reach, None) {
            Ok(comparing) => comparing,
            Err(error) => {
                tracing::error!(%error, "nothing can be compared");
                return None;
            }
        };
        let (vv, floor) = (comparing.vv.clone(), comparing.floor.clone());
        self.comparisons.insert((link_id, session), comparing);
        self.introduce_all(link_id, Lane::Bulk, &vv);
        let compare = Compare { session, namespace, purpose, salt, vv, floor };
        self.send(link_id, Lane::Bulk, &Message::Compare(compare));
        Some(session)
    }

    /// A comparison with a peer that reaches so far.
    fn comparing(
        &self,
        (namespace, purpose): (Namespace, Purpose),
        salt: [u8; 16],
        reach: &VersionVector,
        theirs: Option<(VersionVector, VersionVector)>,
    ) -> Result<Comparing, StoreError> {
        let snapshot = self.store.snapshot()?;
        let view = View::new(snapshot.clone(), namespace)?;
        let is_asker = theirs.is_none();
        let is_tolerant = purpose == Purpose::Verify;
        let held: Option<CutMark> = read_meta(&*snapshot, &meta_key::cut(namespace))?;
        let held = held.filter(|cut| {
            purpose == Purpose::Refresh && cut.compared.is_some() && reaches(reach, cut)
        });
        let with_cut = |cut| View::with_cut(snapshot.clone(), namespace, cut);
        let compared = held.as_ref().map(with_cut).transpose()?;
        let broke_off = held.zip(compared.clone());
        let compared = compared.unwrap_or_else(|| view.clone());
        let reconciler = Reconciler::new(compared, salt, is_asker, is_tolerant);
        Ok(Comparing {
            namespace,
            purpose,
            is_asker,
            vv: view.vv().clone(),
            floor: read_meta(&*snapshot, &meta_key::floor(namespace))?.unwrap_or_default(),
            snapshot,
            broke_off,
            theirs,
            stage: Stage::Talking(Box::new(reconciler)),
            wish: None,
            is_pulled: false,
            is_supplied: false,
            told: None,
            entries: 0,
            is_damaged: false,
            is_equal: false,
            progress_ms: self.now.mono_ms,
        })
    }

    /// A peer asks to compare.
    pub(super) fn compare(&mut self, link_id: LinkId, asked: Compare) {
        let Compare { session, namespace, purpose, salt, vv, floor } = asked;
        let refuse = |engine: &mut Self, reason| {
            engine.send(link_id, Lane::Bulk, &Message::CompareRefused { session, reason });
        };
        if !NAMESPACES.contains(&namespace) || !self.gives_to(link_id) {
            sometimes!(CompareNotAllowed);
            return refuse(self, CompareRefusal::NotAllowed);
        }
        if !vv.covers_all(&floor) || self.comparisons.contains_key(&(link_id, session)) {
            never!("asks for a comparison that makes no sense");
            return self.close(link_id, CloseCode::Protocol, "a comparison that makes no sense");
        }
        // Two that ask each other at once need one answer: the lesser key's.
        let is_mine = |id: &SessionId, it: &Comparing| {
            let is_alike = it.namespace == namespace || purpose == Purpose::Verify;
            id.0 == link_id && is_alike && it.is_asker && it.purpose == purpose
        };
        let asked_too = self.comparisons.iter().any(|(id, it)| is_mine(id, it));
        if asked_too && self.config.key < self.links[&link_id].peer {
            sometimes!(BothAskToCompare);
            return refuse(self, CompareRefusal::Busy);
        }
        let asked_twice = |id: &SessionId, it: &Comparing| {
            id.0 == link_id && it.namespace == namespace && it.purpose == purpose
        };
        let others = self.comparisons.iter().filter(|(id, it)| !asked_twice(id, it));
        let verifies =
            |(id, it): (&SessionId, &Comparing)| it.purpose == Purpose::Verify && !is_mine(id, it);
        if others.clone().count() >= COMPARISONS_MAX
            || purpose == Purpose::Verify
                && others.clone().any(verifies)
                && !planted!("verifications come one after the other")
        {
            sometimes!(CompareBusy);
            return refuse(self, CompareRefusal::Busy);
        }
        if purpose == Purpose::Refresh && !self.may_refresh(&self.links[&link_id], namespace) {
            sometimes!(RefreshWaits);
            return refuse(self, CompareRefusal::NotAllowed);
        }
        let is_refused = |id: &SessionId, it: &Comparing| {
            purpose == Purpose::Verify && is_mine(id, it) && it.theirs.is_none()
        };
        let refused = self.comparisons.iter().filter(|(id, it)| is_refused(id, it));
        let refused: Vec<SessionId> = refused.map(|(&id, _)| id).collect();
        self.comparisons.retain(|id, it| !asked_twice(id, it) && !refused.contains(id));
        // The peer says so only later.
        refused.into_iter().for_each(|id| self.put_off(id));
        self.note_floor(link_id, namespace, &floor);
        let (reach, theirs) = (vv.clone(), Some((vv, floor)));
        let comparing = match self.comparing((namespace, purpose), salt, &reach, theirs) {
            Ok(comparing) => comparing,
            Err(error) => {
                tracing::error!(%error, "nothing can be compared");
                return refuse(self, CompareRefusal::Busy);
            }
        };
        let (vv, floor) = (comparing.vv.clone(), comparing.floor.clone());
        self.comparisons.insert((link_id, session), comparing);
        self.introduce_all(link_id, Lane::Bulk, &vv);
        self.send(link_id, Lane::Bulk, &Message::CompareAccept { session, vv, floor });
    }

    /// A peer is ready to compare.
    pub(super) fn compare_accepted(
        &mut self,
        link_id: LinkId,
        session: u64,
        (vv, floor): (VersionVector, VersionVector),
    ) {
        let now_ms = self.now.mono_ms;
        let Some(comparing) = self.comparisons.get_mut(&(link_id, session)) else { return };
        if comparing.theirs.is_some() || !vv.covers_all(&floor) {
            never!("accepts what was not asked, or makes no sense");
            return self.close(link_id, CloseCode::Protocol, "a comparison that makes no sense");
        }
        let is_reached = comparing.broke_off.as_ref().is_none_or(|(cut, _)| reaches(&vv, cut));
        let namespace = comparing.namespace;
        comparing.theirs = Some((vv, floor.clone()));
        comparing.progress_ms = now_ms;
        self.note_floor(link_id, namespace, &floor);
        if !is_reached {
            never!("has less than it said");
            self.drop_comparison((link_id, session));
            self.drop_cut(namespace);
        }
    }

    /// A peer does not compare.
    pub(super) fn compare_refused(&mut self, link_id: LinkId, session: u64, why: CompareRefusal) {
        tracing::debug!(link = link_id.0, ?why, "comparison refused");
        self.drop_comparison((link_id, session));
        if why == CompareRefusal::Busy {
            self.put_off((link_id, session));
        }
    }

    /// The peer is busy with others: who wanted the comparison asks again.
    fn put_off(&mut self, session: SessionId) {
        self.put_off_verification(session);
        self.put_off_plan(session);
    }

    /// A peer says what it holds.
    pub(super) fn ranges(
        &mut self,
        link_id: LinkId,
        session: u64,
        (is_last, ranges): (bool, Vec<Range>),
    ) {
        let now_ms = self.now.mono_ms;
        // It may have been given up here.
        let Some(comparing) = self.comparisons.get_mut(&(link_id, session)) else { return };
        let is_in_turn = match &mut comparing.stage {
            Stage::Talking(reconciler) => {
                comparing.progress_ms = now_ms;
                reconciler.hear(is_last, ranges)
            }
            // The end, for which this side did not wait.
            Stage::Settled(_) => is_last && ranges.is_empty(),
        };
        if !is_in_turn {
            never!("speaks out of turn in a comparison");
            self.close(link_id, CloseCode::Protocol, "a comparison out of turn");
        }
    }

    /// A peer asks for this side's half of a comparison.
    pub(super) fn supply_compared(&mut self, link_id: LinkId, session: u64, transfer: u64) {
        if !self.gives_to(link_id) {
            sometimes!(CompareNotAllowed);
            return self.refuse_pull(link_id, transfer, PullRefusal::NotAllowed);
        }
        let Some(comparing) = self.comparisons.get_mut(&(link_id, session)) else {
            return self.refuse_pull(link_id, transfer, PullRefusal::Busy);
        };
        let Some(differs) = comparing.differs().cloned() else {
            comparing.wish = Some(transfer);
            return;
        };
        let Some((from, _)) = comparing.theirs.clone() else { return };
        let (snapshot, namespace) = (comparing.snapshot.clone(), comparing.namespace);
        let limits = self.config.limits;
        let question = (namespace, transfer, from);
        let (purpose, is_partial) = (comparing.purpose, comparing.is_damaged);
        match Supply::of_compared(snapshot, question, (session, differs, purpose), limits) {
            Ok(mut supply) => {
                supply.is_partial = is_partial;
                self.begin_supply(link_id, supply);
            }
            Err(error) => {
                tracing::error!(%error, "a refresh cannot be supplied");
                self.refuse_pull(link_id, transfer, PullRefusal::Busy);
            }
        }
    }

    /// Whether a step of a comparison would do something.
    pub(super) fn has_comparisons_to_step(&self) -> bool {
        self.comparisons.iter().any(|((link, _), it)| it.has_work() && self.has_room_to_tell(*link))
    }

    fn has_room_to_tell(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|link| link.has_room_for_rows())
    }

    /// Whether a verification is under way, with whichever peer. Each keeps its snapshot and with it every page that
    /// is written meanwhile: one after the other they take the least room.
    pub(super) fn is_verifying(&self) -> bool {
        self.comparisons.values().any(|it| it.purpose == Purpose::Verify)
            && !planted!("verifications come one after the other")
    }

    /// One step of each comparison.
    pub(super) fn step_comparisons(&mut self) {
        let ids: Vec<SessionId> = self.comparisons.keys().copied().collect();
        for id in ids {
            let has_room = self.has_room_to_tell(id.0);
            let Some(comparing) = self.comparisons.get_mut(&id) else { continue };
            if !has_room || !comparing.has_work() {
                continue;
            }
            comparing.progress_ms = self.now.mono_ms;
            match comparing.step() {
                Ok(None) => {}
                Ok(Some(saying)) => {
                    if let Some(peer) = self.links.get(&id.0).map(|link| link.peer) {
                        self.peer_mut(peer).counters.compare_turns += u64::from(saying.0);
                    }
                    self.send(id.0, Lane::Bulk, &saying.of(id.1));
                }
                Err(error) => {
                    tracing::error!(%error, "a comparison cannot go on");
                    let refused =
                        Message::CompareRefused { session: id.1, reason: CompareRefusal::Busy };
                    self.send(id.0, Lane::Bulk, &refused);
                    self.drop_comparison(id);
                    self.look_for_damage(&error);
                    continue;
                }
            }
            self.settle_comparison(id);
        }
    }

    fn settle_comparison(&mut self, id: SessionId) {
        let Some(comparing) = self.comparisons.get_mut(&id) else { return };
        let Stage::Talking(reconciler) = &comparing.stage else { return };
        let Some(differs) = reconciler.settled() else { return };
        sometimes!(differs.is_empty(), NothingDiffers);
        sometimes!(!differs.is_empty(), SomethingDiffers);
        (comparing.entries, comparing.is_damaged) = reconciler.counted();
        comparing.is_equal = reconciler.is_equal();
        comparing.stage = Stage::Settled(Arc::new(differs.clone()));
        if comparing.purpose == Purpose::Verify {
            self.settle_verification(id);
        }
        let Some(comparing) = self.comparisons.get_mut(&id) else { return };
        let wish = comparing.wish.take();
        if let Some(wish) = wish {
            self.supply_compared(id.0, id.1, wish);
        }
        self.consider_pulls();
    }

    /// Comparisons of a link that is gone, or without progress, are given up.
    pub(super) fn run_comparisons(&mut self) {
        let now_ms = self.now.mono_ms;
        let stuck: Vec<SessionId> = self
            .comparisons
            .iter()
            .filter(|(id, it)| it.progress_ms + it.patience_ms() <= now_ms && !self.is_in_use(**id))
            .map(|(&id, _)| id)
            .collect();
        for id in stuck {
            sometimes!(ComparisonIsStuck);
            self.drop_comparison(id);
        }
    }

    pub(super) fn next_comparison_ms(&self) -> u64 {
        let waiting = self.comparisons.iter().filter(|(id, _)| !self.is_in_use(**id));
        let deadlines = waiting.map(|(_, it)| it.progress_ms + it.patience_ms());
        deadlines.min().unwrap_or(u64::MAX)
    }

    /// Whether rows of it are on their way, which have a clock of their own.
    fn is_in_use(&self, id: SessionId) -> bool {
        let is_pulled = self.pulls.values().any(|it| it.link == id.0 && it.session == Some(id.1));
        is_pulled
            || self.supplies.iter().any(|((link, _), it)| *link == id.0 && it.session == Some(id.1))
    }
}

/// What a step has to say.
struct Saying(bool, Vec<Range>);

impl Saying {
    fn of(self, session: u64) -> Message {
        Message::Ranges { session, is_last: self.0, ranges: self.1 }
    }
}

impl Comparing {
    fn step(&mut self) -> Result<Option<Saying>, StoreError> {
        match &mut self.stage {
            Stage::Talking(reconciler) => match reconciler.step()? {
                Turn::Say(ranges, is_last) => Ok(Some(Saying(is_last, ranges))),
                Turn::Working | Turn::Listening | Turn::Ended => Ok(None),
            },
            Stage::Settled(_) => Ok(None),
        }
    }
}

/// Whether a peer with this vector has seen all that is staged.
fn reaches(vv: &VersionVector, cut: &CutMark) -> bool {
    vv.covers_all(&cut.upto) || planted!("who has seen what is staged goes on with it")
}

/// How long a peer may say nothing. It may have to sum up a large namespace first.
const SILENCE_MS_MAX: u64 = 60_000;
/// How long a peer may take to ask for the other half of what is settled.
const QUESTION_MS_MAX: u64 = 5_000;
