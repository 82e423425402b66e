//! Peers that lie, and strangers: nothing panics, nothing grows, nobody stops this node (R10).

use millpond_core::message::{Ack, CloseCode, Credit, Message, NumberedVector};
use millpond_core::transport::{Lane, LinkStats};
use millpond_core::wire::{self, PushFrame};
use millpond_core::{Dot, Incarnation, Namespace, NodeKey, Push, PushWrite, Seq, VersionVector};

use super::depends_on;
use crate::replication::{Engine, Input, LinkId, Remote};
use crate::sim::audit::credit_is_level;
use crate::sim::world::{Check, World, ensure, path, text};

/// The link over which node 0 hears node 1.
fn link(world: &World) -> LinkId {
    let links = &engine(world).links;
    *links.iter().find(|(_, link)| link.peer == world.nodes[1].key).unwrap().0
}

fn engine(world: &World) -> &Engine {
    &world.nodes[0].running.as_ref().unwrap().engine
}

/// Node 1 says something to node 0.
pub(super) fn say(world: &mut World, message: &Message) {
    let link = link(world);
    for frame in wire::encode(message) {
        world.input(0, Input::Frame { link, lane: Lane::Control, frame });
    }
}

fn known(world: &World) -> Incarnation {
    world.nodes[1].running.as_ref().unwrap().heads.incarnations[0]
}

fn all_of(incarnation: Incarnation) -> VersionVector {
    [Dot::new(incarnation, Seq::FIRST.plus(u64::MAX))].into_iter().collect()
}

/// Node 1 claims to have all of these incarnations, in an ack and in an announcement.
fn claim_all(world: &mut World, namespace: Namespace, of: &[Incarnation]) {
    say(world, &Message::Names { first: 0, names: of.to_vec() });
    let all: NumberedVector =
        (0..of.len() as u32).map(|number| (number, Seq::FIRST.plus(u64::MAX))).collect();
    let (received, applied, durable) = (all.clone(), all.clone(), all.clone());
    say(world, &Message::Ack(vec![Ack { namespace, received, applied, durable }]));
    say(world, &Message::Announce(vec![(namespace, all)]));
}

fn push(origin: Incarnation, first: Seq, deps: VersionVector) -> Message {
    let write = PushWrite {
        path: path("c/k/f"),
        hlc: millpond_core::Hlc::from_ms(1),
        payload: Some(text("v")),
        overwritten: Vec::new(),
    };
    let namespace = Namespace::MAIN;
    Message::Push(PushFrame::encode(&Push { namespace, origin, first, deps, writes: vec![write] }))
}

#[test]
fn the_greatest_seqs_overflow_nothing() {
    let mut world = World::mesh(2, 70);
    let other = Incarnation::from_bytes([0xee; 16]);
    let key = world.nodes[1].key;
    let origin = known(&world);
    say(&mut world, &Message::Introduce(vec![(other, key)]));
    claim_all(&mut world, Namespace::MAIN, &[origin, other]);
    let last = Seq::FIRST.plus(u64::MAX);
    say(&mut world, &push(origin, last, VersionVector::new()));
    say(&mut world, &push(other, Seq::FIRST, all_of(origin)));
    world.status(0);
    world.run(20_000);
    world.status(0);
}

#[test]
fn a_catch_up_to_the_greatest_seqs_leaves_the_node_at_work() {
    let mut world = World::mesh(2, 71);
    let origin = known(&world);
    let transfer = asked_for(&mut world);
    let (upto, floor) = (all_of(origin), VersionVector::new());
    let start = Message::PullStart { transfer, upto, rows_estimate: u64::MAX, floor };
    say(&mut world, &start);
    say(&mut world, &Message::PullEnd { transfer, rows: 0 });
    world.run(100);
    say(&mut world, &push(origin, Seq::FIRST, VersionVector::new()));
    let request = world.put(0, "c/k/f", "v");
    world.run(1_000);
    world.status(0);
    assert!(matches!(world.written(request), Some(Ok(_))));
}

/// The node asks the hostile one for a catch-up, under this number.
fn asked_for(world: &mut World) -> u64 {
    say(world, &Message::Behind { namespace: Namespace::MAIN });
    world.hold(0, 1, Lane::Control, true);
    world.run(400);
    let transfer = (0..20).find(|&it| {
        engine(world).pulls.values().any(|pull| pull.link == link(world) && pull.is(it))
    });
    transfer.expect("it pulls")
}

/// A floor above what is covered would have this node refuse every other one.
#[test]
fn a_floor_is_covered_by_what_comes_with_it() {
    depends_on(&["a floor is covered"], || {
        let mut world = World::mesh(2, 77);
        let origin = known(&world);
        let transfer = asked_for(&mut world);
        let (before, upto, floor) = (link(&world), world.vv(0), all_of(origin));
        say(&mut world, &Message::PullStart { transfer, upto, rows_estimate: 0, floor });
        ensure!(!engine(&world).links.contains_key(&before), "the link goes on");
        Ok(())
    });
}

