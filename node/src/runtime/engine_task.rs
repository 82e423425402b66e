//! The engine's task: feeds it inputs, carries out its outputs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millpond_core::transport::Link;
use millpond_core::{NodeKey, VersionVector};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::accepting::Showing;
use super::inboxes::Inboxes;
use super::link_task::LinkQueues;
use super::{Jobs, Lease, LeaseFile, WallClock, WriterMessage};
use crate::config::Config;
use crate::key_ring::KeyRing;
use crate::network::Routes;
use crate::replication::{
    Answer, Engine, Input, JoinProgress, LinkId, LinkNow, Now, Output, Remote, Request, RequestId,
    Sight,
};
use crate::state::Heads;

/// What reaches the engine's task.
pub(crate) enum Event {
    /// An input for the engine.
    Input(Input),
    /// A question of the application.
    Request(Request, oneshot::Sender<Answer>),
    /// A link is authenticated.
    Link(Box<dyn Link>),
    /// A link's tasks have ended.
    LinkEnded(LinkId, Input),
    /// The application follows what peers hold.
    Follow(oneshot::Sender<watch::Receiver<Sight>>),
}

/// The way to the engine's task.
#[derive(Clone)]
pub(crate) struct EngineHandle {
    pub(crate) events: mpsc::Sender<Event>,
    /// The vector of the main namespace after each commit.
    pub(crate) committed: watch::Receiver<VersionVector>,
    /// What every member has on its disk of it.
    pub(crate) held_by_all: watch::Receiver<VersionVector>,
    /// What became of joining; `None` for a node that came without an invite.
    pub(crate) joined: watch::Receiver<Option<JoinProgress>>,
}

impl EngineHandle {
    /// Asks, and waits for the answer; `None` when the engine has stopped.
    pub(crate) async fn ask(&self, request: Request) -> Option<Answer> {
        let (reply, answer) = oneshot::channel();
        self.events.send(Event::Request(request, reply)).await.ok()?;
        answer.await.ok()
    }

    /// Follows what peers hold; `None` when the engine has stopped.
    pub(crate) async fn sight(&self) -> Option<watch::Receiver<Sight>> {
        let (reply, answer) = oneshot::channel();
        self.events.send(Event::Follow(reply)).await.ok()?;
        answer.await.ok()
    }
}

/// Everything that the engine's task needs.
pub(crate) struct EngineTask {
    engine: Engine,
    shell: Shell,
    inboxes: Inboxes<Event>,
    links: BTreeMap<LinkId, LinkQueues>,
    questions: BTreeMap<RequestId, oneshot::Sender<Answer>>,
    followers: Vec<watch::Sender<Sight>>,
    /// How often the members had changed when the transports were told of them.
    member_changes: u64,
    next_link: u64,
    next_request: u64,
    /// When the engine is told the links' round trips next.
    round_trips_due: Instant,
}

/// What the engine's task works with.
pub(crate) struct Shell {
    pub(crate) network: Option<Arc<Routes>>,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) config: Arc<Config>,
    pub(crate) writer: Jobs,
    pub(crate) events: mpsc::Sender<Event>,
    /// Frames of bulk lanes.
    pub(crate) bulk: mpsc::Sender<Event>,
    pub(crate) committed: watch::Sender<VersionVector>,
    pub(crate) held_by_all: watch::Sender<VersionVector>,
    pub(crate) joined: watch::Sender<Option<JoinProgress>>,
    pub(crate) lease: Option<LeaseKeeper>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    /// When the monotonic clock starts for the engine.
    pub(crate) epoch: Instant,
    pub(crate) clock: WallClock,
}

/// Keeps the lease of a running store fresh.
pub(crate) struct LeaseKeeper {
    pub(crate) file: LeaseFile,
    pub(crate) store: [u8; 16],
    pub(crate) boot: millpond_core::Boot,
    pub(crate) heads: Heads,
    /// Whether the store holds whatever it has ever held.
    pub(crate) is_level: bool,
    pub(crate) is_stale: bool,
    pub(crate) due: Instant,
}

impl EngineTask {
    /// A task for an engine, fed by two inboxes: for everything, and for what comes on bulk lanes.
    pub(crate) fn new(
        engine: Engine,
        [inbox, bulk]: [mpsc::Receiver<Event>; 2],
        shell: Shell,
    ) -> Self {
        let (links, questions) = (BTreeMap::new(), BTreeMap::new());
        let round_trips_due = Instant::now();
        let (next_link, next_request) = (0, 0);
        let followers = Vec::new();
        Self {
            engine,
            shell,
            inboxes: Inboxes::new(inbox, bulk),
            links,
            questions,
            followers,
            member_changes: 0,
            next_link,
            next_request,
            round_trips_due,
        }
    }

