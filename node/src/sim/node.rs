//! A node: an engine over a disk that takes its time, with a clock and a lease.

use std::collections::VecDeque;
use std::sync::Arc;

use millpond_core::{Boot, Domain, Namespace, NodeKey, Push};

use super::clock::SimClock;
use super::disk::SimDisk;
use super::net::NodeId;
use crate::indexes::{Declared, settle_indexes};
use crate::membership::OwnRecord;
use crate::replication::{
    Collection, Engine, EngineConfig, Input, Limits, Now, Token, VerifySettings,
};
use crate::runtime::Lease;
use crate::state::{
    Heads, Identity, Job, JobError, Local, Outcome, Reissued, View, commit_group, meta_key,
    read_meta, settle_delay, take_group, write_meta,
};
use crate::store::{Changes, Durability, Store, StoreError};
use crate::topology::settings::{Ripple, Topology};

/// A node, running or not.
pub(crate) struct Node {
    /// By which it is known.
    pub(crate) key: NodeKey,
    /// The key that it shows, and the next one that its folder holds.
    pub(crate) shows: NodeKey,
    pub(crate) next_key: Option<NodeKey>,
    pub(crate) store: Arc<SimDisk>,
    pub(crate) running: Option<Running>,
    /// How long a commit takes.
    pub(crate) commit_ms: u64,
    /// Whether the disk has no room.
    pub(crate) is_full: bool,
    /// Whether there is a place for a lease outside the store.
    pub(crate) keeps_lease: bool,
    pub(crate) lease: Option<Lease>,
    pub(crate) limits: Limits,
    pub(crate) automatic_refresh: bool,
    pub(crate) verify: VerifySettings,
    /// When it collects tombstones.
    pub(crate) collection: Collection,
    /// How it takes part in the mesh, from its next start on.
    pub(crate) topology: Topology,
    /// Where it says that it is.
    pub(crate) region: Option<String>,
    /// How long it waits before it shows what it has received, from its next start on.
    pub(crate) apply_after_ms: Option<u64>,
    /// What it says that it costs to receive from it.
    pub(crate) cost: u32,
    pub(crate) clock: SimClock,
    /// The indexes that its program declares.
    pub(crate) declared: Arc<[Declared]>,
    /// Whether it runs a later version.
    pub(crate) is_newer: bool,
    /// How often it was started.
    pub(crate) boots: u64,
    /// How many transactions its disk has had of its own.
    pub(crate) issued: u64,
    /// When the jobs of the latest group were given to its disk.
    pub(crate) given: GivenSpan,
}

/// A running engine and its disk.
pub(crate) struct Running {
    pub(crate) engine: Engine,
    pub(crate) heads: Heads,
    pub(crate) boot: Boot,
    queue: VecDeque<((Token, Given), Job)>,
    busy: Option<Busy>,
    lease_is_stale: bool,
    /// Whether it says that the store holds whatever it has ever held.
    lease_is_level: bool,
    lease_due_ms: u64,
    /// When the engine is to be called next, if that is known.
    wakes_ms: Option<u64>,
}

/// A group on its way to the disk.
struct Busy {
    until_ms: u64,
    tokens: Vec<Token>,
    given: GivenSpan,
    jobs: Vec<Job>,
}

/// When a job was given to the disk: in true time, and as the node's wall clock showed it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given {
    pub(crate) at_ms: u64,
    pub(crate) wall_ms: u64,
}

/// When the jobs of a group were: the first of them, and the span of what the wall clock showed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct GivenSpan {
    pub(crate) first_ms: u64,
    pub(crate) wall_ms: (u64, u64),
}

impl GivenSpan {
    fn of(given: &[Given]) -> Self {
        let walls = || given.iter().map(|it| it.wall_ms);
        Self {
            first_ms: given.iter().map(|it| it.at_ms).min().unwrap_or_default(),
            wall_ms: (walls().min().unwrap_or_default(), walls().max().unwrap_or_default()),
        }
    }
}

/// A copy of a node's folder.
pub(crate) struct Image(SimDisk);

impl Image {
    /// What a reader of it sees.
    pub(crate) fn view(&self, namespace: Namespace) -> View {
        let snapshot = self.0.snapshot().expect("a copy can be read");
        View::new(snapshot, namespace).expect("vectors are never rotten")
    }
}

