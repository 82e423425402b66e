//! Closed incarnations: findings 16 and S20.

use millpond_core::message::Message;
use millpond_core::transport::Lane;
use millpond_core::{Incarnation, Namespace};

use super::depends_on;
use super::trees::{engine, link};
use crate::replication::{Answer, Request};
use crate::sim::world::{Check, NAMESPACES, World, ensure, path};

const R: usize = 0;
const Q: usize = 1;
const P: usize = 2;

/// A node begins a new incarnation with its next write.
fn restart_without_lease(world: &mut World, id: usize) {
    world.nodes[id].keeps_lease = false;
    world.crash(id, true);
    world.start(id);
}

fn last_incarnation(world: &World, id: usize) -> Incarnation {
    *world.nodes[id].running.as_ref().unwrap().heads.incarnations.last().unwrap()
}

/// How many entries of a vector nodes list that are not those of open incarnations.
fn listed_and_not_open(world: &mut World) -> usize {
    let running: Vec<usize> = world.running().collect();
    let open: Vec<Incarnation> =
        running.iter().filter_map(|&id| engine(world, id).heads.open).collect();
    let listed = running.iter().flat_map(|&id| {
        let engine = engine(world, id);
        NAMESPACES.into_iter().flat_map(|it| engine.listed(it)).collect::<Vec<_>>()
    });
    listed.filter(|id| !open.contains(id)).count()
}

/// 16: P is put back to where it had issued five, and closes its incarnation there; others have ten. It is
/// closed again at ten, and what lies between is issued once.
fn a_restored_node_closes_too_low() -> Check {
    let mut world = World::mesh(3, 16);
    for number in 0..5 {
        world.put(P, &format!("c/{number}/f"), "v");
    }
    world.settle()?;
    let image = world.nodes[P].image();
    for number in 5..10 {
        world.put(P, &format!("c/{number}/f"), "v");
    }
    world.write(P, |tx| tx.count(&path("n/count"), 7));
    world.settle()?;
    let ended = last_incarnation(&world, P);
    world.nodes[P].keeps_lease = false;
    world.isolate(P, true);
    world.run(3_000);
    world.restore(P, &image);
    let request = world.put(P, "c/after/f", "v");
    world.run(6_000);
    ensure!(matches!(world.written(request), Some(Ok(_))), "{:?}", world.written(request));
    let closed = engine(&mut world, P).closing.current().clone();
    ensure!(closed.finals(Namespace::MAIN).seq(ended) == 5, "closed at {closed:?}");
    world.isolate(P, false);
    world.settle()?;
    world.run(12_000);
    world.settle()?;
    for id in [R, Q, P] {
        let closed = engine(&mut world, id).closing.current().clone();
        ensure!(closed.finals(Namespace::MAIN).seq(ended) == 11, "{id}: closed at {closed:?}");
        ensure!(world.values(id, "c/9/f").len() == 1, "{id}: issued twice");
    }
    let left = listed_and_not_open(&mut world);
    ensure!(left == 0, "{left} entries of closed incarnations are listed");
    Ok(())
}

#[test]
fn finding_16_an_incarnation_that_was_closed_too_low_is_closed_again() {
    depends_on(&["one that reappears higher is closed again"], a_restored_node_closes_too_low);
}

/// S20: a container without state begins a new incarnation at each start at which it writes.
fn a_container_starts_often() -> Check {
    let mut world = World::mesh(3, 20);
    for start in 0..30 {
        restart_without_lease(&mut world, P);
        world.run(1_500);
        if start % 3 > 0 {
            world.put(P, "c/k/f", &start.to_string());
            world.run(1_500);
        }
    }
    world.settle()?;
    world.run(12_000);
    let issued = world.nodes[P].running.as_ref().unwrap().heads.incarnations.len();
    ensure!(issued == 21, "{issued} incarnations in 20 starts that wrote, and the first");
    let left = listed_and_not_open(&mut world);
    ensure!(left == 0, "{left} entries of closed incarnations are listed");
    ensure!(engine(&mut world, P).open_incarnations().len() == 1, "its hello names closed ones");
    Ok(())
}

#[test]
fn finding_s20_each_start_that_writes_closes_the_incarnation_before() {
    depends_on(&["an incarnation that ended is closed"], a_container_starts_often);
}

