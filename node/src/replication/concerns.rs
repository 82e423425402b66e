//! Concerns: who waits for the acks of members, and for which.
//!
//! Acks are counted from what members have told of themselves in this run: the vectors of a peer's link, which a
//! hello replaces, and of who is not linked the latest word that others tell. A peer whose acks are waited for is
//! told so, and then acks at once.

use std::collections::{BTreeMap, BTreeSet};

use millpond_core::message::Message;
use millpond_core::transport::Lane;
use millpond_core::{Dot, Namespace, NodeKey, VersionVector};

use super::engine::Engine;
use super::peer::{Peer, Vectors};
use super::{Answer, LinkId, RequestId};
use crate::concern::{AckLevel, Acks, Concern, MemberAck, Other, Standing};
use crate::planted::planted;
use crate::probes::sometimes;

/// What a caller waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) concern: Concern,
    pub(crate) level: AckLevel,
    /// From the commit on.
    pub(crate) timeout_ms: u64,
}

/// What came of waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waited {
    pub(crate) is_met: bool,
    pub(crate) acks: Acks,
}

/// Those who wait.
#[derive(Debug, Default)]
pub(super) struct Concerns {
    waiters: BTreeMap<RequestId, Waiter>,
    deadlines: BTreeSet<(u64, RequestId)>,
    /// Whether something has changed since all of them were looked at.
    is_stale: bool,
    /// When peers are told to hurry again, if anybody waits then.
    renew_ms: u64,
}

/// A write that waits for acks.
#[derive(Debug)]
struct Waiter {
    dot: Dot,
    /// The receipt of a write that has just been committed.
    vv: Option<VersionVector>,
    wanted: Wanted,
    /// On record when it began to wait, this node included.
    voters: BTreeSet<NodeKey>,
    deadline_ms: u64,
}

impl Concerns {
    /// Something may have been acknowledged, or who counts may have changed.
    pub(super) fn look_again(&mut self) {
        self.is_stale = true;
    }
}

impl Engine {
    /// A write is committed here, or its receipt is awaited again.
    pub(super) fn await_acks(
        &mut self,
        id: RequestId,
        dot: Dot,
        vv: Option<VersionVector>,
        wanted: Wanted,
    ) {
        let deadline_ms = self.now.mono_ms.saturating_add(wanted.timeout_ms);
        let voters = self.voters();
        self.concerns.waiters.insert(id, Waiter { dot, vv, wanted, voters, deadline_ms });
        self.concerns.deadlines.insert((deadline_ms, id));
        self.concerns.look_again();
        self.hurry_peers();
    }

    /// The members that may write and hold nothing back.
    fn voters(&self) -> BTreeSet<NodeKey> {
        let may_vote = |key: NodeKey| {
            !self.is_delayed_member(key) || planted!("a delayed replica is no voter")
        };
        let voters = self.members.iter().filter(|(_, member)| member.role.may_write());
        voters.map(|(key, _)| key).filter(|key| may_vote(*key)).collect()
    }

    /// How many members that count are linked now.
    pub(super) fn connected(&self) -> usize {
        self.others().filter(|(key, peer)| self.standing(*key, peer) == Standing::Linked).count()
    }

    /// Tells all peers that acks are waited for, unless they have just been told.
    pub(super) fn hurry_peers(&mut self) {
        let now_ms = self.now.mono_ms;
        self.concerns.renew_ms = now_ms + HURRY_MS / 2;
        let is_due = |said_ms: u64| now_ms >= said_ms + HURRY_MS / 2;
        let links = self.links.iter_mut().filter(|(_, link)| link.is_open());
        let calm = links.filter(|(_, link)| link.hurry_said_ms.is_none_or(is_due));
        for link_id in calm.map(|(&id, _)| id).collect::<Vec<_>>() {
            self.hurry(link_id);
        }
    }

    /// The same of a link that has just opened.
    pub(super) fn hurry_new(&mut self, link_id: LinkId) {
        if !self.concerns.waiters.is_empty() {
            sometimes!(NewLinkHurried);
            self.hurry(link_id);
        }
    }

    fn hurry(&mut self, link_id: LinkId) {
        let Some(link) = self.links.get_mut(&link_id) else { return };
        link.hurry_said_ms = Some(self.now.mono_ms);
        self.send(link_id, Lane::Control, &Message::Hurry { ms: HURRY_MS });
    }

