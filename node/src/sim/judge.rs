//! The judge: what must hold at every moment, and once all is mended.

use std::collections::{BTreeMap, BTreeSet};

use millpond_core::types::counter::{self, Slot};
use millpond_core::{Dot, Incarnation, Namespace, NodeKey};

use super::audit::{audit, credit_is_level};
use super::describe::UNKNOWN;
use super::indexed::indexes_are_right;
use super::net::NodeId;
use super::node::{DIGEST_MS, Running};
use super::scenario::{BURIED_MS, SHORT_WINDOW_MS};
use super::stage::{Asked, Stage, counter_path};
use super::world::{Check, NAMESPACES, World, ensure};
use crate::replication::{Answer, Belief, Request};
use crate::seal::Seal;
use crate::state::{Overlay, WriteError};
use crate::store::{Store, StoreError};

/// A client reads everything at a node: exactly what was written up to its vector (R1, R7), the register's
/// winner, and the counter's sum.
pub(crate) fn read(world: &World, node: NodeId) -> Check {
    let Some(oracle) = world.oracle.as_ref().filter(|it| !it.is_stranger(node)) else {
        return Ok(());
    };
    for namespace in NAMESPACES {
        let view = world.try_view(node, namespace).map_err(|error| error.to_string())?;
        oracle.compare(node, namespace, &view)?;
        deletes_are_remembered(world, node, namespace)?;
    }
    world.shows_what_it_held(node)?;
    count(world, node)
}

/// Each delete is in the log or below the floor (R3), and what is below the floor nobody who was waited for has
/// yet to learn (R8).
fn deletes_are_remembered(world: &World, node: NodeId, namespace: Namespace) -> Check {
    let (Some(oracle), Some(running)) = (&world.oracle, &world.nodes[node].running) else {
        return Ok(());
    };
    let floor = running.heads.floor(namespace);
    let snapshot = world.nodes[node].store.snapshot();
    let snapshot = snapshot.and_then(|it| Overlay::over(it, namespace));
    let snapshot = snapshot.map_err(|error| error.to_string())?;
    let deletes: Vec<Dot> = oracle.deletes(node, namespace).collect();
    for &dot in &deletes {
        let is_logged = || matches!(snapshot.log_row(namespace, dot), Ok(Some(_)) | Err(_));
        ensure!(
            floor.covers(dot) || is_logged(),
            "R3: {node} has forgotten {dot}, above its floor"
        );
    }
    // Whoever was evicted, or has fallen back, is below floors until it is refreshed.
    let evicts = world.collection.offline_window_ms <= SHORT_WINDOW_MS;
    for other in (0..world.nodes.len()).filter(|other| *other != node && !evicts) {
        let key = world.nodes[other].key;
        let has_moved = world.nodes.iter().filter(|node| node.key == key).count() > 1;
        let is_waited_for = !has_moved
            && !world.outcasts.contains(&other)
            && !oracle.is_stranger(other)
            && !world.fallen_back.contains(&other);
        let mut forgotten = deletes.iter().filter(|dot| is_waited_for && floor.covers(**dot));
        let unknown = forgotten.find(|dot| oracle.has_yet_to_forget(other, namespace, **dot));
        ensure!(
            unknown.is_none(),
            "R8: {node} has forgotten {unknown:?}, and {other} has not heard of it"
        );
    }
    Ok(())
}

fn count(world: &World, node: NodeId) -> Check {
    let Some(oracle) = world.oracle.as_ref().filter(|it| !it.is_stranger(node)) else {
        return Ok(());
    };
    let view = world.try_view(node, Namespace::MAIN).map_err(|error| error.to_string())?;
    let mut slots = Vec::new();
    let read = view.entries(Some(&counter_path()), None, &mut |_, entry| {
        slots.extend(Slot::read(&entry));
        std::ops::ControlFlow::Continue(())
    });
    if read.is_ok() {
        let (found, expected) = (counter::read(slots).unwrap_or(0), oracle.count(node));
        ensure!(found == expected, "the counter: {node} reads {found}, and it is {expected}");
    }
    Ok(())
}

