//! The nodes of a cluster, and what is drawn for them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millpond_core::transport::Transport;
use millpond_core::{Boot, Domain, Incarnation, Namespace, NodeKey};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::clients::Clients;
use super::judge::Judge;
use super::writer::start_writer;
use crate::config::Config;
use crate::folder::{Folder, OpenError};
use crate::indexes::settle_indexes;
use crate::key_pair::KeyPair;
use crate::membership::{Invite, InviteOptions, LogAuthors, Role, grant_role};
use crate::network::Network;
use crate::replica::Replica;
use crate::replication::{Answer, Request};
use crate::runtime::Ground;
use crate::sim::disk::SimDisk;
use crate::sim::net::NodeId;
use crate::sim::node::{Done, done};
use crate::sim::shape::name;
use crate::sim::world::Check;
use crate::state::{
    Heads, Identity, Job, Local, commit_group, meta_key, read_meta, settle_delay, write_meta,
};
use crate::store::{Changes, Durability, Store};

/// Nodes of one domain, their folders, and the judge. All clones are one cluster.
#[derive(Clone)]
pub struct Cluster {
    now_ms: Arc<AtomicU64>,
    state: Arc<Mutex<State>>,
}

pub(super) struct State {
    pub(super) rng: ChaCha8Rng,
    pub(super) members: Vec<Member>,
    pub(super) judge: Judge,
    pub(super) clients: Clients,
    fault: Option<DiskFault>,
}

/// A node's folder, and the replica that has it open.
pub(super) struct Member {
    keys: KeyPair,
    address: String,
    pub(super) disk: Arc<SimDisk>,
    /// What the disk held before its latest commit, while it is asked to forget that.
    before: Option<SimDisk>,
    commit_ms: u64,
    /// Whether a lease proves each time that the folder continues where it stopped.
    keeps_lease: bool,
    /// How far its clock is ahead.
    ahead_ms: i64,
    is_member: bool,
    pub(super) boots: u64,
    pub(super) running: Option<Replica>,
}

/// An opened folder, and what its replica is started with.
struct Booted {
    config: Config,
    folder: Folder,
    commit_ms: u64,
    transport_seed: u64,
    engine_seed: [u8; 32],
}

/// A rule of disks that is broken, to see whether the judge notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFault {
    /// What was committed last before a crash is lost, though it was said to be safe.
    ForgetsCommits,
}

