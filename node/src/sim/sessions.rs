//! Clients that move between nodes and never go back, and writes that wait for other members.
//!
//! A client carries two things: the bookmark that nodes have given it, and all that it has really seen. A node that
//! says that it shows the first must show the second. An ack that is counted must be of a disk that has the write.

use std::collections::BTreeMap;

use millpond_core::{Dot, Namespace, VersionVector};
use serde::{Deserialize, Serialize};

use super::delays::Delay;
use super::net::NodeId;
use super::scenario::Operation;
use super::stage::Stage;
use super::trace::EventKind;
use super::world::{Check, World, ensure};
use crate::concern::{AckLevel, Concern};
use crate::replication::{Answer, Request, RequestId, Waited, Wanted};
use crate::state::{View, shown_in};
use crate::store::Store;

/// Whose acks a write waits for, as a scenario's file has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AskedFor {
    pub(crate) concern: String,
    pub(crate) level: String,
    pub(crate) timeout_ms: u64,
    /// How many other members have to be linked.
    #[serde(default)]
    pub(crate) min_connected: usize,
}

/// The clients, and what they and others wait for.
#[derive(Default)]
pub(crate) struct Sessions {
    clients: BTreeMap<usize, Client>,
    pending: BTreeMap<RequestId, Pending>,
    /// Writes of clients that have found their node to be where they are.
    ready: Vec<(usize, NodeId, Operation)>,
}

/// What a client has seen.
#[derive(Default)]
struct Client {
    seen: VersionVector,
    bookmark: VersionVector,
}

enum Pending {
    /// A client reads, and then perhaps writes.
    Visit { session: usize, seen: VersionVector, then: Option<Operation> },
    /// A client writes.
    Write { session: usize },
    /// A write waits.
    Concern(Wanted),
}

impl AskedFor {
    /// As the engine takes it; `None` if the file says nothing that makes sense.
    pub(crate) fn wanted(&self) -> Option<Wanted> {
        let (concern, level) = (self.concern.parse().ok()?, self.level.parse().ok()?);
        Some(Wanted { concern, level, timeout_ms: self.timeout_ms })
    }
}

impl Sessions {
    /// A write waits for acks.
    pub(crate) fn waits(&mut self, request: RequestId, wanted: Wanted) {
        self.pending.insert(request, Pending::Concern(wanted));
    }
}

impl Client {
    /// It sees so much at a node, which knows that all members have this much of it.
    fn sees(&mut self, vv: &VersionVector, held_by_all: Option<&VersionVector>) {
        self.seen.join(vv);
        let nothing = VersionVector::new();
        self.bookmark.join(&vv.difference(held_by_all.unwrap_or(&nothing)));
    }
}

impl Stage {
    /// A client comes to a node with what it has seen elsewhere; once that is shown it may write there.
    pub(super) fn visit(
        &mut self,
        session: usize,
        node: NodeId,
        timeout_ms: u64,
        then: Option<Operation>,
    ) {
        if self.world.nodes[node].running.is_none() || self.is_unsure(node) {
            return;
        }
        let client = self.world.sessions.clients.entry(session).or_default();
        let (seen, vv) = (client.seen.clone(), client.bookmark.clone());
        let next = RequestId(self.world.last_request + 1);
        self.world.sessions.pending.insert(next, Pending::Visit { session, seen, then });
        let text = || format!("visited by client {session}: {}", next.0);
        let (now_ms, content) = (self.world.now_ms, next.0.to_le_bytes());
        self.world.trace.note(now_ms, node, EventKind::Client, &content, text);
        self.world.ask(node, Request::AwaitShown { vv, timeout_ms });
    }

    /// Clients write where they have found what they had seen.
    pub(super) fn follow_sessions(&mut self) {
        for (session, node, operation) in std::mem::take(&mut self.world.sessions.ready) {
            let next = RequestId(self.world.last_request + 1);
            self.ask(node, &operation);
            if self.world.last_request == next.0 && operation.concern.is_none() {
                self.world.sessions.pending.insert(next, Pending::Write { session });
            }
        }
    }
}

/// A node has answered.
pub(crate) fn answered(
    world: &mut World,
    node: NodeId,
    request: RequestId,
    answer: &Answer,
) -> Check {
    let Some(pending) = world.sessions.pending.remove(&request) else { return Ok(()) };
    match (pending, answer) {
        (Pending::Visit { session, seen, then }, Answer::Shown(Ok(()))) => {
            let shown = shown(world, node);
            let is_judged = !world.outcasts.contains(&node)
                && world.oracle.as_ref().is_some_and(|oracle| !oracle.is_stranger(node));
            ensure!(
                !is_judged || shown.covers_all(&seen),
                "sessions: {node} shows {shown:?} to client {session}, which has seen {seen:?}"
            );
            let client = world.sessions.clients.entry(session).or_default();
            client.sees(&shown, world.held_by_all.get(&node));
            world.sessions.ready.extend(then.map(|operation| (session, node, operation)));
        }
        (Pending::Write { session }, Answer::Written(Ok((_, vv)))) => {
            let client = world.sessions.clients.entry(session).or_default();
            client.sees(vv, world.held_by_all.get(&node));
        }
        (Pending::Concern(wanted), Answer::Stored { dot, waited, .. }) => {
            return are_true(world, *dot, &wanted, waited);
        }
        _ => {}
    }
    Ok(())
}

/// What readers of a node see.
fn shown(world: &World, node: NodeId) -> VersionVector {
    let snapshot = world.nodes[node].store.snapshot().expect("a disk can be read");
    let namespace = shown_in(&*snapshot).expect("meta values are whole");
    View::new(snapshot, namespace).expect("vectors are never rotten").vv().clone()
}

/// Every ack is of a disk that has the write, and of no delayed replica; and a concern that is met has enough.
fn are_true(world: &World, dot: Dot, wanted: &Wanted, waited: &Waited) -> Check {
    let Some(oracle) = &world.oracle else { return Ok(()) };
    let Waited { is_met, acks } = waited;
    for ack in &acks.acked {
        let Some(node) = world.nodes.iter().position(|node| node.key == ack.key) else { continue };
        let is_delayed = world.delays.get(&node).is_some_and(Delay::is_sure);
        ensure!(!is_delayed, "concerns: the ack of {node}, a delayed replica, counts for {dot}");
        // Whoever has lost its disk has said so truly before, and says no more than it has at its next hello.
        let is_excused = world.fallen_back.contains(&node) || world.outcasts.contains(&node);
        let vv = oracle.vv(node, Namespace::MAIN);
        ensure!(
            is_excused || wanted.level == AckLevel::Received || vv.covers(dot),
            "concerns: {node} counts for {dot} ({}), and its disk is at {vv:?}",
            wanted.level
        );
    }
    // The voters that its node knew of when it was committed, itself included; of these alone it speaks then.
    let (acked, voters) = (acks.acked.len(), acks.acked.len() + acks.late.len() + 1);
    let is_enough = match &wanted.concern {
        Concern::Local => true,
        Concern::Replicas(n) | Concern::First { n, .. } | Concern::Any { n, .. } => acked >= *n,
        Concern::Majority => 2 * (acked + 1) > voters,
        // Names are each one's own here.
        Concern::Named { .. } | Concern::All => acks.late.is_empty(),
    };
    ensure!(!is_met || is_enough, "concerns: {} is met for {dot} by {acks}", wanted.concern);
    Ok(())
}
