//! Limits that are guards: who is at the door, and who may still come in; and that all of them are told.

use millpond_core::NodeKey;

use super::depends_on;
use crate::limits::{Limits, STRANGERS_MAX};
use crate::membership::InviteOptions;
use crate::replication::{Answer, Input, JoinProgress, LinkId, Remote, Request};
use crate::sim::trace::Trace;
use crate::sim::world::{Check, World, ensure};
use crate::status::Status;

fn small(limits: Limits) -> World {
    World::found(97, limits, false, None, Trace::new(false))
}

fn status(world: &mut World) -> Status {
    let (links, warnings) = (Vec::new(), Vec::new());
    let id = world.ask(0, Request::Status { links, store_bytes: 0, warnings });
    match world.answers.remove(&id) {
        Some(Answer::Status(status)) => *status,
        other => panic!("no status: {other:?}"),
    }
}

fn used(world: &mut World, what: &str) -> u64 {
    let limits = status(world).limits;
    let limit = limits.iter().find(|limit| limit.what == what).expect("it is listed");
    limit.used.expect("it is measured")
}

fn strangers_come() -> Check {
    let mut world = small(Limits { strangers: 3, ..Limits::default() });
    let member = world.join();
    world.settle()?;
    for number in 0..20 {
        let (link, peer) = (LinkId(1_000 + number), NodeKey::from_bytes([100 + number as u8; 32]));
        world.input(0, Input::LinkUp { link, peer, dialed: false, remote: Remote::default() });
    }
    let waiting = used(&mut world, "links that have not said hello");
    ensure!(waiting <= 3, "{waiting} strangers are at the door");
    let near = "links that have not said hello: 3 of 3";
    ensure!(status(&mut world).warnings.iter().any(|it| it == near), "nobody is warned");
    // A member comes in all the same, and strangers make room.
    world.crash(member, true);
    world.start(member);
    world.put(member, "c/k/f", "v");
    world.run(15_000);
    ensure!(world.values(0, "c/k/f") == ["v"], "a member is kept out");
    ensure!(used(&mut world, "links that have not said hello") == 0, "they stay");
    Ok(())
}

#[test]
fn few_strangers_are_at_the_door_and_members_come_in_all_the_same() {
    depends_on(&["few strangers are at the door"], strangers_come);
}

/// The one that is refused uses nothing up: it comes in once there is room.
fn a_domain_is_full() -> Check {
    let mut world = small(Limits { members: 2, ..Limits::default() });
    let member = world.join();
    let (options, secret) = (InviteOptions::default(), world.random());
    let id = world.ask(0, Request::Invite { options, secret });
    world.run(100);
    let Some(Answer::Invite(Ok(invite))) = world.answers.remove(&id) else { panic!("no invite") };
    let guest = world.add_invited(&invite);
    world.run(3_000);
    let Some(JoinProgress::Refused(why)) = world.progress(guest) else {
        return Err(format!("a third member: {:?}", world.progress(guest)));
    };
    ensure!(why.contains("2 members"), "{why}");
    ensure!(used(&mut world, "members") == 2, "not two");
    world.ask(0, Request::Remove(world.nodes[member].key));
    world.crash(member, true);
    world.run_until(20_000, |world| world.has_joined(guest)).map(drop)
}

#[test]
fn a_domain_has_so_many_members_at_most() {
    depends_on(&["a domain has so many members at most"], a_domain_is_full);
}

#[test]
fn every_limit_is_told_once_and_only_near_ones_are_warned_of() {
    let mut world = World::mesh(2, 98);
    let status = status(&mut world);
    let mut names: Vec<&str> = status.limits.iter().map(|limit| &*limit.what).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "{names:?}");
    assert!(status.limits.iter().all(|it| it.used.is_none_or(|used| used <= it.limit)));
    assert_eq!(status.warnings, Vec::<String>::new());
    let strangers = status.limits.iter().find(|it| it.what == "links that have not said hello");
    assert_eq!(strangers.unwrap().limit, STRANGERS_MAX as u64);
}
