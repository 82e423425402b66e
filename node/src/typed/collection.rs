//! Reading typed records.

use std::marker::PhantomData;
use std::ops::{Bound, ControlFlow, RangeBounds};

use millpond_core::{Path, VersionVector};

use crate::Replica;
use crate::changes::{Changes, RowKind};
use crate::records::{IdError, RecordError};
use crate::state::View;
use crate::typed::site::FoundEntry;
use crate::typed::tx::record_path;
use crate::typed::{Found, Key, Record};

/// The records of one type in one consistent view. Methods may block on a disk, never on a peer.
#[derive(Debug, Clone)]
pub struct Collection<R> {
    view: View,
    of: PhantomData<fn() -> R>,
}

/// Which keys to read.
#[derive(Debug, Clone)]
pub struct Keys<K> {
    from: Bound<K>,
    to: Bound<K>,
    prefix: String,
}

impl<K: Key> Keys<K> {
    /// All of them.
    pub fn all() -> Self {
        Self { from: Bound::Unbounded, to: Bound::Unbounded, prefix: String::new() }
    }

    /// Those within a range.
    pub fn range(range: impl RangeBounds<K>) -> Self {
        let (from, to) = (range.start_bound().cloned(), range.end_bound().cloned());
        Self { from, to, prefix: String::new() }
    }

    /// Those whose text form begins so.
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..Self::all() }
    }

    fn contains(&self, key: &K) -> bool {
        (self.from.as_ref(), self.to.as_ref()).contains(key)
    }

    /// Where to begin, as the text of a key.
    fn start(&self) -> String {
        match &self.from {
            Bound::Included(key) | Bound::Excluded(key) => key.to_text().max(self.prefix.clone()),
            Bound::Unbounded => self.prefix.clone(),
        }
    }
}

impl<R: Record> Collection<R> {
    /// The records of a view.
    pub fn new(view: View) -> Self {
        Self { view, of: PhantomData }
    }

    /// What the view covers.
    pub fn vv(&self) -> &VersionVector {
        self.view.vv()
    }

    pub(super) fn view(&self) -> &View {
        &self.view
    }

    /// The record of a key; `None` when there is none.
    ///
    /// # Errors
    /// [`RecordError::Id`], [`RecordError::Unreadable`] and [`RecordError::Store`].
    pub fn get(&self, key: impl Into<R::Key>) -> Result<Option<R>, RecordError> {
        let key = key.into();
        let path = record_path::<R>(&key)?;
        let mut entries = Vec::new();
        self.view.entries(Some(&path), None, &mut |path, entry| {
            entries.push((path, entry));
            ControlFlow::Continue(())
        })?;
        let entries = FoundEntry::all(&path, entries);
        let found = Found::record(&entries);
        if !found.shows() {
            return Ok(None);
        }
        R::read(key, &found).map(Some).map_err(|error| error.of(&path))
    }

    /// The records of these keys, in the order of the keys.
    ///
    /// # Errors
    /// As [`Collection::get`].
    pub fn list(&self, keys: &Keys<R::Key>) -> Result<Vec<R>, RecordError> {
        let mut records = Vec::new();
        self.scan(keys, &mut |record| {
            records.push(record);
            ControlFlow::Continue(())
        })?;
        Ok(records)
    }

    /// Visits the records of these keys in the order of the keys, until `visit` breaks.
    ///
    /// # Errors
    /// As [`Collection::get`]; the visitor has seen what came before.
    pub fn scan(
        &self,
        keys: &Keys<R::Key>,
        visit: &mut dyn FnMut(R) -> ControlFlow<()>,
    ) -> Result<(), RecordError> {
        let within = Path::new([R::COLLECTION]).map_err(IdError::from)?;
        // Below a key lie its fields: beyond the bare path of the first key are all that are wanted.
        let after = Path::new([R::COLLECTION, &keys.start()]).map_err(IdError::from)?;
        let mut of_one: Vec<(Path, millpond_core::Entry)> = Vec::new();
        let mut flow = Ok(ControlFlow::Continue(()));
        self.view.entries(Some(&within), Some(&after), &mut |path, entry| {
            let is_same = of_one.first().is_some_and(|(first, _)| {
                path.as_bytes().starts_with(&first.as_bytes()[..first.prefix_bytes(2)])
            });
            if !is_same {
                flow = Self::visit_one(keys, std::mem::take(&mut of_one), visit);
            }
            of_one.push((path, entry));
            *flow.as_ref().unwrap_or(&ControlFlow::Break(()))
        })?;
        if flow?.is_continue() {
            Self::visit_one(keys, of_one, visit).map(drop)?;
        }
        Ok(())
    }

    /// How many records there are, by reading all of them.
    ///
    /// # Errors
    /// As [`Collection::get`].
    pub fn count(&self) -> Result<u64, RecordError> {
        let mut count = 0;
        self.scan(&Keys::all(), &mut |_| {
            count += 1;
            ControlFlow::Continue(())
        })?;
        Ok(count)
    }

    /// Follows the records of this type, from the current ones on: see [`Changes`]. Whoever has read a view goes on
    /// from there with [`Changes::since`] and the token of its vector ([`Collection::vv`]).
    pub fn changes(replica: &Replica) -> Changes<R> {
        Changes::of(replica, Self::ROWS).collection(R::COLLECTION)
    }

    const ROWS: RowKind<R> = RowKind {
        is_key: |text| R::Key::from_text(text).is_some(),
        read: |id, entries| {
            let path = id.path();
            let entries = FoundEntry::all(&path, entries);
            let found = Found::record(&entries);
            match R::Key::from_text(id.key()).filter(|_| found.shows()) {
                Some(key) => R::read(key, &found).map(Some).map_err(|error| error.of(&path)),
                None => Ok(None),
            }
        },
    };

    fn visit_one(
        keys: &Keys<R::Key>,
        entries: Vec<(Path, millpond_core::Entry)>,
        visit: &mut dyn FnMut(R) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, RecordError> {
        let Some((first, _)) = entries.first() else { return Ok(ControlFlow::Continue(())) };
        let Some(name) = first.components().nth(1) else { return Ok(ControlFlow::Continue(())) };
        let path = Path::new([R::COLLECTION.as_bytes(), &name]).map_err(IdError::from)?;
        let Some(text) = std::str::from_utf8(&name).ok() else {
            return Ok(ControlFlow::Continue(()));
        };
        if !text.starts_with(&keys.prefix) {
            return Ok(ControlFlow::Break(()));
        }
        // Another application's record, whose key is none of this type's.
        let Some(key) = R::Key::from_text(text) else { return Ok(ControlFlow::Continue(())) };
        if !keys.contains(&key) {
            let is_beyond = match &keys.to {
                Bound::Included(to) | Bound::Excluded(to) => key >= *to,
                Bound::Unbounded => false,
            };
            return Ok(if is_beyond { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
        }
        let entries = FoundEntry::all(&path, entries);
        let found = Found::record(&entries);
        if !found.shows() {
            return Ok(ControlFlow::Continue(()));
        }
        let record = R::read(key, &found).map_err(|error| error.of(&path))?;
        Ok(visit(record))
    }
}
