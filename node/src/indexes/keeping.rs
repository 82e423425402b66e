//! Keeping indexes right: at the end of each group of jobs their rows follow what has changed, in the same commit.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use bytes::Bytes;
use millpond_core::{Entry, Namespace, Path};

use super::declared::{Declared, Listed, record_within};
use super::stored::{Built, Indexes, hides, rows_of};
use crate::planted::planted;
use crate::probes::sometimes;
use crate::records::shows;
use crate::state::Heads;
use crate::store::{Changes, DamagedEntries, Snapshot, StoreError};

/// Rows to store or to drop.
type Rows = BTreeMap<(Namespace, Path), Option<Bytes>>;

/// Adds to the changes of a group of jobs what they mean for the indexes, and what the group is to build of them.
/// Where there is no index it costs a look.
///
/// # Errors
/// Any [`StoreError`] of reading, but for damage: it makes an index begin anew.
pub(crate) fn keep(
    snapshot: &dyn Snapshot,
    before: &Heads,
    after: &mut Heads,
    group: &mut Changes,
) -> Result<(), StoreError> {
    let Some(held) = after.indexing.stored.clone() else { return Ok(()) };
    let slice_rows = std::mem::take(&mut after.indexing.slice_rows);
    let renews = std::mem::take(&mut after.indexing.renews);
    let mut indexes = (*held).clone();
    let shown = after.shown();
    let is_hidden = hides(before, shown) || hides(after, shown);
    if indexes.of != shown.number() {
        sometimes!(IndexMovesOn);
        indexes.renew_all();
        indexes.of = shown.number();
    }
    if is_hidden && !planted!("what was hidden is indexed anew") {
        sometimes!(IndexMeetsHiddenRows);
        indexes.renew_all();
    }
    for place in 0..indexes.kept.len() {
        if renews.contains(&indexes.kept[place].number) {
            indexes.renew(place);
        }
    }
    let tables = Tables { snapshot, changed: &group.entries, namespace: shown };
    let mut rows = Rows::new();
    for place in 0..indexes.kept.len() {
        let Some(declared) = after.indexing.declared(&indexes.kept[place]) else { continue };
        match follow(&tables, declared, &indexes, place, &mut rows) {
            Ok(()) => {}
            // What the index had of it is not known.
            Err(error) if error.is_damage() => {
                let left = rows_of(indexes.kept[place].number);
                rows.retain(|(namespace, _), _| *namespace != left);
                indexes.renew(place);
            }
            Err(error) => return Err(error),
        }
    }
    if slice_rows > 0 {
        if let Some(&number) = indexes.leaving.first() {
            if drop_slice(snapshot, number, slice_rows, &mut rows, group)? {
                indexes.leaving.remove(0);
            }
        } else if !is_hidden {
            let building = indexes.kept.iter().position(|it| it.built != Built::Whole);
            let declared = building.and_then(|it| after.indexing.declared(&indexes.kept[it]));
            if let Some((place, declared)) = building.zip(declared) {
                build_slice(&tables, declared, &mut indexes, place, slice_rows, &mut rows)?;
            }
        }
    }
    group.staged.append(&mut rows);
    if *held != indexes {
        after.indexing.stored = Some(indexes.into());
    }
    Ok(())
}

/// The tables before and after the group. All that lives in them is visible: where rows lie hidden there, nothing is
/// listed yet, and nothing is built.
struct Tables<'a> {
    snapshot: &'a dyn Snapshot,
    changed: &'a BTreeMap<(Namespace, Path), Entry>,
    /// What readers see.
    namespace: Namespace,
}

