//! Indexes of typed records: declared beside the fields, and asked in the order of their values.

use std::marker::PhantomData;
use std::ops::{Bound, ControlFlow, RangeBounds};

use millpond_core::{Entry, Path};

use crate::indexes::{
    Declared, DeclaredField, IndexStanding, Range, Shelf, Unlisted, ViewShelf, unreadable, walk,
};
use crate::records::RecordError;
use crate::state::WriteTx;
use crate::typed::site::FoundEntry;
use crate::typed::{Collection, Field, Found, Key, Multi, Record};

/// An index of records of one type: in the order of the values `V` of one field, or of several, `V` being a tuple
/// then.
///
/// It is declared beside the fields, and made by what the derive calls `TaskIndex` for a `Task`:
///
/// | attribute | of | declares |
/// |---|---|---|
/// | `#[millpond(index)]` | a field | an index of that field, called as it is stored |
/// | `#[millpond(index(agenda(owner, due)))]` | the struct | one called `agenda`, in the order of `owner` and then `due` |
///
/// A plain field has one value, the one that readers see. A [`Multi`] has all that it shows, and its record is found
/// by each of them; by none if it is empty. What is not stored counts as its type's default, as it reads. A record
/// whose field holds what its type cannot read is found by no value: [`IndexQuery::unreadable`] lists those.
///
/// An index is of this replica alone, and is right after every commit, whatever it was that changed a record: a write
/// here, one of another member, or what came after a month apart. It costs the write of a row where a value changes.
/// Whoever opens the replica says which to keep ([`ReplicaBuilder::register`](crate::ReplicaBuilder::register)).
///
/// A delayed replica builds none while it is delayed: there every question reads all records.
///
/// Values are in the order that their type says; of texts that begin with the same 480 bytes (fewer, shared out evenly, where
/// there are several fields) the order is that of their records' keys.
///
/// ```
/// use millpond::{Collection, Record, Replica};
///
/// #[derive(Debug, Default, Record)]
/// #[millpond(index(agenda(owner, due)))]
/// struct Task {
///     #[millpond(key)]
///     id: String,
///     owner: String,
///     #[millpond(index)]
///     due: u32,
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let db = Replica::builder_in_memory().offline().register::<Task>().open().await?;
/// db.write(|tx| {
///     for (id, owner, due) in [("milk", "anna", 3), ("rent", "ben", 1), ("tax", "anna", 2)] {
///         tx.store(&Task { id: id.into(), owner: owner.into(), due })?;
///     }
///     Ok::<_, millpond::records::RecordError>(())
/// })
/// .await?;
///
/// let tasks = Collection::<Task>::new(db.read()?);
/// let soon = tasks.by(TaskIndex::due()).range(..3).list()?;
/// assert_eq!(soon.iter().map(|task| &task.id[..]).collect::<Vec<_>>(), ["rent", "tax"]);
/// let annas = tasks.by(TaskIndex::agenda()).first("anna").descending().limit(1).list()?;
/// assert_eq!(annas[0].id, "milk");
/// # db.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Index<R, V> {
    declared: Declared,
    of: PhantomData<fn() -> (R, V)>,
}

/// How the derive declares an index, of any values.
#[derive(Debug)]
pub struct IndexDeclaration {
    pub(crate) declared: Declared,
}

impl<R: Record, V> Index<R, V> {
    /// The index of this name, of no field yet: for the derive.
    #[doc(hidden)]
    pub fn declare(name: &'static str) -> Self {
        let is_key = |text: &str| R::Key::from_text(text).is_some();
        let declared = Declared { collection: R::COLLECTION, name, is_key, fields: Vec::new() };
        Self { declared, of: PhantomData }
    }

    /// In the order of this field next.
    #[doc(hidden)]
    pub fn field<F: IndexField>(mut self, name: &'static str) -> Self {
        let type_name = std::any::type_name::<F>();
        self.declared.fields.push(DeclaredField { name, values: values::<F>, type_name });
        self
    }

    /// As it is registered.
    #[doc(hidden)]
    pub fn declaration(self) -> IndexDeclaration {
        IndexDeclaration { declared: self.declared }
    }
}

impl<R, V> Clone for Index<R, V> {
    fn clone(&self) -> Self {
        Self { declared: self.declared.clone(), of: PhantomData }
    }
}

fn values<F: IndexField>(entry: Option<&Entry>) -> Result<Vec<Vec<u8>>, Unlisted> {
    let found: Vec<FoundEntry> = entry.map(FoundEntry::at_once).into_iter().collect();
    let values = F::index_values(&Found::record(&found)).map_err(|_| Unlisted)?;
    Ok(values.iter().map(IndexValue::to_bytes).collect())
}

/// A type of field that an index can be of.
#[diagnostic::on_unimplemented(
    message = "no index can be of a `{Self}`",
    label = "has no order to be listed in",
    note = "indexes are of plain fields and of `Multi`, whose values are a `Key` (texts, integers, `bool`, a type of yours), a float, or an `Option` of these"
)]
pub trait IndexField: Field {
    /// What records are found by.
    type Value: IndexValue;

