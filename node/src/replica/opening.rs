//! Opening a replica: from its folder to running tasks.

use std::sync::{Arc, Mutex};

use millpond_core::VersionVector;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Replica;
use super::handle::Inner;
#[cfg(feature = "backup")]
use crate::backup::Backups;
use crate::config::{Config, Preset};
use crate::folder::{self, Folder, InitReport, OpenError};
use crate::indexes::Declared;
use crate::key_pair::verify;
use crate::key_ring::KeyRing;
use crate::limits::{BULK_FRAMES_MAX, EVENTS_MAX};
use crate::membership::Invite;
use crate::network;
use crate::replication::{
    Collection, Engine, EngineConfig, JoinProgress, Limits, Now, VerifySettings,
};
use crate::runtime::{EngineHandle, EngineTask, Ground, LeaseKeeper, Shell, accept, wall_ms};
use crate::state::Heads;

impl Replica {
    /// Founds a domain in an empty folder, with this node as its admin. The replica is not opened.
    ///
    /// # Errors
    /// [`OpenError::AlreadyInitialised`], or what keeps files from being written.
    pub fn init(config: &Config) -> Result<InitReport, OpenError> {
        folder::init(config, wall_ms())
    }

    /// Makes a replica that redeems `invite` when it is first opened, in a folder that is empty or whose
    /// replica has not been taken in yet: a fresh invite takes the place of one that was refused.
    ///
    /// # Errors
    /// As [`Replica::init`].
    pub fn prepare_join(config: &Config, invite: &Invite) -> Result<(), OpenError> {
        folder::prepare_join(config, invite)
    }

    /// Opens the replica in a folder and starts to replicate. Must be called within a tokio runtime with
    /// I/O and time enabled.
    ///
    /// # Errors
    /// Any [`OpenError`].
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        let opening = config.clone();
        let folder = tokio::task::spawn_blocking(move || folder::open(&opening, &[]))
            .await
            .expect("opening a folder does not panic")?;
        Self::start(&config, [].into(), folder)
    }

    pub(super) fn start(
        config: &Config,
        declared: Arc<[Declared]>,
        folder: Folder,
    ) -> Result<Self, OpenError> {
        let network = network::bind(config, &folder.keys)?;
        let ground = Ground::machine(network, declared, config.is_in_memory());
        Self::start_on(config, folder, ground)
    }

    pub(crate) fn start_on(
        config: &Config,
        folder: Folder,
        ground: Ground,
    ) -> Result<Self, OpenError> {
        let Folder { keys, store, about, boot, lease, is_continuous, is_level } = folder;
        let Ground { network, clock, seed, start_writer } = ground;
        let shows = keys.key();
        let keys = Arc::new(KeyRing::new(&config.dir, about.domain, keys));
        let (network, mut warnings) = match network {
            Some(network) => (Some(Arc::new(network.routes)), network.warnings),
            None => (None, Vec::new()),
        };
        if config.state_dir.is_none() && !config.is_in_memory() {
            warnings.push(
                "no state folder is configured: without a lease the first write after each start opens a new \
                 incarnation, which makes every message somewhat longer"
                    .into(),
            );
        }
        let listen = network.as_ref().map(|it| it.local_address()).unwrap_or_default();
        let advertised = network::addresses_to_tell(config, network.as_deref());
        let epoch = Instant::now();
        let engine_config = EngineConfig {
            key: about.key,
            shows,
            check: verify,
            domain: about.domain,
            name: config.name.clone(),
            addresses: advertised,
            listen,
            boot,
            is_continuous,
            is_level,
            hold_down_ms: config.hold_down.as_millis() as u64,
            digest_ms: config.digest_interval.as_millis() as u64,
            collection: Collection {
                interval_ms: config.digest_interval.as_millis() as u64,
                offline_window_ms: config.offline_window.as_millis() as u64,
                bytes_max: config.tombstone_bytes_max,
                linger_ms: LINGER_MS,
                linger_bytes_max: LINGER_BYTES_MAX,
            },
            topology: config.topology.clone(),
            region: config.region.clone(),
            cost: config.cost,
            apply_after_ms: config.apply_after.map(|after| after.as_millis() as u64),
            primary: match &config.preset {
                Preset::MultiWriter => None,
                Preset::PrimaryBackup { primary } => Some(primary.clone().unwrap_or_default()),
            },
            max_lag_ms: config.max_lag.as_millis() as u64,
            max_lag_writes: config.max_lag_writes.unwrap_or(u64::MAX),
            limits: Limits::default(),
            automatic_refresh: config.automatic_refresh,
            verify: VerifySettings {
                every_ms: config.verify_every.map(|every| every.as_millis() as u64),
                rows_per_s: config.verify_rows_per_s,
            },
            seed,
        };
        let now = Now { mono_ms: 0, wall_ms: clock() };
        let engine = Engine::new(engine_config, store.clone(), now)?;

        let (events, inbox) = mpsc::channel(EVENTS_MAX);
        let (bulk, bulk_inbox) = mpsc::channel(BULK_FRAMES_MAX);
        let heads = Heads::load(&*store.snapshot()?)?;
        let (committed_tx, committed) = watch::channel(heads.vv(heads.shown()).clone());
        let (held_by_all_tx, held_by_all) = watch::channel(VersionVector::new());
        let (joined_tx, joined) = watch::channel(None);
        if !engine.is_joining() {
            joined_tx.send_replace(Some(JoinProgress::Joined));
        }
        let (failed_tx, failed) = watch::channel(None);
        let failed_at = move |error| drop(failed_tx.send_replace(Some(error)));
        let writer = start_writer(store.clone(), events.clone(), Box::new(failed_at))?;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let lease = lease.map(|file| LeaseKeeper {
            file,
            store: about.store,
            boot,
            heads,
            is_level: false,
            is_stale: true,
            due: epoch,
        });
        let shell = Shell {
            network: network.clone(),
            keys: keys.clone(),
            config: Arc::new(config.clone()),
            writer: writer.jobs(),
            events: events.clone(),
            bulk,
            committed: committed_tx,
            held_by_all: held_by_all_tx,
            joined: joined_tx,
            lease,
            tasks: tasks.clone(),
            stop: stop.clone(),
            epoch,
            clock,
        };
        let task = EngineTask::new(engine, [inbox, bulk_inbox], shell);
        tasks.spawn(task.run());
        if let Some(network) = &network {
            accept(network, &events, &tasks, &stop);
        }
        let inner = Inner {
            dir: config.dir.clone(),
            key: about.key,
            keys,
            key_overlap: config.key_overlap,
            name: config.name.clone(),
            may_be_delayed: config.apply_after.is_some(),
            store,
            engine: EngineHandle { events, committed, held_by_all, joined },
            network,
            state_dir: config.state_dir.clone(),
            warnings,
            failed,
            writer: Mutex::new(Some(writer)),
            #[cfg(feature = "backup")]
            backups: config.backup.clone().map(|it| Backups::new(it, about.key, about.domain)),
            tasks,
            stop,
        };
        let replica = Self { inner: Arc::new(inner) };
        #[cfg(feature = "backup")]
        replica.keep_backups();
        Ok(replica)
    }
}

/// Longer than most readers of changes take to connect again.
const LINGER_MS: u64 = 60_000;
/// Of tombstones that nobody but such readers needs: some 80,000, what 1,300 deletes a second leave in a minute.
const LINGER_BYTES_MAX: u64 = 4 << 20;
