//! From whom this node takes what each origin writes, for reports. Each question about one origin is a function
//! of its own.

use std::collections::BTreeSet;

use millpond_core::{Incarnation, Namespace, NodeKey};

use super::engine::Engine;
use super::link::{Link, Want};
use crate::status::OriginStatus;

impl Engine {
    /// The ways of every origin of which something moved in this run, by name.
    pub(super) fn origin_statuses(&self) -> Vec<OriginStatus> {
        let namespace = Namespace::MAIN;
        let mut origins: Vec<OriginStatus> =
            self.moving_origins().into_iter().map(|it| self.origin_status(namespace, it)).collect();
        origins.sort_by(|a, b| (&a.origin, &a.incarnation).cmp(&(&b.origin, &b.incarnation)));
        origins
    }

    /// Origins that wrote in this run, as far as this node has seen; itself among them if it may write.
    pub(super) fn moving_origins(&self) -> BTreeSet<Incarnation> {
        let pushed = self.peers.values().flat_map(|peer| peer.origins.iter());
        let pushed = pushed.map(|(origin, _)| origin);
        pushed.chain(self.heads.open).filter(|origin| self.owner(*origin).is_some()).collect()
    }

    fn origin_status(&self, namespace: Namespace, origin: Incarnation) -> OriginStatus {
        let owner = self.owner(origin);
        let name = |key: NodeKey| self.name_of(key);
        OriginStatus {
            origin: owner.map_or_else(|| origin.to_string(), name),
            key: owner.map(|key| key.to_string()).unwrap_or_default(),
            incarnation: origin.to_string(),
            is_own: owner == Some(self.config.key),
            source: self.source_of(namespace, origin).map(name),
            standby: self.standby_of(namespace, origin).map(name),
            fed: self.fed_of(namespace, origin).into_iter().map(name).collect(),
            deadline_ms: self.deadline_ms_of(namespace, origin),
            last_gap_ms: self.last_gap_ms_of(namespace, origin),
        }
    }

    /// What a node is called: by its name, or by the first digits of its key.
    pub(super) fn name_of(&self, key: NodeKey) -> String {
        if key == self.config.key {
            return self.config.name.clone();
        }
        let name = self.members.get(key).map(|member| member.name.clone());
        name.filter(|name| !name.is_empty()).unwrap_or_else(|| key.short().to_string())
    }

    /// The peer that sends an origin's writes here: its source, or its own node while that feeds this one
    /// and no source is known.
    pub(super) fn source_of(&self, namespace: Namespace, origin: Incarnation) -> Option<NodeKey> {
        let tree = self.trees.get(&namespace);
        let source = tree.and_then(|tree| tree.source(origin));
        let source = source.or_else(|| self.presumed_source(namespace, origin))?;
        Some(self.links.get(&source)?.peer)
    }

    /// The peer that would be asked next.
    pub(super) fn standby_of(&self, namespace: Namespace, origin: Incarnation) -> Option<NodeKey> {
        let standby = self.trees.get(&namespace)?.standby(origin, &self.ways(namespace))?;
        Some(self.links.get(&standby)?.peer)
    }

    /// The peers that this node sends an origin's writes to.
    pub(super) fn fed_of(&self, namespace: Namespace, origin: Incarnation) -> Vec<NodeKey> {
        let is_own = self.owner(origin) == Some(self.config.key);
        let is_fed = |link: &&Link| {
            let Some(feed) = link.feeds.get(&namespace) else { return false };
            match feed.wants.get(&origin) {
                Some(want) => *want == Want::All,
                None => is_own && self.feeds_own(link),
            }
        };
        self.links.values().filter(is_fed).map(|link| link.peer).collect()
    }

    /// How late the source may be.
    fn deadline_ms_of(&self, namespace: Namespace, origin: Incarnation) -> Option<u64> {
        self.trees.get(&namespace)?.deadline_ms(self.now.mono_ms, origin)
    }

    /// How long the origin's writes were missing when the source last failed.
    fn last_gap_ms_of(&self, namespace: Namespace, origin: Incarnation) -> Option<u64> {
        self.trees.get(&namespace)?.last_gap_ms(origin)
    }
}
