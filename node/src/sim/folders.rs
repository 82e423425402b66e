//! Folders that are put aside, and put back: as they were, or by way of a backup.

use millpond_core::Namespace;

use super::net::NodeId;
use super::node::Image;
use super::stage::{INVITER, Stage};
use crate::membership::Members;
use crate::runtime::Lease;

/// A copy of a folder that was put aside.
pub(super) struct Backup {
    image: Image,
    /// The lease of that moment, if it told all that the store held.
    pub(super) lease: Option<Lease>,
}

impl Stage {
    pub(super) fn backup(&mut self, node: NodeId) {
        let held = &self.world.nodes[node];
        let lease = held.lease.clone().filter(|_| held.is_lease_level());
        self.backups.insert(node, Backup { image: held.image(), lease });
    }

    /// With its lease an image is caught unless the lease is older than what was written last: a rollback of
    /// less than a second is what stays open, as documented.
    pub(super) fn restore(&mut self, node: NodeId, with_lease: bool) {
        let is_there = self.backups.contains_key(&node) && self.is_ordinary(node);
        if !is_there || self.fell_back.contains_key(&node) {
            return;
        }
        if !with_lease || !self.world.nodes[node].is_lease_level() {
            self.world.nodes[node].lease = None;
        }
        // Every other one that comes without its lease comes as the file of a backup.
        let is_from_file = self.world.nodes[node].lease.is_none() && self.world.now_ms % 2 == 1;
        self.put(node, is_from_file);
    }

    /// Puts the copy in the folder's place, and starts the node.
    pub(super) fn put_back(&mut self, node: NodeId) {
        self.put(node, false);
    }

    fn put(&mut self, node: NodeId, is_from_file: bool) {
        let Some(Backup { image, .. }) = self.backups.get(&node) else { return };
        let store = self.world.now_ms.to_le_bytes();
        let restored = match is_from_file {
            true => image.through_a_backup(self.world.nodes[node].key, store),
            false => None,
        };
        let image = restored.as_ref().unwrap_or(image);
        if node == INVITER {
            self.has_replaced_inviter = true;
            let strangers = self.strangers_after(image);
            if let Some(oracle) = &mut self.world.oracle {
                strangers.iter().for_each(|&node| oracle.disregard(node));
            }
            self.world.outcasts.extend(strangers);
        }
        self.world.restore(node, image);
    }

    /// The word of a member may have been under way when the inviter's folder was replaced: then it is none that
    /// nobody knows.
    pub(super) fn recognise_strangers(&mut self) {
        let nodes = 0..self.world.nodes.len();
        let is_known = |of: NodeId| {
            let key = self.world.nodes[of].key;
            nodes.clone().filter(|by| *by != of && !self.gone.contains(by)).any(|by| {
                let members = Members::read(&self.world.view(by, Namespace::SYSTEM));
                members.is_ok_and(|members| members.get(key).is_some())
            })
        };
        let Some(oracle) = &self.world.oracle else { return };
        let known: Vec<NodeId> =
            nodes.clone().filter(|of| oracle.is_stranger(*of) && is_known(*of)).collect();
        for node in known {
            self.world.outcasts.remove(&node);
            self.world.oracle.iter_mut().for_each(|oracle| oracle.recognise(node));
            // Nobody looked at what it held while it was one.
            self.world.note_vectors(node);
        }
    }

    /// With the inviter's folder an invite may be gone, or the only word of a member but that member's own:
    /// then it needs a new invite. Nobody asks it what it holds.
    fn strangers_after(&self, image: &Image) -> Vec<NodeId> {
        let nodes = 0..self.world.nodes.len();
        let knows = |by: NodeId, of: NodeId| {
            let view = match by {
                INVITER => image.view(Namespace::SYSTEM),
                _ => self.world.view(by, Namespace::SYSTEM),
            };
            let members = Members::read(&view).expect("nothing is rotten in the system namespace");
            members.get(self.world.nodes[of].key).is_some()
        };
        let is_stranger = |&of: &NodeId| {
            !self.world.has_joined(of) || !nodes.clone().any(|by| by != of && knows(by, of))
        };
        nodes.clone().filter(is_stranger).collect()
    }
}