    /// Runs until `stop` is cancelled.
    pub(crate) async fn run(mut self) {
        self.drain();
        loop {
            let has_work = self.engine.has_work();
            let deadline = self.deadline();
            let event = tokio::select! {
                biased;
                () = self.shell.stop.cancelled() => break,
                event = self.inboxes.first() => event,
                () = tokio::time::sleep_until(deadline), if !has_work => {
                    Some(Event::Input(Input::Timer))
                }
                () = tokio::task::yield_now(), if has_work => {
                    Some(Event::Input(Input::Continue))
                }
            };
            let Some(event) = event else { break };
            self.event(event);
            // Take what else is there before carrying out the consequences: commits and frames group.
            while let Some(event) = self.inboxes.more() {
                self.event(event);
            }
            self.tell_round_trips();
            self.drain();
            self.tell_followers();
            self.renew_lease();
        }
        self.finish().await;
    }

    fn event(&mut self, event: Event) {
        let input = match event {
            Event::Input(input) => input,
            Event::Request(request, reply) => {
                self.next_request += 1;
                let id = RequestId(self.next_request);
                self.questions.insert(id, reply);
                let request = self.with_links(request);
                Input::Request { id, request }
            }
            Event::Link(link) => {
                self.next_link += 1;
                let id = LinkId(self.next_link);
                let (peer, dialed) = (link.peer(), link.dialed());
                let remote = Remote { transport: link.transport(), address: link.remote_address() };
                let inboxes = [&self.shell.events, &self.shell.bulk].map(mpsc::Sender::clone);
                let queues = LinkQueues::start(id, link, inboxes, &self.shell.tasks);
                self.links.insert(id, queues);
                self.round_trips_due = Instant::now();
                Input::LinkUp { link: id, peer, dialed, remote }
            }
            Event::LinkEnded(id, input) => {
                self.links.remove(&id);
                input
            }
            Event::Follow(reply) => {
                let (follower, sight) = watch::channel(self.engine.sight());
                self.followers.push(follower);
                return drop(reply.send(sight));
            }
        };
        if let (Input::Committed { heads, .. }, Some(lease)) = (&input, &mut self.shell.lease) {
            lease.is_stale |= lease.heads.vv != heads.vv;
            lease.heads.clone_from(heads);
        }
        let now = self.now();
        self.engine.handle(now, input);
    }

    /// Round trips change slowly, and while nothing happens nobody needs them.
    fn tell_round_trips(&mut self) {
        if self.round_trips_due > Instant::now() {
            return;
        }
        self.round_trips_due = Instant::now() + ROUND_TRIPS_PERIOD;
        let now = self.now();
        for (&link, queues) in &self.links {
            let us = queues.link().stats().round_trip_us;
            if us > 0 {
                self.engine.handle(now, Input::RoundTrip { link, us });
            }
        }
    }

    /// Costs nothing while nobody follows.
    fn tell_followers(&mut self) {
        self.followers.retain(|follower| !follower.is_closed());
        if self.followers.is_empty() {
            return;
        }
        let sight = self.engine.sight();
        for follower in &self.followers {
            follower.send_if_modified(|held| {
                let is_new = *held != sight;
                if is_new {
                    held.clone_from(&sight);
                }
                is_new
            });
        }
    }

    fn with_links(&self, request: Request) -> Request {
        match request {
            Request::Status { store_bytes, warnings, .. } => {
                let now = |link: &dyn Link| LinkNow {
                    stats: link.stats(),
                    address: link.remote_address(),
                };
                let links = self.links.iter().map(|(&id, queues)| (id, now(queues.link())));
                Request::Status { links: links.collect(), store_bytes, warnings }
            }
            other => other,
        }
    }

