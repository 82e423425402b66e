//! Members that are removed: nobody has a link with them a moment later, and what they wrote stays.

use millpond_core::NodeKey;

use super::depends_on;
use super::trees::engine;
use crate::membership::{InviteOptions, Role};
use crate::replication::{Answer, JoinProgress, Request};
use crate::sim::net::NodeId;
use crate::sim::world::{Check, World, ensure};

/// The node that is removed in each of these.
const P: NodeId = 4;

fn has_link(world: &mut World, id: NodeId, with: NodeKey) -> bool {
    engine(world, id).links.values().any(|link| link.peer == with)
}

fn remove(world: &mut World, by: NodeId, subject: NodeKey) -> Check {
    let request = world.ask(by, Request::Remove(subject));
    world.run_until(1_000, |world| world.answers.contains_key(&request))?;
    let removed = world.answers.remove(&request);
    ensure!(matches!(removed, Some(Answer::Removed(Ok(())))), "{removed:?}");
    Ok(())
}

/// P writes all the time, on links with all others; some of them are slow, and one hears it from a third node.
fn a_member_is_removed_under_load() -> Check {
    let mut world = World::mesh(5, 90);
    let key = world.nodes[P].key;
    world.delay(0, 3, 200);
    world.cut(0, 2);
    let mut acknowledged = Vec::new();
    for round in 0..20 {
        let request = world.put(P, &format!("c/{round}/f"), "v");
        world.run(20);
        ensure!(matches!(world.written(request), Some(Ok(_))), "{round} was not written");
        acknowledged.push(round);
    }
    world.run(2_000);
    world.isolate(P, false);
    remove(&mut world, 0, key)?;
    let removed_ms = world.now_ms;
    let mut learned_ms = [0; P];
    // Each one ends its link within a second of when it learns of the removal, and has no other later.
    for _ in 0..60 {
        world.put(P, "c/late/f", "v");
        world.run(100);
        for (id, learned_ms) in learned_ms.iter_mut().enumerate() {
            let knows = engine(&mut world, id).members.get(key).is_none();
            if knows && *learned_ms == 0 {
                *learned_ms = world.now_ms;
            }
            let is_late = knows && world.now_ms >= *learned_ms + 1_000;
            ensure!(!is_late || !has_link(&mut world, id, key), "{id} has a link with it");
        }
    }
    ensure!(learned_ms.iter().all(|at_ms| *at_ms > 0), "not all have learned: {learned_ms:?}");
    ensure!(learned_ms[1] < removed_ms + 1_000, "who is linked learns at once: {learned_ms:?}");
    world.heal(0, 2);
    world.settle_within(60_000).ok();
    for id in 0..P {
        for round in &acknowledged {
            let held = world.values(id, &format!("c/{round}/f"));
            ensure!(held == ["v"], "{id} has lost {round}");
        }
    }
    Ok(())
}

#[test]
fn the_links_of_who_is_removed_end_within_a_second() {
    depends_on(&["links of who is removed end"], a_member_is_removed_under_load);
}

fn invited(world: &mut World) -> (crate::membership::Invite, NodeId) {
    let options = InviteOptions { role: Role::Writer, ..InviteOptions::default() };
    let secret = world.random();
    let request = world.ask(0, Request::Invite { options, secret });
    world.run(100);
    let Some(Answer::Invite(Ok(invite))) = world.answers.remove(&request) else { panic!() };
    let id = world.add_invited(&invite);
    (invite, id)
}

/// Whoever has the key has the invite as well, which was good for this key.
fn a_removed_member_comes_with_its_old_invite() -> Check {
    let mut world = World::mesh(2, 91);
    let (invite, id) = invited(&mut world);
    world.run_until(20_000, |world| world.has_joined(id))?;
    world.settle()?;
    let key = world.nodes[id].key;
    remove(&mut world, 0, key)?;
    world.crash(id, true);
    let store = world.blank_store(id, invite.domain(), Some(&invite));
    world.nodes[id].store = std::sync::Arc::new(store);
    world.joined[id] = None;
    world.start(id);
    world.run(10_000);
    let is_refused =
        matches!(world.progress(id), Some(JoinProgress::Refused(why)) if why.contains("removed"));
    ensure!(is_refused, "{:?}", world.progress(id));
    ensure!(engine(&mut world, 0).members.get(key).is_none(), "it is a member again");
    Ok(())
}

#[test]
fn a_removed_member_needs_a_new_invite() {
    let rules = &["a removed member needs a new invite"];
    depends_on(rules, a_removed_member_comes_with_its_old_invite);
}
