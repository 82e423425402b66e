//! The stage: carries out a scenario's steps.

use std::collections::{BTreeMap, BTreeSet};

use millpond_core::transport::Lane;
use millpond_core::{Dot, Namespace, Path, Payload};

use super::delays::Delay;
use super::describe;
use super::disk::FailedSync;
use super::folders::Backup;
use super::guests::{Guests, Terms};
use super::indexed::finds_its_own;
use super::later::LATER_KIND;
use super::net::NodeId;
use super::oracle::{Effect, Ran};
use super::rollback::FellBack;
use super::scenario::{Action, Operation, OperationKind};
use super::sessions::AskedFor;
use super::starved::{LOOK_MS, Starved};
use super::trace::EventKind;
use super::world::{Check, World, path, text};
use crate::replication::{Request, RequestId};
use crate::state::{WriteError, WriteTx};
use crate::topology::settings::{Direction, LinkSettings, Mode};

/// A world and what the scenario has done to it.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(super) backups: BTreeMap<NodeId, Backup>,
    /// Nodes that never start again.
    pub(super) gone: BTreeSet<NodeId>,
    /// Nodes and the live copies of them.
    pub(crate) copies: Vec<(NodeId, NodeId)>,
    pub(crate) asked: Vec<Asked>,
    pub(super) guests: Guests,
    /// Whether the inviter may have forgotten invites with its folder.
    pub(super) has_replaced_inviter: bool,
    /// Nodes whose folder fell back unseen.
    pub(super) fell_back: BTreeMap<NodeId, FellBack>,
    /// Whether an admin was asked to say who takes writes.
    pub(super) has_promoted: bool,
    pub(super) promotions: Vec<(RequestId, NodeId)>,
    /// Whether frames were played again, which no transport does: credit is off then.
    pub(crate) has_replayed: bool,
    /// Who lacks what others have, in a mesh whose nodes are looked at for that.
    pub(crate) starved: Option<Starved>,
}

/// What a client asked, and of whom.
pub(crate) struct Asked {
    pub(crate) request: RequestId,
    pub(crate) operation: usize,
    pub(crate) node: NodeId,
    /// Which opening of the node it asked.
    pub(crate) boot: u64,
    pub(crate) at_ms: u64,
    pub(crate) is_refusing: bool,
    /// Whether the node was no member yet.
    pub(crate) is_joining: bool,
    /// Whether it only reads.
    pub(crate) is_reader: bool,
    /// Whether its folder had fallen back, so that it may be fenced.
    pub(crate) is_fallen: bool,
    /// Whether so many members were to be linked.
    pub(crate) is_guarded: bool,
    /// Whether it was a delayed replica, and whether it may have been one.
    pub(crate) is_delayed: bool,
    pub(crate) may_be_delayed: bool,
}

impl Stage {
    pub(crate) fn new(world: World) -> Self {
        Self {
            world,
            backups: BTreeMap::new(),
            gone: BTreeSet::new(),
            copies: Vec::new(),
            asked: Vec::new(),
            guests: Guests::default(),
            has_replaced_inviter: false,
            fell_back: BTreeMap::new(),
            has_promoted: false,
            promotions: Vec::new(),
            has_replayed: false,
            starved: None,
        }
    }

    /// Lets time pass, and looks for nodes that starve.
    pub(crate) fn pass(&mut self, ms: u64) -> Check {
        let Some(mut starved) = self.starved.take() else {
            self.world.run(ms);
            return Ok(());
        };
        let until_ms = self.world.now_ms + ms;
        let mut looked = Ok(());
        while self.world.now_ms < until_ms && looked.is_ok() {
            self.world.run(LOOK_MS.min(until_ms - self.world.now_ms));
            looked = starved.look(&self.world);
        }
        self.starved = Some(starved);
        looked
    }

