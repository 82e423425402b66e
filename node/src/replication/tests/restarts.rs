//! Copies of a running node, and restarts that look like one: findings 15 and S4.

use millpond_core::transport::Lane;

use super::depends_on;
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
