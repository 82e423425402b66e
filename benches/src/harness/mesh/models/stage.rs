//! Virtual time, the links, and who holds which update.

use std::collections::BTreeMap;

use millpond::sim::mesh::{RoundTrips, Write};

use super::protocol::{Control, Protocol, Way};
use crate::mesh::disturbance::Disturbance;
use crate::workload::Random;

/// A protocol in a mesh in which every node is linked with every other.
pub struct Stage {
    protocol: Box<dyn Protocol>,
    /// What the protocol acts on.
    pub net: Net,
}

/// The nodes as a protocol sees them, and what was counted.
pub struct Net {
    round_trips: RoundTrips,
    disturbance: Disturbance,
    random: Random,
    now_ms: u64,
    /// What happens when; of one time in the order in which it was asked for.
    events: BTreeMap<u64, Vec<Event>>,
    links: Vec<Link>,
    updates: Vec<Spread>,
    /// Nodes of one region, if there are regions.
    pub region_nodes: Option<usize>,
    /// Bytes of all that is no update, since the start.
    pub control_bytes: u64,
    /// The messages of those.
    pub control_messages: u64,
}

/// An update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Update {
    /// Of all updates.
    pub index: usize,
    /// Who wrote it.
    pub origin: usize,
    /// Of its origin's updates: the first is 1 more than what a model takes for history.
    pub number: u32,
}

/// How far an update is.
#[derive(Debug, Clone)]
pub struct Spread {
    update: Update,
    /// When it was written.
    pub written_ms: u64,
    /// For each node when it came, and from whom.
    pub came: Vec<Option<(u64, usize)>>,
    /// How many nodes hold it.
    holders: usize,
    /// How often any node received it.
    pub copies: u64,
    /// How often from a node of another region.
    pub copies_from_afar: u64,
}

/// One way between two nodes.
#[derive(Debug, Clone, Copy, Default)]
struct Link {
    /// Nothing overtakes what was sent before it.
    last_arrival_ms: u64,
    /// Whatever is sent is lost, and nobody is told.
    is_cut: bool,
}

enum Event {
    Data(Way, Update),
    Control(Way, Control),
    Wake { node: usize, about: usize },
}

impl Stage {
    /// The protocol at time zero.
    pub fn new(
        protocol: Box<dyn Protocol>,
        round_trips: &RoundTrips,
        disturbance: Disturbance,
        seed: u64,
    ) -> Self {
        let links = vec![Link::default(); round_trips.nodes() * round_trips.nodes()];
        let net = Net {
            round_trips: round_trips.clone(),
            region_nodes: None,
            disturbance,
            random: Random::new(seed),
            now_ms: 0,
            events: BTreeMap::new(),
            links,
            updates: Vec::new(),
            control_bytes: 0,
            control_messages: 0,
        };
        let mut stage = Self { protocol, net };
        stage.protocol.start(&mut stage.net);
        stage
    }

    /// Writes an update now; its index.
    pub fn write(&mut self, origin: usize) -> usize {
        let net = &mut self.net;
        let before = net.updates.iter().filter(|spread| spread.update.origin == origin).count();
        let index = net.updates.len();
        let update = Update { index, origin, number: before as u32 + 2 };
        let mut came = vec![None; net.round_trips.nodes()];
        came[origin] = Some((net.now_ms, origin));
        let spread = Spread {
            update,
            written_ms: net.now_ms,
            came,
            holders: 1,
            copies: 0,
            copies_from_afar: 0,
        };
        net.updates.push(spread);
        self.protocol.write(net, update);
        index
    }

    /// Lets so long a time pass without writes that timers have nothing to do with each other any more.
    pub fn rest(&mut self) {
        self.protocol.rest(&mut self.net);
    }

    /// Lets time go on until then, including what happens at that time.
    pub fn run_until(&mut self, ms: u64) {
        while self.net.events.first_key_value().is_some_and(|(at, _)| *at <= ms) {
            self.step();
        }
        self.net.now_ms = ms;
    }

    /// Lets so much time pass.
    pub fn pass(&mut self, ms: u64) {
        self.run_until(self.net.now_ms + ms);
    }

    /// Writes all these updates, each in its time.
    pub fn write_all(&mut self, writes: impl Iterator<Item = Write>) {
        for write in writes {
            self.pass(write.after_ms);
            self.write(write.node);
        }
    }

