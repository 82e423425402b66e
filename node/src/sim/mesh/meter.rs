//! What is measured of a mesh, from outside its nodes.

use std::collections::BTreeMap;

use bytes::Bytes;
use millpond_core::message::Message;
use millpond_core::wire::Decoder;
use millpond_core::{Incarnation, Namespace, VersionVector};

use super::kinds::{self, ByKind};
use crate::sim::net::NodeId;

/// Follows updates to their last node, and counts frames.
pub(crate) struct Meter {
    /// Frames that nodes gave to their links.
    pub(crate) sent: ByKind,
    nodes: usize,
    /// The updates of each origin, in the order in which it wrote them.
    updates: BTreeMap<Incarnation, Vec<Update>>,
    /// How many of each origin's updates a node has applied.
    applied: Vec<BTreeMap<Incarnation, u64>>,
    /// Updates that some node lacks.
    open: usize,
    /// From whom the latest update of an origin came to a node, if anybody wants to know.
    feeders: Option<BTreeMap<(NodeId, Incarnation), (u64, NodeId)>>,
}

/// An update on its way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Update {
    pub(crate) origin: NodeId,
    pub(crate) issued_ms: u64,
    /// How many nodes lack it.
    missing: usize,
    /// When the latest node applied it.
    pub(crate) last_ms: u64,
}

impl Meter {
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            sent: ByKind::default(),
            nodes,
            updates: BTreeMap::new(),
            applied: vec![BTreeMap::new(); nodes],
            open: 0,
            feeders: None,
        }
    }

    /// A node writes its next update. Each takes one dot, and nothing else takes any.
    pub(crate) fn issued(&mut self, now_ms: u64, origin: NodeId, incarnation: Incarnation) {
        let update = Update { origin, issued_ms: now_ms, missing: self.nodes, last_ms: now_ms };
        self.updates.entry(incarnation).or_default().push(update);
        self.open += 1;
    }

    /// A node has applied all that a vector covers.
    pub(crate) fn applied(
        &mut self,
        now_ms: u64,
        node: NodeId,
        namespace: Namespace,
        vv: &VersionVector,
    ) {
        if namespace != Namespace::MAIN {
            return;
        }
        for dot in vv.iter() {
            let Some(updates) = self.updates.get_mut(&dot.incarnation) else { continue };
            let before = self.applied[node].entry(dot.incarnation).or_default();
            let until = (dot.seq.get() as usize).min(updates.len());
            for update in &mut updates[(*before as usize).min(until)..until] {
                update.missing -= 1;
                update.last_ms = now_ms;
                self.open -= usize::from(update.missing == 0);
            }
            *before = until as u64;
        }
    }

    /// Notes from now on from whom updates come.
    pub(crate) fn follow_feeders(&mut self) {
        self.feeders.get_or_insert_default();
    }

    /// A frame came.
    pub(crate) fn arrived(&mut self, node: NodeId, from: NodeId, frame: &Bytes) {
        let Some(feeders) = &mut self.feeders else { return };
        if kinds::kind(frame) != Some(kinds::PUSH) {
            return;
        }
        let Ok(Some(Message::Push(push))) = Decoder::new().decode(frame.clone()) else { return };
        let (seq, feeder) = feeders.entry((node, push.origin())).or_default();
        if push.last().get() > *seq {
            (*seq, *feeder) = (push.last().get(), from);
        }
    }

    /// Whether every update is everywhere.
    pub(crate) fn is_level(&self) -> bool {
        self.open == 0
    }

    /// Whether a node has all updates of an origin.
    pub(crate) fn has_all(&self, node: NodeId, origin: Incarnation) -> bool {
        let applied = self.applied[node].get(&origin).copied().unwrap_or(0);
        self.updates.get(&origin).is_none_or(|updates| updates.len() as u64 == applied)
    }

    /// From whom the latest update of an origin came to a node.
    pub(crate) fn feeder(&self, node: NodeId, origin: Incarnation) -> Option<NodeId> {
        self.feeders.as_ref()?.get(&(node, origin)).map(|(_, feeder)| *feeder)
    }

    /// The updates issued since some moment, by origin.
    pub(crate) fn since(&self, ms: u64) -> impl Iterator<Item = &Update> {
        self.updates.values().flatten().filter(move |update| update.issued_ms >= ms)
    }

    /// How many updates some node lacks.
    pub(crate) fn open(&self) -> usize {
        self.open
    }
}