/// What must hold after each commit of a node. The dear part is left out most times.
pub(crate) fn watch(world: &World, node: NodeId, is_thorough: bool) -> Check {
    indexes_are_right(world, node)?;
    if is_thorough {
        read(world, node)?;
        if !world.nodes[node].store.is_rotten() {
            audit(world, node)?;
        }
        beliefs_are_true(world, node)?;
    }
    queues_are_bounded(world, node)
}

/// What a node believes that a linked peer holds, that peer holds.
fn beliefs_are_true(world: &World, node: NodeId) -> Check {
    let (Some(running), Some(oracle)) = (&world.nodes[node].running, &world.oracle) else {
        return Ok(());
    };
    for Belief { boot, namespace, vv } in running.engine.beliefs() {
        let peer = world
            .nodes
            .iter()
            .position(|peer| peer.running.as_ref().is_some_and(|running| running.boot == boot));
        let is_told = |&peer: &NodeId| !oracle.is_stranger(peer) && !oracle.has_fallen(peer);
        let Some(peer) = peer.filter(is_told) else { continue };
        ensure!(
            oracle.holds(peer, namespace, &vv),
            "R6: {node} believes that {peer} holds {vv:?} of {namespace}, and it is at {:?}",
            oracle.vv(peer, namespace)
        );
    }
    Ok(())
}

fn queues_are_bounded(world: &World, node: NodeId) -> Check {
    let Some(running) = &world.nodes[node].running else { return Ok(()) };
    let found = running.engine.inspect();
    let (waiting, ring) = (found.waiting_bytes, found.ring_bytes);
    ensure!(waiting <= found.waiting_bytes_max, "bounds: {waiting} bytes of pushes wait at {node}");
    ensure!(ring <= found.ring_bytes_max, "bounds: the ring of {node} holds {ring} bytes");
    ensure!(found.lacking <= 400, "bounds: {node} counts {} lacking origins", found.lacking);
    ensure!(found.introduced <= 400, "bounds: {node} was introduced to {}", found.introduced);
    let (held_ms, held_ms_max) = (found.oldest_snapshot_ms, found.snapshot_ms_max);
    ensure!(held_ms <= held_ms_max, "bounds: {node} has held a snapshot for {held_ms} ms");
    ensure!(found.links <= 40, "bounds: {node} holds {} links", found.links);
    let under_way = world.net.bytes_under_way();
    let under_way_max = UNDER_WAY_BYTES.max(world.net.links_up() * LINK_BYTES);
    ensure!(under_way < under_way_max, "bounds: the network holds {under_way} bytes");
    Ok(())
}

/// An answered write is on the disk of the node that answered, and its reader sees it (R6).
pub(crate) fn answered(world: &World, node: NodeId, answer: &Answer) -> Check {
    let Some(oracle) = world.oracle.as_ref().filter(|it| !it.is_stranger(node)) else {
        return Ok(());
    };
    let (dot, vv) = match answer {
        Answer::Written(Ok((dot, vv))) => (*dot, vv),
        Answer::Stored { dot, vv, .. } => (Some(*dot), vv),
        _ => return Ok(()),
    };
    let here = oracle.vv(node, Namespace::MAIN);
    ensure!(
        dot.is_none_or(|dot| here.covers(dot)),
        "R6: {node} answers {dot:?}, which its disk has not"
    );
    ensure!(here.covers_all(vv), "R6: {node} answers that it is at {vv:?}, and is at {here:?}");
    Ok(())
}

impl Stage {
    /// Judges the end: all is mended, and nodes have had their time.
    pub(crate) fn judge(&mut self) -> Check {
        self.recognise_strangers();
        self.judge_guests()?;
        self.judge_fallen()?;
        self.world.settle_within(CONVERGE_MS).map_err(|why| name("convergence", why))?;
        self.world.observed.clone()?;
        self.judge_copies()?;
        self.allow_for_outcasts();
        if !self.world.is_plain() && !self.world.is_whole() {
            return self.judge_parts();
        }
        self.judge_mending()?;
        self.world.settle_keys()?;
        let ordinary: Vec<NodeId> =
            (0..self.world.nodes.len()).filter(|&node| self.is_ordinary(node)).collect();
        self.judge_closed(&ordinary)?;
        for &node in &ordinary {
            read(&self.world, node)?;
            self.judge_node(node)?;
        }
        self.judge_seals(&ordinary)?;
        self.judge_counters(&ordinary)?;
        self.judge_tombstones(&ordinary)?;
        self.judge_silence()?;
        self.judge_primary()?;
        self.judge_delays()?;
        self.asked.iter().try_for_each(|asked| self.judge_answer(asked))?;
        self.try_out(&ordinary)
    }

