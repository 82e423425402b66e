//! Two nodes of one key, or of one history: how they are noticed, and what stops then.
//!
//! A node of which another one lives waits for a person, who stops one of the two. A node whose history went
//! on elsewhere, since its store fell back unseen, needs nobody: see `reissuing`.

use std::collections::BTreeMap;

use millpond_core::message::CloseCode;
use millpond_core::{Incarnation, Namespace, NodeKey};
use serde::{Deserialize, Serialize};

use super::commit::Pending;
use super::engine::{Engine, NAMESPACES};
use super::{Answer, LinkId, RequestId};
use crate::planted::planted;
use crate::probes::sometimes;
use crate::replica::ReleaseError;
use crate::state::{Job, meta_key, write_meta};
use crate::store::Changes;

/// An incarnation of this node's that went on elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Overtaken {
    /// How that was found.
    pub(super) why: String,
    pub(super) incarnation: Incarnation,
    /// The last seq of it that stands, for each namespace.
    pub(super) stands: BTreeMap<Namespace, u64>,
}

impl Engine {
    /// Whether the peer's hello shows dots of this node that this node never issued: a restored or copied
    /// store.
    pub(super) fn check_own_history(&mut self, link_id: LinkId, peer: NodeKey) {
        let Some(open) = self.heads.open else { return };
        let knows_more = NAMESPACES.into_iter().any(|namespace| {
            let known = self.peers[&peer].vectors(namespace).durable.seq(open);
            known > self.applied(namespace).seq(open)
        });
        sometimes!(knows_more, PeerKnowsMore);
        if knows_more && !planted!("a peer that knows more fences") {
            sometimes!(FencedByHello);
            self.found_overtaken(format!(
                "{} holds writes of this node's open incarnation that this store does not: the store was \
                 replaced by an older image, or copied",
                peer.short()
            ));
        }
        self.recall(link_id, peer);
        if !self.is_recalling(link_id) {
            self.reissue();
        }
    }

    /// Two live boots of one key: refuse both, and tell them.
    pub(super) fn clone_found(&mut self, link_id: LinkId, peer: NodeKey) {
        sometimes!(CopyFound);
        self.peer_mut(peer).is_cloned = true;
        let links: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| link.peer == peer).map(|(&id, _)| id).collect();
        let reason = format!(
            "two live nodes hold the key {}: one is a copy of the other's folder; stop the copy",
            peer.short()
        );
        tracing::error!(peer = %peer.short(), "two live nodes hold one key");
        for link in links {
            self.close(link, CloseCode::Cloned, &reason);
        }
        self.close(link_id, CloseCode::Cloned, &reason);
    }

    /// Stops writing until a person has looked, now and after a restart.
    pub(super) fn fence(&mut self, why: String) {
        if self.fenced.is_some() {
            return;
        }
        tracing::error!(why, "fenced: this node takes no writes");
        self.fenced = Some(why);
        self.note_fence();
    }

    /// Why this node takes no writes, if it does not.
    pub(super) fn why_fenced(&self) -> Option<String> {
        let overtaken = self.overtaken.as_ref().map(|it| it.why.clone());
        self.fenced.clone().or(overtaken)
    }

    /// Tells the store why this node takes no writes, or that it does.
    pub(super) fn note_fence(&mut self) {
        if planted!("a fence outlives its boot") {
            return;
        }
        self.fence_again_ms = u64::MAX;
        self.submit(Pending::Fence, Job::Meta(self.fence_notes()));
    }

    /// The notes that the store keeps of a fence.
    pub(super) fn fence_notes(&self) -> Vec<(crate::store::MetaKey, Option<bytes::Bytes>)> {
        let mut changes = Changes::default();
        write_meta(&mut changes, meta_key::fenced(), self.fenced.as_ref());
        write_meta(&mut changes, meta_key::overtaken(), self.overtaken.as_ref());
        changes.meta.into_iter().collect()
    }

    /// The disk had no room for the fence.
    pub(super) fn fence_again(&mut self) {
        if !planted!("a fence is noted until it is on disk") {
            self.fence_again_ms = self.now.mono_ms + FENCE_AGAIN_MS;
        }
    }

    pub(super) fn run_fence(&mut self) {
        if self.fence_again_ms > self.now.mono_ms {
            return;
        }
        self.fence_again_ms = u64::MAX;
        self.note_fence();
        self.reissue();
    }

    /// A person has stopped the other node that holds this one's key. What this one wrote stands; it writes on
    /// under a new incarnation, since nobody can tell what the other one did.
    pub(super) fn release(&mut self, id: RequestId) {
        if self.fenced.is_none() {
            return self.answer(id, Answer::Released(Err(ReleaseError::NotFenced)));
        }
        sometimes!(Released);
        self.fenced = None;
        if self.heads.open.is_some() {
            self.end_incarnation();
        }
        self.submit(Pending::Release(id), Job::Meta(self.fence_notes()));
        // A copy may be elsewhere than its original.
        self.members_changed();
    }
}

/// How soon a disk that was full is tried again.
const FENCE_AGAIN_MS: u64 = 1_000;
