//! Whose an incarnation is, while its owner's own record has not arrived (R14).

use std::collections::BTreeMap;

use millpond_core::limits::VECTOR_ENTRIES_MAX;
use millpond_core::message::Message;
use millpond_core::transport::Lane;
use millpond_core::{Incarnation, NodeKey, VersionVector};

use super::LinkId;
use super::commit::Pending;
use super::engine::Engine;
use crate::planted::planted;
use crate::probes::sometimes;
use crate::state::{Job, meta_key, write_meta};
use crate::store::Changes;

impl Engine {
    /// A member says whose an incarnation is. Its word is enough: it admitted that node's dots, and what one
    /// member admitted is replicated by all. Whether the key has a role is what the role log says.
    pub(super) fn introduce(&mut self, members: Vec<(Incarnation, NodeKey)>) {
        let before = self.introduced.len();
        for (incarnation, key) in members {
            let is_recorded = self.members.owner(incarnation).is_some();
            if !is_recorded && self.introduced.len() < VECTOR_ENTRIES_MAX {
                let held = self.introduced.entry(incarnation).or_insert(key);
                if planted!("the first introduction counts") {
                    *held = key;
                }
            }
        }
        if self.introduced.len() > before {
            self.note_introductions();
        }
    }

    /// Jobs are committed in their order: whose dots are on the disk is known after a restart, though their owner
    /// was lost before its own record came.
    fn note_introductions(&mut self) {
        let is_recorded = |incarnation| self.members.owner(incarnation).is_some();
        let unrecorded = self.introduced.iter().filter(|(id, _)| !is_recorded(**id));
        let unrecorded: BTreeMap<_, _> = unrecorded.map(|(&id, &owner)| (id, owner)).collect();
        let kept = Some(&unrecorded).filter(|_| !planted!("who was introduced is remembered"));
        let mut changes = Changes::default();
        write_meta(&mut changes, meta_key::introduced(), kept);
        self.submit(Pending::Note, Job::Meta(changes.meta.into_iter().collect()));
    }

    /// Introduces, on this lane, every incarnation of a vector that the peer may not know.
    pub(super) fn introduce_all(&mut self, link_id: LinkId, lane: Lane, vv: &VersionVector) {
        let unknown: Vec<(Incarnation, NodeKey)> = vv
            .iter()
            .filter_map(|dot| Some((dot.incarnation, self.owner(dot.incarnation)?)))
            .collect();
        let Some(link) = self.links.get_mut(&link_id) else { return };
        let is_told = planted!("a node may not know its own incarnations");
        let told = link.peer;
        // What its own table tells it has read in the records of their owners.
        let heard = self.closing.heard_of(link);
        let is_recorded = |id| heard.as_ref().is_some_and(|closed| closed.contains(id));
        let introduced = link.introduced(lane);
        let fresh: Vec<_> = unknown
            .into_iter()
            .filter(|(id, _)| !is_recorded(*id))
            .filter(|(id, owner)| introduced.insert(*id) && !(is_told && *owner == told))
            .collect();
        sometimes!(fresh.iter().any(|(_, owner)| *owner == told), OwnIncarnationTold);
        if !fresh.is_empty() {
            self.send(link_id, lane, &Message::Introduce(fresh));
        }
    }
}
