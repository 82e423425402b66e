//! Conflicts that are ended and brought back: what is decided never wins over what its maker has not seen.

use millpond_core::types::multi;
use millpond_core::{Dot, Hlc, Namespace};

use super::depends_on;
use crate::sim::net::NodeId;
use crate::sim::world::{Check, World, ensure, path};

const AT: &str = "c/k/f";
const DECIDES: NodeId = 0;
const AWAY: NodeId = 2;

/// What lives at the path on a node: dots, stamps and values, the one that shows first.
fn held(world: &World, id: NodeId) -> Vec<(Dot, Hlc, String)> {
    let entry = world.view(id, Namespace::MAIN).entry(&path(AT)).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let live = multi::read(&entry);
    live.into_iter().map(|it| (it.dot, it.hlc, text(&it.payload.bytes))).collect()
}

fn values(world: &World, id: NodeId) -> Vec<String> {
    held(world, id).into_iter().map(|(_, _, value)| value).collect()
}

/// Nodes 0 and 1 have written at once, and know it; node 2 knows neither.
fn torn(seed: u64) -> Result<World, String> {
    let mut world = World::mesh(3, seed);
    world.isolate(AWAY, true);
    world.cut(DECIDES, 1);
    world.put(DECIDES, AT, "early");
    world.run(50);
    world.put(1, AT, "late");
    world.run(50);
    world.heal(DECIDES, 1);
    let both = |world: &World| (0..2).all(|id| values(world, id) == ["late", "early"]);
    world.run_until(20_000, both)?;
    Ok(world)
}

fn keep(world: &mut World, value: &'static str) -> Result<(), String> {
    let found = held(world, DECIDES).into_iter().find(|(_, _, held)| held == value);
    let (dot, ..) = found.ok_or("it is not there")?;
    world.write(DECIDES, move |tx| tx.keep(&path(AT), dot).map(drop));
    world.run_until(1_000, |world| values(world, DECIDES) == [value]).map(drop)
}

fn a_later_write_wins() -> Check {
    let mut world = torn(90)?;
    world.put(AWAY, AT, "latest");
    world.run(1_000);
    let latest = held(&world, DECIDES)[0].1;
    keep(&mut world, "early")?;
    ensure!(held(&world, DECIDES)[0].1 <= latest, "a decision takes a stamp of its own");
    world.isolate(AWAY, false);
    world.settle()?;
    for id in 0..3 {
        let held = values(&world, id);
        ensure!(held == ["latest", "early"], "{id} shows {held:?}");
    }
    Ok(())
}

/// The decision is made after the other write, which it has not seen: by a fresh stamp it would win.
#[test]
fn a_decision_does_not_win_over_a_later_write_that_it_has_not_seen() {
    depends_on(&["a decision keeps the stamp of what it decides"], a_later_write_wins);
}

/// What was older than the values decided about did not show before, and does not show now.
#[test]
fn what_lost_before_a_decision_loses_after_it() {
    let mut world = World::mesh(3, 91);
    world.isolate(AWAY, true);
    world.put(AWAY, AT, "oldest");
    world.run(50);
    world.cut(DECIDES, 1);
    world.put(DECIDES, AT, "early");
    world.run(50);
    world.put(1, AT, "late");
    world.heal(DECIDES, 1);
    let both = |world: &World| values(world, DECIDES) == ["late", "early"];
    world.run_until(20_000, both).unwrap();
    keep(&mut world, "early").unwrap();
    world.isolate(AWAY, false);
    world.settle().unwrap();
    (0..3).for_each(|id| assert_eq!(values(&world, id), ["early", "oldest"]));
}

/// Both values come back in the place of the one that was kept, with their stamps; what was written beside it in the
/// meantime stays.
fn comes_back() -> Check {
    let mut world = torn(92)?;
    let before = held(&world, DECIDES);
    keep(&mut world, "early")?;
    world.put(AWAY, AT, "beside");
    world.isolate(AWAY, false);
    world.settle()?;
    let kept = held(&world, DECIDES).into_iter().find(|(_, _, value)| value == "early");
    let over = kept.ok_or("it is not there")?.0;
    let [(_, late_at, _), (_, early_at, _)] = before[..] else {
        return Err("there were two".into());
    };
    let payload = |value: &str| crate::sim::world::text(value);
    let (late, early) = (payload("late"), payload("early"));
    world.write(DECIDES, move |tx| tx.restore(&path(AT), late.clone(), late_at, None));
    world.write(DECIDES, move |tx| tx.restore(&path(AT), early.clone(), early_at, Some(over)));
    world.settle()?;
    for id in 0..3 {
        let values = values(&world, id);
        ensure!(values == ["beside", "late", "early"], "{id} has {values:?}");
        let stamps: Vec<Hlc> = held(&world, id)[1..].iter().map(|it| it.1).collect();
        ensure!(stamps == [late_at, early_at], "{id} has other stamps");
    }
    Ok(())
}

#[test]
fn what_was_ended_is_brought_back_in_the_place_of_the_decision() {
    depends_on(&["what is brought back leaves what is beside it"], comes_back);
}
