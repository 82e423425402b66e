//! Which of its own writes a peer holds, and as what: whether another history than this store's goes on under
//! the open incarnation (DESIGN 9).
//!
//! Numbers alone do not tell. A store that fell back and wrote as much as it had lost is level with its peers,
//! and holds other writes under the same dots. So of a peer whose first word in this boot covers dots that this
//! store did not have when the boot began, the hashes of those are asked for, which are few: at most what was
//! lost, or what came to the peer by another way. Comparing both states would find the same, and read all of
//! them for it. Histories part once: all before a dot that is equal is equal, and all from the first one that
//! differs is disputed. Until the answer is here the peer is sent nothing.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use millpond_core::limits::RECALLED_WRITES_MAX;
use millpond_core::message::Message;
use millpond_core::transport::Lane;
use millpond_core::{Dot, Incarnation, Namespace, NodeKey, Seq};

use super::LinkId;
use super::engine::{Engine, NAMESPACES};
use crate::planted::planted;
use crate::probes::{never, sometimes};
use crate::state::View;
use crate::store::{LogRow, StoreError};

/// A question to a peer about this node's own writes.
#[derive(Debug, Default)]
pub(super) struct Recalling {
    /// What has not been told yet: beyond one seq, up to another.
    asked: BTreeMap<Namespace, (u64, u64)>,
    /// Up to where both hold the same, as far as it is known; and where they do not.
    agreed: BTreeMap<Namespace, u64>,
    differs: bool,
}

impl Engine {
    /// Asks a peer, once in a boot, what it holds of the open incarnation beyond what this boot began with.
    pub(super) fn recall(&mut self, link_id: LinkId, peer: NodeKey) {
        let Some(open) = self.heads.open else { return };
        if !self.recalled.insert(peer) || planted!("equal numbers are no equal history") {
            return;
        }
        let mut recalling = Recalling::default();
        for namespace in NAMESPACES {
            let began = self.heads.began.vv(namespace).seq(open);
            let known = self.peers[&peer].vectors(namespace).durable.seq(open);
            let upto = known.min(self.applied(namespace).seq(open));
            if upto > began {
                recalling.asked.insert(namespace, (began, upto));
            }
        }
        if !recalling.asked.is_empty() {
            sometimes!(Recalls);
            self.recalls.insert(link_id, recalling);
            self.ask_recall(link_id, open);
        }
    }

    fn ask_recall(&mut self, link_id: LinkId, incarnation: Incarnation) {
        let Some(recalling) = self.recalls.get(&link_id) else { return };
        let asked = recalling.asked.iter().next().map(|(&namespace, &range)| (namespace, range));
        let Some((namespace, (after, upto))) = asked else { return };
        let Some(upto) = Seq::new(upto) else { return };
        let after = Seq::new(after);
        let recall = Message::Recall { namespace, incarnation, after, upto };
        self.send(link_id, Lane::Control, &recall);
    }

    /// A peer asks what this node holds of its writes.
    pub(super) fn tell_recalled(
        &mut self,
        link_id: LinkId,
        (namespace, incarnation): (Namespace, Incarnation),
        (after, upto): (Option<Seq>, Seq),
    ) {
        let Some(link) = self.links.get(&link_id) else { return };
        if self.owner(incarnation) != Some(link.peer) || !NAMESPACES.contains(&namespace) {
            never!("asks for another member's writes");
            return;
        }
        let after = after.map_or(0, |after| after.get());
        let held = self.held_of(namespace, incarnation, after, upto.get());
        let writes = held.unwrap_or_else(|error| {
            // It is waited for: it is told that there is nothing to compare.
            tracing::error!(%error, "a peer's writes cannot be recalled");
            Vec::new()
        });
        let told = Message::Recalled { namespace, incarnation, upto, writes };
        self.send(link_id, Lane::Control, &told);
    }

