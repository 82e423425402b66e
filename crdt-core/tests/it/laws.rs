//! The laws of the join, on states that replicas can reach.

use millpond_core::wire::entry::{decode_entry, encode_entry};
use millpond_core::*;
use proptest::prelude::*;

use crate::model::{Replica, Rules};
use crate::world::{Op, World, nth_path, ops};

fn joined(mut a: Replica, b: &Replica) -> Replica {
    a.pull(b);
    a
}

fn assert_same(a: &Replica, b: &Replica) {
    assert_eq!((&a.vv, &a.entries, &a.log), (&b.vv, &b.entries, &b.log));
}

fn reachable() -> impl Strategy<Value = World> {
    ops().prop_map(|ops| {
        let mut world = World::after(Rules::ALL, &ops);
        world.replicas.iter_mut().for_each(Replica::forget_waiting);
        world
    })
}

proptest! {
    #[test]
    fn replicas_show_what_the_oracle_says_and_converge(ops in ops()) {
        World::after(Rules::ALL, &ops).settle();
    }

    #[test]
    fn deletes_that_a_later_dot_follows_need_not_travel(ops in ops()) {
        let rules = Rules { superseded_deletes: false, ..Rules::ALL };
        World::after(rules, &ops).settle();
    }

    #[test]
    fn the_join_is_commutative(world in reachable()) {
        let [a, b, ..] = &world.replicas[..] else { unreachable!() };
        assert_same(&joined(a.clone(), b), &joined(b.clone(), a));
    }

    #[test]
    fn the_join_is_associative(world in reachable()) {
        let [a, b, c, ..] = &world.replicas[..] else { unreachable!() };
        let left = joined(joined(a.clone(), b), c);
        let right = joined(a.clone(), &joined(b.clone(), c));
        assert_same(&left, &right);
    }

    #[test]
    fn the_join_is_idempotent_and_inflationary(world in reachable()) {
        let [a, b, ..] = &world.replicas[..] else { unreachable!() };
        assert_same(&joined(a.clone(), a), a);
        let both = joined(a.clone(), b);
        prop_assert!(both.vv.covers_all(&a.vv) && both.vv.covers_all(&b.vv));
        assert_same(&joined(both.clone(), a), &both);
        assert_same(&joined(both.clone(), b), &both);
    }

    #[test]
    fn a_batch_equals_the_pushes_that_it_covers(world in reachable()) {
        let [a, b, ..] = &world.replicas[..] else { unreachable!() };
        let mut by_pushes = a.clone();
        let covered = |origin, last: Seq| b.vv.covers(Dot::new(origin, last));
        for push in world.history.pushes() {
            if covered(push.origin(), push.last()) {
                by_pushes.receive(push);
            }
        }
        assert_same(&by_pushes, &joined(a.clone(), b));
    }

    #[test]
    fn a_batch_from_any_covered_base_gives_the_same(world in reachable()) {
        let [a, b, ..] = &world.replicas[..] else { unreachable!() };
        let mut from_nothing = a.clone();
        prop_assert!(from_nothing.take(&b.batch(&VersionVector::new())));
        assert_same(&from_nothing, &joined(a.clone(), b));
    }

    #[test]
    fn pushes_in_any_order_and_twice_give_the_same(
        (ops, order) in (ops(), any::<u64>())
    ) {
        let world = World::after(Rules::ALL, &ops);
        let mut shuffled: Vec<_> = world.history.pushes().iter().enumerate().collect();
        shuffled.sort_by_key(|(index, _)| (*index as u64 ^ order).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut fresh = Replica::new(9, Rules::ALL);
        for (index, push) in shuffled.iter().chain(&shuffled[..shuffled.len() / 2]) {
            let _ = index;
            fresh.receive(push);
        }
        world.history.check(&fresh);
        let all: VersionVector = world.history.pushes().iter()
            .map(|push| Dot::new(push.origin(), push.last())).collect();
        prop_assert_eq!(fresh.vv, all);
    }

    #[test]
    fn reads_agree_with_a_plain_sort(world in reachable()) {
        for replica in &world.replicas {
            for entry in replica.entries.values() {
                let mut sorted = entry.live().to_vec();
                sorted.sort_by_key(|live| (live.hlc, live.dot));
                sorted.reverse();
                prop_assert_eq!(types::lww::read(entry), sorted.first());
                prop_assert_eq!(types::multi::read(entry), sorted.iter().collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_reader_below_the_vector_sees_an_earlier_state(world in reachable()) {
        // What is visible at a vector holds no dot beyond it, and all that is live on both sides.
        let [a, b, ..] = &world.replicas[..] else { unreachable!() };
        for path in (0..4).map(nth_path) {
            let both = joined(a.clone(), b).entry(&path);
            let visible = both.clone().visible_at(&a.vv);
            prop_assert!(visible.live().iter().all(|live| a.entry(&path).contains(live.dot)));
        }
    }

    #[test]
    fn entries_survive_the_store(world in reachable()) {
        for entry in world.replicas.iter().flat_map(|replica| replica.entries.values()) {
            let mut bytes = Vec::new();
            encode_entry(entry, &mut bytes);
            prop_assert_eq!(&decode_entry(&bytes.into()).unwrap(), entry);
        }
    }
}

#[test]
fn ops_reach_concurrent_values_and_tombstones() {
    // Guards the strategy: laws that only ever see single values would say little.
    let concurrent =
        [Op::Put { at: 0, path: 0 }, Op::Put { at: 1, path: 0 }, Op::Deliver { index: 0 }];
    let world = World::after(Rules::ALL, &concurrent);
    assert_eq!(world.replicas[1].entry(&nth_path(0)).live().len(), 2);
    let deleted = [Op::Put { at: 0, path: 0 }, Op::Delete { at: 0, path: 0 }];
    let world = World::after(Rules::ALL, &deleted);
    assert_eq!(world.replicas[0].log.len(), 1);
}
