//! Catch-up under interruption: findings 4, 5, 6, 24, S11 and S18.
//!
//! A supplier that never wrote (S11) cannot be: every member has recorded itself.

use millpond_core::Namespace;
use millpond_core::transport::Lane;

use super::depends_on;
use crate::planted;
use crate::sim::world::{Check, World, ensure, path};

#[test]
fn nodes_that_wrote_apart_meet() {
    let mut world = World::mesh(2, 1);
    world.cut(0, 1);
    world.put(0, "c/0/f", "v");
    world.put(1, "c/1/f", "v");
    world.run(4_000);
    world.heal(0, 1);
    world.settle().unwrap();
    assert_eq!(world.values(0, "c/1/f"), ["v"]);
}

#[test]
fn a_path_deleted_by_two_nodes_travels_in_a_catch_up() {
    let mut world = World::mesh(3, 1);
    world.isolate(2, true);
    world.run(4_000);
    for node in [1, 0] {
        world.put(node, "c/k/f", "v");
        world.run(100);
        world.delete(node, "c/k/f");
        world.run(100);
    }
    world.isolate(2, false);
    world.settle().unwrap();
    assert_eq!(world.values(2, "c/k/f"), [""; 0]);
}

/// Finding 4 (R4): a batch is asked for from what is received, but the disk then has no room for that.
fn a_batch_meets_a_node_that_fell_back() -> Check {
    let mut world = World::mesh(3, 2);
    world.cut(1, 2);
    world.run(8_000);
    world.put(1, "c/1/f", "behind the cut");
    world.nodes[2].commit_ms = 10_000;
    world.put(0, "c/0/f", "received");
    world.run(100);
    world.heal(1, 2);
    world.run(9_000);
    world.nodes[2].is_full = true;
    world.run(1_000);
    world.nodes[2].is_full = false;
    world.nodes[2].commit_ms = 1;
    world.settle()
}

#[test]
fn finding_4_a_batch_is_complete_only_relative_to_its_base() {
    depends_on(
        &["a request states what is durable", "a batch is complete relative to its base"],
        a_batch_meets_a_node_that_fell_back,
    );
    // Each of the two holds alone.
    planted::without(&["a request states what is durable"], a_batch_meets_a_node_that_fell_back)
        .unwrap();
    planted::without(
        &["a batch is complete relative to its base"],
        a_batch_meets_a_node_that_fell_back,
    )
    .unwrap();
}

/// Node 1 catches up from node 0 over a slow link, which breaks `cuts` times before the end; each time the
/// first of the paths changes, which is behind the cursor.
fn a_catch_up_breaks_off(is_empty: bool, cuts: usize) -> Result<World, String> {
    let mut world = World::small_mesh(2, 5);
    if !is_empty {
        world.put(1, "own/k/f", "v");
        world.settle()?;
    }
    world.cut(0, 1);
    world.run(8_000);
    for number in 0..60 {
        world.put(0, &format!("c/{number:02}/f"), "some value of some length");
    }
    world.run(100);
    world.net.road(0, 1).frame_ms = [0, 100];
    for round in 0..cuts {
        world.heal(0, 1);
        let staged = |world: &World| {
            let running = world.nodes[1].running.as_ref().unwrap();
            running.heads.cuts.get(&Namespace::MAIN).and_then(|cut| cut.cursor())
        };
        let before = staged(&world);
        world.run_until(20_000, |world| {
            let now = staged(world);
            now > before && now > Some(path(&format!("c/{round}9/f")))
        })?;
        world.cut(0, 1);
        world.put(0, &format!("c/0{round}/f"), "changed");
        world.run(8_000);
    }
    world.heal(0, 1);
    world.settle()?;
    for round in 0..cuts {
        let values = world.values(1, &format!("c/0{round}/f"));
        ensure!(values == ["changed"], "round {round}: {values:?}");
    }
    Ok(world)
}

#[test]
fn finding_5_a_resumption_sends_what_changed_behind_the_cursor() {
    for is_empty in [false, true] {
        depends_on(&["a resumption sends what changed"], || {
            a_catch_up_breaks_off(is_empty, 1).map(drop)
        });
    }
}

#[test]
fn finding_5_a_resumption_that_breaks_off_loses_nothing() {
    for is_empty in [false, true] {
        depends_on(&["a resumption starts from the oldest rows"], || {
            a_catch_up_breaks_off(is_empty, 3).map(drop)
        });
    }
}

#[test]
fn a_resumption_does_not_start_anew() {
    let mut world = a_catch_up_breaks_off(false, 3).unwrap();
    let rows = world.counted(1, |counters| counters.rows_received);
    assert!(rows < 60 + 3 * 12, "{rows} rows for 60 paths");
}

