//! Concerns: findings 18 and 30, S13 and S14. Whoever counts has what it is counted for, and what is not met in time
//! stays written, and is met later.

use millpond_core::message::{Message, Terms};
use millpond_core::transport::Lane;
use millpond_core::{Dot, Namespace};

use super::depends_on;
use super::hostile::say;
use super::relays::chain;
use crate::concern::{AckLevel, Acks, MemberAck, Standing};
use crate::replication::{Answer, Request, RequestId, Waited, Wanted};
use crate::sim::net::NodeId;
use crate::sim::node::DIGEST_MS;
use crate::sim::world::{Check, World, ensure, path, text};
use crate::state::WriteError;

const A: NodeId = 0;
const B: NodeId = 1;
const C: NodeId = 2;

fn wanted(concern: &str, level: AckLevel, timeout_ms: u64) -> Wanted {
    Wanted { concern: concern.parse().unwrap(), level, timeout_ms }
}

/// A write at A, with a concern.
fn put_for(world: &mut World, at: &str, wanted: Wanted, min_connected: usize) -> RequestId {
    let (at, payload) = (path(at), text("v"));
    let closure = Box::new(move |tx: &mut crate::state::WriteTx<'_>| tx.put(at, payload));
    world.ask(A, Request::WriteWith { closure, min_connected, wanted: Some(wanted) })
}

/// The same, on the disks of others.
fn durably(world: &mut World, concern: &str, timeout_ms: u64) -> RequestId {
    put_for(world, "c/k/f", wanted(concern, AckLevel::Durable, timeout_ms), 0)
}

fn await_again(world: &mut World, dot: Dot, concern: &str, timeout_ms: u64) -> RequestId {
    await_at(world, A, dot, concern, timeout_ms)
}

fn await_at(
    world: &mut World,
    node: NodeId,
    dot: Dot,
    concern: &str,
    timeout_ms: u64,
) -> RequestId {
    let wanted = wanted(concern, AckLevel::Durable, timeout_ms);
    world.ask(node, Request::Await { dot, wanted })
}

/// What waiting has come to.
fn waited(world: &World, id: RequestId) -> Option<&Waited> {
    match world.answers.get(&id)? {
        Answer::Stored { waited, .. } | Answer::Waited(waited) => Some(waited),
        answer => panic!("{answer:?}"),
    }
}

fn dot(world: &World, id: RequestId) -> Dot {
    match world.answers.get(&id) {
        Some(Answer::Stored { dot, .. }) => *dot,
        answer => panic!("{answer:?}"),
    }
}

fn is_met(world: &World, id: RequestId) -> bool {
    waited(world, id).is_some_and(|waited| waited.is_met)
}

fn names(members: &[MemberAck]) -> Vec<&str> {
    members.iter().map(|member| &member.name[..]).collect()
}

/// S14: two members have it soon; how soon A hears of it is the question.
fn acks_are_waited_for() -> Check {
    let mut world = World::mesh(3, 180);
    world.run(20_000);
    for (number, level) in
        [AckLevel::Durable, AckLevel::Applied, AckLevel::Received].into_iter().enumerate()
    {
        let at = format!("c/{number}/f");
        let request = put_for(&mut world, &at, wanted("replicas:2", level, 10_000), 0);
        let ms = world.run_until(15_000, |world| waited(world, request).is_some())?;
        ensure!(is_met(&world, request) && ms <= 100, "{level} after {ms} ms");
        let acks = &waited(&world, request).expect("it was answered").acks;
        ensure!(names(&acks.acked) == ["n1", "n2"] && acks.late.is_empty(), "{acks}");
    }
    world.settle()
}

#[test]
fn finding_s14_who_is_waited_for_acks_at_once() {
    depends_on(&["who is hurried acks at once"], acks_are_waited_for);
}

#[test]
fn what_is_not_met_in_time_stays_and_is_met_later() {
    let mut world = World::mesh(3, 181);
    world.isolate(C, true);
    let request = durably(&mut world, "replicas:2", 1_000);
    let ms = world.run_until(5_000, |world| waited(world, request).is_some()).unwrap();
    assert!((1_000..1_100).contains(&ms), "after {ms} ms");
    let Waited { is_met: met, acks: Acks { acked, late, .. } } = waited(&world, request).unwrap();
    assert!(!met);
    assert_eq!((names(acked), names(late)), (vec!["n1"], vec!["n2"]));
    assert_eq!((acked[0].level, late[0].level), (Some(AckLevel::Durable), None));
    assert_eq!(
        (world.values(A, "c/k/f"), world.values(B, "c/k/f")),
        (vec!["v".into()], vec!["v".into()])
    );

    let written = dot(&world, request);
    let again = await_again(&mut world, written, "replicas:2", 60_000);
    world.run(20_000);
    assert!(waited(&world, again).is_none(), "C is still away");
    world.isolate(C, false);
    world.run_until(60_000, |world| is_met(world, again)).unwrap();
    assert_eq!(world.values(C, "c/k/f"), ["v"]);
    world.settle().unwrap();
}

/// S13: B has received it, and loses power before its disk has it.
fn a_member_ends_between_received_and_durable() -> Check {
    let mut world = World::mesh(2, 182);
    world.nodes[B].commit_ms = 400;
    world.run(1_000);
    let received = wanted("replicas:1", AckLevel::Received, 60_000);
    let request = durably(&mut world, "replicas:1", 60_000);
    // Of one origin nothing is received before what it wrote earlier.
    let soon = put_for(&mut world, "c/soon/f", received, 0);
    world.run_until(200, |world| is_met(world, soon))?;
    world.crash(B, false);
    world.run(10_000);
    ensure!(
        waited(&world, request).is_none(),
        "nobody else holds it: {:?}",
        waited(&world, request)
    );
    world.start(B);
    world.run_until(20_000, |world| is_met(world, request))?;
    ensure!(world.values(B, "c/k/f") == ["v"], "it is met, and B has not got it");
    world.settle()
}

#[test]
fn finding_s13_received_is_not_durable() {
    depends_on(&["what is received is not durable"], a_member_ends_between_received_and_durable);
}

/// 18: B had acknowledged, and comes back with an older folder.
fn an_acker_falls_back() -> Check {
    let mut world = World::mesh(2, 183);
    world.put(B, "c/b/f", "v");
    world.settle()?;
    let image = world.nodes[B].image();
    let request = durably(&mut world, "replicas:1", 1_000);
    world.run_until(2_000, |world| is_met(world, request))?;
    world.hold(A, B, Lane::Bulk, true);
    world.restore(B, &image);
    world.run(3_000);
    let written = dot(&world, request);
    let again = await_again(&mut world, written, "replicas:1", 60_000);
    world.run(1_000);
    ensure!(waited(&world, again).is_none(), "B has lost it: {:?}", waited(&world, again));
    world.hold(A, B, Lane::Bulk, false);
    world.run_until(30_000, |world| is_met(world, again))?;
    world.settle()
}

#[test]
fn finding_18_an_ack_belongs_to_a_boot() {
    depends_on(&["a hello replaces what was acknowledged"], an_acker_falls_back);
}

/// 18: A remembers what B had. Since then A was away, and B may be anywhere.
fn acks_of_an_earlier_run() -> Check {
    let mut world = World::mesh(2, 184);
    let request = durably(&mut world, "replicas:1", 1_000);
    world.run_until(2_000, |world| is_met(world, request))?;
    world.run(2 * DIGEST_MS);
    let dot = dot(&world, request);
    world.crash(A, true);
    world.isolate(B, true);
    world.start(A);
    let again = await_again(&mut world, dot, "replicas:1", 5_000);
    world.run(10_000);
    ensure!(!is_met(&world, again), "nobody has said so in this run");
    world.isolate(B, false);
    let again = await_again(&mut world, dot, "replicas:1", 30_000);
    world.run_until(30_000, |world| is_met(world, again))?;
    world.settle()
}

#[test]
fn finding_18_what_was_remembered_is_no_ack() {
    depends_on(&["what earlier runs have heard is no ack"], acks_of_an_earlier_run);
}

/// 30 and L1: three voters and a delayed replica. One of the three is away.
fn with_a_delayed_replica() -> Result<World, String> {
    let mut world = World::mesh(3, 185);
    world.join_as(|node| node.apply_after_ms = Some(60_000));
    world.settle()?;
    world.isolate(C, true);
    Ok(world)
}

#[test]
fn a_delayed_replica_acks_nothing() {
    depends_on(&["a delayed replica acks nothing"], || {
        let mut world = with_a_delayed_replica()?;
        let request = durably(&mut world, "replicas:2", 1_000);
        let named = durably(&mut world, "named:n3", 1_000);
        world.run(2_000);
        ensure!(!is_met(&world, request) && !is_met(&world, named), "it counts");
        let late = &waited(&world, named).expect("it has timed out").acks.late;
        ensure!(late[0].standing == Standing::Delayed, "{late:?}");
        Ok(())
    });
}

#[test]
fn a_delayed_replica_is_no_voter() {
    depends_on(&["a delayed replica is no voter"], || {
        let mut world = with_a_delayed_replica()?;
        let majority = durably(&mut world, "majority", 1_000);
        let all = durably(&mut world, "all", 1_000);
        world.run(2_000);
        ensure!(is_met(&world, majority), "two of three voters hold it");
        ensure!(!is_met(&world, all), "one of three voters is away");
        Ok(())
    });
}

/// The delayed replica is asked about a write of A, which no other voter holds.
#[test]
fn who_is_no_voter_has_no_vote() {
    depends_on(&["who is no voter has no vote"], || {
        let mut world = with_a_delayed_replica()?;
        world.isolate(B, true);
        let request = durably(&mut world, "local", 1_000);
        world.run(1_000);
        let dot = dot(&world, request);
        let asked = await_at(&mut world, 3, dot, "majority", 1_000);
        world.run(2_000);
        ensure!(waited(&world, asked).is_some(), "it has timed out");
        ensure!(!is_met(&world, asked), "one of three voters holds it");
        Ok(())
    });
}

/// An ack comes with the deadline.
#[test]
fn what_is_there_at_the_deadline_counts() {
    depends_on(&["who is late is looked for at the deadline"], || {
        let mut world = World::mesh(2, 189);
        world.hold(B, A, Lane::Control, true);
        let request = durably(&mut world, "replicas:1", 1_000);
        world.run(500);
        ensure!(waited(&world, request).is_none(), "B has told nothing");
        let (b, held) = (world.nodes[B].key, world.vv(B));
        let engine = &mut world.nodes[A].running.as_mut().unwrap().engine;
        engine.peer_mut(b).vectors.entry(Namespace::MAIN).or_default().durable.join(&held);
        world.run(1_000);
        ensure!(is_met(&world, request), "B holds it");
        Ok(())
    });
}

#[test]
fn who_is_in_rehab_acks_nothing() {
    depends_on(&["who is in rehab acks nothing"], || {
        let mut world = World::mesh(2, 186);
        let terms = Terms { in_rehab: true, ..Terms::default() };
        say(&mut world, &Message::Terms(terms));
        let request = durably(&mut world, "replicas:1", 1_000);
        world.run(500);
        ensure!(waited(&world, request).is_none(), "B has yet to catch up, it says");
        say(&mut world, &Message::Terms(Terms::default()));
        ensure!(is_met(&world, request), "it has caught up");
        Ok(())
    });
}

/// PostgreSQL's FIRST: when the first name is gone the next one stands in.
#[test]
fn another_one_stands_in_for_the_first_that_is_gone() {
    let mut world = World::mesh(3, 187);
    [A, C].into_iter().for_each(|from| world.hold(from, B, Lane::Control, true));
    let request = durably(&mut world, "first:1:n1,n2", 60_000);
    world.run(2_000);
    assert_eq!(world.values(C, "c/k/f"), ["v"]);
    assert!(waited(&world, request).is_none(), "B is linked, and has not got it");
    world.crash(B, true);
    world.run_until(30_000, |world| is_met(world, request)).unwrap();
    assert_eq!(names(&waited(&world, request).unwrap().acks.acked), ["n2"]);
}

#[test]
fn too_few_that_are_linked_refuse_a_write() {
    depends_on(&["too few that are linked refuse a write"], || {
        let mut world = World::mesh(3, 188);
        world.crash(C, true);
        world.run(30_000);
        let wanted = wanted("local", AckLevel::Durable, 0);
        let request = put_for(&mut world, "c/two/f", wanted.clone(), 2);
        let refused = world.written(request);
        let too_few =
            matches!(refused, Some(Err(WriteError::TooFewConnected { connected: 1, wanted: 2 })));
        ensure!(too_few, "{refused:?}");
        world.run(100);
        ensure!(world.values(A, "c/two/f").is_empty(), "it is written");
        let request = put_for(&mut world, "c/one/f", wanted, 1);
        world.run(100);
        ensure!(is_met(&world, request), "one is there");
        Ok(())
    });
}

/// Members that are not linked with the writer: others tell what they have, behind their digests.
#[test]
fn the_word_of_who_is_not_linked_counts() {
    let mut world = chain(4);
    let request = durably(&mut world, "replicas:3", 60_000);
    let ms = world.run_until(60_000, |world| is_met(world, request)).unwrap();
    assert!(ms <= 4 * DIGEST_MS, "after {ms} ms");
    let acked = &waited(&world, request).unwrap().acks.acked;
    let standings: Vec<Standing> = acked.iter().map(|member| member.standing).collect();
    assert_eq!(standings, [Standing::Linked, Standing::NotLinked, Standing::NotLinked]);
    let majority = durably(&mut world, "majority", 60_000);
    world.run_until(60_000, |world| is_met(world, majority)).unwrap();
}

/// What changes nothing has nothing to wait for; who closes is told how far it has come.
#[test]
fn a_wait_ends_with_its_write_and_with_its_node() {
    let mut world = World::mesh(2, 189);
    let nothing = Request::WriteWith {
        closure: Box::new(|_| Ok(())),
        min_connected: 0,
        wanted: Some(wanted("all", AckLevel::Durable, 60_000)),
    };
    let nothing = world.ask(A, nothing);
    world.run(100);
    assert!(matches!(world.written(nothing), Some(Ok(_))));

    world.isolate(B, true);
    let request = durably(&mut world, "all", 60_000);
    world.run(100);
    assert!(waited(&world, request).is_none());
    world.ask(A, Request::EndWaits);
    let ended = waited(&world, request).unwrap();
    assert!(!ended.is_met && names(&ended.acks.late) == ["n1"]);
    let vv = world.view(A, Namespace::MAIN).vv().clone();
    assert!(vv.covers(dot(&world, request)));
}
