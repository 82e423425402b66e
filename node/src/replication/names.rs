//! Numbers for incarnations: what stands for them in control messages, on one link and in one direction.

use millpond_core::limits::VECTOR_ENTRIES_MAX;
use millpond_core::message::{CloseCode, Message, NumberedVector};
use millpond_core::transport::Lane;
use millpond_core::{Dot, Incarnation, VersionVector};

use super::LinkId;
use super::engine::Engine;
use crate::planted::planted;
use crate::probes::never;

impl Engine {
    /// The numbers of these incarnations on a link; those that have none are given one first. At most
    /// [`NAMED_AT_ONCE`].
    pub(super) fn number(&mut self, link_id: LinkId, origins: &[Incarnation]) -> Vec<u32> {
        let Some(link) = self.links.get_mut(&link_id) else { return Vec::new() };
        let is_fresh = |origin: &&Incarnation| !link.names_said.contains_key(*origin);
        let fresh = origins.iter().filter(is_fresh).count();
        if link.names_said.len() + fresh > VECTOR_ENTRIES_MAX {
            link.names_said.clear();
        }
        let first = link.names_said.len() as u32;
        let mut names = Vec::new();
        for &origin in origins {
            let next = link.names_said.len() as u32;
            link.names_said.entry(origin).or_insert_with(|| {
                names.push(origin);
                next
            });
        }
        let numbers = origins.iter().map(|origin| link.names_said[origin]).collect();
        if !names.is_empty() {
            self.send(link_id, Lane::Control, &Message::Names { first, names });
        }
        numbers
    }

    /// The entries of a vector under their numbers.
    pub(super) fn numbered(&mut self, link_id: LinkId, vv: &VersionVector) -> NumberedVector {
        let origins: Vec<Incarnation> = vv.iter().map(|dot| dot.incarnation).collect();
        let numbers = self.number(link_id, &origins);
        let seqs = vv.iter().map(|dot| dot.seq);
        let mut numbered: NumberedVector = numbers.into_iter().zip(seqs).collect();
        numbered.sort_unstable();
        numbered
    }

    /// A peer gives incarnations numbers.
    pub(super) fn names(&mut self, link_id: LinkId, first: u32, names: Vec<Incarnation>) {
        let Some(link) = self.links.get_mut(&link_id) else { return };
        if first == 0 {
            link.names_heard.clear();
        }
        let is_next =
            first as usize == link.names_heard.len() || planted!("numbers are given in turn");
        if !is_next || link.names_heard.len() + names.len() > VECTOR_ENTRIES_MAX {
            never!("numbers incarnations out of turn");
            return self.close(link_id, CloseCode::Protocol, "incarnations numbered out of turn");
        }
        link.names_heard.extend(names);
    }

    /// Whom numbers of a peer stand for; `None`, and the link is closed, if one stands for nobody.
    pub(super) fn named(&mut self, link_id: LinkId, numbers: &[u32]) -> Option<Vec<Incarnation>> {
        let link = self.links.get(&link_id)?;
        let name = |number: &u32| link.names_heard.get(*number as usize).copied();
        let names: Option<Vec<Incarnation>> = numbers.iter().map(name).collect();
        if names.is_none() {
            never!("uses a number that it has given to nobody");
            self.close(link_id, CloseCode::Protocol, "a number that stands for no incarnation");
        }
        names
    }

    /// The vector of these entries.
    pub(super) fn unnumbered(
        &mut self,
        link_id: LinkId,
        numbered: &NumberedVector,
    ) -> Option<VersionVector> {
        let numbers: Vec<u32> = numbered.iter().map(|(number, _)| *number).collect();
        let names = self.named(link_id, &numbers)?;
        let seqs = numbered.iter().map(|(_, seq)| *seq);
        Some(names.into_iter().zip(seqs).map(|(id, seq)| Dot::new(id, seq)).collect())
    }
}

/// Incarnations named in one message, so that it stays within its limits.
pub(super) const NAMED_AT_ONCE: usize = 1_000;
