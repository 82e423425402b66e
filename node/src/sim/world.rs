//! The world: nodes, the network between them, and the time.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use millpond_core::transport::{Lane, LinkStats};
use millpond_core::{Namespace, Path, Payload, PayloadKind, VersionVector};
use rand_chacha::ChaCha8Rng;
use rand_core::Rng;

use super::delays::Delay;
use super::describe;
use super::indexed::declared;
use super::later::{Dressed, dress};
use super::mesh::meter::Meter;
use super::net::{Net, NetEvent, NodeId};
use super::node::{Done, Image, Running, Worked};
use super::nodes::{Nodes, Task};
use super::oracle::Oracle;
use super::sessions::Sessions;
use super::trace::{EventKind, Trace};
use crate::replication::{
    Answer, Collection, Input, JoinProgress, Limits, LinkId, Output, Remote, RequestId,
};
use crate::topology::settings::Topology;

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
    pub(crate) nodes: Nodes,
    pub(crate) net: Net,
    pub(crate) rng: ChaCha8Rng,
    /// Whether new nodes keep their data in files, on disks of sectors.
    pub(super) is_on_files: bool,
    /// Whether nodes declare indexes.
    pub(super) is_indexed: bool,
    /// What new nodes are made with.
    pub(crate) limits: Limits,
    pub(crate) collection: Collection,
    pub(crate) topology: Topology,
    /// How many messages of each kind arrived, if anybody counts.
    pub(crate) heard: Option<BTreeMap<String, u64>>,
    pub(crate) answers: BTreeMap<RequestId, Answer>,
    /// What became of each node's invite, as far as it knows.
    pub(crate) joined: Vec<Option<JoinProgress>>,
    pub(crate) last_request: u64,
    /// What nodes have found that every member has on its disk, since they were started.
    pub(crate) held_by_all: BTreeMap<NodeId, VersionVector>,
    /// Clients that move between nodes, and who waits for acks.
    pub(crate) sessions: Sessions,
    /// Steps since time last moved.
    pub(super) steps: u64,
    /// What happens.
    pub(crate) trace: Trace,
    /// Knows all that is written, in a run that is judged.
    pub(crate) oracle: Option<Oracle>,
    /// Nodes that need not be like the others any more: rotten, or one of two copies.
    pub(crate) outcasts: BTreeSet<NodeId>,
    /// Nodes whose folders were replaced.
    pub(crate) fallen_back: BTreeSet<NodeId>,
    /// Delayed replicas, and what they may show.
    pub(crate) delays: BTreeMap<NodeId, Delay>,
    /// Follows updates and counts frames, in a mesh that is measured.
    pub(crate) meter: Option<Meter>,
    /// What vectors cost, while that is weighed.
    pub(crate) weights: Option<super::churn::Weights>,
    /// Called after each commit of a node.
    pub(crate) observer: Option<Observer>,
    pub(crate) observed: Check,
}

impl World {
    /// Opens a stopped node's store as a new boot.
    pub(crate) fn start(&mut self, id: NodeId) {
        let (random, seed) = (self.rng.next_u64(), self.random());
        self.held_by_all.remove(&id);
        if self.is_indexed {
            self.nodes[id].declared = declared(self.nodes[id].boots);
        }
        let started = self.nodes[id].start(id, self.now_ms, random, seed);
        if started.is_err() {
            self.nodes[id].crash(false, 0);
        }
        let (boots, failed) = (self.nodes[id].boots, started.err());
        let (kind, text) = match &failed {
            None => (EventKind::Started, format!("starts: opening {boots}")),
            Some(error) => (EventKind::Ended, format!("does not start: {error}")),
        };
        self.trace.note(self.now_ms, id, kind, &[], || text);
        self.drain(id);
    }

    /// Kills a node. What its disk was writing is there or not.
    pub(crate) fn crash(&mut self, id: NodeId, is_written: bool) {
        let was_running = self.nodes[id].running.is_some();
        let seed = self.rng.next_u64();
        let done = self.nodes[id].crash(is_written, seed);
        if was_running {
            let text = || format!("ends: its disk did {} more", done.len());
            self.trace.note(self.now_ms, id, EventKind::Ended, &[u8::from(is_written)], text);
        }
        self.net.vanish(self.now_ms, id);
        self.note_done(id, done);
        self.note_vectors(id);
        self.forget_orders(id);
    }

