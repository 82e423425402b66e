//! The collection of tombstones: findings 13, 18, 20 and 27, M2 and M9 (R8).

use std::ops::ControlFlow;

use millpond_core::{Namespace, VersionVector};

use super::super::Input;
use super::depends_on;
use crate::planted::without;
use crate::replication::Collection;
use crate::sim::net::NodeId;
use crate::sim::node::{COLLECTION, DIGEST_MS};
use crate::sim::world::{World, ensure};
use crate::status::Eviction;
use crate::store::Store;

/// Nodes that wait for each other for a minute only.
fn impatient(count: usize, seed: u64) -> World {
    let mut world = World::new(seed);
    world.collection = IMPATIENT;
    world.nodes[0].collection = IMPATIENT;
    world.restart_all();
    (1..count).for_each(|_| {
        world.join();
    });
    world.settle().unwrap();
    world
}

/// How many tombstones are in a node's log.
fn tombstones(world: &World, id: NodeId) -> u64 {
    let snapshot = world.nodes[id].store.snapshot().unwrap();
    let mut count = 0;
    for dot in world.vv(id).iter() {
        let visit = &mut |_, row: crate::store::LogRow| {
            count += u64::from(row.deleted.is_some());
            ControlFlow::Continue(())
        };
        snapshot.log(Namespace::MAIN, dot.incarnation, 0, u64::MAX, visit).unwrap();
    }
    let heads = &world.nodes[id].running.as_ref().unwrap().heads;
    assert_eq!(heads.tombstones(Namespace::MAIN).count, count, "they are counted");
    count
}

fn floor(world: &World, id: NodeId) -> VersionVector {
    world.nodes[id].running.as_ref().unwrap().heads.floor(Namespace::MAIN).clone()
}

#[test]
fn what_all_members_have_on_their_disks_is_collected() {
    let mut world = World::mesh(3, 50);
    for key in 0..40 {
        world.put(key % 3, &format!("c/{key}/f"), "v");
    }
    world.run(1_000);
    for key in 0..20 {
        world.delete((key + 1) % 3, &format!("c/{key}/f"));
    }
    world.run(1_000);
    assert!((0..3).all(|id| tombstones(&world, id) == 20));
    world.run(3 * DIGEST_MS);
    for id in 0..3 {
        assert_eq!(tombstones(&world, id), 0, "node {id}");
        let heads = &world.nodes[id].running.as_ref().unwrap().heads;
        let left = heads.tombstones(Namespace::MAIN);
        assert_eq!((left.bytes, left.last.is_empty()), (0, true));
        assert!(world.vv(id).covers_all(&floor(&world, id)));
        assert_eq!(floor(&world, id).len(), 3, "one entry for each that deleted");
    }
    world.settle().unwrap();
    assert_eq!(world.values(1, "c/30/f"), ["v"]);
    // A node that comes now holds nothing that was deleted, and is brought level as ever.
    world.join();
    world.settle().unwrap();
}

/// A reader of changes who lost its connection for a moment need not begin anew.
#[test]
fn tombstones_linger_for_readers() {
    let mut world = World::new(57);
    world.set_collection(Collection { linger_ms: 60_000, ..COLLECTION });
    world.join();
    world.settle().unwrap();
    world.put(0, "c/k/f", "v");
    world.delete(0, "c/k/f");
    world.run(60_000);
    assert_eq!(tombstones(&world, 0), 1);
    world.run(4 * DIGEST_MS);
    assert!((0..2).all(|id| tombstones(&world, id) == 0));
}

/// What is kept for them is bounded, however much is deleted.
#[test]
fn no_more_lingers_than_a_disk_has_room_for() {
    let left = || {
        let mut world = World::new(58);
        let collection = Collection { linger_ms: 60_000, linger_bytes_max: 2_000, ..COLLECTION };
        world.set_collection(collection);
        world.join();
        world.settle().unwrap();
        for key in 0..100 {
            world.put(0, &format!("c/{key}/f"), "v");
            world.delete(0, &format!("c/{key}/f"));
        }
        world.run(4 * DIGEST_MS);
        (0..2).map(|id| tombstones(&world, id)).max().unwrap()
    };
    let bounded = left();
    assert!(bounded < 100, "{bounded}");
    assert_eq!(without(&["what lingers is bounded"], left), 100);
}

