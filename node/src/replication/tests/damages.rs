//! Damage: what a disk has lost comes back, and blocks nobody meanwhile (finding 20).

use std::ops::ControlFlow;

use millpond_core::transport::Lane;
use millpond_core::{Dot, Entry, Namespace};
use rand_core::Rng;

use super::depends_on;
use super::verifies::{MAIN, commit, dot, entry, holds, holds_in, level_three, verify};
use crate::replication::{Answer, Request};
use crate::sim::audit::audit;
use crate::sim::net::NodeId;
use crate::sim::world::{Check, SMALL, World, ensure, path};
use crate::state::View;
use crate::store::embedded::TableName;
use crate::store::{Changes, Store};

#[test]
fn a_damaged_value_comes_back_from_a_peer() {
    let mut world = level_three(83).unwrap();
    world.nodes[2].store.rot(MAIN, path("c/9/f"));
    let report = verify(&mut world, 2, true).unwrap();
    assert_eq!(report.scrub.as_ref().map(|scrub| (scrub.damaged, scrub.lost)), Some((1, 1)));
    assert!(report.lost.is_empty(), "{report:?}");
    holds(&world, "c/9/f", &["value 9"]).unwrap();
    assert!(verify(&mut world, 2, true).unwrap().is_sound);
}

#[test]
fn a_write_that_meets_damage_has_it_mended() {
    let mut world = level_three(85).unwrap();
    world.nodes[2].store.rot(MAIN, path("c/9/f"));
    world.put(0, "c/9/f", "newer");
    world.run(60_000);
    world.settle().unwrap();
    holds(&world, "c/9/f", &["newer"]).unwrap();
}

/// A peer has seen the damaged value go, by a write that has not come here: here it still lives, unknown.
fn a_write_beside_damage_is_refused() -> Check {
    let mut world = level_three(97)?;
    let old = dot(&world, 2, "c/9/f");
    world.nodes[2].store.rot(MAIN, path("c/9/f"));
    world.isolate(1, true);
    world.hold(0, 2, Lane::Control, true);
    world.put(0, "c/9/f", "newer");
    world.run(50);
    verify(&mut world, 2, true)?;
    let refused = world.put(2, "c/9/f", "beside");
    world.run(1_000);
    let written = world.written(refused).unwrap();
    ensure!(written.is_err(), "written over {old}, which is not known: {written:?}");
    world.hold(0, 2, Lane::Control, false);
    world.isolate(1, false);
    world.run(60_000);
    world.settle()?;
    holds(&world, "c/9/f", &["newer"])?;
    world.put(2, "c/9/f", "newest");
    world.settle()?;
    holds(&world, "c/9/f", &["newest"])?;
    ensure!(verify(&mut world, 2, true)?.is_sound, "not sound");
    Ok(())
}

#[test]
fn finding_20_a_write_beside_damage_is_refused() {
    depends_on(&["what is lost is not absent"], a_write_beside_damage_is_refused);
}

/// Only one node ever held it, and its disk has lost it: a person decides.
#[test]
fn what_nobody_has_is_given_up_by_a_person() {
    depends_on(&["what is lost keeps its place"], a_person_gives_up_a_value);
}

fn a_person_gives_up_a_value() -> Check {
    let mut world = level_three(89)?;
    world.isolate(2, true);
    world.run(3_000);
    world.put(2, "c/own/f", "unsynced");
    world.run(1_000);
    world.nodes[2].store.rot(MAIN, path("c/own/f"));
    world.isolate(2, false);
    world.run(10_000);
    let report = verify(&mut world, 2, true)?;
    ensure!(!report.is_sound && report.lost.len() == 1, "{report:?}");
    let refused = world.put(2, "c/own/f", "over it");
    world.run(2_000);
    let refused = world.written(refused).unwrap();
    ensure!(refused.is_err(), "written over what nobody knows: {refused:?}");
    for (within, deleted) in [("c/other", 0), ("c/own", 1)] {
        let id = world.ask(2, Request::AcceptLoss(Some(path(within))));
        world.run(1_000);
        let answer = world.answers.remove(&id);
        let is_it = matches!(answer, Some(Answer::LossAccepted(Ok(count))) if count == deleted);
        ensure!(is_it, "{answer:?}");
    }
    world.run(60_000);
    world.settle().unwrap();
    holds(&world, "c/own/f", &[]).unwrap();
    world.put(2, "c/own/f", "anew");
    world.settle().unwrap();
    holds(&world, "c/own/f", &["anew"]).unwrap();
    ensure!(verify(&mut world, 2, true)?.is_sound, "not sound");
    Ok(())
}

