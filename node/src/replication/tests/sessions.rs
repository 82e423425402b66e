//! Links that come and go: who dials, which of two links stays, and what a fence stops.

use std::panic::{AssertUnwindSafe, catch_unwind};

use millpond_core::message::CloseCode;
use millpond_core::transport::LinkStats;

use super::depends_on;
use crate::replication::{Input, LinkId, Remote, Request};
use crate::sim::net::NodeId;
use crate::sim::world::{Check, World, ensure};
use crate::state::WriteError;
use crate::topology::settings::{LinkSettings, Mode, Topology};

fn links(world: &mut World) -> u64 {
    world.counted(0, |counters| counters.links)
}

/// Both operators close the link, and open it again at the same moment.
fn a_link_is_paused_and_resumed() -> Check {
    let mut world = World::mesh(2, 80);
    for node in [0, 1] {
        world.ask(node, Request::Pause(None));
    }
    world.run(3_000);
    for number in 0..20 {
        world.put(0, &format!("c/{number}/f"), "v");
    }
    world.run(100);
    let rows = |world: &mut World| world.counted(1, |counters| counters.rows_received);
    let (before, rows_before) = (links(&mut world), rows(&mut world));
    for node in [0, 1] {
        world.ask(node, Request::Resume(None));
    }
    world.settle()?;
    let opened = links(&mut world) - before;
    ensure!(opened == 1, "{opened} links were opened for one");
    let rows = rows(&mut world) - rows_before;
    ensure!(rows == 20, "{rows} rows for 20 writes");
    Ok(())
}

#[test]
fn a_resumed_link_is_dialled_by_one_side() {
    depends_on(&["the greater key lets the other dial"], a_link_is_paused_and_resumed);
}

/// Far apart, both dial before either knows.
fn two_links_come_up_at_once() -> Check {
    let mut world = World::mesh(2, 81);
    world.delay(0, 1, 600);
    world.delay(1, 0, 600);
    world.restart_all();
    world.run(4_000);
    world.put(0, "c/k/f", "v");
    world.run_until(4_000, |world| !world.values(1, "c/k/f").is_empty())?;
    world.settle()
}

#[test]
fn both_ends_keep_the_same_one_link() {
    depends_on(&["both ends keep the same link"], two_links_come_up_at_once);
    depends_on(&["two nodes are linked once"], two_links_come_up_at_once);
}

/// Node 1 restarts while the link that node 0 dialled to its dead process is still up.
fn a_node_is_back_before_its_link_is_gone() -> Check {
    let mut world = World::mesh(2, 82);
    world.ask(0, Request::Pause(None));
    world.run(3_000);
    world.ask(0, Request::Resume(None));
    world.settle()?;
    world.crash(1, true);
    world.run(200);
    world.start(1);
    world.put(0, "c/k/f", "v");
    world.run_until(1_500, |world| !world.values(1, "c/k/f").is_empty())?;
    world.settle()
}

#[test]
fn a_later_boot_ends_the_olders_links() {
    depends_on(&["a later boot ends the older's links"], a_node_is_back_before_its_link_is_gone);
}

/// After a long outage a link opens, and is lost again.
fn a_link_is_lost_soon_after_an_outage() -> Check {
    let mut world = World::mesh(2, 83);
    world.cut(0, 1);
    world.run(60_000);
    world.heal(0, 1);
    world.settle()?;
    world.crash(1, true);
    world.run(2_990);
    world.start(1);
    // Node 1 leaves it to node 0 to dial for half a second.
    world.run_until(300, |world| world.net.is_linked(0, 1))?;
    world.settle()
}

#[test]
fn an_open_link_ends_the_back_off() {
    depends_on(&["an open link ends the back-off"], a_link_is_lost_soon_after_an_outage);
}