    /// Answers those whose acks are there.
    pub(super) fn settle_concerns(&mut self) {
        // What is disputed may be another write there, of the same dot.
        if self.is_reissuing() && !planted!("what is disputed is not acknowledged") {
            return;
        }
        if !std::mem::take(&mut self.concerns.is_stale) || self.concerns.waiters.is_empty() {
            return;
        }
        let others: Vec<_> = self.known_others().collect();
        let is_met = |waiter: &Waiter| {
            let acks: Vec<Other<'_>> = others.iter().map(|it| it.as_seen_by(waiter)).collect();
            // What was disputed has left the state, and reappeared under another name. Who is no voter has no vote.
            let is_own =
                waiter.voters.contains(&self.config.key) || planted!("who is no voter has no vote");
            let is_here = is_own && self.applied(Namespace::MAIN).covers(waiter.dot);
            waiter.wanted.concern.is_met(&acks, waiter.voters.len(), is_here)
        };
        let waiters = self.concerns.waiters.iter();
        let met: Vec<RequestId> =
            waiters.filter(|(_, waiter)| is_met(waiter)).map(|(&id, _)| id).collect();
        drop(others);
        for id in met {
            self.end_wait(id, true);
        }
    }

    /// Those who have waited for long enough are told who is late.
    pub(super) fn run_concerns(&mut self) {
        let now_ms = self.now.mono_ms;
        // What has come with this very input counts.
        let is_due = self.concerns.deadlines.first().is_some_and(|(at_ms, _)| *at_ms <= now_ms);
        if is_due && !planted!("who is late is looked for at the deadline") {
            self.concerns.look_again();
            self.settle_concerns();
        }
        while let Some(&(deadline_ms, id)) = self.concerns.deadlines.first()
            && deadline_ms <= now_ms
        {
            sometimes!(ConcernTimesOut);
            self.end_wait(id, false);
        }
        if !self.concerns.waiters.is_empty() && self.concerns.renew_ms <= now_ms {
            self.hurry_peers();
        }
    }

    pub(super) fn next_concern_ms(&self) -> u64 {
        let deadline_ms = self.concerns.deadlines.first().map(|(at_ms, _)| *at_ms);
        let waits = !self.concerns.waiters.is_empty();
        let renew_ms = waits.then_some(self.concerns.renew_ms);
        deadline_ms.into_iter().chain(renew_ms).min().unwrap_or(u64::MAX)
    }

    /// The replica closes: whoever waits is told how far it has come.
    pub(super) fn end_waits(&mut self) {
        for id in self.concerns.waiters.keys().copied().collect::<Vec<_>>() {
            self.end_wait(id, false);
        }
    }

    /// Writes that are issued anew have other dots now, which their callers do not know: of theirs others may hold
    /// other writes.
    pub(super) fn end_disputed_waits(&mut self) {
        let Some(overtaken) = &self.overtaken else { return };
        let stands = overtaken.stands.get(&Namespace::MAIN).copied().unwrap_or_default();
        let is_disputed =
            |dot: Dot| dot.incarnation == overtaken.incarnation && dot.seq.get() > stands;
        let waiters = self.concerns.waiters.iter();
        let disputed = waiters.filter(|(_, waiter)| is_disputed(waiter.dot));
        if planted!("what is disputed is not acknowledged") {
            return;
        }
        for id in disputed.map(|(&id, _)| id).collect::<Vec<_>>() {
            sometimes!(DisputedWaitEnds);
            if let Some(waiter) = self.take_waiter(id) {
                self.answer_waiter(id, waiter, false, Acks::default());
            }
        }
    }

    fn take_waiter(&mut self, id: RequestId) -> Option<Waiter> {
        let waiter = self.concerns.waiters.remove(&id)?;
        self.concerns.deadlines.remove(&(waiter.deadline_ms, id));
        Some(waiter)
    }

    fn end_wait(&mut self, id: RequestId, is_met: bool) {
        let Some(waiter) = self.take_waiter(id) else { return };
        let mut acks = Acks::default();
        for known in self.known_others() {
            let seen = known.as_seen_by(&waiter);
            if !waiter.wanted.concern.is_about(&seen) {
                continue;
            }
            let ack = MemberAck {
                key: known.key,
                name: known.name.clone(),
                level: known.level(waiter.dot),
                standing: known.standing,
            };
            match seen.is_in() {
                true => acks.acked.push(ack),
                false => acks.late.push(ack),
            }
        }
        self.answer_waiter(id, waiter, is_met, acks);
    }