/// A member makes up the next write of the node that it is linked to.
fn a_write_is_made_up() -> Check {
    let mut world = World::mesh(2, 86);
    world.put(0, "c/k/f", "mine");
    world.settle()?;
    let origin = world.nodes[0].running.as_ref().unwrap().heads.open.unwrap();
    let (before, link) = (world.vv(0), link(&world));
    let next = Seq::FIRST.plus(before.seq(origin));
    say(&mut world, &push(origin, next, VersionVector::new()));
    ensure!(!engine(&world).links.contains_key(&link), "the link goes on");
    world.run(1_000);
    ensure!(world.vv(0) == before, "{:?} from {before:?}", world.vv(0));
    Ok(())
}

#[test]
fn nobody_else_writes_in_this_nodes_name() {
    depends_on(&["nobody else writes in this node's name"], a_write_is_made_up);
}

#[test]
fn unknown_namespaces_leave_no_trace() {
    let mut world = World::mesh(2, 72);
    let origin = known(&world);
    for number in 2..50 {
        let namespace = Namespace::from_number(number);
        say(&mut world, &Message::Feed { namespace, from: VersionVector::new() });
        say(&mut world, &Message::Behind { namespace });
        say(&mut world, &Message::Digest(vec![(namespace, 7)]));
        claim_all(&mut world, namespace, &[origin]);
    }
    let engine = engine(&world);
    let link = &engine.links[&link(&world)];
    assert_eq!((link.feeds.len(), link.must_pull.len()), (2, 0));
    assert_eq!(engine.peers[&world.nodes[1].key].vectors.len(), 2);
}

/// A member leaves numbers out, and so means others than this node does.
fn numbers_are_left_out() -> Check {
    let mut world = World::mesh(2, 88);
    let (before, origin) = (link(&world), known(&world));
    say(&mut world, &Message::Names { first: 900, names: vec![origin] });
    ensure!(!engine(&world).links.contains_key(&before), "the link goes on");
    world.settle()
}

#[test]
fn numbers_are_given_in_turn() {
    depends_on(&["numbers are given in turn"], numbers_are_left_out);
}

#[test]
fn a_number_of_nobody_ends_the_link() {
    let mut world = World::mesh(2, 89);
    let before = link(&world);
    let origins = vec![900];
    say(&mut world, &Message::Prune { namespace: Namespace::MAIN, origins });
    assert!(!engine(&world).links.contains_key(&before));
    world.settle().unwrap();
}

/// A member's hashes are not of what it has told.
fn words_do_not_add_up() -> Check {
    let mut world = World::mesh(2, 87);
    let link = link(&world);
    for _ in 0..2 {
        say(&mut world, &Message::Digest(vec![(Namespace::MAIN, 7)]));
    }
    ensure!(!engine(&world).links.contains_key(&link), "the link goes on");
    world.settle()
}

#[test]
fn what_was_told_must_add_up() {
    depends_on(&["what was told must add up"], words_do_not_add_up);
}

#[test]
fn credit_for_more_than_was_sent_ends_the_link() {
    let mut world = World::mesh(2, 73);
    let before = link(&world);
    say(&mut world, &Message::Credit(Credit { push_bytes: u64::MAX, rows_bytes: 0 }));
    assert!(!engine(&world).links.contains_key(&before));
    world.settle().unwrap();
}

#[test]
fn a_peer_that_invents_incarnations_is_cut_off() {
    let mut world = World::mesh(2, 74);
    for round in 0..8_u64 {
        if !engine(&world).links.values().any(|link| link.peer == world.nodes[1].key) {
            break;
        }
        let names = (0..5_000_u64).map(|number| {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&(round * 5_000 + number).to_be_bytes());
            Incarnation::from_bytes(bytes)
        });
        say(&mut world, &Message::Names { first: 0, names: names.collect() });
        let all: NumberedVector = (0..5_000).map(|number| (number, Seq::FIRST)).collect();
        say(&mut world, &Message::Announce(vec![(Namespace::MAIN, all)]));
    }
    let entries = engine(&world).peers[&world.nodes[1].key].vectors(Namespace::MAIN).applied.len();
    assert!(entries <= 30_000, "{entries} entries");
    assert!(engine(&world).lacking.len() <= 30_000);
    world.settle().unwrap();
}