    /// Carries out one action. What makes no sense now is passed over.
    pub(crate) fn perform(&mut self, action: &Action) {
        let now_ms = self.world.now_ms;
        if action.needs() >= self.world.nodes.len() {
            return;
        }
        self.follow_sessions();
        if !matches!(action, Action::Ask { .. } | Action::Read { .. } | Action::Visit { .. }) {
            let (node, peer) = action.place();
            let text = format!("{action:?}");
            let kind = EventKind::Fault { peer };
            self.world.trace.note(now_ms, node, kind, text.as_bytes(), || text.clone());
        }
        if let Some(starved) = &mut self.starved {
            starved.excuse(action);
        }
        match *action {
            Action::Ask { node, ref operation } => self.ask(node, operation),
            Action::Read { node } => self.read(node),
            Action::Visit { session, node, timeout_ms, ref then } => {
                self.visit(session, node, timeout_ms, then.clone());
            }
            Action::Cut { from, to } => self.world.net.set_cut(now_ms, from, to, true),
            Action::Mend { a, b } => self.world.heal(a, b),
            Action::Split { ref nodes } => self.split(nodes),
            Action::MendAll => self.mend_roads(),
            Action::Break { a, b } => self.world.net.break_links(now_ms, a, b),
            Action::BreakAfter { from, to, frames } => {
                self.world.net.road(from, to).breaks_after = Some(frames);
            }
            Action::Road { from, to, delay_ms, jitter_ms, loss_percent, bytes_per_ms } => {
                let road = self.world.net.road(from, to);
                road.delay_ms = [delay_ms; 2];
                (road.jitter_ms, road.loss_percent) = (jitter_ms, loss_percent);
                road.bytes_per_ms = bytes_per_ms;
            }
            Action::Hold { from, to, is_bulk, is_held } => {
                let lane = if is_bulk { Lane::Bulk } else { Lane::Control };
                self.world.hold(from, to, lane, is_held);
            }
            Action::Postpone { from, to, ms } => self.world.net.postpone(from, to, ms),
            Action::Replay { from, to, frames } => self.replay(from, to, frames),
            Action::Kill { node, is_written } => self.kill(node, is_written),
            Action::Stop { node } => self.stop(node),
            Action::Start { node } => self.start(node),
            Action::Clone { node } => self.clone_node(node),
            Action::Move { node } => self.move_node(node),
            Action::Bury { node } => self.bury(node),
            Action::Backup { node } => self.backup(node),
            Action::Restore { node, with_lease } => self.restore(node, with_lease),
            Action::Rot { node, key } => self.rot(node, key),
            Action::Rollback { node } => self.roll_back(node),
            Action::Join => self.invite(INVITER, Terms::WRITER),
            Action::Invite { by, is_reader, lasts_ms, guests, comes_ms, uses, asks } => {
                self.invite(by, Terms { is_reader, lasts_ms, guests, comes_ms, uses, asks });
            }
            Action::Decide { is_approved } => self.decide(is_approved),
            Action::Revoke => self.revoke_invite(),
            Action::Stray { node } => self.stray(node),
            Action::Upgrade { node, is_newer } => self.upgrade(node, is_newer),
            Action::Pause { node, peer, is_paused } => self.pause(node, peer, is_paused),
            Action::PauseAll { node, is_paused } => self.pause_all(node, is_paused),
            Action::Status { node } => self.look_at_status(node),
            Action::Topology { node, ref topology } => self.world.set_topology_of(node, topology),
            Action::Turn { node, peer, direction } => self.turn(node, peer, direction),
            Action::Delay { node, apply_after_ms } => self.delay(node, apply_after_ms),
            Action::Order { node, order } => self.order(node, order),
            Action::Promote { by, primary } => self.promote(by, primary),
            Action::Rotate { node, overlap_ms } => self.rotate(node, overlap_ms),
            Action::Disk { node, commit_ms } => self.world.nodes[node].commit_ms = commit_ms,
            Action::Full { node, is_full } => self.world.nodes[node].is_full = is_full,
            Action::FailSync { node, is_kept } => {
                let failure = if is_kept { FailedSync::Kept } else { FailedSync::Lost };
                self.world.nodes[node].store.fail_next_sync(Some(failure));
            }
            Action::Lease { node, is_kept } => self.world.nodes[node].keeps_lease = is_kept,
            Action::Clock { node, fault } => {
                self.look_at_clock();
                self.world.nodes[node].clock.suffer(now_ms, fault);
                self.look_at_clock();
            }
        }
    }

    /// Everything works again, and all start that can.
    pub(crate) fn mend(&mut self) {
        self.world.net.mend(self.world.now_ms);
        let count = self.world.nodes.len();
        for node in 0..count {
            for other in 0..count {
                if node != other {
                    self.pause(node, other, false);
                }
            }
            let mended = &mut self.world.nodes[node];
            (mended.commit_ms, mended.is_full) = (1, false);
            mended.store.fail_next_sync(None);
            self.start(node);
        }
    }

    /// Whether a node may be asked to be like the others in the end.
    pub(crate) fn is_ordinary(&self, node: NodeId) -> bool {
        !self.world.outcasts.contains(&node) && !self.gone.contains(&node)
    }

