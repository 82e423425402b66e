//! The adaptive vector tree, seen from one node and for one namespace: from whom it takes what each origin
//! writes.
//!
//! Every node has one source for each origin, so that each update crosses it once. Peers announce what they
//! hold; whatever an announcement promises and the source does not bring within a deadline, which is learned
//! from what was late before, is grafted from the nearest announcer, and whoever brings it first is the
//! source from then on. An announcer that is ahead of the source again and again becomes the source as well:
//! the new one is asked first, and the old one told to stop when the new one delivers, so that no update
//! waits for the change.
//!
//! It is Plumtree's split of eager and lazy links (Leitão, Pereira and Rodrigues, "Epidemic Broadcast Trees",
//! 2007), with a tree for each origin, vectors in the place of message ids, and learned deadlines. Nothing here
//! is needed for convergence: a vector that differs for long is pulled, whatever the trees are like.

use std::collections::{BTreeMap, BTreeSet};

use millpond_core::Incarnation;

use super::estimate::Estimate;
use super::greatest::Greatest;
use crate::planted::planted;
use crate::probes::sometimes;
use crate::replication::LinkId;

/// From whom a node takes what each origin writes, in one namespace.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    origins: BTreeMap<Incarnation, Origin>,
    /// Links that did not bring in time what others had: what they are to bring is awaited no longer, until
    /// they are heard again.
    suspects: BTreeSet<LinkId>,
}

/// What is known of the ways to one origin.
#[derive(Debug, Default)]
struct Origin {
    source: Option<LinkId>,
    /// Up to where this node has it without a gap, perhaps not yet applied.
    have: u64,
    /// How long after the first announcement the source delivers.
    late: Estimate,
    /// The latest of late: a link that stalls now and then is quick in between.
    latest: Greatest,
    /// What peers have announced beyond what is here.
    announced: BTreeMap<LinkId, Announced>,
    /// When the first of these announcements came, or the latest progress since.
    lacking_since_ms: Option<u64>,
    /// The same, at the first graft since.
    grafting_since_ms: Option<u64>,
    /// When to graft.
    deadline_ms: Option<u64>,
    /// Whom this node has grafted to since the latest progress.
    asked: BTreeSet<LinkId>,
    /// A source that another peer has overtaken, and since when what it owed was lacking: when it delivers all
    /// the same, it was only late.
    overtaken: Option<(LinkId, u64)>,
    /// How long something was missing when this node last grafted.
    last_gap_ms: Option<u64>,
    /// Deliveries before this belong to the latest sample.
    sample_after_ms: u64,
    /// How often in turn each announcer was ahead of the source, and when it last counted.
    ahead: BTreeMap<LinkId, (u32, u64)>,
    /// Samples to wait before another announcer is preferred.
    cool_down: u32,
    /// Links over which something of it was announced.
    heard: BTreeSet<LinkId>,
    /// Links whose last word from here was that they need send no more.
    pruned: BTreeSet<LinkId>,
}

/// The newest that a peer has announced.
#[derive(Debug, Clone, Copy)]
struct Announced {
    seq: u64,
    at_ms: u64,
}

/// What a link is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    /// Its round trip, or a guess.
    pub(crate) round_trip_ms: u64,
    /// What receiving over it costs.
    pub(crate) cost: u32,
}

/// The links that can be asked.
pub(crate) type Ways = BTreeMap<LinkId, Way>;

/// What is to be told to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Send all beyond `after`, and what follows.
    Graft { link: LinkId, origin: Incarnation, after: u64 },
    /// Send no more.
    Prune { link: LinkId, origin: Incarnation },
}

