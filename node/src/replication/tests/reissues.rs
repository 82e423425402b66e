//! Writes that are issued anew, since their numbers went on elsewhere: findings 9, 15, S1, S2 and S5.

use std::ops::ControlFlow;

use millpond_core::types::counter::{self, Slot};

use super::depends_on;
use super::restarts::nobody_is_fenced;
use crate::concern::{AckLevel, Concern};
use crate::replication::{Answer, Request, Wanted};
use crate::sim::net::NodeId;
use crate::sim::world::{Check, World, ensure, path, text};
use crate::state::WriteTx;

const R: NodeId = 0;
const P: NodeId = 2;

/// P's store falls back by less than a second with a lease that proves it, and `lost` is what R and Q hold of
/// it. Alone, P does `again`; then it meets the others.
fn falls_back(
    seed: u64,
    before: impl Fn(&mut World),
    lost: impl Fn(&mut World),
    again: impl Fn(&mut World),
) -> Result<World, String> {
    let mut world = World::mesh(3, seed);
    world.put(P, "c/before/f", "before");
    before(&mut world);
    world.settle()?;
    world.run(3_000);
    let (image, lease) = (world.nodes[P].image(), world.nodes[P].lease.clone());
    lost(&mut world);
    world.run(50);
    world.crash(P, true);
    world.isolate(P, true);
    world.nodes[P].lease = lease;
    world.nodes[P].restore(&image);
    world.start(P);
    again(&mut world);
    world.run(5_000);
    world.isolate(P, false);
    world.settle()?;
    Ok(world)
}

/// All nodes hold these values at a path.
fn all_hold(world: &World, at: &str, expected: &[&str]) -> Check {
    for id in 0..3 {
        let mut found = world.values(id, at);
        found.sort();
        ensure!(found == expected, "{id} holds {found:?} at {at}, not {expected:?}");
    }
    Ok(())
}

/// Beside some others so many writes are lost.
fn writes_are_lost_and_others_made(more: usize) -> Check {
    let before = |world: &mut World| {
        world.put(R, "c/gone/f", "old");
        world.put(R, "c/both/f", "old");
    };
    let lost = |world: &mut World| {
        world.put(P, "c/both/f", "lost");
        world.put(P, "c/lost/f", "lost");
        for number in 0..more {
            world.put(P, &format!("c/more-{number}/f"), "lost");
        }
    };
    let again = |world: &mut World| {
        world.put(P, "c/both/f", "again");
        world.put(P, "c/own/f", "again");
        world.delete(P, "c/gone/f");
        world.put(P, "c/twice/f", "again");
        world.put(P, "c/twice/f", "and again");
    };
    let mut world = falls_back(61, before, lost, again)?;
    all_hold(&world, "c/both/f", &["again", "lost"])?;
    all_hold(&world, "c/lost/f", &["lost"])?;
    all_hold(&world, "c/own/f", &["again"])?;
    all_hold(&world, "c/gone/f", &[])?;
    all_hold(&world, "c/twice/f", &["and again"])?;
    let request = world.put(P, "c/later/f", "v");
    world.settle()?;
    ensure!(matches!(world.written(request), Some(Ok(_))), "{:?}", world.written(request));
    all_hold(&world, "c/later/f", &["v"])?;
    nobody_is_fenced(&world)
}

#[test]
fn finding_15_what_a_node_wrote_that_fell_back_is_issued_anew() {
    depends_on(&["equal numbers are no equal history"], || writes_are_lost_and_others_made(0));
    depends_on(&["a peer that knows more fences", "equal numbers are no equal history"], || {
        writes_are_lost_and_others_made(9)
    });
}

#[test]
fn finding_s5_fencing_lowers_the_vector() {
    depends_on(&["fencing lowers the vector"], || writes_are_lost_and_others_made(9));
}