/// A node comes back from long absence: its table is older than any that others remember.
fn an_old_table_comes_back() -> Check {
    let mut world = World::mesh(3, 17);
    let start_often = |world: &mut World, id: usize| {
        for start in 0..12 {
            restart_without_lease(world, id);
            world.run(1_000);
            world.put(id, "c/k/f", &start.to_string());
            world.run(1_000);
        }
    };
    start_often(&mut world, R);
    world.settle()?;
    world.crash(R, true);
    start_often(&mut world, P);
    restart_without_lease(&mut world, R);
    world.put(R, "c/l/f", "written before it met anybody");
    world.run(100);
    world.settle()?;
    ensure!(world.values(R, "c/k/f") == world.values(P, "c/k/f"), "not level");
    // And once more: this time all have one table.
    for id in [R, Q, P] {
        world.crash(id, true);
        world.start(id);
    }
    world.settle()
}

#[test]
fn a_table_that_is_not_known_is_asked_for() {
    depends_on(&["a table that is not known is asked for"], an_old_table_comes_back);
}

/// A node begins so many incarnations, and all hear that those before have ended.
fn begin_often(world: &mut World, id: usize, times: usize) -> Check {
    for start in 0..times {
        restart_without_lease(world, id);
        world.run(1_000);
        world.put(id, "c/k/f", &start.to_string());
        world.run(1_000);
    }
    world.settle()?;
    world.run(12_000);
    world.settle()
}

/// P says its table by what differs from one that R has told it, which comes late: R has told others since, more than
/// it remembers of its own.
fn a_slow_road_brings_an_old_table() -> Check {
    let mut world = World::mesh(3, 24);
    begin_often(&mut world, Q, 4)?;
    let (there, here) = (link(&mut world, R, P), link(&mut world, P, R));
    world.hold(P, R, Lane::Control, true);
    restart_without_lease(&mut world, Q);
    world.run(1_000);
    world.put(Q, "c/k/f", "last");
    world.run(8_000);
    let is_told = |world: &mut World| {
        let engine = engine(world, P);
        engine.links[&here].closed_heard == Some(engine.closing.current().hash())
    };
    ensure!(is_told(&mut world), "R has not told its table");
    let from = engine(&mut world, P).applied(Namespace::MAIN).clone();
    let feed = Message::Feed { namespace: Namespace::MAIN, from };
    engine(&mut world, P).send(here, Lane::Control, &feed);
    for number in 1..=12 {
        let id = Incarnation::from_bytes([number; 16]);
        let finals = [(Namespace::MAIN, [at(id, 1)].into_iter().collect())];
        let closed = std::sync::Arc::new(millpond_core::Closed::new(finals.into()));
        let engine = engine(&mut world, R);
        engine.closing.set(closed);
        engine.tell_table(there);
    }
    world.run(100);
    world.hold(P, R, Lane::Control, false);
    world.run(1_000);
    let is_linked = engine(&mut world, R).links.contains_key(&there);
    ensure!(is_linked, "the link has ended: {:?}", world.status(R).peers);
    Ok(())
}

#[test]
fn a_table_that_was_told_is_kept() {
    depends_on(&["a table that was told is kept"], a_slow_road_brings_an_old_table);
}

/// R is put back to before P joined, and meets P before anybody who knows P. P knows R's table of then, so that what has
/// been closed since is soon said.
fn a_restored_node_meets_a_member_that_it_does_not_know() -> Check {
    let mut world = World::mesh(2, 25);
    begin_often(&mut world, Q, 8)?;
    let image = world.nodes[R].image();
    let new = world.join();
    world.settle()?;
    begin_often(&mut world, Q, 1)?;
    world.cut(R, Q);
    world.restore(R, &image);
    world.run(6_000);
    let key = world.nodes[R].key.to_string();
    let peers = world.status(new).peers;
    let error = peers.into_iter().find(|peer| peer.key == key).and_then(|peer| peer.last_error);
    ensure!(error.as_ref().is_some_and(|it| it.contains("is no member here")), "{error:?}");
    world.heal(R, Q);
    world.settle()
}

#[test]
fn a_stranger_is_refused_before_its_table_is_asked_for() {
    let rules = &["a stranger's table is not asked for"];
    depends_on(rules, a_restored_node_meets_a_member_that_it_does_not_know);
}

