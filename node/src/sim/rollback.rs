//! Rollbacks: a folder falls back by less than a second, and its lease with the disk that it is on, or before
//! the lease was written again. This is what R5 leaves open: the store cannot tell that it was put back.
//!
//! What is promised then is less than elsewhere. As soon as a member that knows more can be heard, the node
//! is fenced: it takes no writes, gives out no dots, also after a restart or a move, and all others go on
//! without it. If nobody knows more, nothing was lost that anybody has, and it goes on. What it writes before
//! it meets who knows more is *not* promised: those dots may be other writes elsewhere. So here no client
//! writes to it before that.

use millpond_core::{Incarnation, NodeKey};

use super::folders::Backup;
use super::net::NodeId;
use super::stage::Stage;
use super::world::{Check, NAMESPACES, World, ensure};
use crate::state::WriteError;

/// What a node was that fell back unseen.
#[derive(Debug, Clone, Copy)]
pub(super) struct FellBack {
    open: Incarnation,
    /// How many transactions its disk had had of its own by then.
    issued: u64,
}

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
        let issued = held.issued;
        self.put_back(node);
        let open = self.world.nodes[node].running.as_ref().and_then(|it| it.heads.open);
        // Without an open incarnation there is nothing to go on with.
        if let Some(open) = open {
            self.fell_back.insert(node, FellBack { open, issued });
        }
    }

    /// Whether what a client writes at a node may be lost: it fell back, and has not noticed.
    pub(super) fn is_unsure(&self, node: NodeId) -> bool {
        self.fell_back.contains_key(&node) && self.why_fenced(node).is_none()
    }

    /// A folder that fell back is moved: it is still what it was.
    pub(super) fn moves(&mut self, from: NodeId, to: NodeId) {
        if let Some(fell_back) = self.fell_back.remove(&from) {
            self.fell_back.insert(to, FellBack { issued: 0, ..fell_back });
        }
    }

    /// Who fell back is fenced if a member knows more, and stays so.
    pub(super) fn judge_fallen(&mut self) -> Check {
        if !self.fell_back.is_empty() {
            // What it had sent before may still be on its way to the others' disks.
            self.world.run(ARRIVED_MS);
        }
        for (node, FellBack { open, issued }) in self.fell_back.clone() {
            let knows_more = self.knows_more(node, open);
            if knows_more.is_some() {
                let is_over = |world: &World| !goes_on(world, node, open);
                self.world.run_until(NOTICED_MS, is_over).map_err(|why| {
                    format!("fencing: {node} fell back, {knows_more:?} know more, and {why}")
                })?;
            }
            if self.why_fenced(node).is_none() {
                continue;
            }
            self.world.outcasts.insert(node);
            self.judge_fenced(node)?;
            let issued_since = self.world.nodes[node].issued - issued;
            ensure!(issued_since == 0, "fencing: {node} is fenced, and issued {issued_since} more");
        }
        self.world.observed.clone()
    }

    /// A fenced node writes nothing, also when it starts again and meets nobody.
    fn judge_fenced(&mut self, node: NodeId) -> Check {
        self.world.isolate(node, true);
        self.world.nodes[node].renew_lease();
        self.world.crash(node, true);
        self.world.start(node);
        let request = self.world.put(node, "at/fenced/f", "by a fenced node");
        self.world.run(REFUSED_MS);
        let written = self.world.written(request);
        ensure!(
            matches!(written, Some(Err(WriteError::Fenced { .. }))),
            "fencing: {node}, fenced and started again, answers a write with {written:?}"
        );
        self.world.isolate(node, false);
        Ok(())
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

    fn why_fenced(&self, node: NodeId) -> Option<String> {
        let running = self.world.nodes[node].running.as_ref()?;
        running.engine.inspect().fenced
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
/// Longer than a first write waits for the members' answers.
const REFUSED_MS: u64 = 6_000;
