//! Members that come and go, and what vectors cost afterwards.
//!
//! A cluster is weighed when it is fresh: what it says of vectors in each kind of message while its members
//! write, restart, lose their lease and are away. Then others join, write and are removed, one after the other,
//! and the same is done once more.

use std::collections::BTreeMap;

use bytes::Bytes;
use millpond_core::message::Message;
use millpond_core::wire::{Decoder, PushFrame, encode};
use millpond_core::{Namespace, VersionVector};

use super::describe;
use super::disk::SimDisk;
use super::net::NodeId;
use super::trace::Trace;
use super::world::{World, ensure, path, text};
use crate::replication::{Answer, Limits, LinkId, Request};

/// What is done.
#[derive(Debug, Clone, Copy)]
pub struct ChurnOptions {
    /// Members that stay.
    pub members: usize,
    /// Members that join, write, and are removed.
    pub joins: usize,
    /// Seed of all randomness.
    pub seed: u64,
}

/// What vectors cost in messages of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KindWeight {
    /// How many there were.
    pub messages: u64,
    /// Bytes of vectors in them.
    pub vector_bytes: u64,
}

/// What vectors cost, by kind of message.
pub type Weights = BTreeMap<String, KindWeight>;

/// What came of it.
#[derive(Debug, Clone)]
pub struct ChurnReport {
    /// In the fresh cluster.
    pub fresh: Weights,
    /// After all have come and gone.
    pub churned: Weights,
    /// While one more member joins after that: it knows nothing, and is told the table once on each lane.
    pub join: Weights,
    /// Incarnations in the vector of the system namespace, in the end.
    pub incarnations: usize,
    /// Those of them that a vector lists.
    pub listed: usize,
}

impl ChurnReport {
    /// Bytes of vectors in a message of these, on average.
    pub fn per_message(weights: &Weights) -> f64 {
        let messages: u64 = weights.values().map(|it| it.messages).sum();
        let bytes: u64 = weights.values().map(|it| it.vector_bytes).sum();
        bytes as f64 / messages.max(1) as f64
    }

    /// How many times the bytes of vectors per message of the fresh cluster.
    pub fn ratio(&self) -> f64 {
        Self::per_message(&self.churned) / Self::per_message(&self.fresh)
    }
}

/// Carries it out.
///
/// # Errors
/// What went wrong in the cluster.
pub fn churn(options: &ChurnOptions) -> Result<ChurnReport, String> {
    let mut world = World::found(options.seed, Limits::default(), false, None, Trace::new(false));
    for _ in 1..options.members {
        world.join();
    }
    world.settle()?;
    let fresh = weigh(&mut world, options.members)?;
    for _ in 0..options.joins {
        come_and_go(&mut world)?;
    }
    world.settle()?;
    let churned = weigh(&mut world, options.members)?;
    world.weights = Some(Weights::new());
    let last = world.join();
    world.settle()?;
    let join = world.weights.take().unwrap_or_default();
    let engine = &world.nodes[last].running.as_ref().ok_or("it does not run")?.engine;
    Ok(ChurnReport {
        fresh,
        churned,
        join,
        incarnations: engine.applied_vector(Namespace::SYSTEM).len(),
        listed: engine.listed(Namespace::SYSTEM).len(),
    })
}

/// Somebody joins, writes, is level with all, and is removed.
fn come_and_go(world: &mut World) -> Result<(), String> {
    let guest = world.join();
    let value = format!("{guest}");
    world.write(guest, move |tx| tx.put(path("c/guest/f"), text(&value)));
    world.run(300);
    let key = world.nodes[guest].key;
    let vv = world.vector(guest, Namespace::MAIN);
    let has_all = |world: &World, of: &VersionVector| {
        world.running().all(|id| world.vector(id, Namespace::MAIN).covers_all(of))
    };
    world.run_until(20_000, |world| has_all(world, &vv))?;
    let request = world.ask(0, Request::Remove(key));
    world.run_until(5_000, |world| world.answers.contains_key(&request))?;
    let removed = world.answers.remove(&request);
    ensure!(matches!(removed, Some(Answer::Removed(Ok(())))), "{guest} is removed: {removed:?}");
    world.run(100);
    world.crash(guest, true);
    // Its folder goes with it.
    world.nodes[guest].store = std::sync::Arc::new(SimDisk::new(false));
    Ok(())
}

