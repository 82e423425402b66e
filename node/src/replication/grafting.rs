//! Grafts and prunes: who sends whose writes to whom.

use millpond_core::message::Message;
use millpond_core::transport::Lane;
use millpond_core::{Dot, Incarnation, Namespace, Seq, VersionVector};

use super::LinkId;
use super::engine::{Engine, NAMESPACES};
use super::inbox::Fate;
use super::link::Want;
use crate::planted::planted;
use crate::probes::sometimes;
use crate::topology::tree::{Order, Way, Ways};

impl Engine {
    /// A push came: what the tree makes of it. True when it came twice, and its sender was told to stop.
    pub(super) fn push_came(
        &mut self,
        link_id: LinkId,
        namespace: Namespace,
        last: Dot,
        fate: Fate,
    ) -> bool {
        let now_ms = self.now.mono_ms;
        let origin = last.incarnation;
        let have = self.inboxes[&namespace].held(origin);
        let ways = self.ways(namespace);
        let is_adaptive = self.links.get(&link_id).is_some_and(|link| link.is_adaptive());
        let tree = self.trees.entry(namespace).or_default();
        let told = (last.seq.get(), have);
        let orders = match fate {
            Fate::Kept => tree.arrived(now_ms, (link_id, origin), told, is_adaptive, &ways),
            Fate::Duplicate => {
                tree.came_twice(now_ms, link_id, origin, is_adaptive).into_iter().collect()
            }
            Fate::Dropped => Vec::new(),
        };
        let is_pruned = fate == Fate::Duplicate && !orders.is_empty();
        self.carry_out(namespace, orders);
        is_pruned
    }

    /// Links over which this node is fed or can be, and what they are like.
    pub(super) fn ways(&self, namespace: Namespace) -> Ways {
        let open = self.links.iter().filter(|(_, link)| {
            link.is_open() && link.fed.contains(&namespace) && !link.must_pull.contains(&namespace)
        });
        let way = |(&id, link): (&LinkId, &super::link::Link)| {
            let round_trip_ms =
                link.round_trip_us.map_or(ROUND_TRIP_MS_GUESS, |us| us.div_ceil(1000));
            (id, Way { round_trip_ms, cost: link.rules.cost })
        };
        open.map(way).collect()
    }

    fn carry_out(&mut self, namespace: Namespace, orders: Vec<Order>) {
        for order in orders {
            match order {
                Order::Graft { link, origin, after } => {
                    let [number] = self.number(link, &[origin])[..] else { continue };
                    let after = vec![(number, Seq::new(after))];
                    self.send(link, Lane::Control, &Message::Graft { namespace, after });
                    if let Some(link) = self.links.get(&link) {
                        self.peers.entry(link.peer).or_default().counters.grafts += 1;
                    }
                }
                Order::Prune { link, origin } => {
                    if planted!("a second source is pruned") {
                        continue;
                    }
                    let [number] = self.number(link, &[origin])[..] else { continue };
                    let origins = vec![number];
                    self.send(link, Lane::Control, &Message::Prune { namespace, origins });
                    if let Some(link) = self.links.get(&link) {
                        self.peers.entry(link.peer).or_default().counters.prunes += 1;
                    }
                }
            }
        }
    }

    /// This node has more than before, by a push or a catch-up.
    pub(super) fn tree_progressed(&mut self, namespace: Namespace, before: &VersionVector) {
        let now_ms = self.now.mono_ms;
        let risen: Vec<Incarnation> =
            self.applied(namespace).beyond(before).map(|range| range.incarnation).collect();
        for origin in risen {
            let have = self.inboxes[&namespace].held(origin);
            let Some(tree) = self.trees.get_mut(&namespace) else { continue };
            let orders = tree.progressed(now_ms, origin, have);
            self.carry_out(namespace, orders);
        }
    }

    /// Grafts what is past its deadline. What a catch-up is bringing is not grafted.
    pub(super) fn run_grafts(&mut self) {
        for namespace in NAMESPACES {
            let now_ms = self.now.mono_ms;
            let is_due = self.trees.get(&namespace).is_some_and(|tree| tree.next_ms() <= now_ms);
            if !is_due || self.pulls.contains_key(&namespace) || planted!("what is late is grafted")
            {
                continue;
            }
            let ways = self.ways(namespace);
            let orders = self.trees.entry(namespace).or_default().due(now_ms, &ways);
            sometimes!(!orders.is_empty(), Grafted);
            self.carry_out(namespace, orders);
        }
    }

    pub(super) fn next_graft_ms(&self) -> u64 {
        let trees = self.trees.iter().filter(|(namespace, _)| {
            !self.pulls.contains_key(namespace) && !planted!("what is late is grafted")
        });
        trees.map(|(_, tree)| tree.next_ms()).min().unwrap_or(u64::MAX)
    }

    /// A peer asks for what origins write.
    pub(super) fn graft(
        &mut self,
        link_id: LinkId,
        namespace: Namespace,
        after: &[(u32, Option<Seq>)],
    ) {
        let numbers: Vec<u32> = after.iter().map(|(number, _)| *number).collect();
        let Some(origins) = self.named(link_id, &numbers) else { return };
        for (origin, (_, after)) in origins.into_iter().zip(after) {
            if !NAMESPACES.contains(&namespace)
                || !self.graft_one(link_id, namespace, origin, *after)
            {
                return;
            }
        }
    }

    /// False when what is asked for is not at hand.
    fn graft_one(
        &mut self,
        link_id: LinkId,
        namespace: Namespace,
        origin: Incarnation,
        after: Option<Seq>,
    ) -> bool {
        let after = after.map_or(0, Seq::get);
        self.trees.entry(namespace).or_default().feeds(link_id, origin);
        let base = self.ring.base_of(namespace, origin);
        let Some(link) = self.links.get_mut(&link_id) else { return false };
        let Some(feed) = link.feeds.get_mut(&namespace) else {
            // It was told, or is about to be, that it must pull.
            sometimes!(GraftedWithoutFeed);
            return false;
        };
        if base > after && !planted!("a graft beyond the ring is answered") {
            sometimes!(GraftBeyondRing);
            self.end_feed(link_id, namespace);
            return false;
        }
        feed.wants.insert(origin, Want::All);
        let end = feed.position;
        let backlog = self.ring.positions(namespace, origin, after).take_while(|it| *it < end);
        feed.backlog.extend(backlog);
        if let Some(held) = feed.held.remove(&origin) {
            sometimes!(held.iter().any(|it| !it.forwarded), HeldIsGrafted);
        }
        true
    }

    /// A peer has another source.
    pub(super) fn prune(&mut self, link_id: LinkId, namespace: Namespace, origins: &[u32]) {
        let Some(origins) = self.named(link_id, origins) else { return };
        let Some(link) = self.links.get_mut(&link_id) else { return };
        let Some(feed) = link.feeds.get_mut(&namespace) else { return };
        for origin in origins {
            sometimes!(feed.wants.get(&origin) == Some(&Want::All), ChildPrunes);
            feed.wants.insert(origin, Want::Nothing);
            let ring = &self.ring;
            let is_of =
                |position: &u64| ring.get(*position).is_some_and(|it| it.push.origin() == origin);
            feed.backlog.retain(|position| !is_of(position));
        }
    }
}

/// What is taken for a link's round trip before the transport tells.
const ROUND_TRIP_MS_GUESS: u64 = 100;
