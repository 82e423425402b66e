//! Whether indexes are what a scan of all records says: for the simulator and for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use millpond_core::{Entry, Namespace, Path};

use super::declared::{Declared, record_within};
use super::range::Range;
use super::stored::{Built, Indexes, rows_of};
use super::walk::{Shelf, list, walk};
use super::{IndexStanding, ViewShelf};
use crate::records::RecordError;
use crate::state::{View, WriteTx, meta_key, read_meta, shown_in};
use crate::store::{Snapshot, StoreError};

/// What is wrong.
type Audit = Result<(), String>;

/// Compares the rows of all indexes of a store with its tables, and what readers find with what they see: of one index
/// and in some of the ways to look, if that is picked.
pub(crate) fn audit(
    snapshot: &Arc<dyn Snapshot>,
    declared: &[Declared],
    pick: Option<usize>,
) -> Audit {
    let indexes: Option<Indexes> = read(read_meta(&**snapshot, &meta_key::indexes()))?;
    let Some(indexes) = indexes else { return Ok(()) };
    let of = read(shown_in(&**snapshot))?;
    let view = read(View::new(snapshot.clone(), of))?;
    let count = declared.len().max(1);
    for (number, declared) in declared.iter().enumerate() {
        audit_rows(&**snapshot, &indexes, &view, declared)?;
        if pick.is_some_and(|pick| pick % count != number) {
            continue;
        }
        audit_finding(
            &ViewShelf::new(&view),
            declared,
            &seen(&view, declared)?,
            pick.map(|it| it / count),
        )?;
    }
    Ok(())
}

/// Compares what a reader finds, from the least value on and from the greatest, in all and in a part, with all
/// records that it sees.
pub(crate) fn audit_finding(
    shelf: &dyn Shelf,
    declared: &Declared,
    seen: &[(Path, Entry)],
    pick: Option<usize>,
) -> Audit {
    if shelf.standing(declared.collection, declared.name).ok() == Some(IndexStanding::None) {
        return Ok(());
    }
    let records = by_record(seen);
    let listed = records.iter().map(|(record, entries)| {
        let listed = list(declared, record, entries)?;
        Ok(declared.readable_rows(record, &listed))
    });
    let listed: Vec<BTreeMap<Path, _>> =
        listed.collect::<Result<_, StoreError>>().map_err(|error| error.to_string())?;
    let all = || listed.iter().flatten().map(|(_, values)| values);
    let middle = all().nth(all().count() / 2).map(|values| Range::equal(values.clone()));
    let above = middle.clone().map(|equal| Range { from: equal.from, ..Range::ALL });
    let ranges = [Some(Range::ALL), middle, above].into_iter().flatten();
    for (number, range) in ranges.enumerate() {
        for is_descending in [false, true] {
            let way = number * 2 + usize::from(is_descending);
            if pick.is_some_and(|pick| pick % 3 != way % 3 && way > 0) {
                continue;
            }
            let first = listed.iter().filter_map(|rows| {
                let rows = rows.iter().filter(|(_, values)| range.contains(values));
                let rows = rows.map(|(row, _)| row);
                if is_descending { rows.max() } else { rows.min() }
            });
            let first: BTreeSet<&Path> = first.collect();
            let mut expected: Vec<_> =
                first.into_iter().map(|row| declared.record_of(row)).collect();
            if is_descending {
                expected.reverse();
            }
            let mut found = Vec::new();
            walk(shelf, declared, &range, is_descending, HELD, &mut |(record, _)| {
                found.push(Some(record.clone()));
                Ok(ControlFlow::Continue(()))
            })
            .map_err(|error| error.to_string())?;
            if found != expected {
                return Err(format!(
                    "indexes: {} finds {found:?} in {range:?}, and there are {expected:?}",
                    declared.name
                ));
            }
        }
    }
    Ok(())
}

/// Compares the rows of an index with what the tables have of the records that it lists by now.
fn audit_rows(
    snapshot: &dyn Snapshot,
    indexes: &Indexes,
    view: &View,
    declared: &Declared,
) -> Audit {
    let Some(kept) = indexes.find(declared.collection, declared.name) else { return Ok(()) };
    let of = Namespace::from_number(indexes.of);
    // While another namespace is about to be shown nobody reads them.
    if of != view.namespace() {
        return Ok(());
    }
    let mut entries = Vec::new();
    read(snapshot.entries(of, Some(&declared.within()), None, &mut |path, entry| {
        entries.push((path, entry.visible_at(view.vv())));
        ControlFlow::Continue(())
    }))?;
    let mut expected = BTreeSet::new();
    for (record, entries) in by_record(&entries) {
        if kept.built == Built::Whole || kept.covers(&record) {
            let listed = list(declared, &record, &entries).map_err(|error| error.to_string())?;
            expected.extend(declared.rows(&record, &listed));
        }
    }
    let mut found = BTreeSet::new();
    read(snapshot.staged(rows_of(kept.number), None, &mut |row, _| {
        found.insert(row);
        ControlFlow::Continue(())
    }))?;
    let extra: Vec<_> = found.difference(&expected).collect();
    let missing: Vec<_> = expected.difference(&found).collect();
    match extra.is_empty() && missing.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "indexes: {} has {extra:?}, which no record has, and lacks {missing:?}; it is {:?}",
            declared.name, kept.built
        )),
    }
}

/// What a reader sees of a collection.
fn seen(view: &View, declared: &Declared) -> Result<Vec<(Path, Entry)>, String> {
    let mut seen = Vec::new();
    read(view.entries_with_lost(Some(&declared.within()), None, &mut |path, entry| {
        seen.push((path, entry));
        ControlFlow::Continue(())
    }))?;
    Ok(seen)
}

fn by_record(entries: &[(Path, Entry)]) -> BTreeMap<Path, Vec<(Path, Entry)>> {
    let mut records: BTreeMap<Path, Vec<(Path, Entry)>> = BTreeMap::new();
    for (path, entry) in entries {
        if let Some(record) = record_within(path) {
            records.entry(record).or_default().push((path.clone(), entry.clone()));
        }
    }
    records
}

fn read<T>(result: Result<T, StoreError>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

/// The same of a transaction.
pub(crate) fn audit_tx(tx: &WriteTx<'_>, declared: &[Declared], pick: Option<usize>) -> Audit {
    let count = declared.len().max(1);
    let picked = declared.iter().enumerate();
    let picked = picked.filter(|(number, _)| pick.is_none_or(|pick| pick % count == *number));
    for (_, declared) in picked {
        let seen = tx.record(&declared.within());
        let seen = seen.map_err(|error: RecordError| error.to_string())?;
        audit_finding(tx, declared, &seen, pick.map(|it| it / count))?;
    }
    Ok(())
}

/// So few that a walk has to come back for more.
const HELD: usize = 8;