    /// Kills a node, puts an image in the place of its folder, and starts it.
    pub(crate) fn restore(&mut self, id: NodeId, image: &Image) {
        self.crash(id, false);
        self.nodes[id].restore(image);
        let others: Vec<NodeId> = (0..self.nodes.len()).filter(|other| *other != id).collect();
        self.note_replaced(id, &others);
        self.start(id);
    }

    /// The oracle hears that a folder was replaced, and who else may hold what was in it.
    pub(super) fn note_replaced(&mut self, id: NodeId, others: &[NodeId]) {
        self.fallen_back.insert(id);
        let Some(mut oracle) = self.oracle.take() else { return };
        let vectors =
            NAMESPACES.map(|namespace| (namespace, self.view(id, namespace).vv().clone()));
        let noted = oracle.replaced(id, &vectors.into(), others);
        self.violated(noted);
        self.oracle = Some(oracle);
    }

    /// Cuts a node off from all others, or mends that.
    pub(crate) fn isolate(&mut self, id: NodeId, is_cut: bool) {
        for other in (0..self.nodes.len()).filter(|other| *other != id) {
            self.net.set_cut(self.now_ms, id, other, is_cut);
            self.net.set_cut(self.now_ms, other, id, is_cut);
        }
    }

    /// Mends both directions.
    pub(crate) fn heal(&mut self, a: NodeId, b: NodeId) {
        self.net.set_cut(self.now_ms, a, b, false);
        self.net.set_cut(self.now_ms, b, a, false);
    }

    /// Makes frames of a lane wait, or lets them go.
    pub(crate) fn hold(&mut self, from: NodeId, to: NodeId, lane: Lane, is_held: bool) {
        self.net.road(from, to).is_held[lane as usize] = is_held;
    }

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

    /// Lets time pass until all is level and silent, a minute at most.
    pub(crate) fn settle(&mut self) -> Check {
        self.settle_within(60_000)
    }

    /// Lets time pass until all running nodes are linked, level, and have nothing more to say; they must
    /// agree then, and their stores be sound.
    pub(crate) fn settle_within(&mut self, ms: u64) -> Check {
        if !self.is_plain() {
            return self.settle_by_links(ms);
        }
        self.run_until(ms, |world| world.is_level() && world.is_meshed() && world.is_written())
            .map_err(|why| format!("not level {why}: {}", self.standing()))?;
        self.run(2_000);
        self.observed.clone()?;
        self.run_until(ms, Self::is_level).map_err(|why| format!("not level again {why}"))?;
        self.agree()?;
        self.running().try_for_each(|id| super::audit::audit(self, id))
    }

    /// The same for nodes that are linked as their settings ask for, and level as far as data goes between
    /// them; looked at now and then, since there may be many.
    fn settle_by_links(&mut self, ms: u64) -> Check {
        let until_ms = self.now_ms + ms;
        let is_settled =
            |world: &Self| world.is_written() && world.is_meshed() && world.is_level_by_links();
        while !is_settled(self) {
            ensure!(self.now_ms < until_ms, "not level within {ms} ms: {}", self.standing());
            self.run(SETTLE_MS);
        }
        self.run(2_000);
        self.observed.clone()?;
        while !self.is_level_by_links() {
            ensure!(self.now_ms < until_ms, "not level again within {ms} ms: {}", self.standing());
            self.run(SETTLE_MS);
        }
        self.agree_by_links()?;
        self.running().try_for_each(|id| super::audit::audit(self, id))
    }

    /// Whether no disk has anything to do.
    pub(crate) fn is_written(&self) -> bool {
        self.nodes.iter().all(|node| node.running.as_ref().is_none_or(Running::is_idle))
    }

    /// Does what is due next, up to a time; false when nothing is.
    pub(crate) fn step(&mut self, until_ms: u64) -> bool {
        let net_ms = self.net.next_ms();
        let node = self.nodes.next(self.now_ms);
        // Of what is due at one moment, frames come first.
        let at_ms = net_ms.into_iter().chain(node.map(|(at_ms, ..)| at_ms)).min();
        let Some(at_ms) = at_ms.filter(|at_ms| *at_ms <= until_ms) else { return false };
        let at_node = node.filter(|_| net_ms != Some(at_ms)).map(|(_, task, id)| (task, id));
        self.steps = if at_ms > self.now_ms { 0 } else { self.steps + 1 };
        assert!(self.steps < SPINS_MAX, "liveness: spins at {at_ms} ms ({at_node:?})");
        self.now_ms = self.now_ms.max(at_ms);
        match at_node {
            None => self.net_event(),
            Some((Task::Disk, id)) => self.work(id),
            Some((Task::Timer, id)) => self.wake(id),
        }
        true
    }