#[test]
fn finding_6_rows_are_joined_before_the_flip() {
    depends_on(&["rows are joined under the vector before the flip"], || {
        a_catch_up_breaks_off(false, 1).map(drop)
    });
}

/// A cut is given up for another supplier's, whose first rows are still at the disk when the first supplier
/// is back.
fn a_cut_is_continued_that_is_gone() -> Check {
    let mut world = World::small_mesh(3, 6);
    world.put(2, "own/k/f", "v");
    world.settle()?;
    world.isolate(2, true);
    world.run(8_000);
    for number in 0..60 {
        world.put(0, &format!("c/{number:02}/f"), "some value of some length");
    }
    world.run(1_000);
    world.net.road(0, 2).frame_ms = [0, 100];
    world.net.road(1, 2).frame_ms = [0, 100];
    world.heal(0, 2);
    let has_cut = |world: &World| {
        let running = world.nodes[2].running.as_ref().unwrap();
        running.heads.cuts.get(&Namespace::MAIN).is_some_and(|cut| cut.cursor.is_some())
    };
    world.run_until(20_000, has_cut)?;
    world.cut(0, 2);
    world.run(8_000);
    // From here on the disk is busy for a minute: what the engine knows of its store is old.
    world.nodes[2].commit_ms = 60_000;
    world.put(2, "own/k/f", "slowly");
    world.heal(1, 2);
    world.run(8_000);
    world.cut(1, 2);
    world.run(8_000);
    world.heal(0, 2);
    world.run(8_000);
    world.nodes[2].commit_ms = 1;
    world.run(60_000);
    world.heal(1, 2);
    world.settle()
}

#[test]
fn a_continuation_needs_its_beginning() {
    depends_on(&["a continuation needs its beginning"], a_cut_is_continued_that_is_gone);
}

/// S11: the supplier of a cut is restored to an image older than what it had supplied.
fn a_supplier_falls_back() -> Check {
    let mut world = World::small_mesh(3, 7);
    world.put(1, "own/k/f", "v");
    world.settle()?;
    world.isolate(1, true);
    world.run(8_000);
    for number in 0..30 {
        world.put(2, &format!("c/{number:02}/f"), "some value of some length");
    }
    world.run(1_000);
    let image = world.nodes[0].image();
    for number in 0..30 {
        world.put(2, &format!("c/{number:02}/f"), "another value of that length");
    }
    world.run(1_000);
    world.isolate(2, true);
    world.net.road(0, 1).frame_ms = [0, 100];
    world.heal(0, 1);
    world.run_until(20_000, |world| {
        let running = world.nodes[1].running.as_ref().unwrap();
        let cursor = running.heads.cuts.get(&Namespace::MAIN).and_then(|cut| cut.cursor());
        cursor > Some(path("c/09/f"))
    })?;
    world.cut(0, 1);
    world.restore(0, &image);
    world.put(0, "c/99/f", "written after the restore");
    world.run(8_000);
    world.heal(0, 1);
    world.run(20_000);
    crate::sim::audit::audit(&world, 1)?;
    world.isolate(2, false);
    world.settle()
}

#[test]
fn finding_s11_a_supplier_that_fell_back_starts_anew() {
    depends_on(&["a cut is of one boot", "a cut never falls back"], a_supplier_falls_back);
}

/// A node comes back to four others, each of which could feed it all that it lacks (24, S18).
fn a_node_returns_to_many() -> Check {
    let mut world = World::mesh(5, 108);
    world.isolate(4, true);
    world.run(8_000);
    for number in 0..40 {
        world.put(number % 4, &format!("c/{number}/f"), "v");
    }
    world.run(1_000);
    let before = world.counted(4, |counters| counters.rows_received);
    for node in 0..4 {
        world.net.road(node, 4).frame_ms = [0, 700];
    }
    world.isolate(4, false);
    world.settle()?;
    let rows = world.counted(4, |counters| counters.rows_received) - before;
    ensure!(rows == 40, "{rows} rows for 40 paths");
    Ok(())
}

#[test]
fn finding_24_one_supplier_at_a_time() {
    depends_on(&["one supplier at a time"], a_node_returns_to_many);
}

