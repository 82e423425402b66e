//! Which of its links a node announces over.

use std::collections::BTreeSet;

use crate::planted::planted;
use crate::replication::LinkId;

/// A link that may be picked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    pub(crate) link: LinkId,
    /// Its round trip in microseconds, or the greatest number while unknown.
    pub(crate) round_trip_us: u64,
    /// A number drawn for it once.
    pub(crate) lot: u64,
}

/// The nearest links, by which updates are fast, and as many by lot, by which no part of the mesh hears only of
/// itself. Whoever is picked announces back, so that a node announces to about twice as many.
pub(crate) fn picks(candidates: &[Candidate]) -> BTreeSet<LinkId> {
    let mut left = candidates.to_vec();
    left.sort_unstable_by_key(|it| (it.round_trip_us, it.lot));
    let mut picked: BTreeSet<LinkId> = left.iter().take(NEAR).map(|it| it.link).collect();
    left.drain(..NEAR.min(left.len()));
    if !planted!("some links are picked by lot") {
        left.sort_unstable_by_key(|it| it.lot);
    }
    picked.extend(left.iter().take(BY_LOT).map(|it| it.link));
    picked
}

/// The nearest `count` links.
pub(crate) fn nearest(candidates: &[Candidate], count: usize) -> BTreeSet<LinkId> {
    let mut near = candidates.to_vec();
    near.sort_unstable_by_key(|it| (it.round_trip_us, it.lot));
    near.iter().take(count).map(|it| it.link).collect()
}

const NEAR: usize = 3;
const BY_LOT: usize = 3;

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;
    use crate::planted::without;

    /// Whether somebody announces from one of two distant regions to the other: each node is near to its own
    /// region, and has a link to everybody.
    fn regions_hear_of_each_other() -> bool {
        (0..REGION).any(|own| {
            let others = (0..2 * REGION).filter(|&other| other != own);
            let candidates = others.map(|other| Candidate {
                link: LinkId(other),
                round_trip_us: if other < REGION { 5_000 } else { 100_000 },
                lot: xxh3_64(&[own.to_be_bytes(), other.to_be_bytes()].concat()),
            });
            picks(&candidates.collect::<Vec<_>>()).iter().any(|link| link.0 >= REGION)
        })
    }

    #[test]
    fn no_region_hears_only_of_itself() {
        assert!(regions_hear_of_each_other());
        assert!(!without(&["some links are picked by lot"], regions_hear_of_each_other));
    }

    /// Nodes of a region: more than are picked.
    const REGION: u64 = 12;
}
