//! When a node looks whether it holds what it should, and who has asked.
//!
//! Every so often a node looks through its own store, at a limited pace, and then compares itself with each
//! linked peer. One of two that are linked asks: the lesser key. An application that asks has the same done at
//! once, and waits for the report.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use millpond_core::message::Purpose;
use millpond_core::{Dot, Namespace, NodeKey, Path};
use rand_core::Rng;

use super::commit::Pending;
use super::comparing::SessionId;
use super::engine::{Engine, NAMESPACES};
use super::mending::LostDot;
use super::{Answer, LinkId, Now, RequestId};
use crate::planted::planted;
use crate::probes::sometimes;
use crate::status::{
    LostValue, ScrubReport, VerifiedPeer, VerifyOutcome, VerifyReport, VerifyStatus, VerifyTotals,
};
use crate::verify::{Scrub, Suspicion};

/// When and how fast a node looks through what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VerifySettings {
    /// How often; never, if absent.
    pub(crate) every_ms: Option<u64>,
    /// Rows of its own store that it looks at in a second.
    pub(crate) rows_per_s: u64,
}

/// Whether what is here is what should be.
pub(super) struct Verify {
    settings: VerifySettings,
    /// When to look again without being asked, and when the walk under way began.
    next_ms: u64,
    began_ms: u64,
    /// A walk through the own store, when its next step is due, and whether somebody waits for it.
    pub(super) scrub: Option<Scrub>,
    pub(super) scrub_due_ms: u64,
    pub(super) is_hurried: bool,
    /// What the last one found, and when.
    pub(super) scrubbed: Option<(ScrubReport, u64)>,
    /// What the own store has lost, when peers are asked for it again, and how long after that.
    pub(super) lost: BTreeSet<LostDot>,
    pub(super) lost_due_ms: u64,
    lost_pause_ms: u64,
    /// Comparisons to be made.
    pub(super) todo: BTreeMap<(NodeKey, Namespace), Todo>,
    /// What they came to, and when.
    pub(super) reports: BTreeMap<(NodeKey, Namespace), (VerifiedPeer, u64)>,
    /// What nothing explained, and in how many comparisons with that peer in turn.
    pub(super) suspects: BTreeMap<Suspect, (Suspicion, u32)>,
    /// What is to be issued again, and when.
    pub(super) again: BTreeMap<(Namespace, Path, Dot), u64>,
    pub(super) alarms: VecDeque<String>,
    pub(super) totals: VerifyTotals,
    asked: Vec<Asked>,
}

/// A dot at a path, and with whom it is in question.
pub(super) type Suspect = (NodeKey, Namespace, Path, Dot);

/// A comparison to be made.
#[derive(Debug, Default)]
pub(super) struct Todo {
    due_ms: u64,
    /// The session, once it is asked for.
    asked: Option<SessionId>,
    /// Until when it is tried, and whether it looks again at what the last one found.
    until_ms: u64,
    pub(super) is_again: bool,
}

/// Somebody waits for a report.
struct Asked {
    id: RequestId,
    peers: BTreeSet<(NodeKey, Namespace)>,
    until_ms: u64,
}

impl Todo {
    /// Whether it is made in this session.
    pub(super) fn is_of(&self, session: SessionId) -> bool {
        self.asked == Some(session)
    }
}

impl Verify {
    pub(super) fn new(settings: VerifySettings, now: Now) -> Self {
        Self {
            settings,
            next_ms: settings.every_ms.map_or(u64::MAX, |every_ms| now.mono_ms + every_ms),
            began_ms: now.mono_ms,
            scrub: None,
            scrub_due_ms: u64::MAX,
            is_hurried: false,
            scrubbed: None,
            lost: BTreeSet::new(),
            lost_due_ms: u64::MAX,
            lost_pause_ms: LOST_PAUSE_MS,
            todo: BTreeMap::new(),
            reports: BTreeMap::new(),
            suspects: BTreeMap::new(),
            again: BTreeMap::new(),
            alarms: VecDeque::new(),
            totals: VerifyTotals::default(),
            asked: Vec::new(),
        }
    }

