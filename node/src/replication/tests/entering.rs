//! Joining while the node runs: an empty domain makes room for another one, in one step; data and company do not.

use millpond_core::Namespace;

use super::depends_on;
use crate::membership::{Invite, InviteOptions, Members};
use crate::replica::JoinError;
use crate::replication::{Answer, JoinProgress, Request, RequestId};
use crate::sim::net::NodeId;
use crate::sim::world::{Check, World, ensure};
use crate::state::WriteError;

fn invite(world: &mut World, by: NodeId) -> Invite {
    let (options, secret) = (InviteOptions::default(), world.random());
    let id = world.ask(by, Request::Invite { options, secret });
    world.run(100);
    let Some(Answer::Invite(Ok(invite))) = world.answers.remove(&id) else { panic!("no invite") };
    invite
}

fn join(world: &mut World, node: NodeId, invite: &Invite) -> RequestId {
    world.ask(node, Request::Join(invite.clone()))
}

fn joining(world: &mut World, asked: RequestId) -> Option<Result<(), JoinError>> {
    match world.answers.remove(&asked)? {
        Answer::Joining(joining) => Some(joining),
        other => panic!("{other:?}"),
    }
}

fn knows_of(world: &World, node: NodeId, other: NodeId) -> bool {
    let members = Members::read(&world.view(node, Namespace::SYSTEM)).unwrap();
    members.get(world.nodes[other].key).is_some()
}

fn is_member(world: &World, node: NodeId) -> bool {
    world.progress(node) == Some(&JoinProgress::Joined) && knows_of(world, 0, node)
}

/// It has run for a while, told of itself, and handed out an invite of its own.
#[test]
fn the_founder_of_an_empty_domain_joins_another_one_and_writes_there() {
    let mut world = World::new(51);
    world.put(0, "c/k/f", "before");
    let other = world.found_another();
    world.run(2_000);
    let vain = invite(&mut world, other);
    let mine = invite(&mut world, 0);
    let asked = join(&mut world, other, &mine);
    let early = world.put(other, "c/l/f", "too early");
    world.run_until(20_000, |world| is_member(world, other)).unwrap();
    assert_eq!(joining(&mut world, asked), Some(Ok(())));
    assert!(matches!(world.written(early), Some(Err(WriteError::ReadOnly { .. }))));
    world.put(other, "c/l/f", "after");
    world.settle().unwrap();
    for node in [0, other] {
        assert_eq!(world.values(node, "c/k/f"), ["before"]);
        assert_eq!(world.values(node, "c/l/f"), ["after"]);
        assert_eq!(world.view(node, Namespace::SYSTEM).vv(), world.view(0, Namespace::SYSTEM).vv());
    }
    let late = world.add_invited(&vain);
    world.run(5_000);
    assert!(matches!(world.progress(late), Some(JoinProgress::Refused(_))), "no such domain");
    world.crash(late, true);
    world.crash(other, true);
    world.start(other);
    world.settle().unwrap();
    let again = join(&mut world, other, &mine);
    world.run(10);
    assert_eq!(joining(&mut world, again), Some(Err(JoinError::AlreadyMember)));
}

#[test]
fn a_node_that_dies_on_its_way_is_of_one_domain_or_of_the_other() {
    let (mut stayed, mut went) = (0, 0);
    for after_ms in (0..40).step_by(2) {
        for is_written in [false, true] {
            let mut world = World::new(after_ms);
            let other = world.found_another();
            world.run(1_000);
            let mine = invite(&mut world, 0);
            world.nodes[other].commit_ms = 9;
            join(&mut world, other, &mine);
            world.run(after_ms);
            world.crash(other, is_written);
            world.start(other);
            world.run(3_000);
            match knows_of(&world, 0, other) {
                true => went += 1,
                false => {
                    stayed += 1;
                    let asked = join(&mut world, other, &mine);
                    world.run(100);
                    assert_eq!(joining(&mut world, asked), Some(Ok(())), "{after_ms}");
                }
            }
            world.run_until(20_000, |world| knows_of(world, 0, other)).unwrap();
            world.put(other, "c/l/f", "after");
            world.settle().unwrap();
            assert_eq!(world.values(0, "c/l/f"), ["after"]);
        }
    }
    assert!(stayed > 0 && went > 0, "{stayed} stayed, {went} went");
}

