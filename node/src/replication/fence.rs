//! Two nodes of one key: how they are noticed, and what stops then.

use millpond_core::NodeKey;
use millpond_core::message::CloseCode;

use super::LinkId;
use super::commit::Pending;
use super::engine::{Engine, NAMESPACES};
use crate::planted::planted;
use crate::probes::sometimes;
use crate::state::{Job, meta_key};

impl Engine {
    /// Whether the peer's hello shows dots of this node that this node never issued: a restored or copied
    /// store.
    pub(super) fn check_own_history(&mut self, peer: NodeKey) {
        let Some(open) = self.heads.open else { return };
        let knows_more = NAMESPACES.into_iter().any(|namespace| {
            let known = self.peers[&peer].vectors(namespace).durable.seq(open);
            known > self.applied(namespace).seq(open)
        });
        sometimes!(knows_more, PeerKnowsMore);
        if knows_more && !planted!("a peer that knows more fences") {
            sometimes!(FencedByHello);
            self.fence(format!(
                "{} holds writes of this node's open incarnation that this store does not: the store was \
                 replaced by an older image, or copied",
                peer.short()
            ));
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
        let mut changes = crate::store::Changes::default();
        crate::state::write_meta(&mut changes, meta_key::fenced(), Some(&why));
        self.fenced = Some(why);
        if planted!("a fence outlives its boot") {
            return;
        }
        self.submit(Pending::Note, Job::Meta(changes.meta.into_iter().collect()));
    }
}