    pub(super) fn ask(&mut self, node: NodeId, operation: &Operation) {
        if self.world.nodes[node].running.is_none() || self.is_unsure(node) {
            return;
        }
        let Some(oracle) = &self.world.oracle else { return };
        let witness = oracle.witness();
        let next = self.world.last_request + 1;
        let text = || format!("asks: {next}, {}", describe::operation(operation));
        let (now_ms, content) = (self.world.now_ms, next.to_le_bytes());
        self.world.trace.note(now_ms, node, EventKind::Client, &content, text);
        let effect = match operation.kind {
            OperationKind::Count { delta } => Effect::Count(delta),
            OperationKind::Reset => Effect::Reset,
            OperationKind::Keep { .. } => Effect::Keep,
            OperationKind::Beside { .. } => Effect::Beside,
            _ => Effect::None,
        };
        let delay = self.world.delays.get(&node).map(Delay::is_sure);
        let (number, kind) = (operation.number, operation.kind.clone());
        let is_newer = self.world.nodes[node].is_newer;
        let declared = self.world.nodes[node].declared.clone();
        let closure = move |tx: &mut WriteTx<'_>| {
            let ran = Ran { operation: number, vv: tx.vv().clone(), effect };
            witness.lock().expect("no closure panics").push(ran);
            carry_out(tx, number, &kind, is_newer)?;
            finds_its_own(tx, &declared, number);
            Ok(())
        };
        let asked_for = operation.concern.as_ref();
        let min_connected = asked_for.map_or(0, |it| it.min_connected);
        let request = match asked_for.and_then(AskedFor::wanted) {
            Some(wanted) => self.world.write_for(node, closure, wanted, min_connected),
            None => self.world.write(node, closure),
        };
        self.asked.push(Asked {
            request,
            operation: operation.number,
            node,
            boot: self.world.nodes[node].boots,
            at_ms: self.world.now_ms,
            is_refusing: matches!(operation.kind, OperationKind::Refuse { .. }),
            is_joining: !self.world.has_joined(node),
            is_reader: self.is_reader(node),
            is_fallen: self.fell_back.contains_key(&node),
            is_guarded: min_connected > 0,
            is_delayed: delay == Some(true),
            may_be_delayed: delay.is_some(),
        });
    }

    fn read(&mut self, node: NodeId) {
        let read = super::judge::read(&self.world, node);
        self.world.violated(read);
    }

    fn split(&mut self, nodes: &[NodeId]) {
        for a in 0..self.world.nodes.len() {
            for b in 0..self.world.nodes.len() {
                if nodes.contains(&a) != nodes.contains(&b) {
                    self.world.net.set_cut(self.world.now_ms, a, b, true);
                }
            }
        }
    }

    fn mend_roads(&mut self) {
        let count = self.world.nodes.len();
        for a in 0..count {
            (0..count).for_each(|b| self.world.heal(a, b));
        }
    }

    fn replay(&mut self, from: NodeId, to: NodeId, frames: usize) {
        self.has_replayed = true;
        let is_data = |frame: &bytes::Bytes| {
            use millpond_core::message::Message;
            let message = millpond_core::wire::Decoder::new().decode(frame.clone());
            matches!(message, Ok(Some(Message::Push(_) | Message::Rows(_))))
        };
        self.world.net.replay(self.world.now_ms, from, to, frames, is_data);
    }

    fn kill(&mut self, node: NodeId, is_written: bool) {
        if self.world.nodes[node].running.is_some() {
            self.world.crash(node, is_written);
        }
    }

    pub(super) fn stop(&mut self, node: NodeId) {
        if self.world.nodes[node].running.is_some() {
            self.world.nodes[node].renew_lease();
            self.world.crash(node, true);
        }
    }

    pub(super) fn start(&mut self, node: NodeId) {
        if self.world.nodes[node].running.is_none() && !self.gone.contains(&node) {
            self.world.start(node);
        }
    }

    /// A copy beside a node that goes on: neither may write in the end.
    fn clone_node(&mut self, node: NodeId) {
        // The one admin is needed.
        if node == INVITER || !self.is_ordinary(node) || !self.fell_back.is_empty() {
            return;
        }
        self.start(node);
        let copy = self.world.start_copy(node);
        self.world.outcasts.extend([node, copy]);
        self.copies.push((node, copy));
    }

    /// The folder moves to another host: its node goes on there.
    fn move_node(&mut self, node: NodeId) {
        if node == INVITER || !self.is_ordinary(node) || self.is_unsure(node) {
            return;
        }
        self.stop(node);
        self.gone.insert(node);
        let moved = self.world.start_copy(node);
        self.moves(node, moved);
    }

    /// What only this node had is lost.
    fn bury(&mut self, node: NodeId) {
        if node == INVITER || !self.is_ordinary(node) || self.is_unsure(node) {
            return;
        }
        self.kill(node, true);
        self.gone.insert(node);
        self.world.outcasts.insert(node);
    }

    fn rot(&mut self, node: NodeId, key: u64) {
        let at = key_path(key);
        let is_there = |view: crate::state::View| view.entry(&at).is_ok_and(|it| !it.is_absent());
        if node == INVITER || self.gone.contains(&node) {
            return;
        }
        if self.world.try_view(node, Namespace::MAIN).is_ok_and(is_there) {
            self.world.nodes[node].store.rot(Namespace::MAIN, at);
            self.world.outcasts.insert(node);
        }
    }

    fn upgrade(&mut self, node: NodeId, is_newer: bool) {
        if self.gone.contains(&node) {
            return;
        }
        self.stop(node);
        self.world.nodes[node].is_newer = is_newer;
        self.start(node);
    }

    /// Data goes another way over the link to a peer, if the node may have one.
    fn turn(&mut self, node: NodeId, peer: NodeId, direction: Direction) {
        let mut topology = self.world.nodes[node].topology.clone();
        let name = super::shape::name(peer);
        match topology.links.iter_mut().find(|link| link.peer == name) {
            Some(link) => link.direction = direction,
            None if topology.mode == Mode::Static => return,
            None => topology.links.push(LinkSettings { direction, ..LinkSettings::new(name) }),
        }
        self.world.set_topology_of(node, &topology);
    }

    fn pause(&mut self, node: NodeId, peer: NodeId, is_paused: bool) {
        if self.world.nodes[node].running.is_some() {
            let peer = Some(self.world.nodes[peer].key);
            let request = if is_paused { Request::Pause(peer) } else { Request::Resume(peer) };
            self.world.ask(node, request);
        }
    }

    fn pause_all(&mut self, node: NodeId, is_paused: bool) {
        if self.world.nodes[node].running.is_some() {
            let request = if is_paused { Request::Pause(None) } else { Request::Resume(None) };
            self.world.ask(node, request);
            let status = self.world.status(node);
            self.world.violated(super::speech::all_are_paused(&status, is_paused));
        }
    }

    fn look_at_status(&mut self, node: NodeId) {
        if self.world.nodes[node].running.is_some() {
            let status = self.world.status(node);
            let falls = !self.backups.is_empty() || !self.copies.is_empty();
            let is_true = super::speech::status_is_true(&self.world, node, &status, falls);
            self.world.violated(is_true);
        }
    }
}

