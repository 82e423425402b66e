//! The replica: a handle on a running node.

use std::net::SocketAddr;
use std::panic::resume_unwind;
#[cfg(feature = "backup")]
use std::path::Path;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use millpond_core::transport::Transport;
use millpond_core::{Dot, Namespace, NodeKey, Path as RecordPath, VersionVector};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::advertise;
#[cfg(feature = "backup")]
use crate::backup::Backups;
use crate::closure::{guarded, is_in_closure};
use crate::commits::Commits;
use crate::config::{Config, Preset};
use crate::folder::{self, Folder, InitReport, OpenError};
use crate::membership::{Invite, InviteOptions};
use crate::network;
use crate::replication::{
    Answer, Collection, DelayOrder, Engine, EngineConfig, JoinProgress, Limits, Now, Request,
    Sight, VerifySettings,
};
use crate::runtime::{EngineHandle, EngineTask, Event, LeaseKeeper, Shell, WriterHandle};
use crate::seal::Seal;
use crate::state::{Heads, View, WriteError, WriteTx, shown_in};
use crate::status::{RefreshError, RefreshReport, Status, Survey, VerifyReport};
#[cfg(feature = "backup")]
use crate::store::Snapshot;
use crate::store::{Store, StoreError};
use crate::topology::settings::{Topology, TopologyError};

/// A running replica: reads, writes, and replicates in the background. Cheap to clone; all clones are one
/// replica.
///
/// It keeps working when the network does not: reads and writes never wait for a peer.
#[derive(Clone)]
pub struct Replica {
    inner: Arc<Inner>,
}

struct Inner {
    #[cfg_attr(not(feature = "backup"), expect(dead_code, reason = "for backups with the key"))]
    dir: PathBuf,
    key: NodeKey,
    name: String,
    /// Whether it was opened as a delayed replica; it may have been promoted since.
    may_be_delayed: bool,
    store: Arc<dyn Store>,
    engine: EngineHandle,
    transport: Option<Arc<dyn Transport>>,
    state_dir: Option<PathBuf>,
    warnings: Vec<String>,
    failed: watch::Receiver<Option<StoreError>>,
    writer: Mutex<Option<WriterHandle>>,
    #[cfg(feature = "backup")]
    backups: Option<Arc<Backups>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// A transaction that is committed and, on a durable replica, on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// Its last dot; `None` when it changed nothing.
    pub dot: Option<Dot>,
    /// This replica's vector with it: a replica that covers it shows the transaction.
    pub vv: VersionVector,
}

/// Why no invite was issued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InviteError {
    /// This node is no admin.
    #[error("only an admin may invite, and this node is none; run it on an admin's node")]
    NotAdmin,
    /// It could not be recorded.
    #[error("the invite was not recorded: {0}")]
    Store(String),
    /// The replica is closed.
    #[error("the replica is closed")]
    Closed,
}

/// Why no member was promoted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PromoteError {
    /// This node is no admin.
    #[error("only an admin may promote, and this node is none; run it on an admin's node")]
    NotAdmin,
    /// There is no such member.
    #[error("there is no such member")]
    NoMember,
    /// That member's role does not allow writes.
    #[error("the member's role is {role}, which may not write")]
    MayNotWrite {
        /// Its role.
        role: String,
    },
    /// It could not be recorded.
    #[error("the promotion was not recorded: {0}")]
    NotRecorded(String),
    /// The replica is closed.
    #[error("the replica is closed")]
    Closed,
}

/// Why a delayed replica does not do what it was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DelayError {
    /// It is none.
    #[error("this node is no delayed replica")]
    NotDelayed,
    /// It shows more than that already.
    #[error("this node shows more than that already")]
    Past,
    /// That moment has not come yet.
    #[error("that moment has not come yet")]
    Future,
    /// It could not be recorded.
    #[error("the order was not recorded: {0}")]
    NotRecorded(String),
    /// The replica is closed.
    #[error("the replica is closed")]
    Closed,
}

/// A fence was not lifted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// There is none.
    #[error("this node is not fenced")]
    NotFenced,
    /// That it is lifted could not be recorded: it is, until the next start.
    #[error("that the fence is lifted was not recorded: {0}")]
    Store(String),
    /// The replica is closed.
    #[error("the replica is closed")]
    Closed,
}