    /// Lets time pass until all nodes hold all updates; gives up after so long, and says whether they do.
    pub fn level(&mut self, patience_ms: u64) -> bool {
        let deadline_ms = self.net.now_ms + patience_ms;
        while !self.net.is_level() {
            if self.net.events.first_key_value().is_none_or(|(at, _)| *at > deadline_ms) {
                return false;
            }
            self.step();
        }
        true
    }

    /// All that happens at the next time that something happens.
    fn step(&mut self) {
        let Some((now_ms, events)) = self.net.events.pop_first() else { return };
        self.net.now_ms = now_ms;
        for event in events {
            match event {
                Event::Data(way, update) => {
                    let is_new = self.net.take(way, update);
                    self.protocol.data(&mut self.net, way, update, is_new);
                }
                Event::Control(way, control) => {
                    self.protocol.control(&mut self.net, way, control);
                }
                Event::Wake { node, about } => self.protocol.wake(&mut self.net, node, about),
            }
        }
    }
}

impl Net {
    /// Sends an update.
    pub fn send(&mut self, way: Way, update: Update) {
        self.put(way, Event::Data(way, update));
    }

    /// Sends something else of so many bytes, headers included.
    pub fn send_control(&mut self, way: Way, bytes: u64, control: Control) {
        self.control_bytes += bytes;
        self.control_messages += 1;
        self.put(way, Event::Control(way, control));
    }

    /// Wakes a node later.
    pub fn wake_at(&mut self, ms: u64, node: usize, about: usize) {
        debug_assert!(ms > self.now_ms, "what happens now is no longer looked for");
        self.events.entry(ms).or_default().push(Event::Wake { node, about });
    }

    /// Silently loses whatever is sent between the two from now on.
    pub fn cut(&mut self, a: usize, b: usize) {
        for way in [Way { from: a, to: b }, Way { from: b, to: a }] {
            self.link(way).is_cut = true;
        }
    }

    /// Virtual time.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// All other nodes.
    pub fn peers(&self, node: usize) -> impl Iterator<Item = usize> + use<> {
        (0..self.round_trips.nodes()).filter(move |peer| *peer != node)
    }

    /// Whether a node holds an update.
    pub fn holds(&self, node: usize, update: Update) -> bool {
        self.updates[update.index].came[node].is_some()
    }

    /// The update of this index.
    pub fn update(&self, index: usize) -> Update {
        self.updates[index].update
    }

    /// How far each update is.
    pub fn spreads(&self) -> &[Spread] {
        &self.updates
    }

    fn is_level(&self) -> bool {
        // The last ones are those that may be missing: looked at first, this is quick.
        let nodes = self.round_trips.nodes();
        self.updates.iter().rev().all(|spread| spread.holders == nodes)
    }

    fn take(&mut self, way: Way, update: Update) -> bool {
        let spread = &mut self.updates[update.index];
        spread.copies += 1;
        let is_afar = self.region_nodes.is_some_and(|each| way.from / each != way.to / each);
        spread.copies_from_afar += u64::from(is_afar);
        let is_new = spread.came[way.to].is_none();
        if is_new {
            spread.came[way.to] = Some((self.now_ms, way.from));
            spread.holders += 1;
        }
        is_new
    }

    fn put(&mut self, way: Way, event: Event) {
        let one_way_ms = self.round_trips.one_way_ms(way.from, way.to);
        let late_ms = self.disturbance.late_ms(2 * one_way_ms, &mut self.random);
        let now_ms = self.now_ms;
        let link = self.link(way);
        if link.is_cut {
            return;
        }
        let arrival_ms = (now_ms + one_way_ms + late_ms).max(link.last_arrival_ms);
        link.last_arrival_ms = arrival_ms;
        self.events.entry(arrival_ms).or_default().push(event);
    }

    fn link(&mut self, way: Way) -> &mut Link {
        &mut self.links[way.from * self.round_trips.nodes() + way.to]
    }
}

impl Spread {
    /// How long until the last node had it; `None` if one does not.
    pub fn latency_ms(&self) -> Option<u64> {
        let mut last_ms = self.written_ms;
        for came in &self.came {
            last_ms = last_ms.max((*came)?.0);
        }
        Some(last_ms - self.written_ms)
    }

    /// Who wrote it.
    pub fn origin(&self) -> usize {
        self.update.origin
    }
}
