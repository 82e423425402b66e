//! A domain for tests: the system namespace of one member, and what it writes there.

use millpond_core::{Incarnation, Namespace, NodeKey};

use super::{LogAuthors, Role, grant_role};
use crate::state::{Heads, Job, Local, LocalClosure, View, commit_group};
use crate::store::Store;
use crate::store::memory::MemoryStore;

pub(super) struct Domain {
    store: MemoryStore,
    heads: Heads,
    incarnation: Incarnation,
}

pub(super) const KEY: NodeKey = NodeKey::from_bytes([1; 32]);

impl Domain {
    pub(super) fn founded() -> Self {
        let (store, heads) = (MemoryStore::new(), Heads::default());
        let mut domain = Self { store, heads, incarnation: Incarnation::from_bytes([7; 16]) };
        domain.write(Box::new(|tx| grant_role(tx, KEY, Role::Admin, KEY, &LogAuthors::default())));
        domain
    }

    /// Writes under another incarnation from now on.
    pub(super) fn be(&mut self, incarnation: u8) {
        self.incarnation = Incarnation::from_bytes([incarnation; 16]);
        self.heads.open = None;
    }

    pub(super) fn write(&mut self, closure: LocalClosure) {
        let (fresh, namespace) = (self.incarnation, Namespace::SYSTEM);
        let local = Local { namespace, closure, now_ms: 1, ended: None, fresh, key: KEY };
        let jobs = vec![Job::Local(local)];
        let results = commit_group(&self.store, &mut self.heads, jobs).unwrap();
        results.into_iter().for_each(|result| drop(result.unwrap()));
    }

    pub(super) fn view(&self) -> View {
        View::new(self.store.snapshot().unwrap(), Namespace::SYSTEM).unwrap()
    }
}
