//! A node's disk: a store that can be full, fail a sync, lose a process in the middle of a commit, or rot.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use millpond_core::{Dot, Entry, Incarnation, Namespace, Path};

use crate::store::memory::MemoryStore;
use crate::store::{Changes, Durability, LogRow, MetaKey, Snapshot, Store, StoreError};

/// A store over tables in memory, with the faults of a disk. It keeps [`Store`]'s contract, faults included:
/// what cuts and torn sectors do beneath a real file is the crash rig's matter
/// ([`crate::store::embedded::crash`]).
#[derive(Debug, Default)]
pub(crate) struct SimDisk {
    tables: MemoryStore,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    is_full: bool,
    next_sync: Option<FailedSync>,
    poisoned: Option<String>,
    rotten: Arc<BTreeSet<(Namespace, Path)>>,
}

/// What a failed sync leaves of its commit: nobody knows before the store is opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailedSync {
    /// Nothing.
    Lost,
    /// All of it.
    Kept,
}

impl SimDisk {
    /// An empty disk.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The same disk after the process that had it open has ended. Rot stays.
    pub(crate) fn reopened(&self) -> Self {
        let rotten = self.state().rotten.clone();
        let state = State { rotten, ..State::default() };
        Self { tables: self.tables.image(), state: Mutex::new(state) }
    }

    /// Gives it room, or takes it.
    pub(crate) fn set_full(&self, is_full: bool) {
        self.state().is_full = is_full;
    }

    /// Lets the next sync fail.
    pub(crate) fn fail_next_sync(&self, failure: Option<FailedSync>) {
        self.state().next_sync = failure;
    }

    /// Whether the commit just made failed in its sync, though all of it is there. It is asked of the disk, not
    /// answered by the commit, so that what the commit did is known to whoever judges.
    pub(crate) fn failed_and_kept(&self) -> Option<StoreError> {
        let mut state = self.state();
        (state.next_sync == Some(FailedSync::Kept)).then(|| state.poison())
    }

    /// Flips a bit of the entry at a path: its checksum will not match any more.
    pub(crate) fn rot(&self, namespace: Namespace, path: Path) {
        let mut state = self.state();
        Arc::make_mut(&mut state.rotten).insert((namespace, path));
    }

    /// Whether any entry is rotten.
    pub(crate) fn is_rotten(&self) -> bool {
        !self.state().rotten.is_empty()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn poison(&mut self) -> StoreError {
        let reason = "the sync failed".to_owned();
        self.next_sync = None;
        self.poisoned = Some(reason.clone());
        StoreError::Io { reason }
    }
}

impl Store for SimDisk {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        let tables = self.tables.snapshot()?;
        let rotten = self.state().rotten.clone();
        Ok(if rotten.is_empty() { tables } else { Arc::new(Rotten { tables, rotten }) })
    }

    fn commit(&self, changes: &Changes, durability: Durability) -> Result<(), StoreError> {
        let mut state = self.state();
        if let Some(reason) = &state.poisoned {
            return Err(StoreError::Poisoned { reason: reason.clone() });
        }
        if state.is_full {
            return Err(StoreError::Full);
        }
        if let Some((_, path)) = changes.entries.keys().find(|key| state.rotten.contains(*key)) {
            return Err(corrupt(path));
        }
        if state.next_sync == Some(FailedSync::Lost) {
            return Err(state.poison());
        }
        self.tables.commit(changes, durability)
    }

    fn size_bytes(&self) -> u64 {
        self.tables.size_bytes()
    }
}

/// A snapshot some of whose entries do not match their checksums.
struct Rotten {
    tables: Arc<dyn Snapshot>,
    rotten: Arc<BTreeSet<(Namespace, Path)>>,
}

impl Snapshot for Rotten {
    fn entry(&self, namespace: Namespace, path: &Path) -> Result<Entry, StoreError> {
        if self.rotten.contains(&(namespace, path.clone())) {
            return Err(corrupt(path));
        }
        self.tables.entry(namespace, path)
    }

    fn entries(
        &self,
        namespace: Namespace,
        within: Option<&Path>,
        after: Option<&Path>,
        visit: &mut dyn FnMut(Path, Entry) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut found = None;
        self.tables.entries(namespace, within, after, &mut |path, entry| {
            if self.rotten.contains(&(namespace, path.clone())) {
                found = Some(path);
                return ControlFlow::Break(());
            }
            visit(path, entry)
        })?;
        found.map_or(Ok(()), |path| Err(corrupt(&path)))
    }

    fn log_row(&self, namespace: Namespace, dot: Dot) -> Result<Option<LogRow>, StoreError> {
        self.tables.log_row(namespace, dot)
    }

    fn log(
        &self,
        namespace: Namespace,
        incarnation: Incarnation,
        after: u64,
        upto: u64,
        visit: &mut dyn FnMut(Dot, LogRow) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.tables.log(namespace, incarnation, after, upto, visit)
    }

    fn staged_row(&self, namespace: Namespace, path: &Path) -> Result<Option<Bytes>, StoreError> {
        self.tables.staged_row(namespace, path)
    }

    fn staged(
        &self,
        namespace: Namespace,
        after: Option<&Path>,
        visit: &mut dyn FnMut(Path, Bytes) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.tables.staged(namespace, after, visit)
    }

    fn meta(&self, key: &MetaKey) -> Result<Option<Bytes>, StoreError> {
        self.tables.meta(key)
    }
}

fn corrupt(path: &Path) -> StoreError {
    StoreError::Corrupt { what: format!("the entry at {path}") }
}