/// What vectors cost while members write, restart with and without a lease, and are away.
fn weigh(world: &mut World, members: usize) -> Result<Weights, String> {
    world.weights = Some(Weights::new());
    for round in 0..10 {
        for id in 0..members {
            world.put(id, "c/weighed/f", &format!("{round}"));
            world.run(50);
        }
    }
    world.run(10_000);
    for id in 0..members {
        world.nodes[id].renew_lease();
        world.nodes[id].keeps_lease = id != 1;
        world.crash(id, true);
        world.put((id + 1) % members, "c/away/f", &format!("{id}"));
        world.run(500);
        world.start(id);
        world.run(5_000);
        world.put(id, "c/back/f", &format!("{id}"));
        world.run(5_000);
        world.nodes[id].keeps_lease = true;
    }
    world.settle()?;
    Ok(world.weights.take().unwrap_or_default())
}

impl World {
    /// What a node has applied.
    pub(crate) fn vector(&self, id: NodeId, namespace: Namespace) -> VersionVector {
        let running = self.nodes[id].running.as_ref();
        running.map(|it| it.heads.vv(namespace).clone()).unwrap_or_default()
    }

    /// Weighs a frame as it leaves.
    pub(crate) fn weigh(&mut self, id: NodeId, link: LinkId, frame: &Bytes) {
        let (Some(running), Some(weights)) = (&self.nodes[id].running, &mut self.weights) else {
            return;
        };
        let tables = running.engine.tables_said(link);
        let Ok(Some(message)) = Decoder::new().decode_knowing(frame.clone(), &tables) else {
            return;
        };
        let Some(vector_bytes) = vector_bytes(frame, &message) else { return };
        let weight = weights.entry(describe::kind_of(&message)).or_default();
        weight.messages += 1;
        weight.vector_bytes += vector_bytes as u64;
    }
}

/// Bytes of vectors, or of what stands for entries of vectors, in a message that has some.
fn vector_bytes(frame: &Bytes, message: &Message) -> Option<usize> {
    let none = VersionVector::new;
    let without = match message.clone() {
        Message::Hello(mut hello) => {
            hello.incarnations.clear();
            for held in &mut hello.namespaces {
                (held.durable, held.floor) = (none(), none());
            }
            Message::Hello(hello)
        }
        Message::Pull(mut pull) => {
            pull.from = none();
            if let Some(resume) = &mut pull.resume {
                resume.upto = none();
            }
            Message::Pull(pull)
        }
        Message::PullStart { transfer, rows_estimate, .. } => {
            Message::PullStart { transfer, upto: none(), rows_estimate, floor: none() }
        }
        Message::Feed { namespace, .. } => Message::Feed { namespace, from: none() },
        Message::Push(push) => {
            let mut push = push.to_push();
            push.deps = none();
            Message::Push(PushFrame::encode(&push))
        }
        Message::Ack(_)
        | Message::Announce(_)
        | Message::Digest(_)
        | Message::Names { .. }
        | Message::Introduce(_)
        | Message::Closed(_)
        | Message::ClosedHeld { .. } => return Some(frame.len()),
        _ => return None,
    };
    let without: usize = encode(&without).iter().map(Bytes::len).sum();
    Some(frame.len().saturating_sub(without))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planted::without;

    const FEW: ChurnOptions = ChurnOptions { members: 4, joins: 40, seed: 8 };

    /// Bar B8 of the milestone, in small: a thousand joins are `millpond-sim churn`.
    #[test]
    fn members_that_came_and_went_cost_nothing() {
        let report = churn(&FEW).unwrap();
        assert!(report.incarnations > 40, "{report:?}");
        assert!(report.listed <= FEW.members + 1, "{report:?}");
        assert!(report.ratio() < 1.5, "{}: {report:?}", report.ratio());
    }

    #[test]
    fn without_closing_they_do() {
        let rules =
            &["a removal closes what its subject issued", "an incarnation that ended is closed"];
        let report = without(rules, || churn(&ChurnOptions { joins: 20, ..FEW })).unwrap();
        assert!(report.listed > 20 && report.ratio() > 1.5, "{}: {report:?}", report.ratio());
    }
}