/// Work never stops, and each word is behind the next write when it comes.
#[test]
fn tombstones_are_collected_under_load() {
    let mut world = World::mesh(3, 51);
    (0..3).for_each(|id| world.delay(id, (id + 1) % 3, 60));
    let mut most = 0;
    for round in 0..3_000 {
        let at = format!("c/{}/f", round % 7);
        match round % 2 {
            0 => world.put(round % 3, &at, "v"),
            _ => world.delete((round + 1) % 3, &at),
        };
        world.run(20);
        most = most.max(tombstones(&world, 0));
    }
    println!("{most} tombstones at most, of some 1,500 deletes in a minute");
    assert!(most < 600, "{most} tombstones");
}

/// Node 2 is away while something is deleted, for half the window or for longer than it.
fn one_is_away(ms: u64) -> Result<World, String> {
    let mut world = impatient(3, 52);
    world.put(0, "c/k/f", "v");
    world.settle()?;
    world.isolate(2, true);
    world.run(2_000);
    world.delete(0, "c/k/f");
    world.run(ms);
    Ok(world)
}

#[test]
fn an_absent_member_is_waited_for_and_named() {
    let mut world = one_is_away(IMPATIENT.offline_window_ms / 2).unwrap();
    for id in [0, 1] {
        assert_eq!(tombstones(&world, id), 1, "node {id}");
        let status = world.status(id).node.tombstones;
        assert_eq!((status.count, status.offline_window_s), (1, 60));
        let [blocker] = &status.gc_blocked_by[..] else { panic!("{status:?}") };
        assert_eq!(blocker.name, world.nodes[2].record(2).name);
        assert!((20..=30).contains(&blocker.since_s), "{blocker:?}");
        assert!((20..=32).contains(&blocker.silent_s), "{blocker:?}");
        assert!((28..=40).contains(&blocker.evicted_in_s), "{blocker:?}");
    }
    world.isolate(2, false);
    world.settle().unwrap();
    world.run(3 * DIGEST_MS);
    assert!((0..3).all(|id| tombstones(&world, id) == 0));
    assert!(world.status(0).node.tombstones.gc_blocked_by.is_empty());
}

#[test]
fn a_member_that_is_gone_for_ever_holds_nothing_back() {
    depends_on(&["an absent member is evicted"], || {
        let mut world = one_is_away(2 * IMPATIENT.offline_window_ms)?;
        for id in [0, 1] {
            ensure!(tombstones(&world, id) == 0, "node {id} waits for ever");
            let status = world.status(id);
            let evicted: Vec<_> = status.peers.iter().filter_map(|peer| peer.evicted).collect();
            ensure!(evicted == [Eviction::Silent], "{evicted:?}");
            ensure!(status.node.tombstones.gc_blocked_by.is_empty(), "it is still waited for");
        }
        Ok(())
    });
}

/// Silence is counted over restarts.
#[test]
fn a_node_that_restarts_does_not_begin_to_wait_anew() {
    let mut world = one_is_away(IMPATIENT.offline_window_ms * 2 / 3).unwrap();
    world.crash(0, true);
    world.start(0);
    world.run(IMPATIENT.offline_window_ms * 2 / 3);
    assert_eq!(tombstones(&world, 0), 0);
}

