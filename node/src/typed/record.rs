//! What `#[derive(Record)]` implements.

use crate::records::RecordError;
use crate::typed::{Draw, Found, IndexDeclaration, Key, Site};

/// A type of record: a struct whose fields each merge by a rule of their own, which their types tell.
///
/// Derive it. The field marked `#[millpond(key)]` names the record within its collection.
///
/// | field | merges as |
/// |---|---|
/// | any value with serde's traits and `Default` | the later of two written at once shows |
/// | [`Multi<T>`](super::Multi) | all written at once show |
/// | [`Counter`](super::Counter) | sums |
/// | [`Flag`](super::Flag), `Flag<DisableWins>` | on wins, off wins |
/// | [`Set<K>`](super::Set), `Set<K, RemoveWins>` | element by element: add wins, removal wins |
/// | [`Map<K, F>`](super::Map), [`Nested<F>`](super::Nested) | entry by entry, field by field |
/// | [`Log<T>`](super::Log) | all that was appended |
///
/// | attribute | of | is |
/// |---|---|---|
/// | `#[millpond(collection = "tasks")]` | the struct | the collection's name; else the struct's in `snake_case` |
/// | `#[millpond(key)]` | a field | the key: [`Key`] |
/// | `#[millpond(rename = "title")]` | a field | its stored name, so that the field may be called otherwise |
/// | `#[millpond(resolve = function)]` | a plain field | what it reads as where several values are held: [`Resolver`](super::Resolver) |
/// | `#[millpond(index)]` | a field | an index of it: [`Index`](super::Index) |
/// | `#[millpond(index(agenda(owner, due)))]` | the struct | an index of several fields, with a name |
///
/// Fields that the type does not know, such as a newer version's, are kept. Those that are not stored, since
/// an older version wrote the record, read as their defaults.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no record",
    label = "cannot be stored",
    note = "derive it: `#[derive(millpond::Record)]`, with `#[millpond(key)]` on the field that names it"
)]
pub trait Record: Sized + Send + 'static {
    /// What names a record in its collection.
    type Key: Key;
    /// The proxy through which a record's fields are changed one by one.
    type Edit<'p>;
    /// The collection.
    const COLLECTION: &'static str;

    /// The indexes that it declares.
    #[doc(hidden)]
    fn indexes() -> Vec<IndexDeclaration> {
        Vec::new()
    }

    /// What names this one.
    fn key(&self) -> &Self::Key;

    /// The record of this key, as stored.
    ///
    /// # Errors
    /// [`RecordError::Unreadable`] when a field holds what its type does not write.
    fn read(key: Self::Key, found: &Found<'_>) -> Result<Self, RecordError>;

    /// Writes every field, in place of what is there.
    fn write(&self, site: &Site<'_>);

    /// The proxy.
    fn edit(site: Site<'_>) -> Self::Edit<'_>;

    /// Changes something of it at random, for the laws of the test kit.
    #[doc(hidden)]
    fn vary<D: Draw>(site: &Site<'_>, draw: &mut D) {
        let _ = (site, draw);
    }
}

/// Fields without a key, for [`Nested`](super::Nested). Derive [`Record`] for a struct without
/// `#[millpond(key)]`, and it is these.
#[diagnostic::on_unimplemented(
    message = "`{Self}` are no fields that merge one by one",
    label = "cannot be nested",
    note = "derive them: `#[derive(millpond::Record)]`, without `#[millpond(key)]`"
)]
pub trait Fields: Sized + Send + 'static {
    /// The proxy through which they are changed one by one.
    type Edit<'p>;

    /// The fields, as stored.
    ///
    /// # Errors
    /// [`RecordError::Unreadable`] when a field holds what its type does not write.
    fn read(found: &Found<'_>) -> Result<Self, RecordError>;

    /// Writes every field, in place of what is there.
    fn write(&self, site: &Site<'_>);

    /// The proxy.
    fn edit(site: Site<'_>) -> Self::Edit<'_>;

    /// Changes something of it at random, for the laws of the test kit.
    #[doc(hidden)]
    fn vary<D: Draw>(site: &Site<'_>, draw: &mut D) {
        let _ = (site, draw);
    }
}

/// A type of field: how it is read, written whole, and changed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no field of a record",
    label = "cannot be stored in a record",
    note = "a plain field needs serde's `Serialize` and `Deserialize`, and `Default` for where it is not stored",
    note = "fields that merge in other ways: `Multi`, `Counter`, `Flag`, `Set`, `Map`, `Log`, `Nested`",
    note = "`Nested` holds a struct that derives `Record` and has no `#[millpond(key)]`; `Map` holds fields"
)]
pub trait Field: Sized + Send + 'static {
    /// The proxy through which it is changed.
    type Edit<'p>;

    /// The field, as stored.
    ///
    /// # Errors
    /// [`RecordError::Unreadable`] when it holds what its type does not write.
    fn read(found: &Found<'_>) -> Result<Self, RecordError>;

    /// Writes it, in place of what is there.
    fn write(&self, site: &Site<'_>);

    /// The proxy.
    fn edit(site: Site<'_>) -> Self::Edit<'_>;

    /// Changes something of it at random, for the laws of the test kit.
    #[doc(hidden)]
    fn vary<D: Draw>(site: &Site<'_>, draw: &mut D) {
        let _ = (site, draw);
    }
}