    /// Some nodes are not to have what others have, and nothing is demanded across.
    fn judge_parts(&mut self) -> Check {
        self.asked.iter().try_for_each(|asked| self.judge_answer(asked))?;
        self.pass(CALM_MS)?;
        for node in self.world.running().collect::<Vec<_>>() {
            read(&self.world, node)?;
        }
        self.world.observed.clone()
    }

    fn judge_node(&self, node: NodeId) -> Check {
        let Some(running) = &self.world.nodes[node].running else {
            return Err(format!("liveness: {node} does not start"));
        };
        let oracle = self.world.oracle.as_ref().expect("a run has an oracle");
        oracle.nothing_is_lost(node)?;
        let found = running.engine.inspect();
        ensure!(found.fenced.is_none(), "fencing: {node} is fenced: {:?}", found.fenced);
        ensure!(
            !found.has_met_copy || !self.copies.is_empty(),
            "fencing: {node} believes that it has met a copy"
        );
        let unknown = running.engine.owner_unknown();
        ensure!(unknown.is_empty(), "R14: {node} does not know whose {unknown:?} are");
        Ok(())
    }

    /// Equal vectors, equal fingerprints.
    fn judge_seals(&self, nodes: &[NodeId]) -> Check {
        for namespace in NAMESPACES {
            let seals = nodes.iter().map(|&node| Seal::of(&self.world.view(node, namespace)));
            let seals: Vec<Seal> =
                seals.collect::<Result<_, StoreError>>().map_err(|error| error.to_string())?;
            let differ = seals.windows(2).find(|pair| pair[0] != pair[1]);
            ensure!(differ.is_none(), "fingerprints: they differ at equal vectors: {differ:?}");
        }
        Ok(())
    }

    /// Once all have everything no slot of a counter is left that adds nothing, unless a member is missing: it may
    /// have counted what it has not told. Nor where nobody takes writes, since the primary is a delayed replica.
    fn judge_counters(&mut self, nodes: &[NodeId]) -> Check {
        let keys: BTreeSet<NodeKey> =
            nodes.iter().map(|&node| self.world.nodes[node].key).collect();
        if self.world.nodes.iter().any(|node| !keys.contains(&node.key)) {
            return Ok(());
        }
        let takes_writes = |&node: &NodeId| {
            let running = self.world.nodes[node].running.as_ref();
            running.is_some_and(|running| running.engine.inspect().takes_writes)
        };
        if !nodes.iter().any(takes_writes) {
            return Ok(());
        }
        let until_ms = self.world.now_ms + COLLECTED_MS + self.ways_ms(nodes);
        while let Some(node) = nodes.iter().find(|&&node| keeps_spent_slots(&self.world, node)) {
            let is_late = self.world.now_ms >= until_ms;
            ensure!(!is_late, "R13: {node} keeps slots of counters that add nothing");
            self.world.run(LOOK_MS);
        }
        self.world.observed.clone()
    }

    /// Of members that are not linked a word goes one link further with each digest.
    fn ways_ms(&self, nodes: &[NodeId]) -> u64 {
        if self.world.is_plain() { 0 } else { nodes.len() as u64 * DIGEST_MS }
    }

