//! The tree between nodes: what a link must say for it, and what it must not give.

use millpond_core::message::{Message, Pull, Terms};
use millpond_core::transport::Lane;
use millpond_core::{Namespace, VersionVector, wire};

use super::depends_on;
use crate::replication::{Engine, Input, LinkId};
use crate::sim::world::{Check, World, ensure};
use crate::topology::settings::{Direction, LinkSettings, Topology};

/// Nodes that announce, and have learned from whom they get what.
pub(super) fn adaptive(seed: u64) -> World {
    let mut world = World::mesh(3, seed);
    world.set_topology(&Topology::default());
    for number in 0..5 {
        world.put(0, "c/warm/f", &number.to_string());
        world.run(100);
    }
    world.settle().unwrap();
    world
}

pub(super) fn engine(world: &mut World, node: usize) -> &mut Engine {
    world.nodes[node].running.as_mut().unwrap().engine_mut()
}

pub(super) fn link(world: &mut World, from: usize, to: usize) -> LinkId {
    let key = world.nodes[to].key;
    *engine(world, from).links.iter().find(|(_, link)| link.peer == key).unwrap().0
}

/// Neither end of this link has picked it.
pub(super) fn announce_nothing(world: &mut World, from: usize, to: usize) {
    let id = link(world, from, to);
    let link = engine(world, from).links.get_mut(&id).unwrap();
    link.is_picked = false;
    let mut terms = link.terms();
    terms.wants_announcements = false;
    link.terms_heard = Some(terms);
}

/// Finding 23a: Ann's write does not reach Ben, and Cleo, who has it and announces nothing to him, writes one
/// that depends on it.
fn a_cause_is_missing() -> Check {
    let mut world = adaptive(31);
    world.cut(0, 1);
    announce_nothing(&mut world, 2, 1);
    world.put(0, "c/cause/f", "v");
    world.run(20);
    world.put(2, "c/effect/f", "v");
    world.run(150);
    ensure!(world.values(1, "c/effect/f") == ["v"], "it waits for its cause");
    Ok(())
}

#[test]
fn finding_23a_a_push_announces_what_it_depends_on() {
    depends_on(&["a push announces what it depends on"], a_cause_is_missing);
}

/// Finding 22: Ben cannot hear Ann any more, and does not know it; Cleo tells him what she has of her.
fn a_source_is_silent() -> Check {
    let mut world = adaptive(35);
    world.cut(0, 1);
    world.put(0, "c/k/f", "v");
    let came = world.run_until(1_000, |world| world.values(1, "c/k/f") == ["v"]);
    came.map(drop).map_err(|why| format!("nobody was asked for it, {why}"))
}

#[test]
fn finding_22_what_is_late_is_grafted() {
    depends_on(&["what is late is grafted"], a_source_is_silent);
}

/// Finding 23d: Ben gets Ann's writes from Cleo, and has told Ann to send none.
fn a_source_fails_whose_origin_is_near() -> Check {
    let mut world = adaptive(32);
    let number = {
        let origin = engine(&mut world, 0).heads.open.unwrap();
        let id = link(&mut world, 1, 0);
        engine(&mut world, 1).number(id, &[origin])[0]
    };
    let (id, lane) = (link(&mut world, 0, 1), Lane::Control);
    let prune = Message::Prune { namespace: Namespace::MAIN, origins: vec![number] };
    world.run(10);
    for frame in wire::encode(&prune) {
        world.input(0, Input::Frame { link: id, lane, frame });
    }
    announce_nothing(&mut world, 0, 1);
    world.cut(1, 2);
    world.put(0, "c/k/f", "v");
    world.run(150);
    ensure!(world.values(1, "c/k/f") == ["v"], "nobody told it of the write");
    Ok(())
}

#[test]
fn finding_23d_a_pruned_origin_goes_on_announcing() {
    depends_on(&["a pruned origin goes on announcing"], a_source_fails_whose_origin_is_near);
}

/// Cleo has Ann's write and announces nothing to Ben, who cannot hear Ann. Then he picks the link to Cleo.
fn a_link_is_picked_late() -> Check {
    let mut world = adaptive(34);
    world.cut(0, 1);
    announce_nothing(&mut world, 2, 1);
    world.put(0, "c/k/f", "v");
    world.run(20);
    let (id, lane) = (link(&mut world, 2, 1), Lane::Control);
    let terms = Terms { wants_announcements: true, ..engine(&mut world, 2).links[&id].terms() };
    for frame in wire::encode(&Message::Terms(terms)) {
        world.input(2, Input::Frame { link: id, lane, frame });
    }
    world.run(130);
    ensure!(world.values(1, "c/k/f") == ["v"], "it is not told");
    Ok(())
}

#[test]
fn who_picks_a_link_is_told_of_all() {
    depends_on(&["who asks to be told is told of all"], a_link_is_picked_late);
}

/// Whoever only takes over a link is asked for a catch-up all the same.
fn what_is_one_way_is_asked() -> Check {
    let mut world = World::mesh(2, 33);
    let pull = LinkSettings { direction: Direction::Pull, ..LinkSettings::new("n1") };
    let topology = Topology { links: vec![pull], ..world.topology.clone() };
    world.set_topology_of(0, &topology);
    world.run(8_000);
    world.put(0, "c/mine/f", "v");
    world.put(1, "c/yours/f", "v");
    world.run(8_000);
    let (id, lane) = (link(&mut world, 0, 1), Lane::Control);
    let (namespace, from) = (Namespace::MAIN, VersionVector::new());
    let pull = Message::Pull(Pull { namespace, transfer: 900, from, resume: None });
    for frame in wire::encode(&pull) {
        world.input(0, Input::Frame { link: id, lane, frame });
    }
    ensure!(engine(&mut world, 0).supplies.is_empty(), "it supplies");
    ensure!(world.values(0, "c/yours/f") == ["v"], "it does not take");
    ensure!(world.values(1, "c/mine/f").is_empty(), "it gives");
    Ok(())
}

#[test]
fn a_one_way_link_carries_nothing_back() {
    depends_on(&["a one-way link carries nothing back"], what_is_one_way_is_asked);
}

/// Node 0 lets node 1 take from it, and takes nothing; node 1, which has settings of its own, feeds it all the same.
fn a_peer_gives_where_it_may_only_take() -> Check {
    let mut world = World::mesh(2, 34);
    let serve = LinkSettings { direction: Direction::Serve, ..LinkSettings::new("n1") };
    world.set_topology_of(0, &Topology { links: vec![serve], ..Topology::default() });
    world.run(3_000);
    world.put(0, "c/given/f", "v");
    world.run(1_000);
    ensure!(world.values(1, "c/given/f") == ["v"], "it does not get what it may take");
    let id = link(&mut world, 1, 0);
    let from = engine(&mut world, 1).applied(Namespace::MAIN).clone();
    engine(&mut world, 1).start_feed(id, Namespace::MAIN, from);
    world.put(1, "c/pushed/f", "v");
    world.run(500);
    ensure!(world.values(0, "c/pushed/f").is_empty(), "what it pushed is here");
    ensure!(!engine(&mut world, 1).links.contains_key(&id), "its link goes on");
    Ok(())
}

#[test]
fn who_may_only_take_gives_nothing() {
    depends_on(&["who may only take gives nothing"], a_peer_gives_where_it_may_only_take);
}
