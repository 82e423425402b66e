//! The overlay through which jobs change a store.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use bytes::Bytes;
use millpond_core::{
    Context, Dot, DotRange, Entry, Hlc, Incarnation, Joined, LiveDot, Namespace, Path, Row,
    VersionVector, join,
};

use super::gap::{Gap, Upto};
use super::heads::Heads;
use super::staged_row::decode_staged;
use crate::planted::planted;
use crate::store::{Changes, LogRow, Snapshot, StoreError};

/// One job's view of the store: the snapshot that the group began with, the changes of the jobs before it,
/// and its own. Its own changes join the group's only when the job succeeds, so one that fails spoils
/// nothing.
pub(crate) struct Transaction<'a> {
    pub(super) snapshot: &'a dyn Snapshot,
    pub(super) group: &'a Changes,
    pub(super) own: Changes,
    /// Where the snapshot is known to have no entries, from looking for some there.
    gap: RefCell<Gap>,
    /// The heads, to be changed freely: they are adopted with the changes.
    pub(crate) heads: Heads,
}

impl<'a> Transaction<'a> {
    /// A job's transaction on top of a group's changes and heads.
    pub(crate) fn new(snapshot: &'a dyn Snapshot, group: &'a Changes, heads: Heads) -> Self {
        Self { snapshot, group, own: Changes::default(), gap: RefCell::default(), heads }
    }

    /// The job succeeded: what it changed.
    pub(crate) fn finish(self) -> (Changes, Heads) {
        (self.own, self.heads)
    }

    /// Merges a row into its path and brings the log level: a row for each dot that became live or deletes,
    /// none for a dot that is no longer live (R3). Says whether the row had a dot that was new here.
    pub(crate) fn join_row(
        &mut self,
        namespace: Namespace,
        row: &Row,
        context: Context<'_>,
        last: Option<Dot>,
    ) -> Result<bool, StoreError> {
        self.fold_first(namespace, &row.path)?;
        let entry = self.entry(namespace, &row.path)?;
        if planted!("merging has no limit") && entry.live().len() > 2 {
            return Err(StoreError::Full);
        }
        Ok(self.join_row_into(namespace, row, entry, context, last))
    }

    /// The same, given the entry that is at the row's path, at which nothing is left to fold.
    pub(crate) fn join_row_into(
        &mut self,
        namespace: Namespace,
        row: &Row,
        mut entry: Entry,
        context: Context<'_>,
        last: Option<Dot>,
    ) -> bool {
        let vv = match planted!("a covered dot that is absent stays so") {
            true => &VersionVector::new(),
            false => self.heads.vv(namespace),
        };
        let joined = join(&mut entry, row, context, vv);
        if planted!("losers of a race are kept") {
            let greatest = entry.greatest_stamp();
            entry.retain(|live| Some(live.hlc) == greatest);
        }
        if planted!("equal stamps are told apart") {
            let is_new = |live: &LiveDot| joined.added.contains(&live.dot);
            let held: Vec<Hlc> =
                entry.live().iter().filter(|it| !is_new(it)).map(|it| it.hlc).collect();
            entry.retain(|live| !is_new(live) || !held.contains(&live.hlc));
        }
        if !joined.is_unchanged() {
            self.own.entries.insert((namespace, row.path.clone()), entry);
        }
        self.log_joined(namespace, &row.path, &joined, last);
        let mut is_new = !joined.added.is_empty();
        for &(dot, hlc) in &row.deletes {
            if !self.heads.vv(namespace).covers(dot) {
                self.log_delete(namespace, &row.path, dot, hlc, last == Some(dot));
                is_new = true;
            }
        }
        is_new
    }

    /// Removes from an entry the dots that the vector does not cover, and their log rows.
    pub(crate) fn drop_uncovered(
        &mut self,
        namespace: Namespace,
        path: Path,
        mut entry: Entry,
    ) -> usize {
        let vv = self.heads.vv(namespace).clone();
        let mut dropped = Vec::new();
        entry.retain(|live| {
            let covered = vv.covers(live.dot);
            if !covered {
                dropped.push(live.dot);
            }
            covered
        });
        for &dot in &dropped {
            self.own.log.insert((namespace, dot), None);
        }
        if !dropped.is_empty() {
            self.own.entries.insert((namespace, path), entry);
        }
        dropped.len()
    }

