//! The rig: a few nodes in virtual time.

use std::collections::BTreeMap;

use bytes::Bytes;
use millpond_core::transport::{Lane, LinkStats};
use millpond_core::wire::Decoder;
use millpond_core::{Namespace, Path, Payload, PayloadKind};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::net::{Net, NetEvent, NodeId};
use super::node::{DOMAIN, Image, Node, Running, key};
use crate::membership::{Invite, InviteOptions, Role, grant_role};
use crate::replication::{Answer, Input, JoinProgress, Limits, Output, Request, RequestId};
use crate::state::{Heads, Identity, Job, Local, commit_group, meta_key, write_meta};
use crate::store::memory::MemoryStore;
use crate::store::{Changes, Durability, Store};

/// What a scenario came to.
pub(crate) type Check = Result<(), String>;

/// Looks at a node after each of its commits.
pub(crate) type Observer = Box<dyn FnMut(&World, NodeId) -> Check>;

/// Fails a scenario unless a condition holds.
macro_rules! ensure {
    ($holds:expr, $($why:tt)*) => {
        if !$holds {
            return Err(format!($($why)*));
        }
    };
}
pub(crate) use ensure;

/// Nodes, the network between them, and the time.
pub(crate) struct World {
    pub(crate) now_ms: u64,
    pub(crate) nodes: Vec<Node>,
    pub(crate) net: Net,
    pub(crate) rng: ChaCha8Rng,
    /// What new nodes are made with.
    pub(crate) limits: Limits,
    /// How many messages of each kind arrived, if anybody counts.
    pub(crate) heard: Option<BTreeMap<String, u64>>,
    pub(crate) answers: BTreeMap<RequestId, Answer>,
    joined: Vec<bool>,
    pub(crate) last_request: u64,
    /// Steps since time last moved.
    steps: u64,
    /// Whether to print what happens (`MILLPOND_TRACE`).
    is_traced: bool,
    /// Called after each commit of a node.
    pub(crate) observer: Option<Observer>,
    pub(crate) observed: Check,
}

