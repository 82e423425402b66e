//! The cluster, as a test holds it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use millpond_core::Namespace;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::faults::Faults;
use super::story::{Story, chosen_seed};
use crate::replication::{Answer, Limits, Request};
use crate::seal::Seal;
use crate::sim::clock::ClockFault;
use crate::sim::mesh::founding::{Founding, Member};
use crate::sim::node::Image;
use crate::sim::trace::Trace;
use crate::sim::world::World;
use crate::state::{View, WriteError, WriteTx};
use crate::{Collection, Record};

/// A cluster of replicas in this thread and in virtual time: for tests of what an application does with its
/// records when nodes are cut off from each other, crash, have wrong clocks, or come back from old backups.
///
/// The replicas are those that ship, over disks in memory and a network of one's own making; a week passes in a
/// moment. Nodes are numbered from zero, and know each other from the start. A seed draws whatever is left to
/// chance, so that a test that fails can be repeated: the seed is printed with what happened, and
/// `MILLPOND_SEED=7 cargo test NAME` takes that one, whatever the test says.
///
/// Steps panic where a test could only unwrap: of a node that is down, or that there is not.
///
/// # Example
/// Two parts of a cluster count, each for itself, and both count:
///
/// ```
/// use std::time::Duration;
///
/// use millpond::records::RecordError;
/// use millpond::sim::Sim;
/// use millpond::{Counter, Record, WriteTx};
///
/// #[derive(Default, Record)]
/// struct Poll {
///     #[millpond(key)]
///     question: String,
///     votes: Counter,
/// }
///
/// fn vote(tx: &mut WriteTx<'_>) -> Result<(), RecordError> {
///     tx.edit::<Poll, _>("lunch?", |poll| poll.votes.add(1))
/// }
///
/// let mut sim = Sim::new(3).seed(7);
/// let poll = Poll { question: "lunch?".into(), ..Poll::default() };
/// sim.write(0, move |tx| tx.store(&poll))?;
/// sim.settle()
///     .partition([0], [1, 2])
///     .run(|sim| {
///         sim.write(0, vote).unwrap();
///         sim.write(1, vote).unwrap();
///     })
///     .run_for(Duration::from_secs(3_600))
///     .heal()
///     .assert_converged();
/// let poll = sim.collection::<Poll>(2).get("lunch?")?.expect("it was stored");
/// assert_eq!(poll.votes.value(), 2);
/// # Ok::<(), RecordError>(())
/// ```
pub struct Sim {
    pub(super) world: World,
    backups: BTreeMap<usize, Image>,
    /// What happens between two steps, if anything does.
    faults: Option<Faults>,
    /// For whoever asks to be dealt something.
    rng: ChaCha8Rng,
    story: Rc<RefCell<Story>>,
}

impl Sim {
    /// A cluster of so many nodes, all of them running and linked. Nothing is drawn until a seed is given, or
    /// the environment has one.
    ///
    /// # Panics
    /// When there are no nodes, and when `MILLPOND_SEED` is no number.
    pub fn new(nodes: usize) -> Self {
        Self::found(nodes, chosen_seed().unwrap_or(0))
    }

