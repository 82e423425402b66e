//! A look into a running engine, for the simulator's checkers: what must be bounded, and what must be over
//! once all is quiet.

use std::sync::Arc;

use millpond_core::message::Credit;
use millpond_core::{Boot, Closed, Incarnation, Namespace, NodeKey, VersionVector};

use super::engine::NAMESPACES;
use super::primary::Writers;
use super::{Collection, Engine, LinkId};
use crate::membership::{Members, PendingMember};
use crate::state::View;
use crate::status::LinkCounters;
use crate::store::StoreError;

/// What an engine holds at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inspection {
    /// Why it takes no more writes, if it does not.
    pub(crate) fenced: Option<String>,
    /// Whether it has met two live boots of one key.
    pub(crate) has_met_copy: bool,
    /// Whether it is one of those that the domain's presets and delays let write.
    pub(crate) takes_writes: bool,
    /// Jobs at the writer.
    pub(crate) jobs: usize,
    /// Catch-ups that it asked for, and those that it supplies.
    pub(crate) pulls: usize,
    pub(crate) supplies: usize,
    /// How long the oldest snapshot of those has been held, and how long one may be.
    pub(crate) oldest_snapshot_ms: u64,
    pub(crate) snapshot_ms_max: u64,
    /// Cuts that are visible and not folded, or given up and not gone.
    pub(crate) folds: usize,
    /// Origins of which a peer is known to have more.
    pub(crate) lacking: usize,
    /// Incarnations known by introduction alone.
    pub(crate) introduced: usize,
    /// Bytes of pushes that wait for others, in the fullest inbox, and how many may.
    pub(crate) waiting_bytes: usize,
    pub(crate) waiting_bytes_max: usize,
    /// Bytes in the ring, and how many may be.
    pub(crate) ring_bytes: usize,
    pub(crate) ring_bytes_max: usize,
    /// Links that the engine knows.
    pub(crate) links: usize,
    /// Members for which tombstones wait.
    pub(crate) blockers: Vec<NodeKey>,
    /// Members for which none wait, since they are taken for gone.
    pub(crate) evicted: Vec<NodeKey>,
}

/// What an engine believes of the node at the other end of a link.
pub(crate) struct Belief {
    pub(crate) boot: Boot,
    pub(crate) namespace: Namespace,
    /// What it holds.
    pub(crate) vv: VersionVector,
}

impl Engine {
    /// Who waits for approval.
    pub(crate) fn pending_members(&self) -> Vec<PendingMember> {
        self.invites.pending()
    }

    /// What the engine holds now.
    pub(crate) fn inspect(&self) -> Inspection {
        let waiting = self.inboxes.values().map(|inbox| inbox.waiting_bytes());
        Inspection {
            fenced: self.why_fenced(),
            has_met_copy: self.peers.values().any(|peer| peer.is_cloned),
            takes_writes: !self.is_delayed()
                && [Writers::Everybody, Writers::Only(self.config.key)].contains(&self.writers()),
            jobs: self.jobs.len(),
            pulls: self.pulls.len(),
            supplies: self.supplies.len(),
            oldest_snapshot_ms: self.oldest_snapshot_ms(),
            snapshot_ms_max: self.config.limits.snapshot_ms,
            folds: self.heads.folds.len() + self.heads.clears.len(),
            lacking: self.lacking.len(),
            introduced: self.introduced.len(),
            waiting_bytes: waiting.max().unwrap_or(0),
            waiting_bytes_max: self.config.limits.waiting_bytes,
            ring_bytes: self.ring.bytes(),
            ring_bytes_max: self.config.limits.ring_bytes,
            links: self.links.len(),
            blockers: self.blockers().collect(),
            evicted: self.evicted().collect(),
        }
    }

    /// Whether the members of now are those that the store tells of, read as a whole.
    pub(crate) fn knows_its_members(&self) -> Result<bool, StoreError> {
        let view = View::new(self.store.snapshot()?, Namespace::SYSTEM)?;
        Ok(self.members == Members::read_with_keys(&view, &self.key_checks())?)
    }