/// Two nodes have lost the same value: neither takes the other's silence for a delete.
#[test]
fn two_damaged_nodes_do_not_agree_that_nothing_was_there() {
    let mut world = level_three(90).unwrap();
    world.isolate(0, true);
    world.run(3_000);
    for id in [1, 2] {
        world.nodes[id].store.rot(MAIN, path("c/9/f"));
    }
    let report = verify(&mut world, 1, true).unwrap();
    verify(&mut world, 2, true).unwrap();
    assert_eq!(report.lost.len(), 1, "{report:?}");
    world.isolate(0, false);
    world.run(60_000);
    holds(&world, "c/9/f", &["value 9"]).unwrap();
}

/// A node whose disk has lost a value has not deleted it.
#[test]
fn what_a_damaged_node_does_not_tell_is_no_fault() {
    depends_on(&["a damaged side does not tell all"], || {
        let mut world = level_three(98)?;
        let request = world.ask(0, Request::Verify { peers: None, is_deep: false });
        // Whatever it mends, the disk goes on rotting.
        for _ in 0..40 {
            world.nodes[2].store.rot(MAIN, path("c/9/f"));
            world.run(500);
        }
        world.run_until(60_000, |world| world.answers.contains_key(&request))?;
        let Some(Answer::Verified(report)) = world.answers.remove(&request) else {
            return Err("not answered".into());
        };
        ensure!(report.alarms.is_empty(), "{report:?}");
        ensure!(report.peers.iter().all(|it| it.suspect == 0), "{report:?}");
        verify(&mut world, 2, true)?;
        holds(&world, "c/9/f", &["value 9"])
    });
}

/// What only a damaged node has is in nobody's way: who covers it is brought level, and who does not says why.
#[test]
fn finding_20_what_is_lost_blocks_no_catch_up_of_who_covers_it() {
    let mut world = level_three(99).unwrap();
    world.isolate(0, true);
    world.isolate(1, true);
    world.run(3_000);
    for id in [0, 1] {
        world.nodes[id].store.rot(MAIN, path("c/9/f"));
    }
    world.nodes[2].store.rot(MAIN, path("c/9/f"));
    verify(&mut world, 2, true).unwrap();
    for key in 0..40 {
        world.put(2, &format!("c/new {key}/f"), "new");
    }
    world.run(2_000);
    world.isolate(0, false);
    world.isolate(1, false);
    world.run(60_000);
    for id in 0..3 {
        let report = verify(&mut world, id, true).unwrap();
        assert_eq!(report.lost.len(), 1, "{report:?}");
        holds_in(&world, id, "c/new 7/f", &["new"]).unwrap();
    }
    let accept = world.ask(1, Request::AcceptLoss(None));
    world.run(60_000);
    let answer = world.answers.remove(&accept);
    assert!(matches!(answer, Some(Answer::LossAccepted(Ok(1)))), "{answer:?}");
    world.settle().unwrap();
    holds(&world, "c/9/f", &[]).unwrap();
    assert!(verify(&mut world, 0, true).unwrap().is_sound);
}

/// A row of a catch-up is damaged before all of it is here: what is staged is dropped, and pulled anew.
#[test]
fn finding_20_a_damaged_catch_up_starts_anew() {
    depends_on(&["a damaged catch-up starts anew"], || {
        let mut world = World::on_files(100);
        world.limits = SMALL;
        world.restart_all();
        world.join();
        world.put(1, "own/k/f", "v");
        world.settle()?;
        world.cut(0, 1);
        world.run(8_000);
        for number in 0..60 {
            world.put(0, &format!("c/{number:02}/f"), "some value of some length");
        }
        world.run(100);
        world.net.road(0, 1).frame_ms = [0, 100];
        world.heal(0, 1);
        world.run_until(20_000, |world| {
            let running = world.nodes[1].running.as_ref().unwrap();
            let cut = running.heads.cuts.get(&MAIN);
            cut.and_then(|cut| cut.cursor()) > Some(path("c/19/f"))
        })?;
        world.nodes[1].store.tamper(MAIN, TableName::Staged, 0, 99);
        world.settle()?;
        holds_in(&world, 1, "c/00/f", &["some value of some length"])
    });
}

/// What was overwritten while its copy was on its way stays so.
#[test]
fn only_what_the_log_has_is_put_back() {
    use crate::state::{Heads, Job, Mend, commit_group};
    depends_on(&["only what the log has is put back"], || {
        let world = level_three(91)?;
        let store = &world.nodes[0].store;
        let mut heads = Heads::load(&*store.snapshot().unwrap()).unwrap();
        let mut live = entry(&world, 0, "c/7/f").live()[0].clone();
        live.dot = Dot::new(live.dot.incarnation, live.dot.seq.plus(1_000));
        let mut mend = Mend::new(MAIN);
        mend.found.push((path("c/7/f"), live));
        let done = commit_group(&**store, &mut heads, vec![Job::Mend(mend)]);
        ensure!(done.is_ok_and(|done| done[0].is_ok()), "not mended");
        holds(&world, "c/7/f", &["value 7"])
    });
}