#[test]
fn strangers_leave_nothing_and_cannot_fence() {
    depends_on(&["only a member's word fences"], || {
        let mut world = World::mesh(2, 75);
        let peers = engine(&world).peers.len();
        for number in 0..100 {
            let (link, peer) =
                (LinkId(1_000 + number), NodeKey::from_bytes([100 + number as u8; 32]));
            let remote = Remote::default();
            world.input(0, Input::LinkUp { link, peer, dialed: false, remote });
            let (code, stats) = (Some(CloseCode::Cloned), LinkStats::default());
            world.input(0, Input::LinkDown { link, peer, code, reason: String::new(), stats });
        }
        ensure!(engine(&world).peers.len() == peers, "strangers are remembered");
        ensure!(engine(&world).fenced.is_none(), "a stranger fenced the node");
        Ok(())
    });
}

/// A member says whose an incarnation is, and then something else.
#[test]
fn the_first_introduction_counts() {
    depends_on(&["the first introduction counts"], || {
        let mut world = World::mesh(2, 77);
        let other = Incarnation::from_bytes([0xee; 16]);
        let key = world.nodes[1].key;
        for key in [key, NodeKey::from_bytes([100; 32])] {
            say(&mut world, &Message::Introduce(vec![(other, key)]));
        }
        ensure!(engine(&world).owner(other) == Some(key), "it changed hands");
        Ok(())
    });
}

/// Fragments are put together up to 65 MiB, for members only.
#[test]
fn a_strangers_hello_is_one_frame() {
    depends_on(&["a stranger's hello is one frame"], || {
        let mut world = World::mesh(2, 76);
        let (link, peer) = (LinkId(1_000), NodeKey::from_bytes([100; 32]));
        let remote = Remote::default();
        world.input(0, Input::LinkUp { link, peer, dialed: false, remote });
        let mut large = Push {
            namespace: Namespace::MAIN,
            origin: Incarnation::from_bytes([0xee; 16]),
            first: Seq::FIRST,
            deps: VersionVector::new(),
            writes: Vec::new(),
        };
        for name in ["a", "b"] {
            let payload = text(&"v".repeat(900_000));
            let hlc = millpond_core::Hlc::from_ms(1);
            let path = path(&format!("c/k/{name}"));
            let write = PushWrite { path, hlc, payload: Some(payload), overwritten: Vec::new() };
            large.writes.push(write);
        }
        let frames = wire::encode(&Message::Push(PushFrame::encode(&large)));
        let frame = frames[0].clone();
        world.input(0, Input::Frame { link, lane: Lane::Control, frame });
        match engine(&world).links.contains_key(&link) {
            false => Ok(()),
            true => Err("the node holds a stranger's fragment".into()),
        }
    });
}

/// A supplier that stops in the middle, again and again, must not use up the link's window for rows.
#[test]
fn rows_of_a_catch_up_that_is_given_up_are_credited() {
    let mut world = World::small_mesh(2, 76);
    world.cut(0, 1);
    world.run(8_000);
    for number in 0..20 {
        world.put(0, &format!("c/{number}/f"), "some value of some length");
    }
    world.run(100);
    world.net.road(0, 1).frame_ms = [0, 100];
    world.heal(0, 1);
    for _ in 0..3 {
        world.run_until(20_000, is_under_way).unwrap();
        world.hold(0, 1, Lane::Bulk, true);
        world.run(12_000);
        assert!(!is_under_way(&world), "it was not given up");
        world.hold(0, 1, Lane::Bulk, false);
    }
    world.settle().unwrap();
    let pulls = world.counted(1, |counters| counters.pulls);
    assert!(pulls >= 3, "{pulls} catch-ups");
    credit_is_level(&world).unwrap();
}

fn is_under_way(world: &World) -> bool {
    let engine = &world.nodes[1].running.as_ref().unwrap().engine;
    engine.pulls.values().any(|pull| pull.rows > 0)
}

/// Finding 3 (R12): a push that overwrites a dot which its dependencies do not cover is refused with its
/// link. Taken, it would drop the dot where it is and not where it comes later: equal vectors, two states.
#[test]
fn a_push_overwrites_only_what_it_depends_on() {
    depends_on(&["a push overwrites only what it depends on"], || {
        let mut world = World::mesh(2, 73);
        let origin = known(&world);
        let unseen = Dot::new(Incarnation::from_bytes([0xee; 16]), Seq::FIRST);
        let write = PushWrite {
            path: path("c/k/f"),
            hlc: millpond_core::Hlc::from_ms(1),
            payload: Some(text("v")),
            overwritten: vec![unseen],
        };
        let applied = engine(&world).heads.vv(Namespace::MAIN).seq(origin);
        let push = Push {
            namespace: Namespace::MAIN,
            origin,
            first: Seq::new(applied + 1).unwrap(),
            deps: VersionVector::new(),
            writes: vec![write],
        };
        let before = link(&world);
        say(&mut world, &Message::Push(PushFrame::encode(&push)));
        let is_gone = !engine(&world).links.contains_key(&before);
        let is_taken = engine(&world).inboxes[&Namespace::MAIN].received().covers(push.last());
        match is_gone && !is_taken {
            true => Ok(()),
            false => Err("the forged push was taken".into()),
        }
    });
}
