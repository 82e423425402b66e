//! Acks, digests and credit: what peers tell each other about how far they are.

use std::collections::BTreeMap;

use millpond_core::limits::VECTOR_ENTRIES_MAX;
use millpond_core::message::{Ack, CloseCode, Credit, Message};
use millpond_core::transport::Lane;
use millpond_core::{Dot, Incarnation, Namespace, Seq, VersionVector};

use serde::{Deserialize, Serialize};

use super::LinkId;
use super::commit::Pending;
use super::engine::{Engine, NAMESPACES};
use super::names::NAMED_AT_ONCE;
use super::peer::Vectors;
use super::words::Words;
use crate::planted::planted;
use crate::probes::{never, sometimes};
use crate::state::{Job, meta_key, read_meta, write_meta};
use crate::store::{Changes, Snapshot, StoreError};

/// What the store remembers of a member.
#[derive(Serialize, Deserialize)]
struct Remembered {
    vectors: BTreeMap<Namespace, Vectors>,
    words: Words,
    silent_ms: u64,
}

impl Engine {
    /// This node's vectors have changed: its peers are to be told, coalesced. Each as soon as it wants; else
    /// the more peers there are, the later.
    pub(super) fn ack_soon(&mut self) {
        if planted!("acks are prompt") {
            return;
        }
        let now_ms = self.now.mono_ms;
        let patient_ms = self.ack_ms();
        for link in self.links.values_mut().filter(|link| link.is_open()) {
            let is_hurried = now_ms < link.hurried_until_ms;
            self.owes_acks |= is_hurried;
            let within_ms = match link.terms().ack_within_ms {
                _ if is_hurried => 0,
                Some(ms) => ms.min(patient_ms),
                None => patient_ms,
            };
            let due_ms = now_ms + within_ms;
            let due_ms = link.ack_due_ms.map_or(due_ms, |before| before.min(due_ms));
            link.ack_due_ms = Some(due_ms);
        }
    }

    /// A peer waits for acks: what it has not been told so far goes at once, and what comes.
    pub(super) fn hurried(&mut self, link_id: LinkId, ms: u64) {
        let now_ms = self.now.mono_ms;
        let Some(link) = self.links.get_mut(&link_id) else { return };
        if planted!("who is hurried acks at once") {
            return;
        }
        link.hurried_until_ms = now_ms + ms.min(HURRY_MS_MAX);
        if link.ack_due_ms.is_some() {
            link.ack_due_ms = Some(now_ms);
            self.owes_acks = true;
        }
    }

    /// Sends the acks that peers wait for.
    pub(super) fn run_hurried_acks(&mut self) {
        if !std::mem::take(&mut self.owes_acks) {
            return;
        }
        let now_ms = self.now.mono_ms;
        let due = self.links.iter().filter(|(_, link)| {
            let is_hurried = link.is_open() && now_ms < link.hurried_until_ms;
            is_hurried && link.ack_due_ms.is_some_and(|due_ms| due_ms <= now_ms)
        });
        for link_id in due.map(|(&id, _)| id).collect::<Vec<_>>() {
            if let Some(link) = self.links.get_mut(&link_id) {
                link.ack_due_ms = None;
            }
            self.send_ack(link_id);
        }
    }

    /// How long a peer that does not say waits for an ack at most. All peers together get no more than a few
    /// acks in a second, however many they are.
    pub(super) fn ack_ms(&self) -> u64 {
        let open = self.links.values().filter(|link| link.is_open()).count() as u64;
        (open * ACK_MS_EACH).clamp(ACK_MS_MIN, ACK_MS_MIN.max(self.config.digest_ms))
    }

    /// A peer tells what changed in its vectors.
    pub(super) fn acks(&mut self, link_id: LinkId, acks: Vec<Ack>) {
        for Ack { namespace, received, applied, durable } in acks {
            let Some(received) = self.unnumbered(link_id, &received) else { return };
            let Some(applied) = self.unnumbered(link_id, &applied) else { return };
            let Some(durable) = self.unnumbered(link_id, &durable) else { return };
            let told = Vectors { received, applied, durable };
            self.peer_progressed(link_id, namespace, told);
        }
        self.consider_pulls();
    }