/// Joining came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The inviter refused.
    #[error("the invite was refused: {why}")]
    Refused {
        /// The inviter's reason.
        why: String,
    },
    /// The replica was closed first.
    #[error("the replica was closed before it had joined")]
    Closed,
}

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
        let folder = tokio::task::spawn_blocking(move || folder::open(&opening))
            .await
            .expect("opening a folder does not panic")?;
        Self::start(&config, folder)
    }

    fn start(config: &Config, folder: Folder) -> Result<Self, OpenError> {
        let Folder { keys, store, about, boot, lease, is_continuous } = folder;
        let network = network::bind(config, &keys)?;
        let (transport, mut warnings) = match network {
            Some(network) => (Some(network.transport), network.warnings),
            None => (None, Vec::new()),
        };
        if lease.is_none() {
            warnings.push(
                "no state folder is configured: without a lease the first write after each start opens a new \
                 incarnation, which makes every message somewhat longer"
                    .into(),
            );
        }
        let listen = transport.as_ref().map(|it| it.local_address()).unwrap_or_default();
        let advertised = match &config.advertise[..] {
            [] => listen.parse().map_or_else(|_| Vec::new(), advertise::addresses),
            addresses => addresses.to_vec(),
        };
        let store: Arc<dyn Store> = store;
        let epoch = Instant::now();
        let engine_config = EngineConfig {
            key: about.key,
            domain: about.domain,
            name: config.name.clone(),
            addresses: advertised,
            listen,
            boot,
            is_continuous,
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
            seed: folder::random(),
        };
        let now = Now { mono_ms: 0, wall_ms: wall_ms() };
        let engine = Engine::new(engine_config, store.clone(), now)?;

        let (events, inbox) = mpsc::channel(EVENTS_MAX);
        let heads = Heads::load(&*store.snapshot()?)?;
        let (committed_tx, committed) = watch::channel(heads.vv(heads.shown()).clone());
        let (joined_tx, joined) = watch::channel(None);
        if !engine.is_joining() {
            joined_tx.send_replace(Some(JoinProgress::Joined));
        }
        let (failed_tx, failed) = watch::channel(None);
        let writer = WriterHandle::start(store.clone(), events.clone(), move |error| {
            failed_tx.send_replace(Some(error));
        })?;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let lease = lease.map(|file| LeaseKeeper {
            file,
            store: about.store,
            boot,
            heads,
            is_stale: true,
            due: epoch,
        });
        let shell = Shell {
            transport: transport.clone(),
            writer: writer.jobs(),
            events: events.clone(),
            committed: committed_tx,
            joined: joined_tx,
            lease,
            tasks: tasks.clone(),
            stop: stop.clone(),
            epoch,
        };
        let task = EngineTask::new(engine, inbox, shell);
        tasks.spawn(task.run());
        if let Some(transport) = &transport {
            tasks.spawn(accept(transport.clone(), events.clone(), stop.clone()));
        }
        let inner = Inner {
            dir: config.dir.clone(),
            key: about.key,
            name: config.name.clone(),
            may_be_delayed: config.apply_after.is_some(),
            store,
            engine: EngineHandle { events, committed, joined },
            transport,
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

    /// This node's key.
    pub fn key(&self) -> NodeKey {
        self.inner.key
    }

    /// The address that it listens on for peers.
    pub fn local_address(&self) -> Option<String> {
        self.inner.transport.as_ref().map(|transport| transport.local_address())
    }

    /// A consistent snapshot of the data, as of the latest commit.
    ///
    /// # Errors
    /// [`StoreError`], when the store cannot be read.
    pub fn read(&self) -> Result<View, StoreError> {
        if self.inner.stop.is_cancelled() {
            return Err(StoreError::Poisoned { reason: "the replica is closed".into() });
        }
        let snapshot = self.inner.store.snapshot()?;
        let namespace = match self.inner.may_be_delayed {
            true => shown_in(&*snapshot)?,
            false => Namespace::MAIN,
        };
        View::new(snapshot, namespace)
    }

    /// Runs a transaction: a short synchronous closure, on the writer's thread. All that it writes becomes
    /// visible at once, here and on every other replica; it is on disk when this returns.
    ///
    /// The closure may fail with an error of its own, which is passed on. The closure may be dropped unrun when
    /// the replica closes. A write whose future is dropped may still happen.
    ///
    /// # Errors
    /// What the closure returned, or any [`WriteError`]; then nothing was written.
    ///
    /// # Panics
    /// When the closure does; then nothing was written, and the replica goes on.
    pub async fn write<T: Send + 'static, E: From<WriteError> + Send + 'static>(
        &self,
        closure: impl FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<(T, Receipt), E> {
        if is_in_closure() {
            return Err(WriteError::Nested.into());
        }
        let outcome = Arc::new(Mutex::new(None));
        let (closure, outcome) = (guarded(closure, outcome.clone()), outcome);
        let answer = self.inner.engine.ask(Request::Write(closure)).await;
        let outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (outcome, answer) {
            (Some(Err(panic)), _) => resume_unwind(panic),
            (Some(Ok(Err(refusal))), _) => Err(refusal),
            (Some(Ok(Ok(value))), Some(Answer::Written(Ok((dot, vv))))) => {
                Ok((value, Receipt { dot, vv }))
            }
            (_, Some(Answer::Written(Err(error)))) => Err(error.into()),
            _ => Err(WriteError::Closed.into()),
        }
    }

    /// Everything about this node, now. A closed replica says so.
    pub async fn status(&self) -> Status {
        let inner = &self.inner;
        let request = Request::Status {
            stats: Vec::new(),
            store_bytes: inner.store.size_bytes(),
            warnings: inner.warnings.clone(),
        };
        match inner.engine.ask(request).await {
            Some(Answer::Status(mut status)) => {
                let state_dir = inner.state_dir.as_ref().map(|dir| dir.display().to_string());
                status.node.state_dir = state_dir;
                #[cfg(feature = "backup")]
                if let Some(backups) = &inner.backups {
                    return status.with_backup(backups.status());
                }
                *status
            }
            _ => Status::closed(&inner.key.to_string(), &inner.name),
        }
    }

    /// Issues an invite, to be redeemed at this node once.
    ///
    /// # Errors
    /// [`InviteError`] when this node is no admin, or the invite cannot be recorded.
    pub async fn invite(&self, options: InviteOptions) -> Result<Invite, InviteError> {
        let request = Request::Invite { options, secret: folder::random() };
        match self.inner.engine.ask(request).await {
            Some(Answer::Invite(invite)) => invite,
            _ => Err(InviteError::Closed),
        }
    }

    /// Makes a member the primary, which alone takes writes; the others are its backups, and refuse them with
    /// [`WriteError::NotPrimary`]. `None` ends that: everybody writes whose role allows it. It is recorded in the
    /// domain and holds from each node's next commit on, restarts included; of promotions at once the later one
    /// holds everywhere. What a former primary wrote and nobody has yet is merged when it returns.
    ///
    /// # Errors
    /// Any [`PromoteError`]; then nothing has changed.
    pub async fn promote(&self, primary: Option<NodeKey>) -> Result<(), PromoteError> {
        match self.inner.engine.ask(Request::Promote(primary)).await {
            Some(Answer::Promoted(promoted)) => promoted,
            _ => Err(PromoteError::Closed),
        }
    }

    /// Asks the engine; `None` once the replica is closed.
    pub(crate) async fn ask(&self, request: Request) -> Option<Answer> {
        self.inner.engine.ask(request).await
    }

    /// Follows what peers hold; `None` once the replica is closed.
    pub(crate) async fn sight(&self) -> Option<watch::Receiver<Sight>> {
        self.inner.engine.sight().await
    }

    /// Stops a delayed replica from showing more, until [`Replica::resume_delay`]. It goes on receiving.
    ///
    /// # Errors
    /// Any [`DelayError`].
    pub async fn pause_delay(&self) -> Result<(), DelayError> {
        self.order_delay(DelayOrder::Pause).await
    }

    /// Lets a delayed replica show again whatever is old enough.
    ///
    /// # Errors
    /// Any [`DelayError`].
    pub async fn resume_delay(&self) -> Result<(), DelayError> {
        self.order_delay(DelayOrder::Resume).await
    }

    /// Lets a delayed replica show, soon, exactly what had arrived by a moment on its wall clock, and then
    /// pauses it.
    ///
    /// # Errors
    /// Any [`DelayError`].
    pub async fn apply_until(&self, moment: SystemTime) -> Result<(), DelayError> {
        let since = moment.duration_since(UNIX_EPOCH).map_err(|_| DelayError::Past)?;
        self.order_delay(DelayOrder::ApplyUntil(since.as_millis() as u64)).await
    }

    /// Ends the delay: this replica shows all that it has received, and takes writes. It stays so until it is
    /// opened without [`Config::apply_after`].
    ///
    /// # Errors
    /// Any [`DelayError`].
    pub async fn end_delay(&self) -> Result<(), DelayError> {
        self.order_delay(DelayOrder::Promote).await
    }

    async fn order_delay(&self, order: DelayOrder) -> Result<(), DelayError> {
        match self.inner.engine.ask(Request::Delay(order)).await {
            Some(Answer::Delay(ordered)) => ordered,
            _ => Err(DelayError::Closed),
        }
    }

    /// Follows the vector of the data, as of each commit.
    pub fn committed(&self) -> Commits {
        Commits::new(self.inner.engine.committed.clone())
    }

    /// Closes the links to a peer, or to all, and keeps them closed until [`Replica::resume`]. Writes go on.
    pub async fn pause(&self, peer: Option<NodeKey>) {
        self.inner.engine.ask(Request::Pause(peer)).await;
    }

    /// Takes back [`Replica::pause`].
    pub async fn resume(&self, peer: Option<NodeKey>) {
        self.inner.engine.ask(Request::Resume(peer)).await;
    }

    /// Lifts the fence of a node whose key another live node holds, or held: once a person has stopped the
    /// other one. What this node wrote stands, and reaches the others. While the other one lives both are
    /// fenced again.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub async fn release(&self) -> Result<(), ReleaseError> {
        match self.inner.engine.ask(Request::Release).await {
            Some(Answer::Released(released)) => released,
            _ => Err(ReleaseError::Closed),
        }
    }

    /// Asks every node of the mesh how it is, and waits until all have told or two seconds have passed. A
    /// closed replica knows of nobody.
    pub async fn survey(&self) -> Survey {
        match self.inner.engine.ask(Request::Survey).await {
            Some(Answer::Survey(surveyed)) => surveyed.survey(),
            _ => Survey::default(),
        }
    }

    /// Compares this node with these peers, or with all members, and waits until that is done; what the log says
    /// that one of two has lost is mended on the way. A deep one reads the node's whole store first, and checks
    /// every value. Costs each node a scan, and the network a few kilobytes for each difference.
    ///
    /// A closed replica has verified nothing.
    pub async fn verify(&self, peers: Option<Vec<NodeKey>>, is_deep: bool) -> VerifyReport {
        match self.inner.engine.ask(Request::Verify { peers, is_deep }).await {
            Some(Answer::Verified(report)) => *report,
            _ => VerifyReport::default(),
        }
    }

    /// Refreshes with a peer, whether or not the two need it, and waits until that is done: what each holds is
    /// joined into the other, deletes that both have forgotten included. A dry one only tells what would come here, go,
    /// and stay.
    ///
    /// # Errors
    /// [`RefreshError`]; a refresh that has begun goes on all the same.
    pub async fn refresh(
        &self,
        peer: NodeKey,
        is_dry: bool,
    ) -> Result<RefreshReport, RefreshError> {
        match self.inner.engine.ask(Request::Refresh { peer, is_dry }).await {
            Some(Answer::Refreshed(result)) => result,
            _ => Err(RefreshError::Closed),
        }
    }

    /// Gives up what this node has lost and no peer has: deletes it, at and below a path, or everywhere. Says how
    /// many values that were. [`Replica::verify`] finds out what is lost.
    ///
    /// # Errors
    /// Any [`WriteError`]; then nothing was deleted that is not told lost any more.
    pub async fn accept_loss(&self, within: Option<RecordPath>) -> Result<u64, WriteError> {
        match self.inner.engine.ask(Request::AcceptLoss(within)).await {
            Some(Answer::LossAccepted(result)) => result,
            _ => Err(WriteError::Closed),
        }
    }

    /// Takes part in the mesh in another way, until the replica is opened again with its own [`Config`].
    ///
    /// # Errors
    /// [`TopologyError`]; then nothing has changed.
    pub async fn set_topology(&self, topology: Topology) -> Result<(), TopologyError> {
        topology.check()?;
        self.inner.engine.ask(Request::SetTopology(topology)).await;
        Ok(())
    }

    /// Waits until this node is a member of its domain: at once, unless it came with an invite that is not
    /// redeemed yet. Waits for as long as the inviter cannot be reached.
    ///
    /// # Errors
    /// [`JoinError::Refused`] with the inviter's reason.
    pub async fn joined(&self) -> Result<(), JoinError> {
        let mut joined = self.inner.engine.joined.clone();
        loop {
            match joined.borrow_and_update().clone() {
                Some(JoinProgress::Joined) => return Ok(()),
                Some(JoinProgress::Refused(why)) => return Err(JoinError::Refused { why }),
                Some(JoinProgress::Waiting(_)) | None => {}
            }
            joined.changed().await.map_err(|_| JoinError::Closed)?;
        }
    }

    /// Why joining has not come about so far, for progress messages.
    pub fn join_progress(&self) -> Option<String> {
        match &*self.inner.engine.joined.borrow() {
            Some(JoinProgress::Waiting(reason) | JoinProgress::Refused(reason)) => {
                Some(reason.clone())
            }
            _ => None,
        }
    }

    /// The digest of everything visible here: equal on two replicas if and only if their data is.
    ///
    /// # Errors
    /// [`StoreError`]. Costs a full scan.
    pub async fn seal(&self) -> Result<Seal, StoreError> {
        let view = self.read()?;
        tokio::task::spawn_blocking(move || Seal::of(&view))
            .await
            .map_err(|error| StoreError::Io { reason: error.to_string() })?
    }

    /// Waits until the store has failed for good. The node must be restarted then.
    pub async fn failed(&self) -> StoreError {
        let mut failed = self.inner.failed.clone();
        let found = failed.wait_for(Option::is_some).await;
        match found.as_deref() {
            Ok(Some(error)) => error.clone(),
            _ => std::future::pending().await,
        }
    }

    /// Finishes the writes under way, tells the peers, and stops. Idempotent; later calls on the handle
    /// fail with `Closed`. The folder and the port are free once the last handle is dropped.
    pub async fn close(&self) {
        let writer = self.inner.writer.lock().expect("nobody panics while holding it").take();
        if let Some(writer) = writer {
            // What the writer has been given is committed and answered before the engine stops.
            let _ = tokio::task::spawn_blocking(move || writer.join()).await;
            self.status().await;
        }
        self.inner.stop.cancel();
        self.inner.tasks.close();
        if let Some(transport) = &self.inner.transport {
            transport.close().await;
        }
        self.inner.tasks.wait().await;
    }

    /// The socket address that peers dial, when there is one.
    pub fn listen_socket(&self) -> Option<SocketAddr> {
        self.local_address()?.parse().ok()
    }
}

/// What backups are made of.
#[cfg(feature = "backup")]
impl Replica {
    pub(crate) fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        self.inner.store.snapshot()
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.inner.dir
    }

    pub(crate) fn name(&self) -> &str {
        &self.inner.name
    }

    /// Makes backups as the configuration says. Does not keep the replica open: whoever drops it ends that.
    fn keep_backups(&self) {
        let Some(backups) = self.inner.backups.clone() else { return };
        let (name, stop) = (self.inner.name.clone(), self.inner.stop.clone());
        let inner = Arc::downgrade(&self.inner);
        let replica = move || inner.upgrade().map(|inner| Self { inner });
        self.inner.tasks.spawn(backups.run(name, replica, stop));
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.inner.stop.is_cancelled()
    }
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replica").field("key", &self.inner.key).finish_non_exhaustive()
    }
}

async fn accept(
    transport: Arc<dyn Transport>,
    events: mpsc::Sender<Event>,
    stop: CancellationToken,
) {
    loop {
        let link = tokio::select! {
            () = stop.cancelled() => return,
            link = transport.accept() => link,
        };
        let Some(link) = link else { return };
        if events.send(Event::Link(link)).await.is_err() {
            return;
        }
    }
}

pub(crate) fn wall_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_millis() as u64
}

/// Events that may wait for the engine; beyond, links stop reading.
const EVENTS_MAX: usize = 1024;
/// Longer than most readers of changes take to connect again.
const LINGER_MS: u64 = 60_000;
/// Of tombstones that nobody but such readers needs: some 80,000, what 1,300 deletes a second leave in a minute.
const LINGER_BYTES_MAX: u64 = 4 << 20;
