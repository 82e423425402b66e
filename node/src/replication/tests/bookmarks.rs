//! Bookmarks: finding 29. What a client has seen it sees wherever it goes, or is told that it would not.

use millpond_core::VersionVector;
use millpond_core::transport::Lane;

use super::depends_on;
use super::rehab::mark_restored;
use crate::replication::{Answer, Behind, Collection, Request, RequestId};
use crate::sim::net::NodeId;
use crate::sim::node::{COLLECTION, DIGEST_MS};
use crate::sim::world::{Check, World, ensure};

const A: NodeId = 0;
const B: NodeId = 1;
const C: NodeId = 2;

/// What a client of this node has seen.
fn bookmark(world: &World, id: NodeId) -> VersionVector {
    let nothing = VersionVector::new();
    world.vv(id).difference(world.held_by_all.get(&id).unwrap_or(&nothing))
}

fn at_least(world: &mut World, id: NodeId, vv: VersionVector, timeout_ms: u64) -> RequestId {
    world.ask(id, Request::AwaitShown { vv, timeout_ms })
}

fn shown(world: &World, id: RequestId) -> Option<Result<(), Behind>> {
    match world.answers.get(&id)? {
        Answer::Shown(shown) => Some(*shown),
        answer => panic!("{answer:?}"),
    }
}

/// A mesh in which every member has one write on its disk, and A knows that: its bookmark is empty.
fn all_hold_it(mut world: World) -> Result<World, String> {
    world.put(A, "c/k/f", "v");
    world.settle()?;
    world.run(3 * DIGEST_MS);
    ensure!(bookmark(&world, A).is_empty(), "{:?} is not held by all", bookmark(&world, A));
    Ok(world)
}

#[test]
fn a_reader_waits_for_what_it_has_seen() {
    depends_on(&["a reader waits for its bookmark"], || {
        let mut world = World::mesh(3, 190);
        world.isolate(B, true);
        world.put(A, "c/k/f", "v");
        world.run(100);
        let seen = bookmark(&world, A);
        ensure!(!seen.is_empty(), "nothing was written");
        let here = at_least(&mut world, A, seen.clone(), 0);
        ensure!(shown(&world, here) == Some(Ok(())), "A has it");
        let away = at_least(&mut world, B, seen.clone(), 1_000);
        world.run(2_000);
        let behind = Behind { missing: 1, eta: None };
        ensure!(shown(&world, away) == Some(Err(behind)), "{:?}", shown(&world, away));
        let later = at_least(&mut world, B, seen, 60_000);
        world.isolate(B, false);
        world.run_until(60_000, |world| shown(world, later) == Some(Ok(())))?;
        ensure!(world.values(B, "c/k/f") == ["v"], "it is not shown");
        world.settle()
    });
}

/// The way from A to B is stuck. C has it, and would forward it after the hold-down.
fn what_is_missing_is_elsewhere() -> Check {
    let mut world = World::mesh(3, 191);
    world.hold(A, B, Lane::Control, true);
    world.put(A, "c/k/f", "v");
    world.run(50);
    let seen = bookmark(&world, A);
    let request = at_least(&mut world, B, seen, 10_000);
    let ms = world.run_until(10_000, |world| shown(world, request) == Some(Ok(())))?;
    ensure!(ms <= 600, "after {ms} ms");
    world.hold(A, B, Lane::Control, false);
    world.settle()
}

#[test]
fn what_a_reader_waits_for_is_fetched() {
    depends_on(&["what a reader waits for is pulled"], what_is_missing_is_elsewhere);
}

/// C was made of an older backup, and is cut off.
fn a_restored_node_is_asked() -> Check {
    let mut world = all_hold_it(World::mesh(3, 192))?;
    world.crash(C, true);
    mark_restored(&world, C);
    world.isolate(C, true);
    world.start(C);
    let seen = bookmark(&world, A);
    let request = at_least(&mut world, C, seen.clone(), 2_000);
    world.run(3_000);
    ensure!(matches!(shown(&world, request), Some(Err(_))), "it takes its word for it");
    world.isolate(C, false);
    let request = at_least(&mut world, C, seen, 30_000);
    world.run_until(30_000, |world| shown(world, request) == Some(Ok(())))?;
    world.settle()
}

#[test]
fn finding_29_who_has_to_catch_up_is_behind() {
    depends_on(&["who has to catch up answers behind"], a_restored_node_is_asked);
}

/// C's folder is one from before, and C does not know.
fn a_node_that_fell_back_is_asked() -> Check {
    let world = World::mesh(3, 193);
    let image = world.nodes[C].image();
    let mut world = all_hold_it(world)?;
    world.isolate(C, true);
    world.restore(C, &image);
    ensure!(world.values(C, "c/k/f").is_empty(), "it did not fall back");
    let seen = bookmark(&world, A);
    let request = at_least(&mut world, C, seen.clone(), 2_000);
    world.run(3_000);
    ensure!(matches!(shown(&world, request), Some(Err(_))), "it shows less than it once had");
    world.isolate(C, false);
    let request = at_least(&mut world, C, seen, 60_000);
    world.run_until(60_000, |world| shown(world, request) == Some(Ok(())))?;
    ensure!(world.values(C, "c/k/f") == ["v"], "it is not shown");
    world.settle()
}

#[test]
fn finding_29_who_may_have_fallen_back_is_behind() {
    depends_on(&["who may have fallen back answers behind"], a_node_that_fell_back_is_asked);
}

/// A delayed replica has it on its disk, and shows what was.
fn a_delayed_replica_is_asked() -> Check {
    let mut world = World::mesh(3, 194);
    let late = world.join_as(|node| node.apply_after_ms = Some(600_000));
    let mut world = all_hold_it(world)?;
    let seen = bookmark(&world, A);
    let request = at_least(&mut world, late, seen, 1_000);
    world.run(2_000);
    ensure!(matches!(shown(&world, request), Some(Err(_))), "it shows it, ahead of its time");
    Ok(())
}

#[test]
fn finding_29_a_delayed_replica_is_behind() {
    depends_on(&["a delayed replica answers behind"], a_delayed_replica_is_asked);
}

/// C is cut off for so long that the others evict it. A client that has read at A goes to C.
fn an_evicted_member_is_asked() -> Check {
    let mut world = World::mesh(3, 195);
    world.set_collection(Collection { offline_window_ms: 60_000, ..COLLECTION });
    world.isolate(C, true);
    world.run(120_000);
    world.put(A, "c/k/f", "v");
    world.run(4 * DIGEST_MS);
    let seen = bookmark(&world, A);
    let request = at_least(&mut world, C, seen, 1_000);
    world.run(2_000);
    ensure!(matches!(shown(&world, request), Some(Err(_))), "C has never heard of it");
    Ok(())
}

#[test]
fn finding_29_an_evicted_member_is_behind() {
    depends_on(&["a bookmark keeps what an evicted member may lack"], an_evicted_member_is_asked);
}
