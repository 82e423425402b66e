//! Closing of incarnations: what nobody writes under any more leaves the vectors (R5).
//!
//! Here and on disk vectors are whole. What travels is what differs from a table of closed incarnations, which the
//! records of the system namespace make: so a closed incarnation costs nothing where it is covered up to its
//! final seq, and is listed wherever it is not. Nothing has to be agreed or waited for, and a record that says too
//! little does no harm: what comes after it is listed until the record is raised, and never issued anew.
//!
//! The two ends of a lane need not have the same table. Whoever speaks says its own by what differs from one
//! that the other end has (`wire::Encoder`). A dialler takes for granted that this is its own, and says it in another
//! way if the answer to its hello is [`Message::ClosedHeld`]; later each tells with its digests which one it has.

use std::collections::VecDeque;
use std::sync::Arc;

use millpond_core::message::{CloseCode, ClosedChange, Message};
use millpond_core::transport::Lane;
use millpond_core::{Closed, Incarnation, Namespace, NodeKey, VersionVector};

use super::LinkId;
use super::commit::Pending;
use super::engine::Engine;
use super::link::Link;
use crate::membership::{Finals, record_closed};
use crate::planted::planted;
use crate::probes::{never, sometimes};
use crate::state::{JobError, Outcome, WriteTx};

/// The tables of closed incarnations, and what has yet to be closed.
#[derive(Debug)]
pub(super) struct Closing {
    /// The last ones of this node, of which the last is that of now: a peer may still have an earlier one.
    tables: VecDeque<Arc<Closed>>,
    /// When to look for incarnations to close; `u64::MAX` while nothing has changed.
    due_ms: u64,
    /// Whether a record is on its way to the disk.
    is_running: bool,
}

impl Closing {
    pub(super) fn new(closed: Arc<Closed>, now_ms: u64) -> Self {
        Self { tables: [closed].into(), due_ms: now_ms, is_running: false }
    }

    /// This node's table.
    pub(super) fn current(&self) -> &Arc<Closed> {
        self.tables.back().expect("there is always one")
    }

    /// The records tell another one, perhaps.
    pub(super) fn set(&mut self, closed: Arc<Closed>) {
        if self.current().hash() == closed.hash() {
            return;
        }
        self.tables.push_back(closed);
        if self.tables.len() > TABLES_KEPT {
            self.tables.pop_front();
        }
    }

    /// All that a peer may take for granted on a link.
    pub(super) fn known(&self, link: &Link) -> Vec<Arc<Closed>> {
        let said = link.closed_told.iter().chain(&link.closed_greeted);
        self.tables.iter().rev().chain(said).cloned().collect()
    }

    /// A table that a peer has for sure.
    pub(super) fn of(&self, link: &Link) -> Option<Arc<Closed>> {
        self.heard_of(link).or_else(|| link.closed_presumed.clone())
    }

    /// The table that a peer has as its own, on its word.
    pub(super) fn heard_of(&self, link: &Link) -> Option<Arc<Closed>> {
        let heard = link.closed_heard.and_then(|hash| self.find(hash));
        heard.or_else(|| link.closed_greeted.clone())
    }

    fn find(&self, hash: u64) -> Option<Arc<Closed>> {
        self.tables.iter().find(|table| table.hash() == hash).cloned()
    }
}

impl Engine {
    /// This node's incarnations that are not in its table, oldest first.
    pub(super) fn open_incarnations(&self) -> Vec<Incarnation> {
        let closed = self.closing.current();
        let all = self.heads.incarnations.iter().copied();
        all.filter(|it| !closed.contains(*it)).collect()
    }

    /// What is applied. Without the rule, closed incarnations count as covered.
    pub(super) fn whole_vector(&self, namespace: Namespace) -> VersionVector {
        let mut vv = self.applied(namespace).clone();
        if planted!("a closed incarnation is covered only where it is") {
            vv.join(self.closing.current().finals(namespace));
        }
        vv
    }