    /// The values of a field, as stored.
    ///
    /// # Errors
    /// [`RecordError::Unreadable`] when it holds what its type does not write.
    #[doc(hidden)]
    fn index_values(found: &Found<'_>) -> Result<Vec<Self::Value>, RecordError>;
}

#[diagnostic::do_not_recommend] // what is missing is said by [`IndexField`]
impl<T: IndexValue + Field> IndexField for T {
    type Value = T;

    fn index_values(found: &Found<'_>) -> Result<Vec<T>, RecordError> {
        Ok(vec![T::read(found)?])
    }
}

impl<T: IndexValue> IndexField for Multi<T>
where
    Self: Field,
{
    type Value = T;

    fn index_values(found: &Found<'_>) -> Result<Vec<T>, RecordError> {
        Ok(Self::read(found)?.into_values())
    }
}

/// A value that records can be found by: it has bytes whose order is its own.
///
/// Implemented for every [`Key`], whose bytes are its text; for floats, in the order of
/// [`total_cmp`](f64::total_cmp); and for an `Option` of these, nothing before something.
pub trait IndexValue: Sized {
    /// The bytes.
    fn to_bytes(&self) -> Vec<u8>;
}

#[diagnostic::do_not_recommend]
impl<K: Key> IndexValue for K {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_text().into_bytes()
    }
}

impl IndexValue for f64 {
    fn to_bytes(&self) -> Vec<u8> {
        // Without the sign larger bits are a larger number, and below zero a smaller one.
        let bits = self.to_bits();
        let ordered = if self.is_sign_negative() { !bits } else { bits | 1 << 63 };
        ordered.to_be_bytes().to_vec()
    }
}

impl IndexValue for f32 {
    fn to_bytes(&self) -> Vec<u8> {
        f64::from(*self).to_bytes()
    }
}

impl<K: IndexValue> IndexValue for Option<K> {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_ref().map_or_else(Vec::new, |value| [vec![1], value.to_bytes()].concat())
    }
}

/// What an index is asked for: a value, or a tuple of one for each field.
pub trait IndexKey: Sized {
    /// The bytes of each value.
    #[doc(hidden)]
    fn to_values(&self) -> Vec<Vec<u8>>;
}

impl<T: IndexValue> IndexKey for T {
    fn to_values(&self) -> Vec<Vec<u8>> {
        vec![self.to_bytes()]
    }
}

/// A key of several values.
pub trait CompoundKey: IndexKey {
    /// The first one.
    type First: IndexValue;
}

macro_rules! compound_keys {
    ($(($first:ident $($rest:ident)+)),+) => {$(
        impl<$first: IndexValue, $($rest: IndexValue),+> IndexKey for ($first, $($rest),+) {
            #[allow(non_snake_case)]
            fn to_values(&self) -> Vec<Vec<u8>> {
                let ($first, $($rest),+) = self;
                vec![$first.to_bytes(), $($rest.to_bytes()),+]
            }
        }

        impl<$first: IndexValue, $($rest: IndexValue),+> CompoundKey for ($first, $($rest),+) {
            type First = $first;
        }
    )+};
}

compound_keys!((A B), (A B C), (A B C D));

/// Records in the order of an index; made by [`Collection::by`] and [`WriteTx::by`](crate::WriteTx). All of them,
/// from the least value on, unless it is told otherwise.
#[must_use = "it reads nothing before it is told how"]
pub struct IndexQuery<'q, R, V> {
    source: Source<'q>,
    index: Index<R, V>,
    range: Range,
    is_descending: bool,
    limit: Option<usize>,
}

/// What is read.
enum Source<'q> {
    View(ViewShelf<'q>),
    Tx(&'q WriteTx<'q>),
}

/// How an index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IndexState {
    /// It has every record.
    Ready,
    /// It is being built. It answers all the same, by reading every record.
    Building,
}

impl<'q, R: Record, V: IndexKey> IndexQuery<'q, R, V> {
    /// Only those of this value; of several fields, those of this tuple.
    pub fn equal(mut self, value: impl Into<V>) -> Self {
        self.range = Range::equal(value.into().to_values());
        self
    }

    /// Only those whose values are in a range.
    pub fn range(mut self, range: impl RangeBounds<V>) -> Self {
        let values = |bound: Bound<&V>| bound.map(IndexKey::to_values);
        self.range = Range { from: values(range.start_bound()), to: values(range.end_bound()) };
        self
    }

    /// Of several fields, only those whose first value is this one.
    pub fn first(mut self, value: impl Into<V::First>) -> Self
    where
        V: CompoundKey,
    {
        self.range = Range::equal(vec![value.into().to_bytes()]);
        self
    }

    /// From the greatest value on.
    pub fn descending(mut self) -> Self {
        self.is_descending = true;
        self
    }

    /// No more than so many.
    pub fn limit(mut self, records: usize) -> Self {
        self.limit = Some(records);
        self
    }