/// P has heard that Q's incarnation is closed at a seq that it does not hold, and says hello.
fn a_closed_incarnation_is_not_held() -> Check {
    let mut world = World::mesh(3, 18);
    world.put(Q, "c/k/f", "v");
    world.settle()?;
    let ended = last_incarnation(&world, Q);
    let closed = engine(&mut world, Q).closing.current().clone();
    let finals = [(Namespace::MAIN, [ended].map(|id| at(id, 50)).into_iter().collect())];
    let told = std::sync::Arc::new(millpond_core::Closed::new(finals.into()));
    for id in [R, Q, P] {
        engine(&mut world, id).closing.set(told.clone());
    }
    world.crash(P, true);
    world.start(P);
    engine(&mut world, P).closing.set(told.clone());
    world.run(3_000);
    let key = world.nodes[P].key;
    let believed = engine(&mut world, R).peers[&key].vectors(Namespace::MAIN).applied.clone();
    ensure!(believed.seq(ended) < 50, "it is believed to hold {believed:?}, by {closed:?}");
    Ok(())
}

fn at(id: Incarnation, seq: u64) -> millpond_core::Dot {
    millpond_core::Dot::new(id, millpond_core::Seq::new(seq).unwrap())
}

#[test]
fn a_closed_incarnation_is_covered_only_where_it_is() {
    let rules = &["a closed incarnation is covered only where it is"];
    depends_on(rules, a_closed_incarnation_is_not_held);
}

/// An admin removes a member, and lacks what only another one has of it.
fn a_removed_member_had_written_more() -> Check {
    let mut world = World::mesh(4, 19);
    let (admin, other, gone) = (0, 1, 3);
    world.put(gone, "c/k/f", "known to all");
    world.settle()?;
    let issued = last_incarnation(&world, gone);
    world.cut(gone, admin);
    world.cut(gone, 2);
    world.cut(other, admin);
    world.cut(other, 2);
    world.run(100);
    world.put(gone, "c/l/f", "known to one");
    world.run(2_000);
    world.crash(gone, true);
    let key = world.nodes[gone].key;
    let request = world.ask(admin, Request::Remove(key));
    world.run(1_000);
    let answer = world.answers.remove(&request);
    ensure!(matches!(answer, Some(Answer::Removed(Ok(())))), "{answer:?}");
    world.heal(other, admin);
    world.heal(other, 2);
    world.settle()?;
    world.run(12_000);
    world.settle()?;
    for id in [0, 1, 2] {
        ensure!(world.values(id, "c/l/f").len() == 1, "{id}: what a member had admitted is lost");
        ensure!(engine(&mut world, id).members.get(key).is_none(), "{id}: it is a member still");
        ensure!(!engine(&mut world, id).peers.contains_key(&key), "{id}: it is remembered");
        let closed = engine(&mut world, id).closing.current().clone();
        ensure!(closed.finals(Namespace::MAIN).seq(issued) == 2, "{id}: {closed:?}");
    }
    world.start(gone);
    world.put(gone, "c/m/f", "nobody takes it");
    world.run(10_000);
    ensure!(world.values(0, "c/m/f").is_empty(), "a removed member writes on");
    Ok(())
}

#[test]
fn what_a_removed_member_had_written_is_closed() {
    let rules =
        &["a removal closes what its subject issued", "an incarnation that ended is closed"];
    depends_on(rules, a_removed_member_had_written_more);
}

/// Nobody but an admin removes others, and the last admin stays.
#[test]
fn who_may_remove_whom() {
    use crate::removal::RemoveError;
    let mut world = World::mesh(3, 21);
    let mut asked = |by: usize, whom: usize| {
        let key = world.nodes[whom].key;
        let request = world.ask(by, Request::Remove(key));
        world.run(500);
        let Some(Answer::Removed(removed)) = world.answers.remove(&request) else {
            panic!("no answer")
        };
        removed
    };
    assert_eq!(asked(1, 2), Err(RemoveError::NotAdmin));
    assert_eq!(asked(0, 0), Err(RemoveError::LastAdmin));
    assert_eq!(asked(1, 1), Ok(()));
    assert_eq!(asked(0, 1), Err(RemoveError::NoMember));
    assert_eq!(asked(0, 2), Ok(()));
}

/// A member has said whose an incarnation is, and its owner's record has not come, when the node restarts: it may
/// hold writes of it that it has to pass on, and the owner may be lost.
fn an_introduction_is_remembered() -> Check {
    let mut world = World::mesh(2, 23);
    let (id, key) = (Incarnation::from_bytes([0x77; 16]), world.nodes[R].key);
    engine(&mut world, Q).introduce(vec![(id, key)]);
    world.run(6_000);
    world.crash(Q, true);
    world.start(Q);
    ensure!(engine(&mut world, Q).owner(id) == Some(key), "whose it is, is forgotten");
    Ok(())
}

#[test]
fn who_was_introduced_is_remembered() {
    depends_on(&["who was introduced is remembered"], an_introduction_is_remembered);
}
