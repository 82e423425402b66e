//! Copies of a running node, and restarts that look like one: findings 15 and S4.

use millpond_core::transport::Lane;

use super::depends_on;
use crate::replica::ReleaseError;
use crate::replication::{Answer, Request};
use crate::sim::world::{Check, World, ensure};
use crate::state::WriteError;

/// 15: a copy of a running node's folder starts elsewhere.
fn a_copy_starts() -> Check {
    let mut world = World::mesh(2, 21);
    world.put(1, "c/k/f", "before");
    world.settle()?;
    let copy = world.start_copy(1);
    world.run(30_000);
    for node in [1, copy] {
        let request = world.put(node, "c/l/f", "by one of two");
        world.run(6_000);
        let written = world.written(request);
        ensure!(matches!(written, Some(Err(WriteError::Fenced { .. }))), "{node}: {written:?}");
    }
    Ok(())
}

#[test]
fn finding_15_two_live_boots_of_one_key_are_both_fenced() {
    depends_on(&["two that are heard are copies"], a_copy_starts);
    depends_on(&["a digest goes out in time"], a_copy_starts);
}

/// Both wrote before they were found out; the copy is stopped, and the original released.
#[test]
fn the_one_that_is_released_goes_on() {
    let mut world = World::mesh(3, 27);
    world.put(1, "c/k/f", "before");
    world.settle().unwrap();
    let copy = world.start_copy(1);
    world.isolate(1, true);
    world.run(6_000);
    let writes =
        [world.put(1, "c/k/f", "by the original"), world.put(copy, "c/k/f", "by the copy")];
    world.run(6_000);
    for request in writes {
        assert!(matches!(world.written(request), Some(Ok(_))), "{:?}", world.written(request));
    }
    world.isolate(1, false);
    let is_fenced = |world: &World, id: usize| {
        world.nodes[id].running.as_ref().unwrap().engine.fenced.is_some()
    };
    world.run_until(60_000, |world| is_fenced(world, 1) && is_fenced(world, copy)).unwrap();
    // While the copy lives a release does not last.
    world.ask(1, Request::Release);
    world.run(1_000);
    assert!(!is_fenced(&world, 1));
    world.run_until(60_000, |world| is_fenced(world, 1)).unwrap();
    world.crash(copy, true);
    let released = world.ask(1, Request::Release);
    world.run(40_000);
    assert!(matches!(world.answers.get(&released), Some(Answer::Released(Ok(())))));
    let request = world.put(1, "c/l/f", "after");
    world.settle().unwrap();
    assert!(matches!(world.written(request), Some(Ok(_))), "{:?}", world.written(request));
    nobody_is_fenced(&world).unwrap();
    for id in 0..3 {
        let mut found = world.values(id, "c/k/f");
        found.sort();
        assert_eq!(found, ["by the copy", "by the original"], "at {id}");
        assert_eq!(world.values(id, "c/l/f"), ["after"], "at {id}");
    }
    let again = world.ask(1, Request::Release);
    let answer = world.answers.get(&again);
    assert!(matches!(answer, Some(Answer::Released(Err(ReleaseError::NotFenced)))));
}

pub(super) fn nobody_is_fenced(world: &World) -> Check {
    world.running().try_for_each(|id| {
        let engine = &world.nodes[id].running.as_ref().unwrap().engine;
        ensure!(engine.fenced.is_none(), "{id} is fenced: {:?}", engine.fenced);
        ensure!(!engine.peers.values().any(|peer| peer.is_cloned), "{id} has met a copy");
        Ok(())
    })
}

/// S4: killed and started again before anybody notices.
fn a_node_restarts_at_once() -> Check {
    let mut world = World::mesh(3, 22);
    world.crash(2, true);
    world.run(200);
    world.start(2);
    world.put(2, "c/k/f", "v");
    world.settle()?;
    nobody_is_fenced(&world)
}

#[test]
fn finding_s4_a_quick_restart_is_no_copy() {
    depends_on(&["a restart is no copy"], a_node_restarts_at_once);
}

/// S4: what the dead boot had sent arrives after the new boot has spoken.
fn a_dead_boot_speaks_late() -> Check {
    let mut world = World::mesh(2, 23);
    world.cut(0, 1);
    world.run(8_000);
    world.hold(1, 0, Lane::Control, true);
    world.heal(0, 1);
    world
        .run_until(20_000, |world| world.net.is_linked(0, 1) && world.net.bytes_under_way() > 0)?;
    world.run(5);
    world.net.postpone(1, 0, 1_500);
    world.hold(1, 0, Lane::Control, false);
    world.crash(1, true);
    world.start(1);
    world.settle()?;
    world.run(10_000);
    nobody_is_fenced(&world)
}

#[test]
fn finding_s4_a_late_hello_is_no_copy() {
    depends_on(&["a late hello is no copy"], a_dead_boot_speaks_late);
}