    /// Of whoever writes, vectors list the incarnation that is open and no other one (R5); nor one of which a
    /// restore lost what had been closed.
    fn judge_closed(&mut self, nodes: &[NodeId]) -> Check {
        if !self.world.is_plain() || !self.world.outcasts.is_empty() {
            return Ok(());
        }
        let open = |world: &World| -> BTreeMap<NodeKey, Incarnation> {
            let running = nodes.iter().filter_map(|&node| {
                let node = &world.nodes[node];
                Some((node.key, node.running.as_ref()?.heads.open?))
            });
            running.collect()
        };
        let listed_too = |world: &World| {
            let open = open(world);
            let running: Vec<&Running> =
                nodes.iter().filter_map(|&node| world.nodes[node].running.as_ref()).collect();
            let is_there = |namespace: Namespace, id: Incarnation| {
                running.iter().any(|it| !it.engine.lacks_of_closed(namespace, id))
            };
            let listed = running.iter().flat_map(|it| {
                let listed = NAMESPACES.into_iter().flat_map(|namespace| {
                    let listed = it.engine.listed(namespace).into_iter();
                    listed.filter(move |id| is_there(namespace, *id))
                });
                listed.map(|id| (it.engine.owner_of(id), id)).collect::<Vec<_>>()
            });
            let is_other = |(owner, id): &(Option<NodeKey>, Incarnation)| {
                owner.and_then(|owner| open.get(&owner)).is_some_and(|open| open != id)
            };
            listed.filter(is_other).map(|(_, id)| id).next()
        };
        let over = self.world.run_until(CLOSED_MS, |world| listed_too(world).is_none());
        over.map_err(|why| format!("R5: {:?} is listed, {why}", listed_too(&self.world)))?;
        self.world.settle_within(CONVERGE_MS).map_err(|why| name("convergence", why))
    }

    /// Once all have everything no tombstone is left (R8): those that wait for who is gone go with the offline
    /// window, and only who has never come may hold some back.
    fn judge_tombstones(&mut self, nodes: &[NodeId]) -> Check {
        let collection = self.world.collection;
        let keys: Vec<NodeKey> = nodes.iter().map(|&node| self.world.nodes[node].key).collect();
        let is_short = collection.offline_window_ms <= BURIED_MS;
        let is_over = |world: &World| {
            nodes.iter().all(|&node| {
                let Some(running) = &world.nodes[node].running else { return true };
                let is_gone = |key: &NodeKey| !keys.contains(key);
                let left = NAMESPACES.iter().map(|it| running.heads.tombstones(*it).count);
                let blockers = || running.engine.inspect().blockers;
                left.sum::<u64>() == 0 || (!is_short && blockers().iter().any(is_gone))
            })
        };
        let window_ms = if is_short { collection.offline_window_ms } else { 0 };
        let patience_ms = COLLECTED_MS + self.ways_ms(nodes) + window_ms;
        let over = self.world.run_until(patience_ms, is_over);
        over.map_err(|why| format!("R8: tombstones are left, {why}"))?;
        // Silences are counted now and then, and so is their end.
        let are_known_to_live = |world: &World| {
            let mut running = nodes.iter().filter_map(|&node| world.nodes[node].running.as_ref());
            running.all(|it| it.engine.inspect().evicted.iter().all(|key| !keys.contains(key)))
        };
        let heard_ms = COLLECTED_MS + self.ways_ms(nodes);
        let known = self.world.run_until(heard_ms, are_known_to_live);
        known.map(drop).map_err(|why| format!("R8: a member is taken for gone that lives, {why}"))
    }