    /// What is left of it for an engine that begins anew: what was found of dots may be of others now.
    pub(super) fn outliving(self) -> Self {
        let scrub = self.scrub.is_some().then(Scrub::new);
        let (lost, suspects, again) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
        Self { scrub, lost, suspects, again, ..self }
    }

    /// How long a step of so many rows pauses.
    pub(super) fn pause_ms(&self, rows: u64) -> u64 {
        if self.is_hurried { 0 } else { rows * 1_000 / self.settings.rows_per_s.max(1) }
    }

    /// Begins to look through the own store, unless that is under way.
    pub(super) fn begin_scrub(&mut self, now_ms: u64, is_hurried: bool) {
        self.is_hurried |= is_hurried;
        if self.scrub.is_none() || is_hurried {
            self.scrub_due_ms = now_ms;
        }
        if self.scrub.is_none() {
            self.began_ms = now_ms;
        }
        self.scrub.get_or_insert_with(Scrub::new);
    }

    /// The walk through the own store has come to an end. A large store rests the longer, so that its share of the
    /// time stays small.
    pub(super) fn end_scrub(&mut self, now_ms: u64) {
        (self.scrub, self.is_hurried) = (None, false);
        self.totals.scrubs += 1;
        if planted!("who has read much rests") {
            return;
        }
        let rest_ms = (now_ms - self.began_ms).saturating_mul(RESTS);
        self.next_ms = self.next_ms.max(now_ms.saturating_add(rest_ms));
    }

    /// When peers are asked for what is lost next.
    pub(super) fn retry_lost(&mut self, now_ms: u64) {
        self.lost_due_ms = now_ms + self.lost_pause_ms;
        self.lost_pause_ms = match self.lost.is_empty() {
            true => LOST_PAUSE_MS,
            false => (self.lost_pause_ms * 2).min(LOST_PAUSE_MS_MAX),
        };
    }

    /// A peer may have what is lost that could not be asked before.
    pub(super) fn retry_lost_soon(&mut self, now_ms: u64) {
        self.lost_pause_ms = LOST_PAUSE_MS;
        self.lost_due_ms = self.lost_due_ms.min(now_ms + LOST_PAUSE_MS);
    }

    /// A person has to look.
    pub(super) fn alarm(&mut self, what: String) {
        tracing::error!(what, "verify found what needs a person");
        if self.alarms.back() != Some(&what) {
            self.alarms.push_back(what);
        }
        if self.alarms.len() > ALARMS_MAX {
            self.alarms.pop_front();
        }
    }
}

impl Engine {
    /// The application asks whether all is well.
    pub(super) fn ask_verify(&mut self, id: RequestId, peers: Option<Vec<NodeKey>>, is_deep: bool) {
        let own = self.config.key;
        let peers = peers.unwrap_or_else(|| {
            self.members.iter().map(|(key, _)| key).filter(|key| *key != own).collect()
        });
        let now_ms = self.now.mono_ms;
        if is_deep {
            self.verify.begin_scrub(now_ms, true);
        }
        for &peer in &peers {
            self.verify_with(peer);
        }
        let peers = peers.into_iter().flat_map(|peer| NAMESPACES.map(|of| (peer, of))).collect();
        self.verify.asked.push(Asked { id, peers, until_ms: now_ms + ASKED_MS_MAX });
        self.run_verify();
    }

    /// Compares with a peer, soon.
    pub(super) fn verify_with(&mut self, peer: NodeKey) {
        let due_ms = self.now.mono_ms;
        for namespace in NAMESPACES {
            let todo = Todo { due_ms, until_ms: due_ms + TRIED_MS, ..Todo::default() };
            self.verify.todo.entry((peer, namespace)).or_insert(todo);
        }
    }

