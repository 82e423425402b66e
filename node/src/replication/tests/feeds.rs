//! Live feeds: findings 21, S7, S13 and S14.

use millpond_core::transport::Lane;

use super::depends_on;
use crate::planted;
use crate::sim::world::{Check, World, ensure};

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

/// 21: A starts again and overwrites what it had from B before; that has not reached C.
fn a_restarted_node_overwrites() -> Check {
    let mut world = World::mesh(3, 21);
    world.hold(B, C, Lane::Control, true);
    world.put(B, "c/k/f", "of B");
    world.run(200);
    world.crash(A, true);
    world.start(A);
    world.run(300);
    world.hold(A, C, Lane::Bulk, true);
    world.put(A, "c/k/f", "of A");
    world.run(500);
    world.hold(B, C, Lane::Control, false);
    world.hold(A, C, Lane::Bulk, false);
    world.settle()?;
    ensure!(world.values(C, "c/k/f") == ["of A"], "{:?}", world.values(C, "c/k/f"));
    Ok(())
}

#[test]
fn finding_21_the_first_push_of_a_boot_depends_on_all() {
    depends_on(
        &[
            "the first push of a boot depends on all",
            "the ring has a base",
            "a push overwrites only what it depends on",
        ],
        a_restarted_node_overwrites,
    );
    // Each of these two is enough without the other.
    planted::without(&["the first push of a boot depends on all"], a_restarted_node_overwrites)
        .unwrap();
    planted::without(&["the ring has a base"], a_restarted_node_overwrites).unwrap();
}

/// 21: B catches up from A while it feeds C, which A cannot reach.
fn a_relay_catches_up() -> Check {
    let mut world = World::mesh(3, 22);
    world.cut(A, C);
    world.cut(A, B);
    world.run(8_000);
    for number in 0..20 {
        world.put(A, &format!("c/{number}/f"), "v");
    }
    world.run(1_000);
    world.heal(A, B);
    world.run_until(20_000, |world| !world.values(B, "c/19/f").is_empty())?;
    let ms = world.run_until(10_000, |world| !world.values(C, "c/19/f").is_empty())?;
    ensure!(ms <= 2_000, "C has it {ms} ms after B");
    let rows = world.counted(C, |counters| counters.rows_received);
    ensure!(rows < 20 + 20, "{rows} rows");
    Ok(())
}

#[test]
fn finding_21_the_ring_has_a_base() {
    depends_on(&["the ring has a base"], a_relay_catches_up);
    depends_on(&["a catch-up raises the ring's base"], a_relay_catches_up);
    depends_on(&["a fed peer is told of a cut"], a_relay_catches_up);
}

/// What A writes reaches C through B.
fn a_relay_forwards() -> Check {
    let mut world = World::mesh(3, 23);
    world.cut(A, C);
    world.run(8_000);
    world.put(A, "c/k/f", "v");
    world.run_until(2_000, |world| !world.values(C, "c/k/f").is_empty())?;
    world.heal(A, C);
    world.settle()
}

#[test]
fn what_is_held_back_is_forwarded() {
    depends_on(&["what is held back is forwarded"], a_relay_forwards);
}

/// S7: a node opens a new incarnation while linked; nobody has heard of that one.
fn an_incarnation_is_new() -> Check {
    let mut world = World::mesh(3, 7);
    world.nodes[A].keeps_lease = false;
    world.put(A, "c/k/f", "before");
    world.settle()?;
    world.crash(A, true);
    world.start(A);
    world.settle()?;
    // Without a lease the write opens an incarnation.
    world.put(A, "c/k/f", "after");
    world.run_until(2_000, |world| world.values(B, "c/k/f") == ["after"])?;
    world.settle()
}

#[test]
fn finding_s7_a_new_incarnation_is_introduced() {
    depends_on(&["a push introduces its incarnations"], an_incarnation_is_new);
}

/// S13: A writes at full speed, and its link to C lags more and more behind that to B.
fn a_link_lags() -> Check {
    let mut world = World::mesh(3, 13);
    world.put(A, "c/0/f", "v");
    world.settle()?;
    let rows = |world: &mut World| world.counted(C, |counters| counters.rows_received);
    let before = rows(&mut world);
    let mut written = 0;
    for round in 0..600 {
        world.put(A, &format!("c/{round}/f"), "v");
        written += 1;
        world.run(10);
        if round % 2 == 0 && round < 500 {
            world.delay(A, C, 12 * round as u64);
        }
    }
    world.settle()?;
    let rows = rows(&mut world) - before;
    ensure!(rows == written, "{rows} rows for {written} writes");
    Ok(())
}

#[test]
fn finding_s13_progress_restarts_the_clocks() {
    depends_on(&["progress restarts the clocks"], a_link_lags);
}

/// S14: nothing goes wrong, and nobody sends twice.
fn writes_go_out() -> Check {
    let mut world = World::mesh(3, 14);
    let received = |world: &mut World| -> u64 {
        (0..3).map(|id| world.counted(id, |counters| counters.rows_received)).sum()
    };
    let before = received(&mut world);
    for round in 0..30 {
        world.put(round % 3, &format!("c/{round}/f"), "v");
        world.run(300);
    }
    world.settle()?;
    let rows = received(&mut world) - before;
    ensure!(rows == 60, "{rows} rows for 30 writes");
    Ok(())
}

#[test]
fn finding_s14_acks_are_prompt() {
    depends_on(&["acks are prompt"], writes_go_out);
}

/// A slow disk: what is received need not be sent again.
#[test]
fn what_a_slow_disk_has_not_written_is_not_sent_again() {
    let mut world = World::mesh(3, 15);
    let before = world.counted(C, |counters| counters.rows_received);
    world.nodes[C].commit_ms = 2_500;
    world.put(A, "c/k/f", "v");
    world.settle().unwrap();
    assert_eq!(world.counted(C, |counters| counters.rows_received) - before, 1);
}

/// Two nodes that write without a pause come level, and stop pulling.
#[test]
fn steady_writers_do_not_pull_for_ever() {
    let mut world = World::mesh(2, 16);
    world.cut(0, 1);
    world.run(8_000);
    world.heal(0, 1);
    for round in 0..2_000 {
        world.put(round % 2, &format!("c/{round}/f"), "v");
        world.run(10);
    }
    world.settle().unwrap();
    let pulls = [0, 1].map(|id| world.counted(id, |counters| counters.pulls));
    assert!(pulls.iter().sum::<u64>() <= 8, "{pulls:?} catch-ups");
}