/// What was written is deleted again: a delete is something too.
fn a_domain_with_data_meets_another_one(is_deleted: bool, is_at_once: bool) -> Check {
    let mut world = World::new(53);
    world.put(0, "c/k/f", "mine");
    let other = world.found_another();
    world.run(2_000);
    let mine = invite(&mut world, 0);
    let written = world.put(other, "c/l/f", "theirs");
    if is_deleted {
        world.delete(other, "c/l/f");
    }
    // At once the write is on its way to the disk when the join is asked for.
    world.run(if is_at_once { 0 } else { 1_000 });
    let asked = join(&mut world, other, &mine);
    world.run(10_000);
    let refused = joining(&mut world, asked);
    let is_kept = matches!(refused, Some(Err(JoinError::OtherDomain { .. })));
    ensure!(is_kept, "{refused:?}");
    ensure!(matches!(world.written(written), Some(Ok(_))), "the write is gone");
    let left: &[&str] = if is_deleted { &[] } else { &["theirs"] };
    ensure!(world.values(other, "c/l/f") == left, "{:?}", world.values(other, "c/l/f"));
    ensure!(world.values(0, "c/k/f") == ["mine"], "{:?}", world.values(0, "c/k/f"));
    ensure!(knows_of(&world, other, other) && !knows_of(&world, 0, other), "it has moved");
    // It goes on where it is.
    let after = world.put(other, "c/m/f", "more");
    world.run(1_000);
    ensure!(matches!(world.written(after), Some(Ok(_))), "it takes no writes");
    Ok(())
}

#[test]
fn data_keeps_a_node_in_its_domain_deleted_or_just_written() {
    for (is_deleted, is_at_once) in [(false, false), (true, false), (false, true)] {
        depends_on(&["a node with data enters no other domain"], || {
            a_domain_with_data_meets_another_one(is_deleted, is_at_once)
        });
    }
}

fn a_domain_of_two_meets_another_one() -> Check {
    let mut world = World::new(54);
    let other = world.found_another();
    world.run(1_000);
    let theirs = invite(&mut world, other);
    let guest = world.add_invited_to(&theirs);
    world.run_until(20_000, |world| world.has_joined(guest))?;
    let mine = invite(&mut world, 0);
    for node in [other, guest] {
        let asked = join(&mut world, node, &mine);
        world.run(5_000);
        let refused = joining(&mut world, asked);
        ensure!(matches!(refused, Some(Err(JoinError::OtherDomain { .. }))), "{refused:?}");
    }
    ensure!(knows_of(&world, other, guest) && knows_of(&world, guest, other), "they part");
    Ok(())
}

#[test]
fn company_keeps_a_node_in_its_domain() {
    depends_on(&["who has company enters no other domain"], a_domain_of_two_meets_another_one);
}

/// Its invite was used by another node: it runs on, and takes a fresh one.
#[test]
fn a_node_that_was_refused_takes_a_fresh_invite_while_it_runs() {
    let mut world = World::new(55);
    let used = invite(&mut world, 0);
    let guests = [world.add_invited(&used), world.add_invited(&used)];
    let is_refused =
        |world: &World, node| matches!(world.progress(node), Some(JoinProgress::Refused(_)));
    world.run_until(20_000, |world| guests.iter().any(|&it| is_refused(world, it))).unwrap();
    let refused = guests.into_iter().find(|&it| is_refused(&world, it)).unwrap();
    let fresh = invite(&mut world, 0);
    let asked = join(&mut world, refused, &fresh);
    world.run_until(20_000, |world| is_member(world, refused)).unwrap();
    assert_eq!(joining(&mut world, asked), Some(Ok(())));
    world.settle().unwrap();
}
