//! Indexes at nodes that catch up, fold, crash, and look through their stores.

use millpond_core::Namespace;

use super::depends_on;
use super::verifies::verify;
use crate::indexes::audit::audit;
use crate::sim::world::{Check, World, ensure};
use crate::store::{Changes, Durability, Snapshot, Store};

/// Nodes with indexes, of which the second has been away while the first wrote so many records, and is folding them.
fn folds(rows: usize, seed: u64) -> Result<World, String> {
    let mut world = World::small_mesh(2, seed);
    world.declare_indexes();
    world.put(1, "at/own/f", "m");
    world.put(1, "at/05/f", "of before");
    world.settle()?;
    world.isolate(1, true);
    world.run(8_000);
    world.delete(0, "at/05/f");
    for number in (0..rows).filter(|number| *number != 5) {
        world.put(0, &format!("at/{number:02}/f"), &format!("value {}", (number * 7) % rows));
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

fn is_right(world: &World, id: usize) -> Check {
    let running = world.nodes[id].running.as_ref().expect("it runs");
    let snapshot = world.nodes[id].store.snapshot().map_err(|error| error.to_string())?;
    audit(&snapshot, &running.heads.indexing.declared, None)
}

fn has_work(world: &World, id: usize) -> bool {
    let heads = &world.nodes[id].running.as_ref().expect("it runs").heads;
    heads.indexing.has_work(heads)
}

#[test]
fn records_of_a_cut_that_is_being_folded_are_found() {
    depends_on(&["what an index does not tell of is looked at"], || {
        let mut world = folds(40, 31)?;
        let mut looks = 0;
        while is_folding(&world, 1) {
            is_right(&world, 1)?;
            world.run(100);
            looks += 1;
        }
        ensure!(looks > 10, "{looks} looks: it was not sliced");
        is_right(&world, 1)?;
        world.settle()
    });
}

/// A fresh node takes its first catch-up straight into the tables, where it lies hidden until it is whole.
#[test]
fn what_a_first_catch_up_brings_is_indexed_when_it_shows() {
    depends_on(&["what was hidden is indexed anew"], || {
        let mut world = World::small_mesh(1, 32);
        world.declare_indexes();
        for number in 0..60 {
            world.put(0, &format!("at/{number:02}/f"), &format!("value {}", (number * 7) % 60));
        }
        world.settle()?;
        let node = world.join();
        let until_ms = world.now_ms + 60_000;
        while world.entries(node, Namespace::MAIN).len() < 60 {
            ensure!(world.now_ms < until_ms, "it has not come");
            is_right(&world, node)?;
            world.run(1);
        }
        world.run_until(60_000, |world| !has_work(world, node))?;
        is_right(&world, node)
    });
}

/// The power fails again and again while an index is built, and records change meanwhile.
#[test]
fn building_goes_on_after_a_crash_and_follows_changes() {
    depends_on(&["an index that is being built follows changes"], || {
        let mut world = World::small_mesh(1, 33);
        for number in 0..60 {
            world.put(0, &format!("at/{number:02}/f"), &format!("value {number}"));
        }
        world.settle()?;
        world.nodes[0].commit_ms = 50;
        world.declare_indexes();
        for round in 0..8 {
            world.run(60 + 40 * round);
            world.put(0, &format!("at/{:02}/f", 2 * round), &format!("changed in {round}"));
            world.delete(0, &format!("at/{:02}/f", 2 * round + 1));
            world.run(60);
            is_right(&world, 0)?;
            if round % 5 != 4 {
                world.crash(0, round % 2 == 0);
                world.nodes[0].boots = 1; // the same program
                world.start(0);
            }
            is_right(&world, 0)?;
        }
        ensure!(has_work(&world, 0), "it was built too early for this test");
        world.run_until(60_000, |world| !has_work(world, 0))?;
        is_right(&world, 0)
    });
}

/// A row is lost from the file, unseen.
#[test]
fn a_look_through_the_store_has_a_wrong_index_built_anew() {
    depends_on(&["an index that is wrong is built anew"], || {
        let mut world = World::small_mesh(2, 34);
        world.declare_indexes();
        for number in 0..10 {
            world.put(0, &format!("at/{number}/f"), &format!("value {number}"));
        }
        world.settle()?;
        world.run_until(60_000, |world| !has_work(world, 1))?;
        is_right(&world, 1)?;
        let (of, row) = some_row(&world, 1)?;
        let mut changes = Changes::default();
        changes.staged.insert((of, row), None);
        let lost = world.nodes[1].store.commit(&changes, Durability::Synced);
        lost.map_err(|error| error.to_string())?;
        ensure!(is_right(&world, 1).is_err(), "the row was not in the index");
        ensure!(verify(&mut world, 1, true)?.is_sound, "the data is sound");
        world.run_until(60_000, |world| !has_work(world, 1))?;
        is_right(&world, 1)
    });
}

fn some_row(world: &World, id: usize) -> Result<(Namespace, millpond_core::Path), String> {
    let indexing = &world.nodes[id].running.as_ref().expect("it runs").heads.indexing;
    let stored = indexing.stored.as_ref().ok_or("it keeps no index")?;
    let of = crate::indexes::rows_of(stored.kept[0].number);
    let snapshot = world.nodes[id].store.snapshot().map_err(|error| error.to_string())?;
    let mut some = None;
    let look: &dyn Snapshot = &*snapshot;
    look.staged(of, None, &mut |row, _| {
        some = Some(row);
        std::ops::ControlFlow::Break(())
    })
    .map_err(|error| error.to_string())?;
    Ok((of, some.ok_or("the index has no row")?))
}
