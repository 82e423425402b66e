//! Version vectors: what a replica has seen.

use alloc::vec::Vec;
use core::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::{Dot, Incarnation, Seq};

/// Incarnation -> highest seq of a gap-free prefix: the set of all dots up to there.
///
/// The lattice: ordered by inclusion of those sets (a partial order), joined entry by entry with `max`,
/// with the empty vector at the bottom. Zero entries cannot be stored and the entries are sorted, so
/// equality, hash and bytes agree. (Parker et al., "Detection of Mutual Inconsistency in Distributed
/// Systems", 1983.)
///
/// A sorted list: 24 bytes for each incarnation, where a tree takes up to ten times as much for short
/// vectors, and a peer may send thousands. Lookups cost O(log n) in the number of incarnations, joins O(n),
/// comparisons O(n log n), and a new incarnation moves those behind it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<Dot>")]
pub struct VersionVector(Vec<Dot>);

/// Dots that one vector covers and another does not, of one incarnation: `(after, upto]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DotRange {
    /// Who issued them.
    pub incarnation: Incarnation,
    /// The last number that is covered on both sides; zero when none is.
    pub after: u64,
    /// The last number of the range.
    pub upto: Seq,
}

impl DotRange {
    /// How many dots the range holds.
    pub fn len(&self) -> u64 {
        self.upto.get() - self.after
    }

    /// Never: a range holds at least one dot.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The first dot of the range.
    pub fn first(&self) -> Dot {
        let seq = Seq::new(self.after + 1).expect("a successor is not zero");
        Dot::new(self.incarnation, seq)
    }
}

impl VersionVector {
    /// The empty vector, which covers nothing.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The vector of these entries; `None` unless they ascend strictly by incarnation.
    pub(crate) fn from_ascending(entries: Vec<Dot>) -> Option<Self> {
        entries.is_sorted_by(|a, b| a.incarnation < b.incarnation).then_some(Self(entries))
    }

    /// Covers `dot` and all dots before it.
    pub fn advance(&mut self, dot: Dot) {
        match self.position(dot.incarnation) {
            Ok(index) => self.0[index].seq = dot.seq.max(self.0[index].seq),
            Err(index) => self.0.insert(index, dot),
        }
    }

    /// Covers all that `other` covers (the join).
    pub fn join(&mut self, other: &Self) {
        // The frequent case by far: nobody is new, and nothing moves.
        if other.0.iter().all(|dot| self.position(dot.incarnation).is_ok()) {
            return other.iter().for_each(|dot| self.advance(dot));
        }
        *self = self.iter().chain(other.iter()).collect();
    }

    /// What both cover (the meet).
    pub fn meet(&self, other: &Self) -> Self {
        let common = self.iter().filter_map(|dot| {
            let seq = Seq::new(dot.seq.get().min(other.seq(dot.incarnation)))?;
            Some(Dot::new(dot.incarnation, seq))
        });
        common.collect()
    }

    /// Forgets all of one incarnation. Only fencing and vectors of differences do that.
    pub fn remove(&mut self, incarnation: Incarnation) {
        if let Ok(index) = self.position(incarnation) {
            self.0.remove(index);
        }
    }

    /// The highest seq covered of this incarnation, as a number; zero when none is.
    pub fn seq(&self, incarnation: Incarnation) -> u64 {
        self.position(incarnation).map_or(0, |index| self.0[index].seq.get())
    }

    /// Whether this dot is covered.
    pub fn covers(&self, dot: Dot) -> bool {
        self.seq(dot.incarnation) >= dot.seq.get()
    }

    /// Whether every dot of `other` is covered.
    pub fn covers_all(&self, other: &Self) -> bool {
        other.iter().all(|dot| self.covers(dot))
    }

    /// What this vector covers beyond `other`, a range for each incarnation, in their order.
    pub fn beyond<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = DotRange> + 'a {
        self.iter().filter_map(move |Dot { incarnation, seq: upto }| {
            let after = other.seq(incarnation);
            (after < upto.get()).then_some(DotRange { incarnation, after, upto })
        })
    }

    /// How many dots this vector covers beyond `other`; saturates, since a peer may claim any seq.
    pub fn count_beyond(&self, other: &Self) -> u64 {
        self.beyond(other).map(|range| range.len()).fold(0, u64::saturating_add)
    }

    /// The entries that differ from `other`'s and are higher: enough to bring `other` level by a join.
    pub fn difference(&self, other: &Self) -> Self {
        self.beyond(other).map(|range| Dot::new(range.incarnation, range.upto)).collect()
    }

    /// The entries that differ from `other`'s, either way: what `other` has to be patched with to become this.
    pub(crate) fn differing(&self, other: &Self) -> Vec<(Incarnation, Option<Seq>)> {
        let (mut these, mut those) = (self.iter().peekable(), other.iter().peekable());
        let mut differing = Vec::new();
        loop {
            let order = match (these.peek(), those.peek()) {
                (None, None) => return differing,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(this), Some(that)) => this.incarnation.cmp(&that.incarnation),
            };
            let this = if order == Ordering::Greater { None } else { these.next() };
            let that = if order == Ordering::Less { None } else { those.next() };
            if this != that {
                let incarnation = this.or(that).map(|dot| dot.incarnation);
                differing.extend(incarnation.map(|it| (it, this.map(|dot| dot.seq))));
            }
        }
    }

    /// This vector with other entries in the place of those of some incarnations, which ascend; `None` drops
    /// one.
    pub(crate) fn patched(&self, entries: &[(Incarnation, Option<Seq>)]) -> Self {
        let mut these = self.iter().peekable();
        let mut patched = Vec::with_capacity(self.len() + entries.len());
        for &(incarnation, seq) in entries {
            while let Some(kept) = these.next_if(|dot| dot.incarnation < incarnation) {
                patched.push(kept);
            }
            these.next_if(|dot| dot.incarnation == incarnation);
            patched.extend(seq.map(|seq| Dot::new(incarnation, seq)));
        }
        patched.extend(these);
        Self(patched)
    }

    /// The last dot covered of each incarnation, in their order.
    pub fn iter(&self) -> impl Iterator<Item = Dot> + '_ {
        self.0.iter().copied()
    }

    /// How many incarnations have a covered dot.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is covered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn position(&self, incarnation: Incarnation) -> Result<usize, usize> {
        self.0.binary_search_by_key(&incarnation, |dot| dot.incarnation)
    }
}

/// By inclusion: `None` when each covers something that the other does not.
impl PartialOrd for VersionVector {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self.covers_all(other), other.covers_all(self)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Greater),
            (false, true) => Some(Ordering::Less),
            (false, false) => None,
        }
    }
}

impl FromIterator<Dot> for VersionVector {
    fn from_iter<T: IntoIterator<Item = Dot>>(dots: T) -> Self {
        let mut entries: Vec<Dot> = dots.into_iter().collect();
        entries.sort_unstable();
        // Of one incarnation the last is the highest.
        entries.dedup_by(|later, kept| {
            let same = later.incarnation == kept.incarnation;
            if same {
                *kept = *later;
            }
            same
        });
        Self(entries)
    }
}

/// For serde: what is read back must be in order.
impl TryFrom<Vec<Dot>> for VersionVector {
    type Error = &'static str;

    fn try_from(entries: Vec<Dot>) -> Result<Self, Self::Error> {
        Self::from_ascending(entries).ok_or("vector entries are not strictly ascending")
    }
}