    /// A frame is relative to a table that is not known here: before its hello a peer may say it again.
    pub(super) fn wants_table(&mut self, link_id: LinkId) -> bool {
        let held = self.closing.current().hash();
        let Some(peer) = self.links.get(&link_id).map(|link| link.peer) else { return false };
        let is_welcome = self.is_welcome(peer);
        let Some(link) = self.links.get_mut(&link_id) else { return false };
        if link.is_open() || link.dialed || link.unknown_tables >= UNKNOWN_FRAMES_MAX {
            return false;
        }
        // Who joins has no table. A restored node may not know a member yet, and hears of it from others.
        if !is_welcome && !planted!("a stranger's table is not asked for") {
            self.refuse_stranger(link_id, peer);
            return true;
        }
        link.unknown_tables += 1;
        if link.unknown_tables == 1 && !planted!("a table that is not known is asked for") {
            sometimes!(ClosedTableWanted);
            self.send(link_id, Lane::Control, &Message::ClosedHeld { hash: held });
        }
        true
    }

    /// A peer has said a table. A stranger may name one, but not make this node put one together.
    pub(super) fn closed_said(&mut self, link_id: LinkId, change: &ClosedChange) {
        let Some(link) = self.links.get(&link_id) else { return };
        let is_trusted = link.is_open() || link.dialed || self.members.get(link.peer).is_some();
        if !is_trusted && !change.changes.is_empty() {
            never!("a stranger says a table of closed incarnations");
            self.close(link_id, CloseCode::Protocol, "the first message must be a hello");
        }
    }

    /// A peer tells which table it has. Before its hello: that it does not know the one that this node has said; it
    /// is said by what differs from the peer's, and hello once more.
    pub(super) fn closed_held(&mut self, link_id: LinkId, hash: u64) {
        let theirs = self.closing.find(hash);
        let Some(link) = self.links.get_mut(&link_id) else { return };
        if link.is_open() {
            link.closed_heard = Some(hash);
            return;
        }
        if !link.dialed || link.unknown_tables > 0 {
            never!("wants a table of closed incarnations at any time");
            let reason = "a table of closed incarnations is wanted once, after hello";
            return self.close(link_id, CloseCode::Protocol, reason);
        }
        sometimes!(theirs.is_none(), ClosedTableSaidWhole);
        sometimes!(theirs.is_some(), ClosedTableSaidByDifference);
        link.unknown_tables += 1;
        link.closed_presumed = theirs;
        link.restart_encoder();
        link.said_hello = false;
        self.say_hello(link_id);
    }

    /// A peer says hello: the table that it has said before is its own.
    pub(super) fn hear_table(&mut self, link_id: LinkId) {
        let Some(link) = self.links.get_mut(&link_id) else { return };
        link.closed_greeted = link.decoder(Lane::Control).table().cloned();
        // What this node has said the peer has understood, since it answers.
        let said = link.closed_presumed.take();
        link.closed_presumed = said.filter(|_| link.has_said_table());
    }

    /// What a hello was relative to is this node's table. If it was relative to none, the table is named.
    pub(super) fn greet_with_table(&mut self, link_id: LinkId) {
        let Some(link) = self.links.get_mut(&link_id) else { return };
        match link.has_said_table() {
            true => link.tell_closed(self.closing.current()),
            false if link.is_open() => self.tell_table(link_id),
            false => {}
        }
    }

    /// Tells a peer which table this node has, if it was told of another one.
    pub(super) fn tell_table(&mut self, link_id: LinkId) {
        let Some(link) = self.links.get_mut(&link_id) else { return };
        let closed = self.closing.current();
        let told = link.closed_told.back().map_or(Closed::NONE.hash(), |told| told.hash());
        if told == closed.hash() {
            return;
        }
        link.tell_closed(closed);
        let hash = closed.hash();
        self.send(link_id, Lane::Control, &Message::ClosedHeld { hash });
    }

    /// What an applied vector covers since it was `before` may be more than is recorded of who has ended.
    pub(super) fn note_closable(&mut self, namespace: Namespace, before: &VersionVector) {
        let closed = self.closing.current();
        let has_ended = |id: Incarnation| {
            let owner = self.owner(id);
            closed.contains(id)
                || (owner == Some(self.config.key) && self.heads.open != Some(id))
                || owner.is_none_or(|owner| self.members.get(owner).is_none())
        };
        if self.applied(namespace).beyond(before).any(|range| has_ended(range.incarnation)) {
            self.close_soon();
        }
    }

