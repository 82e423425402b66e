//! What an index is of: which fields of which records, and where a record stands in it.

#[cfg(any(test, feature = "sim"))]
use std::collections::BTreeMap;
use std::collections::BTreeSet;

use millpond_core::limits::PATH_BYTES_MAX;
use millpond_core::{Entry, Path};

use crate::records::{RecordError, shows};
use crate::state::is_lost;
use crate::store::StoreError;

/// An index that a program declares.
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    /// The collection whose records are listed.
    pub(crate) collection: &'static str,
    /// What it is called among the collection's indexes.
    pub(crate) name: &'static str,
    /// Whether the text names a record of the collection's type.
    pub(crate) is_key: fn(&str) -> bool,
    /// The fields in whose order records are listed.
    pub(crate) fields: Vec<DeclaredField>,
}

/// One of its fields.
#[derive(Debug, Clone)]
pub(crate) struct DeclaredField {
    /// Its stored name.
    pub(crate) name: &'static str,
    /// Its values, encoded so that bytes sort as they do.
    pub(crate) values: ReadValues,
    /// The type that says so.
    pub(crate) type_name: &'static str,
}

/// The values of a field whose entry is this; what is not there reads as the type's default.
pub(crate) type ReadValues = fn(Option<&Entry>) -> Result<Vec<Vec<u8>>, Unlisted>;

/// A field that holds what its type cannot read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unlisted;

/// Under what a record is listed: a value for each field.
pub(crate) type Values = Vec<Vec<u8>>;

/// Where a record stands in an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listed {
    /// Nowhere: there is no such record.
    Absent,
    /// Among those that have no readable value.
    Unreadable,
    /// Under each of these.
    Under(BTreeSet<Values>),
}

impl Declared {
    /// Whether another one is of the same collection and name.
    pub(crate) fn is_called_as(&self, other: &Self) -> bool {
        self.collection == other.collection && self.name == other.name
    }

    /// That nobody keeps it.
    pub(crate) fn not_kept(&self) -> RecordError {
        RecordError::NotIndexed { index: format!("{}.{}", self.collection, self.name) }
    }

