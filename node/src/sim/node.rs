//! A node of the rig: an engine over a store in memory, a disk that takes its time, and a lease.

use std::collections::VecDeque;
use std::sync::Arc;

use millpond_core::{Boot, Domain, NodeKey};

use super::net::NodeId;
use crate::replication::{Engine, EngineConfig, Input, Limits, Now, Token};
use crate::runtime::Lease;
use crate::state::{
    Heads, Identity, Job, JobError, commit_group, meta_key, read_meta, take_group, write_meta,
};
use crate::store::memory::MemoryStore;
use crate::store::{Changes, Durability, Store, StoreError};

/// A node, running or not.
pub(crate) struct Node {
    pub(crate) key: NodeKey,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) running: Option<Running>,
    /// How long a commit takes.
    pub(crate) commit_ms: u64,
    /// Whether the disk has no room.
    pub(crate) is_full: bool,
    /// Whether there is a place for a lease outside the store.
    pub(crate) keeps_lease: bool,
    pub(crate) lease: Option<Lease>,
    pub(crate) limits: Limits,
    /// Milliseconds that its clock is ahead.
    pub(crate) clock_ahead_ms: i64,
}

/// A running engine and its disk.
pub(crate) struct Running {
    pub(crate) engine: Engine,
    pub(crate) heads: Heads,
    boot: Boot,
    queue: VecDeque<(Token, Job)>,
    busy: Option<(u64, Vec<Token>, Vec<Job>)>,
    lease_is_stale: bool,
    lease_due_ms: u64,
}

/// A copy of a node's folder.
pub(crate) struct Image(MemoryStore);

impl Node {
    pub(crate) fn new(id: NodeId, store: MemoryStore) -> Self {
        Self {
            key: key(id),
            store: Arc::new(store),
            running: None,
            commit_ms: 1,
            is_full: false,
            keeps_lease: true,
            lease: None,
            limits: Limits::default(),
            clock_ahead_ms: 0,
        }
    }

    /// Opens the store as a new boot, as a folder is opened.
    pub(crate) fn start(&mut self, id: NodeId, now_ms: u64, random: u64, seed: [u8; 32]) {
        let snapshot = self.store.snapshot().unwrap();
        let about: Identity = read_meta(&*snapshot, &meta_key::identity()).unwrap().unwrap();
        let heads = Heads::load(&*snapshot).unwrap();
        let last: Option<Boot> = read_meta(&*snapshot, &meta_key::boot()).unwrap();
        let lease = self.lease.as_ref().filter(|_| self.keeps_lease);
        let is_continuous =
            lease.zip(last).is_some_and(|(lease, last)| lease.proves(&about.store, last, &heads));
        let boot = Boot { counter: last.map_or(0, |last| last.counter) + 1, random };
        let mut changes = Changes::default();
        write_meta(&mut changes, meta_key::boot(), Some(&boot));
        self.store.commit(&changes, Durability::Synced).unwrap();
        let config = EngineConfig {
            key: self.key,
            domain: DOMAIN,
            name: format!("n{id}"),
            addresses: vec![format!("{id}")],
            listen: format!("{id}"),
            boot,
            is_continuous,
            hold_down_ms: HOLD_DOWN_MS,
            digest_ms: DIGEST_MS,
            limits: self.limits,
            seed,
        };
        let now = self.now(now_ms);
        let engine = Engine::new(config, self.store.clone(), now).unwrap();
        self.running = Some(Running {
            engine,
            heads,
            boot,
            queue: VecDeque::new(),
            busy: None,
            lease_is_stale: true,
            lease_due_ms: now_ms + LEASE_MS_FIRST,
        });
    }

    /// The process ends at once. What the disk was writing is there or not.
    pub(crate) fn crash(&mut self, is_written: bool) {
        let Some(mut running) = self.running.take() else { return };
        if let Some((_, _, jobs)) = running.busy.take().filter(|_| is_written) {
            let _ = commit_group(&*self.store, &mut running.heads, jobs);
        }
    }

    pub(crate) fn image(&self) -> Image {
        Image(self.store.image())
    }

    /// Puts a copy of the folder in its place.
    pub(crate) fn restore(&mut self, image: &Image) {
        assert!(self.running.is_none(), "it runs");
        self.store = Arc::new(image.0.image());
    }

    pub(crate) fn now(&self, now_ms: u64) -> Now {
        let wall_ms = (EPOCH_MS + now_ms).saturating_add_signed(self.clock_ahead_ms);
        Now { mono_ms: now_ms, wall_ms }
    }

    /// When the disk or the lease is due.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        let running = self.running.as_ref()?;
        let disk_ms = running.busy.as_ref().map(|(until_ms, ..)| *until_ms);
        let lease_ms = (self.keeps_lease && running.lease_is_stale).then_some(running.lease_due_ms);
        disk_ms.into_iter().chain(lease_ms).min()
    }

    /// Gives the disk a job.
    pub(crate) fn submit(&mut self, now_ms: u64, token: Token, job: Job) {
        let Some(running) = &mut self.running else { return };
        running.queue.push_back((token, job));
        running.begin_group(now_ms + self.commit_ms);
    }

    /// Renews the lease if it is due, and ends the commit under way.
    pub(crate) fn work(&mut self, now_ms: u64) -> Option<Input> {
        let store = self.store_id();
        let running = self.running.as_mut()?;
        if self.keeps_lease && running.lease_is_stale && running.lease_due_ms <= now_ms {
            self.lease = Some(Lease::new(&store, running.boot, &running.heads));
            running.lease_is_stale = false;
            running.lease_due_ms = now_ms + LEASE_MS;
        }
        let (_, tokens, jobs) = running.busy.take_if(|(until_ms, ..)| *until_ms <= now_ms)?;
        let before = running.heads.vv.clone();
        let results = match self.is_full {
            true => Err(StoreError::Full),
            false => commit_group(&*self.store, &mut running.heads, jobs),
        };
        let results = match results {
            Ok(results) => tokens.into_iter().zip(results).collect(),
            Err(error) => {
                let failed = |token| (token, Err(JobError::Store(error.clone())));
                tokens.into_iter().map(failed).collect()
            }
        };
        running.lease_is_stale |= running.heads.vv != before;
        let heads = running.heads.clone();
        running.begin_group(now_ms + self.commit_ms);
        Some(Input::Committed { results, heads })
    }

    fn store_id(&self) -> [u8; 16] {
        let snapshot = self.store.snapshot().unwrap();
        let about: Identity = read_meta(&*snapshot, &meta_key::identity()).unwrap().unwrap();
        about.store
    }
}

impl Running {
    /// Whether the disk has nothing to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.busy.is_none() && self.queue.is_empty()
    }

    fn begin_group(&mut self, until_ms: u64) {
        if self.busy.is_none()
            && let Some(first) = self.queue.pop_front()
        {
            let (tokens, jobs) = take_group(first, || self.queue.pop_front());
            self.busy = Some((until_ms, tokens, jobs));
        }
    }
}

/// The key of a node; keys are in the order of the nodes.
pub(crate) fn key(id: NodeId) -> NodeKey {
    NodeKey::from_bytes([id as u8 + 1; 32])
}

/// The rig's domain.
pub(crate) const DOMAIN: Domain = Domain::from_bytes([0xd0; 16]);
/// Hold-down and digests as they are by default.
pub(crate) const HOLD_DOWN_MS: u64 = 1_000;
pub(crate) const DIGEST_MS: u64 = 5_000;
const EPOCH_MS: u64 = 1_790_000_000_000;
const LEASE_MS: u64 = 1_000;
const LEASE_MS_FIRST: u64 = 10;
