//! What applications wait for: what peers hold.

use std::collections::{BTreeMap, BTreeSet};

use millpond_core::{Incarnation, Namespace, NodeKey, VersionVector};

use super::engine::Engine;
use crate::conflicts::Writer;

/// What members hold of the main namespace, as far as this node knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sight {
    /// Of what this node wrote: all of it.
    pub(crate) own: VersionVector,
    /// The others.
    pub(crate) peers: BTreeMap<NodeKey, PeerSight>,
}

/// What one of them holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PeerSight {
    /// Whether there is a link to it.
    pub(crate) is_linked: bool,
    /// By its own word.
    pub(crate) applied: VersionVector,
    /// On its disk; while it is not linked, as others have told.
    pub(crate) durable: VersionVector,
}

impl Engine {
    /// What members hold.
    pub(crate) fn sight(&self) -> Sight {
        let own = self.applied(Namespace::MAIN).iter();
        let own = own.filter(|dot| self.heads.incarnations.contains(&dot.incarnation)).collect();
        let others = self.members.iter().filter(|(key, _)| *key != self.config.key);
        Sight { own, peers: others.map(|(key, _)| (key, self.peer_sight(key))).collect() }
    }

    /// Whose incarnations these are, as far as is known.
    pub(super) fn writers_of(
        &self,
        incarnations: &BTreeSet<Incarnation>,
    ) -> BTreeMap<Incarnation, Writer> {
        let known = incarnations.iter().filter_map(|&id| Some((id, self.owner(id)?)));
        known.map(|(id, key)| (id, Writer { key, name: self.name_of(key) })).collect()
    }

    fn peer_sight(&self, key: NodeKey) -> PeerSight {
        let is_linked = self.links.values().any(|link| link.peer == key && link.is_open());
        let Some(peer) = self.peers.get(&key) else { return PeerSight::default() };
        let vectors = peer.vectors(Namespace::MAIN);
        let durable = match peer.words.latest() {
            Some(word) if !is_linked => word.vv(Namespace::MAIN).clone(),
            _ => vectors.durable.clone(),
        };
        PeerSight { is_linked, applied: vectors.applied.clone(), durable }
    }
}