    /// What an index has to have been declared as to be this one.
    pub(crate) fn definition(&self) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        let mut add = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        add(&[LAYOUT]);
        add(self.collection.as_bytes());
        add(self.name.as_bytes());
        for DeclaredField { name, values, type_name } in &self.fields {
            add(name.as_bytes());
            add(type_name.as_bytes());
            // A type whose default has changed reads differently where nothing is stored.
            values(None).unwrap_or_default().iter().for_each(|value| add(value));
        }
        let hash = hasher.finalize();
        *hash.as_bytes().first_chunk().expect("a hash of 32 bytes")
    }

    /// The collection's path.
    pub(crate) fn within(&self) -> Path {
        Path::new([self.collection]).expect("a collection's name is a path")
    }

    /// The path of a record's field.
    fn field_path(&self, record: &Path, field: &DeclaredField) -> Option<Path> {
        // Without room for it there is nothing of it.
        record.child(field.name).ok()
    }

    /// Where a record stands whose entries these are. `shows` tells whether anything of it shows, and is not asked
    /// where one of the fields does.
    ///
    /// # Errors
    /// Any [`StoreError`] of reading.
    pub(crate) fn list(
        &self,
        record: &Path,
        mut entry: impl FnMut(&Path) -> Result<Entry, StoreError>,
        shows_at_all: impl FnOnce() -> Result<bool, StoreError>,
    ) -> Result<Listed, StoreError> {
        if !record_key(record).is_some_and(|key| (self.is_key)(&key)) {
            return Ok(Listed::Absent);
        }
        let mut entries = Vec::with_capacity(self.fields.len());
        for field in &self.fields {
            let path = self.field_path(record, field);
            entries.push(path.map_or_else(|| Ok(Entry::absent()), |path| entry(&path))?);
        }
        if !entries.iter().any(shows) && !shows_at_all()? {
            return Ok(Listed::Absent);
        }
        let fields = self.fields.iter().zip(&entries);
        let values = fields.map(|(field, entry)| match entry.live().iter().any(is_lost) {
            true => Err(Unlisted),
            false => (field.values)((!entry.is_absent()).then_some(entry)),
        });
        Ok(match values.collect::<Result<Vec<_>, Unlisted>>().and_then(product) {
            Ok(listed) if self.has_room(record, &listed) => Listed::Under(listed),
            _ => Listed::Unreadable,
        })
    }

    /// The paths of the rows of a record.
    pub(crate) fn rows(&self, record: &Path, listed: &Listed) -> BTreeSet<Path> {
        match listed {
            Listed::Absent => BTreeSet::new(),
            Listed::Unreadable => [unreadable_row(record)].into_iter().flatten().collect(),
            Listed::Under(all) => all.iter().filter_map(|it| self.row(record, it)).collect(),
        }
    }

    /// The rows that list a record under values, with these.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn readable_rows(&self, record: &Path, listed: &Listed) -> BTreeMap<Path, Values> {
        let Listed::Under(all) = listed else { return BTreeMap::new() };
        all.iter().filter_map(|it| Some((self.row(record, it)?, it.clone()))).collect()
    }

    /// The path of the row of a record under these values.
    pub(crate) fn row(&self, record: &Path, values: &[Vec<u8>]) -> Option<Path> {
        let mut components = self.row_values(values);
        components.push(record.components().nth(1)?);
        Path::new(components).ok()
    }

    /// The path that the rows under these values, or under values that begin so, lie below.
    pub(crate) fn row_prefix(&self, values: &[Vec<u8>]) -> Path {
        let components = match values {
            [] => vec![vec![READABLE]],
            values => self.row_values(values),
        };
        Path::new(components).expect("values are cut")
    }

    /// The first components of a row's path: the values, cut to size. The first one tells that they are some.
    pub(crate) fn row_values(&self, values: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let bytes_max = VALUES_BYTES_MAX / self.fields.len().max(1);
        let cut = values.iter().enumerate().map(|(index, value)| {
            let value = &value[..value.len().min(bytes_max)];
            if index == 0 { [&[READABLE], value].concat() } else { value.to_vec() }
        });
        cut.collect()
    }

    /// The record of a row; `None` for what is no row.
    pub(crate) fn record_of(&self, row: &Path) -> Option<Path> {
        self.within().child(row.components().last()?).ok()
    }

    fn has_room(&self, record: &Path, listed: &BTreeSet<Values>) -> bool {
        listed.iter().all(|values| self.row(record, values).is_some())
    }
}

/// The row of a record that has no readable value.
fn unreadable_row(record: &Path) -> Option<Path> {
    Path::new([vec![UNREADABLE], record.components().nth(1)?]).ok()
}

/// Whether a row is of a record without a readable value.
pub(crate) fn is_unreadable_row(row: &Path) -> bool {
    row.components().next().is_some_and(|first| first == [UNREADABLE])
}

/// The record that a path lies in.
pub(crate) fn record_within(path: &Path) -> Option<Path> {
    let bytes = path.prefix_bytes(2);
    let is_deep = path.components().nth(1).is_some();
    is_deep.then(|| Path::from_encoded(path.encoded().slice(..bytes)).ok()).flatten()
}

/// The text of a record's key.
pub(crate) fn record_key(record: &Path) -> Option<String> {
    String::from_utf8(record.components().nth(1)?).ok()
}

/// All that can be put together of the fields' values.
fn product(fields: Vec<Vec<Vec<u8>>>) -> Result<BTreeSet<Values>, Unlisted> {
    let mut all = BTreeSet::from([Values::new()]);
    for values in fields {
        if all.len() * values.len() > ROWS_MAX {
            return Err(Unlisted);
        }
        let longer = |begun: &Values| {
            let longer =
                values.iter().map(|value| [&begun[..], std::slice::from_ref(value)].concat());
            longer.collect::<Vec<_>>()
        };
        all = all.iter().flat_map(longer).collect();
    }
    Ok(all)
}

/// Grows when rows are laid out otherwise: then indexes of before are built anew.
const LAYOUT: u8 = 1;
/// The first byte of a row that lists a record under a value.
const READABLE: u8 = 1;
/// Of one whose record has none.
const UNREADABLE: u8 = 0;
/// How many bytes of a record's values decide its place; each may take two in a path.
const VALUES_BYTES_MAX: usize = 480;
const _: () = assert!(2 * VALUES_BYTES_MAX + 1024 + 64 <= PATH_BYTES_MAX);
/// How many rows a record may have: more concurrent values than that are of no use to anybody.
const ROWS_MAX: usize = 1024;
