//! The changes of one cut.

use std::ops::ControlFlow;

use millpond_core::{Entry, Path, VersionVector};

use crate::changes::touched::{Writes, touched};
use crate::changes::{Before, Change, ChangeFilter};
use crate::records::{RecordError, RecordId, entries_of};
use crate::state::View;
use crate::store::StoreError;

/// How a row is made of a record's entries; `None` if there is none.
type ReadRow<R> = fn(&RecordId, Vec<(Path, Entry)>) -> Result<Option<R>, RecordError>;

/// A change, or why the record cannot be read, and about how many bytes that takes.
type Told<R> = (Result<Change<R>, RecordError>, usize);

/// What is told as a row, and how.
pub(crate) struct RowKind<R> {
    /// Whether a record of this key is one; another application's is not told.
    pub(crate) is_key: fn(&str) -> bool,
    pub(crate) read: ReadRow<R>,
}

impl<R> Clone for RowKind<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for RowKind<R> {}

/// What takes the changes, with about how many bytes each takes, until it breaks. A record that cannot be read as
/// what is wanted is told as an error.
pub(crate) type VisitChange<'a, R> =
    dyn FnMut(Result<Change<R>, RecordError>, usize) -> ControlFlow<()> + 'a;

/// Whether all that changed beyond `since` can still be told: no tombstone beyond it was collected.
pub(crate) fn can_tell_since(view: &View, since: &VersionVector) -> Result<bool, StoreError> {
    Ok(since.is_empty() || since.covers_all(&view.floor()?))
}

/// The way from one vector to a view.
pub(crate) struct Walk<'a, R> {
    /// As it is.
    pub(crate) view: &'a View,
    /// What the reader has seen; from the beginning it gets what exists.
    pub(crate) since: &'a VersionVector,
    /// As it was, at `since`.
    pub(crate) before: Option<&'a View>,
    pub(crate) filter: &'a ChangeFilter,
    pub(crate) kind: RowKind<R>,
}

impl<R> Walk<'_, R> {
    /// Visits the changes, each record once, in path order.
    pub(crate) fn visit(&self, visit: &mut VisitChange<'_, R>) -> Result<(), StoreError> {
        if self.since.is_empty() {
            return self.visit_rows(visit);
        }
        let mut after: Option<RecordId> = None;
        loop {
            let touched =
                touched(self.view, self.since, self.filter, after.as_ref(), RECORDS_AT_ONCE)?;
            after = touched.records.last_key_value().map(|(id, _)| id.clone());
            for (id, writes) in touched.records {
                let change = self.change(id, writes, touched.some_overwritten)?;
                if change.is_some_and(|(change, bytes)| visit(change, bytes).is_break()) {
                    return Ok(());
                }
            }
            if !touched.are_more {
                return Ok(());
            }
        }
    }

    /// Visits what exists.
    fn visit_rows(&self, visit: &mut VisitChange<'_, R>) -> Result<(), StoreError> {
        self.filter.scan(self.view, &mut |id, entries| {
            if !(self.kind.is_key)(id.key()) {
                return ControlFlow::Continue(());
            }
            let writes = writes_of(&entries, self.since, Writes::default());
            let Some((stamp, dot)) = writes.newest else { return ControlFlow::Continue(()) };
            let (before, bytes) = (Before::Absent, bytes_of(&entries));
            match (self.kind.read)(&id, entries) {
                Ok(None) => ControlFlow::Continue(()),
                Ok(after) => {
                    visit(Ok(Change { id, before, after, dot, stamp, collapsed: true }), bytes)
                }
                Err(error) => visit(Err(error), 0),
            }
        })
    }

    /// What became of a record; `None` if the reader sees no difference.
    fn change(
        &self,
        id: RecordId,
        deletes: Writes,
        some_overwritten: bool,
    ) -> Result<Option<Told<R>>, StoreError> {
        if !(self.kind.is_key)(id.key()) {
            return Ok(None);
        }
        let entries = entries_of(self.view, &id)?;
        let writes = writes_of(&entries, self.since, deletes);
        // A row of the log is of a live value or of a delete.
        let Some((stamp, dot)) = writes.newest else { return Ok(None) };
        let mut bytes = bytes_of(&entries);
        let before = match self.before {
            Some(view) => {
                let entries = entries_of(view, &id)?;
                bytes += bytes_of(&entries);
                let row = (self.kind.read)(&id, entries);
                row.map_or(Before::Unknown, |row| row.map_or(Before::Absent, Before::Row))
            }
            None => Before::Unknown,
        };
        let after = match (self.kind.read)(&id, entries) {
            Ok(after) => after,
            Err(error) => return Ok(Some((Err(error), 0))),
        };
        if after.is_none() && matches!(before, Before::Absent) {
            return Ok(None);
        }
        let collapsed = some_overwritten || writes.are_several;
        Ok(Some((Ok(Change { id, before, after, dot, stamp, collapsed }), bytes)))
    }
}

/// Adds the live writes beyond a vector.
fn writes_of(entries: &[(Path, Entry)], since: &VersionVector, mut writes: Writes) -> Writes {
    let live = entries.iter().flat_map(|(_, entry)| entry.live());
    live.filter(|live| !since.covers(live.dot)).for_each(|live| writes.add(live.hlc, live.dot));
    writes
}

/// What the values of a record take.
fn bytes_of(entries: &[(Path, Entry)]) -> usize {
    let live = entries.iter().flat_map(|(_, entry)| entry.live());
    live.map(|live| live.payload.bytes.len()).sum()
}

