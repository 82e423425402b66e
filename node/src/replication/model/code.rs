//! The code: one node's store and heads, changed by production jobs only.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use millpond_core::{Dot, Entry, Namespace, Path};

use super::history::{NODES, NodeId, incarnation};
use crate::state::{
    Heads, Job, JobError, Outcome, Overlay, View, commit_group, meta_key, write_meta,
};
use crate::store::memory::MemoryStore;
use crate::store::{Changes, Durability, LogRow, Snapshot, Store, StoreError};

/// A node's state, as production code has it: never changed, only followed by another one. What is looked at
/// often is read once.
pub(super) struct Code {
    store: MemoryStore,
    pub(super) heads: Heads,
    /// What readers see, all of it.
    pub(super) entries: BTreeMap<Path, Entry>,
    /// All live dots, hidden ones included.
    pub(super) live: BTreeMap<Dot, Path>,
    pub(super) log: BTreeMap<Dot, LogRow>,
    /// What a crash would leave of the heads.
    pub(super) stored: Heads,
    digest: u64,
}

/// What a group of jobs led to.
pub(super) struct Committed {
    /// Nothing when they changed nothing.
    pub(super) code: Option<Code>,
    pub(super) results: Vec<Result<Outcome, JobError>>,
    /// What a crash within the group would have left, besides the state before it and the one after.
    pub(super) halves: Vec<Code>,
}

impl Code {
    /// A node that has written nothing. Its incarnation is open, so that no write opens one.
    pub(super) fn new(node: NodeId) -> Self {
        let store = MemoryStore::new();
        let mut changes = Changes::default();
        write_meta(&mut changes, meta_key::open(), Some(&incarnation(node)));
        write_meta(&mut changes, meta_key::incarnations(), Some(&vec![incarnation(node)]));
        store.commit(&changes, Durability::Synced).unwrap();
        Self::open(store)
    }

    /// The state after a group of jobs.
    pub(super) fn commit(&self, jobs: Vec<Job>) -> Committed {
        let store = Recorder { store: self.store.image(), images: Mutex::default() };
        let mut heads = self.heads.clone();
        let results = commit_group(&store, &mut heads, jobs).expect("a store in memory works");
        let mut images = store.images.into_inner().expect("nobody panicked");
        let has_changed = images.pop().is_some() || heads != self.heads;
        let halves = images.into_iter().map(Self::open).collect();
        let code = has_changed.then(|| Self::with(store.store, heads));
        Committed { code, results, halves }
    }

    /// The state after a crash: what the store holds.
    pub(super) fn crashed(&self) -> Self {
        Self::open(self.store.image())
    }

    pub(super) fn snapshot(&self) -> Arc<dyn Snapshot> {
        self.store.snapshot().expect("a store in memory works")
    }

    fn open(store: MemoryStore) -> Self {
        let heads = Heads::load(&*store.snapshot().unwrap()).expect("a store in memory works");
        Self::with(store, heads)
    }

    fn with(store: MemoryStore, heads: Heads) -> Self {
        let snapshot = store.snapshot().expect("a store in memory works");
        let mut code = Self {
            entries: BTreeMap::new(),
            live: BTreeMap::new(),
            log: BTreeMap::new(),
            stored: Heads::load(&*snapshot).expect("a store in memory works"),
            store,
            heads,
            digest: 0,
        };
        code.read(snapshot).expect("a store in memory works");
        code
    }

    fn read(&mut self, snapshot: Arc<dyn Snapshot>) -> Result<(), StoreError> {
        let mut hasher = DefaultHasher::new();
        snapshot.entries(Namespace::MAIN, None, None, &mut |path, entry| {
            (path, entry).hash(&mut hasher);
            ControlFlow::Continue(())
        })?;
        snapshot.staged(Namespace::MAIN, None, &mut |path, row| {
            (path, row).hash(&mut hasher);
            ControlFlow::Continue(())
        })?;
        for node in 0..NODES {
            let visit = &mut |dot: Dot, row: LogRow| {
                (dot, &row.path, row.deleted, row.ends_transaction).hash(&mut hasher);
                ControlFlow::Continue(())
            };
            snapshot.log(Namespace::MAIN, incarnation(node), 0, u64::MAX, visit)?;
        }
        let Heads {
            vv,
            floor,
            clock,
            ceiling,
            cuts,
            folds,
            clears,
            last_local,
            open,
            incarnations,
            began: _,
            tombstones: _,
            compacted: _,
            delayed: _,
            indexing: _,
        } = &self.heads;
        (vv, floor, last_local, clock.last(), ceiling, open, incarnations).hash(&mut hasher);
        for (namespace, cut) in cuts {
            (namespace, &cut.from, &cut.upto, &cut.since, &cut.cursor).hash(&mut hasher);
            (cut.supplier, cut.boot.counter, cut.direct).hash(&mut hasher);
        }
        for (namespace, fold) in folds {
            (namespace, &fold.before, &fold.upto).hash(&mut hasher);
        }
        format!("{clears:?}").hash(&mut hasher);
        self.digest = hasher.finish();
        // The tables as they will be once all is folded.
        let folded = Overlay::over(snapshot.clone(), Namespace::MAIN)?;
        folded.entries(Namespace::MAIN, None, None, &mut |path, entry| {
            self.live.extend(entry.live().iter().map(|it| (it.dot, path.clone())));
            ControlFlow::Continue(())
        })?;
        for node in 0..NODES {
            let visit = &mut |dot: Dot, row: LogRow| {
                self.log.insert(dot, row);
                ControlFlow::Continue(())
            };
            folded.log(Namespace::MAIN, incarnation(node), 0, u64::MAX, visit)?;
        }
        View::new(snapshot, Namespace::MAIN)?.entries(None, None, &mut |path, entry| {
            self.entries.insert(path, entry);
            ControlFlow::Continue(())
        })
    }
}

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Hash for Code {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let heads = &self.heads;
        write!(f, "{:?} cut {:?} fold {:?} live {:?}", heads.vv, heads.cuts, heads.folds, self.live)
    }
}

/// A store that keeps what it held after each commit that changed something: others only sync.
struct Recorder {
    store: MemoryStore,
    images: Mutex<Vec<MemoryStore>>,
}

impl Store for Recorder {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        self.store.snapshot()
    }

    fn commit(&self, changes: &Changes, durability: Durability) -> Result<(), StoreError> {
        self.store.commit(changes, durability)?;
        if !changes.is_empty() {
            self.images.lock().expect("nobody panicked").push(self.store.image());
        }
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        self.store.size_bytes()
    }
}
