//! A node's disk: a store that can be full, fail a sync, lose a process in the middle of a commit, or rot.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use millpond_core::{Dot, Entry, Incarnation, Namespace, Path};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::store::embedded::EmbeddedStore;
#[cfg(test)]
use crate::store::embedded::TableName;
use crate::store::embedded::crash::{self, Survivors};
use crate::store::memory::MemoryStore;
use crate::store::{
    Changes, DamagedEntries, Durability, LogRow, MetaKey, Snapshot, Store, StoreError,
};

/// A store with the faults of a disk. It keeps [`Store`]'s contract, faults included. Most are tables in
/// memory, which are fast; some are the real store over a disk of sectors, of which a power cut leaves what
/// was synced and any part of the rest.
pub(crate) struct SimDisk {
    medium: Medium,
    state: Mutex<State>,
}

enum Medium {
    Tables(MemoryStore),
    File {
        store: EmbeddedStore,
        disk: crash::Disk,
        /// What the disk held when the store was opened.
        base: Vec<u8>,
    },
}

#[derive(Default)]
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
    /// An empty disk: tables in memory, or a file.
    pub(crate) fn new(is_file: bool) -> Self {
        let medium = match is_file {
            true => Medium::file(Vec::new()),
            false => Medium::Tables(MemoryStore::new()),
        };
        Self { medium, state: Mutex::default() }
    }

    /// The same disk after the process that had it open has ended, or a copy of it. Rot stays.
    pub(crate) fn reopened(&self) -> Self {
        let medium = match &self.medium {
            Medium::Tables(tables) => Medium::Tables(tables.image()),
            Medium::File { .. } => self.medium.after(usize::MAX, Survivors::All, 0),
        };
        Self { medium, state: self.closed() }
    }

    /// The disk after a power cut at some moment since it had seen so many operations. Tables have no such
    /// moments.
    pub(crate) fn cut_since(&self, operations: usize, seed: u64) -> Option<Self> {
        let Medium::File { disk, .. } = &self.medium else { return None };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let later = (disk.operation_count() - operations) as u64 + 1;
        let cut = operations + (rng.next_u64() % later) as usize;
        let medium = self.medium.after(cut, Survivors::draw(&mut rng), seed);
        Some(Self { medium, state: self.closed() })
    }

    /// Whether it is the real store over a disk of sectors.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.medium, Medium::File { .. })
    }

    /// How many operations the disk has seen; tables none.
    pub(crate) fn operations(&self) -> usize {
        match &self.medium {
            Medium::Tables(_) => 0,
            Medium::File { disk, .. } => disk.operation_count(),
        }
    }

    fn closed(&self) -> Mutex<State> {
        let rotten = self.state().rotten.clone();
        Mutex::new(State { rotten, ..State::default() })
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

    /// Flips a bit somewhere in a table of a namespace. Only a file has bits.
    #[cfg(test)]
    pub(crate) fn tamper(&self, namespace: Namespace, table: TableName, pick: u64, bit: u64) {
        let Medium::File { store, .. } = &self.medium else { return };
        store.tamper(namespace, table, pick, bit);
    }

    /// Whether any entry is rotten.
    pub(crate) fn is_rotten(&self) -> bool {
        !self.state().rotten.is_empty()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Medium {
    fn file(base: Vec<u8>) -> Self {
        let disk = crash::Disk::with_image(base.clone());
        let store = crash::open(&disk, CACHE_BYTES).expect("a power cut leaves what can be opened");
        Self::File { store, disk, base }
    }

    fn store(&self) -> &dyn Store {
        match self {
            Self::Tables(tables) => tables,
            Self::File { store, .. } => store,
        }
    }

    /// What a cut after so many operations leaves.
    fn after(&self, operations: usize, survivors: Survivors, seed: u64) -> Self {
        let Self::File { disk, base, .. } = self else { unreachable!("tables are not cut") };
        let all = disk.operations();
        let before = &all[..operations.min(all.len())];
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        Self::file(crash::image(base, before, survivors, rng))
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
        let tables = self.medium.store().snapshot()?;
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
        let is_rotten = |key: &&(Namespace, Path)| {
            state.rotten.contains(*key) && !changes.damaged_entries.contains(*key)
        };
        if let Some((_, path)) = changes.entries.keys().find(is_rotten) {
            return Err(corrupt(path));
        }
        if state.next_sync == Some(FailedSync::Lost) {
            return Err(state.poison());
        }
        let mut changes = Cow::Borrowed(changes);
        let mended: Vec<_> = changes
            .damaged_entries
            .iter()
            .filter(|it| state.rotten.contains(*it))
            .cloned()
            .collect();
        for mended in mended {
            Arc::make_mut(&mut state.rotten).remove(&mended);
            changes.to_mut().entries.entry(mended).or_default();
        }
        self.medium.store().commit(&changes, durability)
    }

    fn size_bytes(&self) -> u64 {
        self.medium.store().size_bytes()
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

    fn sound_entries(
        &self,
        namespace: Namespace,
        after: Option<&Path>,
        visit: &mut dyn FnMut(Result<(Path, Entry), DamagedEntries>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.tables.entries(namespace, None, after, &mut |path, entry| {
            let place = (namespace, path);
            if !self.rotten.contains(&place) {
                return visit(Ok((place.1, entry)));
            }
            // It holds this path only.
            let end = Some([place.1.as_bytes(), &[0]].concat());
            visit(Err(DamagedEntries { first: place.1, end }))
        })
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

    fn staged_back(
        &self,
        namespace: Namespace,
        below: Option<&[u8]>,
        visit: &mut dyn FnMut(Path, Bytes) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.tables.staged_back(namespace, below, visit)
    }

    fn meta(&self, key: &MetaKey) -> Result<Option<Bytes>, StoreError> {
        self.tables.meta(key)
    }
}

fn corrupt(path: &Path) -> StoreError {
    StoreError::Corrupt { what: format!("the entry at {path}") }
}

/// Small, so that pages are read from the disk again.
const CACHE_BYTES: usize = 64 << 10;
