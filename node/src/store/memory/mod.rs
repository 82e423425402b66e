//! The store in memory: for tests, and for the level `Memory`. Nothing survives the process.

use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use millpond_core::{Dot, Entry, Incarnation, Namespace, Path, Seq};

use super::{Changes, Durability, LogRow, MetaKey, Snapshot, Store, StoreError};
use sorted_map::SortedMap;

mod sorted_map;

/// A store without a disk. A snapshot shares all that later commits do not touch.
#[derive(Debug, Default)]
pub struct MemoryStore(RwLock<Tables>);

#[derive(Debug, Clone, Default)]
struct Tables {
    entries: SortedMap<(Namespace, Path), Entry>,
    log: SortedMap<(Namespace, Dot), LogRow>,
    staged: SortedMap<(Namespace, Path), Bytes>,
    meta: SortedMap<MetaKey, Bytes>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The store as it is now: what a copy of its folder would hold.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn image(&self) -> Self {
        Self(RwLock::new(self.0.read().unwrap_or_else(PoisonError::into_inner).clone()))
    }
}

impl Store for MemoryStore {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        Ok(Arc::new(self.0.read().unwrap_or_else(PoisonError::into_inner).clone()))
    }

    fn commit(&self, changes: &Changes, _: Durability) -> Result<(), StoreError> {
        // A commit that panicked half-way is a bug, and its caller's thread is gone; readers may go on.
        let mut tables = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (key, entry) in &changes.entries {
            tables.entries.set(key, (!entry.is_absent()).then(|| entry.clone()));
        }
        for (key, row) in &changes.log {
            tables.log.set(key, row.clone());
        }
        for &namespace in &changes.unstaged {
            tables.staged.retain(|(staged, _)| *staged != namespace);
        }
        for (key, row) in &changes.staged {
            tables.staged.set(key, row.clone());
        }
        for (key, value) in &changes.meta {
            tables.meta.set(key, value.clone());
        }
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        let tables = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let entries = tables.entries.iter().map(|((_, path), entry)| {
            let payloads =
                entry.live().iter().map(|live| live.payload.bytes.len() + size_of_val(live));
            path.as_bytes().len() + payloads.sum::<usize>()
        });
        let log = tables.log.iter().map(|(key, row)| size_of_val(key) + size_of_val(row));
        let staged = tables.staged.iter().map(|((_, path), row)| path.as_bytes().len() + row.len());
        let meta = tables.meta.iter().map(|(MetaKey(name), value)| name.len() + value.len());
        entries.chain(log).chain(staged).chain(meta).sum::<usize>() as u64
    }
}

impl Snapshot for Tables {
    fn entry(&self, namespace: Namespace, path: &Path) -> Result<Entry, StoreError> {
        Ok(self.entries.get(&(namespace, path.clone())).cloned().unwrap_or_default())
    }

    fn entries(
        &self,
        namespace: Namespace,
        within: Option<&Path>,
        after: Option<&Path>,
        visit: &mut dyn FnMut(Path, Entry) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let start = self.entries.from(|(of, path)| {
            (*of, Some(path)) < (namespace, within) || (*of, Some(path)) <= (namespace, after)
        });
        for ((of, path), entry) in start {
            if *of != namespace || within.is_some_and(|within| !path.is_within(within)) {
                break;
            }
            if visit(path.clone(), entry.clone()).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn log_row(&self, namespace: Namespace, dot: Dot) -> Result<Option<LogRow>, StoreError> {
        Ok(self.log.get(&(namespace, dot)).cloned())
    }

    fn log(
        &self,
        namespace: Namespace,
        incarnation: Incarnation,
        after: u64,
        upto: u64,
        visit: &mut dyn FnMut(Dot, LogRow) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let Some(upto) = Seq::new(upto) else { return Ok(()) };
        let last = (namespace, Dot::new(incarnation, upto));
        let start = self.log.from(|(of, dot)| {
            (*of, dot.incarnation, dot.seq.get()) <= (namespace, incarnation, after)
        });
        for (key, row) in start.take_while(|(key, _)| *key <= last) {
            if visit(key.1, row.clone()).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn staged_row(&self, namespace: Namespace, path: &Path) -> Result<Option<Bytes>, StoreError> {
        Ok(self.staged.get(&(namespace, path.clone())).cloned())
    }

    fn staged(
        &self,
        namespace: Namespace,
        after: Option<&Path>,
        visit: &mut dyn FnMut(Path, Bytes) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let start = self.staged.from(|(of, path)| (*of, Some(path)) <= (namespace, after));
        for ((_, path), row) in start.take_while(|((of, _), _)| *of == namespace) {
            if visit(path.clone(), row.clone()).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn staged_back(
        &self,
        namespace: Namespace,
        below: Option<&[u8]>,
        visit: &mut dyn FnMut(Path, Bytes) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let start = self.staged.back_from(|(of, path)| {
            *of < namespace
                || (*of == namespace && below.is_none_or(|below| path.as_bytes() < below))
        });
        for ((_, path), row) in start.take_while(|((of, _), _)| *of == namespace) {
            if visit(path.clone(), row.clone()).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn meta(&self, key: &MetaKey) -> Result<Option<Bytes>, StoreError> {
        Ok(self.meta.get(key).cloned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::store::conformance;
    use crate::store::model::{Model, changes, durability};

    #[test]
    fn it_conforms() {
        conformance::check(|| Box::new(MemoryStore::new()));
    }

    proptest! {
        #[test]
        fn it_equals_a_model(commits in vec((changes(), durability()), 1..8)) {
            let store = MemoryStore::new();
            let mut model = Model::default();
            for (changes, durability) in commits {
                let (before, snapshot) = (model.clone(), store.snapshot().unwrap());
                store.commit(&changes, durability).unwrap();
                model.apply(&changes);
                before.assert_equals(&*snapshot);
            }
            model.assert_equals(&*store.snapshot().unwrap());
        }
    }
}
