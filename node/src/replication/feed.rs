//! Live feeds: what is pushed to whom, and what is held back.
//!
//! A feed is a cursor into the ring. What this node wrote goes out as soon as the peer's window allows, and so
//! does what the peer has grafted. Anything else that came by replication is held back. An adaptive link
//! announces it, if it is one of those that are announced over. A hold-down link forwards it, but only when the
//! peer still lacks it `hold_down` after it was stored here, and has acknowledged nothing new of its origin
//! for as long.

use millpond_core::message::Message;
use millpond_core::transport::Lane;
use millpond_core::{Dot, Incarnation, Namespace, VersionVector};

use super::LinkId;
use super::counting::amount;
use super::engine::{Engine, NAMESPACES};
use super::link::{Feed, Held, Link, Want};
use crate::planted::planted;
use crate::probes::{always, never, sometimes};
use crate::status::{Amount, Moved};
use crate::topology::settings::{Direction, Mode, Ripple};

/// What to do with the transaction at a feed's cursor.
enum Next {
    Skip,
    /// Its own, or with what it amounts to where the peer has asked for what others write.
    Send(Option<(Incarnation, Amount)>),
    Hold(Incarnation, Held),
    Announce(Dot, Amount),
}

impl Engine {
    /// A peer asks to be fed from a vector on.
    pub(super) fn start_feed(
        &mut self,
        link_id: LinkId,
        namespace: Namespace,
        from: VersionVector,
    ) {
        if !NAMESPACES.contains(&namespace) {
            never!("asks to be fed a namespace that there is not");
            return;
        }
        if !self.gives_to(link_id) || !self.is_source() {
            // It asked before it had heard the terms.
            sometimes!(FeedNotAllowed);
            return;
        }
        let Some(link) = self.links.get_mut(&link_id) else { return };
        link.feeds.remove(&namespace);
        if !self.ring.serves(namespace, &from) {
            sometimes!(FeedRefused);
            self.send(link_id, Lane::Control, &Message::Behind { namespace });
            return;
        }
        let feed = Feed { position: self.ring.first(), ..Feed::default() };
        link.feeds.insert(namespace, feed);
        let vectors =
            self.peers.entry(link.peer).or_default().vectors.entry(namespace).or_default();
        vectors.received.join(&from);
        // It may have asked after another link, whose trees are void now.
        link.unannounced.remove(&namespace);
    }

    /// Whether the operator lets a peer take from this node.
    pub(super) fn gives_to(&self, link_id: LinkId) -> bool {
        let rules = self.links.get(&link_id).map(|link| link.rules);
        rules.is_some_and(|rules| rules.direction != Direction::Pull)
            || planted!("a one-way link carries nothing back")
    }

    /// Moves every feed as far as its window allows.
    pub(super) fn pump_feeds(&mut self) {
        let end = self.ring.end();
        let told = self.links.iter().filter(|(id, _)| !self.is_recalling(**id));
        let feeds = told.flat_map(|(&id, link)| {
            let behind =
                link.feeds.iter().filter(|(_, it)| it.position != end || !it.backlog.is_empty());
            behind.map(move |(&namespace, _)| (id, namespace))
        });
        let feeds: Vec<(LinkId, Namespace)> = feeds.collect();
        for (link_id, namespace) in feeds {
            while self.pump_feed(link_id, namespace) {}
        }
    }

    /// Moves one feed by one transaction. False when there is nothing to do or no room.
    fn pump_feed(&mut self, link_id: LinkId, namespace: Namespace) -> bool {
        let Some(link) = self.links.get(&link_id) else { return false };
        let Some(position) = link.feeds.get(&namespace).map(|feed| feed.position) else {
            return false;
        };
        always!(position <= self.ring.end(), "a feed is not ahead of the ring");
        if let Some(pumped) = self.pump_backlog(link_id, namespace) {
            return pumped;
        }
        if position >= self.ring.end() {
            return false;
        }
        let Some(next) = self.next_for(link_id, namespace, position) else {
            sometimes!(FeedOutrun);
            self.end_feed(link_id, namespace);
            return false;
        };
        if matches!(next, Next::Send(_)) {
            if !self.links[&link_id].has_room_for_push() {
                sometimes!(PushWindowFull);
                return false;
            }
            self.send_push(link_id, position);
        }
        let Some(link) = self.links.get_mut(&link_id) else { return false };
        let Some(feed) = link.feeds.get_mut(&namespace) else { return false };
        feed.position += 1;
        match next {
            Next::Hold(origin, held) => {
                sometimes!(HeldBack);
                feed.held.entry(origin).or_default().push_back(held);
                let peer = self.peers.entry(link.peer).or_default();
                peer.count_amount(Moved::Held, origin, held.amount);
            }
            Next::Announce(dot, amount) => {
                let peer = self.peers.entry(link.peer).or_default();
                peer.count_amount(Moved::Announced, dot.incarnation, amount);
                self.announce(link_id, namespace, dot);
            }
            Next::Send(Some((origin, amount))) => {
                let peer = self.peers.entry(link.peer).or_default();
                peer.count_amount(Moved::Grafted, origin, amount);
            }
            Next::Skip | Next::Send(None) => {}
        }
        true
    }