    /// When tombstones are collected from now on.
    pub(crate) fn set_collection(&mut self, collection: Collection) {
        self.config.collection = collection;
    }

    /// Tables of closed incarnations by which what it says on a link can be read.
    pub(crate) fn tables_said(&self, link: LinkId) -> Vec<Arc<Closed>> {
        let said = self.links.get(&link).map(|link| link.tables_said()).unwrap_or_default();
        said.into_iter().chain([self.closing.current().clone()]).collect()
    }

    /// Whether this node has more keys than the one that it shows, or shows an old one.
    pub(crate) fn is_rotating(&self) -> bool {
        self.members.keys().of(self.config.key) != [self.config.shows]
    }

    /// The keys of a member that are valid here.
    pub(crate) fn keys_of(&self, member: NodeKey) -> Vec<NodeKey> {
        self.members.keys().of(member)
    }

    /// Whose an incarnation is.
    pub(crate) fn owner_of(&self, incarnation: Incarnation) -> Option<NodeKey> {
        self.owner(incarnation)
    }

    /// What it has applied of a namespace.
    pub(crate) fn applied_vector(&self, namespace: Namespace) -> &VersionVector {
        self.applied(namespace)
    }

    /// The incarnations that its vector of a namespace lists beside the table of closed ones.
    pub(crate) fn listed(&self, namespace: Namespace) -> Vec<Incarnation> {
        let finals = self.closing.current().finals(namespace);
        let vv = self.applied(namespace);
        let here = vv.iter().filter(|dot| finals.seq(dot.incarnation) != dot.seq.get());
        let lacking = finals.iter().filter(|dot| vv.seq(dot.incarnation) == 0);
        here.chain(lacking).map(|dot| dot.incarnation).collect()
    }

    /// Whether an incarnation is recorded to have gone further than it is here.
    pub(crate) fn lacks_of_closed(&self, namespace: Namespace, id: Incarnation) -> bool {
        self.applied(namespace).seq(id) < self.closing.current().finals(namespace).seq(id)
    }

    /// The incarnation of a number that this node has given on a link.
    pub(crate) fn name_said(&self, link: LinkId, number: u32) -> Option<Incarnation> {
        let said = &self.links.get(&link)?.names_said;
        said.iter().find(|(_, given)| **given == number).map(|(&incarnation, _)| incarnation)
    }

    /// Bytes sent and worked off, by link: once nothing is under way, what one end sent the other has
    /// worked off.
    pub(crate) fn credit_of_links(&self) -> Vec<(LinkId, Credit, Credit)> {
        self.links.iter().map(|(&id, link)| (id, link.sent, link.consumed)).collect()
    }

    /// What moved between this node and each peer.
    pub(crate) fn counters_of_peers(&self) -> impl Iterator<Item = (NodeKey, &LinkCounters)> {
        self.peers.iter().map(|(&key, peer)| (key, &*peer.counters))
    }

    /// Incarnations that the vectors name and whose owner is not known.
    pub(crate) fn owner_unknown(&self) -> Vec<(Namespace, Incarnation)> {
        let named = NAMESPACES.into_iter().flat_map(|namespace| {
            self.applied(namespace).iter().map(move |dot| (namespace, dot.incarnation))
        });
        named.filter(|(_, incarnation)| self.owner(*incarnation).is_none()).collect()
    }

    /// What it believes that linked peers hold.
    pub(crate) fn beliefs(&self) -> Vec<Belief> {
        let open = self.links.values().filter(|link| link.is_open());
        let believed = open.filter_map(|link| {
            let peer = self.peers.get(&link.peer)?;
            let boot = link.boot.filter(|boot| peer.boot == Some(*boot))?;
            Some(peer.vectors.iter().map(move |(&namespace, vectors)| {
                let mut vv = vectors.applied.clone();
                vv.join(&vectors.durable);
                Belief { boot, namespace, vv }
            }))
        });
        believed.flatten().collect()
    }
}