/// Does what an operation does.
pub(super) fn carry_out(
    tx: &mut WriteTx<'_>,
    number: usize,
    kind: &OperationKind,
    is_newer: bool,
) -> Result<(), WriteError> {
    match kind {
        OperationKind::Write { puts, deletes, padding } => {
            let value = value(number, *padding, is_newer);
            puts.iter().try_for_each(|&key| tx.put(key_path(key), value.clone()))?;
            deletes.iter().try_for_each(|&key| tx.delete(&key_path(key)).map(drop))
        }
        OperationKind::Count { delta } => tx.count(&counter_path(), *delta),
        OperationKind::Reset => tx.reset_counter(&counter_path()),
        OperationKind::Keep { key, which } => {
            let path = key_path(*key);
            let dots: Vec<Dot> = tx.entry(&path)?.live().iter().map(|live| live.dot).collect();
            match dots.len() {
                0 | 1 => Ok(()),
                count => tx.keep(&path, dots[which % count]).map(drop),
            }
        }
        OperationKind::Beside { key } => {
            let path = key_path(*key);
            let stamp = tx.entry(&path)?.live().first().map(|live| live.hlc);
            stamp.map_or(Ok(()), |it| tx.restore(&path, value(number, 0, is_newer), it, None))
        }
        OperationKind::Refuse { key } => {
            tx.put(key_path(*key), value(number, 0, is_newer))?;
            Err(WriteError::Rejected("it changed its mind".into()))
        }
    }
}

fn value(number: usize, padding: usize, is_newer: bool) -> Payload {
    let mut payload = text(&format!("{number}{}", "~".repeat(padding)));
    if is_newer {
        payload.kind = LATER_KIND;
    }
    payload
}

/// Where a key's value is.
pub(crate) fn key_path(key: u64) -> Path {
    path(&format!("at/{key}/f"))
}

/// Where the counter is.
pub(crate) fn counter_path() -> Path {
    path("count/all")
}

/// The one admin.
pub(super) const INVITER: NodeId = 0;