impl World {
    /// A domain of one node, which runs.
    pub(crate) fn new(seed: u64) -> Self {
        let mut world = Self {
            now_ms: 1,
            nodes: Vec::new(),
            net: Net::default(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            limits: Limits::default(),
            heard: None,
            answers: BTreeMap::new(),
            joined: Vec::new(),
            last_request: 0,
            steps: 0,
            is_traced: std::env::var_os("MILLPOND_TRACE").is_some(),
            observer: None,
            observed: Ok(()),
        };
        let store = world.blank_store(0, None);
        let mut heads = Heads::default();
        let own = key(0);
        let local = Local {
            namespace: Namespace::SYSTEM,
            closure: Box::new(move |tx| grant_role(tx, own, Role::Admin, own)),
            now_ms: 1_790_000_000_000,
            ended: None,
            fresh: millpond_core::Incarnation::from_bytes(world.random()),
            key: own,
        };
        for result in commit_group(&store, &mut heads, vec![Job::Local(local)]).unwrap() {
            result.unwrap();
        }
        world.add(store);
        world
    }

    /// A full mesh of members, linked and level.
    pub(crate) fn mesh(count: usize, seed: u64) -> Self {
        let mut world = Self::new(seed);
        for _ in 1..count {
            world.join();
        }
        world.settle().unwrap();
        world
    }

    /// The same with small sizes, so that a few rows are a large catch-up.
    pub(crate) fn small_mesh(count: usize, seed: u64) -> Self {
        let mut world = Self::new(seed);
        world.limits = SMALL;
        world.restart_all();
        for _ in 1..count {
            world.join();
        }
        world.settle().unwrap();
        world
    }

    /// One more node, invited by the first.
    pub(crate) fn join(&mut self) -> NodeId {
        let options = InviteOptions { role: Role::Writer, ..InviteOptions::default() };
        let secret = self.random();
        let id = self.ask(0, Request::Invite { options, secret });
        self.run(100);
        let Some(Answer::Invite(Ok(invite))) = self.answers.remove(&id) else {
            panic!("no invite: node 0 is no admin, or its disk failed")
        };
        let store = self.blank_store(self.nodes.len(), Some(&invite));
        let node = self.add(store);
        self.run_until(20_000, |world| world.joined[node]).unwrap();
        node
    }

    fn blank_store(&mut self, id: NodeId, invite: Option<&Invite>) -> MemoryStore {
        let store = MemoryStore::new();
        let mut changes = Changes::default();
        let about = Identity { store: self.random(), domain: DOMAIN, key: key(id) };
        write_meta(&mut changes, meta_key::identity(), Some(&about));
        if let Some(invite) = invite {
            write_meta(&mut changes, meta_key::pending_invite(), Some(invite));
        }
        store.commit(&changes, Durability::Synced).unwrap();
        store
    }

    fn add(&mut self, store: MemoryStore) -> NodeId {
        let id = self.nodes.len();
        self.nodes.push(Node::new(id, store));
        self.nodes[id].limits = self.limits;
        self.joined.push(false);
        self.start(id);
        id
    }

    // Faults.

    /// Starts a copy of a node's folder elsewhere.
    pub(crate) fn start_copy(&mut self, of: NodeId) -> NodeId {
        let image = self.nodes[of].image();
        let id = self.nodes.len();
        self.nodes.push(Node::new(id, MemoryStore::new()));
        self.joined.push(true);
        self.nodes[id].key = self.nodes[of].key;
        self.nodes[id].restore(&image);
        self.start(id);
        id
    }

    /// Opens a stopped node's store as a new boot.
    pub(crate) fn start(&mut self, id: NodeId) {
        let (random, seed) = (self.rng.next_u64(), self.random());
        self.nodes[id].start(id, self.now_ms, random, seed);
        self.drain(id);
    }

    /// Stops all nodes and starts them again, with the sizes of now.
    pub(crate) fn restart_all(&mut self) {
        for id in 0..self.nodes.len() {
            self.crash(id, true);
            self.nodes[id].limits = self.limits;
            self.start(id);
        }
    }

    /// Kills a node. What its disk was writing is there or not.
    pub(crate) fn crash(&mut self, id: NodeId, is_written: bool) {
        self.nodes[id].crash(is_written);
        self.net.vanish(self.now_ms, id);
    }

    /// Kills a node, puts an image in the place of its folder, and starts it.
    pub(crate) fn restore(&mut self, id: NodeId, image: &Image) {
        self.crash(id, false);
        self.nodes[id].restore(image);
        self.start(id);
    }

    /// Cuts both directions between two nodes.
    pub(crate) fn cut(&mut self, a: NodeId, b: NodeId) {
        self.net.set_cut(self.now_ms, a, b, true);
        self.net.set_cut(self.now_ms, b, a, true);
    }

    /// Mends both directions.
    pub(crate) fn heal(&mut self, a: NodeId, b: NodeId) {
        self.net.set_cut(self.now_ms, a, b, false);
        self.net.set_cut(self.now_ms, b, a, false);
    }

    /// Cuts a node off from all others, or mends that.
    pub(crate) fn isolate(&mut self, id: NodeId, is_cut: bool) {
        for other in (0..self.nodes.len()).filter(|other| *other != id) {
            self.net.set_cut(self.now_ms, id, other, is_cut);
            self.net.set_cut(self.now_ms, other, id, is_cut);
        }
    }

    /// Makes frames of a lane wait, or lets them go.
    pub(crate) fn hold(&mut self, from: NodeId, to: NodeId, lane: Lane, is_held: bool) {
        self.net.road(from, to).is_held[lane as usize] = is_held;
    }

    /// How long frames travel from one node to another, on both lanes.
    pub(crate) fn delay(&mut self, from: NodeId, to: NodeId, delay_ms: u64) {
        self.net.road(from, to).delay_ms = [delay_ms; 2];
    }

    // Time.

    /// Lets time pass.
    pub(crate) fn run(&mut self, ms: u64) {
        let until_ms = self.now_ms + ms;
        while self.step(until_ms) {}
        self.now_ms = until_ms;
    }

    /// Lets time pass until something holds, and says when that was.
    pub(crate) fn run_until(
        &mut self,
        ms: u64,
        holds: impl Fn(&Self) -> bool,
    ) -> Result<u64, String> {
        let started_ms = self.now_ms;
        while !holds(self) {
            if !self.step(started_ms + ms) {
                return Err(format!("not within {ms} ms"));
            }
        }
        Ok(self.now_ms - started_ms)
    }

    /// Lets time pass until all running nodes are linked, level, and have nothing more to say; they must
    /// agree then, and their stores be sound.
    pub(crate) fn settle(&mut self) -> Check {
        self.settle_within(60_000)
    }

    pub(crate) fn settle_within(&mut self, ms: u64) -> Check {
        self.run_until(ms, |world| world.is_level() && world.is_meshed() && world.is_written())
            .map_err(|why| format!("not level {why}: {}", self.standing()))?;
        self.run(2_000);
        self.observed.clone()?;
        self.agree()?;
        self.running().try_for_each(|id| super::audit::audit(self, id))
    }

    fn is_written(&self) -> bool {
        self.nodes.iter().all(|node| node.running.as_ref().is_none_or(Running::is_idle))
    }

    fn is_meshed(&self) -> bool {
        let all: Vec<NodeId> = self.running().collect();
        all.iter().all(|&a| all.iter().all(|&b| a <= b || self.net.is_linked(a, b)))
    }

    /// Does what is due next, up to a time; false when nothing is.
    pub(crate) fn step(&mut self, until_ms: u64) -> bool {
        let disks = (0..self.nodes.len()).filter_map(|id| Some((self.nodes[id].next_ms()?, 1, id)));
        let timers = self.running().map(|id| {
            let engine = &self.nodes[id].running.as_ref().unwrap().engine;
            let at_ms = if engine.has_work() { self.now_ms } else { engine.next_deadline() };
            (at_ms, 2, id)
        });
        let net = self.net.next_ms().map(|at_ms| (at_ms, 0, 0));
        let next = disks.chain(timers).chain(net).min();
        let Some((at_ms, kind, id)) = next.filter(|(at_ms, ..)| *at_ms <= until_ms) else {
            return false;
        };
        self.steps = if at_ms > self.now_ms { 0 } else { self.steps + 1 };
        assert!(self.steps < SPINS_MAX, "node {id} spins at {at_ms} ms (kind {kind})");
        self.now_ms = self.now_ms.max(at_ms);
        match kind {
            0 => self.net_event(),
            1 => {
                if let Some(input) = self.nodes[id].work(self.now_ms) {
                    self.input(id, input);
                    self.observe(id);
                }
            }
            _ => {
                let has_work = self.nodes[id].running.as_ref().unwrap().engine.has_work();
                self.input(id, if has_work { Input::Continue } else { Input::Timer });
            }
        }
        true
    }

    fn observe(&mut self, id: NodeId) {
        let Some(mut observer) = self.observer.take() else { return };
        if self.observed.is_ok() {
            self.observed = observer(self, id);
        }
        self.observer = Some(observer);
    }

    fn net_event(&mut self) {
        let Some(event) = self.net.take() else { return };
        self.trace(&event);
        self.count(&event);
        match event {
            NetEvent::Dialed { from, to, is_answered } => {
                if is_answered && self.nodes[to].running.is_some() {
                    self.net.connect(self.now_ms, from, to);
                } else {
                    let reason = "no answer".into();
                    self.input(from, Input::DialFailed { peer: self.nodes[to].key, reason });
                }
            }
            NetEvent::Up { node, link, peer, dialed } => {
                let (peer, remote_address) = (self.nodes[peer].key, peer.to_string());
                self.input(node, Input::LinkUp { link, peer, dialed, remote_address });
            }
            NetEvent::Frame { node, link, lane, frame, sender } => {
                if let Some((sender, link)) = sender {
                    self.input(sender, Input::Sent { link, lane, bytes: frame.len() });
                }
                self.input(node, Input::Frame { link, lane, frame });
            }
            NetEvent::Down { node, link, peer, down } => {
                let (code, reason, stats) = (down.code, down.reason, LinkStats::default());
                let peer = self.nodes[peer].key;
                self.input(node, Input::LinkDown { link, peer, code, reason, stats });
            }
        }
    }

    /// Gives a node an input, and carries out what it wants done.
    pub(crate) fn input(&mut self, id: NodeId, input: Input) {
        let now = self.nodes[id].now(self.now_ms);
        let Some(running) = &mut self.nodes[id].running else { return };
        running.engine.handle(now, input);
        self.drain(id);
    }

    fn drain(&mut self, id: NodeId) {
        while let Some(running) = &mut self.nodes[id].running
            && let Some(output) = running.engine.poll_output()
        {
            if self.is_traced && !matches!(output, Output::Send { .. }) {
                println!("{} ms: {id} wants {output:?}", self.now_ms);
            }
            match output {
                Output::Send { link, lane, frame } => self.net.send(self.now_ms, link, lane, frame),
                Output::Close { link, code, reason } => {
                    self.net.close(self.now_ms, link, code, reason);
                }
                Output::Dial { addresses, .. } => {
                    let to: NodeId = addresses[0].parse().unwrap();
                    let is_there = self.nodes[to].running.is_some();
                    self.net.dial(self.now_ms, id, to, is_there);
                }
                Output::Commit { token, job } => self.nodes[id].submit(self.now_ms, token, job),
                Output::Answer { id, answer } => drop(self.answers.insert(id, answer)),
                Output::Join(progress) => self.joined[id] = progress == JoinProgress::Joined,
                Output::Applied { .. } => {}
            }
        }
    }

    fn count(&mut self, event: &NetEvent) {
        if let (Some(heard), NetEvent::Frame { frame, .. }) = (&mut self.heard, event) {
            let message = format!("{:?}", Decoder::new().decode(frame.clone()).unwrap());
            let kind = message.trim_start_matches("Some(").split(['(', ' ']).next().unwrap();
            *heard.entry(kind.into()).or_default() += 1;
        }
    }

    fn trace(&self, event: &NetEvent) {
        if !self.is_traced {
            return;
        }
        match event {
            NetEvent::Frame { node, link, frame, .. } => {
                let message = Decoder::new().decode(frame.clone());
                println!("{} ms: {node} on {} gets {message:?}", self.now_ms, link.0);
            }
            other => println!("{} ms: {other:?}", self.now_ms),
        }
    }

    pub(crate) fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound
    }
}

/// The path of these components, parted by slashes.
pub(crate) fn path(text: &str) -> Path {
    Path::new(text.split('/')).unwrap()
}

/// A register's payload.
pub(crate) fn text(value: &str) -> Payload {
    Payload { kind: PayloadKind::LWW, bytes: Bytes::copy_from_slice(value.as_bytes()) }
}

/// Sizes at which a few rows fill what gigabytes fill in life.
pub(crate) const SMALL: Limits = Limits {
    ring_bytes: 6_000,
    waiting_bytes: 2_000,
    batch_bytes: 900,
    slice_bytes: 300,
    rows_frame_bytes: 150,
    collected_dots: 8,
};
/// The namespaces of this version.
pub(crate) const NAMESPACES: [Namespace; 2] = [Namespace::SYSTEM, Namespace::MAIN];
/// Steps at one moment beyond which a node turns in circles.
const SPINS_MAX: u64 = 100_000;