/// Finding 13, M9: a member that was evicted returns, and still holds what was deleted.
#[test]
fn an_evicted_member_that_returns_brings_nothing_back() {
    depends_on(&["the floor rises with what is collected"], || {
        let mut world = one_is_away(2 * IMPATIENT.offline_window_ms)?;
        world.put(1, "c/new/f", "v");
        world.isolate(2, false);
        world.run(20_000);
        let is_level = world.vv(2) == world.vv(0);
        ensure!(!is_level || world.values(2, "c/k/f").is_empty(), "a deleted value is back");
        ensure!(world.values(0, "c/k/f").is_empty(), "a deleted value is back at node 0");
        Ok(())
    });
}

/// M2: a member that another one has invited has never spoken to this node.
#[test]
fn a_member_that_has_never_spoken_is_waited_for() {
    depends_on(&["who has said nothing has nothing"], || {
        let mut world = World::mesh(2, 53);
        world.put(0, "c/k/f", "v");
        world.settle()?;
        world.cut(1, 2);
        world.join();
        world.run_until(10_000, |world| !world.values(2, "c/k/f").is_empty())?;
        world.isolate(2, true);
        world.run(2_000);
        world.delete(0, "c/k/f");
        world.run(10 * DIGEST_MS);
        ensure!(tombstones(&world, 1) == 1, "node 1 forgets what node 2 may not know");
        Ok(())
    });
}

#[test]
fn a_node_that_has_slept_evicts_nobody() {
    depends_on(&["only time in which it listened counts"], || {
        let mut world = impatient(2, 54);
        let mut now = world.nodes[0].now(world.now_ms);
        let running = world.nodes[0].running.as_mut().unwrap();
        // Its timers are due before what waits to be read.
        for passed_ms in [IMPATIENT.interval_ms, 10 * IMPATIENT.offline_window_ms] {
            now.mono_ms += passed_ms;
            running.engine_mut().handle(now, Input::Timer);
        }
        let evicted = running.engine.peers.values().any(|peer| peer.evicted.is_some());
        ensure!(!evicted, "it takes all others for gone");
        Ok(())
    });
}

#[test]
fn what_a_dead_member_holds_back_is_bounded() {
    depends_on(&["what the dead hold back is bounded"], || {
        let mut world = World::new(55);
        world.collection = Collection { bytes_max: 2_000, ..COLLECTION };
        world.nodes[0].collection = world.collection;
        world.restart_all();
        (1..3).for_each(|_| {
            world.join();
        });
        world.settle()?;
        for key in 0..100 {
            world.put(0, &format!("c/{key}/f"), "v");
        }
        world.settle()?;
        world.isolate(2, true);
        world.run(2_000);
        for key in 0..10 {
            world.delete(0, &format!("c/{key}/f"));
        }
        world.run(30 * DIGEST_MS);
        ensure!(tombstones(&world, 0) == 10, "so few may wait for long");
        for key in 10..100 {
            world.delete(0, &format!("c/{key}/f"));
        }
        world.run(3 * DIGEST_MS);
        ensure!(tombstones(&world, 0) == 0, "they wait for a dead member");
        let status = world.status(0);
        let evicted: Vec<_> = status.peers.iter().filter_map(|peer| peer.evicted).collect();
        ensure!(evicted == [Eviction::Cap], "{evicted:?}");
        Ok(())
    });
}

/// However slow a linked member is, it is not dead.
#[test]
fn a_member_that_is_heard_is_waited_for_beyond_the_cap() {
    let mut world = World::new(56);
    world.collection = Collection { bytes_max: 0, ..COLLECTION };
    world.nodes[0].collection = world.collection;
    world.restart_all();
    (1..3).for_each(|_| {
        world.join();
    });
    world.settle().unwrap();
    world.put(0, "c/k/f", "v");
    world.settle().unwrap();
    world.nodes[2].commit_ms = 200_000;
    world.delete(0, "c/k/f");
    world.run(30 * DIGEST_MS);
    assert_eq!(tombstones(&world, 0), 1);
    assert!(world.status(0).peers.iter().all(|peer| peer.evicted.is_none()));
}

const IMPATIENT: Collection = Collection { offline_window_ms: 60_000, ..COLLECTION };
