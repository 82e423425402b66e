//! What the operator's settings say of each link, and whom they say to link with.

use std::collections::BTreeSet;

use millpond_core::NodeKey;
use millpond_core::message::CloseCode;

use super::LinkId;
use super::engine::Engine;
use super::link::LinkRules;
use crate::planted::planted;
use crate::probes::sometimes;
use crate::topology::cost::{LINK_COST, link_cost};
use crate::topology::settings::{Mode, Topology};
use crate::topology::view::{Seat, view};

impl Engine {
    /// Replaces the settings of a running node. What they change on a link is changed now.
    pub(super) fn set_topology(&mut self, topology: Topology) {
        self.config.topology = topology;
        self.apply_rules();
    }

    /// Brings every open link in line with the settings, the members and their costs.
    pub(super) fn apply_rules(&mut self) {
        let open: Vec<(LinkId, NodeKey)> = self
            .links
            .iter()
            .filter(|(_, link)| link.is_open())
            .map(|(&id, link)| (id, link.peer))
            .collect();
        for (link_id, peer) in open {
            let rules = self.rules_of(peer);
            let Some(link) = self.links.get_mut(&link_id) else { continue };
            let Some(rules) = rules else {
                sometimes!(LinkNotWanted);
                let reason = "this node's topology is static and does not name the peer";
                self.close(link_id, CloseCode::ShuttingDown, reason);
                continue;
            };
            let before = std::mem::replace(&mut link.rules, rules);
            if before.direction != rules.direction && link.terms_said.is_some() {
                sometimes!(DirectionChanges);
                self.close(link_id, CloseCode::ShuttingDown, "the link's direction has changed");
                continue;
            }
            if before.ripple != rules.ripple && !planted!("a new ripple looks at all again") {
                // What was held is announced instead, what was announced is held: look at all again.
                sometimes!(RippleChanges);
                let first = self.ring.first();
                for feed in link.feeds.values_mut() {
                    feed.position = first;
                    feed.held.clear();
                    feed.backlog.clear();
                }
            }
        }
        self.update_terms();
        self.refresh_wanted();
    }

    /// What the settings say of a peer; `None` if no link to it is wanted.
    pub(super) fn rules_of(&self, peer: NodeKey) -> Option<LinkRules> {
        let topology = &self.config.topology;
        let member = self.members.get(peer);
        let set = topology.link(peer, member.map_or("", |member| &member.name));
        // Whoever joins is heard, whatever the settings: it is no member yet.
        let is_guest = member.is_none() || self.members.get(self.config.key).is_none();
        let is_refused = topology.mode == Mode::Static && set.is_none() && !is_guest;
        if is_refused && !planted!("a static node refuses whom it does not name") {
            return None;
        }
        let override_cost = set.and_then(|set| set.cost);
        let cost = match (member, self.members.get(self.config.key)) {
            (Some(peer), Some(own)) => link_cost(peer, own, override_cost),
            _ => override_cost.unwrap_or(LINK_COST),
        };
        Some(LinkRules {
            ripple: set.and_then(|set| set.ripple).unwrap_or(topology.ripple),
            direction: set.map(|set| set.direction).unwrap_or_default(),
            cost,
            refresh_waits: !set
                .and_then(|set| set.automatic_refresh)
                .unwrap_or(self.config.automatic_refresh),
        })
    }

    /// Of all other members those that this node dials.
    pub(super) fn dialled_members(&self) -> BTreeSet<NodeKey> {
        let topology = &self.config.topology;
        let own = self.config.key;
        let others = self.members.iter().filter(|(key, _)| *key != own);
        let named = others.filter(|(key, member)| match topology.link(*key, &member.name) {
            Some(link) => link.dial,
            None => topology.mode != Mode::Static,
        });
        let keys = named.map(|(key, _)| key);
        let Mode::SpanningTree { fanout } = topology.mode else { return keys.collect() };
        let seats: Vec<Seat> =
            keys.map(|key| Seat { key, is_absent: self.is_absent(key) }).collect();
        view(own, &seats, fanout)
    }

    /// Whether a member could not be reached, several times in turn.
    fn is_absent(&self, key: NodeKey) -> bool {
        let is_linked = self.links.values().any(|link| link.peer == key && link.is_open());
        let has_address = !self.member_addresses(key).is_empty();
        let attempts = self.peers.get(&key).map_or(0, |peer| peer.attempts);
        !is_linked && (!has_address || attempts >= ATTEMPTS_MAX)
    }

    /// The transport has measured a link's round trip.
    pub(super) fn round_trip(&mut self, link_id: LinkId, us: u64) {
        let Some(link) = self.links.get_mut(&link_id) else { return };
        let before = link.round_trip_us.replace(us);
        let is_alike = before.is_some_and(|before| before.abs_diff(us) * 4 <= before);
        if link.is_open() && !is_alike {
            self.update_terms();
        }
    }
}

/// Dials in turn that came to nothing before a member counts as absent.
const ATTEMPTS_MAX: u32 = 2;