    /// Compares with all peers that this node may ask.
    pub(super) fn verify_with_all(&mut self) {
        let peers: BTreeSet<NodeKey> =
            self.links.values().filter(|it| it.may_take()).map(|it| it.peer).collect();
        peers.into_iter().for_each(|peer| self.verify_with(peer));
    }

    /// Whether two are so far apart that their difference says little.
    pub(super) fn is_far_from(
        &self,
        link: LinkId,
        namespace: Namespace,
        theirs: &millpond_core::VersionVector,
    ) -> bool {
        let ours = self.applied(namespace);
        ours.count_beyond(theirs) > APART_MAX
            || theirs.count_beyond(ours) > APART_MAX
            || self.needs_refresh_in(link, namespace)
    }

    pub(super) fn next_verify_ms(&self) -> u64 {
        let verify = &self.verify;
        let scrub_ms = if verify.scrub.is_some() { verify.scrub_due_ms } else { u64::MAX };
        let is_scrubbing = verify.scrub.is_some() && verify.is_hurried;
        let todo = verify.todo.values().filter(|_| !is_scrubbing).map(|todo| todo.due_ms);
        let asked = verify.asked.iter().map(|asked| asked.until_ms);
        let again = verify.again.values().copied();
        let others = todo.chain(asked).chain(again).min().unwrap_or(u64::MAX);
        let lost_ms = if verify.lost.is_empty() { u64::MAX } else { verify.lost_due_ms };
        verify.next_ms.min(scrub_ms).min(lost_ms).min(others)
    }

    /// Does what is due.
    pub(super) fn run_verify(&mut self) {
        let now_ms = self.now.mono_ms;
        if self.verify.next_ms <= now_ms {
            let every_ms = self.verify.settings.every_ms.unwrap_or(u64::MAX);
            self.verify.next_ms = now_ms.saturating_add(every_ms);
            self.verify_by_schedule();
        }
        if self.verify.scrub.is_some() && self.verify.scrub_due_ms <= now_ms {
            self.step_scrub();
        }
        self.run_lost();
        // What is lost is known once the own store was looked through.
        if self.verify.scrub.is_none() || !self.verify.is_hurried {
            let due = self.verify.todo.iter().filter(|(_, todo)| todo.due_ms <= now_ms);
            let due: Vec<(NodeKey, Namespace)> = due.map(|(&it, _)| it).collect();
            due.into_iter().for_each(|(peer, namespace)| self.run_todo(peer, namespace));
        }
        self.run_again();
        self.answer_verified();
    }

    fn verify_by_schedule(&mut self) {
        if self.verify.scrub.is_some() {
            return;
        }
        self.verify.begin_scrub(self.now.mono_ms, false);
        let own = self.config.key;
        let peers: BTreeSet<NodeKey> = self.links.values().map(|link| link.peer).collect();
        peers.into_iter().filter(|peer| own < *peer).for_each(|it| self.verify_with(it));
    }

    fn run_todo(&mut self, peer: NodeKey, namespace: Namespace) {
        let now_ms = self.now.mono_ms;
        let Some(todo) = self.verify.todo.get_mut(&(peer, namespace)) else { return };
        todo.due_ms = now_ms + LOOK_MS;
        if todo.asked.is_some_and(|session| self.comparisons.contains_key(&session)) {
            return;
        }
        let was_asked = todo.asked.take().is_some();
        let is_late = todo.until_ms <= now_ms;
        let is_verifying = self.is_verifying();
        let link = self.links.iter().find(|(_, link)| link.peer == peer && link.may_take());
        let Some((&link, _)) = link else {
            return self.verified_as(peer, namespace, VerifyOutcome::NotLinked);
        };
        if self.needs_refresh_in(link, namespace) && is_late {
            return self.verified_as(peer, namespace, VerifyOutcome::RefreshNeeded);
        }
        let theirs = self.peers.get(&peer).map(|it| it.vectors(namespace).applied.clone());
        let is_far = self.is_far_from(link, namespace, &theirs.unwrap_or_default());
        if is_late {
            let outcome = if is_far { VerifyOutcome::Behind } else { VerifyOutcome::BrokeOff };
            return self.verified_as(peer, namespace, outcome);
        }
        if is_verifying {
            sometimes!(VerificationWaits);
            return self.wait_for_turn((peer, namespace), LOOK_MS);
        }
        if is_far || self.is_busy_with(namespace) || was_asked {
            return;
        }
        let Some(session) = self.ask_comparison(link, namespace, Purpose::Verify) else { return };
        if let Some(todo) = self.verify.todo.get_mut(&(peer, namespace)) {
            todo.asked = Some((link, session));
        }
    }

