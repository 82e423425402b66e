//! RavenDB's rule: what came by replication wakes nobody, and waits for the next idle tick.
//!
//! A node has a sender for each peer. A local write wakes all senders of its node, and each sends what the
//! last vector that it has of its peer does not cover. A write that came by replication wakes none: the node
//! tells all its peers its new vector, and if a peer still lacks the write when the sender's idle tick comes,
//! it is sent then. A tick without anything to send is a heartbeat.
//!
//! This is a model of the published behaviour, not the product. It sends on a tick by the vector that it
//! has, without asking for a fresh one first: a fresh one costs a round trip and saves nothing, since what is
//! on its way to the peer when it answers is missing in the answer as well.

use std::rc::Rc;

use super::HEADER_BYTES;
use super::protocol::{Control, Protocol, Way};
use super::stage::{Net, Update};
use crate::workload::Random;

/// RavenDB's rule, with the state of all nodes.
pub struct HoldDown {
    nodes: Vec<Node>,
    senders: Vec<Sender>,
    random: Random,
}

/// One node's database.
#[derive(Clone)]
struct Node {
    /// In the order in which they came; a sender's place is an index of it.
    log: Vec<Update>,
    /// Of each origin the highest number.
    vector: Vec<u32>,
}

/// What a node sends to one peer.
#[derive(Clone)]
struct Sender {
    /// The last vector of the peer that came here.
    known: Vec<u32>,
    /// Until where the log was looked at.
    place: usize,
    /// When it ticks, unless a local write wakes it before.
    tick_ms: u64,
}

impl HoldDown {
    /// Nodes whose ticks come at times that have nothing to do with each other, as those of processes do
    /// that were started by and by.
    pub fn new(nodes: usize, seed: u64) -> Self {
        let vector = vec![HISTORY; nodes];
        let sender = Sender { known: vector.clone(), place: 0, tick_ms: 0 };
        Self {
            nodes: vec![Node { log: Vec::new(), vector }; nodes],
            senders: vec![sender; nodes * nodes],
            random: Random::new(seed),
        }
    }

    fn scatter_ticks(&mut self, net: &mut Net) {
        for from in 0..self.nodes.len() {
            for to in net.peers(from) {
                let tick_ms = net.now_ms() + 1 + self.random.below(TICK_MS);
                let place = self.place_of(Way { from, to });
                self.senders[place].tick_ms = tick_ms;
                net.wake_at(tick_ms, from, to);
            }
        }
    }

    /// Sends what the peer lacks as far as is known; whether there was anything.
    fn flush(&mut self, net: &mut Net, way: Way) -> bool {
        let place = self.place_of(way);
        let (log, sender) = (&self.nodes[way.from].log, &mut self.senders[place]);
        let mut is_any = false;
        for update in &log[sender.place..] {
            if update.number > sender.known[update.origin] {
                is_any = true;
                net.send(way, *update);
            }
        }
        sender.place = log.len();
        is_any
    }

    fn keep(&mut self, node: usize, update: Update) {
        let Node { log, vector } = &mut self.nodes[node];
        log.push(update);
        vector[update.origin] = vector[update.origin].max(update.number);
    }

    fn tell(&self, net: &mut Net, way: Way) {
        let vector = &self.nodes[way.from].vector;
        net.send_control(way, vector_bytes(vector), Control::Vector(vector[..].into()));
    }

    fn place_of(&self, way: Way) -> usize {
        way.from * self.nodes.len() + way.to
    }
}

impl Protocol for HoldDown {
    fn start(&mut self, net: &mut Net) {
        self.scatter_ticks(net);
    }

    /// Writes have set the ticks of all nodes to about one time. They part again, since a sender waits for
    /// the answer of its heartbeat before it counts anew.
    fn rest(&mut self, net: &mut Net) {
        self.scatter_ticks(net);
    }

    fn write(&mut self, net: &mut Net, update: Update) {
        self.keep(update.origin, update);
        for peer in net.peers(update.origin) {
            let way = Way { from: update.origin, to: peer };
            self.flush(net, way);
            let place = self.place_of(way);
            self.senders[place].tick_ms = net.now_ms() + TICK_MS;
        }
    }

    fn data(&mut self, net: &mut Net, way: Way, update: Update, is_new: bool) {
        let back = Way { from: way.to, to: way.from };
        // Who sends a write holds it.
        let place = self.place_of(back);
        let known = &mut self.senders[place].known[update.origin];
        *known = (*known).max(update.number);
        if !is_new {
            self.tell(net, back);
            return;
        }
        self.keep(way.to, update);
        let vector: Rc<[u32]> = self.nodes[way.to].vector[..].into();
        let bytes = vector_bytes(&vector);
        for peer in net.peers(way.to) {
            let way = Way { from: way.to, to: peer };
            net.send_control(way, bytes, Control::Vector(vector.clone()));
        }
    }

    fn control(&mut self, net: &mut Net, way: Way, control: Control) {
        let back = Way { from: way.to, to: way.from };
        match control {
            Control::Vector(vector) => {
                let place = self.place_of(back);
                let known = &mut self.senders[place].known;
                for (known, new) in known.iter_mut().zip(&vector[..]) {
                    *known = (*known).max(*new);
                }
            }
            Control::Heartbeat => self.tell(net, back),
            other => unreachable!("no node under this rule sends {other:?}"),
        }
    }

    fn wake(&mut self, net: &mut Net, node: usize, peer: usize) {
        let way = Way { from: node, to: peer };
        let place = self.place_of(way);
        // A local write came in between.
        if self.senders[place].tick_ms > net.now_ms() {
            net.wake_at(self.senders[place].tick_ms, node, peer);
            return;
        }
        if !self.flush(net, way) {
            // It carries the sender's own vector.
            let bytes = vector_bytes(&self.nodes[node].vector);
            net.send_control(way, bytes, Control::Heartbeat);
        }
        self.senders[place].tick_ms = net.now_ms() + TICK_MS;
        net.wake_at(self.senders[place].tick_ms, node, peer);
    }
}

/// A message with a vector in the form that RavenDB prints it: `A:17-` and 22 characters of the database's
/// id for each database that ever wrote, with a comma and a space between.
fn vector_bytes(vector: &[u32]) -> u64 {
    let entries = vector.iter().map(|number| 3 + u64::from(digits(*number)) + 22);
    let separators = 2 * (vector.len() as u64).saturating_sub(1);
    HEADER_BYTES + entries.sum::<u64>() + separators
}

fn digits(number: u32) -> u32 {
    number.checked_ilog10().map_or(1, |log| log + 1)
}

/// RavenDB's default of its heartbeat and of `ReplicationMinimalHeartbeat`.
const TICK_MS: u64 = 15_000;
/// Each node wrote once before the run: vectors name all of them, as in a cluster that has been in use.
const HISTORY: u32 = 1;
