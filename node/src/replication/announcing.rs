//! Announcements: what a node has applied and does not send, told to few; and the terms of each link.

use millpond_core::limits::VECTOR_ENTRIES_MAX;
use millpond_core::message::{CloseCode, Message, NumberedVector, Terms};
use millpond_core::transport::Lane;
use millpond_core::{Dot, Incarnation, Namespace, VersionVector};

use super::LinkId;
use super::engine::{Engine, NAMESPACES};
use super::names::NAMED_AT_ONCE;
use crate::planted::planted;
use crate::probes::{never, sometimes};
use crate::topology::pick::{Candidate, nearest, picks};
use crate::topology::settings::{Direction, Mode, Ripple};

impl Engine {
    /// Whether a link's peer is announced to what others write.
    pub(super) fn announces_to(&self, link_id: LinkId) -> bool {
        let Some(link) = self.links.get(&link_id) else { return false };
        (link.is_picked || link.terms().wants_announcements)
            && link.rules.direction != Direction::Pull
            && self.is_source()
    }

    /// Notes that a peer is to be told of a dot, unless it has it by then.
    pub(super) fn announce(&mut self, link_id: LinkId, namespace: Namespace, dot: Dot) {
        if let Some(link) = self.links.get_mut(&link_id) {
            link.unannounced.entry(namespace).or_default().advance(dot);
        }
    }

