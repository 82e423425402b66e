//! Rollbacks: a folder falls back by less than a second, and its lease with the disk that it is on, or before
//! the lease was written again. This is what R5 leaves open: the store cannot tell that it was put back.
//!
//! As soon as a member that knows more can be heard, the node goes on under another incarnation. If nobody
//! knows more, nothing was lost that anybody has, and it goes on as it is. What it writes before it meets who
//! knows more is issued anew, and its receipts name other dots then; so here no client writes to it before
//! that, and directed tests do.

use millpond_core::{Incarnation, NodeKey};

use super::folders::Backup;
use super::net::NodeId;
use super::stage::Stage;
use super::world::{Check, NAMESPACES, World};

/// The incarnation that a node had open when it fell back unseen.
#[derive(Debug, Clone, Copy)]
pub(super) struct FellBack(Incarnation);

impl Stage {
    /// Puts the copy back, if the lease has not been written since.
    pub(super) fn roll_back(&mut self, node: NodeId) {
        let Some(Backup { lease: Some(lease), .. }) = self.backups.get(&node) else { return };
        let held = &self.world.nodes[node];
        let is_seen = !held.keeps_lease || held.lease.as_ref() != Some(lease);
        // Two who are not sure of themselves could fence each other over nothing.
        let is_enough = !self.copies.is_empty() || self.fell_back.len() >= FELL_BACK_MAX;
        if is_seen || is_enough || !self.is_ordinary(node) || self.fell_back.contains_key(&node) {
            return;
        }
        self.put_back(node);
        let open = self.world.nodes[node].running.as_ref().and_then(|it| it.heads.open);
        // Without an open incarnation there is nothing to go on with.
        if let Some(open) = open {
            self.fell_back.insert(node, FellBack(open));
            self.world.oracle.iter_mut().for_each(|it| it.falls_back_unseen(node));
        }
    }

    /// Whether what a client writes at a node may be issued anew: it fell back, and has not noticed.
    pub(super) fn is_unsure(&self, node: NodeId) -> bool {
        let fell_back = self.fell_back.get(&node);
        fell_back.is_some_and(|FellBack(open)| goes_on(&self.world, node, *open))
    }

    /// A folder that fell back is moved: it is still what it was.
    pub(super) fn moves(&mut self, from: NodeId, to: NodeId) {
        if let Some(fell_back) = self.fell_back.remove(&from) {
            self.fell_back.insert(to, fell_back);
            self.world.oracle.iter_mut().for_each(|it| it.falls_back_unseen(to));
        }
    }

    /// Who fell back does not go on under its incarnation, if a member knows more.
    pub(super) fn judge_fallen(&mut self) -> Check {
        if !self.fell_back.is_empty() {
            // What it had sent before may still be on its way to the others' disks.
            self.world.run(ARRIVED_MS);
        }
        for (node, FellBack(open)) in self.fell_back.clone() {
            let knows_more = self.knows_more(node, open);
            if knows_more.is_some() {
                let is_over = |world: &World| !goes_on(world, node, open);
                self.world.run_until(NOTICED_MS, is_over).map_err(|why| {
                    format!("fencing: {node} fell back, {knows_more:?} know more, and {why}")
                })?;
            }
        }
        self.world.observed.clone()
    }

    /// Members that hold more of a node's open incarnation than it does.
    fn knows_more(&self, node: NodeId, open: Incarnation) -> Option<NodeKey> {
        let nodes = &self.world.nodes;
        let holds_more = |other: NodeId| {
            NAMESPACES.into_iter().any(|namespace| {
                let seq = |id| self.world.view(id, namespace).vv().seq(open);
                seq(other) > seq(node)
            })
        };
        let others = (0..nodes.len()).filter(|&it| it != node && nodes[it].running.is_some());
        others.into_iter().find(|&other| holds_more(other)).map(|other| nodes[other].key)
    }
}

/// Whether a node would still write under this incarnation.
fn goes_on(world: &World, node: NodeId, open: Incarnation) -> bool {
    world.nodes[node].running.as_ref().is_some_and(|running| {
        running.heads.open == Some(open) && running.engine.inspect().fenced.is_none()
    })
}

/// How many nodes of a cluster fall back: the others are to go on without them.
const FELL_BACK_MAX: usize = 2;
/// How long what was sent may take to a slow disk.
const ARRIVED_MS: u64 = 10_000;
/// How long it takes at most until a node hears what others know of it: a link, and a catch-up.
const NOTICED_MS: u64 = 30_000;