impl Image {
    /// What a restore of a backup of it makes; `None` when no backup can be made of it, since it is rotten or its
    /// node has not joined. Its store is another one, and so needs an id of its own.
    #[cfg(feature = "backup")]
    pub(crate) fn through_a_backup(&self, key: NodeKey, store: [u8; 8]) -> Option<Self> {
        let restored = SimDisk::new(false);
        let snapshot = self.0.snapshot().expect("a copy can be read");
        crate::backup::back_up_and_restore(&snapshot, &restored, key, store)?;
        Some(Self(restored))
    }

    #[cfg(not(feature = "backup"))]
    pub(crate) fn through_a_backup(&self, _: NodeKey, _: [u8; 8]) -> Option<Self> {
        None
    }
}

/// What the disk has done.
pub(crate) struct Worked {
    /// What the engine is to be told.
    pub(crate) input: Input,
    /// The jobs of the group.
    pub(crate) done: Vec<Done>,
    /// Whether the store has failed for good, which ends the process.
    pub(crate) is_dead: bool,
}

/// A job that a disk was given.
pub(crate) struct Done {
    /// Whether it was a user's transaction.
    pub(crate) is_user: bool,
    /// What it wrote, if it did anything.
    pub(crate) pushes: Vec<Push>,
    /// What it issued anew, and the record of that.
    pub(crate) reissued: Vec<Reissued>,
    pub(crate) recorded: Option<Push>,
}

impl Node {
    pub(crate) fn new(id: NodeId, store: SimDisk) -> Self {
        Self {
            key: key(id),
            shows: key(id),
            next_key: None,
            store: Arc::new(store),
            running: None,
            commit_ms: 1,
            is_full: false,
            keeps_lease: true,
            lease: None,
            limits: Limits::default(),
            automatic_refresh: true,
            verify: VerifySettings { every_ms: None, rows_per_s: 20_000 },
            collection: COLLECTION,
            topology: Topology { ripple: Ripple::HoldDown, ..Topology::default() },
            region: None,
            apply_after_ms: None,
            cost: 0,
            clock: SimClock::RIGHT,
            declared: Arc::default(),
            is_newer: false,
            boots: 0,
            issued: 0,
            given: GivenSpan::default(),
        }
    }

    /// Opens the store as a new boot, as a folder is opened. A disk without room cannot be opened.
    pub(crate) fn start(
        &mut self,
        id: NodeId,
        now_ms: u64,
        random: u64,
        seed: [u8; 32],
    ) -> Result<(), StoreError> {
        self.store.set_full(self.is_full);
        settle_delay(&*self.store, self.apply_after_ms.is_some())?;
        let snapshot = self.store.snapshot()?;
        let about = self.identity();
        let heads = Heads::load(&*snapshot)?;
        let last: Option<Boot> = read_meta(&*snapshot, &meta_key::boot())?;
        let lease = self.lease.as_ref().filter(|_| self.keeps_lease);
        let is_continuous =
            lease.zip(last).is_some_and(|(lease, last)| lease.proves(&about.store, last, &heads));
        let is_level =
            lease.zip(last).is_some_and(|(lease, last)| lease.is_level(&about.store, last, &heads));
        let boot = Boot { counter: last.map_or(0, |last| last.counter) + 1, random };
        let mut changes = Changes::default();
        write_meta(&mut changes, meta_key::boot(), Some(&boot));
        settle_indexes(&*snapshot, &self.declared, (last, boot), &mut changes)?;
        self.store.commit(&changes, Durability::Synced)?;
        let mut heads = Heads::load(&*self.store.snapshot()?)?;
        heads.indexing.declared = self.declared.clone();
        let record = self.record(id);
        let config = EngineConfig {
            key: self.key,
            shows: self.shows,
            check: super::keys::verify,
            domain: about.domain,
            name: record.name,
            addresses: record.addresses,
            listen: format!("{id}"),
            boot,
            is_continuous,
            is_level,
            hold_down_ms: HOLD_DOWN_MS,
            digest_ms: DIGEST_MS,
            collection: self.collection,
            topology: self.topology.clone(),
            region: record.region,
            cost: record.cost,
            apply_after_ms: self.apply_after_ms,
            primary: None,
            max_lag_ms: MAX_LAG_MS,
            max_lag_writes: u64::MAX,
            limits: self.limits,
            automatic_refresh: self.automatic_refresh,
            verify: self.verify,
            seed,
        };
        let engine = Engine::new(config, self.store.clone(), self.now(now_ms))?;
        self.boots += 1;
        self.running = Some(Running {
            engine,
            heads,
            boot,
            queue: VecDeque::new(),
            busy: None,
            lease_is_stale: true,
            lease_is_level: false,
            lease_due_ms: now_ms + LEASE_MS_FIRST,
            wakes_ms: None,
        });
        Ok(())
    }

