//! Keys that change: signatures that anybody here could make, and nobody makes for another.

use millpond_core::{NodeKey, Succession};

use super::net::NodeId;
use super::node::DOMAIN;
use super::stage::Stage;
use super::world::{Check, World, ensure};
use crate::replication::{Engine, Input, Request, RequestId};

/// Whether this is what [`sign`] gives.
pub(crate) fn verify(key: NodeKey, bytes: &[u8], signature: &[u8; 64]) -> bool {
    sign(key, bytes) == *signature
}

/// A signature as the simulator has it: a hash of the key and of what it signs.
pub(crate) fn sign(key: NodeKey, bytes: &[u8]) -> [u8; 64] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(key.as_bytes()).update(bytes);
    let mut signature = [0; 64];
    hasher.finalize_xof().fill(&mut signature);
    signature
}

impl World {
    /// A node changes its key. What its folder holds stays, whatever becomes of it.
    #[cfg_attr(not(test), allow(dead_code, reason = "only tests rotate keys so far"))]
    pub(crate) fn rotate(&mut self, id: NodeId, overlap_ms: u64) -> RequestId {
        let fresh = NodeKey::from_bytes(self.random());
        let node = &mut self.nodes[id];
        let (old, new) = (node.shows, *node.next_key.get_or_insert(fresh));
        let signature = sign(old, &Succession::signed(DOMAIN, old, new));
        let succession = Succession { old, new, signature };
        self.ask(id, Request::Rotate { succession, overlap_ms })
    }

    /// All that change their keys come to an end of that, and all others know it.
    pub(super) fn settle_keys(&mut self) -> Check {
        if self.nodes.iter().all(|node| node.shows == node.key && node.next_key.is_none()) {
            return Ok(());
        }
        let is_rotating =
            |world: &Self| world.running().any(|id| world.engine_of(id).is_rotating());
        let is_settled = self.run_until(KEYS_MS, |world| !is_rotating(world));
        is_settled.map_err(|why| format!("liveness: a key is changed for ever {why}"))?;
        self.settle_within(KEYS_MS).map_err(|why| format!("convergence: {why}"))?;
        for id in self.running() {
            for other in self.running() {
                let (member, shown) = (self.nodes[other].key, self.nodes[other].shows);
                let keys = self.engine_of(id).keys_of(member);
                ensure!(
                    keys.contains(&shown),
                    "keys: {id} does not take {other}, which shows another key"
                );
                ensure!(keys.len() == 1, "keys: {id} takes old keys of {other}");
            }
        }
        Ok(())
    }

    fn engine_of(&self, id: NodeId) -> &Engine {
        &self.nodes[id].running.as_ref().expect("it runs").engine
    }

    /// A node shows its next key: its folder holds it from now on, and its links are made anew.
    pub(super) fn show_key(&mut self, id: NodeId, key: NodeKey) {
        let node = &mut self.nodes[id];
        let is_there = node.shows == key || node.next_key == Some(key);
        if !is_there {
            return self.input(id, Input::KeyShown(Err("it holds no such key".into())));
        }
        (node.shows, node.next_key) = (key, None);
        self.input(id, Input::KeyShown(Ok(key)));
        for other in 0..self.nodes.len() {
            self.net.break_links(self.now_ms, id, other);
        }
    }
}

impl Stage {
    /// A node is told to change its key, if it runs and nobody else may have its key.
    pub(super) fn rotate(&mut self, node: NodeId, overlap_ms: u64) {
        if self.world.nodes[node].running.is_some() && self.world.has_joined(node) {
            self.world.rotate(node, overlap_ms);
        }
    }
}

/// Longer than the longest overlap.
const KEYS_MS: u64 = 60_000;