    /// Sends the oldest of what a graft found behind the cursor: `None` when there is none, else whether there
    /// was room for it.
    fn pump_backlog(&mut self, link_id: LinkId, namespace: Namespace) -> Option<bool> {
        let link = self.links.get_mut(&link_id)?;
        let has_room = link.has_room_for_push();
        let feed = link.feeds.get_mut(&namespace)?;
        let position = *feed.backlog.first()?;
        if !has_room {
            sometimes!(GraftWindowFull);
            return Some(false);
        }
        feed.backlog.pop_first();
        let Some(item) = self.ring.get(position) else {
            sometimes!(GraftLeftTheRing);
            self.end_feed(link_id, namespace);
            return Some(false);
        };
        let (last, peer, amount) = (item.push.last_dot(), link.peer, amount(&item.push));
        let is_here =
            self.peers.get(&peer).is_some_and(|it| it.vectors(namespace).received.covers(last));
        if !is_here {
            let peer = self.peers.entry(peer).or_default();
            peer.count_amount(Moved::Grafted, last.incarnation, amount);
            self.send_push(link_id, position);
        }
        Some(true)
    }

    fn next_for(&self, link_id: LinkId, namespace: Namespace, position: u64) -> Option<Next> {
        let item = self.ring.get(position)?;
        let push = &item.push;
        if push.namespace() != namespace {
            return Some(Next::Skip);
        }
        let peer = self.links[&link_id].peer;
        let has = |vv: &VersionVector| vv.covers(push.last_dot());
        let is_here =
            self.peers.get(&peer).is_some_and(|peer| has(&peer.vectors(namespace).received));
        if is_here || self.owner(push.origin()) == Some(peer) {
            return Some(Next::Skip);
        }
        let link = &self.links[&link_id];
        let want = link.feeds.get(&namespace).and_then(|feed| feed.wants.get(&push.origin()));
        let is_wanted = match want {
            Some(want) => *want == Want::All,
            None => item.is_own && self.feeds_own(link),
        };
        if is_wanted || planted!("what came by replication is held back") {
            let replicated = (!item.is_own).then(|| (push.origin(), amount(push)));
            return Some(Next::Send(replicated));
        }
        if link.rules.ripple == Ripple::Adaptive {
            let is_told = self.announces_to(link_id) || (item.is_own && self.tells_pruned(link));
            return Some(match is_told {
                true => Next::Announce(push.last_dot(), amount(push)),
                false => Next::Skip,
            });
        }
        let held = Held {
            position,
            last: push.last_dot().seq.get(),
            amount: amount(push),
            // A feed that begins late knows nothing of what is under way to the peer from elsewhere.
            since_ms: self.now.mono_ms,
            forwarded: false,
        };
        Some(Next::Hold(push.origin(), held))
    }

    /// Whether a peer gets this node's own writes unasked.
    pub(super) fn feeds_own(&self, link: &Link) -> bool {
        link.terms_said.is_none_or(|terms| terms.feeds_own)
    }

    /// Whether a peer that needs this node's own writes no more is told of them all the same: in a full mesh
    /// the origin itself is near at hand when a source fails.
    fn tells_pruned(&self, link: &Link) -> bool {
        let is_near = !matches!(self.config.topology.mode, Mode::SpanningTree { .. });
        is_near && self.feeds_own(link) && !planted!("a pruned origin goes on announcing")
    }