impl Cluster {
    /// Nodes that are reached at these addresses. The first one founds the domain, and is its admin; the others need
    /// an invite of it.
    pub fn new(seed: u64, addresses: &[String]) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let domain = Domain::from_bytes(random(&mut rng));
        let members = addresses.iter().map(|address| Member::new(&mut rng, domain, address));
        let members = members.collect();
        let (judge, clients) = (Judge::new(addresses.len()), Clients::default());
        let state = State { rng, members, judge, clients, fault: None };
        let cluster = Self { now_ms: Arc::default(), state: Arc::new(Mutex::new(state)) };
        cluster.found();
        cluster
    }

    /// Breaks a rule.
    pub fn plant(&self, fault: DiskFault) {
        self.state().fault = Some(fault);
    }

    /// Tells what time it is, by all right clocks.
    pub fn set_now_ms(&self, now_ms: u64) {
        self.now_ms.store(now_ms, Relaxed);
    }

    /// What time it is.
    pub fn now_ms(&self) -> u64 {
        self.now_ms.load(Relaxed)
    }

    /// A node's key.
    pub fn key(&self, id: usize) -> NodeKey {
        self.state().members[id].keys.key()
    }

    /// Whether a node may be opened: it has founded the domain, or was invited.
    pub fn is_member(&self, id: usize) -> bool {
        self.state().members[id].is_member
    }

    /// Invites a node: the first one's replica is asked.
    ///
    /// # Errors
    /// In words.
    pub async fn invite(&self, id: usize, inviter: &Replica) -> Result<(), String> {
        let options = InviteOptions { role: Role::Writer, ..InviteOptions::default() };
        let secret = random(&mut self.state().rng);
        let answer = inviter.ask(Request::Invite { options, secret }).await;
        let Some(Answer::Invite(Ok(invite))) = answer else {
            return Err(format!("no invite for {id}: {answer:?}"));
        };
        self.accept(id, &invite);
        Ok(())
    }

    fn accept(&self, id: NodeId, invite: &Invite) {
        let mut changes = Changes::default();
        write_meta(&mut changes, meta_key::pending_invite(), Some(invite));
        let member = &mut self.state().members[id];
        member.disk.commit(&changes, Durability::Synced).expect("an empty disk takes a commit");
        member.is_member = true;
    }

    /// Opens a node's folder, as its next boot, within a runtime with virtual time. `bind` binds its transport, given
    /// its key pair as PKCS#8 and a seed.
    ///
    /// # Errors
    /// In words.
    pub async fn open(
        &self,
        id: usize,
        bind: impl FnOnce(&[u8], u64) -> Result<Arc<dyn Transport>, String>,
    ) -> Result<Replica, String> {
        let booted = self.boot(id).map_err(|it| it.to_string())?;
        let Booted { config, folder, commit_ms, transport_seed, engine_seed } = booted;
        let transport = bind(folder.keys.pkcs8(), transport_seed)?;
        let (cluster, clock) = (self.clone(), self.clone());
        let ground = Ground {
            network: Some(Network::of(transport)),
            clock: Arc::new(move || clock.wall_ms(id)),
            seed: engine_seed,
            start_writer: start_writer(cluster, id, commit_ms),
        };
        let opened = Replica::start_on(&config, folder, ground).map_err(|it| it.to_string())?;
        self.state().members[id].running = Some(opened.clone());
        Ok(opened)
    }

    /// A node's process ends, whatever it is doing. Drop its runtime now: its socket goes with the last handle.
    pub fn crashed(&self, id: usize) {
        let mut state = self.state();
        let forgets = state.fault == Some(DiskFault::ForgetsCommits);
        let member = &mut state.members[id];
        member.running = None;
        if let Some(before) = member.before.take_if(|_| forgets) {
            member.disk = Arc::new(before);
        }
    }

    /// The replica that has a node's folder open.
    pub fn replica(&self, id: usize) -> Option<Replica> {
        self.state().members[id].running.clone()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A disk has these jobs.
    pub(super) fn committed(&self, id: NodeId, done: Vec<Done>) {
        let state = &mut *self.state();
        state.judge.committed(id, &state.members[id].disk, done, self.now_ms());
    }

    /// Keeps the first thing that was found wrong.
    pub(super) fn violated(&self, check: Check) {
        self.state().judge.violated(check, self.now_ms());
    }

    fn wall_ms(&self, id: NodeId) -> u64 {
        (EPOCH_MS + self.now_ms()).saturating_add_signed(self.state().members[id].ahead_ms)
    }

    fn found(&self) {
        let state = &mut *self.state();
        let member = &mut state.members[0];
        member.is_member = true;
        let own = member.keys.key();
        let local = Local {
            namespace: Namespace::SYSTEM,
            closure: Box::new(move |tx| {
                grant_role(tx, own, Role::Admin, own, &LogAuthors::default())
            }),
            now_ms: EPOCH_MS,
            ended: None,
            fresh: Incarnation::from_bytes(random(&mut state.rng)),
            key: own,
        };
        let mut heads = Heads::default();
        let results = commit_group(&*member.disk, &mut heads, vec![Job::Local(local)]);
        let results = results.expect("an empty disk takes a commit");
        let done = done(vec![false], results);
        state.judge.committed(0, &member.disk, done, 0);
    }

    /// What opening a folder does, on a disk of this cluster.
    fn boot(&self, id: NodeId) -> Result<Booted, OpenError> {
        let state = &mut *self.state();
        let [random_of_boot, transport_seed] = [0; 2].map(|_| state.rng.next_u64());
        let engine_seed = random(&mut state.rng);
        let forgets = state.fault == Some(DiskFault::ForgetsCommits);
        let member = &mut state.members[id];
        let store = member.disk.clone();
        settle_delay(&*store, false)?;
        let snapshot = store.snapshot()?;
        let about: Option<Identity> = read_meta(&*snapshot, &meta_key::identity())?;
        let about = about.expect("a disk is made with one");
        let last: Option<Boot> = read_meta(&*snapshot, &meta_key::boot())?;
        let counter = last.map_or(0, |last| last.counter) + 1;
        let boot = Boot { counter, random: random_of_boot };
        let mut changes = Changes::default();
        write_meta(&mut changes, meta_key::boot(), Some(&boot));
        settle_indexes(&*snapshot, &[], (last, boot), &mut changes)?;
        store.commit(&changes, Durability::Synced)?;
        member.boots += 1;
        member.before = forgets.then(|| store.reopened());
        let mut config = Config::new("");
        config.name = name(id);
        config.advertise = vec![member.address.clone()];
        let keys = KeyPair::from_pkcs8(member.keys.pkcs8()).expect("it was read before");
        let (is_continuous, is_level) = (member.keeps_lease, member.keeps_lease);
        let folder = Folder { keys, store, about, boot, lease: None, is_continuous, is_level };
        let commit_ms = member.commit_ms;
        Ok(Booted { config, folder, commit_ms, transport_seed, engine_seed })
    }
}

impl Member {
    fn new(rng: &mut ChaCha8Rng, domain: Domain, address: &str) -> Self {
        let mut pkcs8 = PKCS8_OF_A_SEED.to_vec();
        pkcs8.extend_from_slice(&random::<32>(rng));
        let keys = KeyPair::from_pkcs8(&pkcs8).expect("any 32 bytes are an Ed25519 secret");
        let disk = SimDisk::new(false);
        let mut changes = Changes::default();
        let about = Identity { store: random(rng), domain, key: keys.key() };
        write_meta(&mut changes, meta_key::identity(), Some(&about));
        disk.commit(&changes, Durability::Synced).expect("an empty disk takes a commit");
        Self {
            keys,
            address: address.to_owned(),
            disk: Arc::new(disk),
            before: None,
            commit_ms: rng.next_u64() % (COMMIT_MS_MAX + 1),
            keeps_lease: rng.next_u64().is_multiple_of(2),
            ahead_ms: (rng.next_u64() % (2 * AHEAD_MS_MAX)) as i64 - AHEAD_MS_MAX as i64,
            is_member: false,
            boots: 0,
            running: None,
        }
    }
}

/// Random bytes of a seed.
fn random<const N: usize>(rng: &mut ChaCha8Rng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// What comes before the 32 secret bytes of an Ed25519 key pair in PKCS#8 (RFC 8410).
const PKCS8_OF_A_SEED: [u8; 16] =
    [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
/// Milliseconds since 1970 at the beginning of time.
const EPOCH_MS: u64 = 1_790_000_000_000;
/// How long a commit takes at most.
const COMMIT_MS_MAX: u64 = 8;
/// How wrong a clock is at most.
const AHEAD_MS_MAX: u64 = 200;