    /// Drops the log rows that `upto` covers and the vector does not.
    pub(crate) fn drop_log_beyond(
        &mut self,
        namespace: Namespace,
        upto: &VersionVector,
    ) -> Result<(), StoreError> {
        let vv = self.heads.vv(namespace).clone();
        for range in upto.beyond(&vv) {
            let covers = |dot: Dot| upto.covers(dot) && !vv.covers(dot);
            let changes = [&self.group.log, &self.own.log].into_iter();
            let changed = changes.flat_map(|log| log.keys().copied());
            let mut dropped: BTreeSet<Dot> = changed
                .filter(|(of, dot)| *of == namespace && dot.incarnation == range.incarnation)
                .map(|(_, dot)| dot)
                .filter(|dot| covers(*dot))
                .collect();
            let (incarnation, after, last) = (range.incarnation, range.after, range.upto.get());
            self.snapshot.log(namespace, incarnation, after, last, &mut |dot, _| {
                dropped.insert(dot);
                ControlFlow::Continue(())
            })?;
            for dot in dropped {
                match self.log_row(namespace, dot)?.filter(|row| row.deleted.is_some()) {
                    Some(row) => self.drop_tombstone(namespace, dot, &row.path),
                    None => drop(self.own.log.insert((namespace, dot), None)),
                }
            }
        }
        Ok(())
    }

    /// The log rows of an incarnation beyond a seq, in their order.
    pub(super) fn log_beyond(
        &self,
        namespace: Namespace,
        incarnation: Incarnation,
        after: u64,
    ) -> Result<BTreeMap<Dot, LogRow>, StoreError> {
        let mut rows = BTreeMap::new();
        let upto = self.heads.vv(namespace).seq(incarnation);
        self.snapshot.log(namespace, incarnation, after, upto, &mut |dot, row| {
            rows.insert(dot, row);
            ControlFlow::Continue(())
        })?;
        for (&(of, dot), row) in self.group.log.iter().chain(&self.own.log) {
            if of != namespace || dot.incarnation != incarnation || dot.seq.get() <= after {
                continue;
            }
            match row {
                Some(row) => rows.insert(dot, row.clone()),
                None => rows.remove(&dot),
            };
        }
        Ok(rows)
    }

    /// Changes rows as they are told, with the log left to whoever tells.
    pub(super) fn absorb(&mut self, changes: Changes) {
        self.own.absorb(changes);
    }

    /// Changes a meta value.
    pub(crate) fn put_meta(&mut self, key: crate::store::MetaKey, value: Option<Bytes>) {
        self.own.meta.insert(key, value);
    }

    /// The entry at a path as it is once all is folded, hidden dots included.
    pub(crate) fn entry(&self, namespace: Namespace, path: &Path) -> Result<Entry, StoreError> {
        let mut entry = self.changed_entry(namespace, path)?;
        if let Some(row) = self.unfolded(namespace, path)?
            && let Some(fold) = self.heads.folds.get(&namespace)
        {
            fold.join(&mut entry, &row);
        }
        Ok(entry)
    }

    /// The entry in the tables.
    pub(super) fn changed_entry(
        &self,
        namespace: Namespace,
        path: &Path,
    ) -> Result<Entry, StoreError> {
        let key = (namespace, path.clone());
        for changes in [&self.own, self.group] {
            // Most jobs write in path order: then one look at the last path tells that a path is new.
            let is_beyond = changes.entries.last_key_value().is_none_or(|(last, _)| *last < key);
            if !is_beyond && let Some(entry) = changes.entries.get(&key) {
                return Ok(entry.clone());
            }
        }
        self.stored_entry(namespace, path)
    }

    /// The snapshot's entry. Looking for new paths in their order, as imports and catch-ups do, soon shows
    /// how far there is none, and is cheap up to there.
    fn stored_entry(&self, namespace: Namespace, path: &Path) -> Result<Entry, StoreError> {
        let mut gap = self.gap.borrow_mut();
        if gap.holds(namespace, path) {
            return Ok(Entry::absent());
        }
        let entry = self.snapshot.entry(namespace, path)?;
        if entry.is_absent() {
            let is_in_order = gap.begins_before(namespace, path);
            *gap = Gap { after: Some((namespace, path.clone())), upto: Upto::Unknown };
            if is_in_order {
                let mut upto = Upto::End;
                let looked = self.snapshot.entries(namespace, None, Some(path), &mut |next, _| {
                    upto = Upto::Before(next);
                    ControlFlow::Break(())
                });
                // What is damaged nearby is not this path's matter.
                gap.upto = if looked.is_ok() { upto } else { Upto::Unknown };
            }
        }
        Ok(entry)
    }