impl Tree {
    /// A peer says that it has what an origin wrote up to `seq`, of which this node has `have`. An
    /// announcement tells how fast the peer is if it is `prompt`; other words tell only what it has. While the
    /// origin has no source, `presumed` is taken for it.
    pub(crate) fn announced(
        &mut self,
        now_ms: u64,
        (link, origin): (LinkId, Incarnation),
        (seq, have): (u64, u64),
        is_prompt: bool,
        presumed: Option<LinkId>,
    ) {
        let known = self.origins.entry(origin).or_default();
        known.have = known.have.max(have);
        known.heard.insert(link);
        if seq <= have {
            if is_prompt {
                known.ahead.remove(&link);
            }
            return;
        }
        let newest = known.announced.entry(link).or_insert(Announced { seq, at_ms: now_ms });
        if newest.seq < seq {
            *newest = Announced { seq, at_ms: now_ms };
        }
        if known.source.is_none() {
            known.source = presumed.filter(|link| !known.pruned.contains(link));
        }
        known.lacking_since_ms.get_or_insert(now_ms);
        let wait_ms = known.patience_ms(now_ms, &self.suspects);
        known.deadline_ms.get_or_insert(now_ms + wait_ms);
        sometimes!(wait_ms == 0, AnnouncedWithoutSource);
    }

    /// A push of an origin came, which was new, up to `seq`; this node has `have` now. Whoever sent it may
    /// become the source, unless it only forwards what is late (`is_adaptive` is false).
    pub(crate) fn arrived(
        &mut self,
        now_ms: u64,
        (link, origin): (LinkId, Incarnation),
        (seq, have): (u64, u64),
        is_adaptive: bool,
        ways: &Ways,
    ) -> Vec<Order> {
        let known = self.origins.entry(origin).or_default();
        let mut orders = Vec::new();
        known.sample(now_ms, link, seq, ways);
        if is_adaptive {
            orders.extend(known.adopt(link, origin));
        }
        orders.extend(known.prefer(link, origin));
        orders.extend(known.advance(now_ms, (origin, have), &self.suspects));
        orders
    }

    /// A push of an origin came that was here already.
    pub(crate) fn came_twice(
        &mut self,
        now_ms: u64,
        link: LinkId,
        origin: Incarnation,
        is_adaptive: bool,
    ) -> Option<Order> {
        let known = self.origins.entry(origin).or_default();
        if let Some((_, since_ms)) = known.overtaken.take_if(|(late, _)| *late == link)
            && !planted!("a source that was only late is given more time")
        {
            sometimes!(SourceOnlyLate);
            // Later than any patience is as good as never.
            let late_ms = now_ms.saturating_sub(since_ms);
            if late_ms <= DEADLINE_MS_MAX {
                known.learn(now_ms, late_ms);
            }
        }
        if known.source.is_none() {
            // Better this one than none; but who only forwards what is late feeds nobody.
            known.source = Some(link).filter(|_| is_adaptive && !known.pruned.contains(&link));
            return None;
        }
        let is_wanted = known.source == Some(link) || planted!("who sends twice is pruned");
        (!is_wanted && known.pruned.insert(link)).then_some(Order::Prune { link, origin })
    }

    /// This node has more of an origin, from wherever it came.
    pub(crate) fn progressed(&mut self, now_ms: u64, origin: Incarnation, have: u64) -> Vec<Order> {
        let Some(known) = self.origins.get_mut(&origin) else { return Vec::new() };
        known.advance(now_ms, (origin, have), &self.suspects)
    }

    /// Grafts whatever is past its deadline. When this look at the clock comes late the node was kept from
    /// running, and what waits to be read may be what is missed.
    pub(crate) fn due(&mut self, now_ms: u64, ways: &Ways) -> Vec<Order> {
        let is_due = |known: &Origin| known.deadline_ms.is_some_and(|at_ms| at_ms <= now_ms);
        let due: Vec<Incarnation> =
            self.origins.iter().filter(|(_, it)| is_due(it)).map(|(&id, _)| id).collect();
        let mut orders = Vec::new();
        for origin in due {
            let Some(known) = self.origins.get_mut(&origin) else { continue };
            let at_ms = known.deadline_ms.unwrap_or(now_ms);
            if now_ms - at_ms > OVERSLEPT_MS && !planted!("who overslept looks again first") {
                sometimes!(Overslept);
                known.deadline_ms = Some(now_ms + DEADLINE_MS_MIN);
                continue;
            }
            let missed = known.source.filter(|_| known.asked.is_empty());
            orders.extend(known.graft(now_ms, origin, ways));
            if let Some(source) = missed.filter(|source| !known.asked.contains(source)) {
                self.suspect(now_ms, source);
            }
        }
        orders
    }

    /// When something is due.
    pub(crate) fn next_ms(&self) -> u64 {
        self.origins.values().filter_map(|known| known.deadline_ms).min().unwrap_or(u64::MAX)
    }

