//! What the settings of nodes ask for: who is to be linked, and who is to have what others have.
//!
//! In a full mesh all are to be linked, and level. Where an operator draws the edges, only those are demanded,
//! and data goes only where they lead.

use std::collections::BTreeSet;

use millpond_core::Namespace;

use super::net::NodeId;
use super::node::Node;
use super::shape::name;
use super::world::{Check, NAMESPACES, World, ensure};
use crate::topology::settings::{Direction, LinkSettings, Mode, Ripple, Topology};

impl World {
    /// Whether all nodes are to be linked with all others, and have nothing between them but that.
    pub(crate) fn is_plain(&self) -> bool {
        let is_plain = |it: &Topology| it.mode == Mode::FullMesh && it.links.is_empty();
        self.nodes.iter().all(|node| is_plain(&node.topology))
    }

    /// Whether nobody holds updates back for a fixed time.
    pub(crate) fn is_adaptive(&self) -> bool {
        let is_adaptive = |it: &Topology| {
            let links = it.links.iter().filter_map(|link| link.ripple);
            links.chain([it.ripple]).all(|ripple| ripple == Ripple::Adaptive)
        };
        self.nodes.iter().all(|node| is_adaptive(&node.topology))
    }

    /// How many pairs there are of which one node may dial the other, which wants no link with it.
    pub(crate) fn refused(&self) -> usize {
        let all: Vec<NodeId> = self.running().collect();
        let pairs = all.iter().flat_map(|&a| all.iter().map(move |&b| (a, b)));
        pairs.filter(|&(a, b)| a != b && self.admits(a, b) && !self.admits(b, a)).count()
    }

    /// Whether the running nodes are linked as their settings ask for.
    pub(crate) fn is_meshed(&self) -> bool {
        let all: Vec<NodeId> = self.running().collect();
        if self.is_plain() {
            return all.iter().all(|&a| all.iter().all(|&b| a <= b || self.net.is_linked(a, b)));
        }
        let pairs =
            || all.iter().flat_map(|&a| all.iter().map(move |&b| (a, b))).filter(|(a, b)| a > b);
        let are_linked =
            pairs().filter(|&(a, b)| self.demands(a, b)).all(|(a, b)| self.net.is_linked(a, b));
        // Those that choose for themselves are to hang together, by whatever way.
        let choosers =
            |id: &NodeId| matches!(self.nodes[*id].topology.mode, Mode::SpanningTree { .. });
        let Some(first) = all.iter().copied().find(choosers) else { return are_linked };
        let reached = self.reached(first, |a, b| self.net.is_linked(a, b));
        are_linked && all.iter().filter(|id| choosers(id)).all(|id| reached.contains(id))
    }

    /// Whether each running node has what those have that give to it.
    pub(crate) fn is_level_by_links(&self) -> bool {
        NAMESPACES.into_iter().all(|namespace| {
            self.gifts().iter().all(|&(from, to)| self.lacks(from, to, namespace).is_none())
        })
    }

    /// Whether what any running node has is to come to each other one.
    pub(crate) fn is_whole(&self) -> bool {
        let Some(first) = self.running().next() else { return true };
        let gifts: BTreeSet<(NodeId, NodeId)> = self.gifts().into_iter().collect();
        let count = self.running().count();
        self.reached(first, |from, to| gifts.contains(&(from, to))).len() == count
            && self.reached(first, |to, from| gifts.contains(&(from, to))).len() == count
    }

    /// The first dot that one node has of a namespace and another one lacks.
    pub(crate) fn lacks(
        &self,
        from: NodeId,
        to: NodeId,
        namespace: Namespace,
    ) -> Option<millpond_core::Dot> {
        let (from, to) = (self.view(from, namespace), self.view(to, namespace));
        from.vv().beyond(to.vv()).next().map(|range| range.first())
    }

    /// Whether nodes that are level by links hold the same.
    pub(crate) fn agree_by_links(&self) -> Check {
        for (a, b) in self.gifts() {
            for namespace in NAMESPACES {
                let (here, there) = (self.view(a, namespace), self.view(b, namespace));
                if here.vv() == there.vv() {
                    let is_same = self.entries(a, namespace) == self.entries(b, namespace);
                    ensure!(
                        is_same,
                        "convergence: {a} and {b} are level in {namespace} and differ"
                    );
                }
            }
        }
        Ok(())
    }

    /// The pairs of running nodes of which the first gives the other what it has.
    pub(crate) fn gifts(&self) -> Vec<(NodeId, NodeId)> {
        let all: Vec<NodeId> = self.running().collect();
        let pairs = all.iter().flat_map(|&a| all.iter().map(move |&b| (a, b)));
        pairs.filter(|&(a, b)| a != b && self.gives(a, b) && self.net.is_linked(a, b)).collect()
    }

    fn gives(&self, from: NodeId, to: NodeId) -> bool {
        let direction = |of: NodeId, peer| {
            settings(&self.nodes[of], peer).map_or(Direction::Both, |link| link.direction)
        };
        direction(from, to) != Direction::Pull && direction(to, from) != Direction::Serve
    }

    /// Whether two nodes are to be linked, and do not choose for themselves whether they are.
    fn demands(&self, a: NodeId, b: NodeId) -> bool {
        let dials = |of: NodeId, peer: NodeId| {
            let mode = self.nodes[of].topology.mode;
            let by_default = mode == Mode::FullMesh;
            let chooses = matches!(mode, Mode::SpanningTree { .. });
            !chooses && settings(&self.nodes[of], peer).map_or(by_default, |link| link.dial)
        };
        self.admits(a, b) && self.admits(b, a) && (dials(a, b) || dials(b, a))
    }

    fn admits(&self, of: NodeId, peer: NodeId) -> bool {
        let node = &self.nodes[of];
        node.topology.mode != Mode::Static || settings(node, peer).is_some()
    }

    fn reached(&self, first: NodeId, leads: impl Fn(NodeId, NodeId) -> bool) -> BTreeSet<NodeId> {
        let all: Vec<NodeId> = self.running().collect();
        let mut reached = BTreeSet::from([first]);
        let mut frontier = vec![first];
        while let Some(at) = frontier.pop() {
            for &next in &all {
                if next != at && leads(at, next) && reached.insert(next) {
                    frontier.push(next);
                }
            }
        }
        reached
    }
}

/// What a node's settings say of a peer.
fn settings(node: &Node, peer: NodeId) -> Option<&LinkSettings> {
    let links = &node.topology.links;
    let named = links.iter().find(|link| link.peer == name(peer));
    named.or_else(|| links.iter().find(|link| link.peer == "*"))
}