    /// The log row of a dot.
    pub(crate) fn log_row(
        &self,
        namespace: Namespace,
        dot: Dot,
    ) -> Result<Option<LogRow>, StoreError> {
        for changes in [&self.own, self.group] {
            if let Some(row) = changes.log.get(&(namespace, dot)) {
                return Ok(row.clone());
            }
        }
        self.snapshot.log_row(namespace, dot)
    }

    /// Whether the log says that a dot lives at a path.
    pub(crate) fn logs_live(
        &self,
        namespace: Namespace,
        path: &Path,
        dot: Dot,
    ) -> Result<bool, StoreError> {
        let row = self.log_row(namespace, dot)?;
        Ok(row.is_some_and(|row| row.path == *path && row.deleted.is_none()))
    }

    /// Writes a log row for a dot that lives, and had none.
    pub(crate) fn log_live(&mut self, namespace: Namespace, path: &Path, dot: Dot) {
        let row = LogRow { path: path.clone(), deleted: None, ends_transaction: false };
        self.own.log.insert((namespace, dot), Some(row));
    }

    /// Drops the damaged value of the log in which the row of a dot would be.
    pub(crate) fn drop_damaged_log(&mut self, namespace: Namespace, dot: Dot) {
        self.own.damaged_log.insert((namespace, dot));
    }

    /// Drops the damaged value in which the entry at a path would be.
    pub(crate) fn drop_damaged_entries(&mut self, namespace: Namespace, path: Path) {
        self.own.damaged_entries.insert((namespace, path));
    }

    /// Puts entries in the place of what is at their paths, and leaves the log as it is.
    pub(crate) fn put_entries(&mut self, namespace: Namespace, entries: BTreeMap<Path, Entry>) {
        let entries = entries.into_iter().map(|(path, entry)| ((namespace, path), entry));
        self.own.entries.extend(entries);
    }

    /// The entries at and below a path, or all of them, hidden dots included, absent ones not.
    pub(crate) fn entries(
        &self,
        namespace: Namespace,
        within: Option<&Path>,
    ) -> Result<BTreeMap<Path, Entry>, StoreError> {
        let mut found = BTreeMap::new();
        self.snapshot.entries(namespace, within, None, &mut |path, entry| {
            found.insert(path, entry);
            ControlFlow::Continue(())
        })?;
        for changes in [self.group, &self.own] {
            for ((_, path), entry) in namespace_range(&changes.entries, namespace, within) {
                found.insert(path.clone(), entry.clone());
            }
        }
        if let Some(fold) = self.heads.folds.get(&namespace) {
            for (path, row) in self.staged(namespace, within)? {
                let row = decode_staged(&path, row)?;
                fold.join(found.entry(path).or_default(), &row);
            }
        }
        found.retain(|_, entry| !entry.is_absent());
        Ok(found)
    }

    pub(super) fn log_joined(
        &mut self,
        namespace: Namespace,
        path: &Path,
        joined: &Joined,
        last: Option<Dot>,
    ) {
        for &dot in joined.removed.iter().filter(|_| !planted!("an overwritten dot leaves the log"))
        {
            self.own.log.insert((namespace, dot), None);
        }
        for &dot in &joined.added {
            let row =
                LogRow { path: path.clone(), deleted: None, ends_transaction: last == Some(dot) };
            self.own.log.insert((namespace, dot), Some(row));
        }
    }

    /// Drops a tombstone.
    pub(super) fn drop_tombstone(&mut self, namespace: Namespace, dot: Dot, path: &Path) {
        self.own.log.insert((namespace, dot), None);
        self.heads.tombstones.entry(namespace).or_default().remove(path);
    }