    /// The records, each once.
    ///
    /// # Errors
    /// [`RecordError::NotIndexed`] when the type is not registered, and as [`Collection::get`].
    pub fn list(&self) -> Result<Vec<R>, RecordError> {
        let mut records = Vec::new();
        self.scan(&mut |record| {
            records.push(record);
            ControlFlow::Continue(())
        })?;
        Ok(records)
    }

    /// The first of them; `None` when there is none.
    ///
    /// # Errors
    /// As [`IndexQuery::list`].
    pub fn one(&self) -> Result<Option<R>, RecordError> {
        let mut first = None;
        self.scan(&mut |record| {
            first = Some(record);
            ControlFlow::Break(())
        })?;
        Ok(first)
    }

    /// Visits the records, until `visit` breaks.
    ///
    /// # Errors
    /// As [`IndexQuery::list`]; the visitor has seen what came before.
    pub fn scan(&self, visit: &mut dyn FnMut(R) -> ControlFlow<()>) -> Result<(), RecordError> {
        self.walk(&mut |key, path, entries| {
            let entries = FoundEntry::all(path, entries);
            let record = R::read(key, &Found::record(&entries)).map_err(|error| error.of(path))?;
            Ok(visit(record))
        })
    }

    /// The keys of the records.
    ///
    /// # Errors
    /// As [`IndexQuery::list`], but that of a field that cannot be read.
    pub fn keys(&self) -> Result<Vec<R::Key>, RecordError> {
        let mut keys = Vec::new();
        self.walk(&mut |key, _, _| {
            keys.push(key);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(keys)
    }

    /// How many there are, by reading all of them.
    ///
    /// # Errors
    /// As [`IndexQuery::keys`].
    pub fn count(&self) -> Result<u64, RecordError> {
        let mut count = 0;
        self.walk(&mut |_, _, _| {
            count += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(count)
    }

    /// The keys of the records that are found by no value, since a field of the index holds what its type cannot
    /// read, or its content was lost to damage, or it has more than 1,024 values; whatever was asked for.
    ///
    /// # Errors
    /// As [`IndexQuery::keys`].
    pub fn unreadable(&self) -> Result<Vec<R::Key>, RecordError> {
        let mut keys = Vec::new();
        unreadable(self.shelf(), &self.index.declared, &mut |record| {
            keys.extend(key_of::<R>(record));
            ControlFlow::Continue(())
        })?;
        Ok(keys)
    }

    /// How the index is.
    ///
    /// # Errors
    /// [`RecordError::NotIndexed`], [`RecordError::Store`].
    pub fn state(&self) -> Result<IndexState, RecordError> {
        let declared = &self.index.declared;
        match self.shelf().standing(declared.collection, declared.name)? {
            IndexStanding::Whole(_) => Ok(IndexState::Ready),
            IndexStanding::Building => Ok(IndexState::Building),
            IndexStanding::None => Err(declared.not_kept()),
        }
    }

    fn walk(&self, visit: VisitMet<'_, R::Key>) -> Result<(), RecordError> {
        let mut left = self.limit.unwrap_or(usize::MAX);
        if left == 0 {
            return self.state().map(drop);
        }
        let (declared, range) = (&self.index.declared, &self.range);
        walk(self.shelf(), declared, range, self.is_descending, left, &mut |(path, entries)| {
            let Some(key) = key_of::<R>(path) else { return Ok(ControlFlow::Continue(())) };
            left -= 1;
            let flow = visit(key, path, entries)?;
            Ok(if left == 0 { ControlFlow::Break(()) } else { flow })
        })
    }
}

/// What is done with a record that is met: its key, its path, and what is at and below that.
type VisitMet<'v, K> =
    &'v mut dyn FnMut(K, &Path, Vec<(Path, Entry)>) -> Result<ControlFlow<()>, RecordError>;

fn key_of<R: Record>(record: &Path) -> Option<R::Key> {
    let text = String::from_utf8(record.components().nth(1)?).ok()?;
    R::Key::from_text(&text)
}

impl<R, V> std::fmt::Debug for IndexQuery<'_, R, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IndexQuery")
            .field("index", &self.index.declared.name)
            .finish_non_exhaustive()
    }
}

impl<R: Record> Collection<R> {
    /// The records in the order of an index.
    pub fn by<V>(&self, index: Index<R, V>) -> IndexQuery<'_, R, V> {
        IndexQuery::new(Source::View(ViewShelf::new(self.view())), index)
    }
}

impl WriteTx<'_> {
    /// The records in the order of an index, with what this transaction wrote so far.
    pub fn by<R: Record, V>(&self, index: Index<R, V>) -> IndexQuery<'_, R, V> {
        IndexQuery::new(Source::Tx(self), index)
    }
}

impl<'q, R, V> IndexQuery<'q, R, V> {
    fn new(source: Source<'q>, index: Index<R, V>) -> Self {
        Self { source, index, range: Range::ALL, is_descending: false, limit: None }
    }

    fn shelf(&self) -> &dyn Shelf {
        match &self.source {
            Source::View(view) => view,
            Source::Tx(tx) => *tx,
        }
    }
}
