//! Looking through indexes: whether their rows are those of the records, and no others.

use std::ops::ControlFlow;

use bytes::Bytes;
use millpond_core::{Namespace, Path};

use super::declared::{Declared, Listed, record_within};
use super::stored::{Built, Indexes, Kept, rows_of};
use crate::planted::planted;
use crate::records::shows;
use crate::state::{meta_key, read_meta};
use crate::store::{Snapshot, StoreError};

/// A walk through all indexes that are built: for each record that its rows are there, and for each row that it is its
/// record's. Each step takes a snapshot of its own.
#[derive(Debug, Default)]
pub(crate) struct IndexScrub {
    /// Which index, by its number; those of lesser numbers are done.
    number: u32,
    at: At,
    /// Those that are not right.
    pub(crate) wrong: Vec<u32>,
}

/// How far it is with an index.
#[derive(Debug, Clone)]
enum At {
    /// Its records, beyond a path.
    Records(Option<Path>),
    /// Its rows, beyond a path.
    Rows(Option<Path>),
}

impl Default for At {
    fn default() -> Self {
        Self::Records(None)
    }
}

impl IndexScrub {
    /// Looks at some more; whether that was all.
    ///
    /// # Errors
    /// Any [`StoreError`] of reading, but for damage.
    pub(crate) fn step(
        &mut self,
        snapshot: &dyn Snapshot,
        declared: &[Declared],
        rows_max: usize,
    ) -> Result<bool, StoreError> {
        let indexes: Option<Indexes> = read_meta(snapshot, &meta_key::indexes())?;
        let indexes = indexes.unwrap_or_default();
        let whole = indexes.kept.iter().filter(|it| it.built == Built::Whole);
        let next = whole.filter(|it| it.number >= self.number).min_by_key(|it| it.number);
        let Some(kept) = next else { return Ok(true) };
        if kept.number > self.number {
            (self.number, self.at) = (kept.number, At::default());
        }
        let is_it = |it: &&Declared| it.collection == kept.collection && it.name == kept.name;
        let looked = match declared.iter().find(is_it) {
            Some(declared) => {
                let tables = Tables { snapshot, of: Namespace::from_number(indexes.of) };
                self.look(&tables, declared, kept, rows_max)
            }
            None => Ok(None),
        };
        let at = match looked {
            Ok(at) => at,
            Err(Wrong::Index) => {
                if !planted!("an index that is wrong is built anew") {
                    self.wrong.push(kept.number);
                }
                None
            }
            Err(Wrong::Store(error)) => return Err(error),
        };
        match at {
            Some(at) => self.at = at,
            None => (self.number, self.at) = (kept.number + 1, At::default()),
        }
        Ok(false)
    }

    /// Looks at some more of an index; where to go on, unless that was all.
    fn look(
        &mut self,
        tables: &Tables<'_>,
        declared: &Declared,
        kept: &Kept,
        rows_max: usize,
    ) -> Result<Option<At>, Wrong> {
        let (mut seen, mut last) = (Vec::new(), None);
        match self.at.clone() {
            At::Records(after) => {
                let within = declared.within();
                let after = after.as_ref();
                let looked =
                    tables.snapshot.entries(tables.of, Some(&within), after, &mut |path, _| {
                        let record = record_within(&path);
                        if seen.last() != record.as_ref() {
                            seen.extend(record);
                        }
                        last = Some(path);
                        if seen.len() < rows_max {
                            ControlFlow::Continue(())
                        } else {
                            ControlFlow::Break(())
                        }
                    });
                match looked {
                    // It is found by itself, and what is mended is indexed anew.
                    Err(error) if error.is_damage() => return Ok(None),
                    looked => looked?,
                }
                let is_over = seen.len() < rows_max;
                for record in seen {
                    let Some(listed) = tables.list(declared, &record)? else { continue };
                    for row in declared.rows(&record, &listed) {
                        let stored = tables.snapshot.staged_row(rows_of(kept.number), &row)?;
                        stored.ok_or(Wrong::Index)?;
                    }
                }
                Ok(Some(if is_over { At::Rows(None) } else { At::Records(last) }))
            }
            At::Rows(after) => {
                let rows_of = rows_of(kept.number);
                tables.snapshot.staged(rows_of, after.as_ref(), &mut |row, _: Bytes| {
                    seen.push(row);
                    if seen.len() < rows_max {
                        ControlFlow::Continue(())
                    } else {
                        ControlFlow::Break(())
                    }
                })?;
                let is_over = seen.len() < rows_max;
                for row in &seen {
                    let record = declared.record_of(row).ok_or(Wrong::Index)?;
                    let Some(listed) = tables.list(declared, &record)? else { continue };
                    if !declared.rows(&record, &listed).contains(row) {
                        return Err(Wrong::Index);
                    }
                }
                Ok((!is_over).then(|| At::Rows(seen.pop())))
            }
        }
    }
}

/// The tables that an index is of.
struct Tables<'a> {
    snapshot: &'a dyn Snapshot,
    of: Namespace,
}

impl Tables<'_> {
    /// Where a record stands; nothing where that cannot be read.
    fn list(&self, declared: &Declared, record: &Path) -> Result<Option<Listed>, StoreError> {
        let entry = |path: &Path| self.snapshot.entry(self.of, path);
        let listed = declared.list(record, entry, || {
            let mut is_shown = false;
            self.snapshot.entries(self.of, Some(record), None, &mut |_, entry| {
                is_shown = shows(&entry);
                if is_shown { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            Ok(is_shown)
        });
        match listed {
            Err(error) if error.is_damage() => Ok(None),
            listed => listed.map(Some),
        }
    }
}

/// What a look at an index met.
enum Wrong {
    /// It is not as it should be.
    Index,
    Store(StoreError),
}

impl From<StoreError> for Wrong {
    /// Of a row of it: that of what it is an index of was looked at before.
    fn from(error: StoreError) -> Self {
        if error.is_damage() { Self::Index } else { Self::Store(error) }
    }
}
