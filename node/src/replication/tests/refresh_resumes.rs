//! A refresh that breaks off goes on with what is staged of it, where that is right (S11, finding 14).

use millpond_core::{Boot, Namespace, NodeKey, VersionVector};

use super::depends_on;
use super::floors::lose_tombstones;
use crate::planted;
use crate::sim::world::{Check, World, ensure};
use crate::state::{Cut, CutMark, Heads, Job, JobError, Takeover, commit_group};
use crate::store::memory::MemoryStore;

/// Keys that change while node 1 is away.
const CHANGED: usize = 120;

/// What is staged at a node.
fn cut(world: &World, id: usize) -> Option<CutMark> {
    world.nodes[id].running.as_ref()?.heads.cuts.get(&Namespace::MAIN).cloned()
}

/// Rows that node 1 has received in this boot.
fn received(world: &mut World) -> u64 {
    world.status(1).totals.links.rows_received
}

/// Two nodes of which one was absent while the other changed much and forgot a delete; their refresh has just
/// broken off, with a good part staged at the one that was absent. Says how many rows that are.
fn broken_off(seed: u64) -> Result<(World, u64), String> {
    let mut world = World::small_mesh(3, seed);
    for key in 0..160 {
        world.put(0, &format!("c/{key:03}/f"), "old");
    }
    world.settle()?;
    world.isolate(1, true);
    world.isolate(2, true);
    world.run(4_000);
    world.delete(0, "c/150/f");
    for key in 0..CHANGED {
        world.put(0, &format!("c/{key:03}/f"), "new");
    }
    world.put(1, "c/own/f", "unsynced");
    world.run(4_000);
    lose_tombstones(&mut world, 0);
    world.net.road(0, 1).bytes_per_ms = 40;
    world.heal(0, 1);
    let is_half = |world: &World| cut(world, 1).is_some_and(|cut| cut.rows > 50);
    world.run_until(30_000, is_half)?;
    world.isolate(1, true);
    let now_ms = world.now_ms;
    world.net.break_links(now_ms, 0, 1);
    world.net.road(0, 1).bytes_per_ms = 0;
    world.run(1_000);
    ensure!(world.values(1, "c/000/f") == ["old"], "a part of a refresh is visible");
    let held = cut(&world, 1).ok_or("nothing is staged")?;
    ensure!(held.compared.is_some() && held.rows < CHANGED as u64, "{held:?}");
    Ok((world, held.rows))
}

/// Both are linked again, and become level.
fn goes_on(world: &mut World) -> Check {
    world.heal(0, 1);
    world.run(30_000);
    ensure!(world.vv(0) == world.vv(1), "not level: {:?} {:?}", world.vv(0), world.vv(1));
    ensure!(cut(world, 1).is_none(), "a cut stays");
    for id in [0, 1] {
        for (path, expected) in [("c/150/f", &[][..]), ("c/own/f", &["unsynced"])] {
            let found = world.values(id, path);
            ensure!(found == expected, "{id} holds {found:?} at {path}");
        }
    }
    Ok(())
}

/// All keys that changed are as they were changed.
fn all_changed(world: &World) -> Check {
    for key in 0..CHANGED {
        let found = world.values(1, &format!("c/{key:03}/f"));
        ensure!(found == ["new"], "{found:?} at {key}");
    }
    Ok(())
}

/// What came before the break is not sent again: but for deletes, and what was on its way to the disk.
fn few_come_again(rows: u64, staged: u64) -> Check {
    let expected = CHANGED as u64 + 30 - staged;
    ensure!(rows <= expected, "{rows} rows came after the break, {staged} were staged before");
    Ok(())
}

fn after_a_cut_of_the_link() -> Check {
    let (mut world, staged) = broken_off(61)?;
    let before = received(&mut world);
    goes_on(&mut world)?;
    all_changed(&world)?;
    few_come_again(received(&mut world) - before, staged)
}

fn after_the_death_of_the_asker() -> Check {
    let (mut world, staged) = broken_off(62)?;
    world.crash(1, true);
    world.start(1);
    goes_on(&mut world)?;
    all_changed(&world)?;
    few_come_again(received(&mut world), staged)
}

fn after_the_death_of_the_supplier() -> Check {
    let (mut world, staged) = broken_off(63)?;
    let before = received(&mut world);
    world.crash(0, true);
    world.start(0);
    goes_on(&mut world)?;
    all_changed(&world)?;
    few_come_again(received(&mut world) - before, staged)
}

#[test]
fn a_refresh_that_broke_off_goes_on_with_what_is_staged() {
    depends_on(&["what is staged is not sent again"], after_a_cut_of_the_link);
    depends_on(&["what is staged is not sent again"], after_the_death_of_the_asker);
    depends_on(&["what is staged is not sent again"], after_the_death_of_the_supplier);
}