    /// A peer asks to be fed an origin: it cannot be this node's source, or both would wait for each other.
    pub(crate) fn feeds(&mut self, link: LinkId, origin: Incarnation) {
        if planted!("who is fed is no source") {
            return;
        }
        if let Some(known) = self.origins.get_mut(&origin)
            && known.source == Some(link)
        {
            sometimes!(CycleBroken);
            known.source = None;
        }
    }

    /// A frame came over a link.
    pub(crate) fn heard(&mut self, link: LinkId) {
        if !planted!("suspicion ends with the next frame") {
            self.suspects.remove(&link);
        }
    }

    /// A link is gone, and with it all that was agreed on it.
    pub(crate) fn link_down(&mut self, now_ms: u64, link: LinkId) {
        self.suspects.remove(&link);
        for known in self.origins.values_mut() {
            known.announced.remove(&link);
            known.ahead.remove(&link);
            known.asked.remove(&link);
            known.pruned.remove(&link);
            known.heard.remove(&link);
            if known.source == Some(link) && !planted!("sources are per connection") {
                known.source = None;
                known.asked.clear();
                known.deadline_ms = known.deadline_ms.map(|at_ms| at_ms.min(now_ms));
            }
            known.stop_if_level();
        }
    }

    /// A peer feeds this node no more until it has pulled, and has forgotten what it was asked to send.
    pub(crate) fn refused(&mut self, link: LinkId) {
        for known in self.origins.values_mut() {
            known.announced.remove(&link);
            known.ahead.remove(&link);
            known.asked.remove(&link);
            known.pruned.remove(&link);
            if known.source == Some(link) {
                known.source = None;
            }
            known.stop_if_level();
        }
    }

    /// The source of an origin.
    pub(crate) fn source(&self, origin: Incarnation) -> Option<LinkId> {
        self.origins.get(&origin)?.source
    }

    /// Whether the source of an origin is believed to deliver.
    pub(crate) fn is_fed(&self, origin: Incarnation) -> bool {
        self.source(origin).is_some_and(|link| !self.suspects.contains(&link))
    }

    /// How long after an announcement what it promises is awaited, in milliseconds.
    pub(crate) fn deadline_ms(&self, now_ms: u64, origin: Incarnation) -> Option<u64> {
        Some(self.origins.get(&origin)?.patience_ms(now_ms, &self.suspects))
    }

    /// How long an origin's writes were missing when its source last failed, in milliseconds.
    pub(crate) fn last_gap_ms(&self, origin: Incarnation) -> Option<u64> {
        self.origins.get(&origin)?.last_gap_ms
    }

    /// Whom this node would graft next, of those that have announced: the nearest but the source.
    pub(crate) fn standby(&self, origin: Incarnation, ways: &Ways) -> Option<LinkId> {
        let known = self.origins.get(&origin)?;
        let heard = known.heard.iter().filter(|link| known.source != Some(**link));
        heard
            .filter_map(|link| ways.get(link).map(|way| (way.cost, way.round_trip_ms, *link)))
            .min()
            .map(|(.., link)| link)
    }

    fn suspect(&mut self, now_ms: u64, link: LinkId) {
        if planted!("who misses a deadline is suspect") || !self.suspects.insert(link) {
            return;
        }
        sometimes!(SourceSuspected);
        let awaited = |known: &&mut Origin| known.source == Some(link) && known.asked.is_empty();
        for known in self.origins.values_mut().filter(awaited) {
            known.deadline_ms = known.deadline_ms.map(|at_ms| at_ms.min(now_ms));
        }
    }
}

impl Origin {
    /// How long to wait for the source.
    fn patience_ms(&self, now_ms: u64, suspects: &BTreeSet<LinkId>) -> u64 {
        match self.source {
            Some(source) if !suspects.contains(&source) => {
                let Some(usual_ms) = self.late.bound_ms() else { return DEADLINE_MS_MAX };
                let mut latest_ms = self.latest.ms(now_ms);
                // The next stall may be a little longer than the longest so far.
                latest_ms += latest_ms / 10;
                if planted!("a source that stalls now and then is awaited") {
                    latest_ms = 0;
                }
                (usual_ms.max(latest_ms) + MARGIN_MS).clamp(DEADLINE_MS_MIN, DEADLINE_MS_MAX)
            }
            _ => 0,
        }
    }

