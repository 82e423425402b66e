//! Closed incarnations: what nobody writes under any more, and up to where they came.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::{Dot, Incarnation, Namespace, Seq, VersionVector};

/// A table of closed incarnations: of each namespace their final seqs.
///
/// Vectors are written relative to such a table ([`crate::wire`]): only what differs from it is listed. So a
/// closed incarnation costs nothing once it is covered up to its final seq, and one that turns out to have
/// issued more, or that a replica does not yet hold all of, is listed like an open one. A table says nothing
/// about what anybody holds, and need not be right: it is a shorthand that two sides share.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Closed {
    hash: u64,
    finals: BTreeMap<Namespace, VersionVector>,
}

/// What one table says and another one does not: of one incarnation in one namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClosedSeq {
    /// Where it was written.
    pub namespace: Namespace,
    /// Which incarnation.
    pub incarnation: Incarnation,
    /// Its final seq; `None` takes it from the table.
    pub seq: Option<Seq>,
}

impl Closed {
    /// The table without incarnations.
    pub const NONE: Self = Self { hash: 0, finals: BTreeMap::new() };

    /// The table of these final seqs.
    pub fn new(mut finals: BTreeMap<Namespace, VersionVector>) -> Self {
        finals.retain(|_, vv| !vv.is_empty());
        Self { hash: hash(&finals), finals }
    }

    /// What stands for it: of equal tables the same, of others another. Zero without incarnations.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The final seqs of a namespace.
    pub fn finals(&self, namespace: Namespace) -> &VersionVector {
        static NOTHING: VersionVector = VersionVector::new();
        self.finals.get(&namespace).unwrap_or(&NOTHING)
    }

    /// The namespaces that closed incarnations have written in.
    pub fn namespaces(&self) -> impl Iterator<Item = Namespace> + '_ {
        self.finals.keys().copied()
    }

    /// Whether it has this incarnation.
    pub fn contains(&self, incarnation: Incarnation) -> bool {
        self.finals.values().any(|vv| vv.seq(incarnation) != 0)
    }

    /// How many final seqs there are.
    pub fn len(&self) -> usize {
        self.finals.values().map(VersionVector::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.finals.is_empty()
    }

    /// What has to change in another table to make it this one.
    pub fn changes_from(&self, other: &Self) -> Vec<ClosedSeq> {
        let mut namespaces: Vec<Namespace> = self.namespaces().chain(other.namespaces()).collect();
        namespaces.sort_unstable();
        namespaces.dedup();
        let changes = namespaces.into_iter().flat_map(|namespace| {
            let (this, that) = (self.finals(namespace), other.finals(namespace));
            let listed = this.differing(that).into_iter();
            listed.map(move |(incarnation, seq)| ClosedSeq { namespace, incarnation, seq })
        });
        changes.collect()
    }

    /// The table with these changes, whose elements ascend.
    pub fn changed(&self, changes: &[ClosedSeq]) -> Self {
        let mut finals = self.finals.clone();
        for of_one in changes.chunk_by(|a, b| a.namespace == b.namespace) {
            let vv = finals.entry(of_one[0].namespace).or_default();
            let listed: Vec<_> = of_one.iter().map(|it| (it.incarnation, it.seq)).collect();
            *vv = vv.patched(&listed);
        }
        Self::new(finals)
    }

    /// The namespace whose table leaves fewest entries of a vector to be listed, and how many that are; `None` where
    /// none leaves fewer than there are.
    pub(crate) fn best_for(&self, vv: &VersionVector) -> Option<(Namespace, usize)> {
        // Of a table twice as long more is missing than the vector has, and most vectors are short.
        let near = self.finals.iter().filter(|(_, finals)| finals.len() < 2 * vv.len());
        let counts = near.map(|(&namespace, finals)| {
            let alike = finals.iter().filter(|dot| vv.seq(dot.incarnation) == dot.seq.get());
            // Both have these; what either has beside them is listed, and of what differs once.
            let both = finals.iter().filter(|dot| vv.seq(dot.incarnation) != 0).count();
            (namespace, finals.len() + vv.len() - both - alike.count())
        });
        counts.min_by_key(|&(_, listed)| listed).filter(|&(_, listed)| listed < vv.len())
    }
}

/// The XXH3-64 of each entry's namespace as four bytes, incarnation, and seq as eight bytes, in order.
fn hash(finals: &BTreeMap<Namespace, VersionVector>) -> u64 {
    if finals.is_empty() {
        return 0;
    }
    let mut bytes = Vec::new();
    for (namespace, vv) in finals {
        for Dot { incarnation, seq } in vv.iter() {
            bytes.extend_from_slice(&namespace.number().to_le_bytes());
            bytes.extend_from_slice(incarnation.as_bytes());
            bytes.extend_from_slice(&seq.get().to_le_bytes());
        }
    }
    xxhash_rust::xxh3::xxh3_64(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(entries: &[(u8, u64)]) -> VersionVector {
        let dot = |&(id, seq): &(u8, u64)| {
            Dot::new(Incarnation::from_bytes([id; 16]), Seq::new(seq).unwrap())
        };
        entries.iter().map(dot).collect()
    }

    fn table(system: &[(u8, u64)], main: &[(u8, u64)]) -> Closed {
        let finals = [(Namespace::SYSTEM, vector(system)), (Namespace::MAIN, vector(main))];
        Closed::new(finals.into())
    }

    #[test]
    fn changes_turn_one_table_into_the_other() {
        let tables = [
            Closed::NONE,
            table(&[(1, 5)], &[]),
            table(&[(1, 5), (2, 7)], &[(1, 9)]),
            table(&[(2, 8)], &[(1, 9), (3, 1)]),
        ];
        for one in &tables {
            for other in &tables {
                let changes = one.changes_from(other);
                assert_eq!(other.changed(&changes), *one);
                assert_eq!(changes.is_empty(), one == other);
                assert_eq!(one.hash() == other.hash(), one == other);
            }
        }
        assert_eq!(table(&[], &[]), Closed::NONE);
    }

    #[test]
    fn the_best_namespace_is_the_one_that_lists_fewest() {
        let closed = table(&[(1, 5), (2, 7)], &[(1, 9), (2, 2), (3, 3)]);
        assert_eq!(closed.best_for(&vector(&[(1, 5), (2, 7)])), Some((Namespace::SYSTEM, 0)));
        assert_eq!(closed.best_for(&vector(&[(1, 5), (9, 1)])), None);
        let main = vector(&[(1, 9), (2, 3), (3, 3), (4, 4)]);
        assert_eq!(closed.best_for(&main), Some((Namespace::MAIN, 2)));
        assert_eq!(closed.best_for(&vector(&[])), None);
        assert_eq!(closed.best_for(&vector(&[(1, 5)])), None);
        assert_eq!(Closed::NONE.best_for(&main), None);
    }
}