    /// The hashes of what is here of an incarnation's writes, with seqs in `(after, upto]`.
    fn held_of(
        &self,
        namespace: Namespace,
        incarnation: Incarnation,
        after: u64,
        upto: u64,
    ) -> Result<Vec<(Seq, [u8; 8])>, StoreError> {
        let view = View::new(self.store.snapshot()?, namespace)?;
        let mut hashes = Vec::new();
        view.log(incarnation, after, upto, &mut |dot, row| {
            let hash = hash(&view, dot, &row).transpose();
            hashes.extend(hash.map(|hash| hash.map(|hash| (dot.seq, hash))));
            match hashes.len() < RECALLED_WRITES_MAX {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        })?;
        hashes.into_iter().collect()
    }

    /// A peer tells what it holds of this node's writes.
    pub(super) fn recalled(
        &mut self,
        link_id: LinkId,
        (namespace, incarnation): (Namespace, Incarnation),
        writes: &[(Seq, [u8; 8])],
    ) {
        self.concerns.look_again();
        let Some(recalling) = self.recalls.get(&link_id) else { return };
        let Some(&(after, upto)) = recalling.asked.get(&namespace) else { return };
        let is_open = self.heads.open == Some(incarnation);
        let is_in_range = writes.iter().all(|(seq, _)| seq.get() > after && seq.get() <= upto);
        if !is_in_range || !is_open {
            // It was not asked so, or the incarnation has ended meanwhile.
            self.recalls.remove(&link_id);
            return;
        }
        let held = match self.held_among(namespace, incarnation, writes) {
            Ok(held) => held,
            Err(error) => return tracing::error!(%error, "own writes cannot be recalled"),
        };
        let Some(recalling) = self.recalls.get_mut(&link_id) else { return };
        for ((seq, theirs), ours) in writes.iter().zip(held) {
            match ours {
                Some(ours) if ours == *theirs => {
                    recalling.agreed.insert(namespace, seq.get());
                }
                Some(_) => {
                    recalling.differs = true;
                    break;
                }
                // It is overwritten here: the next ones tell.
                None => {}
            }
        }
        let last = writes.last().map_or(upto, |(seq, _)| seq.get());
        let is_all = writes.len() < RECALLED_WRITES_MAX || last >= upto || recalling.differs;
        match is_all {
            true => recalling.asked.remove(&namespace),
            false => recalling.asked.insert(namespace, (last, upto)),
        };
        if !recalling.asked.is_empty() {
            return self.ask_recall(link_id, incarnation);
        }
        let Some(Recalling { agreed, differs, .. }) = self.recalls.remove(&link_id) else { return };
        self.histories_compared(link_id, &agreed, differs);
    }

    /// A link is gone, and with it the answer.
    pub(super) fn recall_lost(&mut self, link_id: LinkId, peer: NodeKey) {
        if self.recalls.remove(&link_id).is_some() {
            sometimes!(RecallLost);
            self.recalled.remove(&peer);
            self.reissue();
        }
    }

    /// Whether a peer has yet to tell: until then it is sent nothing.
    pub(super) fn is_recalling(&self, link_id: LinkId) -> bool {
        self.recalls.contains_key(&link_id)
    }

    fn held_among(
        &self,
        namespace: Namespace,
        incarnation: Incarnation,
        writes: &[(Seq, [u8; 8])],
    ) -> Result<Vec<Option<[u8; 8]>>, StoreError> {
        let snapshot = self.store.snapshot()?;
        let view = View::new(snapshot.clone(), namespace)?;
        let held = writes.iter().map(|(seq, _)| {
            let dot = Dot::new(incarnation, *seq);
            let row = snapshot.log_row(namespace, dot)?;
            row.map_or(Ok(None), |row| hash(&view, dot, &row))
        });
        held.collect()
    }
}

/// What a write is, but for its dot. A row of the log may stay a moment longer than what it stands for: what is
/// overwritten by a cut that is not folded yet is not here.
fn hash(view: &View, dot: Dot, row: &LogRow) -> Result<Option<[u8; 8]>, StoreError> {
    let mut hasher = blake3::Hasher::new();
    let path = row.path.as_bytes();
    hasher.update(&(path.len() as u64).to_le_bytes());
    hasher.update(path);
    let entry = view.entry(&row.path)?;
    match (row.deleted, entry.live().iter().find(|it| it.dot == dot)) {
        (Some(hlc), _) => {
            hasher.update(&hlc.bits().to_be_bytes());
        }
        (None, Some(live)) => {
            hasher.update(&live.hlc.bits().to_be_bytes());
            hasher.update(&live.payload.kind.0.to_le_bytes());
            hasher.update(&live.payload.bytes);
        }
        (None, None) if planted!("what is overwritten tells nothing of a history") => {}
        (None, None) => {
            sometimes!(RecalledIsOverwritten);
            return Ok(None);
        }
    }
    let hash = hasher.finalize();
    Ok(hash.as_bytes().first_chunk().copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planted::without;
    use crate::sim::world::{World, path};
    use crate::store::Store;

    /// The row of the log of what a cut overwrites, while the cut is being folded.
    #[test]
    fn what_is_overwritten_tells_nothing_of_a_history() {
        let mut world = World::mesh(1, 66);
        world.put(0, "c/k/f", "old");
        world.run(100);
        let store = world.nodes[0].store.clone();
        let dot = world.view(0, Namespace::MAIN).entry(&path("c/k/f")).unwrap().live()[0].dot;
        let row = store.snapshot().unwrap().log_row(Namespace::MAIN, dot).unwrap().unwrap();
        let told = |world: &World| hash(&world.view(0, Namespace::MAIN), dot, &row).unwrap();
        assert!(told(&world).is_some());
        world.put(0, "c/k/f", "new");
        world.run(100);
        assert_eq!(told(&world), None);
        const RULES: &[&str] = &["what is overwritten tells nothing of a history"];
        assert!(without(RULES, || told(&world)).is_some(), "as if it were another write");
    }
}