    /// Learns how late the source was. What was later than any patience says nothing of the stalls that are worth
    /// awaiting.
    fn learn(&mut self, now_ms: u64, late_ms: u64) {
        self.late.add(late_ms);
        if late_ms <= DEADLINE_MS_MAX {
            self.latest.add(now_ms, late_ms);
        }
    }

    /// Learns from a delivery how late the source is, and who was ahead of it.
    fn sample(&mut self, now_ms: u64, link: LinkId, seq: u64, ways: &Ways) {
        if self.source != Some(link) {
            return;
        }
        // A busy node reads in bursts: the first of one tells how late all of it was.
        if now_ms < self.sample_after_ms && !planted!("a burst is one sample") {
            return;
        }
        self.sample_after_ms = now_ms + SAMPLE_EVERY_MS;
        let since_ms =
            self.lacking_since_ms.filter(|_| self.announced.values().any(|it| it.seq >= seq));
        self.learn(now_ms, since_ms.map_or(0, |since_ms| now_ms - since_ms));
        self.cool_down = self.cool_down.saturating_sub(1);
        let Some(own) = ways.get(&link) else { return };
        let lead_ms = LEAD_MS_MIN.max(own.round_trip_ms / 20);
        let announced = &self.announced;
        let is_behind = |link: &LinkId| announced.get(link).is_none_or(|it| it.seq < seq);
        if !planted!("whoever is behind once begins again") {
            self.ahead.retain(|other, _| !is_behind(other));
        }
        for (&other, announced) in self.announced.iter().filter(|(_, it)| it.seq >= seq) {
            let Some(way) = ways.get(&other).filter(|_| other != link) else { continue };
            let is_cheaper =
                way.cost < own.cost && !planted!("a cheaper way that is no slower is taken");
            let is_dearer = way.cost > own.cost;
            let is_ahead = announced.at_ms + lead_ms <= now_ms;
            if !is_cheaper && (!is_ahead || is_dearer) {
                self.ahead.remove(&other);
                continue;
            }
            // All that waited behind one late message is late once.
            let (times, at_ms) = self.ahead.entry(other).or_default();
            let is_apart = *at_ms + AHEAD_MS_APART <= now_ms || planted!("a stall counts once");
            if *times == 0 || is_apart {
                (*times, *at_ms) = (*times + 1, now_ms);
            }
        }
    }

    /// Whoever brings something new is the source, unless it was told that it need not.
    fn adopt(&mut self, link: LinkId, origin: Incarnation) -> Option<Order> {
        if self.source == Some(link) {
            return None;
        }
        // A word of this node that it needs no more may be on its way: data that it crosses says nothing.
        if self.pruned.contains(&link) && !planted!("whom this node pruned is not adopted") {
            sometimes!(PrunedDelivers);
            return None;
        }
        self.pruned.remove(&link);
        let before = self.source.replace(link);
        let since_ms = self.grafting_since_ms.filter(|_| self.asked.contains(&link));
        self.overtaken = before.zip(since_ms);
        self.ahead.clear();
        // Whoever came first at all is as good a guess as any, and not to be clung to.
        self.cool_down = if before.is_some() { COOL_DOWN } else { 0 };
        let before = before.filter(|before| self.pruned.insert(*before))?;
        sometimes!(SourceReplaced);
        Some(Order::Prune { link: before, origin })
    }

    /// An announcer that was ahead of the source often enough is asked to feed, from what it has announced
    /// on: what is older is on its way from the source.
    fn prefer(&mut self, link: LinkId, origin: Incarnation) -> Option<Order> {
        if self.source != Some(link)
            || self.cool_down > 0
            || planted!("who is ahead becomes the source")
        {
            return None;
        }
        let ahead = self.ahead.iter().filter(|(_, (times, _))| *times >= AHEAD_TIMES);
        let ahead = ahead.filter_map(|(&link, _)| Some((link, *self.announced.get(&link)?)));
        let (other, announced) = ahead.min_by_key(|(_, announced)| announced.at_ms)?;
        self.ahead.clear();
        self.cool_down = COOL_DOWN;
        self.pruned.remove(&other);
        sometimes!(AnnouncerPreferred);
        Some(Order::Graft { link: other, origin, after: announced.seq })
    }