    /// An acknowledged operation happened, a refused one did not, and every one is answered.
    fn judge_answer(&self, asked: &Asked) -> Check {
        let oracle = self.world.oracle.as_ref().expect("a run has an oracle");
        let became = oracle.transaction(asked.operation);
        let wrote = became.and_then(|transaction| transaction.last);
        let number = asked.operation;
        let answer = self.world.answers.get(&asked.request);
        // Met or not, it is written.
        let acknowledged = match answer {
            Some(Answer::Written(Ok((dot, _)))) => Some(*dot),
            Some(Answer::Stored { dot, .. }) => Some(Some(*dot)),
            _ => None,
        };
        match answer {
            Some(Answer::Written(Ok(_)) | Answer::Stored { .. }) => {
                let dot = acknowledged.flatten();
                ensure!(
                    !asked.is_refusing,
                    "answers: {number} refused itself, and was acknowledged"
                );
                ensure!(
                    !asked.is_reader,
                    "answers: {number} was acknowledged by {}, which only reads",
                    asked.node
                );
                ensure!(
                    !asked.is_delayed,
                    "answers: {number} was acknowledged by {}, which is a delayed replica",
                    asked.node
                );
                ensure!(wrote == dot, "answers: {number} is {wrote:?}, and was answered {dot:?}");
            }
            Some(Answer::Written(Err(WriteError::Store(
                StoreError::Io { .. } | StoreError::Poisoned { .. },
            )))) => {}
            Some(Answer::Written(Err(error))) => {
                let is_due = match error {
                    WriteError::Rejected(_) => asked.is_refusing,
                    WriteError::Fenced { .. } => !self.copies.is_empty() || asked.is_fallen,
                    WriteError::Store(_) => true,
                    WriteError::ReadOnly { .. } => asked.is_joining || asked.is_reader,
                    WriteError::TooFewConnected { .. } => asked.is_guarded,
                    WriteError::Delayed => asked.may_be_delayed,
                    WriteError::NotPrimary { .. } => self.has_promoted,
                    _ => false,
                };
                ensure!(is_due, "answers: {number} was refused, and should not be: {error}");
                ensure!(
                    wrote.is_none(),
                    "answers: {number} was refused ({error}), and is {wrote:?}"
                );
            }
            Some(other) => return Err(format!("answers: {number} was answered {other:?}")),
            None => {
                let node = &self.world.nodes[asked.node];
                let is_same_boot = node.running.is_some() && node.boots == asked.boot;
                ensure!(
                    !is_same_boot,
                    "liveness: {number}, asked of {} at {} ms, was never answered",
                    asked.node,
                    asked.at_ms
                );
            }
        }
        Ok(())
    }

    /// Neither a node nor its live copy writes in the end, until a person stops one of them and releases the
    /// other: that one goes on, and what it had written reaches all.
    fn judge_copies(&mut self) -> Check {
        if self.copies.is_empty() {
            return Ok(());
        }
        self.world.run(FENCED_MS);
        for (node, copy) in self.copies.clone() {
            for id in [node, copy] {
                let request = self.world.put(id, "at/copy/f", "by one of two");
                self.world.run(ANSWERED_MS);
                let written = self.world.written(request);
                ensure!(
                    matches!(written, Some(Err(WriteError::Fenced { .. }))),
                    "fencing: {id}, of which there are two, answers a write with {written:?}"
                );
            }
        }
        for (node, copy) in self.copies.clone() {
            let (stays, goes) = if copy % 2 == 0 { (node, copy) } else { (copy, node) };
            self.world.crash(goes, true);
            self.gone.insert(goes);
            self.world.ask(stays, Request::Release);
            self.world.outcasts.remove(&stays);
        }
        self.world.run(RELEASED_MS);
        self.world.settle_within(CONVERGE_MS).map_err(|why| name("release", why))?;
        self.world.observed.clone()
    }

    /// What only a rotten disk or one of two copies holds may stay there.
    fn allow_for_outcasts(&mut self) {
        let Some(mut oracle) = self.world.oracle.take() else { return };
        let count = self.world.nodes.len();
        let others: Vec<NodeId> =
            (0..count).filter(|node| !self.world.outcasts.contains(node)).collect();
        for &node in &self.world.outcasts {
            for namespace in NAMESPACES {
                // Of a stranger the oracle knows only what it held before it was one.
                oracle.cast_out(namespace, self.world.view(node, namespace).vv(), &others);
            }
        }
        self.world.oracle = Some(oracle);
    }