    fn peer_progressed(&mut self, link_id: LinkId, namespace: Namespace, told: Vectors) {
        let Some(link) = self.links.get(&link_id) else { return };
        if !NAMESPACES.contains(&namespace) {
            return;
        }
        let peer = self.peers.entry(link.peer).or_default();
        let vectors = peer.vectors.entry(namespace).or_default();
        let progressed = told.received.difference(&vectors.received);
        let applied = told.applied.difference(&vectors.applied);
        let before = vectors.clone();
        vectors.received.join(&told.received);
        vectors.applied.join(&told.applied);
        vectors.durable.join(&told.durable);
        if before != *vectors {
            peer.is_unsaved = true;
            self.concerns.look_again();
        }
        let listed_max = VECTOR_ENTRIES_MAX + self.closing.current().len();
        if vectors.received.len().max(vectors.applied.len()) > listed_max {
            never!("names too many incarnations");
            return self.close(link_id, CloseCode::Protocol, "too many incarnations");
        }
        self.settle_held(link_id, namespace, &progressed);
        applied.iter().for_each(|dot| self.note_announced(link_id, namespace, dot, false));
        self.note_lacking(link_id, namespace);
    }

    /// Starts the clock of every origin of which the peer has something that this node lacks.
    pub(super) fn note_lacking(&mut self, link_id: LinkId, namespace: Namespace) {
        let Some(link) = self.links.get(&link_id) else { return };
        let (Some(peer), Some(inbox)) = (self.peers.get(&link.peer), self.inboxes.get(&namespace))
        else {
            return;
        };
        let now_ms = self.now.mono_ms;
        for range in peer.vectors(namespace).applied.beyond(inbox.received()) {
            sometimes!(LackingNoted);
            self.recovery.lacks(now_ms);
            self.lacking.entry((namespace, range.incarnation)).or_insert(now_ms);
            self.pull_retry_ms = self.pull_retry_ms.min(now_ms + self.config.digest_ms);
        }
    }

    /// This node has progressed: the clocks of those origins stop; whoever has more still starts them again.
    pub(super) fn progressed(&mut self, namespace: Namespace, before: &VersionVector) {
        let now = self.applied(namespace).clone();
        for range in now.beyond(before).filter(|_| !planted!("progress restarts the clocks")) {
            self.lacking.remove(&(namespace, range.incarnation));
        }
        self.ack_soon();
    }

    /// The peer has worked off what it was sent.
    pub(super) fn credit(&mut self, link_id: LinkId, credit: Credit) {
        let Some(link) = self.links.get_mut(&link_id) else { return };
        let is_sound =
            credit.push_bytes <= link.sent.push_bytes && credit.rows_bytes <= link.sent.rows_bytes;
        if !is_sound {
            never!("gives credit for more than it was sent");
            return self.close(link_id, CloseCode::Protocol, "credit for more than was sent");
        }
        link.granted.push_bytes = link.granted.push_bytes.max(credit.push_bytes);
        link.granted.rows_bytes = link.granted.rows_bytes.max(credit.rows_bytes);
    }