    /// What it tells of itself.
    pub(crate) fn record(&self, id: NodeId) -> OwnRecord {
        OwnRecord {
            name: super::shape::name(id),
            addresses: vec![format!("{id}")],
            region: self.region.clone(),
            cost: self.cost,
            apply_after_ms: self.apply_after_ms.unwrap_or(0),
        }
    }

    /// The process ends at once, and the power with it. What the disk was writing is there or not: as it is
    /// told, or, if the disk is a file, as `seed` has it.
    pub(crate) fn crash(&mut self, is_written: bool, seed: u64) -> Vec<Done> {
        let operations = self.store.operations();
        let busy = self.running.take().and_then(|running| Some((running.busy?, running.heads)));
        let is_file = self.store.is_file();
        let done = busy.filter(|_| is_written || is_file).map(|(busy, mut heads)| {
            self.given = busy.given;
            let are_user = are_user(&busy.jobs);
            let results = commit_group(&*self.store, &mut heads, busy.jobs);
            done(are_user, results.unwrap_or_default())
        });
        let left = self.store.cut_since(operations, seed);
        self.store = Arc::new(left.unwrap_or_else(|| self.store.reopened()));
        // A group is there whole or not at all.
        done.filter(|done| done.iter().all(|done| self.holds(done))).unwrap_or_default()
    }

    /// Whether the disk has what a job wrote.
    fn holds(&self, done: &Done) -> bool {
        let heads = self.store.snapshot().and_then(|snapshot| Heads::load(&*snapshot));
        let heads = heads.expect("a disk can be read");
        done.pushes.iter().all(|push| heads.vv(push.namespace).covers(push.last()))
    }

    /// Writes the lease, if it may be written.
    pub(crate) fn renew_lease(&mut self) {
        let store = self.identity().store;
        let keeps_lease = self.keeps_lease;
        let may = |running: &&mut Running| keeps_lease && running.may_write_lease();
        if let Some(running) = self.running.as_mut().filter(may) {
            let is_level = running.engine.is_level();
            self.lease = Some(Lease::new(&store, running.boot, &running.heads, is_level));
            (running.lease_is_stale, running.lease_is_level) = (false, is_level);
        }
    }

    /// Whether the lease tells all that the store holds; true while it stands.
    pub(crate) fn is_lease_level(&self) -> bool {
        self.running.as_ref().is_some_and(|running| !running.lease_is_stale)
    }

    pub(crate) fn image(&self) -> Image {
        Image(self.store.reopened())
    }

    /// Puts a copy of the folder in its place.
    pub(crate) fn restore(&mut self, image: &Image) {
        assert!(self.running.is_none(), "it runs");
        self.store = Arc::new(image.0.reopened());
    }

    pub(crate) fn now(&self, now_ms: u64) -> Now {
        Now { mono_ms: now_ms, wall_ms: self.clock.shows_ms(now_ms) }
    }

    /// When the disk or the lease is due.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        let running = self.running.as_ref()?;
        let disk_ms = running.busy.as_ref().map(|busy| busy.until_ms);
        let awaits_lease = self.keeps_lease && running.awaits_lease();
        let lease_ms = awaits_lease.then_some(running.lease_due_ms);
        disk_ms.into_iter().chain(lease_ms).min()
    }

    /// When the engine is due.
    pub(crate) fn wakes_ms(&mut self, now_ms: u64) -> Option<u64> {
        let running = self.running.as_mut()?;
        let engine = &running.engine;
        let wakes = || if engine.has_work() { now_ms } else { engine.next_deadline() };
        Some(*running.wakes_ms.get_or_insert_with(wakes))
    }

    /// Gives the disk a job.
    pub(crate) fn submit(&mut self, now_ms: u64, token: Token, job: Job) {
        let wall_ms = self.clock.shows_ms(now_ms);
        let Some(running) = &mut self.running else { return };
        running.queue.push_back(((token, Given { at_ms: now_ms, wall_ms }), job));
        running.begin_group(now_ms + self.commit_ms);
    }

    /// Renews the lease if it is due, and ends the commit under way.
    pub(crate) fn work(&mut self, now_ms: u64) -> Option<Worked> {
        let is_due = |running: &Running| running.lease_due_ms <= now_ms && running.awaits_lease();
        if self.keeps_lease && self.running.as_ref().is_some_and(is_due) {
            self.renew_lease();
            self.running.as_mut()?.lease_due_ms = now_ms + LEASE_MS;
        }
        self.store.set_full(self.is_full);
        let running = self.running.as_mut()?;
        let Busy { tokens, given, jobs, .. } =
            running.busy.take_if(|busy| busy.until_ms <= now_ms)?;
        self.given = given;
        let before = running.heads.vv.clone();
        let are_user = are_user(&jobs);
        let committed = commit_group(&*self.store, &mut running.heads, jobs);
        let done = done(are_user, committed.clone().unwrap_or_default());
        let committed = match self.store.failed_and_kept() {
            Some(error) => Err(error),
            None => committed,
        };
        let is_dead = committed
            .as_ref()
            .is_err_and(|error| !matches!(error, StoreError::Full | StoreError::Corrupt { .. }));
        let results = match committed {
            Ok(results) => tokens.into_iter().zip(results).collect(),
            Err(error) => {
                let failed = |token| (token, Err(JobError::Store(error.clone())));
                tokens.into_iter().map(failed).collect()
            }
        };
        running.lease_is_stale |= running.heads.vv != before;
        let heads = Box::new(running.heads.clone());
        running.begin_group(now_ms + self.commit_ms);
        Some(Worked { input: Input::Committed { results, heads }, done, is_dead })
    }

    fn identity(&self) -> Identity {
        let snapshot = self.store.snapshot().expect("a disk can be read");
        let about = read_meta(&*snapshot, &meta_key::identity()).expect("meta values are whole");
        about.expect("a store has an identity")
    }
}