    /// The same with this seed, or with that of the environment. Say it first: the cluster is a new one.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self::found(self.nodes(), chosen_seed().unwrap_or(seed))
    }

    /// All nodes keep the indexes that a type declares. Say it before anything is written.
    #[must_use]
    pub fn register<R: Record>(mut self) -> Self {
        for node in 0..self.nodes() {
            let kept = self.world.nodes[node].declared.iter().cloned();
            let declared = kept.chain(R::indexes().into_iter().map(|it| it.declared));
            self.world.nodes[node].declared = declared.collect();
            self.restart(node);
        }
        let linked = self.world.run_until(ANSWER_MS, World::is_meshed);
        linked.expect("nothing keeps the nodes from linking");
        self
    }

    /// From now on the seed has things happen between two steps, until [`Sim::heal`]: roads are cut or slow, nodes
    /// crash and stay down until a step needs them, clocks are wrong by up to a minute, and folders come back
    /// from backups.
    ///
    /// Nothing is lost by that: an old backup comes back only where another node holds all that was there, and
    /// the node has caught up before the next step. So a test may rely on what was answered.
    #[must_use]
    pub fn faulty(mut self) -> Self {
        self.faults = Some(Faults::of(self.story.borrow().seed));
        self
    }

    pub(super) fn found(nodes: usize, seed: u64) -> Self {
        assert!(nodes > 0, "a cluster has one node at least");
        let members = vec![Member::default(); nodes];
        let founding = Founding { seed, limits: Limits::default(), members, round_trips: None };
        let mut world = World::found_mesh(founding, None, Trace::new(false));
        for node in 0..nodes {
            world.nodes[node].commit_ms = 1;
        }
        let rng = ChaCha8Rng::seed_from_u64(seed ^ 0x6465_616c);
        let (backups, story) = (BTreeMap::new(), Story::begin(seed));
        let linked = world.run_until(ANSWER_MS, World::is_meshed);
        linked.expect("nothing keeps the nodes from linking");
        Self { world, backups, faults: None, rng, story }
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> usize {
        self.world.nodes.len()
    }

    /// How long the cluster has been running.
    pub fn now(&self) -> Duration {
        Duration::from_millis(self.world.now_ms)
    }

    /// A number below `below`, dealt by the seed: for tests that do things at random.
    ///
    /// # Panics
    /// When `below` is zero.
    pub fn below(&mut self, below: u64) -> u64 {
        assert!(below > 0, "no number is below zero");
        self.rng.next_u64() % below
    }

    /// Runs a transaction at a node, as [`Replica::write`](crate::Replica::write) does, and lets time pass until it is on disk.
    ///
    /// # Errors
    /// What the closure returned, or any [`WriteError`]: [`WriteError::Closed`] of a node that is down.
    ///
    /// # Panics
    /// When the closure does.
    pub fn write<T: Send + 'static, E: From<WriteError> + Send + 'static>(
        &mut self,
        node: usize,
        closure: impl FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.write_wanted(node, None, closure).map(|(value, ..)| value)
    }

    /// What a node shows now.
    ///
    /// # Panics
    /// When it is down.
    pub fn read(&mut self, node: usize) -> View {
        self.step(Some(node));
        assert!(self.is_running(node), "node {node} is down: it cannot be read");
        self.world.view(node, Namespace::MAIN)
    }

    /// The records of a type that a node shows now.
    ///
    /// # Panics
    /// When it is down.
    pub fn collection<R: Record>(&mut self, node: usize) -> Collection<R> {
        Collection::new(self.read(node))
    }

    /// Does something with the cluster: so that it stands in the chain of what happens.
    pub fn run(&mut self, steps: impl FnOnce(&mut Self)) -> &mut Self {
        steps(self);
        self
    }

    /// Lets time pass.
    pub fn run_for(&mut self, time: Duration) -> &mut Self {
        self.step(None);
        self.world.run(time.as_millis() as u64);
        self
    }

    /// Cuts the roads between two parts of the cluster, in both directions. Cuts add up until [`Sim::heal`].
    pub fn partition(
        &mut self,
        one: impl IntoIterator<Item = usize>,
        other: impl IntoIterator<Item = usize>,
    ) -> &mut Self {
        let (one, other): (Vec<_>, Vec<_>) =
            (one.into_iter().collect(), other.into_iter().collect());
        self.tell(|| format!("cut between {one:?} and {other:?}"));
        for &from in &one {
            for &to in &other {
                self.check_node(from);
                self.check_node(to);
                self.world.net.set_cut(self.world.now_ms, from, to, true);
                self.world.net.set_cut(self.world.now_ms, to, from, true);
            }
        }
        self
    }

    /// All roads are whole again, all nodes run, and the seed has nothing happen any more. Clocks stay as they are.
    pub fn heal(&mut self) -> &mut Self {
        self.faults = None;
        self.mend();
        self
    }

    /// A node loses its power. What was answered is on its disk; what its disk was writing is lost.
    pub fn crash(&mut self, node: usize) -> &mut Self {
        self.check_node(node);
        self.tell(|| format!("{node} crashes"));
        if self.is_running(node) {
            self.world.crash(node, false);
        }
        self
    }

    /// A node starts again; one that runs is ended in order before.
    pub fn restart(&mut self, node: usize) -> &mut Self {
        self.check_node(node);
        if self.is_running(node) {
            self.world.nodes[node].renew_lease();
            self.world.crash(node, true);
        }
        self.start(node);
        self
    }

    /// A node's clock is set so many milliseconds ahead of true time, or behind; zero is right.
    pub fn skew(&mut self, node: usize, ahead_ms: i64) -> &mut Self {
        self.check_node(node);
        self.tell(|| format!("the clock of {node} is {ahead_ms} ms ahead"));
        let now_ms = self.world.now_ms;
        self.world.nodes[node].clock.suffer(now_ms, ClockFault::Ahead { ms: ahead_ms });
        self
    }

    /// Puts a backup of a node aside, in place of the one before.
    pub fn backup(&mut self, node: usize) -> &mut Self {
        self.check_node(node);
        self.tell(|| format!("backup of {node}"));
        self.backups.insert(node, self.world.nodes[node].image());
        self
    }

    /// A node's folder is replaced by what its backup makes, and started. What it wrote since then it gets back from
    /// those who have it.
    ///
    /// # Panics
    /// When there is no backup.
    pub fn restore(&mut self, node: usize) -> &mut Self {
        self.check_node(node);
        self.tell(|| format!("{node} comes back from its backup"));
        let store = self.rng.next_u64().to_le_bytes();
        let image = self.backups.get(&node);
        let image = image.unwrap_or_else(|| panic!("there is no backup of node {node}"));
        let restored = image.through_a_backup(self.world.nodes[node].key, store);
        // The lease is of another folder.
        self.world.nodes[node].lease = None;
        self.world.restore(node, restored.as_ref().unwrap_or(image));
        self
    }

    /// Lets time pass until all nodes that run are linked, hold the same, and have nothing more to say. Whatever the
    /// seed has cut or taken down works again before.
    ///
    /// # Panics
    /// When that takes more than a minute, as between nodes that are cut off from each other.
    pub fn settle(&mut self) -> &mut Self {
        if self.faults.is_some() {
            self.mend();
        }
        if let Err(why) = self.world.settle() {
            panic!("the nodes have not settled{}: {why}", self.cuts());
        }
        self
    }

    /// Settles, and panics unless all nodes show the same.
    ///
    /// # Panics
    /// When they do not, when one is down, and as [`Sim::settle`].
    pub fn assert_converged(&mut self) -> &mut Self {
        self.settle();
        if let Some(node) = (0..self.nodes()).find(|node| !self.is_running(*node)) {
            panic!("node {node} is down, and cannot converge: restart it, or heal");
        }
        let seals: Vec<Seal> = (0..self.nodes()).map(|node| self.seal(node)).collect();
        if seals.iter().any(|seal| seal.digest != seals[0].digest) {
            let told: Vec<String> = seals.iter().enumerate().map(told).collect();
            panic!("the nodes have not converged:{}", told.concat());
        }
        self
    }

    /// Has a node answer, and lets time pass until it does: what it asks itself to wait for, and as long as it may take.
    pub(super) fn answer(&mut self, node: usize, wait_ms: u64, request: Request) -> Option<Answer> {
        let request = self.world.ask(node, request);
        let is_answered = |world: &World| world.answers.contains_key(&request);
        if let Err(why) = self.world.run_until(wait_ms.saturating_add(ANSWER_MS), is_answered) {
            panic!("{node} has not answered: {why}");
        }
        self.world.answers.remove(&request)
    }

    fn seal(&self, node: usize) -> Seal {
        let view = self.world.view(node, Namespace::MAIN);
        Seal::of(&view).expect("disks in memory can be read")
    }

    pub(super) fn is_running(&self, node: usize) -> bool {
        self.check_node(node);
        self.world.nodes[node].running.is_some()
    }

    pub(super) fn has_backup(&self, node: usize) -> bool {
        self.backups.contains_key(&node)
    }

    /// All roads work, and all nodes.
    pub(super) fn mend(&mut self) {
        self.tell(|| "all is mended".into());
        self.world.net.mend(self.world.now_ms);
        (0..self.nodes()).for_each(|node| self.start(node));
    }

    pub(super) fn start(&mut self, node: usize) {
        if !self.is_running(node) {
            self.tell(|| format!("{node} starts"));
            self.world.start(node);
        }
    }

    /// Tells what happens.
    pub(super) fn tell(&self, what: impl FnOnce() -> String) {
        self.story.borrow_mut().tell(self.world.now_ms, what());
    }

    /// Before a step, and the node that it needs.
    pub(super) fn step(&mut self, node: Option<usize>) {
        node.iter().for_each(|node| self.check_node(*node));
        let Some(mut faults) = self.faults.take() else { return };
        faults.strike(self);
        self.faults = Some(faults);
        node.iter().for_each(|node| self.start(*node));
    }

    fn check_node(&self, node: usize) {
        let nodes = self.world.nodes.len();
        assert!(node < nodes, "there is no node {node}: they are numbered from 0 to {}", nodes - 1);
    }

    /// Between whom nothing passes, in words.
    fn cuts(&self) -> String {
        let nodes = 0..self.nodes();
        let pairs = nodes.clone().flat_map(|from| nodes.clone().map(move |to| (from, to)));
        let cut = pairs.filter(|&(from, to)| from != to && !self.world.net.is_clear(from, to));
        let cut: Vec<String> = cut.map(|(from, to)| format!("{from} to {to}")).collect();
        match cut.is_empty() {
            true => String::new(),
            false => format!(", since nothing passes from {}; heal first", cut.join(", ")),
        }
    }
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seed = self.story.borrow().seed;
        f.debug_struct("Sim")
            .field("seed", &seed)
            .field("nodes", &self.nodes())
            .finish_non_exhaustive()
    }
}

fn told((node, seal): (usize, &Seal)) -> String {
    let Seal { digest, records, rows, conflicts, .. } = seal;
    format!("\n  {node}: {digest}, {records} records, {rows} rows, {conflicts} conflicts")
}

/// How long a node may take to answer, and the nodes to link.
const ANSWER_MS: u64 = 60_000;
