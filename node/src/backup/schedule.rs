//! Backups that a node makes by itself, and removes when it has enough of them.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millpond_core::{Domain, NodeKey};
use tokio_util::sync::CancellationToken;

use super::create::BackupOptions;
use super::error::BackupError;
use super::file::remove_unfinished;
use super::info::{BackupInfo, file_name, file_stem, list};
use super::keep::Keep;
use crate::Replica;
use crate::runtime::wall_ms;
use crate::status::BackupStatus;

/// When a node makes backups by itself, where, and how many it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupSchedule {
    /// The folder, which is made if it is missing. Only backups of this node in it are ever removed, none of other
    /// nodes, and nothing else.
    pub folder: PathBuf,
    /// How long after one the next is due: a second at least. A restart begins no new count.
    pub every: Duration,
    /// How many are kept.
    pub keep: Keep,
}

impl BackupSchedule {
    /// Backups into a folder, every six hours.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let every = Duration::from_secs(6 * 3600);
        Self { folder: folder.into(), every, keep: Keep::default() }
    }
}

/// The backups of a node that runs.
pub(crate) struct Backups {
    schedule: BackupSchedule,
    key: String,
    domain: Mutex<String>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: Option<(u64, PathBuf)>,
    /// From when on the next one is counted.
    counted_ms: u64,
    made: u64,
    failed: u64,
    last_error: Option<String>,
    /// Not before, after a failure.
    retry_ms: u64,
}

impl Backups {
    pub(crate) fn new(schedule: BackupSchedule, key: NodeKey, domain: Domain) -> Arc<Self> {
        let (key, domain) = (key.to_string(), Mutex::new(format!("{domain:#}")));
        Arc::new(Self { schedule, key, domain, state: Mutex::default() })
    }

    /// How they are.
    pub(crate) fn status(&self) -> BackupStatus {
        let state = self.state();
        BackupStatus {
            folder: self.schedule.folder.display().to_string(),
            every_s: self.schedule.every.as_secs(),
            last_success_ms: state.last.as_ref().map(|(taken_ms, _)| *taken_ms),
            last_file: state.last.as_ref().map(|(_, path)| path.display().to_string()),
            age_s: state.last.as_ref().map(|(ms, _)| wall_ms().saturating_sub(*ms) / 1000),
            made: state.made,
            failed: state.failed,
            last_error: state.last_error.clone(),
        }
    }

    /// Makes backups until the replica is closed, or nobody holds it any more.
    pub(crate) async fn run(
        self: Arc<Self>,
        name: String,
        replica: impl Fn() -> Option<Replica>,
        stop: CancellationToken,
    ) {
        let (this, name) = (self.clone(), name);
        let looked = tokio::task::spawn_blocking(move || this.look_around(&file_stem(&name))).await;
        if let Ok(Err(error)) = looked {
            self.failed(&error);
        }
        loop {
            let wait = self.until_due(wall_ms()).clamp(TICK_MIN, TICK_MAX);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            if !self.until_due(wall_ms()).is_zero() {
                continue;
            }
            let Some(replica) = replica() else { return };
            match self.make(&replica).await {
                Ok(()) => {}
                // There is nothing to put aside yet.
                Err(BackupError::NotJoined) => self.state().retry_ms = wall_ms() + TICK_MAX_MS,
                Err(BackupError::Stopped) => return,
                Err(error) => self.failed(&error),
            }
        }
    }

    /// When the next one is due. A clock that was put back does not put that off by more than one interval from
    /// then on.
    fn until_due(&self, now_ms: u64) -> Duration {
        let every_ms = self.schedule.every.as_millis() as u64;
        let mut state = self.state();
        state.counted_ms = state.counted_ms.min(now_ms);
        state.retry_ms = state.retry_ms.min(now_ms + RETRY_MS);
        let due_ms = (state.counted_ms + every_ms).max(state.retry_ms);
        // One that was never made is due at once.
        let due_ms = if state.counted_ms == 0 { state.retry_ms } else { due_ms };
        Duration::from_millis(due_ms.saturating_sub(now_ms))
    }

