//! Fields that hold elements.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::collections::btree_set;
use std::fmt;
use std::marker::PhantomData;

use millpond_core::types::set;
use serde::Serialize;

use crate::records::RecordError;
use crate::typed::{Draw, Field, Found, Key, Site};

/// An add wins over a removal that has not seen it: for [`Set`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AddWins;

/// A removal wins over an add that has not seen it: for [`Set`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoveWins;

/// What becomes of an element that is added and removed at once.
pub trait SetRule: Send + 'static {
    /// The rule, as a value.
    const RULE: set::Set;
}

impl SetRule for AddWins {
    const RULE: set::Set = set::Set::AddWins;
}

impl SetRule for RemoveWins {
    const RULE: set::Set = set::Set::RemoveWins;
}

/// A set: elements come and go one by one, and a change costs one element whatever the set holds.
///
/// The lattice and the table of concurrent pairs are those of [`millpond_core::types::set`]; the bottom is the
/// empty set.
pub struct Set<K, R = AddWins>(BTreeSet<K>, PhantomData<R>);

impl<K: Key, R> Set<K, R> {
    /// The elements, in order.
    pub fn iter(&self) -> btree_set::Iter<'_, K> {
        self.0.iter()
    }

    /// Whether an element is in.
    pub fn contains<Q: Ord + ?Sized>(&self, element: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.contains(element)
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Key, R: SetRule> Field for Set<K, R> {
    type Edit<'p> = SetEdit<'p, K, R>;

    fn read(found: &Found<'_>) -> Result<Self, RecordError> {
        let is_in = |found: &Found<'_>| found.entry().is_some_and(|it| R::RULE.contains(it));
        let elements = found.children().filter(|(_, found)| is_in(found));
        elements.map(|(name, _)| element(name)).collect()
    }

    /// Adds what is missing, and removes what is too much.
    fn write(&self, site: &Site<'_>) {
        let held: Self = site.value().unwrap_or_default();
        let mut edit = Self::edit(site.clone());
        held.0.difference(&self.0).for_each(|gone| edit.write(gone, false));
        self.0.difference(&held.0).for_each(|new| edit.write(new, true));
    }

    fn edit(site: Site<'_>) -> SetEdit<'_, K, R> {
        SetEdit { site, of: PhantomData }
    }

    fn vary<D: Draw>(site: &Site<'_>, draw: &mut D) {
        let Some(element) = draw.key() else { return };
        Self::edit(site.clone()).write(&element, draw.below(3) > 0);
    }
}

pub(super) fn element<K: Key>(name: &[u8]) -> Result<K, RecordError> {
    let text = std::str::from_utf8(name).ok();
    let key = text.and_then(K::from_text);
    key.ok_or_else(|| {
        RecordError::unreadable(format!("{} is no key of its type", name.escape_ascii()))
    })
}

/// Changes a set.
pub struct SetEdit<'p, K, R> {
    site: Site<'p>,
    of: PhantomData<(K, R)>,
}

impl<K: Key, R: SetRule> SetEdit<'_, K, R> {
    /// Adds an element.
    pub fn insert(&mut self, element: impl Into<K>) {
        self.write(&element.into(), true);
    }

    /// Removes an element.
    pub fn remove(&mut self, element: impl Into<K>) {
        self.write(&element.into(), false);
    }

    /// Whether an element is in, with what this transaction wrote so far.
    pub fn contains(&self, element: impl Into<K>) -> bool {
        let Some(site) = self.site.child(element.into().to_text().as_bytes()) else { return false };
        site.read(|found| Ok(found.entry().is_some_and(|it| R::RULE.contains(it))))
    }

    fn write(&mut self, element: &K, member: bool) {
        if let Some(site) = self.site.child(element.to_text().as_bytes()) {
            site.put_or_delete(R::RULE.payload(member).as_ref());
        }
    }
}

impl<K: Ord, R> FromIterator<K> for Set<K, R> {
    fn from_iter<I: IntoIterator<Item = K>>(elements: I) -> Self {
        Self(elements.into_iter().collect(), PhantomData)
    }
}

impl<K: Ord, R, const N: usize> From<[K; N]> for Set<K, R> {
    fn from(elements: [K; N]) -> Self {
        elements.into_iter().collect()
    }
}

impl<K: Clone, R> Clone for Set<K, R> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<K, R> Default for Set<K, R> {
    fn default() -> Self {
        Self(BTreeSet::new(), PhantomData)
    }
}

impl<K: PartialEq, R> PartialEq for Set<K, R> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<K: Eq, R> Eq for Set<K, R> {}

impl<K: fmt::Debug, R> fmt::Debug for Set<K, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<K: Serialize, R> Serialize for Set<K, R> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<K, R> fmt::Debug for SetEdit<'_, K, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SetEdit").field(&self.site).finish()
    }
}
