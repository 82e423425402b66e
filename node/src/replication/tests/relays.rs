//! Relayed words: findings 18, S14 and S19 for members that are not linked with each other.

use millpond_core::message::{Linked, Message, RelayedWord, Words};
use millpond_core::{Boot, Namespace, NodeKey};

use super::depends_on;
use super::hostile::say;
use crate::replication::{Collection, Limits};
use crate::sim::mesh::founding::{Founding, Member};
use crate::sim::net::NodeId;
use crate::sim::node::{COLLECTION, DIGEST_MS};
use crate::sim::trace::Trace;
use crate::sim::world::{Check, World, ensure};
use crate::topology::settings::{LinkSettings, Mode, Topology};

/// Nodes that are linked by these edges only.
fn linked_by(count: usize, edges: &[(NodeId, NodeId)]) -> World {
    let members = (0..count).map(|id| {
        let of = |&(a, b): &(NodeId, NodeId)| {
            if a == id { Some(b) } else { (b == id).then_some(a) }
        };
        let links = edges.iter().filter_map(of).map(|peer| LinkSettings::new(format!("n{peer}")));
        let topology =
            Topology { mode: Mode::Static, links: links.collect(), ..Topology::default() };
        Member { topology, ..Member::default() }
    });
    let members = members.collect();
    let founding = Founding { seed: 60, limits: Limits::default(), members, round_trips: None };
    let mut world = World::found_mesh(founding, None, Trace::new(false));
    world.settle().unwrap();
    world
}

pub(super) fn chain(count: usize) -> World {
    linked_by(count, &(1..count).map(|id| (id - 1, id)).collect::<Vec<_>>())
}

fn tombstones(world: &World, id: NodeId) -> u64 {
    world.nodes[id].running.as_ref().unwrap().heads.tombstones(Namespace::MAIN).count
}

/// All that is written is deleted again, at each node.
fn delete_some(world: &mut World) -> Check {
    let count = world.nodes.len();
    (0..count).for_each(|id| {
        world.put(id, &format!("c/{id}/f"), "v");
    });
    world.settle()?;
    (0..count).for_each(|id| {
        world.delete((id + 1) % count, &format!("c/{id}/f"));
    });
    world.settle()?;
    ensure!((0..count).all(|id| tombstones(world, id) > 0), "nothing is left to collect");
    Ok(())
}

fn forgets(mut world: World) -> Check {
    delete_some(&mut world)?;
    let count = world.nodes.len() as u64;
    // A word goes one link further with each digest.
    let all_gone = |world: &World| (0..world.nodes.len()).all(|id| tombstones(world, id) == 0);
    let took_ms = world.run_until((count + 2) * DIGEST_MS, all_gone)?;
    println!("{count} nodes: {took_ms} ms");
    Ok(())
}

#[test]
fn members_of_a_chain_hear_of_each_other() {
    depends_on(&["words of third parties are relayed"], || forgets(chain(6)));
}

#[test]
fn members_of_a_star_and_of_a_ring_hear_of_each_other() {
    forgets(linked_by(6, &[(0, 1), (0, 2), (0, 3), (0, 4), (0, 5)])).unwrap();
    forgets(linked_by(5, &[(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)])).unwrap();
}

/// What members say moves on while each word is under way.
#[test]
fn a_chain_forgets_under_load() {
    let mut world = chain(4);
    let mut most = 0;
    for round in 0..3_000 {
        let at = format!("c/{}/f", round % 7);
        match round % 2 {
            0 => world.put(round % 4, &at, "v"),
            _ => world.delete((round + 1) % 4, &at),
        };
        world.run(20);
        most = most.max(tombstones(&world, 0));
    }
    println!("{most} tombstones at most, of some 1,500 deletes in a minute");
    assert!(most < 1_000, "{most} tombstones");
}

/// S14: in a full mesh each node tells once that it is linked with all, and nothing of third parties.
#[test]
fn who_is_linked_with_all_is_told_of_nobody() {
    depends_on(&["who is linked with a member is not told of it"], || {
        let mut world = World::mesh(5, 61);
        world.run(3 * DIGEST_MS);
        world.heard = Some(Default::default());
        for round in 0..60 {
            world.put(round % 5, "c/k/f", "v");
            world.run(1_000);
        }
        let heard = world.heard.take().unwrap_or_default();
        ensure!(heard.get("Digest").is_some_and(|count| *count > 200), "{heard:?}");
        ensure!(!heard.contains_key("Words"), "{heard:?}");
        Ok(())
    });
}