/// The same within the ring's time, while who wrote it all stays cut off: three relays hold every
/// transaction for it.
fn a_node_returns_to_relays() -> Check {
    let mut world = World::mesh(5, 108);
    world.isolate(4, true);
    world.run(8_000);
    for number in 0..40 {
        world.put(0, &format!("c/{number}/f"), "v");
    }
    world.run(1_000);
    let before = world.counted(4, |counters| counters.rows_received);
    for relay in 1..4 {
        world.delay(relay, 4, 300);
        world.heal(relay, 4);
    }
    world.run(20_000);
    ensure!(world.vv(4) == world.vv(0), "it is not level");
    let rows = world.counted(4, |counters| counters.rows_received) - before;
    ensure!(rows == 40, "{rows} rows for 40 paths");
    Ok(())
}

#[test]
fn finding_s18_a_returning_node_pulls_before_it_is_fed() {
    depends_on(&["a catch-up before the feed"], a_node_returns_to_relays);
}

/// A fresh node's first catch-up goes straight to the final tables; meanwhile another peer pushes a value
/// that the cut has overwritten already.
fn a_push_meets_a_direct_cut() -> Check {
    let mut world = World::small_mesh(3, 10);
    world.cut(0, 2);
    world.cut(1, 2);
    world.run(8_000);
    // 2 is linked to 0 only while nothing is written, and asks it for a feed.
    world.heal(0, 2);
    world.run_until(20_000, |world| world.net.is_linked(0, 2))?;
    world.run(500);
    world.hold(0, 2, Lane::Control, true);
    // One push will arrive, and no more.
    world.put(0, "c/00/f", "overwritten");
    world.run(100);
    world.net.road(0, 2).frame_ms = [100_000, 0];
    for number in 0..120 {
        world.put(0, &format!("c/{number:02}/f"), "some value of some length");
    }
    world.run(100);
    world.net.road(1, 2).frame_ms = [0, 100];
    world.heal(1, 2);
    world.run_until(20_000, |world| {
        let running = world.nodes[2].running.as_ref().unwrap();
        let cut = running.heads.cuts.get(&Namespace::MAIN);
        cut.is_some_and(|cut| cut.direct && cut.cursor() > Some(path("c/09/f")))
    })?;
    world.hold(0, 2, Lane::Control, false);
    world.run(100);
    world.cut(0, 2);
    world.run(20_000);
    world.net.road(0, 2).frame_ms = [0, 0];
    world.heal(0, 2);
    world.settle()
}

#[test]
fn a_direct_cut_meets_an_empty_state() {
    depends_on(&["a direct cut meets an empty state"], a_push_meets_a_direct_cut);
}

/// A fresh node writes while its first catch-up is broken off, and the supplier hears of that elsewhere. The
/// catch-up goes on with a vector that its rows so far cannot be under; all that is left of it is one slice
/// and the flip, which reach the writer together.
fn a_cut_flips_without_its_last_slice() -> Check {
    let mut world = World::small_mesh(3, 10);
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        world.cut(a, b);
    }
    world.run(8_000);
    for number in 0..60 {
        world.put(0, &format!("c/{number:02}/f"), "some value of some length");
    }
    world.run(100);
    world.net.road(0, 1).frame_ms = [0, 100];
    world.heal(0, 1);
    world.run_until(20_000, |world| {
        let running = world.nodes[1].running.as_ref().unwrap();
        let cut = running.heads.cuts.get(&Namespace::MAIN);
        cut.is_some_and(|cut| cut.direct && cut.cursor() > Some(path("c/53/f")))
    })?;
    world.cut(0, 1);
    world.put(1, "own/k/f", "v");
    world.heal(1, 2);
    world.run(8_000);
    world.isolate(1, true);
    world.run(8_000);
    world.heal(0, 2);
    world.run(8_000);
    world.heal(0, 1);
    world.run(8_000);
    world.heal(1, 2);
    world.settle()?;
    let values = world.values(1, "c/59/f");
    ensure!(values == ["some value of some length"], "the last row: {values:?}");
    Ok(())
}

#[test]
fn a_flip_ends_the_cut_that_it_was_meant_for() {
    depends_on(&["a flip names its cut"], a_cut_flips_without_its_last_slice);
}

/// A supplier with a rotten entry can serve no catch-up that meets it.
fn a_supplier_rots() -> Check {
    let mut world = World::mesh(2, 60);
    world.isolate(1, true);
    world.put(0, "c/k/f", "rotten soon");
    world.run(5_000);
    world.nodes[0].store.rot(Namespace::MAIN, path("c/k/f"));
    world.isolate(1, false);
    world.heard = Some(Default::default());
    world.run(60_000);
    let asked = world.heard.take().unwrap_or_default().get("Pull").copied().unwrap_or(0);
    ensure!((5..30).contains(&asked), "asked {asked} times in a minute");
    Ok(())
}

#[test]
fn whoever_refuses_is_asked_ever_later() {
    depends_on(&["whoever refuses is asked ever later"], a_supplier_rots);
}