/// The supplier deletes what is staged, changes some of it, and forgets the deletes.
#[test]
fn finding_s11_what_a_supplier_has_collected_since_does_not_come_back() {
    depends_on(&["what is staged and differs is dropped"], || {
        let (mut world, staged) = broken_off(64)?;
        for key in ["000", "003"] {
            world.delete(0, &format!("c/{key}/f"));
        }
        world.put(0, "c/001/f", "newer");
        world.run(1_000);
        lose_tombstones(&mut world, 0);
        let before = received(&mut world);
        goes_on(&mut world)?;
        ensure!(world.values(1, "c/001/f") == ["newer"], "{:?}", world.values(1, "c/001/f"));
        for path in ["c/000/f", "c/003/f"] {
            ensure!(world.values(1, path).is_empty(), "{path} is back");
        }
        few_come_again(received(&mut world) - before, staged)
    });
}

/// Meanwhile the asker changes some of what is staged. (Both dial at once here, and lose a link once more.)
#[test]
fn what_the_asker_writes_meanwhile_stays() {
    let (mut world, _) = broken_off(65).unwrap();
    world.put(1, "c/000/f", "unsynced");
    world.delete(1, "c/002/f");
    world.run(1_000);
    goes_on(&mut world).unwrap();
    for id in [0, 1] {
        let mut found = world.values(id, "c/000/f");
        found.sort();
        assert_eq!(found, ["new", "unsynced"]);
        assert_eq!(world.values(id, "c/002/f"), ["new"], "it is newer than what was deleted");
        assert_eq!(world.values(id, "c/004/f"), ["new"]);
    }
}

/// The supplier is put back to before what is staged, which says that a write of the asker's was deleted.
#[test]
fn finding_s11_who_fell_back_does_not_complete_what_is_staged() {
    depends_on(&["who has seen what is staged goes on with it"], || {
        let mut world = World::small_mesh(2, 66);
        for key in 0..160 {
            world.put(0, &format!("c/{key:03}/f"), "old");
        }
        world.settle()?;
        let image = world.nodes[0].image();
        world.put(1, "c/#/f", "mine");
        world.delete(1, "c/152/f");
        world.run(20_000);
        let floor = |world: &World| world.nodes[1].running.as_ref().unwrap().heads.floor.clone();
        ensure!(!floor(&world)[&Namespace::MAIN].is_empty(), "nothing is collected");
        world.isolate(1, true);
        world.run(4_000);
        world.delete(0, "c/150/f");
        world.run(1_000);
        lose_tombstones(&mut world, 0);
        world.run(1_000);
        world.delete(0, "c/#/f");
        for key in 0..CHANGED {
            world.put(0, &format!("c/{key:03}/f"), "lost");
        }
        world.run(1_000);
        world.net.road(0, 1).bytes_per_ms = 40;
        world.isolate(1, false);
        let is_half = |world: &World| cut(world, 1).is_some_and(|cut| cut.rows > 20);
        world.run_until(30_000, is_half)?;
        world.isolate(1, true);
        let now_ms = world.now_ms;
        world.net.break_links(now_ms, 0, 1);
        world.net.road(0, 1).bytes_per_ms = 0;
        world.run(1_000);
        let held: VersionVector = cut(&world, 1).ok_or("nothing is staged")?.upto;
        world.restore(0, &image);
        ensure!(!world.vv(0).covers_all(&held), "it has not fallen back");
        world.isolate(1, false);
        world.run(60_000);
        ensure!(world.vv(0) == world.vv(1), "not level: {:?} {:?}", world.vv(0), world.vv(1));
        for id in [0, 1] {
            let found = world.values(id, "c/#/f");
            ensure!(found == ["mine"], "{id} holds {found:?}");
            let found = world.values(id, "c/000/f");
            ensure!(found == ["old"], "{id} holds {found:?}");
        }
        Ok(())
    });
}

/// A slice was at the disk when the link broke, and comes to the cut after that was compared.
#[test]
fn what_came_late_is_not_taken_over() {
    let takes_over = || {
        let (store, mut heads) = (MemoryStore::new(), Heads::default());
        let mut mark = CutMark {
            supplier: NodeKey::from_bytes([2; 32]),
            boot: Boot { counter: 1, random: 0 },
            from: VersionVector::new(),
            upto: VersionVector::new(),
            floor: VersionVector::new(),
            since: VersionVector::new(),
            rows: 1,
            cursor: None,
            direct: false,
            compared: Some(VersionVector::new()),
        };
        let mut commit = |mark: &CutMark, begins, held: Option<CutMark>| {
            let takes = Takeover { held: held.map(Box::new), dropped: Vec::new() };
            let (namespace, mark, rows) = (Namespace::MAIN, mark.clone(), Vec::new());
            let job = Job::Cut(Cut { namespace, mark, begins, rows, takes });
            commit_group(&store, &mut heads, vec![job]).unwrap().remove(0).map(drop)
        };
        commit(&mark, true, None).unwrap();
        let compared = mark.clone();
        mark.rows = 2;
        commit(&mark, false, None).unwrap();
        mark.boot.counter = 2;
        commit(&mark, false, Some(compared))
    };
    assert!(matches!(takes_over(), Err(JobError::Changed)));
    planted::without(&["a refresh takes over what it compared"], || takes_over().unwrap());
}