    fn answer_waiter(&mut self, id: RequestId, waiter: Waiter, is_met: bool, acks: Acks) {
        let waited = Waited { is_met, acks };
        self.answer(
            id,
            match waiter.vv {
                Some(vv) => Answer::Stored { dot: waiter.dot, vv, waited },
                None => Answer::Waited(waited),
            },
        );
    }

    fn known_others(&self) -> impl Iterator<Item = KnownMember<'_>> {
        self.others().map(|(key, peer)| KnownMember {
            key,
            name: self.name_of(key),
            standing: self.standing(key, peer),
            vectors: (peer.is_heard || planted!("what earlier runs have heard is no ack"))
                .then(|| peer.vectors(Namespace::MAIN)),
            word: peer.words.said_vector(Namespace::MAIN),
            is_replaced: peer.words.boot() != peer.boot,
        })
    }

    fn standing(&self, key: NodeKey, peer: &Peer) -> Standing {
        let mut links = self.links.iter();
        let link = links.find(|(_, link)| link.peer == key && link.is_open());
        let is_disputing = link.is_some_and(|(&id, _)| self.is_recalling(id));
        match link {
            _ if self.is_delayed_member(key) && !planted!("a delayed replica acks nothing") => {
                Standing::Delayed
            }
            _ if peer.is_cloned => Standing::Fenced,
            _ if peer.evicted.is_some() => Standing::Evicted,
            _ if peer.in_rehab && !planted!("who is in rehab acks nothing") => Standing::Rehab,
            _ if !self.knows_what_it_has_told(peer)
                && !planted!("who has told more of itself acks nothing") =>
            {
                Standing::Unknown
            }
            // It holds more of this node's writes than were issued, or others.
            _ if is_disputing && !planted!("what is disputed is not acknowledged") => {
                Standing::Unknown
            }
            Some(_) => Standing::Linked,
            None => Standing::NotLinked,
        }
    }
}

impl Engine {
    /// Whether all is here that a member has of the members' own records: what it has told of itself, too. Else it may
    /// be a delayed replica since a moment ago.
    fn knows_what_it_has_told(&self, peer: &Peer) -> bool {
        let here = self.applied(Namespace::SYSTEM);
        let word = peer.words.said_vector(Namespace::SYSTEM);
        let told = peer.is_heard.then(|| &peer.vectors(Namespace::SYSTEM).applied);
        word.into_iter().chain(told).all(|vv| here.covers_all(vv))
    }
}

/// What is known of another member.
struct KnownMember<'a> {
    key: NodeKey,
    name: String,
    standing: Standing,
    /// What it has told over links in this run.
    vectors: Option<&'a Vectors>,
    /// What it has on its disk, by its latest word, which others may have told.
    word: Option<&'a VersionVector>,
    /// Whether that is the word of another boot than the vectors: they are void then.
    is_replaced: bool,
}

impl KnownMember<'_> {
    fn as_seen_by(&self, waiter: &Waiter) -> Other<'_> {
        Other {
            key: self.key,
            name: &self.name,
            counts: self.standing.counts(),
            is_linked: self.standing == Standing::Linked,
            is_voter: waiter.voters.contains(&self.key),
            has_acked: self.level(waiter.dot) >= Some(waiter.wanted.level),
        }
    }

    /// How far a write has come there.
    fn level(&self, dot: Dot) -> Option<AckLevel> {
        if self.word.is_some_and(|word| word.covers(dot)) {
            return Some(AckLevel::Durable);
        }
        let is_void = self.is_replaced && self.word.is_some();
        let vectors = self.vectors.filter(|_| !is_void)?;
        let received = match planted!("what is received is not durable") {
            true => AckLevel::Durable,
            false => AckLevel::Received,
        };
        let levels = [
            (&vectors.durable, AckLevel::Durable),
            (&vectors.applied, AckLevel::Applied),
            (&vectors.received, received),
        ];
        levels.into_iter().find(|(vv, _)| vv.covers(dot)).map(|(_, level)| level)
    }
}

/// For how long peers are told to hurry; half of it later they are told again while somebody waits.
const HURRY_MS: u64 = 10_000;
