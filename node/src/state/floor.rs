//! The floor: whom a batch can still tell what to forget (R9).

use millpond_core::VersionVector;

/// Whether a batch of a supplier at `upto`, whose tombstones below `floor` are gone, tells a replica at `vv`
/// all that it has to forget: it has taken every delete that was collected, or it holds nothing of which the
/// supplier has ever heard. Else a deleted value that it still has would stay for ever, and the two refresh.
pub(crate) fn tells_all(vv: &VersionVector, upto: &VersionVector, floor: &VersionVector) -> bool {
    vv.covers_all(floor) || shares_nothing(vv, upto)
}

/// Whether no dot is covered by both.
pub(crate) fn shares_nothing(one: &VersionVector, other: &VersionVector) -> bool {
    one.iter().all(|dot| other.seq(dot.incarnation) == 0)
}

#[cfg(test)]
mod tests {
    use millpond_core::{Dot, Incarnation, Seq};

    use super::*;

    fn vector<const N: usize>(entries: [(u8, u64); N]) -> VersionVector {
        let dot = |(byte, seq)| {
            Dot::new(Incarnation::from_bytes([byte; 16]), Seq::new(seq).expect("not zero"))
        };
        entries.into_iter().map(dot).collect()
    }

    #[test]
    fn who_covers_the_floor_or_holds_nothing_in_common_is_told_all() {
        let (upto, floor) = (vector([(1, 9), (2, 5)]), vector([(1, 7)]));
        assert!(tells_all(&vector([(1, 7)]), &upto, &floor));
        assert!(!tells_all(&vector([(1, 6)]), &upto, &floor));
        assert!(!tells_all(&vector([(2, 5)]), &upto, &floor), "it may hold what (1, 7) deleted");
        assert!(tells_all(&vector([]), &upto, &floor));
        assert!(tells_all(&vector([(3, 4)]), &upto, &floor), "nobody has heard of what it holds");
        assert!(tells_all(&vector([(2, 1)]), &upto, &vector([])), "nothing was collected");
    }
}
