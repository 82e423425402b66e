//! Whom a node dials, and when: outages end soon, and nobody is flooded.

use super::depends_on;
use crate::sim::net::NodeId;
use crate::sim::world::{Check, World, ensure};

/// Two nodes were apart for half a minute.
fn an_outage_is_short() -> Check {
    for seed in 90..96 {
        let mut world = World::mesh(2, seed);
        world.cut(0, 1);
        world.run(33_000);
        world.heal(0, 1);
        world.run_until(1_300, |world| world.net.is_linked(0, 1))?;
    }
    Ok(())
}

#[test]
fn a_short_outage_is_over_soon() {
    depends_on(&["a short outage is redialled soon"], an_outage_is_short);
}

/// All but one are gone.
fn most_are_gone() -> Check {
    let mut world = World::mesh(MANY, 97);
    (1..MANY).for_each(|node| world.crash(node, true));
    world.run(4_000);
    let before = world.net.dials();
    world.run(10_000);
    let dials = world.net.dials() - before;
    ensure!((100..=220).contains(&dials), "{dials} dials in 10 s");
    Ok(())
}

#[test]
fn a_node_that_is_cut_off_floods_nobody() {
    depends_on(&["dials of many absent members are few"], most_are_gone);
}

/// A node was cut off from all others for minutes.
fn all_come_back_at_once() -> Check {
    for seed in 98..102 {
        let mut world = World::mesh(4, seed);
        world.isolate(0, true);
        world.run(250_000);
        world.isolate(0, false);
        let others = 1..4;
        let links = |world: &World| others.clone().filter(|&it| world.net.is_linked(0, it)).count();
        world.run_until(6_000, |world| links(world) > 0)?;
        world.run_until(1_500, |world| links(world) == 3)?;
    }
    Ok(())
}

#[test]
fn who_comes_back_is_not_alone() {
    depends_on(&["who comes back is not alone"], all_come_back_at_once);
}

/// One node is gone for long, and the link between two others breaks again and again.
fn a_link_breaks_often() -> Check {
    let mut world = World::mesh(3, 103);
    world.crash(2, true);
    world.run(300_000);
    let before = world.net.dials();
    for _ in 0..40 {
        world.net.break_links(world.now_ms, 0, 1);
        world.run(1_500);
    }
    let dials = world.net.dials() - before;
    ensure!(dials <= 100, "{dials} dials in a minute");
    Ok(())
}

#[test]
fn a_link_that_breaks_hurries_no_dials() {
    depends_on(&["only the end of an outage hurries dials"], a_link_breaks_often);
}

/// Power fails, and all nodes start in the same moment.
fn all_start_at_once() -> Check {
    let mut world = World::mesh(MANY, 104);
    (0..MANY).for_each(|node| world.crash(node, true));
    world.run(10_000);
    let before = world.net.dials();
    (0..MANY).for_each(|node| world.start(node));
    world.run_until(3_000, World::is_meshed)?;
    let (dials, links) = (world.net.dials() - before, (MANY * (MANY - 1) / 2) as u64);
    ensure!(2 * dials <= 3 * links, "{dials} dials for {links} links");
    Ok(())
}

#[test]
fn nodes_that_start_at_once_dial_each_other_once() {
    depends_on(&["the greater key lets the other dial"], all_start_at_once);
}

/// So many nodes that the dials of one to all others matter.
const MANY: NodeId = 10;
