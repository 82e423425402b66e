//! Keys that change: the member stays, no write is lost, and in the end the old key is refused.

use millpond_core::message::Message;
use millpond_core::transport::Lane;
use millpond_core::{NodeKey, Succession, wire};

use super::depends_on;
use super::trees::engine;
use crate::replication::{Answer, Input, LinkId, Remote, Request};
use crate::sim::keys::sign;
use crate::sim::net::NodeId;
use crate::sim::node::DOMAIN;
use crate::sim::world::{Check, World, ensure};

/// The node that changes its key in each of these.
const R: NodeId = 1;
const P: NodeId = 2;

fn rotated(world: &mut World, id: NodeId, overlap_ms: u64) -> Check {
    let request = world.rotate(id, overlap_ms);
    world.run_until(2_000, |world| world.answers.contains_key(&request))?;
    let answer = world.answers.remove(&request);
    ensure!(matches!(answer, Some(Answer::Rotated(Ok(())))), "{answer:?}");
    Ok(())
}

fn keys_of(world: &mut World, at: NodeId, member: NodeKey) -> Vec<NodeKey> {
    engine(world, at).members.keys().of(member)
}

/// Which key each node's link with a member shows.
fn shown_to(world: &mut World, member: NodeKey) -> Vec<NodeKey> {
    let running: Vec<NodeId> = world.running().collect();
    let links = running.into_iter().flat_map(|id| {
        let links = engine(world, id).links.values();
        let links = links.filter(|link| link.peer == member && link.is_open());
        links.map(|link| link.key).collect::<Vec<_>>()
    });
    links.collect()
}

/// All have heard, all write all the time, and some of it is overwritten and deleted.
fn a_key_changes_under_load() -> Check {
    let mut world = World::mesh(5, 100);
    let member = world.nodes[R].key;
    let load = |world: &mut World, round: u64| {
        for id in 0..5 {
            world.put(id, &format!("c/{id}-{}/f", round % 40), &round.to_string());
        }
        world.run(50);
    };
    (0..20).for_each(|round| load(&mut world, round));
    let issued = world.nodes[R].running.as_ref().unwrap().heads.incarnations.clone();
    rotated(&mut world, R, 40_000)?;
    let next = world.nodes[R].next_key;
    (20..400).for_each(|round| load(&mut world, round));
    ensure!(Some(world.nodes[R].shows) == next, "it shows {:?}", world.nodes[R].shows);
    ensure!(shown_to(&mut world, member) == [world.nodes[R].shows; 4], "not all links are anew");
    ensure!(keys_of(&mut world, 0, member).len() == 2, "the old key is not valid any more");
    (400..1_000).for_each(|round| load(&mut world, round));
    ensure!(world.nodes[R].running.as_ref().unwrap().heads.incarnations == issued, "another one");
    for id in 0..5 {
        ensure!(
            keys_of(&mut world, id, member) == [world.nodes[R].shows],
            "{id} takes the old key"
        );
        ensure!(engine(&mut world, id).members.get(member).is_some(), "{id} lacks the member");
    }
    world.settle()?;
    for id in 0..5 {
        for writer in 0..5 {
            for last in 960..1_000_u64 {
                let held = world.values(id, &format!("c/{writer}-{}/f", last % 40));
                ensure!(held == [last.to_string()], "{id} has {held:?} for {writer}'s {last}");
            }
        }
    }
    // And once more, from the later key.
    rotated(&mut world, R, 1_000)?;
    world.run(20_000);
    ensure!(keys_of(&mut world, 0, member) == [world.nodes[R].shows], "the second time");
    world.settle()
}

#[test]
fn a_member_changes_its_key_under_load() {
    a_key_changes_under_load().unwrap_or_else(|why| panic!("{why}"));
}

/// It is halfway through the overlap.
fn both_keys_are_valid_for_a_while() -> Check {
    let mut world = World::mesh(3, 101);
    let member = world.nodes[R].key;
    rotated(&mut world, R, 60_000)?;
    world.run(30_000);
    let keys = keys_of(&mut world, 0, member);
    ensure!(keys == [world.nodes[R].shows, member], "{keys:?}");
    world.run(40_000);
    let keys = keys_of(&mut world, 0, member);
    ensure!(keys == [world.nodes[R].shows], "{keys:?}");
    Ok(())
}