/// Names of records that are held at once: some ten megabytes. For more the log is read again.
const RECORDS_AT_ONCE: usize = 100_000;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use millpond_core::{Dot, Hlc, Incarnation, LiveDot, Namespace, Payload, PayloadKind, Seq};

    use super::*;
    use crate::records::{RECORDS, Record};
    use crate::state::{meta_key, write_meta};
    use crate::store::memory::MemoryStore;
    use crate::store::{Changes, Durability, LogRow, Store};

    const MAIN: Namespace = Namespace::MAIN;

    fn dot(seq: u64) -> Dot {
        Dot::new(Incarnation::from_bytes([7; 16]), Seq::new(seq).unwrap())
    }

    fn vector(seq: u64) -> VersionVector {
        std::iter::once(dot(seq)).collect()
    }

    fn path(key: &str) -> Path {
        Path::new(["t", key, "x"]).unwrap()
    }

    /// Writes in transactions of one dot each: keys that are put, and keys that are deleted.
    fn write(changes: &mut Changes, first: u64, writes: &[(&str, bool)]) {
        for (seq, (key, is_put)) in (first..).zip(writes) {
            let hlc = Hlc::from_ms(seq);
            let payload = Payload { kind: PayloadKind::LWW, bytes: Bytes::from(seq.to_string()) };
            let live = is_put.then_some(LiveDot { dot: dot(seq), hlc, payload });
            changes.entries.insert((MAIN, path(key)), Entry::from_live(live.into_iter().collect()));
            let deleted = (!is_put).then_some(hlc);
            let row = LogRow { path: path(key), deleted, ends_transaction: true };
            changes.log.insert((MAIN, dot(seq)), Some(row));
            write_meta(changes, meta_key::vv(MAIN), Some(&vector(seq)));
        }
    }

    fn view(store: &MemoryStore) -> View {
        View::new(store.snapshot().unwrap(), MAIN).unwrap()
    }

    fn walked(view: &View, since: u64, before: Option<&View>) -> Vec<(String, String, bool)> {
        let (since, filter) = (vector(since), ChangeFilter::default());
        let text = |record: &Record| record.fields["x"].value.text().to_owned();
        let mut told = Vec::new();
        Walk { view, since: &since, before, filter: &filter, kind: RECORDS }
            .visit(&mut |change, _| {
                let change = change.unwrap();
                let before = match &change.before {
                    Before::Absent => "none".into(),
                    Before::Row(row) => text(row),
                    Before::Unknown => "?".into(),
                };
                let after = change.after.as_ref().map_or("none".into(), text);
                let key = change.id.key();
                told.push((key.to_owned(), format!("{before} to {after}"), change.collapsed));
                ControlFlow::Continue(())
            })
            .unwrap();
        told
    }

    fn told(key: &str, what: &str, collapsed: bool) -> (String, String, bool) {
        (key.into(), what.into(), collapsed)
    }

    #[test]
    fn a_walk_tells_what_was_and_what_is_and_marks_what_it_leaves_out() {
        let store = MemoryStore::new();
        let mut changes = Changes::default();
        write(&mut changes, 1, &[("a", true), ("b", true)]);
        store.commit(&changes, Durability::Synced).unwrap();
        let before = view(&store);
        let mut changes = Changes::default();
        write(&mut changes, 3, &[("a", true), ("b", false), ("c", true)]);
        store.commit(&changes, Durability::Synced).unwrap();
        let after = view(&store);
        let all = [("a", "1 to 3"), ("b", "2 to none"), ("c", "none to 5")];
        assert_eq!(walked(&after, 2, Some(&before)), all.map(|(key, what)| told(key, what, false)));
        assert_eq!(walked(&after, 4, None), [told("c", "? to 5", false)]);
        assert_eq!(walked(&after, 5, None), []);
        // The row of what was overwritten is gone, and nobody knows any more whose it was.
        let mut changes = Changes::default();
        write(&mut changes, 6, &[("c", true)]);
        changes.log.insert((MAIN, dot(5)), None);
        store.commit(&changes, Durability::Synced).unwrap();
        let marked =
            [told("a", "1 to 3", true), told("b", "2 to none", true), told("c", "none to 6", true)];
        assert_eq!(walked(&view(&store), 2, Some(&before)), marked);
        assert_eq!(walked(&view(&store), 5, Some(&after)), [told("c", "5 to 6", false)]);
    }

    #[test]
    fn many_names_are_taken_some_at_a_time() {
        let store = MemoryStore::new();
        let mut changes = Changes::default();
        write(&mut changes, 1, &["e", "b", "d", "a", "c", "f"].map(|key| (key, true)));
        store.commit(&changes, Durability::Synced).unwrap();
        let (view, filter) = (view(&store), ChangeFilter::default());
        let (mut after, mut slices) = (None, Vec::new());
        loop {
            let slice = touched(&view, &vector(1), &filter, after.as_ref(), 2).unwrap();
            let keys: String = slice.records.keys().map(RecordId::key).collect();
            slices.push(keys);
            after = slice.records.into_keys().last();
            if !slice.are_more {
                break;
            }
        }
        assert_eq!(slices, ["ab", "cd", "f"], "e is known already");
    }

    #[test]
    fn below_the_floor_nothing_can_be_told() {
        let store = MemoryStore::new();
        let mut changes = Changes::default();
        write(&mut changes, 1, &[("a", true), ("b", true), ("c", true)]);
        write_meta(&mut changes, meta_key::floor(MAIN), Some(&vector(2)));
        store.commit(&changes, Durability::Synced).unwrap();
        let view = view(&store);
        let can_tell = |since: VersionVector| can_tell_since(&view, &since).unwrap();
        assert!(can_tell(VersionVector::new()), "a reader that holds nothing lacks no delete");
        assert!(!can_tell(vector(1)));
        assert!(can_tell(vector(2)));
    }
}
