//! The name of a record.

use std::fmt;
use std::str::FromStr;

use millpond_core::{Path, PathError};

/// Which record: a collection and a key within it.
///
/// A collection is 1 to 128 bytes of text without `/` and control characters; a key is any text of 1 to
/// 1024 bytes. The text form is `collection/key`, where the key may hold further slashes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    collection: String,
    key: String,
}

/// Why a name is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// The collection is empty, too long, or holds a slash or a control character.
    #[error(
        "a collection is 1 to {COLLECTION_BYTES_MAX} bytes of text without `/` and control characters"
    )]
    Collection,
    /// The key is empty or too long.
    #[error("a key is 1 to {KEY_BYTES_MAX} bytes of text")]
    Key,
    /// The field's name is empty or too long.
    #[error("a field's name is 1 to {FIELD_BYTES_MAX} bytes of text")]
    Field,
    /// There is no slash.
    #[error("a record is named collection/key")]
    NoKey,
    /// The parts are too long together.
    #[error(transparent)]
    Path(#[from] PathError),
}

impl RecordId {
    /// The record of this collection and key.
    ///
    /// # Errors
    /// [`IdError::Collection`], [`IdError::Key`] and [`IdError::Path`].
    pub fn new(collection: impl Into<String>, key: impl Into<String>) -> Result<Self, IdError> {
        let (collection, key) = (collection.into(), key.into());
        check_collection(&collection)?;
        if !(1..=KEY_BYTES_MAX).contains(&key.len()) {
            return Err(IdError::Key);
        }
        Path::new([&collection, &key])?; // a key of zero bytes doubles when encoded
        Ok(Self { collection, key })
    }

    /// Its collection.
    pub fn collection(&self) -> &str {
        &self.collection
    }

    /// Its key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The path that its fields lie below.
    pub fn path(&self) -> Path {
        Path::new([&self.collection, &self.key]).expect("checked when it was built")
    }

    /// The path of a field; the empty name is that of the register which says that the record exists.
    ///
    /// # Errors
    /// [`IdError::Path`] when the three together are too long.
    pub(super) fn field(&self, name: &str) -> Result<Path, IdError> {
        Ok(self.path().child(name)?)
    }
}

/// What has been decided about conflicts lies below this name, which no collection has: collection, key, field.
pub(crate) const NOTES: &str = "\u{1}decisions";

/// Where the notes about a record lie; `None` if there can be none.
pub(crate) fn notes_of(record: &Path) -> Option<Path> {
    let names = std::iter::once(NOTES.as_bytes().to_vec()).chain(record.components());
    Path::new(names).ok()
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.collection, self.key)
    }
}

impl FromStr for RecordId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (collection, key) = text.split_once('/').ok_or(IdError::NoKey)?;
        Self::new(collection, key)
    }
}

pub(super) fn check_collection(name: &str) -> Result<(), IdError> {
    let sized = (1..=COLLECTION_BYTES_MAX).contains(&name.len());
    if !sized || name.contains(|c: char| c == '/' || c.is_control()) {
        return Err(IdError::Collection);
    }
    Ok(())
}

pub(super) fn check_field(name: &str) -> Result<(), IdError> {
    if !(1..=FIELD_BYTES_MAX).contains(&name.len()) {
        return Err(IdError::Field);
    }
    Ok(())
}

/// Room for a word or two; it stands in each path.
const COLLECTION_BYTES_MAX: usize = 128;

/// Half of what a path may take, so that escapes and a field's name fit beside it in nearly all cases.
const KEY_BYTES_MAX: usize = 1024;

/// As for a key, less: field names are written by people.
const FIELD_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_parses_back_with_slashes_in_the_key() {
        let id: RecordId = "tasks/a/b".parse().unwrap();
        assert_eq!((id.collection(), id.key()), ("tasks", "a/b"));
        assert_eq!(id.to_string(), "tasks/a/b");
    }

    #[test]
    fn empty_and_oversize_parts_are_refused() {
        assert_eq!("tasks".parse::<RecordId>(), Err(IdError::NoKey));
        assert_eq!(RecordId::new("", "k"), Err(IdError::Collection));
        assert_eq!(RecordId::new("a/b", "k"), Err(IdError::Collection));
        assert_eq!(RecordId::new("a", ""), Err(IdError::Key));
        assert_eq!(RecordId::new("a", "k".repeat(1025)), Err(IdError::Key));
    }

    #[test]
    fn any_text_within_the_bounds_has_a_path() {
        let id = RecordId::new("c".repeat(128), "\0".repeat(900)).unwrap();
        assert_eq!(id.path().components().nth(1).unwrap(), "\0".repeat(900).as_bytes());
    }
}
