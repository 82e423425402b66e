//! What is due next, of many things each of which knows for itself.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

/// The next event of each of many owners, in order. An owner whose next event may have changed is touched,
/// and asked before anybody wants to know the first of all: so asking costs nothing for the others.
pub(crate) struct Due<K, E> {
    next: BTreeMap<K, E>,
    all: BTreeSet<E>,
    touched: Vec<K>,
}

impl<K: Ord + Copy, E: Ord + Copy> Due<K, E> {
    /// Nothing is due.
    pub(crate) fn new() -> Self {
        Self { next: BTreeMap::new(), all: BTreeSet::new(), touched: Vec::new() }
    }

    /// The owner's next event may have changed.
    pub(crate) fn touch(&mut self, owner: K) {
        if self.touched.last() != Some(&owner) {
            self.touched.push(owner);
        }
    }

    /// Asks those that were touched; an event names its owner, so that no two are equal.
    pub(crate) fn ask(&mut self, mut next: impl FnMut(K) -> Option<E>) {
        for owner in mem::take(&mut self.touched) {
            let known = self.next.get(&owner).copied();
            let event = next(owner);
            if known == event {
                continue;
            }
            known.map(|known| self.all.remove(&known));
            match event {
                Some(event) => {
                    self.next.insert(owner, event);
                    self.all.insert(event);
                }
                None => {
                    self.next.remove(&owner);
                }
            }
        }
    }

    /// The first of all, as of the last time that somebody asked.
    pub(crate) fn first(&self) -> Option<E> {
        debug_assert!(self.touched.is_empty(), "what was touched is asked first");
        self.all.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_touched_is_asked_and_nothing_else() {
        let mut due = Due::new();
        let mut times = [7, 3, 5];
        (0..3).for_each(|owner| due.touch(owner));
        due.ask(|owner: usize| Some((times[owner], owner)));
        assert_eq!(due.first(), Some((3, 1)));

        times = [1, 9, 5];
        due.touch(1);
        due.ask(|owner| Some((times[owner], owner)));
        assert_eq!(due.first(), Some((5, 2)), "nobody asked owner 0");

        due.touch(2);
        due.touch(0);
        due.touch(2);
        due.ask(|owner| (owner == 0).then_some((times[owner], owner)));
        assert_eq!(due.first(), Some((1, 0)));
        due.touch(0);
        due.ask(|_| None);
        assert_eq!(due.first(), Some((9, 1)));
    }
}
