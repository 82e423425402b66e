//! Reading through an index: its rows, in their order, with what they do not tell of put between them.

use std::collections::{BTreeSet, VecDeque};
use std::ops::ControlFlow;

use millpond_core::{Entry, Namespace, Path};

use super::declared::{Declared, Listed, is_unreadable_row};
use super::find::IndexStanding;
use super::range::{Range, compare, values_of};
use crate::probes::sometimes;
use crate::records::{RecordError, shows};
use crate::store::StoreError;

/// What an index is read over: a snapshot, or a transaction.
pub(crate) trait Shelf {
    /// Where an index is, and whether it is whole.
    fn standing(&self, collection: &str, name: &str) -> Result<IndexStanding, StoreError>;

    /// Some rows in their order, those beyond these bytes and not below them; or in the reverse order, those below
    /// them.
    fn rows(
        &self,
        of: Namespace,
        from: Option<&[u8]>,
        is_descending: bool,
        rows_max: usize,
    ) -> Result<Vec<Path>, StoreError>;

    /// What is at and below a record's path.
    fn record(&self, record: &Path) -> Result<Vec<(Path, Entry)>, RecordError>;

    /// Some records of a collection in their order, those beyond one.
    fn records(
        &self,
        collection: &Path,
        after: Option<&Path>,
        records_max: usize,
    ) -> Result<Vec<Path>, StoreError>;

    /// The same of those whose rows may be other ones than the index has.
    fn moved(
        &self,
        collection: &Path,
        after: Option<&Path>,
        records_max: usize,
    ) -> Result<Vec<Path>, StoreError>;

    /// Whether a record is one of those.
    fn is_moved(&self, record: &Path) -> Result<bool, StoreError>;
}

/// A record on the way, and what is at and below its path.
pub(crate) type Met<'m> = (&'m Path, Vec<(Path, Entry)>);