    /// What is here is no longer lacking; each step restarts the clock for the rest. Of those that were
    /// grafted one is the source, and the others need not send. What comes beyond a gap is no step: nobody may
    /// be sending what belongs into it.
    fn advance(
        &mut self,
        now_ms: u64,
        (origin, have): (Incarnation, u64),
        suspects: &BTreeSet<LinkId>,
    ) -> Vec<Order> {
        let is_step = have > self.have || planted!("what comes beyond a gap is no progress");
        self.have = self.have.max(have);
        self.announced.retain(|_, announced| announced.seq > have);
        if !is_step {
            sometimes!(BeyondGap);
            self.stop_if_level();
            return Vec::new();
        }
        if self.deadline_ms.is_some() && !planted!("progress restarts a deadline") {
            self.lacking_since_ms = Some(now_ms);
            self.deadline_ms =
                Some(now_ms + self.patience_ms(now_ms, suspects).max(DEADLINE_MS_MIN));
        }
        if !self.asked.is_empty() {
            self.last_gap_ms = self.grafting_since_ms.take().map(|since_ms| now_ms - since_ms);
        }
        let mut needless = Vec::new();
        for link in std::mem::take(&mut self.asked) {
            let source = *self.source.get_or_insert(link);
            if source != link && self.pruned.insert(link) {
                sometimes!(GraftNeedless);
                needless.push(Order::Prune { link, origin });
            }
        }
        self.stop_if_level();
        needless
    }

    fn stop_if_level(&mut self) {
        if self.announced.is_empty() {
            (self.lacking_since_ms, self.deadline_ms) = (None, None);
            self.grafting_since_ms = None;
            self.asked.clear();
        }
    }

    /// Asks the nearest announcer that was not asked yet; all over again when all were.
    fn graft(&mut self, now_ms: u64, origin: Incarnation, ways: &Ways) -> Option<Order> {
        let mut near: Vec<(u32, u64, LinkId)> = self
            .announced
            .keys()
            .filter_map(|link| ways.get(link).map(|way| (way.cost, way.round_trip_ms, *link)))
            .collect();
        near.sort_unstable();
        let fresh = near.iter().find(|(.., link)| !self.asked.contains(link));
        let Some(&(_, round_trip_ms, link)) = fresh else {
            // Nobody is left to ask: begin again, unhurriedly.
            self.asked.clear();
            self.deadline_ms = (!near.is_empty()).then_some(now_ms + AGAIN_MS);
            return None;
        };
        sometimes!(!self.asked.is_empty(), NextAnnouncerAsked);
        self.asked.insert(link);
        self.grafting_since_ms = self.grafting_since_ms.or(self.lacking_since_ms);
        self.pruned.remove(&link);
        self.deadline_ms = Some(now_ms + round_trip_ms + round_trip_ms / 4 + RETRY_MS);
        Some(Order::Graft { link, origin, after: self.have })
    }
}

/// What is added to the time that deliveries usually take.
const MARGIN_MS: u64 = 5;
/// The shortest patience: less would take a scheduler's pause for a failure.
const DEADLINE_MS_MIN: u64 = 10;
/// The longest one, which is what healing takes at most, beside the way of a graft and its answer.
const DEADLINE_MS_MAX: u64 = 250;
/// A timer that is so much later than it was set has been kept from running.
const OVERSLEPT_MS: u64 = 20;
/// By how much an announcer must be ahead of the source, or by a tenth of the source's way.
const LEAD_MS_MIN: u64 = 5;
/// What comes within so short a time was read at once.
const SAMPLE_EVERY_MS: u64 = 20;
/// How often in turn.
const AHEAD_TIMES: u32 = 3;
/// And how far apart: as long as most stalls of a link.
const AHEAD_MS_APART: u64 = 100;
/// Samples after a change of source before the next one.
const COOL_DOWN: u32 = 10;
/// What a graft may take beyond its round trip and a quarter.
const RETRY_MS: u64 = 10;
/// How long to wait when all announcers were asked in vain.
const AGAIN_MS: u64 = 500;