    /// Sends the acks and digests that are due, and notes peers' vectors for the next run.
    pub(super) fn run_progress(&mut self) {
        let now_ms = self.now.mono_ms;
        let open: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| link.is_open()).map(|(&id, _)| id).collect();
        for link_id in open {
            let Some(link) = self.links.get_mut(&link_id) else { continue };
            let digest_is_due = link.digest_due_ms <= now_ms;
            let ack_is_due = link.ack_due_ms.is_some_and(|due_ms| due_ms <= now_ms);
            if digest_is_due {
                link.digest_due_ms = now_ms + self.config.digest_ms;
            }
            if ack_is_due || (digest_is_due && !planted!("a digest goes out in time")) {
                link.ack_due_ms = None;
                self.send_ack(link_id);
            }
            if digest_is_due && !planted!("a digest goes out in time") {
                self.tell_table(link_id);
                self.send_digest(link_id);
                self.send_words(link_id);
            }
        }
        if self.save_peers_at_ms <= now_ms {
            self.save_peers_at_ms = now_ms + self.config.digest_ms;
            self.save_peers();
        }
    }

    fn send_ack(&mut self, link_id: LinkId) {
        for namespace in NAMESPACES {
            let (applied, inbox) = (self.applied(namespace), &self.inboxes[&namespace]);
            let received = inbox.received().clone();
            // An ack is true before it is sent (R6): of what is received only as much is said.
            let applied = match planted!("an ack is true") {
                true => received.clone(),
                false => applied.clone(),
            };
            let Some(link) = self.links.get_mut(&link_id) else { return };
            let told = link.told.entry(namespace).or_default();
            let (received, applied) =
                (received.difference(&told.received), applied.difference(&told.applied));
            told.received.join(&received);
            told.applied.join(&applied);
            let mut all = received.clone();
            all.join(&applied);
            let all: Vec<Dot> = all.iter().collect();
            for some in all.chunks(NAMED_AT_ONCE) {
                let of = |vv: &VersionVector| -> VersionVector {
                    some.iter()
                        .filter_map(|dot| {
                            Some(Dot::new(dot.incarnation, Seq::new(vv.seq(dot.incarnation))?))
                        })
                        .collect()
                };
                let (received, applied) = (of(&received), of(&applied));
                // All at once: new numbers may take back those that were given before.
                let named: Vec<Incarnation> = some.iter().map(|dot| dot.incarnation).collect();
                if !planted!("an ack's names are numbered at once") {
                    self.number(link_id, &named);
                }
                let received = self.numbered(link_id, &received);
                let applied = self.numbered(link_id, &applied);
                // Every commit of this store is on disk when it is applied.
                let ack = Ack { namespace, received, durable: applied.clone(), applied };
                self.send(link_id, Lane::Control, &Message::Ack(vec![ack]));
            }
        }
    }

    fn send_digest(&mut self, link_id: LinkId) {
        let Some(link) = self.links.get(&link_id) else { return };
        let hash = |namespace: Namespace| match planted!("a digest tells what is applied") {
            true => Self::vector_hash(self.inboxes[&namespace].received()),
            false => link.told.get(&namespace).map_or(0, |told| Self::vector_hash(&told.applied)),
        };
        let digest = NAMESPACES.map(|namespace| (namespace, hash(namespace)));
        self.send(link_id, Lane::Control, &Message::Digest(digest.to_vec()));
    }

    pub(super) fn next_progress_ms(&self) -> u64 {
        let links = self.links.values().filter(|link| link.is_open());
        let next = links.map(|link| link.digest_due_ms.min(link.ack_due_ms.unwrap_or(u64::MAX)));
        let is_unsaved = self.peers.values().any(|peer| peer.is_unsaved);
        let save = if is_unsaved { self.save_peers_at_ms } else { u64::MAX };
        next.min().unwrap_or(u64::MAX).min(save)
    }

    /// What members had when they were last heard of, from earlier runs: better than nothing in `status`.
    pub(super) fn remember_peers(&mut self, snapshot: &dyn Snapshot) -> Result<(), StoreError> {
        let members: Vec<_> = self.members.iter().map(|(key, _)| key).collect();
        for key in members {
            let held: Option<Remembered> = read_meta(snapshot, &meta_key::member(key))?;
            if let Some(Remembered { vectors, words, silent_ms }) = held {
                sometimes!(PeerRemembered);
                let peer = self.peer_mut(key);
                (peer.vectors, peer.words, peer.silent_ms) = (vectors, words, silent_ms);
            }
        }
        Ok(())
    }

    fn save_peers(&mut self) {
        let mut changes = Changes::default();
        for (&key, peer) in self.peers.iter_mut().filter(|(_, peer)| peer.is_unsaved) {
            peer.is_unsaved = false;
            let remembered = Remembered {
                vectors: peer.vectors.clone(),
                words: peer.words.clone(),
                silent_ms: peer.silent_ms,
            };
            write_meta(&mut changes, meta_key::member(key), Some(&remembered));
        }
        if !changes.meta.is_empty() {
            self.submit(Pending::Note, Job::Meta(changes.meta.into_iter().collect()));
        }
    }
}

/// The shortest time in which acks gather on a link whose peer does not say how soon it wants them.
const ACK_MS_MIN: u64 = 250;
/// The longest time for which one word hurries acks.
const HURRY_MS_MAX: u64 = 60_000;
/// What each further link adds to it.
const ACK_MS_EACH: u64 = 80;