/// Visits the records of a range in the order of the index, each once: at the first of its values there. Of an index
/// that is not whole, or is damaged, it visits the same, by scanning all records: then it takes a walk through the
/// collection for each [`HELD_MAX`] of them, and holds as many paths in memory.
///
/// # Errors
/// [`RecordError::NotIndexed`], and what reading fails with.
pub(crate) fn walk(
    shelf: &dyn Shelf,
    declared: &Declared,
    range: &Range,
    is_descending: bool,
    held_max: usize,
    visit: &mut dyn FnMut(Met<'_>) -> Result<ControlFlow<()>, RecordError>,
) -> Result<(), RecordError> {
    let standing = shelf.standing(declared.collection, declared.name)?;
    let rows_of = match standing {
        IndexStanding::Whole(rows_of) => Some(rows_of),
        IndexStanding::Building => None,
        IndexStanding::None => return Err(declared.not_kept()),
    };
    sometimes!(rows_of.is_none(), IndexReadWhileBuilt);
    let mut walk = Walk {
        shelf,
        declared,
        range,
        is_descending,
        held_max: held_max.clamp(1, HELD_MAX),
        rows_of,
        indexed: Stream::default(),
        moved: Stream::default(),
    };
    while let Some((row, is_moved)) = walk.next()? {
        let Some(record) = declared.record_of(&row) else { continue };
        if !is_moved && shelf.is_moved(&record)? {
            // Where it is now it was met as one that has moved, or will be.
            continue;
        }
        let entries = match shelf.record(&record) {
            // It is listed nowhere.
            Err(error) if is_damage(&error) => continue,
            entries => entries?,
        };
        // A row that is not right would show what is not so.
        if walk.first_row(&record, &entries)? != Some(row) {
            continue;
        }
        if visit((&record, entries))?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Two streams of rows that are put together.
struct Walk<'w> {
    shelf: &'w dyn Shelf,
    declared: &'w Declared,
    range: &'w Range,
    is_descending: bool,
    held_max: usize,
    /// Where the index's rows are, if it is whole.
    rows_of: Option<Namespace>,
    /// Those of the index.
    indexed: Stream,
    /// Those of records that have moved since, or of all where there is no index: the first of each.
    moved: Stream,
}

#[derive(Default)]
struct Stream {
    rows: VecDeque<Path>,
    /// The last one that was read.
    last: Option<Path>,
    is_over: bool,
}

impl Walk<'_> {
    /// The next row, and whether its record has moved.
    fn next(&mut self) -> Result<Option<(Path, bool)>, RecordError> {
        self.fill_indexed()?;
        self.fill_moved()?;
        let is_indexed_first = match (self.indexed.rows.front(), self.moved.rows.front()) {
            (Some(indexed), Some(moved)) => self.comes_before(indexed, moved),
            (indexed, _) => indexed.is_some(),
        };
        let stream = if is_indexed_first { &mut self.indexed } else { &mut self.moved };
        Ok(stream.rows.pop_front().map(|row| (row, !is_indexed_first)))
    }

    fn comes_before(&self, row: &Path, other: &Path) -> bool {
        if self.is_descending { row > other } else { row < other }
    }

    fn fill_indexed(&mut self) -> Result<(), RecordError> {
        let Some(rows_of) = self.rows_of else { return Ok(()) };
        while self.indexed.rows.is_empty() && !self.indexed.is_over {
            let from = match &self.indexed.last {
                Some(last) => Some(last.as_bytes().to_vec()),
                None => self.start(),
            };
            let shelf = self.shelf;
            let rows = match shelf.rows(rows_of, from.as_deref(), self.is_descending, ROWS_AT_ONCE)
            {
                // The index is damaged: go on without it.
                Err(error) if error.is_damage() => {
                    let last = self.indexed.last.take();
                    self.rows_of = None;
                    self.moved = Stream { last, ..Stream::default() };
                    return Ok(());
                }
                rows => rows?,
            };
            self.indexed.is_over = rows.len() < ROWS_AT_ONCE;
            self.indexed.last = rows.last().cloned();
            let is_within = |row: &Path| !self.is_beyond(row);
            let within: Vec<Path> = rows.iter().filter(|row| is_within(row)).cloned().collect();
            self.indexed.is_over |= within.len() < rows.len();
            self.indexed.rows.extend(within);
        }
        Ok(())
    }

    /// Where the range begins, as an end of the rows before it.
    fn start(&self) -> Option<Vec<u8>> {
        if !self.is_descending {
            let from = values_of(&self.range.from).map_or(&[][..], |from| &from[..]);
            return Some(self.declared.row_prefix(from).as_bytes().to_vec());
        }
        let to = self.declared.row_prefix(values_of(&self.range.to)?);
        // All that lies below a path begins with its bytes, of which the last one can be followed.
        let mut end = to.as_bytes().to_vec();
        *end.last_mut()? += 1;
        Some(end)
    }

    /// Whether a row, and all after it, lie beyond the range.
    fn is_beyond(&self, row: &Path) -> bool {
        let end = if self.is_descending { &self.range.from } else { &self.range.to };
        if is_unreadable_row(row) {
            return true;
        }
        let Some(end) = values_of(end) else { return false };
        let row: Vec<Vec<u8>> = row.components().collect();
        let order = compare(&row, &self.declared.row_values(end));
        if self.is_descending { order.is_lt() } else { order.is_gt() }
    }

    fn fill_moved(&mut self) -> Result<(), RecordError> {
        if !self.moved.rows.is_empty() || self.moved.is_over {
            return Ok(());
        }
        let mut first: BTreeSet<Path> = BTreeSet::new();
        let within = self.declared.within();
        let mut after: Option<Path> = None;
        self.moved.is_over = true;
        loop {
            let some = match self.rows_of {
                Some(_) => self.shelf.moved(&within, after.as_ref(), ROWS_AT_ONCE)?,
                None => self.shelf.records(&within, after.as_ref(), ROWS_AT_ONCE)?,
            };
            let Some(last) = some.last() else { break };
            after = Some(last.clone());
            for record in some {
                let entries = match self.shelf.record(&record) {
                    Err(error) if is_damage(&error) => continue,
                    entries => entries?,
                };
                let Some(row) = self.first_row(&record, &entries)? else { continue };
                if self.moved.last.as_ref().is_some_and(|last| !self.comes_before(last, &row)) {
                    continue;
                }
                first.insert(row);
                if first.len() > self.held_max {
                    if self.is_descending {
                        first.pop_first()
                    } else {
                        first.pop_last()
                    };
                    self.moved.is_over = false;
                }
            }
        }
        match self.is_descending {
            true => self.moved.rows.extend(first.into_iter().rev()),
            false => self.moved.rows.extend(first),
        }
        self.moved.last = self.moved.rows.back().cloned();
        Ok(())
    }

    /// The first row of a record in the range.
    fn first_row(
        &self,
        record: &Path,
        entries: &[(Path, Entry)],
    ) -> Result<Option<Path>, StoreError> {
        let Listed::Under(all) = list(self.declared, record, entries)? else { return Ok(None) };
        let within = all.iter().filter(|values| self.range.contains(values));
        let rows = within.filter_map(|values| self.declared.row(record, values));
        Ok(if self.is_descending { rows.max() } else { rows.min() })
    }
}

/// The records of which an index has no readable value, in no order that means something.
///
/// # Errors
/// As [`walk`].
pub(crate) fn unreadable(
    shelf: &dyn Shelf,
    declared: &Declared,
    visit: &mut dyn FnMut(&Path) -> ControlFlow<()>,
) -> Result<(), RecordError> {
    let within = declared.within();
    let standing = shelf.standing(declared.collection, declared.name)?;
    if let IndexStanding::Whole(rows_of) = standing
        && shelf.moved(&within, None, 1)?.is_empty()
    {
        // They have the first rows.
        let mut from: Option<Path> = None;
        loop {
            let bytes = from.as_ref().map(Path::as_bytes);
            let rows = shelf.rows(rows_of, bytes, false, ROWS_AT_ONCE)?;
            for row in &rows {
                let record = declared.record_of(row).filter(|_| is_unreadable_row(row));
                if record.is_none_or(|record| visit(&record).is_break()) {
                    return Ok(());
                }
            }
            from = rows.last().cloned();
            if rows.len() < ROWS_AT_ONCE {
                return Ok(());
            }
        }
    }
    let mut after: Option<Path> = None;
    loop {
        let some = shelf.records(&within, after.as_ref(), ROWS_AT_ONCE)?;
        let Some(last) = some.last() else { return Ok(()) };
        after = Some(last.clone());
        for record in some {
            let is_unreadable = match shelf.record(&record) {
                Err(error) if is_damage(&error) => true,
                entries => list(declared, &record, &entries?)? == Listed::Unreadable,
            };
            if is_unreadable && visit(&record).is_break() {
                return Ok(());
            }
        }
    }
}

/// Where a record stands whose entries these are.
pub(crate) fn list(
    declared: &Declared,
    record: &Path,
    entries: &[(Path, Entry)],
) -> Result<Listed, StoreError> {
    let entry = |path: &Path| {
        let found = entries.binary_search_by(|(other, _)| other.cmp(path));
        Ok(found.map_or_else(|_| Entry::absent(), |place| entries[place].1.clone()))
    };
    declared.list(record, entry, || Ok(entries.iter().any(|(_, entry)| shows(entry))))
}

fn is_damage(error: &RecordError) -> bool {
    use crate::state::WriteError;
    match error {
        RecordError::Store(error) | RecordError::Write(WriteError::Store(error)) => {
            error.is_damage()
        }
        _ => false,
    }
}

/// Rows or records that are read at once.
const ROWS_AT_ONCE: usize = 256;
/// Rows that are held at once of records that the index does not tell of: some megabytes.
const HELD_MAX: usize = 32_768;
