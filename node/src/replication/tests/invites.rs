//! Invites: each use is counted once, whenever the inviter dies; who needs approval waits for it.

use super::depends_on;
use crate::membership::{Invite, InviteOptions, InviteState, IssuedInvite, Members};
use crate::replica::InviteError;
use crate::replication::{Answer, JoinProgress, Request};
use crate::sim::net::NodeId;
use crate::sim::world::{Check, World, ensure};
use millpond_core::Namespace;

fn invite(world: &mut World, uses: u32) -> Invite {
    let options = InviteOptions { uses, ..InviteOptions::default() };
    let secret = world.random();
    let id = world.ask(0, Request::Invite { options, secret });
    world.run(100);
    let Some(Answer::Invite(Ok(invite))) = world.answers.remove(&id) else { panic!("no invite") };
    invite
}

fn listed(world: &mut World) -> IssuedInvite {
    let id = world.ask(0, Request::Invites);
    world.run(1);
    let Some(Answer::Invites(mut invites)) = world.answers.remove(&id) else { panic!("no list") };
    assert_eq!(invites.len(), 1);
    invites.remove(0)
}

fn revoke(world: &mut World, invite: &str) -> Result<IssuedInvite, InviteError> {
    let id = world.ask(0, Request::RevokeInvite(invite.into()));
    world.run(100);
    let Some(Answer::InviteRevoked(revoked)) = world.answers.remove(&id) else {
        panic!("no answer")
    };
    revoked
}

/// One guest more dials than the invite is for, and the inviter dies so much later.
fn the_inviter_dies(uses: u32, after_ms: u64, is_written: bool) -> Check {
    let mut world = World::new(after_ms);
    let invite = invite(&mut world, uses);
    world.nodes[0].commit_ms = 7;
    let guests: Vec<NodeId> = (0..=uses).map(|_| world.add_invited(&invite)).collect();
    world.run(after_ms);
    world.crash(0, is_written);
    world.run(50);
    world.start(0);
    let is_told = |world: &World, guest: NodeId| {
        matches!(world.progress(guest), Some(JoinProgress::Joined | JoinProgress::Refused(_)))
    };
    world.run_until(60_000, |world| guests.iter().all(|guest| is_told(world, *guest)))?;
    let members = Members::read(&world.view(0, Namespace::SYSTEM)).unwrap();
    let came = guests.iter().filter(|guest| members.get(world.nodes[**guest].key).is_some());
    let (came, listed) = (came.count(), listed(&mut world));
    ensure!(came == uses as usize, "{came} of {uses} came in, killed after {after_ms} ms");
    ensure!(listed.used_by.len() == came, "{} uses are counted", listed.used_by.len());
    ensure!(listed.state == InviteState::Used, "it is {:?}", listed.state);
    Ok(())
}

fn the_inviter_dies_at_any_moment() -> Check {
    for after_ms in (0..60).step_by(3) {
        for is_written in [false, true] {
            the_inviter_dies(1, after_ms, is_written)?;
            the_inviter_dies(2, after_ms, is_written)?;
        }
    }
    Ok(())
}

#[test]
fn each_use_is_counted_once_whenever_the_inviter_dies() {
    depends_on(&["an invite is redeemed once"], the_inviter_dies_at_any_moment);
}

/// It is revoked before one guest comes and after another one did, and stays so.
fn a_revoked_invite_is_used() -> Check {
    let mut world = World::new(91);
    let invite = invite(&mut world, 3);
    let early = world.add_invited(&invite);
    world.run_until(20_000, |world| world.has_joined(early))?;
    let revoked = revoke(&mut world, &invite.id().to_string()).map_err(|it| it.to_string())?;
    ensure!(revoked.used_by.len() == 1, "{revoked:?}");
    world.crash(0, false);
    world.start(0);
    let late = world.add_invited(&invite);
    let is_refused = |world: &World| matches!(world.progress(late), Some(JoinProgress::Refused(_)));
    world.run_until(20_000, is_refused)?;
    let Some(JoinProgress::Refused(why)) = world.progress(late) else { unreachable!() };
    ensure!(why.contains("revoked by an admin"), "{why}");
    ensure!(revoke(&mut world, "00000000") == Err(InviteError::NoInvite), "no such invite");
    world.crash(late, true);
    world.settle()
}