    fn drain(&mut self) {
        self.tell_members();
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Send { link, lane, frame } => {
                    if let Some(queues) = self.links.get(&link) {
                        queues.send(lane, frame);
                    }
                }
                Output::Close { link, code, reason } => {
                    if let Some(queues) = self.links.get(&link) {
                        queues.close(code, &reason);
                    }
                }
                Output::Dial { peer, keys, addresses } => self.dial(peer, keys, addresses),
                Output::ShowKey { key } => self.show(key),
                Output::Commit { token, job } => {
                    self.shell.writer.send(WriterMessage::Job(token, job));
                }
                Output::Answer { id, answer } => {
                    if let Some(reply) = self.questions.remove(&id) {
                        let _ = reply.send(answer);
                    }
                }
                Output::Shown { vv } => self.tell_shown(vv),
                Output::HeldByAll { vv } => drop(self.shell.held_by_all.send_replace(vv)),
                Output::Applied { .. } => {}
                Output::Join(progress) => drop(self.shell.joined.send_replace(Some(progress))),
            }
        }
    }

    /// A commit that was shown before it was durable wakes nobody again.
    fn tell_shown(&self, vv: VersionVector) {
        self.shell.committed.send_if_modified(|held| {
            let is_new = *held != vv;
            *held = vv;
            is_new
        });
    }

    fn tell_members(&mut self) {
        let Some(network) = &self.shell.network else { return };
        let changes = self.engine.member_changes();
        if std::mem::replace(&mut self.member_changes, changes) != changes {
            network.tell_members(self.engine.member_keys());
        }
    }

    fn show(&self, key: NodeKey) {
        let shell = &self.shell;
        let showing = Showing {
            keys: shell.keys.clone(),
            network: shell.network.clone(),
            config: shell.config.clone(),
            events: shell.events.clone(),
            tasks: shell.tasks.clone(),
            stop: shell.stop.clone(),
        };
        shell.tasks.spawn(showing.show(key));
    }

    fn dial(&self, peer: NodeKey, keys: Vec<NodeKey>, addresses: Vec<String>) {
        let Some(network) = self.shell.network.clone() else {
            return;
        };
        let events = self.shell.events.clone();
        self.shell.tasks.spawn(async move {
            let event = match network.dial(&addresses, &keys).await {
                Ok(link) => Event::Link(link),
                Err(reason) => Event::Input(Input::DialFailed { peer, reason }),
            };
            drop(events.send(event).await);
        });
    }

    fn renew_lease(&mut self) {
        let engine = &self.engine;
        if let Some(keeper) = &mut self.shell.lease {
            keeper.is_stale |= keeper.is_level != engine.is_level();
            keeper.is_level = engine.is_level();
        }
        let may_write = |keeper: &&mut LeaseKeeper| engine.may_write_lease(&keeper.heads);
        let Some(keeper) = self.shell.lease.as_mut().filter(may_write) else { return };
        if !keeper.is_stale || keeper.due > Instant::now() {
            return;
        }
        keeper.is_stale = false;
        keeper.due = Instant::now() + LEASE_PERIOD;
        let (file, lease) = (keeper.file.clone(), keeper.lease());
        self.shell.tasks.spawn_blocking(move || {
            if let Err(error) = file.write(&lease) {
                tracing::warn!(%error, "the lease was not renewed");
            }
        });
    }

    fn deadline(&self) -> Instant {
        let engine = self.engine.next_deadline();
        let engine = self.shell.epoch + Duration::from_millis(engine.min(FOREVER_MS));
        match &self.shell.lease {
            Some(lease) if lease.is_stale && self.engine.may_write_lease(&lease.heads) => {
                engine.min(lease.due)
            }
            _ => engine,
        }
    }

    fn now(&self) -> Now {
        let mono_ms = self.shell.epoch.elapsed().as_millis() as u64;
        Now { mono_ms, wall_ms: (self.shell.clock)() }
    }

    /// The end: peers are told, questions are dropped (and so answered), the lease is written once more.
    async fn finish(self) {
        for queues in self.links.values() {
            queues.close(millpond_core::message::CloseCode::ShuttingDown, "the node was stopped");
        }
        let may_write = |keeper: &LeaseKeeper| self.engine.may_write_lease(&keeper.heads);
        if let Some(keeper) = self.shell.lease.filter(may_write) {
            let (file, lease) = (keeper.file.clone(), keeper.lease());
            let written = tokio::task::spawn_blocking(move || file.write(&lease)).await;
            if !matches!(written, Ok(Ok(()))) {
                tracing::warn!("the lease was not renewed");
            }
        }
    }
}

impl LeaseKeeper {
    fn lease(&self) -> Lease {
        Lease::new(&self.store, self.boot, &self.heads, self.is_level)
    }
}

/// How often the engine is told the links' round trips, while it has something to do.
const ROUND_TRIPS_PERIOD: Duration = Duration::from_secs(1);
/// How often the lease is rewritten while writing.
const LEASE_PERIOD: Duration = Duration::from_secs(1);
/// A deadline that is none: a day.
const FOREVER_MS: u64 = 24 * 3600 * 1000;
