//! Partial views: whom a node of a large group links with.
//!
//! Every node knows all members, so no view is gossiped. Members stand on a ring, in the order of their keys.
//! A node links with the next ones on the ring that can be reached, which keeps all that can reach each other
//! in one piece, and with some that a hash chooses, which keeps the ways short. Members that it should link
//! with and cannot reach are tried all the same, so that two parts find each other when a cut is mended.

use std::collections::BTreeSet;

use millpond_core::NodeKey;
use xxhash_rust::xxh3::xxh3_64;

use crate::planted::planted;

/// A member, as far as it matters for a view.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seat {
    pub(crate) key: NodeKey,
    /// Whether several dials in turn came to nothing.
    pub(crate) is_absent: bool,
}

/// Whom `own` links with, of these others: all of them if they are few, else about `fanout` that can be reached,
/// and those that should be among them and cannot.
pub(crate) fn view(own: NodeKey, others: &[Seat], fanout: usize) -> BTreeSet<NodeKey> {
    if others.len() <= fanout {
        return others.iter().map(|seat| seat.key).collect();
    }
    let next = SUCCESSORS.min(fanout);
    let mut ring = others.to_vec();
    ring.sort_unstable_by_key(|seat| (seat.key < own, seat.key));
    let mut chosen = reached(&ring, next);
    ring.retain(|seat| !chosen.contains(&seat.key));
    ring.sort_by_cached_key(|seat| xxh3_64(&[*own.as_bytes(), *seat.key.as_bytes()].concat()));
    chosen.extend(reached(&ring, fanout - next));
    chosen
}

/// The first ones, up to so many that can be reached.
fn reached(seats: &[Seat], count: usize) -> BTreeSet<NodeKey> {
    let mut left = count;
    let mut tries = ABSENT_MAX + count;
    let mut chosen = BTreeSet::new();
    for seat in seats {
        if left == 0 {
            break;
        }
        if seat.is_absent {
            if chosen.len() < tries && !planted!("who is out of reach is tried") {
                chosen.insert(seat.key);
            }
            tries = tries.min(count + ABSENT_MAX);
            continue;
        }
        left -= 1;
        chosen.insert(seat.key);
    }
    chosen
}

/// Neighbours on the ring: with two, one that fails leaves the ring whole.
const SUCCESSORS: usize = 2;
/// Members out of reach that are tried beside those within.
const ABSENT_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::planted::without;

    fn key(number: usize) -> NodeKey {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&xxh3_64(&number.to_be_bytes()).to_be_bytes());
        NodeKey::from_bytes(bytes)
    }

    /// Whether the live nodes hang together by the views that each of them takes, and how many links a node
    /// has at most.
    fn is_whole(count: usize, fanout: usize, is_dead: impl Fn(usize) -> bool) -> (bool, usize) {
        let live: Vec<usize> = (0..count).filter(|&number| !is_dead(number)).collect();
        let mut links: BTreeMap<NodeKey, BTreeSet<NodeKey>> = BTreeMap::new();
        for &number in &live {
            let others = (0..count).filter(|&other| other != number);
            let seats: Vec<Seat> =
                others.map(|it| Seat { key: key(it), is_absent: is_dead(it) }).collect();
            for other in view(key(number), &seats, fanout) {
                if live.iter().any(|&it| key(it) == other) {
                    links.entry(key(number)).or_default().insert(other);
                    links.entry(other).or_default().insert(key(number));
                }
            }
        }
        let mut reached = BTreeSet::from([key(live[0])]);
        let mut frontier = vec![key(live[0])];
        while let Some(at) = frontier.pop() {
            let next = links.get(&at).into_iter().flatten();
            frontier.extend(next.copied().filter(|&it| reached.insert(it)).collect::<Vec<_>>());
        }
        let most = links.values().map(BTreeSet::len).max().unwrap_or(0);
        (reached.len() == live.len(), most)
    }

    #[test]
    fn a_small_group_is_linked_completely() {
        let seats: Vec<Seat> = (1..9).map(|it| Seat { key: key(it), is_absent: false }).collect();
        assert_eq!(view(key(0), &seats, 8).len(), 8);
    }

    /// Two halves that cannot reach each other: whether anybody tries all the same.
    fn halves_try_each_other() -> bool {
        (0..40).any(|number| {
            let others = (0..40).filter(|&other| other != number);
            let is_beyond = |other: usize| other % 2 != number % 2;
            let seats: Vec<Seat> =
                others.map(|it| Seat { key: key(it), is_absent: is_beyond(it) }).collect();
            let tried = view(key(number), &seats, 4);
            (0..40).any(|other| is_beyond(other) && tried.contains(&key(other)))
        })
    }

    #[test]
    fn parts_find_each_other_when_a_cut_is_mended() {
        assert!(halves_try_each_other());
        assert!(!without(&["who is out of reach is tried"], halves_try_each_other));
    }

    #[test]
    fn whoever_is_left_hangs_together() {
        for fanout in [1, 2, 4, 8] {
            for dead in [0, 1, 7, 40, 90] {
                let (whole, most) = is_whole(120, fanout, |number| number * 37 % 100 < dead);
                assert!(whole, "fanout {fanout}, {dead} of 100 are gone");
                assert!(most <= 4 * fanout + 12, "fanout {fanout}: {most} links");
            }
        }
    }
}