    fn send_push(&mut self, link_id: LinkId, position: u64) {
        let Some(push) = self.ring.get(position).map(|item| item.push.clone()) else { return };
        let is_here = self.applied(push.namespace()).covers(push.last_dot());
        always!(is_here, "what is pushed is on disk");
        let introduced: VersionVector = push.deps().iter().chain([push.last_dot()]).collect();
        if !planted!("a push introduces its incarnations") {
            self.introduce_all(link_id, Lane::Control, &introduced);
        }
        let (rows, payload) = (push.len() as u64, push.payload_bytes() as u64);
        let namespace = push.namespace();
        let bytes = push.encoded_bytes();
        self.send(link_id, Lane::Control, &Message::Push(push));
        let Some(link) = self.links.get_mut(&link_id) else { return };
        link.sent.push_bytes += bytes as u64;
        let told = link.told.entry(namespace).or_default();
        told.received.join(&introduced);
        told.applied.join(&introduced);
        let counters = &mut self.peers.entry(link.peer).or_default().counters;
        counters.rows_sent += rows;
        counters.payload_bytes_sent += payload;
    }

    /// What the feed needs is no longer in the ring: the peer must pull.
    pub(super) fn end_feed(&mut self, link_id: LinkId, namespace: Namespace) {
        if let Some(link) = self.links.get_mut(&link_id) {
            link.feeds.remove(&namespace);
        }
        self.send(link_id, Lane::Control, &Message::Behind { namespace });
    }

    /// A peer has acknowledged more: what was held for it is settled, and the clocks of those origins start
    /// again.
    pub(super) fn settle_held(
        &mut self,
        link_id: LinkId,
        namespace: Namespace,
        progressed: &VersionVector,
    ) {
        let now_ms = self.now.mono_ms;
        let Some(link) = self.links.get_mut(&link_id) else { return };
        let Some(feed) = link.feeds.get_mut(&namespace) else { return };
        if planted!("what is acknowledged is not forwarded") {
            return;
        }
        let peer = self.peers.entry(link.peer).or_default();
        for Dot { incarnation, seq } in progressed.iter() {
            feed.progress_ms.insert(incarnation, now_ms);
            let Some(held) = feed.held.get_mut(&incarnation) else { continue };
            while let Some(settled) = held.front().copied().filter(|it| it.last <= seq.get()) {
                held.pop_front();
                sometimes!(settled.forwarded, ForwardedIsAcked);
                if !settled.forwarded {
                    sometimes!(HeldIsSuppressed);
                    peer.count_amount(Moved::Suppressed, incarnation, settled.amount);
                }
            }
            if held.is_empty() {
                feed.held.remove(&incarnation);
            }
        }
    }

    /// Forwards what has been held for long enough and is still lacking.
    pub(super) fn run_holds(&mut self) {
        let now_ms = self.now.mono_ms;
        let due: Vec<(LinkId, Namespace, Incarnation)> = self
            .links
            .iter()
            .flat_map(|(&id, link)| link.feeds.iter().map(move |(&ns, feed)| (id, ns, feed)))
            .flat_map(|(id, ns, feed)| feed.held.keys().map(move |&origin| (id, ns, feed, origin)))
            .filter(|(_, _, feed, origin)| self.due_ms(feed, *origin) <= now_ms)
            .map(|(id, ns, _, origin)| (id, ns, origin))
            .collect();
        for (link_id, namespace, origin) in due {
            self.forward(link_id, namespace, origin);
        }
        self.run_behind();
    }

    /// What a catch-up brought is not in the ring. Like anything that came by replication it may reach the
    /// fed peers from elsewhere: it is announced to them, or those that still lack it after the delay are told
    /// to pull.
    pub(super) fn note_cut(&mut self, namespace: Namespace, upto: &VersionVector) {
        let adaptive = self.links.iter().filter(|(_, it)| it.rules.ripple == Ripple::Adaptive);
        let told: Vec<LinkId> =
            adaptive.map(|(&id, _)| id).filter(|&id| self.announces_to(id)).collect();
        for link_id in told {
            let link = &self.links[&link_id];
            let Some(peer) = self.peers.get(&link.peer) else { continue };
            let lacking = upto.difference(&peer.vectors(namespace).applied);
            lacking.iter().for_each(|dot| self.announce(link_id, namespace, dot));
        }
        let due_ms = self.now.mono_ms + self.config.hold_down_ms;
        if planted!("a fed peer is told of a cut") {
            return;
        }
        let held_down = self.links.values_mut().filter(|it| it.rules.ripple == Ripple::HoldDown);
        for feed in held_down.filter_map(|link| link.feeds.get_mut(&namespace)) {
            feed.behind_ms.get_or_insert(due_ms);
        }
    }