/// Silence is counted in a chain as if all were linked.
fn nobody_is_evicted() -> Check {
    let mut world = chain(4);
    world.set_collection(IMPATIENT);
    for _ in 0..10 {
        world.run(IMPATIENT.offline_window_ms / 2);
        for id in 0..4 {
            let status = world.status(id);
            let evicted: Vec<_> = status.peers.iter().filter(|it| it.evicted.is_some()).collect();
            ensure!(evicted.is_empty(), "{id} takes members for gone that are there");
        }
    }
    delete_some(&mut world)?;
    world.run(6 * DIGEST_MS);
    ensure!((0..4).all(|id| tombstones(&world, id) == 0), "some are left");
    Ok(())
}

#[test]
fn what_is_told_of_a_member_is_a_sign_of_life() {
    depends_on(&["a relayed word is a sign of life"], nobody_is_evicted);
}

/// Node 0 is gone, and the link behind it breaks again and again: each time the same word is told anew.
#[test]
fn an_old_word_that_is_told_again_stays_old() {
    depends_on(&["a relayed word has the age that is told"], || {
        let mut world = chain(3);
        world.set_collection(IMPATIENT);
        world.run(4 * DIGEST_MS);
        world.crash(0, true);
        let mut left_ms = 2 * IMPATIENT.offline_window_ms;
        while left_ms > 0 {
            world.run(3 * DIGEST_MS);
            world.net.break_links(world.now_ms, 1, 2);
            left_ms = left_ms.saturating_sub(3 * DIGEST_MS);
        }
        let evicted = |world: &mut World| {
            let status = world.status(2);
            status.peers.iter().filter(|peer| peer.evicted.is_some()).count()
        };
        ensure!(evicted(&mut world) == 1, "a member that is gone is taken to live");
        Ok(())
    });
}

/// A member that is not linked blocks while it lags, is named, and is not taken for silent.
#[test]
fn a_third_party_that_lags_is_named() {
    let mut world = chain(3);
    world.put(0, "c/k/f", "v");
    world.settle().unwrap();
    world.nodes[2].commit_ms = 200_000;
    world.delete(0, "c/k/f");
    world.run(20 * DIGEST_MS);
    let status = world.status(0).node.tombstones;
    let [blocker] = &status.gc_blocked_by[..] else { panic!("{status:?}") };
    assert_eq!(blocker.name, "n2");
    assert!(blocker.silent_s <= 30, "{blocker:?}");
    let lags = |world: &mut World| {
        let status = world.status(0);
        let peer = status.peers.iter().find(|peer| peer.name == "n2").unwrap();
        peer.they_lack.map(|lag| lag.ops)
    };
    assert_eq!(lags(&mut world), Some(1));
    assert_eq!(tombstones(&world, 0), 1);
    world.run(250_000);
    assert_eq!((tombstones(&world, 0), lags(&mut world)), (0, Some(0)));
}

#[test]
fn what_is_told_of_members_without_numbers_ends_the_link() {
    let word = |member, boot| RelayedWord { member, boot, age_ms: 0, differs: None };
    let key = NodeKey::from_bytes([0x99; 32]);
    let boot = Some(Boot { counter: 1, random: 1 });
    let lies = [
        Words { first: 7, members: vec![key], ..Words::default() },
        Words { linked: Some(Linked { is_all_but: true, members: vec![900] }), ..Words::default() },
        Words { words: vec![word(900, boot)], ..Words::default() },
        Words { members: vec![key], words: vec![word(0, None)], ..Words::default() },
        Words { members: vec![key; 1_024], ..Words::default() },
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        let mut world = World::mesh(2, 62);
        let links = |world: &World| world.nodes[0].running.as_ref().unwrap().engine.links.len();
        say(&mut world, &Message::Words(lie));
        let is_lawful = number == 4;
        assert_eq!(links(&world), usize::from(is_lawful), "lie {number}");
        if !is_lawful {
            continue;
        }
        say(
            &mut world,
            &Message::Words(Words { first: 1_024, members: vec![key], ..Words::default() }),
        );
        assert_eq!(links(&world), 0, "lie {number}");
    }
}

const IMPATIENT: Collection = Collection { offline_window_ms: 60_000, ..COLLECTION };