#[test]
fn the_old_key_is_valid_while_the_two_overlap() {
    depends_on(&["an old key is valid while it overlaps"], both_keys_are_valid_for_a_while);
}

/// It is stopped, at once, so long after it was told to: before the record, with it, with the next key, at the end.
fn it_is_stopped_after(ms: u64, is_written: bool) -> Check {
    let mut world = World::mesh(3, 102);
    let member = world.nodes[R].key;
    world.rotate(R, 15_000);
    world.run(ms);
    world.crash(R, is_written);
    world.put(0, "c/meanwhile/f", "v");
    world.run(500);
    world.start(R);
    world.put(R, "c/after/f", "v");
    world.settle()?;
    if keys_of(&mut world, R, member) == [member] {
        // It has gone back, and may be told again: the same key comes next.
        let next = world.nodes[R].next_key;
        rotated(&mut world, R, 15_000)?;
        ensure!(world.nodes[R].next_key == next, "another key");
    }
    world.run(40_000);
    world.settle()?;
    let shown = world.nodes[R].shows;
    ensure!(shown != member, "it still shows the old one");
    for id in 0..3 {
        ensure!(
            keys_of(&mut world, id, member) == [shown],
            "{id}: {:?}",
            keys_of(&mut world, id, member)
        );
        let values = world.values(id, "c/after/f");
        ensure!(values == ["v"], "{id} lacks what it wrote: {values:?}");
    }
    Ok(())
}

#[test]
fn a_node_that_is_stopped_at_any_step_goes_on_or_back() {
    let steps_ms =
        [0, 1, 2, 3, 10, 100, 1_000, 5_000, 6_000, 10_000, 14_000, 15_000, 15_100, 20_000];
    for ms in steps_ms {
        for is_written in [false, true] {
            it_is_stopped_after(ms, is_written)
                .unwrap_or_else(|why| panic!("after {ms} ms: {why}"));
        }
    }
}

/// R and P change their keys while they are cut off from each other, for longer than the overlap.
fn two_change_their_keys_apart() -> Check {
    let mut world = World::mesh(3, 107);
    world.isolate(P, true);
    rotated(&mut world, R, 10_000)?;
    rotated(&mut world, P, 10_000)?;
    world.run(30_000);
    ensure!(world.nodes[R].shows == world.nodes[R].key, "it does not wait for who is away");
    world.put(P, "c/away/f", "v");
    world.isolate(P, false);
    world.run_until(30_000, |world| !world.values(R, "c/away/f").is_empty())?;
    world.run(30_000);
    for id in [R, P] {
        ensure!(world.nodes[id].shows != world.nodes[id].key, "{id} waits for ever");
    }
    world.settle()
}

/// P is cut off while R changes its key at once, and reaches nobody but R then.
fn a_member_was_away_when_a_key_was_changed_at_once() -> Check {
    let mut world = World::mesh(3, 103);
    world.isolate(P, true);
    rotated(&mut world, R, 0)?;
    world.put(P, "c/away/f", "v");
    world.run(10_000);
    ensure!(world.nodes[R].shows != world.nodes[R].key, "it waits though it must not");
    world.isolate(P, false);
    world.cut(0, P);
    world.run_until(30_000, |world| !world.values(R, "c/away/f").is_empty())?;
    world.heal(0, P);
    world.settle()
}

#[test]
fn who_has_not_heard_is_told_by_the_hello() {
    let rules = &["a hello comes with whose successor its key is"];
    depends_on(rules, a_member_was_away_when_a_key_was_changed_at_once);
}

#[test]
fn a_key_is_shown_once_all_know_it() {
    let rules = &["a key is shown once all members know it"];
    depends_on(rules, two_change_their_keys_apart);
}

