//! Primary and backup: who takes writes, before and after a promotion, and what becomes of the old primary's.

use super::depends_on;
use crate::membership::{InviteOptions, Role};
use crate::replica::PromoteError;
use crate::replication::{Answer, Request, RequestId};
use crate::sim::net::NodeId;
use crate::sim::world::{Check, World, ensure};
use crate::state::WriteError;

/// Three members; the first two are admins.
fn two_admins(seed: u64) -> World {
    let mut world = World::new(seed);
    let options = InviteOptions { role: Role::Admin, ..InviteOptions::default() };
    let id = world.ask(0, Request::Invite { options, secret: [1; 16] });
    world.run(100);
    let Some(Answer::Invite(Ok(invite))) = world.answers.remove(&id) else { panic!("no invite") };
    let node = world.add_invited(&invite);
    world.run_until(20_000, |world| world.has_joined(node)).unwrap();
    world.join();
    world.settle().unwrap();
    world
}

fn promote(world: &mut World, by: NodeId, primary: Option<NodeId>) -> Result<(), PromoteError> {
    let primary = primary.map(|id| world.nodes[id].key);
    let id = world.ask(by, Request::Promote(primary));
    world.run(100);
    match world.answers.remove(&id) {
        Some(Answer::Promoted(promoted)) => promoted,
        other => panic!("no answer: {other:?}"),
    }
}

fn is_written(world: &mut World, request: RequestId) -> bool {
    world.run(100);
    match world.written(request) {
        Some(Ok(_)) => true,
        Some(Err(WriteError::NotPrimary { .. })) => false,
        other => panic!("neither: {other:?}"),
    }
}

fn writes(world: &mut World, id: NodeId, key: &str) -> bool {
    let request = world.put(id, &format!("c/{key}/f"), "v");
    is_written(world, request)
}

/// The primary dies with writes that nobody else has, a backup is promoted, and the old primary returns.
fn a_primary_dies_and_returns() -> Check {
    let mut world = two_admins(75);
    promote(&mut world, 0, Some(0)).map_err(|error| error.to_string())?;
    world.settle()?;
    ensure!(writes(&mut world, 0, "a"), "the primary does not write");
    ensure!(!writes(&mut world, 1, "b") && !writes(&mut world, 2, "b"), "a backup writes");
    world.settle()?;
    // The backups die: the primary goes on.
    world.crash(1, true);
    world.crash(2, true);
    ensure!(writes(&mut world, 0, "alone"), "it needs its backups");
    [1, 2].into_iter().for_each(|id| world.start(id));
    world.settle()?;
    // The primary is cut off, writes, and dies.
    world.isolate(0, true);
    world.run(4_000);
    ensure!(writes(&mut world, 0, "unsynced"), "it knows of nothing");
    world.crash(0, true);
    ensure!(!writes(&mut world, 1, "early"), "a backup writes before it is promoted");
    ensure!(world.values(1, "c/a/f") == ["v"], "a backup does not serve reads");
    promote(&mut world, 1, Some(1)).map_err(|error| error.to_string())?;
    ensure!(writes(&mut world, 1, "new"), "the promoted one does not write");
    world.isolate(0, false);
    world.start(0);
    world.settle()?;
    for id in 0..3 {
        ensure!(world.values(id, "c/unsynced/f") == ["v"], "{id} lacks what was unsynced");
        ensure!(world.values(id, "c/new/f") == ["v"], "{id} lacks what is new");
    }
    ensure!(!writes(&mut world, 0, "late"), "the old primary goes on");
    let primary = world.status(0).node.primary;
    let key = Some(world.nodes[1].key.to_string());
    ensure!(primary.is_some_and(|it| it.key == key && !it.is_this_node), "0 names another");
    // Restarts change nothing.
    for id in 0..3 {
        world.crash(id, true);
        world.start(id);
    }
    world.settle()?;
    ensure!(writes(&mut world, 1, "again") && !writes(&mut world, 0, "again"), "it is forgotten");
    // Nor does anybody but an admin.
    ensure!(promote(&mut world, 2, Some(2)) == Err(PromoteError::NotAdmin), "a writer promotes");
    promote(&mut world, 0, None).map_err(|error| error.to_string())?;
    world.settle()?;
    ensure!((0..3).all(|id| writes(&mut world, id, "free")), "not everybody writes at last");
    Ok(())
}

#[test]
fn a_backup_takes_no_writes() {
    depends_on(&["a backup takes no writes"], a_primary_dies_and_returns);
}

/// Two admins that cannot reach each other each promote themselves.
#[test]
fn of_two_promotions_at_once_one_holds_everywhere() {
    let mut world = two_admins(76);
    world.isolate(0, true);
    world.run(4_000);
    promote(&mut world, 0, Some(0)).unwrap();
    promote(&mut world, 1, Some(1)).unwrap();
    assert!(writes(&mut world, 0, "of-0") && writes(&mut world, 1, "of-1"));
    world.isolate(0, false);
    world.settle().unwrap();
    let primary = |world: &mut World, id| world.status(id).node.primary.unwrap().key;
    let agreed = primary(&mut world, 0);
    assert!((1..3).all(|id| primary(&mut world, id) == agreed));
    let writers = (0..3).filter(|&id| writes(&mut world, id, "later")).count();
    assert_eq!(writers, 1);
    for id in 0..3 {
        assert_eq!(world.values(id, "c/of-0/f"), ["v"]);
        assert_eq!(world.values(id, "c/of-1/f"), ["v"]);
    }
}