    async fn make(self: &Arc<Self>, replica: &Replica) -> Result<(), BackupError> {
        let folder = self.schedule.folder.clone();
        fs::create_dir_all(&folder).map_err(|error| BackupError::io(&folder, error))?;
        let path = folder.join(file_name(replica.name(), wall_ms()));
        let options = BackupOptions::default();
        let made = replica.back_up(&path, options, |_| ControlFlow::Continue(())).await?;
        tracing::info!(path = %path.display(), bytes = made.bytes, "backup made");
        self.made(made.taken_ms, path);
        let this = self.clone();
        let pruned = tokio::task::spawn_blocking(move || this.prune()).await;
        pruned.unwrap_or_else(|error| Err(BackupError::io(&folder, io::Error::other(error))))
    }

    fn made(&self, taken_ms: u64, path: PathBuf) {
        let mut state = self.state();
        (state.last, state.counted_ms) = (Some((taken_ms, path)), taken_ms);
        state.made += 1;
        state.last_error = None;
    }

    fn failed(&self, error: &BackupError) {
        tracing::error!(%error, "a backup was not made, or an old one not removed");
        let mut state = self.state();
        state.failed += 1;
        state.last_error = Some(error.to_string());
        state.retry_ms = wall_ms() + (self.schedule.every.as_millis() as u64).min(RETRY_MS);
    }

    /// Finds the newest backup of this node, and removes what an earlier run could not finish.
    fn look_around(&self, node: &str) -> Result<(), BackupError> {
        if !self.schedule.folder.exists() {
            return Ok(());
        }
        remove_unfinished(&self.schedule.folder, node)?;
        let newest = self.own()?.pop();
        if let Some((path, info)) = newest {
            let mut state = self.state();
            (state.last, state.counted_ms) = (Some((info.taken_ms, path)), info.taken_ms);
        }
        Ok(())
    }

    /// Removes the backups that need not be kept. Those of days to come, by a clock that was wrong then or is now,
    /// are left alone, and push nothing out.
    fn prune(&self) -> Result<(), BackupError> {
        let now_ms = wall_ms();
        let mut own = self.own()?;
        own.retain(|(_, info)| info.taken_ms <= now_ms);
        let taken: Vec<u64> = own.iter().map(|(_, info)| info.taken_ms).collect();
        for ((path, _), is_kept) in own.iter().zip(self.schedule.keep.kept(&taken)) {
            if !is_kept {
                fs::remove_file(path).map_err(|error| BackupError::io(path, error))?;
                tracing::info!(path = %path.display(), "old backup removed");
            }
        }
        Ok(())
    }

    /// The node has gone over to another domain: backups of the one before are none of its own.
    pub(crate) fn enter(&self, domain: Domain) {
        *self.domain.lock().unwrap_or_else(PoisonError::into_inner) = format!("{domain:#}");
    }

    /// The backups of this node, the oldest first.
    fn own(&self) -> Result<Vec<(PathBuf, BackupInfo)>, BackupError> {
        let listed = list(&self.schedule.folder)?.into_iter();
        let readable = listed.filter_map(|it| Some((it.path, it.info.ok()?)));
        let domain = self.domain.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_own = |info: &BackupInfo| info.key == self.key && info.domain == domain;
        Ok(readable.filter(|(_, info)| is_own(info)).collect())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// However often one is due, others work on this machine as well.
const TICK_MIN: Duration = Duration::from_millis(200);

/// The wall clock may jump.
const TICK_MAX: Duration = Duration::from_millis(TICK_MAX_MS);
const TICK_MAX_MS: u64 = 30_000;

/// After a failure, if not sooner: somebody may have made room.
const RETRY_MS: u64 = 300_000;