    /// Visits the log rows of a range that were committed before this group.
    pub(super) fn stored_log(
        &self,
        namespace: Namespace,
        DotRange { incarnation, after, upto }: DotRange,
        visit: &mut dyn FnMut(Dot, LogRow) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.snapshot.log(namespace, incarnation, after, upto.get(), visit)
    }

    pub(super) fn log_delete(
        &mut self,
        namespace: Namespace,
        path: &Path,
        dot: Dot,
        hlc: Hlc,
        last: bool,
    ) {
        if planted!("a delete stays in the log") {
            return;
        }
        // Rows of a cut that goes straight to the final tables may come twice before a vector covers them.
        let is_arriving = self.heads.cuts.get(&namespace).is_some_and(|cut| cut.direct);
        let is_leaving = self.heads.clears.get(&namespace).is_some_and(|it| it.direct.is_some());
        let is_hidden = is_arriving || is_leaving;
        if !is_hidden || !matches!(self.log_row(namespace, dot), Ok(Some(_))) {
            if self.heads.tombstones(namespace).count == 0 {
                // None is below what was covered before the last cut, and none will appear there.
                let fold = self.heads.folds.get(&namespace);
                let swept = fold.map_or(self.heads.vv(namespace), |fold| &fold.before).clone();
                self.heads.tombstones.entry(namespace).or_default().swept = swept;
            }
            self.heads.tombstones.entry(namespace).or_default().add(dot, path);
        }
        let row = LogRow { path: path.clone(), deleted: Some(hlc), ends_transaction: last };
        self.own.log.insert((namespace, dot), Some(row));
    }
}

pub(super) fn namespace_range<'m, V>(
    map: &'m BTreeMap<(Namespace, Path), V>,
    namespace: Namespace,
    within: Option<&'m Path>,
) -> impl Iterator<Item = (&'m (Namespace, Path), &'m V)> {
    // Paths have no least value to start a range from, so the lower bound is the namespace's first key.
    let start = within.map(|path| (namespace, path.clone()));
    let rows: Box<dyn Iterator<Item = _>> = match start {
        Some(start) => Box::new(map.range(start..)),
        None => Box::new(map.iter().skip_while(move |((found, _), _)| *found < namespace)),
    };
    rows.take_while(move |((found, path), _)| {
        *found == namespace && within.is_none_or(|within| path.is_within(within))
    })
}

#[cfg(test)]
mod tests {
    use millpond_core::{Incarnation, Payload, PayloadKind, Seq};

    use super::*;
    use crate::store::memory::MemoryStore;
    use crate::store::{Durability, Store};

    fn path(key: &str) -> Path {
        Path::new(["data", key]).unwrap()
    }

    fn entry(seq: u64) -> Entry {
        let dot = Dot::new(Incarnation::from_bytes([7; 16]), Seq::new(seq).unwrap());
        let payload = Payload { kind: PayloadKind::LWW, bytes: Bytes::from_static(b"value") };
        Entry::from_live(vec![LiveDot { dot, hlc: Hlc::from_ms(1), payload }])
    }

    #[test]
    fn entries_are_found_in_every_order_of_looking() {
        let names = ["a", "b", "c", "d", "e", "f"];
        let store = MemoryStore::new();
        let mut stored = Changes::default();
        stored.entries.insert((Namespace::MAIN, path("c")), entry(1));
        stored.entries.insert((Namespace::SYSTEM, path("b")), entry(2));
        store.commit(&stored, Durability::Synced).unwrap();
        let mut group = Changes::default();
        group.entries.insert((Namespace::MAIN, path("e")), entry(3));
        let snapshot = store.snapshot().unwrap();
        // All orders of four looks, each at any path of either namespace.
        let looks = names.len() * 2;
        for order in 0..looks.pow(4) {
            let tx = Transaction::new(&*snapshot, &group, Heads::default());
            for place in 0..4 {
                let look = order / looks.pow(place) % looks;
                let (name, is_main) = (names[look / 2], look.is_multiple_of(2));
                let namespace = if is_main { Namespace::MAIN } else { Namespace::SYSTEM };
                let expected = match (name, is_main) {
                    ("c", true) => entry(1),
                    ("b", false) => entry(2),
                    ("e", true) => entry(3),
                    _ => Entry::absent(),
                };
                assert_eq!(tx.entry(namespace, &path(name)).unwrap(), expected, "order {order}");
            }
        }
    }
}