/// A member tells a node that it has met a copy of it.
fn is_told_of_a_copy(world: &mut World, node: NodeId, by: NodeId) {
    let (peer, link) = (world.nodes[by].key, LinkId(900));
    let remote = Remote::default();
    world.input(node, Input::LinkUp { link, peer, dialed: true, remote });
    let (code, stats) = (Some(CloseCode::Cloned), LinkStats::default());
    world.input(node, Input::LinkDown { link, peer, code, reason: String::new(), stats });
}

fn a_fenced_node_starts_again() -> Check {
    let mut world = World::mesh(2, 84);
    is_told_of_a_copy(&mut world, 1, 0);
    world.run(1_000);
    world.crash(1, true);
    world.start(1);
    let request = world.put(1, "c/k/f", "v");
    world.run(6_000);
    let written = world.written(request);
    ensure!(matches!(written, Some(Err(WriteError::Fenced { .. }))), "{written:?}");
    Ok(())
}

#[test]
fn a_fence_outlives_its_boot() {
    depends_on(&["a fence outlives its boot"], a_fenced_node_starts_again);
}

/// The disk has no room when a node is fenced, and has some again before the node starts again.
fn a_fence_finds_no_room() -> Check {
    let mut world = World::mesh(2, 87);
    world.nodes[1].is_full = true;
    is_told_of_a_copy(&mut world, 1, 0);
    world.run(3_000);
    world.nodes[1].is_full = false;
    world.run(2_000);
    world.crash(1, true);
    world.start(1);
    let request = world.put(1, "c/k/f", "v");
    world.run(1_000);
    let written = world.written(request);
    ensure!(matches!(written, Some(Err(WriteError::Fenced { .. }))), "{written:?}");
    Ok(())
}

#[test]
fn a_fence_is_noted_until_it_is_on_disk() {
    depends_on(&["a fence is noted until it is on disk"], a_fence_finds_no_room);
}

/// A fenced node is asked to let another one in.
fn a_fenced_node_has_something_to_record() -> Check {
    let mut world = World::mesh(2, 85);
    is_told_of_a_copy(&mut world, 0, 1);
    world.run(1_000);
    let heads = |world: &World| world.nodes[0].running.as_ref().unwrap().heads.vv.clone();
    let before = heads(&world);
    let joined = catch_unwind(AssertUnwindSafe(|| world.join()));
    ensure!(joined.is_err(), "it was let in");
    ensure!(heads(&world) == before, "the fenced node wrote");
    Ok(())
}

#[test]
fn a_fenced_node_takes_no_dots() {
    depends_on(&["a fenced node takes no dots"], a_fenced_node_has_something_to_record);
}

fn a_fenced_node_is_asked_to_write() -> Check {
    let mut world = World::mesh(2, 25);
    is_told_of_a_copy(&mut world, 1, 0);
    let request = world.put(1, "c/k/f", "v");
    world.run(1_000);
    let written = world.written(request);
    ensure!(matches!(written, Some(Err(WriteError::Fenced { .. }))), "{written:?}");
    Ok(())
}

#[test]
fn a_fenced_node_takes_no_writes() {
    depends_on(
        &["a fenced node takes no writes", "a fenced node takes no dots"],
        a_fenced_node_is_asked_to_write,
    );
}

/// A node dials one whose operator wants no link with it: more and more rarely.
fn no_link_is_wanted() -> Check {
    let mut world = World::mesh(3, 1);
    let mut only = Topology { mode: Mode::Static, ..Topology::default() };
    only.links.push(LinkSettings::new("n1"));
    world.set_topology_of(0, &only);
    world.run(30_000);
    let made = |world: &mut World| world.counted(2, |counters| counters.links);
    let before = made(&mut world);
    world.run(30_000);
    ensure!(world.net.is_linked(0, 1) && !world.net.is_linked(0, 2), "0 is linked with 1 only");
    let made = made(&mut world) - before;
    ensure!((1..=15).contains(&made), "{made} links came up in half a minute");
    Ok(())
}

#[test]
fn who_wants_no_link_is_dialled_ever_more_rarely() {
    depends_on(&["a brief link goes on with the back-off"], no_link_is_wanted);
}