    /// Both sides may be busy with others, and ask each other at the same moment again: each waits as long as chance
    /// has it.
    pub(super) fn put_off_verification(&mut self, session: SessionId) {
        let mut todos = self.verify.todo.iter_mut();
        let Some((&of, todo)) = todos.find(|(_, todo)| todo.is_of(session)) else { return };
        todo.asked = None;
        let pause_ms = LOOK_MS / 2 + self.rng.next_u64() % LOOK_MS;
        self.wait_for_turn(of, pause_ms);
    }

    /// Its time to be tried begins with its turn.
    fn wait_for_turn(&mut self, of: (NodeKey, Namespace), pause_ms: u64) {
        let Some(todo) = self.verify.todo.get_mut(&of) else { return };
        todo.due_ms = self.now.mono_ms + pause_ms;
        todo.until_ms = todo.due_ms + TRIED_MS;
    }

    /// A comparison came to nothing.
    fn verified_as(&mut self, peer: NodeKey, namespace: Namespace, outcome: VerifyOutcome) {
        let report = self.verified_peer(peer, namespace, outcome);
        self.verified(peer, namespace, report);
    }

    pub(super) fn verified_peer(
        &self,
        peer: NodeKey,
        namespace: Namespace,
        outcome: VerifyOutcome,
    ) -> VerifiedPeer {
        let name = self.members.get(peer).map(|member| member.name.clone());
        VerifiedPeer {
            peer: name.unwrap_or_else(|| peer.short().to_string()),
            namespace: namespace.to_string(),
            outcome,
            entries: 0,
            differing: 0,
            explained: 0,
            mended: 0,
            suspect: 0,
            paths: Vec::new(),
            age_s: 0,
        }
    }

    /// A comparison has come to an end: looked at again soon, if something was found for the first time.
    pub(super) fn verified(&mut self, peer: NodeKey, namespace: Namespace, report: VerifiedPeer) {
        let key = (peer, namespace);
        let was_asked = self.verify.todo.remove(&key);
        // The next one has its turn.
        let now_ms = self.now.mono_ms;
        let waiting = self.verify.todo.values_mut().filter(|it| it.asked.is_none() && !it.is_again);
        waiting.for_each(|todo| todo.due_ms = todo.due_ms.min(now_ms));
        let is_new = was_asked.is_some_and(|todo| !todo.is_again);
        let is_in_question = report.suspect > 0 || report.outcome == VerifyOutcome::Mended;
        if is_in_question && is_new && !planted!("what differs is looked at again") {
            let due_ms = self.now.mono_ms + 2 * self.config.digest_ms;
            let until_ms = due_ms + TRIED_MS;
            let todo = Todo { due_ms, until_ms, asked: None, is_again: true };
            self.verify.todo.insert(key, todo);
        }
        self.verify.reports.insert(key, (report, self.now.mono_ms));
    }