impl Running {
    /// Whether the disk has nothing to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.busy.is_none() && self.queue.is_empty()
    }

    fn awaits_lease(&self) -> bool {
        let is_stale = self.lease_is_stale || self.lease_is_level != self.engine.is_level();
        is_stale && self.may_write_lease()
    }

    fn may_write_lease(&self) -> bool {
        self.engine.may_write_lease(&self.heads)
    }

    /// The engine is given something, so that its next deadline is unknown.
    pub(crate) fn engine_mut(&mut self) -> &mut Engine {
        self.wakes_ms = None;
        &mut self.engine
    }

    fn begin_group(&mut self, until_ms: u64) {
        if self.busy.is_none()
            && let Some(first) = self.queue.pop_front()
        {
            let (labels, jobs) = take_group(first, || self.queue.pop_front());
            let (tokens, given): (Vec<Token>, Vec<Given>) = labels.into_iter().unzip();
            self.busy = Some(Busy { until_ms, tokens, given: GivenSpan::of(&given), jobs });
        }
    }
}

/// Which jobs are users' transactions.
pub(super) fn are_user(jobs: &[Job]) -> Vec<bool> {
    let is_user = |job: &Job| matches!(job, Job::Local(Local { namespace, .. }) if *namespace == Namespace::MAIN);
    jobs.iter().map(is_user).collect()
}

pub(super) fn done(are_user: Vec<bool>, results: Vec<Result<Outcome, JobError>>) -> Vec<Done> {
    let outcomes = results.into_iter().map(Result::unwrap_or_default);
    let done = are_user.into_iter().zip(outcomes).map(|(is_user, outcome)| {
        let Outcome { pushes, reissued, recorded, .. } = outcome;
        Done { is_user, pushes, reissued, recorded }
    });
    done.collect()
}

/// The key of a node; keys are in the order of the nodes.
pub(crate) fn key(id: NodeId) -> NodeKey {
    let mut bytes = [u8::try_from(id + 1).unwrap_or(u8::MAX); 32];
    if bytes[0] == u8::MAX {
        bytes[1..5].copy_from_slice(&(id as u32).to_be_bytes());
    }
    NodeKey::from_bytes(bytes)
}

/// The rig's domain.
pub(crate) const DOMAIN: Domain = Domain::from_bytes([0xd0; 16]);
/// Hold-down and digests as they are by default.
pub(crate) const HOLD_DOWN_MS: u64 = 1_000;
pub(crate) const DIGEST_MS: u64 = 5_000;
/// As in life.
pub(crate) const COLLECTION: Collection = Collection {
    interval_ms: DIGEST_MS,
    offline_window_ms: 7 * 24 * 3_600_000,
    bytes_max: 1 << 30,
    linger_ms: 0,
    linger_bytes_max: u64::MAX,
};
const MAX_LAG_MS: u64 = 30_000;
const LEASE_MS: u64 = 1_000;
const LEASE_MS_FIRST: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_the_nodes() {
        assert_eq!(key(7), NodeKey::from_bytes([8; 32]));
        assert!((0..2_000).map(key).is_sorted_by(|a, b| a < b));
    }
}