    /// Announces what is due: at once on a link that was silent for [`GATHER_MS`], else together with what
    /// gathers until then.
    pub(super) fn run_announcements(&mut self) {
        let now_ms = self.now.mono_ms;
        let due: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, it)| !it.unannounced.is_empty() && it.announce_after_ms <= now_ms)
            .map(|(&id, _)| id)
            .collect();
        for link_id in due {
            let Some(link) = self.links.get_mut(&link_id) else { continue };
            let unannounced = std::mem::take(&mut link.unannounced);
            link.announce_after_ms = now_ms + GATHER_MS;
            for (namespace, vv) in unannounced {
                self.send_announcement(link_id, namespace, &vv);
            }
        }
    }

    fn send_announcement(&mut self, link_id: LinkId, namespace: Namespace, vv: &VersionVector) {
        let Some(link) = self.links.get(&link_id) else { return };
        let peer = self.peers.get(&link.peer);
        let mut fresh = match peer {
            Some(peer) => vv.difference(&peer.vectors(namespace).applied),
            None => vv.clone(),
        };
        sometimes!(fresh.is_empty() && !vv.is_empty(), AnnouncementNeedless);
        if planted!("only what is applied is announced") {
            fresh = self.inboxes[&namespace].received().clone();
        }
        self.introduce_all(link_id, Lane::Control, &fresh);
        let entries: Vec<Dot> = fresh.iter().collect();
        for entries in entries.chunks(NAMED_AT_ONCE) {
            let entries: VersionVector = entries.iter().copied().collect();
            let numbered = self.numbered(link_id, &entries);
            self.send(link_id, Lane::Control, &Message::Announce(vec![(namespace, numbered)]));
            self.note_told(link_id, namespace, &entries);
        }
    }

    /// What a peer hears in passing need not be said again in an ack.
    pub(super) fn note_told(&mut self, link_id: LinkId, namespace: Namespace, vv: &VersionVector) {
        let Some(link) = self.links.get_mut(&link_id) else { return };
        let told = link.told.entry(namespace).or_default();
        told.received.join(vv);
        told.applied.join(vv);
    }

    /// A peer announces.
    pub(super) fn announced(&mut self, link_id: LinkId, said: Vec<(Namespace, NumberedVector)>) {
        for (namespace, numbered) in said {
            if !NAMESPACES.contains(&namespace) {
                continue;
            }
            let Some(vv) = self.unnumbered(link_id, &numbered) else { return };
            self.believe(link_id, namespace, &vv);
            vv.iter().for_each(|dot| self.note_announced(link_id, namespace, dot, true));
        }
    }

    /// A peer has these dots on its disk, on its own word or since it has sent what depends on them.
    pub(super) fn believe(&mut self, link_id: LinkId, namespace: Namespace, vv: &VersionVector) {
        let Some(link) = self.links.get(&link_id) else { return };
        let peer = self.peers.entry(link.peer).or_default();
        let vectors = peer.vectors.entry(namespace).or_default();
        let fresh = vv.difference(&vectors.received);
        for held in [&mut vectors.received, &mut vectors.applied, &mut vectors.durable] {
            held.join(vv);
        }
        peer.is_unsaved |= !fresh.is_empty();
        if vectors.applied.len() > VECTOR_ENTRIES_MAX + self.closing.current().len() {
            never!("names too many incarnations");
            return self.close(link_id, CloseCode::Protocol, "too many incarnations");
        }
        self.settle_held(link_id, namespace, &fresh);
    }

    /// The tree hears that a peer has a dot.
    pub(super) fn note_announced(
        &mut self,
        link_id: LinkId,
        namespace: Namespace,
        dot: Dot,
        is_prompt: bool,
    ) {
        let Dot { incarnation: origin, seq } = dot;
        // What was written here and is lost comes by a catch-up only.
        let owner = self.owner(origin);
        if owner.is_none_or(|it| it == self.config.key) || !self.links.contains_key(&link_id) {
            return;
        }
        let have = self.inboxes[&namespace].held(origin);
        let now_ms = self.now.mono_ms;
        if have < seq.get() {
            sometimes!(LackingNoted);
            self.lacking.entry((namespace, origin)).or_insert(now_ms);
            self.pull_retry_ms = self.pull_retry_ms.min(now_ms + self.config.digest_ms);
        }
        // Whoever forwards what is late need not be asked for it.
        if !self.links[&link_id].is_adaptive() {
            return;
        }
        let presumed = self.presumed_source(namespace, origin);
        let tree = self.trees.entry(namespace).or_default();
        let (about, told) = ((link_id, origin), (seq.get(), have));
        tree.announced(now_ms, about, told, is_prompt, presumed);
    }

    /// The link over which an origin's own node feeds this one unasked.
    pub(super) fn presumed_source(
        &self,
        namespace: Namespace,
        origin: Incarnation,
    ) -> Option<LinkId> {
        let owner = self.owner(origin)?;
        let mut links = self.links.iter();
        let fed =
            links.find(|(_, it)| it.peer == owner && it.is_open() && it.fed.contains(&namespace));
        fed.filter(|(_, link)| link.terms().feeds_own).map(|(&id, _)| id)
    }

    /// Picks the links to announce over, and tells each peer what has changed in the terms.
    pub(super) fn update_terms(&mut self) {
        let open = self.links.iter().filter(|(_, link)| link.is_open());
        let candidates: Vec<Candidate> = open
            .map(|(&link, it)| Candidate {
                link,
                round_trip_us: it.round_trip_us.unwrap_or(u64::MAX),
                lot: it.lot,
            })
            .collect();
        let picked = picks(&candidates);
        let fed = match self.config.topology.mode {
            Mode::SpanningTree { fanout } => nearest(&candidates, fanout),
            _ => candidates.iter().map(|it| it.link).collect(),
        };
        let hold_down_ms = self.config.hold_down_ms;
        let (is_source, in_rehab) = (self.is_source(), self.recovery.is_said);
        for Candidate { link: link_id, .. } in candidates {
            let Some(link) = self.links.get_mut(&link_id) else { continue };
            link.is_picked = picked.contains(&link_id) && link.rules.ripple == Ripple::Adaptive;
            let terms = Terms {
                wants_announcements: picked.contains(&link_id),
                feeds_own: fed.contains(&link_id),
                serves: link.rules.direction != Direction::Pull && is_source,
                in_rehab,
                ack_within_ms: (link.rules.ripple == Ripple::HoldDown).then_some(hold_down_ms / 4),
            };
            if link.terms_said != Some(terms) {
                link.terms_said = Some(terms);
                self.send(link_id, Lane::Control, &Message::Terms(terms));
            }
        }
    }

    /// A peer says its terms.
    pub(super) fn terms(&mut self, link_id: LinkId, terms: Terms) {
        let Some(link) = self.links.get_mut(&link_id) else { return };
        let before = link.terms_heard.replace(terms).unwrap_or_default();
        let peer = link.peer;
        self.peer_mut(peer).in_rehab = terms.in_rehab;
        self.concerns.look_again();
        let Some(link) = self.links.get_mut(&link_id) else { return };
        if !terms.serves && !planted!("who serves again is asked again") {
            // What it was asked for it has ignored: it is asked again when it serves.
            link.fed.clear();
        }
        let asks = terms.wants_announcements && !before.wants_announcements;
        if asks && !planted!("who asks to be told is told of all") {
            self.announce_all(link_id);
        }
        self.consider_pulls();
    }

    /// Announces all that a peer is not known to have: it has just asked to be told.
    fn announce_all(&mut self, link_id: LinkId) {
        for namespace in NAMESPACES {
            let Some(link) = self.links.get(&link_id) else { return };
            if !link.feeds.contains_key(&namespace) {
                continue;
            }
            let peer = self.peers.get(&link.peer);
            let known =
                peer.map(|peer| peer.vectors(namespace).applied.clone()).unwrap_or_default();
            let lacking = self.applied(namespace).difference(&known);
            lacking.iter().for_each(|dot| self.announce(link_id, namespace, dot));
        }
    }

    /// What a peer was told is applied, as a number: whoever was told all of it finds the same.
    pub(super) fn vector_hash(vv: &VersionVector) -> u64 {
        let mut bytes = Vec::with_capacity(24 * vv.len());
        for dot in vv.iter() {
            bytes.extend_from_slice(dot.incarnation.as_bytes());
            bytes.extend_from_slice(&dot.seq.get().to_le_bytes());
        }
        xxhash_rust::xxh3::xxh3_64(&bytes)
    }

    /// A peer says what it has told, as a hash. Words are neither lost nor changed on a link; should it ever
    /// differ all the same, a new link begins with all that there is to tell.
    pub(super) fn digest(&mut self, link_id: LinkId, said: Vec<(Namespace, u64)>) {
        // What a peer has and this node lacks may have been on its way when it was told of, and lost since.
        NAMESPACES.into_iter().for_each(|namespace| self.note_lacking(link_id, namespace));
        let Some(link) = self.links.get_mut(&link_id) else { return };
        let peer = self.peers.entry(link.peer).or_default();
        let differs = |(namespace, hash): &(Namespace, u64)| {
            NAMESPACES.contains(namespace)
                && Self::vector_hash(&peer.vectors(*namespace).applied) != *hash
        };
        if !said.iter().any(differs) {
            link.doubts = 0;
            return self.hear_word(link_id);
        }
        link.doubts += 1;
        if link.doubts >= DOUBTS_MAX && !planted!("what was told must add up") {
            never!("has told what does not add up");
            let reason = "what was told of vectors does not add up";
            self.close(link_id, CloseCode::Protocol, reason);
        }
    }

    pub(super) fn next_announcement_ms(&self) -> u64 {
        let links = self.links.values().filter(|link| !link.unannounced.is_empty());
        links.map(|link| link.announce_after_ms).min().unwrap_or(u64::MAX)
    }
}

/// How long announcements gather on a link that has just carried one. Whatever waits for that makes a fast way
/// look slower than it is: in a mesh whose shortest ways take 20 ms, 20 ms hid most of the better sources.
const GATHER_MS: u64 = 10;
/// One may cross what another link to the same peer had carried.
const DOUBTS_MAX: u32 = 2;