#[test]
fn a_revoked_invite_lets_nobody_in_after_a_restart_either() {
    depends_on(&["a revoked invite lets nobody in"], a_revoked_invite_is_used);
}

/// A guest has no rights until it is approved, whatever dies meanwhile, and both sides know the same words.
fn a_guest_is_approved(is_approved: bool) -> Check {
    let mut world = World::new(94);
    let secret = world.random();
    let options = InviteOptions { needs_approval: true, ..InviteOptions::default() };
    let id = world.ask(0, Request::Invite { options, secret });
    world.run(100);
    let Some(Answer::Invite(Ok(invite))) = world.answers.remove(&id) else { panic!("no invite") };
    world.put(0, "c/k/f", "a secret");
    let guest = world.add_invited(&invite);
    let asked = |world: &World| match world.progress(guest) {
        Some(JoinProgress::Asked { words }) => Some(words.clone()),
        _ => None,
    };
    let is_member = |world: &World| {
        let members = Members::read(&world.view(0, Namespace::SYSTEM)).unwrap();
        members.get(world.nodes[guest].key).is_some()
    };
    world.run_until(20_000, |world| asked(world).is_some())?;
    world.crash(0, true);
    world.crash(guest, true);
    world.start(0);
    world.start(guest);
    world.run(20_000);
    ensure!(!is_member(&world) && world.values(guest, "c/k/f").is_empty(), "it came in by itself");
    let words = asked(&world).ok_or("it does not know that it waits")?;
    let running = world.nodes[0].running.as_ref().unwrap();
    let pending = running.engine.pending_members();
    ensure!(pending.len() == 1 && pending[0].words == words, "{pending:?}, not {words}");
    let id = world.ask(0, Request::Decide { who: words.clone(), is_approved });
    world.run(100);
    let Some(Answer::Decided(Ok(_))) = world.answers.remove(&id) else {
        return Err("nothing was decided".into());
    };
    world.crash(0, false);
    world.start(0);
    world.run(20_000);
    match world.progress(guest) {
        Some(JoinProgress::Joined) if is_approved => world.settle(),
        Some(JoinProgress::Refused(why)) if !is_approved => {
            ensure!(why.contains("did not let this node in") && !is_member(&world), "{why}");
            Ok(())
        }
        other => Err(format!("approved: {is_approved}, and it is {other:?}")),
    }
}

#[test]
fn a_guest_that_needs_approval_waits_for_it_and_is_told_its_words() {
    for is_approved in [true, false] {
        depends_on(&["who was not approved is no member"], || a_guest_is_approved(is_approved));
    }
}

#[test]
fn what_an_invite_cannot_be_is_refused() {
    let mut world = World::new(93);
    let ask = |world: &mut World, uses| {
        let options = InviteOptions { uses, ..InviteOptions::default() };
        let secret = world.random();
        let id = world.ask(0, Request::Invite { options, secret });
        world.run(100);
        match world.answers.remove(&id) {
            Some(Answer::Invite(invite)) => invite.map(drop),
            other => panic!("no answer: {other:?}"),
        }
    };
    for uses in [0, InviteOptions::USES_MAX + 1] {
        assert_eq!(ask(&mut world, uses), Err(InviteError::Uses));
    }
    for _ in 0..128 {
        assert_eq!(ask(&mut world, InviteOptions::USES_MAX), Ok(()));
    }
    assert_eq!(ask(&mut world, 1), Err(InviteError::TooMany));
}
