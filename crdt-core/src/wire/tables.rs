//! Tables of closed incarnations that a lane has said, so that vectors can be relative to them.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use crate::Closed;

/// The last tables that were said on a lane: on both of its ends the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Said(VecDeque<Arc<Closed>>);

/// Where a table is looked up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tables<'a> {
    said: &'a Said,
    known: &'a [Arc<Closed>],
}

impl Said {
    /// A table is said.
    pub(super) fn say(&mut self, table: Arc<Closed>) {
        self.0.push_back(table);
        if self.0.len() > SAID_MAX {
            self.0.pop_front();
        }
    }

    /// Whether it is among the last that were said.
    pub(super) fn has(&self, hash: u64) -> bool {
        self.0.iter().any(|table| table.hash() == hash)
    }

    /// The last one.
    pub(super) fn last(&self) -> Option<&Arc<Closed>> {
        self.0.back()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Closed>> {
        self.0.iter()
    }
}

impl<'a> Tables<'a> {
    pub(super) fn new(said: &'a Said, known: &'a [Arc<Closed>]) -> Self {
        Self { said, known }
    }

    pub(super) fn find(self, hash: u64) -> Option<Arc<Closed>> {
        if hash == Closed::NONE.hash() {
            return Some(Arc::new(Closed::NONE));
        }
        self.said.iter().chain(self.known).find(|table| table.hash() == hash).cloned()
    }
}

/// One's own, and that of whoever wrote what is being passed on.
const SAID_MAX: usize = 2;