impl Tables<'_> {
    /// Where a record stood.
    fn listed_before(&self, declared: &Declared, record: &Path) -> Result<Listed, StoreError> {
        declared.list(
            record,
            |path| self.stored(path),
            || {
                let mut is_shown = false;
                self.snapshot.entries(self.namespace, Some(record), None, &mut |_, entry| {
                    is_shown = shows(&entry);
                    if is_shown { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })?;
                Ok(is_shown)
            },
        )
    }

    /// Where it stands now.
    fn listed_after(&self, declared: &Declared, record: &Path) -> Result<Listed, StoreError> {
        let entry = |path: &Path| {
            let changed = self.changed.get(&(self.namespace, path.clone()));
            changed.map_or_else(|| self.stored(path), |entry| Ok(entry.clone()))
        };
        declared.list(record, entry, || {
            if self.changed_within(record).any(|(_, entry)| shows(entry)) {
                return Ok(true);
            }
            let mut is_shown = false;
            self.snapshot.entries(self.namespace, Some(record), None, &mut |path, entry| {
                let is_as_before = !self.changed.contains_key(&(self.namespace, path));
                is_shown = is_as_before && shows(&entry);
                if is_shown { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            Ok(is_shown)
        })
    }

    fn stored(&self, path: &Path) -> Result<Entry, StoreError> {
        self.snapshot.entry(self.namespace, path)
    }

    fn changed_within(&self, within: &Path) -> impl Iterator<Item = (&Path, &Entry)> {
        let all = self.changed.range((self.namespace, within.clone())..);
        let all = all.map(|((namespace, path), entry)| (*namespace, path, entry));
        let of = self.namespace;
        let within = within.clone();
        let here =
            all.take_while(move |(namespace, path, _)| *namespace == of && path.is_within(&within));
        here.map(|(_, path, entry)| (path, entry))
    }

    /// The records that the group has changed.
    fn changed_records(&self, declared: &Declared) -> BTreeSet<Path> {
        self.changed_within(&declared.within())
            .filter_map(|(path, _)| record_within(path))
            .collect()
    }
}

/// The rows of an index follow the records that have changed, of those that are listed by now.
fn follow(
    tables: &Tables<'_>,
    declared: &Declared,
    indexes: &Indexes,
    place: usize,
    rows: &mut Rows,
) -> Result<(), StoreError> {
    let kept = &indexes.kept[place];
    if kept.built == Built::Upto(None) {
        return Ok(());
    }
    let is_whole = kept.built == Built::Whole;
    if !is_whole && planted!("an index that is being built follows changes") {
        return Ok(());
    }
    for record in tables.changed_records(declared) {
        if !kept.covers(&record) {
            continue;
        }
        sometimes!(!is_whole, IndexFollowsWhileBuilt);
        let before = declared.rows(&record, &tables.listed_before(declared, &record)?);
        let after = declared.rows(&record, &tables.listed_after(declared, &record)?);
        if !planted!("a record that has moved leaves its place") {
            let gone = before.difference(&after).cloned();
            rows.extend(gone.map(|row| ((rows_of(kept.number), row), None)));
        }
        let new = after.difference(&before).cloned();
        rows.extend(new.map(|row| ((rows_of(kept.number), row), Some(Bytes::new()))));
    }
    Ok(())
}

/// Lists some more records.
fn build_slice(
    tables: &Tables<'_>,
    declared: &Declared,
    indexes: &mut Indexes,
    place: usize,
    rows_max: usize,
    rows: &mut Rows,
) -> Result<(), StoreError> {
    let kept = &mut indexes.kept[place];
    let Built::Upto(upto) = &kept.built else { return Ok(()) };
    let within = declared.within();
    let after = match upto {
        Some(upto) => Path::from_encoded(Bytes::copy_from_slice(upto)).unwrap_or(within.clone()),
        None => within.clone(),
    };
    let (mut records, mut looked_at, mut last) = (BTreeSet::new(), 0, None);
    let namespace = tables.namespace;
    tables.snapshot.sound_entries(namespace, Some(&after), &mut |met| {
        let path = match &met {
            Ok((path, _)) | Err(DamagedEntries { first: path, .. }) => path,
        };
        if !path.is_within(&within) {
            return match path < &within {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            };
        }
        records.extend(record_within(path));
        looked_at += 1;
        if looked_at < rows_max {
            return ControlFlow::Continue(());
        }
        last = Some(path.clone());
        ControlFlow::Break(())
    })?;
    let is_here = |record: &Path| last.as_ref().is_none_or(|last| record <= last);
    let before_it = |record: &Path| upto.as_deref().is_some_and(|upto| record.as_bytes() <= upto);
    let changed = tables.changed_records(declared).into_iter();
    records.extend(changed.filter(|record| is_here(record) && !before_it(record)));
    for record in records {
        let listed = match tables.listed_after(declared, &record) {
            Err(error) if error.is_damage() => Listed::Unreadable,
            listed => listed?,
        };
        let new = declared.rows(&record, &listed).into_iter();
        rows.extend(new.map(|row| ((rows_of(kept.number), row), Some(Bytes::new()))));
    }
    kept.built = match last {
        Some(last) => Built::Upto(Some(last.as_bytes().to_vec())),
        None => Built::Whole,
    };
    sometimes!(kept.built == Built::Whole, IndexBuilt);
    sometimes!(kept.built != Built::Whole, IndexBuiltInPart);
    Ok(())
}

/// Drops some rows of an index that is left; and whether none is left.
fn drop_slice(
    snapshot: &dyn Snapshot,
    number: u32,
    rows_max: usize,
    rows: &mut Rows,
    group: &mut Changes,
) -> Result<bool, StoreError> {
    let namespace = rows_of(number);
    let mut left = rows_max;
    let dropped = snapshot.staged(namespace, None, &mut |path, _| {
        rows.insert((namespace, path), None);
        left -= 1;
        if left > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    match dropped {
        Ok(()) => Ok(left > 0),
        // What is damaged cannot be told row by row: all of it goes at once.
        Err(StoreError::Corrupt { .. }) => {
            group.unstaged.insert(namespace);
            Ok(true)
        }
        Err(error) => Err(error),
    }
}
