//! A large catch-up that is visible and not yet folded: findings 4, 6, S16 and S17.

use millpond_core::Namespace;

use super::depends_on;
use crate::sim::world::{Check, World, ensure};

/// A node that has written catches up on so many rows, and its disk is slow from when they are visible: they
/// stay unfolded for a while.
fn a_node_that_folds(count: usize, rows: usize, seed: u64) -> Result<World, String> {
    let mut world = World::small_mesh(count, seed);
    world.put(1, "own/k/f", "v");
    world.put(1, "c/05/f", "of before");
    world.settle()?;
    (1..count).for_each(|id| world.isolate(id, true));
    world.run(8_000);
    world.delete(0, "c/05/f");
    for number in 0..rows {
        if number != 5 {
            world.put(0, &format!("c/{number:02}/f"), "some value of some length");
        }
    }
    world.run(1_000);
    world.heal(0, 1);
    world.run_until(30_000, |world| is_folding(world, 1))?;
    world.nodes[1].commit_ms = 300;
    Ok(world)
}

fn is_folding(world: &World, id: usize) -> bool {
    let running = world.nodes[id].running.as_ref();
    running.is_some_and(|it| it.heads.folds.contains_key(&Namespace::MAIN))
}

/// Until its disk has folded everything, a reader looks at each moment.
fn fold_whole(world: &mut World, rows: usize) -> Check {
    let mut looks = 0;
    while is_folding(world, 1) {
        let seen = world.entries(1, Namespace::MAIN);
        ensure!(seen.len() >= rows, "{} of {rows} rows are seen", seen.len());
        world.run(50);
        looks += 1;
    }
    ensure!(looks > 10, "{looks} looks: it was not sliced");
    Ok(())
}

#[test]
fn finding_6_readers_see_all_of_a_cut_while_it_is_folded() {
    depends_on(&["a cut is seen whole"], || {
        let mut world = a_node_that_folds(2, 40, 21)?;
        ensure!(world.values(1, "c/05/f").is_empty(), "a delete is not seen");
        fold_whole(&mut world, 40)?;
        world.settle()
    });
}

/// Overwritten, deleted, put anew where the cut has deleted: the last row, so that it is not folded yet.
fn writes_meet_a_fold() -> Check {
    let mut world = a_node_that_folds(2, 40, 22)?;
    world.put(1, "c/39/f", "written over");
    world.delete(1, "c/38/f");
    world.put(1, "c/05/f", "put again");
    world.run(400);
    ensure!(is_folding(&world, 1), "it was folded too early for this test");
    world.settle()?;
    for id in [0, 1] {
        ensure!(world.values(id, "c/39/f") == ["written over"], "at {id}: overwritten is undone");
        ensure!(world.values(id, "c/38/f").is_empty(), "at {id}: deleted comes back");
        ensure!(world.values(id, "c/05/f") == ["put again"], "at {id}: put again is gone");
    }
    Ok(())
}

#[test]
fn finding_6_a_write_folds_its_path_first() {
    depends_on(&["a write folds its path first"], writes_meet_a_fold);
}

/// The power fails again and again while the node folds, and it goes on.
#[test]
fn a_fold_goes_on_after_a_crash() {
    depends_on(&["a fold goes on"], || {
        let mut world = a_node_that_folds(2, 40, 23)?;
        for round in 0..4 {
            world.run(400 + 150 * round);
            world.crash(1, round % 2 == 0);
            world.start(1);
            let seen = world.entries(1, Namespace::MAIN);
            ensure!(seen.len() >= 40, "round {round}: {} rows are seen", seen.len());
            crate::sim::audit::audit(&world, 1)?;
        }
        ensure!(is_folding(&world, 1), "it was folded too early for this test");
        world.isolate(1, true);
        world.run(30_000);
        ensure!(!is_folding(&world, 1), "it has stopped folding");
        world.isolate(1, false);
        world.settle()
    });
}