    /// Once all are level nothing is said but that.
    fn judge_silence(&mut self) -> Check {
        // A catch-up that a full disk refused is asked for again after a digest's time, and a node whose dead
        // process was heard late is taken for a possible copy for some seconds.
        self.world.run(CALM_MS);
        if self.copies.is_empty() && self.world.outcasts.is_empty() {
            self.world.heard = Some(Default::default());
            self.world.run(SILENT_MS);
            let heard = self.world.heard.take().unwrap_or_default();
            let refused = self.world.refused() as u64;
            let is_plain = self.world.is_plain();
            let is_due = |kind: &str, count: u64| match kind {
                "Digest" | UNKNOWN => true,
                // Others tell that members live.
                "Words" if !is_plain => true,
                _ => {
                    count <= refused * REFUSED_FRAMES
                        && REFUSED.iter().any(|it| kind.starts_with(it))
                }
            };
            let others: Vec<_> =
                heard.iter().filter(|(kind, count)| !is_due(kind, **count)).collect();
            ensure!(others.is_empty(), "silence: level, and still they say {others:?}");
        }
        if self.world.refused() > 0 || !self.world.delays.is_empty() || !self.world.is_plain() {
            // What a refused peer said is noted, and what others tell of members, and how long a delayed replica
            // has waited: that may be under way at just this moment.
            self.world
                .run_until(NOTED_MS, World::is_written)
                .map_err(|why| format!("liveness: a disk is not done {why}"))?;
        }
        for id in self.world.running().collect::<Vec<_>>() {
            let Some(running) = &self.world.nodes[id].running else { continue };
            let found = running.engine.inspect();
            ensure!(found.jobs == 0, "liveness: {id} waits for its disk");
            let knows_its_members = running.engine.knows_its_members();
            ensure!(
                knows_its_members.map_err(|error| error.to_string())?,
                "membership: the members of {id} are not those that its store tells of"
            );
            // What a rotten disk alone holds nobody can get, though all go on asking for it.
            if self.world.outcasts.is_empty() {
                ensure!(found.pulls == 0, "liveness: {id} still catches up");
                ensure!(found.folds == 0, "liveness: {id} still folds");
                ensure!(found.supplies == 0, "liveness: {id} still supplies {}", found.supplies);
                ensure!(found.lacking == 0, "liveness: {id} lacks {} origins", found.lacking);
            }
        }
        if self.has_replayed { Ok(()) } else { credit_is_level(&self.world) }
    }
}

/// Whether a node holds slots of the counter that stand at their bases.
fn keeps_spent_slots(world: &World, node: NodeId) -> bool {
    let Ok(view) = world.try_view(node, Namespace::MAIN) else { return false };
    let mut is_spent = false;
    let read = view.entries(Some(&counter_path()), None, &mut |_, entry| {
        is_spent |= Slot::read(&entry).is_some_and(Slot::is_zero);
        std::ops::ControlFlow::Continue(())
    });
    read.is_ok() && is_spent
}

fn name(check: &str, why: String) -> String {
    if why.contains(": ") && !why.starts_with("not level") {
        why
    } else {
        format!("{check}: {why}")
    }
}

/// What is said, again and again, where a node dials one that wants no link with it.
const REFUSED: [&str; 3] = ["Hello", "Terms", "Closed"];
/// How long a note takes to be on disk.
const NOTED_MS: u64 = 100;
/// How often each of it may come in that time, for each such pair: back-off leaves some five dials, and others are told
/// of each link.
const REFUSED_FRAMES: u64 = 40;
/// How long nodes may take to be level once all is mended.
const CONVERGE_MS: u64 = 60_000;
/// How long the last tombstones may stay: until each node has heard of all others.
const COLLECTED_MS: u64 = 40_000;
/// How often the judge looks at what is to go.
const LOOK_MS: u64 = 1_000;
/// How long it may take until what has ended is recorded as closed, and all have heard of it.
const CLOSED_MS: u64 = 40_000;
/// How long two live copies may write.
const FENCED_MS: u64 = 60_000;
/// How long the others may take to see that the other one is gone.
const RELEASED_MS: u64 = 40_000;
/// How long an answer may take when all is well.
pub(super) const ANSWERED_MS: u64 = 12_000;
pub(super) const CALM_MS: u64 = 20_000;
const SILENT_MS: u64 = 12_000;
const UNDER_WAY_BYTES: usize = 64 << 20;
/// What one link may hold on its way: both its windows, and a transaction at its limit on top of them.
const LINK_BYTES: usize = 4 << 20;