    /// There may be something to close, once it has come to rest.
    pub(super) fn close_soon(&mut self) {
        let due_ms = self.now.mono_ms + self.config.digest_ms;
        self.closing.due_ms = self.closing.due_ms.min(due_ms);
    }

    /// Records as closed whatever is known to go further than is recorded: of this node's own, and of removed
    /// members'. Who writes nothing opens no incarnation for that.
    pub(super) fn run_closing(&mut self) {
        if self.next_closing_ms() > self.now.mono_ms {
            return;
        }
        self.closing.due_ms = u64::MAX;
        let closed = self.closing.current();
        let ended: Vec<(NodeKey, Incarnation, Finals)> = self
            .ended()
            .map(|(owner, id)| (owner, id, self.heads.covered_of(id)))
            .filter(|(_, id, finals)| finals.exceed(closed, *id))
            .filter(|_| !planted!("an incarnation that ended is closed"))
            .filter(|(_, id, _)| {
                !closed.contains(*id) || !planted!("one that reappears higher is closed again")
            })
            .take(CLOSED_AT_ONCE)
            .collect();
        if ended.is_empty() {
            return;
        }
        sometimes!(ended.iter().any(|(_, id, _)| closed.contains(*id)), ReopenedIsClosedAgain);
        if ended.len() == CLOSED_AT_ONCE {
            self.close_soon();
        }
        self.closing.is_running = true;
        let record = move |tx: &mut WriteTx<'_>| {
            let mut ended = ended.iter();
            ended.try_for_each(|(owner, id, finals)| record_closed(tx, *owner, *id, finals))
        };
        self.write_system(Pending::Close, Box::new(record));
    }

    /// It is recorded, or not.
    pub(super) fn closed_recorded(&mut self, result: Result<Outcome, JobError>) {
        self.closing.is_running = false;
        if let Err(error) = result {
            tracing::warn!(%error, "closed incarnations were not recorded");
            self.close_soon();
        }
    }

    pub(super) fn next_closing_ms(&self) -> u64 {
        let is_member = self.members.get(self.config.key).is_some() && self.fenced.is_none();
        let may_write = is_member && self.heads.open.is_some() && !self.is_reissuing();
        match may_write && !self.closing.is_running {
            true => self.closing.due_ms,
            false => u64::MAX,
        }
    }

    /// Incarnations that nobody writes under any more, and that it is for this node to close.
    fn ended(&self) -> impl Iterator<Item = (NodeKey, Incarnation)> + '_ {
        let own = self.config.key;
        let recorded = self.members.incarnations_of(own);
        let introduced = self.introduced.iter().filter(|(_, owner)| **owner == own);
        let known = recorded.chain(introduced.map(|(&id, _)| id));
        let mut mine: Vec<Incarnation> =
            self.heads.incarnations.iter().copied().chain(known).collect();
        mine.sort_unstable();
        mine.dedup();
        mine.retain(|id| self.heads.open != Some(*id));
        let others = self.members.orphans().filter(|_| self.closes_for_others());
        mine.into_iter().map(move |id| (own, id)).chain(others.map(|(id, owner)| (owner, id)))
    }

    /// Whether this node is the one of the live members that records what concerns them all.
    fn closes_for_others(&self) -> bool {
        let is_live = |key: &NodeKey| {
            *key == self.config.key || self.peers.get(key).is_none_or(|peer| peer.evicted.is_none())
        };
        let writers = self.members.iter().filter(|(_, member)| member.role.may_write());
        writers.map(|(key, _)| key).find(is_live) == Some(self.config.key)
    }
}

/// Own tables that are remembered: as often may one change between what a peer says and what it hears.
const TABLES_KEPT: usize = 8;
/// Frames before a hello that are relative to an unknown table: that which says it, and the hello, in pieces.
const UNKNOWN_FRAMES_MAX: u32 = 4;
/// Incarnations closed in one transaction.
const CLOSED_AT_ONCE: usize = 200;