/// A third node asks the one that folds, and nobody else can be asked.
#[test]
fn finding_s16_a_node_that_folds_supplies_all() {
    depends_on(&["what is supplied is folded"], || {
        let mut world = a_node_that_folds(3, 40, 24)?;
        world.isolate(0, true);
        world.put(1, "c/zz/f", "written meanwhile");
        world.nodes[1].commit_ms = 2_000;
        world.heal(1, 2);
        world.run_until(25_000, |world| world.vv(2) == world.vv(1))?;
        ensure!(is_folding(&world, 1), "it was folded too early for this test");
        let (here, there) = (world.entries(1, Namespace::MAIN), world.entries(2, Namespace::MAIN));
        ensure!(here == there, "they differ");
        world.nodes[1].commit_ms = 1;
        world.isolate(0, false);
        world.isolate(2, false);
        world.settle()
    });
}

/// The next large catch-up comes while the disk folds the one before it, for longer than a supplier may be
/// silent.
fn a_catch_up_follows_a_fold() -> Check {
    let mut world = a_node_that_folds(2, 60, 25)?;
    world.nodes[1].commit_ms = 2_000;
    world.isolate(1, true);
    world.run(8_000);
    for number in 0..60 {
        world.put(0, &format!("d/{number:02}/f"), "some value of some length");
    }
    world.run(1_000);
    ensure!(is_folding(&world, 1), "it was folded too early for this test");
    let before = world.counted(1, |counters| counters.rows_received);
    world.heal(0, 1);
    world.run_until(300_000, |world| !is_folding(world, 1))?;
    world.nodes[1].commit_ms = 1;
    world.settle()?;
    let rows = world.counted(1, |counters| counters.rows_received) - before;
    ensure!(rows <= 62, "{rows} rows came for 60");
    Ok(())
}

#[test]
fn a_cut_waits_for_the_fold_before_it() {
    depends_on(&["a cut waits for the fold before it"], a_catch_up_follows_a_fold);
}

#[test]
fn finding_s16_a_catch_up_outlasts_the_fold_before_it() {
    depends_on(&["a catch-up outlasts the fold before it"], a_catch_up_follows_a_fold);
}

/// The disk is full for a while in the middle of a fold: reads go on, and so does the fold afterwards.
#[test]
fn a_fold_waits_for_room() {
    let mut world = a_node_that_folds(2, 40, 26).unwrap();
    world.nodes[1].is_full = true;
    world.run(20_000);
    assert!(is_folding(&world, 1));
    assert_eq!(world.values(1, "c/39/f"), ["some value of some length"]);
    world.nodes[1].is_full = false;
    world.nodes[1].commit_ms = 1;
    world.settle().unwrap();
    assert!(!is_folding(&world, 1));
}

/// A catch-up of large rows over a slow road: how old the supplier's snapshot gets, and how many rows come.
fn a_slow_catch_up() -> Check {
    let mut world = World::small_mesh(2, 27);
    world.put(1, "own/k/f", "v");
    world.settle()?;
    world.cut(0, 1);
    world.run(8_000);
    for number in 0..60 {
        world.put(0, &format!("c/{number:02}/f"), &"a large value ".repeat(1_500));
    }
    world.run(100);
    world.net.road(0, 1).frame_ms = [0, 500];
    world.heal(0, 1);
    let mut oldest_ms = 0;
    for round in 0..300 {
        world.run(100);
        if round % 30 == 0 {
            world.put(0, &format!("c/{:02}/f", round / 30), "changed meanwhile");
        }
        let running = world.nodes[0].running.as_ref().expect("it runs");
        oldest_ms = oldest_ms.max(running.engine.inspect().oldest_snapshot_ms);
    }
    world.net.road(0, 1).frame_ms = [0, 0];
    world.settle()?;
    for round in 0..10 {
        let values = world.values(1, &format!("c/{round:02}/f"));
        ensure!(values == ["changed meanwhile"], "round {round}: {values:?}");
    }
    ensure!(oldest_ms > 2_000, "it was not slow: {oldest_ms} ms");
    ensure!(oldest_ms <= 4_000, "a snapshot was held for {oldest_ms} ms");
    let rows = world.counted(1, |counters| counters.rows_received);
    ensure!(rows < 110, "{rows} rows for 60 paths of which 10 changed");
    Ok(())
}

#[test]
fn finding_5_a_snapshot_is_given_back_in_time() {
    depends_on(&["a snapshot is given back in time"], a_slow_catch_up);
}