/// P waits for acks of a write whose dot another one has at R and Q.
fn a_disputed_write_is_waited_for() -> Check {
    let asked = std::cell::Cell::new(None);
    let lost = |world: &mut World| _ = world.put(P, "c/lost/f", "lost");
    let again = |world: &mut World| {
        let closure = Box::new(|tx: &mut WriteTx<'_>| tx.put(path("c/own/f"), text("again")));
        let (level, timeout_ms) = (AckLevel::Durable, 60_000);
        let wanted = Some(Wanted { concern: Concern::Replicas(1), level, timeout_ms });
        asked.set(Some(world.ask(P, Request::WriteWith { closure, min_connected: 0, wanted })));
    };
    let world = falls_back(64, |_| {}, lost, again)?;
    all_hold(&world, "c/own/f", &["again"])?;
    match asked.get().and_then(|id| world.answers.get(&id)) {
        Some(Answer::Stored { waited, .. }) => {
            ensure!(!waited.is_met && waited.acks.acked.is_empty(), "{waited:?}");
            Ok(())
        }
        answer => Err(format!("{answer:?}")),
    }
}

#[test]
fn what_is_disputed_is_not_acknowledged() {
    depends_on(&["what is disputed is not acknowledged"], a_disputed_write_is_waited_for);
}

/// Finding 9: a user writes after what is issued anew was written.
fn a_newer_write_is_made_elsewhere() -> Check {
    let lost = |world: &mut World| _ = world.put(P, "c/lost/f", "lost");
    let again = |world: &mut World| {
        world.put(P, "c/k/f", "older");
        world.run(1_000);
        world.put(R, "c/k/f", "newer");
    };
    let world = falls_back(62, |_| {}, lost, again)?;
    for id in 0..3 {
        let entry = world.view(id, millpond_core::Namespace::MAIN).entry(&path("c/k/f")).unwrap();
        let shown = crate::records::values(&entry)[0].payload.bytes.clone();
        ensure!(&shown[..] == b"newer", "{id} shows {shown:?}");
    }
    Ok(())
}

#[test]
fn finding_9_a_write_that_is_issued_anew_keeps_its_stamp() {
    depends_on(&["a re-issued write keeps its stamp"], a_newer_write_is_made_elsewhere);
}

/// What a counter reads at a node.
pub(super) fn count(world: &World, id: NodeId, at: &str) -> i128 {
    let mut slots = Vec::new();
    let view = world.view(id, millpond_core::Namespace::MAIN);
    view.entries(Some(&path(at)), None, &mut |_, entry| {
        slots.extend(Slot::read(&entry));
        ControlFlow::Continue(())
    })
    .unwrap();
    counter::read(slots).unwrap_or(0)
}

/// S1: a slot was 10; others hold it at 13, and this node counts 2.
fn a_slot_gains_on_both_sides(is_reset: bool) -> Check {
    fn add(world: &mut World, at: &'static str, delta: i64) {
        world.write(P, move |tx| tx.count(&path(at), delta));
    }
    let before = |world: &mut World| add(world, "c/n/f", 10);
    let lost = |world: &mut World| {
        add(world, "c/n/f", 3);
        add(world, "c/lost/f", 7);
    };
    let again = |world: &mut World| {
        add(world, "c/n/f", 2);
        add(world, "c/new/f", 5);
        if is_reset {
            world.write(P, |tx| tx.reset_counter(&path("c/n/f")));
            add(world, "c/n/f", -4);
        }
    };
    let mut world = falls_back(63, before, lost, again)?;
    add(&mut world, "c/n/f", 100);
    world.settle()?;
    // A reset takes back what it has seen: the 10 and the 2.
    let n = if is_reset { 3 - 4 + 100 } else { 15 + 100 };
    for id in 0..3 {
        for (at, expected) in [("c/n/f", n), ("c/new/f", 5), ("c/lost/f", 7)] {
            let found = count(&world, id, at);
            ensure!(found == expected, "{id} counts {found} at {at}, not {expected}");
        }
    }
    Ok(())
}

#[test]
fn finding_s1_of_a_slot_only_the_gain_is_issued_anew() {
    depends_on(&["of a slot only the gain is issued again"], || a_slot_gains_on_both_sides(false));
    a_slot_gains_on_both_sides(true).unwrap();
}

/// A store that fell back, and has written nothing since, has nothing to issue anew.
#[test]
fn who_is_found_out_in_time_only_ends_its_incarnation() {
    let lost = |world: &mut World| _ = world.put(P, "c/k/f", "lost");
    let mut world = falls_back(64, |_| {}, lost, |_| {}).unwrap();
    world.put(P, "c/k/f", "after");
    world.settle().unwrap();
    all_hold(&world, "c/k/f", &["after"]).unwrap();
    nobody_is_fenced(&world).unwrap();
}

/// The disk is full when that is found, and the process dies before there is room; or after.
#[test]
fn a_disk_that_is_full_delays_it() {
    for is_killed in [false, true] {
        let lost = |world: &mut World| _ = world.put(P, "c/lost/f", "lost");
        let again = |world: &mut World| {
            world.put(P, "c/own/f", "again");
            world.run(1_000);
            world.nodes[P].is_full = true;
            world.isolate(P, false);
            world.run(4_000);
            let request = world.put(P, "c/k/f", "v");
            world.run(1_000);
            assert!(matches!(world.written(request), Some(Err(_))));
            world.nodes[P].is_full = false;
            if is_killed {
                world.run(3_000);
                world.crash(P, true);
                world.start(P);
            }
        };
        let world = falls_back(65, |_| {}, lost, again).unwrap();
        all_hold(&world, "c/own/f", &["again"]).unwrap();
        all_hold(&world, "c/lost/f", &["lost"]).unwrap();
        nobody_is_fenced(&world).unwrap();
    }
}