    /// Answers who waits for nothing more.
    fn answer_verified(&mut self) {
        let now_ms = self.now.mono_ms;
        let all = std::mem::take(&mut self.verify.asked);
        let verify = &self.verify;
        let is_scrubbing = verify.scrub.is_some() && verify.is_hurried;
        let is_mending = self.jobs.values().any(|it| matches!(it, Pending::Mend(_)));
        let is_done = |asked: &Asked| {
            let is_level = !asked.peers.iter().any(|key| verify.todo.contains_key(key));
            (is_level && !is_scrubbing && !is_mending) || asked.until_ms <= now_ms
        };
        let (done, rest): (Vec<Asked>, Vec<Asked>) = all.into_iter().partition(is_done);
        self.verify.asked = rest;
        if !done.is_empty() {
            self.note_lost();
        }
        for asked in done {
            let report = self.verify_report(&asked.peers, asked.until_ms > now_ms);
            self.answer(asked.id, Answer::Verified(Box::new(report)));
        }
    }

    fn verify_report(
        &self,
        asked: &BTreeSet<(NodeKey, Namespace)>,
        is_in_time: bool,
    ) -> VerifyReport {
        let age_s = |at_ms: u64| self.now.mono_ms.saturating_sub(at_ms) / 1_000;
        let reports = self.verify.reports.iter().filter(|(key, _)| asked.contains(key));
        let peers: Vec<VerifiedPeer> = reports
            .map(|(_, (report, at_ms))| VerifiedPeer { age_s: age_s(*at_ms), ..report.clone() })
            .collect();
        let scrub = self.verify.scrubbed.as_ref();
        let lost = self.lost_values();
        let is_good = |it: &VerifiedPeer| it.outcome.is_good() && it.suspect == 0;
        VerifyReport {
            is_sound: peers.iter().all(is_good) && lost.is_empty(),
            is_whole: is_in_time && peers.len() == asked.len(),
            peers,
            scrub: scrub.map(|(report, at)| ScrubReport { age_s: age_s(*at), ..report.clone() }),
            lost,
            alarms: self.verify.alarms.iter().cloned().collect(),
        }
    }

    /// When it last looked, for `status`.
    pub(super) fn verify_status(&self) -> VerifyStatus {
        let age_s = |at_ms: u64| self.now.mono_ms.saturating_sub(at_ms) / 1_000;
        let mut peers: BTreeMap<NodeKey, bool> = BTreeMap::new();
        for ((peer, _), (report, _)) in &self.verify.reports {
            let is_good = report.outcome.is_good() && report.suspect == 0;
            *peers.entry(*peer).or_insert(true) &= is_good;
        }
        let agreeing = peers.values().filter(|is_good| **is_good).count();
        let latest = self.verify.reports.values().map(|(_, at_ms)| *at_ms).max();
        VerifyStatus {
            read_age_s: self.verify.scrubbed.as_ref().map(|(_, at_ms)| age_s(*at_ms)),
            agreeing: agreeing as u64,
            others: (peers.len() - agreeing) as u64,
            compared_age_s: latest.map(age_s),
        }
    }

    /// What is lost here, and was not given back.
    pub(super) fn lost_values(&self) -> Vec<LostValue> {
        let lost = self.verify.lost.iter().map(|(namespace, path, dot)| LostValue {
            namespace: namespace.to_string(),
            path: path.to_string(),
            dot: dot.to_string(),
        });
        lost.take(LOST_TOLD_MAX).collect()
    }
}

/// Dots that one side covers and the other does not, beyond which they are not compared: the difference is
/// mostly what is on its way.
const APART_MAX: u64 = 20_000;
/// How often the time that a walk through the own store took passes before the next one: beside writes without
/// pause it takes a third of them at most, and so a 24th in all.
const RESTS: u64 = 7;
/// How long a comparison is tried.
const TRIED_MS: u64 = 30_000;
/// How often it is looked whether one can be asked for, or has ended.
const LOOK_MS: u64 = 500;
/// How long until peers are asked again for what is lost: at first, and at most.
const LOST_PAUSE_MS: u64 = 10_000;
const LOST_PAUSE_MS_MAX: u64 = 600_000;
/// How long somebody waits for a report at most.
const ASKED_MS_MAX: u64 = 600_000;
/// Alarms that are kept.
const ALARMS_MAX: usize = 100;
/// Lost values that are told at most.
const LOST_TOLD_MAX: usize = 1_000;