/// A new member joins where the inviter shows a later key, and one more after that.
#[test]
fn a_node_joins_at_a_member_that_has_changed_its_key() {
    let joined = || -> Check {
        let mut world = World::mesh(2, 104);
        rotated(&mut world, 0, 5_000)?;
        world.run(20_000);
        ensure!(world.nodes[0].shows != world.nodes[0].key, "not changed");
        let new = world.join();
        world.put(new, "c/new/f", "v");
        world.settle()?;
        let founder = world.nodes[0].key;
        let known = engine(&mut world, new).links.values().any(|link| link.peer == founder);
        ensure!(known, "it knows its inviter by another key");
        world.join();
        world.settle()
    };
    joined().unwrap_or_else(|why| panic!("{why}"));
}

fn link_up(world: &mut World, at: NodeId, number: u64, shown: NodeKey) -> LinkId {
    let link = LinkId(number);
    let remote = Remote { transport: "memory", address: "thief".into() };
    world.input(at, Input::LinkUp { link, peer: shown, dialed: false, remote });
    link
}

/// Somebody has got hold of the key that R had, and R and an admin know.
fn a_stolen_key_is_revoked() -> Check {
    let mut world = World::mesh(3, 105);
    let member = world.nodes[R].key;
    rotated(&mut world, R, 3_600_000)?;
    world.run(10_000);
    let held = link_up(&mut world, P, 1_000, member);
    ensure!(engine(&mut world, P).links.contains_key(&held), "the old key is valid for an hour");
    let request = world.ask(0, Request::Revoke(member));
    world.run(900);
    let answer = world.answers.remove(&request);
    ensure!(matches!(answer, Some(Answer::Revoked(Ok(())))), "{answer:?}");
    ensure!(!engine(&mut world, P).links.contains_key(&held), "its link is there after 0.9 s");
    let again = link_up(&mut world, P, 1_001, member);
    ensure!(!engine(&mut world, P).links.contains_key(&again), "it gets another link");
    ensure!(shown_to(&mut world, member).len() == 2, "and the member itself has none");
    let newest = world.nodes[R].shows;
    let request = world.ask(0, Request::Revoke(newest));
    world.run(100);
    let answer = world.answers.remove(&request);
    ensure!(matches!(answer, Some(Answer::Revoked(Err(_)))), "nothing would be left: {answer:?}");
    Ok(())
}

#[test]
fn a_retired_key_has_no_link_a_second_later_and_gets_none() {
    depends_on(&["a retired key is refused"], a_stolen_key_is_revoked);
    depends_on(&["links of a retired key end"], a_stolen_key_is_revoked);
}

/// What a stranger says before its hello.
fn says(world: &mut World, link: LinkId, chain: Vec<Succession>) {
    for frame in wire::encode(&Message::Succession(chain)) {
        world.input(0, Input::Frame { link, lane: Lane::Control, frame });
    }
}

/// A stranger claims to be the successor of a member.
fn a_stranger_claims_to_be_a_member() -> Check {
    let mut world = World::mesh(2, 106);
    let (member, stranger) = (world.nodes[R].key, NodeKey::from_bytes([0x99; 32]));
    let link = link_up(&mut world, 0, 1_000, stranger);
    says(&mut world, link, vec![Succession { old: member, new: stranger, signature: [7; 64] }]);
    ensure!(!engine(&mut world, 0).links.contains_key(&link), "it is believed");
    // The word of another key does not help it, and what is signed for another domain is no word.
    let link = link_up(&mut world, 0, 1_001, stranger);
    let other = NodeKey::from_bytes([0x98; 32]);
    let signature = sign(other, &Succession::signed(DOMAIN, other, stranger));
    says(&mut world, link, vec![Succession { old: other, new: stranger, signature }]);
    let peer = engine(&mut world, 0).links.get(&link).map(|link| link.peer);
    ensure!(peer == Some(stranger), "it is taken for {peer:?}");
    // R's link goes on.
    world.put(0, "c/k/f", "v");
    world.run_until(1_000, |world| !world.values(R, "c/k/f").is_empty())?;
    Ok(())
}

#[test]
fn nobody_takes_the_place_of_a_member_without_its_word() {
    depends_on(&["a succession is signed"], a_stranger_claims_to_be_a_member);
}