/// Bar: a flipped bit and a vanished entry are found and mended, a thousand of a thousand. In a file as it is in
/// life, whatever bit of whatever value of the entries or the log, at either of two nodes.
#[test]
fn whatever_is_damaged_is_mended() {
    let seeds = std::env::var("MILLPOND_DAMAGES").map_or(60, |it| it.parse::<u64>().unwrap());
    let mut world = World::on_files(93);
    world.join();
    for key in 0..40 {
        for field in ["a", "b", "c"] {
            let large = "x".repeat(20 + 12 * key);
            world.put(key % 2, &format!("c/{key}/{field}"), &format!("{key} {field} {large}"));
        }
        if key % 5 == 0 {
            world.run(20);
            world.delete(key % 2, &format!("c/{key}/b"));
        }
    }
    world.settle().unwrap();
    let expected: Vec<_> = contents(&world, 0);
    for seed in 0..seeds {
        let id = (world.rng.next_u64() % 2) as usize;
        let (pick, bit) = (world.rng.next_u64(), world.rng.next_u64());
        match seed % 3 {
            0 => world.nodes[id].store.tamper(MAIN, TableName::Entries, pick, bit),
            1 => world.nodes[id].store.tamper(MAIN, TableName::Log, pick, bit),
            _ => {
                let lost = expected[(pick % expected.len() as u64) as usize].0.clone();
                let mut changes = Changes::default();
                changes.entries.insert((MAIN, lost), Entry::absent());
                commit(&world, id, &changes);
            }
        }
        let report = verify(&mut world, id, true).unwrap();
        assert!(report.lost.is_empty(), "seed {seed}: {report:?}");
        assert!(report.alarms.is_empty(), "seed {seed}: {report:?}");
        let found = report.scrub.unwrap_or_default();
        assert!(found.damaged + found.lost > 0, "seed {seed}: {found:?}");
        for id in 0..2 {
            audit(&world, id).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
            assert_eq!(contents(&world, id), expected, "seed {seed}, node {id}");
        }
    }
    world.put(0, "c/1/a", "afterwards");
    world.settle().unwrap();
    assert_eq!(world.values(1, "c/1/a"), ["afterwards"]);
}

fn contents(world: &World, id: NodeId) -> Vec<(millpond_core::Path, Entry)> {
    let view = View::new(world.nodes[id].store.snapshot().unwrap(), MAIN).unwrap();
    let mut found = Vec::new();
    let visit = &mut |path, entry| {
        found.push((path, entry));
        std::ops::ControlFlow::Continue(())
    };
    view.entries(None, None, visit).unwrap();
    found
}

/// The log has lost a tombstone that a peer has not heard of: that peer is not brought level by what changed.
#[test]
fn a_lost_tombstone_raises_the_floor() {
    depends_on(&["a lost tombstone raises the floor"], || {
        let mut world = World::on_files(94);
        for _ in 1..3 {
            world.join();
        }
        for key in 0..5 {
            world.put(0, &format!("c/{key}/f"), "v");
        }
        world.settle()?;
        world.isolate(2, true);
        world.run(4_000);
        world.delete(1, "c/3/f");
        world.run(2_000);
        for id in [0, 1] {
            // The only blocks of those who have written.
            [0, 1]
                .into_iter()
                .for_each(|at| world.nodes[id].store.tamper(MAIN, TableName::Log, at, 99));
            verify(&mut world, id, true)?;
            audit(&world, id)?;
        }
        world.isolate(2, false);
        world.run(40_000);
        for id in 0..3 {
            let found = world.values(id, "c/3/f");
            ensure!(found.is_empty(), "{id} holds what was deleted: {found:?}");
        }
        Ok(())
    });
}

/// The record of a role is damaged everywhere, so that nobody gets it back.
fn a_role_is_lost() -> Check {
    let mut world = level_three(91)?;
    let role = path("role");
    let mut lost = None;
    let visit = &mut |path, _| {
        lost = Some(path);
        ControlFlow::Continue(())
    };
    world.view(0, Namespace::SYSTEM).entries(Some(&role), None, visit).unwrap();
    let lost = lost.ok_or("there are roles")?;
    (0..3).for_each(|id| world.nodes[id].store.rot(Namespace::SYSTEM, lost.clone()));
    for id in 0..3 {
        let report = verify(&mut world, id, true)?;
        ensure!(!report.lost.is_empty(), "{id} has not lost it");
    }
    let primary = world.nodes[0].key;
    world.ask(0, Request::Promote(Some(primary)));
    world.run(5_000);
    for id in 0..3 {
        let members = &world.nodes[id].running.as_ref().unwrap().engine.members;
        ensure!(members.promoted() == Some(Some(primary)), "{id} has heard of no promotion");
    }
    Ok(())
}

#[test]
fn a_record_that_is_lost_keeps_no_change_of_the_members_back() {
    depends_on(&["damage keeps no change of members back"], a_role_is_lost);
}