    fn run_behind(&mut self) {
        let now_ms = self.now.mono_ms;
        let feeds = self.links.iter().flat_map(|(&id, link)| {
            link.feeds.iter().map(move |(&namespace, feed)| (id, namespace, feed.behind_ms))
        });
        let due: Vec<(LinkId, Namespace)> = feeds
            .filter(|(_, _, behind_ms)| behind_ms.is_some_and(|at_ms| at_ms <= now_ms))
            .map(|(id, namespace, _)| (id, namespace))
            .collect();
        for (link_id, namespace) in due {
            self.check_behind(link_id, namespace);
        }
    }

    fn check_behind(&mut self, link_id: LinkId, namespace: Namespace) {
        let Some(link) = self.links.get_mut(&link_id) else { return };
        let Some(feed) = link.feeds.get_mut(&namespace) else { return };
        let received = self.peers.get(&link.peer).map(|peer| &peer.vectors(namespace).received);
        let lacking = received.map(|received| self.ring.lacking(namespace, received));
        let lacking = lacking.unwrap_or_default();
        let progress = lacking.iter().filter_map(|dot| feed.progress_ms.get(&dot.incarnation));
        let again_ms = progress.max().map(|at_ms| at_ms + self.config.hold_down_ms);
        feed.behind_ms = again_ms.filter(|&again_ms| again_ms > self.now.mono_ms);
        sometimes!(lacking.is_empty(), CutReachedFedPeer);
        sometimes!(feed.behind_ms.is_some(), BehindIsPutOff);
        if feed.behind_ms.is_none() && !lacking.is_empty() {
            sometimes!(FedPeerTold);
            self.end_feed(link_id, namespace);
        }
    }

    fn forward(&mut self, link_id: LinkId, namespace: Namespace, origin: Incarnation) {
        let oldest = self.now.mono_ms.saturating_sub(self.config.hold_down_ms);
        loop {
            let Some(link) = self.links.get_mut(&link_id) else { return };
            if !link.has_room_for_push() {
                sometimes!(ForwardWindowFull);
                return;
            }
            let Some(feed) = link.feeds.get_mut(&namespace) else { return };
            let Some(held) = feed.held.get_mut(&origin) else { return };
            let next = held.iter_mut().find(|held| !held.forwarded);
            let Some(next) = next.filter(|held| held.since_ms <= oldest) else { return };
            next.forwarded = true;
            let (position, amount) = (next.position, next.amount);
            if self.ring.get(position).is_none() {
                sometimes!(HeldLeftTheRing);
                return self.end_feed(link_id, namespace);
            }
            sometimes!(HeldForwarded);
            let peer = self.peers.entry(link.peer).or_default();
            peer.count_amount(Moved::Forwarded, origin, amount);
            self.send_push(link_id, position);
        }
    }

    pub(super) fn next_hold_ms(&self) -> u64 {
        let feeds = self.links.values().flat_map(|link| link.feeds.values());
        let behind = feeds.filter_map(|feed| feed.behind_ms);
        let feeds = self.links.values().filter(|link| link.has_room_for_push());
        let feeds = feeds.flat_map(|link| link.feeds.values());
        let held = feeds.flat_map(|feed| feed.held.keys().map(move |&it| self.due_ms(feed, it)));
        held.chain(behind).min().unwrap_or(u64::MAX)
    }

    /// When the oldest transaction held of an origin may be forwarded: the delay after it was held,
    /// and after the peer's last progress on that origin.
    fn due_ms(&self, feed: &Feed, origin: Incarnation) -> u64 {
        let held = feed.held.get(&origin).and_then(|held| held.iter().find(|it| !it.forwarded));
        let Some(held) = held.filter(|_| !planted!("what is held back is forwarded")) else {
            return u64::MAX;
        };
        let progress_ms = feed.progress_ms.get(&origin).copied().unwrap_or(0);
        let progress_ms = if planted!("progress restarts the clocks") { 0 } else { progress_ms };
        held.since_ms.max(progress_ms) + self.config.hold_down_ms
    }
}
