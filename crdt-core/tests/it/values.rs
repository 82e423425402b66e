//! Laws of the small values: paths and version vectors.

use std::cmp::Ordering;

use millpond_core::*;
use proptest::prelude::*;

use crate::arbitrary::{components, dot, path, vector};

proptest! {
    #[test]
    fn paths_sort_as_their_components(a in components(), b in components()) {
        let paths = [&a, &b].map(|components| Path::new(components).unwrap());
        prop_assert_eq!(paths[0].cmp(&paths[1]), a.cmp(&b));
        prop_assert_eq!(paths[0].components().collect::<Vec<_>>(), a);
    }

    #[test]
    fn a_path_is_within_its_ancestors_only(a in components(), b in components()) {
        let paths = [&a, &b].map(|components| Path::new(components).unwrap());
        prop_assert_eq!(paths[0].is_within(&paths[1]), a.starts_with(&b));
    }

    #[test]
    fn a_path_parses_back_and_its_prefixes_are_paths(path in path()) {
        prop_assert_eq!(Path::from_encoded(path.encoded().clone()), Ok(path.clone()));
        for count in 1..=path.components().count() {
            let prefix = path.encoded().slice(..path.prefix_bytes(count));
            let parent = Path::from_encoded(prefix).unwrap();
            prop_assert_eq!(parent.components().count(), count);
            prop_assert!(path.is_within(&parent));
        }
    }

    #[test]
    fn vectors_join_as_a_lattice(a in vector(), b in vector(), c in vector()) {
        let join = |a: &VersionVector, b: &VersionVector| {
            let mut joined = a.clone();
            joined.join(b);
            joined
        };
        prop_assert_eq!(join(&a, &b), join(&b, &a));
        prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
        prop_assert_eq!(join(&a, &a), a.clone());
        prop_assert!(join(&a, &b).covers_all(&a));
        prop_assert_eq!(join(&a, &VersionVector::new()), a.clone());
        prop_assert_eq!(a.meet(&b), b.meet(&a));
        prop_assert_eq!(a.meet(&b).meet(&c), a.meet(&b.meet(&c)));
        prop_assert_eq!(a.meet(&join(&a, &b)), a.clone());
        prop_assert_eq!(join(&a, &a.meet(&b)), a.clone());
        let order = match (a.covers_all(&b), b.covers_all(&a)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Greater),
            (false, true) => Some(Ordering::Less),
            (false, false) => None,
        };
        prop_assert_eq!(a.partial_cmp(&b), order);
        prop_assert_eq!(order == Some(Ordering::Equal), a == b);
    }

    #[test]
    fn a_vector_is_what_it_covers(a in vector(), b in vector(), dot in dot()) {
        let mut advanced = a.clone();
        advanced.advance(dot);
        prop_assert!(advanced.covers(dot) && advanced.covers_all(&a));
        prop_assert_eq!(advanced == a, a.covers(dot));
        // The difference brings the other level, and no smaller one would.
        let difference = a.difference(&b);
        let mut level = b.clone();
        level.join(&difference);
        prop_assert!(level.covers_all(&a));
        prop_assert_eq!(difference.len(), a.beyond(&b).count());
        for range in a.beyond(&b) {
            prop_assert!(a.covers(range.first()) && !b.covers(range.first()));
        }
    }

    #[test]
    fn serde_keeps_a_vector_and_refuses_another_order(dots in proptest::collection::vec(dot(), 0..5)) {
        let bytes = postcard::to_allocvec(&dots).unwrap();
        let sorted = dots.is_sorted_by(|a, b| a.incarnation < b.incarnation);
        let read = postcard::from_bytes::<VersionVector>(&bytes).ok();
        prop_assert_eq!(read, sorted.then(|| dots.into_iter().collect()));
    }

    #[test]
    fn a_dot_sorts_as_its_bytes(a in dot(), b in dot()) {
        prop_assert_eq!(a.cmp(&b), a.to_bytes().cmp(&b.to_bytes()));
        prop_assert_eq!(Dot::from_bytes(a.to_bytes()), Some(a));
    }
}
