//! Rehab: who has yet to catch up is no source, and who is far behind is not ready.

use millpond_core::transport::Lane;

use super::depends_on;
use super::floors::lose_tombstones;
use crate::replication::rehab::Beginning;
use crate::sim::net::NodeId;
use crate::sim::world::{Check, World, ensure};
use crate::state::{meta_key, write_meta};
use crate::status::{NodeState, PeerState, Rehab};
use crate::store::{Changes, Durability, Store};

/// A stopped node's folder is as one that was made of a backup.
pub(super) fn mark_restored(world: &World, id: NodeId) {
    let mut changes = Changes::default();
    write_meta(&mut changes, meta_key::rehab(), Some(&Beginning::Restored));
    world.nodes[id].store.commit(&changes, Durability::Synced).unwrap();
}

/// Nothing that is asked for reaches a node.
fn starve(world: &mut World, id: NodeId, is_starved: bool) {
    for other in (0..world.nodes.len()).filter(|other| *other != id) {
        world.hold(other, id, Lane::Bulk, is_starved);
    }
}

/// Node 1 was restored, and holds a write that nobody else has; what it lacks does not come.
fn restored() -> World {
    let mut world = World::mesh(3, 71);
    world.isolate(1, true);
    world.run(4_000);
    world.put(1, "c/own/f", "unsynced");
    world.run(1_000);
    world.crash(1, true);
    for key in 0..200 {
        world.put(0, &format!("c/{key}/f"), "v");
        world.run(20);
    }
    // By now the ring is too short.
    world.run(70_000);
    mark_restored(&world, 1);
    starve(&mut world, 1, true);
    world.isolate(1, false);
    world.start(1);
    world
}

fn a_restored_node_is_no_source() -> Check {
    let mut world = restored();
    world.run(8_000);
    let status = world.status(1);
    ensure!(status.node.state == NodeState::Rehab, "{:?}", status.node.state);
    ensure!(status.node.rehab == Some(Rehab::Restored), "{:?}", status.node.rehab);
    let of_1 = |world: &mut World| {
        let key = world.nodes[1].key.to_string();
        let peers = world.status(2).peers;
        peers.into_iter().find(|peer| peer.key == key).map(|peer| peer.state)
    };
    let seen = of_1(&mut world);
    ensure!(seen == Some(PeerState::Rehab), "2 takes it for {seen:?}");
    ensure!(world.values(2, "c/own/f").is_empty(), "it has supplied before it has caught up");
    starve(&mut world, 1, false);
    world.settle()?;
    let status = world.status(1);
    ensure!(status.node.state == NodeState::Current, "{:?}", status.node);
    ensure!(world.values(2, "c/own/f") == ["unsynced"], "its own is not merged");
    let seen = of_1(&mut world);
    ensure!(seen == Some(PeerState::Current), "2 takes it for {seen:?}");
    // It stays so.
    world.crash(1, true);
    world.start(1);
    world.run(100);
    ensure!(world.status(1).node.rehab.is_none(), "it is in rehab again");
    Ok(())
}

#[test]
fn who_has_not_caught_up_is_no_source() {
    depends_on(&["who has not caught up is no source"], a_restored_node_is_no_source);
    depends_on(&["who catches up has what others had"], a_restored_node_is_no_source);
}

/// A restored node has nothing that others lack, so that they ask for its feed at once.
fn a_restored_node_writes_later() -> Check {
    let mut world = World::mesh(3, 74);
    world.crash(1, true);
    world.put(0, "c/k/f", "v");
    world.run(100);
    mark_restored(&world, 1);
    world.start(1);
    world.settle()?;
    world.put(1, "c/later/f", "v");
    for id in [0, 2] {
        world.run_until(1_000, |world| !world.values(id, "c/later/f").is_empty())?;
    }
    Ok(())
}

#[test]
fn who_serves_again_is_asked_again() {
    depends_on(&["who serves again is asked again"], a_restored_node_writes_later);
}

/// Both folders were restored, and there is nobody else: each has what the other lacks.
#[test]
fn two_that_have_only_each_other_do_not_wait_for_ever() {
    let mut world = World::mesh(2, 72);
    world.isolate(1, true);
    world.run(4_000);
    world.put(0, "c/a/f", "of 0");
    world.put(1, "c/b/f", "of 1");
    world.run(1_000);
    for id in [0, 1] {
        world.crash(id, true);
        mark_restored(&world, id);
    }
    world.isolate(1, false);
    [0, 1].into_iter().for_each(|id| world.start(id));
    world.settle().unwrap();
    for id in [0, 1] {
        assert_eq!(world.values(id, "c/a/f"), ["of 0"]);
        assert_eq!(world.values(id, "c/b/f"), ["of 1"]);
        assert_eq!(world.status(id).node.state, NodeState::Current);
    }
}

