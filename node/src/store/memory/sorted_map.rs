//! A sorted map whose clones are cheap.

use std::sync::Arc;

/// A sorted map in chunks of at most [`CHUNK_ROWS`], which clones share until one of them changes.
///
/// A clone costs O(1), and the first change after it O(n / [`CHUNK_ROWS`]); any change copies one chunk at
/// most, a lookup is two binary searches.
#[derive(Debug, Clone)]
pub(super) struct SortedMap<K, V> {
    /// In order, none of them empty.
    chunks: Arc<Vec<Chunk<K, V>>>,
}

type Chunk<K, V> = Arc<Vec<(K, V)>>;

impl<K: Ord + Clone, V: Clone> SortedMap<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let chunk = self.chunks.get(self.chunk_of(key)?)?;
        let index = chunk.binary_search_by(|(stored, _)| stored.cmp(key)).ok()?;
        Some(&chunk[index].1)
    }

    /// Stores a value, or drops it.
    pub(super) fn set(&mut self, key: &K, value: Option<V>) {
        let Some(at) = self.chunk_of(key) else {
            if let Some(value) = value {
                self.chunks = Arc::new(vec![Arc::new(vec![(key.clone(), value)])]);
            }
            return;
        };
        let found = self.chunks[at].binary_search_by(|(stored, _)| stored.cmp(key));
        if found.is_err() && value.is_none() {
            return; // and nothing is copied
        }
        let chunks = Arc::make_mut(&mut self.chunks);
        let chunk = Arc::make_mut(&mut chunks[at]);
        match (found, value) {
            (Ok(index), Some(value)) => chunk[index].1 = value,
            (Ok(index), None) => drop(chunk.remove(index)),
            (Err(index), Some(value)) => chunk.insert(index, (key.clone(), value)),
            (Err(_), None) => {}
        }
        if chunk.is_empty() {
            chunks.remove(at);
        } else if chunk.len() > CHUNK_ROWS {
            // The end of the map fills up when keys come in order.
            let is_last = at + 1 == chunks.len();
            let chunk = Arc::make_mut(&mut chunks[at]);
            let kept = if is_last { CHUNK_ROWS } else { CHUNK_ROWS / 2 };
            let rest = chunk.split_off(kept);
            chunks.insert(at + 1, Arc::new(rest));
        }
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        let rows = self.iter().filter(|(key, _)| keep(key)).cloned();
        let rows: Vec<_> = rows.collect();
        self.chunks =
            Arc::new(rows.chunks(CHUNK_ROWS).map(|rows| Arc::new(rows.to_vec())).collect());
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.from(|_| false)
    }

    /// The rows in order, without the first ones, those that are `before`.
    pub(super) fn from(&self, before: impl Fn(&K) -> bool) -> impl Iterator<Item = &(K, V)> {
        let first =
            self.chunks.partition_point(|chunk| chunk.last().is_some_and(|(key, _)| before(key)));
        let (chunk, rest) = match self.chunks[first..].split_first() {
            Some((chunk, rest)) => (&chunk[chunk.partition_point(|(key, _)| before(key))..], rest),
            None => (&[][..], &[][..]),
        };
        chunk.iter().chain(rest.iter().flat_map(|chunk| chunk.iter()))
    }

    /// The rows in reverse order, of those that are `before`.
    pub(super) fn back_from(&self, before: impl Fn(&K) -> bool) -> impl Iterator<Item = &(K, V)> {
        let whole =
            self.chunks.partition_point(|chunk| chunk.last().is_some_and(|(key, _)| before(key)));
        let part = self
            .chunks
            .get(whole)
            .map_or(&[][..], |chunk| &chunk[..chunk.partition_point(|(key, _)| before(key))]);
        let rest = self.chunks[..whole].iter().rev().flat_map(|chunk| chunk.iter().rev());
        part.iter().rev().chain(rest)
    }

    /// The chunk that holds the key, or would; `None` when there is none at all.
    fn chunk_of(&self, key: &K) -> Option<usize> {
        let beyond = self
            .chunks
            .partition_point(|chunk| chunk.first().is_some_and(|(first, _)| first <= key));
        (!self.chunks.is_empty()).then(|| beyond.saturating_sub(1))
    }
}

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self { chunks: Arc::default() }
    }
}

/// Copying a chunk costs about what walking a list of all chunks costs in a map of a million rows.
const CHUNK_ROWS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_does_not_see_later_changes() {
        let mut map = SortedMap::default();
        (0..1_000).rev().for_each(|key| map.set(&key, Some(key)));
        let before = map.clone();
        (0..1_000).filter(|key| key % 3 == 0).for_each(|key| map.set(&key, None));
        map.set(&1, Some(-1));
        assert_eq!(before.iter().count(), 1_000);
        assert_eq!(before.get(&1), Some(&1));
        assert_eq!(map.get(&1), Some(&-1));
        assert_eq!(map.get(&3), None);
        assert!(map.iter().is_sorted_by_key(|(key, _)| *key));
        assert_eq!(map.from(|&key| key < 500).next(), Some(&(500, 500)));
        for end in [0, 1, 256, 300, 1_000] {
            let rows: Vec<i32> = before.back_from(|&key| key < end).map(|(key, _)| *key).collect();
            assert_eq!(rows, (0..end).rev().collect::<Vec<_>>());
        }
        map.retain(|key| *key == 1);
        assert_eq!(map.iter().count(), 1);
    }
}