    fn wake(&mut self, id: NodeId) {
        let running = self.nodes[id].running.as_ref();
        let has_work = running.is_some_and(|running| running.engine.has_work());
        self.input(id, if has_work { Input::Continue } else { Input::Timer });
    }

    fn work(&mut self, id: NodeId) {
        let Some(Worked { input, done, is_dead }) = self.nodes[id].work(self.now_ms) else {
            return;
        };
        let results = done.len() as u8;
        let text =
            || format!("commits: {}{}", done.len(), if is_dead { ", and fails" } else { "" });
        self.trace.note(self.now_ms, id, EventKind::Disk, &[results, u8::from(is_dead)], text);
        self.note_done(id, done);
        self.note_vectors(id);
        self.input(id, input);
        if is_dead {
            // As the shell does: whoever waits is told, and the process ends.
            self.crash(id, false);
        }
        self.look_at_delay(id);
        self.observe(id);
    }

    /// A disk has jobs: the oracle hears of it before anybody else can.
    pub(crate) fn note_done(&mut self, id: NodeId, done: Vec<Done>) {
        let issued: usize = done.iter().map(|done| done.pushes.len()).sum();
        if id < self.nodes.len() {
            self.nodes[id].issued += issued as u64;
        }
        if let Some(oracle) = &mut self.oracle {
            let noted = oracle.committed(id, done);
            self.violated(noted);
        }
    }

    /// The oracle hears which vectors a node is at.
    pub(crate) fn note_vectors(&mut self, id: NodeId) {
        let Some(mut oracle) = self.oracle.take() else { return };
        for namespace in NAMESPACES {
            let noted = match self.try_view(id, namespace) {
                Ok(view) => oracle.advance(id, namespace, view.vv()),
                Err(error) => Err(format!("the store of {id}: {error}")),
            };
            self.violated(noted);
        }
        self.oracle = Some(oracle);
    }

    /// Keeps the first thing that was found wrong.
    pub(crate) fn violated(&mut self, check: Check) {
        if let (Ok(()), Err(why)) = (&self.observed, check) {
            self.trace.note(self.now_ms, 0, EventKind::Violation, &[], || why.clone());
            self.observed = Err(format!("{why} (at {} ms)", self.now_ms));
        }
    }

    fn observe(&mut self, id: NodeId) {
        let Some(mut observer) = self.observer.take() else { return };
        if self.observed.is_ok() {
            let observed = observer(self, id);
            self.violated(observed);
        }
        self.observer = Some(observer);
    }

    fn net_event(&mut self) {
        let Some(event) = self.net.take() else { return };
        let now_ms = self.now_ms;
        match event {
            NetEvent::Dialed { from, to, is_answered } => {
                let is_answered = is_answered && self.nodes[to].running.is_some();
                let kind = EventKind::Link { peer: to };
                let text = || if is_answered { "dials" } else { "dials in vain" }.into();
                self.trace.note(now_ms, from, kind, &[0, u8::from(is_answered)], text);
                if is_answered {
                    self.net.connect(now_ms, from, to);
                } else {
                    let reason = "no answer".into();
                    self.input(from, Input::DialFailed { peer: self.nodes[to].key, reason });
                }
            }
            NetEvent::Up { node, link, peer, dialed } => {
                let kind = EventKind::Link { peer };
                self.trace.note(now_ms, node, kind, &[1], || format!("up: link {}", link.0));
                let us = 1_000 * self.net.round_trip_ms(node, peer);
                let remote = Remote { transport: "simulated", address: peer.to_string() };
                let peer = self.nodes[peer].shows;
                self.input(node, Input::LinkUp { link, peer, dialed, remote });
                self.input(node, Input::RoundTrip { link, us });
            }
            NetEvent::Frame { node, link, lane, frame, from, sent_ms, sender } => {
                let kind = EventKind::Frame { from, sent_ms, is_bulk: lane == Lane::Bulk };
                self.trace.note(now_ms, node, kind, &frame, || describe::frame(&frame));
                if let Some(heard) = &mut self.heard {
                    *heard.entry(describe::kind(&frame)).or_default() += 1;
                }
                if let Some(meter) = &mut self.meter {
                    meter.arrived(node, from, &frame);
                }
                if let Some(link) = sender {
                    self.input(from, Input::Sent { link, lane, bytes: frame.len() });
                }
                self.input(node, Input::Frame { link, lane, frame });
            }
            NetEvent::Down { node, link, peer, down } => {
                let (code, reason, stats) = (down.code, down.reason, LinkStats::default());
                let kind = EventKind::Link { peer };
                let text = || format!("down: link {}, {code:?}, {reason}", link.0);
                self.trace.note(now_ms, node, kind, reason.as_bytes(), text);
                let peer = self.nodes[peer].key;
                self.input(node, Input::LinkDown { link, peer, code, reason, stats });
            }
        }
    }