/// A node is back from an outage, and what it lacks does not come for longer than it may lag.
fn a_node_is_far_behind() -> Check {
    let mut world = World::mesh(3, 73);
    world.crash(1, true);
    for key in 0..200 {
        world.put(0, &format!("c/{key}/f"), "v");
        world.run(20);
    }
    world.run(70_000);
    starve(&mut world, 1, true);
    world.start(1);
    world.run(8_000);
    let status = world.status(1);
    ensure!(status.node.state == NodeState::Lagging, "soon it is {:?}", status.node.state);
    world.run(30_000);
    let status = world.status(1);
    ensure!(status.node.rehab == Some(Rehab::TooFarBehind), "later it is {:?}", status.node);
    // It still serves: two that are far behind each other would wait for ever.
    let request = world.put(1, "c/own/f", "v");
    world.run_until(2_000, |world| !world.values(2, "c/own/f").is_empty())?;
    ensure!(matches!(world.written(request), Some(Ok(_))), "it takes no writes");
    starve(&mut world, 1, false);
    world.settle()?;
    let status = world.status(1);
    ensure!(status.node.state == NodeState::Current, "at last it is {:?}", status.node);
    Ok(())
}

#[test]
fn who_is_far_behind_is_not_ready() {
    depends_on(&["who is far behind is not ready"], a_node_is_far_behind);
}

/// A restored node is below the floors of all others: they are refreshed, and the others take its own half of
/// that, though it is no source yet.
fn a_restored_node_is_refreshed() -> Check {
    let mut world = World::mesh(3, 76);
    for key in 0..40 {
        world.put(0, &format!("c/{key}/f"), "old");
    }
    world.settle()?;
    world.isolate(2, true);
    world.run(4_000);
    world.delete(0, "c/7/f");
    world.put(2, "c/own/f", "unsynced");
    world.run(4_000);
    [0, 1].into_iter().for_each(|id| lose_tombstones(&mut world, id));
    world.crash(2, true);
    mark_restored(&world, 2);
    world.isolate(2, false);
    world.start(2);
    world.run(20_000);
    for id in 0..3 {
        let own = world.values(id, "c/own/f");
        ensure!(own == ["unsynced"] && world.values(id, "c/7/f").is_empty(), "{id} has {own:?}");
        let engine = &world.nodes[id].running.as_ref().unwrap().engine;
        ensure!(engine.comparisons.is_empty(), "{id} waits for a half that nobody asks for");
    }
    ensure!(world.status(2).node.rehab.is_none(), "it is in rehab still");
    Ok(())
}

#[test]
fn a_refresh_goes_both_ways() {
    depends_on(&["a refresh goes both ways"], a_restored_node_is_refreshed);
}

/// A node returns after others have forgotten deletes, and the comparison takes its time.
fn an_absent_node_is_refreshed() -> Check {
    let mut world = World::mesh(2, 77);
    for key in 0..40 {
        world.put(0, &format!("c/{key}/f"), "old");
    }
    world.settle()?;
    world.isolate(1, true);
    world.run(4_000);
    world.delete(0, "c/7/f");
    world.run(4_000);
    lose_tombstones(&mut world, 0);
    world.hold(1, 0, Lane::Bulk, true);
    world.isolate(1, false);
    world.run(8_000);
    let rehab = |world: &mut World, id| world.status(id).node.rehab;
    let seen = rehab(&mut world, 1);
    ensure!(seen == Some(Rehab::Refreshing), "who was absent is in rehab: {seen:?}");
    let seen = rehab(&mut world, 0);
    ensure!(seen.is_none(), "and so is the other one: {seen:?}");
    world.hold(1, 0, Lane::Bulk, false);
    world.run(20_000);
    ensure!(world.vv(0) == world.vv(1), "they are not level");
    ensure!(rehab(&mut world, 1).is_none(), "it is refreshed, and in rehab still");
    Ok(())
}

#[test]
fn who_was_not_absent_stays_ready() {
    depends_on(&["who was not absent stays ready"], an_absent_node_is_refreshed);
}
