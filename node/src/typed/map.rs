//! Fields that hold further fields by key.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::collections::btree_map;
use std::marker::PhantomData;

use serde::Serialize;

use crate::records::RecordError;
use crate::typed::set::element;
use crate::typed::{Draw, Field, Found, Key, Site};

/// A map from keys to fields of any type, maps among them: each merges by its own rule.
///
/// The lattice is the product of the values' lattices; the bottom is the empty map. An entry is there while
/// something of it is. Removing it removes what the remover saw: what somebody else writes into it at the same
/// time stays, and with that the entry; a counter inside is reset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Map<K: Ord, F>(BTreeMap<K, F>);

impl<K: Key, F> Map<K, F> {
    /// The value at a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&F>
    where
        K: Borrow<Q>,
    {
        self.0.get(key)
    }

    /// Whether there is an entry at a key.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.contains_key(key)
    }

    /// The entries, by key.
    pub fn iter(&self) -> btree_map::Iter<'_, K, F> {
        self.0.iter()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Key, F: Field> Field for Map<K, F> {
    type Edit<'p> = MapEdit<'p, K, F>;

    fn read(found: &Found<'_>) -> Result<Self, RecordError> {
        let mut map = BTreeMap::new();
        for (name, found) in found.children().filter(|(_, found)| found.shows()) {
            let within = |error: RecordError| error.within(&String::from_utf8_lossy(name));
            map.insert(element(name)?, F::read(&found).map_err(within)?);
        }
        Ok(Self(map))
    }

    /// Writes the entries that it has, and removes all others.
    fn write(&self, site: &Site<'_>) {
        let held: Vec<K> = site.read(|found| {
            let present = found.children().filter(|(_, found)| found.shows());
            present.map(|(name, _)| element(name)).collect()
        });
        let mut edit = Self::edit(site.clone());
        held.into_iter().filter(|key| !self.0.contains_key(key)).for_each(|gone| edit.remove(gone));
        self.0.iter().for_each(|(key, value)| edit.write(key, value));
    }

    fn edit(site: Site<'_>) -> MapEdit<'_, K, F> {
        MapEdit { site, of: PhantomData }
    }

    fn vary<D: Draw>(site: &Site<'_>, draw: &mut D) {
        let Some(key) = draw.key::<K>() else { return };
        let Some(within) = site.child(key.to_text().as_bytes()) else { return };
        match draw.below(4) {
            0 => within.clear(),
            _ => F::vary(&within, draw),
        }
    }
}

/// Changes a map.
pub struct MapEdit<'p, K, F> {
    site: Site<'p>,
    of: PhantomData<(K, F)>,
}

impl<'p, K: Key, F: Field> MapEdit<'p, K, F> {
    /// Writes the value at a key.
    pub fn insert(&mut self, key: impl Into<K>, value: impl Into<F>) {
        self.write(&key.into(), &value.into());
    }

    /// The proxy that changes the value at a key, which need not be there yet. None when the key is too long,
    /// which fails the transaction.
    pub fn entry(&mut self, key: impl Into<K>) -> Option<F::Edit<'p>> {
        self.site.child(key.into().to_text().as_bytes()).map(F::edit)
    }

    /// Removes what is at a key.
    pub fn remove(&mut self, key: impl Into<K>) {
        if let Some(site) = self.site.child(key.into().to_text().as_bytes()) {
            site.clear();
        }
    }

    /// The value at a key, with what this transaction wrote so far.
    pub fn get(&self, key: impl Into<K>) -> Option<F> {
        let site = self.site.child(key.into().to_text().as_bytes())?;
        site.read(|found| match found.shows() {
            true => F::read(found).map(Some),
            false => Ok(None),
        })
    }

    fn write(&mut self, key: &K, value: &F) {
        if let Some(site) = self.site.child(key.to_text().as_bytes()) {
            value.write(&site);
        }
    }
}

impl<K: Ord, F> Default for Map<K, F> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord, F> FromIterator<(K, F)> for Map<K, F> {
    fn from_iter<I: IntoIterator<Item = (K, F)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl<K, F> std::fmt::Debug for MapEdit<'_, K, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("MapEdit").field(&self.site).finish()
    }
}