    /// Gives a node an input, and carries out what it wants done.
    pub(crate) fn input(&mut self, id: NodeId, input: Input) {
        let now = self.nodes[id].now(self.now_ms);
        let Some(running) = &mut self.nodes[id].running else { return };
        running.engine_mut().handle(now, input);
        self.drain(id);
    }

    fn drain(&mut self, id: NodeId) {
        while let Some(running) = &mut self.nodes[id].running
            && let Some(output) = running.engine_mut().poll_output()
        {
            match output {
                Output::Send { link, lane, frame } => self.send(id, link, lane, frame),
                Output::Close { link, code, reason } => {
                    self.net.close(self.now_ms, link, code, reason);
                }
                Output::Dial { keys, addresses, .. } => {
                    let to: NodeId = addresses[0].parse().expect("addresses are numbers here");
                    let is_expected = keys.contains(&self.nodes[to].shows);
                    let is_there = self.nodes[to].running.is_some() && is_expected;
                    self.net.dial(self.now_ms, id, to, is_there);
                }
                Output::ShowKey { key } => self.show_key(id, key),
                Output::Commit { token, job } => self.nodes[id].submit(self.now_ms, token, job),
                Output::Answer { id: request, answer } => {
                    let text = || format!("answered: {}, {}", request.0, describe::answer(&answer));
                    let content = request.0.to_le_bytes();
                    self.trace.note(self.now_ms, id, EventKind::Client, &content, text);
                    let answered = super::judge::answered(self, id, &answer);
                    self.violated(answered);
                    let followed = super::sessions::answered(self, id, request, &answer);
                    self.violated(followed);
                    self.answers.insert(request, answer);
                }
                Output::Shown { .. } => {}
                Output::HeldByAll { vv } => drop(self.held_by_all.insert(id, vv)),
                Output::Join(progress) => self.joined[id] = Some(progress),
                Output::Applied { namespace, vv } => {
                    if let Some(meter) = &mut self.meter {
                        meter.applied(self.now_ms, id, namespace, &vv);
                    }
                }
            }
        }
    }

    fn send(&mut self, id: NodeId, link: LinkId, lane: Lane, frame: Bytes) {
        if self.oracle.is_some() {
            let said = super::speech::is_true(self, id, link, &frame);
            self.violated(said);
        }
        self.weigh(id, link, &frame);
        if let Some(meter) = &mut self.meter {
            meter.sent.count(&frame);
        }
        if !self.nodes[id].is_newer {
            return self.net.send(self.now_ms, link, lane, frame);
        }
        let Dressed { frames, beside } = dress(frame);
        for frame in frames {
            self.net.send(self.now_ms, link, lane, frame);
        }
        if let Some(frame) = beside {
            self.net.send_beside(self.now_ms, link, lane, frame);
        }
    }

    pub(crate) fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
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
    members: crate::limits::MEMBERS_MAX,
    strangers: crate::limits::STRANGERS_MAX,
    ring_bytes: 6_000,
    waiting_bytes: 2_000,
    batch_bytes: 900,
    slice_bytes: 300,
    slice_rows: 8,
    fold_rows: 3,
    snapshot_ms: 3_000,
    rows_frame_bytes: 150,
    collected_dots: 8,
};
/// The namespaces of this version.
pub(crate) const NAMESPACES: [Namespace; 2] = [Namespace::SYSTEM, Namespace::MAIN];
/// How often a world is looked at that is to settle by its links.
const SETTLE_MS: u64 = 50;
/// Steps at one moment beyond which a node turns in circles.
const SPINS_MAX: u64 = 100_000;
