//! Refresh: two states become one though tombstones between them are gone (R9, findings 9, 13 and 14).

use millpond_core::message::{
    Claim, Compare, CompareRefusal, Fingerprint, Message, Purpose, Range,
};
use millpond_core::transport::Lane;
use millpond_core::{Namespace, VersionVector};

use super::depends_on;
use super::floors::{lose_tombstones, lose_tombstones_of};
use super::hostile::say;
use crate::membership::Records;
use crate::replication::engine::NAMESPACES;
use crate::replication::{Answer, Request, RequestId};
use crate::sim::net::NodeId;
use crate::sim::world::{Check, World, ensure, path};

/// Nothing passes between two nodes.
fn part(world: &mut World, a: NodeId, b: NodeId) {
    let now_ms = world.now_ms;
    world.net.set_cut(now_ms, a, b, true);
    world.net.set_cut(now_ms, b, a, true);
    world.net.break_links(now_ms, a, b);
}

/// All nodes hold the same, and of these paths these values.
fn level(world: &World, values: &[(&str, &[&str])]) -> Check {
    for id in 0..world.nodes.len() {
        ensure!(world.vv(id) == world.vv(0), "{id} is not level");
        for (path, expected) in values {
            let found = world.values(id, path);
            ensure!(found == *expected, "{id} holds {found:?} at {path}, not {expected:?}");
        }
    }
    Ok(())
}

/// Node 2 is absent while something is deleted and forgotten, and writes meanwhile.
fn an_absent_node_returns() -> Check {
    let mut world = World::mesh(3, 51);
    for key in 0..40 {
        world.put(0, &format!("c/{key}/f"), "old");
    }
    world.settle()?;
    world.isolate(2, true);
    world.run(4_000);
    world.delete(0, "c/7/f");
    world.put(1, "c/8/f", "new");
    world.put(2, "c/own/f", "unsynced");
    world.put(2, "c/9/f", "unsynced");
    world.run(4_000);
    [0, 1].into_iter().for_each(|id| lose_tombstones(&mut world, id));
    world.isolate(2, false);
    world.run(20_000);
    let values: [(&str, &[&str]); 5] = [
        ("c/7/f", &[]),
        ("c/8/f", &["new"]),
        ("c/own/f", &["unsynced"]),
        ("c/9/f", &["unsynced"]),
        ("c/10/f", &["old"]),
    ];
    level(&world, &values)?;
    for id in 0..3 {
        let status = world.status(id);
        let links = status.peers.iter().filter_map(|peer| peer.link.as_ref());
        ensure!(links.into_iter().all(|link| !link.refresh_needed), "{id} needs a refresh still");
        let engine = &world.nodes[id].running.as_ref().unwrap().engine;
        ensure!(engine.comparisons.is_empty(), "a comparison stays");
    }
    Ok(())
}

#[test]
fn who_was_absent_is_refreshed_and_loses_nothing_of_its_own() {
    depends_on(&["what a supplier does not send it does not have"], an_absent_node_returns);
    depends_on(&["who cannot be told what changed is refreshed"], an_absent_node_returns);
}

#[test]
fn finding_13_two_halves_below_each_others_floors_become_one() {
    depends_on(&["who cannot be told what changed is refreshed"], || {
        let mut world = World::mesh(4, 52);
        for key in ["a", "b", "c"] {
            world.put(0, &format!("c/{key}/f"), "old");
        }
        world.settle()?;
        let cross: [(NodeId, NodeId); 4] = [(0, 2), (0, 3), (1, 2), (1, 3)];
        cross.into_iter().for_each(|(a, b)| part(&mut world, a, b));
        world.run(4_000);
        world.delete(0, "c/a/f");
        world.delete(2, "c/b/f");
        world.put(1, "c/left/f", "new");
        world.put(3, "c/right/f", "new");
        world.run(8_000);
        (0..4).for_each(|id| lose_tombstones(&mut world, id));
        world.run(4_000);
        world.put(0, "c/late/f", "unsynced");
        cross.into_iter().for_each(|(a, b)| world.heal(a, b));
        world.run(40_000);
        let values: [(&str, &[&str]); 6] = [
            ("c/a/f", &[]),
            ("c/b/f", &[]),
            ("c/c/f", &["old"]),
            ("c/left/f", &["new"]),
            ("c/right/f", &["new"]),
            ("c/late/f", &["unsynced"]),
        ];
        level(&world, &values)
    });
}

/// While nodes 0 and 2 refresh, node 1 brings 2 what 0 has seen deleted. Node 2 may have something of its own there.
fn what_0_has_seen_go_comes_to_2(own: Option<&str>) -> Check {
    let mut world = World::mesh(3, 53);
    world.put(0, "c/k/f", "v");
    world.settle()?;
    // Node 2 is fed by 1, but nothing arrives; and it is cut off from 0.
    part(&mut world, 0, 2);
    world.hold(1, 2, Lane::Control, true);
    world.put(1, "c/y/f", "v");
    world.run(1_000);
    ensure!(world.values(0, "c/y/f") == ["v"], "0 has not got it");
    part(&mut world, 0, 1);
    world.run(200);
    world.delete(0, "c/y/f");
    if let Some(own) = own {
        world.put(2, "c/y/f", own);
    }
    world.run(200);
    lose_tombstones(&mut world, 0);
    world.heal(0, 2);
    let is_compared = |world: &World| {
        let engine = &world.nodes[2].running.as_ref().unwrap().engine;
        engine.pulls.get(&Namespace::MAIN).is_some_and(|it| it.session.is_some())
    };
    world.run_until(20_000, is_compared)?;
    world.hold(0, 2, Lane::Bulk, true);
    world.hold(1, 2, Lane::Control, false);
    world.run_until(5_000, |world| world.values(2, "c/y/f").contains(&"v".into()))?;
    world.hold(0, 2, Lane::Bulk, false);
    world.run(2_000);
    world.heal(0, 1);
    world.run(20_000);
    level(&world, &[("c/y/f", own.as_slice()), ("c/k/f", &["v"])])
}

#[test]
fn finding_14_what_comes_during_a_refresh_is_compared_too() {
    depends_on(&["what came since the comparison is compared too"], || {
        what_0_has_seen_go_comes_to_2(None)
    });
}

#[test]
fn finding_14_what_comes_beside_what_only_this_side_has_is_compared_too() {
    depends_on(&["what came beside what only this side has is compared too"], || {
        what_0_has_seen_go_comes_to_2(Some("own"))
    });
}

/// What a peer says of no comparison is ignored; what it says out of turn ends its link.
#[test]
fn who_compares_out_of_turn_is_cut_off() {
    let mut world = World::mesh(2, 54);
    world.put(0, "c/k/f", "v");
    world.settle().unwrap();
    let links = |world: &World| world.nodes[0].running.as_ref().unwrap().engine.links.len();
    let nothing = Claim::Whole(Fingerprint::default());
    let ranges = vec![Range { end: None, claim: nothing }];
    let turn = Message::Ranges { session: 5, is_last: true, ranges };
    say(&mut world, &turn);
    assert_eq!(links(&world), 1);
    let compare = Compare {
        session: 5,
        namespace: Namespace::MAIN,
        purpose: Purpose::Refresh,
        salt: [0; 16],
        vv: world.vv(0),
        floor: VersionVector::new(),
    };
    say(&mut world, &Message::Compare(compare));
    say(&mut world, &turn);
    assert_eq!(links(&world), 1);
    say(&mut world, &turn);
    assert_eq!(links(&world), 0);
    assert_eq!(world.values(0, "c/k/f"), ["v"]);
}

/// A floor that the peer itself does not cover would take away what it never saw.
#[test]
fn a_comparison_above_its_own_vector_is_refused() {
    let mut world = World::mesh(2, 55);
    world.put(0, "c/k/f", "v");
    world.settle().unwrap();
    let compare = Compare {
        session: 5,
        namespace: Namespace::MAIN,
        purpose: Purpose::Refresh,
        salt: [0; 16],
        vv: VersionVector::new(),
        floor: world.vv(0),
    };
    say(&mut world, &Message::Compare(compare));
    assert!(world.nodes[0].running.as_ref().unwrap().engine.links.is_empty());
}

/// A node whose operator wants to look first: it tells what a refresh would do, and makes it when told to.
#[test]
fn a_refresh_may_wait_for_the_operator() {
    depends_on(&["a refresh may wait for the operator"], || {
        let mut world = World::mesh(2, 56);
        for key in 0..40 {
            world.put(0, &format!("c/{key}/f"), "old");
        }
        world.settle()?;
        world.nodes[1].automatic_refresh = false;
        world.isolate(1, true);
        world.run(4_000);
        world.delete(0, "c/7/f");
        world.put(0, "c/8/f", "new");
        world.put(0, "c/fresh/f", "new");
        world.put(1, "c/own/f", "unsynced");
        world.run(4_000);
        lose_tombstones(&mut world, 0);
        world.crash(1, true);
        world.start(1);
        world.isolate(1, false);
        world.run(40_000);
        ensure!(world.values(1, "c/7/f") == ["old"], "refreshed without its operator");
        let warnings = world.status(1).warnings;
        ensure!(warnings.iter().any(|it| it.contains("--dry-run")), "{warnings:?}");
        let peer = world.nodes[0].key;
        let mut refresh = |is_dry| {
            let id = world.ask(1, Request::Refresh { peer, is_dry });
            world.run_until(70_000, |world| world.answers.contains_key(&id))?;
            match world.answers.remove(&id) {
                Some(Answer::Refreshed(Ok(report))) => Ok(report),
                other => Err(format!("{other:?}")),
            }
        };
        let report = refresh(true)?;
        ensure!(report.is_dry && report.is_needed && !report.is_partial, "{report:?}");
        ensure!(report.go.paths == [path("c/7/f").to_string()], "{report:?}");
        ensure!(report.come.count == 2 && report.stay.count == 0, "{report:?}");
        let report = refresh(false)?;
        ensure!(!report.is_dry && report.is_needed, "{report:?}");
        world.run(20_000);
        let values: [(&str, &[&str]); 4] = [
            ("c/7/f", &[]),
            ("c/8/f", &["new"]),
            ("c/fresh/f", &["new"]),
            ("c/own/f", &["unsynced"]),
        ];
        level(&world, &values)
    });
}

/// Two equal nodes, of which the first is asked for a refresh.
fn asked_of_equals(seed: u64) -> Result<(World, RequestId), String> {
    let mut world = World::mesh(2, seed);
    for key in 0..40 {
        world.put(0, &format!("c/{key}/f"), "old");
    }
    world.settle()?;
    let peer = world.nodes[1].key;
    let id = world.ask(0, Request::Refresh { peer, is_dry: false });
    Ok((world, id))
}

/// Runs until a refresh that was asked for is done, and says for how long.
fn refreshed(world: &mut World, id: RequestId) -> Result<u64, String> {
    let start_ms = world.now_ms;
    world.run_until(70_000, |world| world.answers.contains_key(&id))?;
    match world.answers.remove(&id) {
        Some(Answer::Refreshed(Ok(_))) => Ok(world.now_ms - start_ms),
        other => Err(format!("{other:?}")),
    }
}

/// One namespace is not put off for the other's refresh, and nothing stays behind.
#[test]
fn a_refresh_of_equal_nodes_ends_soon() {
    let (mut world, id) = asked_of_equals(57).unwrap();
    let took_ms = refreshed(&mut world, id).unwrap();
    assert!(took_ms < 2_000, "{took_ms} ms");
    world.run(2_000);
    for node in world.nodes.iter() {
        let engine = &node.running.as_ref().unwrap().engine;
        assert!(engine.comparisons.is_empty() && engine.pulls.is_empty());
    }
}

/// The peer is busy with both namespaces, and something else is to be done before it may be asked again.
#[test]
fn a_refresh_that_was_put_off_is_come_back_to() {
    depends_on(&["a refresh that was put off is come back to"], || {
        let (mut world, id) = asked_of_equals(58)?;
        for _ in NAMESPACES {
            let now_ms = world.now_ms;
            let engine = &mut world.nodes[0].running.as_mut().unwrap().engine;
            let (link, session) = *engine.comparisons.keys().next().ok_or("no comparison")?;
            engine.compare_refused(link, session, CompareRefusal::Busy);
            engine.pull_retry_ms = now_ms + 1;
            world.run(2);
        }
        refreshed(&mut world, id).map(drop)
    });
}

/// Node 2 is absent while a member is removed, and until nobody has the tombstones of its records any more.
fn an_absent_node_learns_who_was_removed() -> Check {
    let mut world = World::mesh(4, 57);
    let removed = world.nodes[3].key;
    world.settle()?;
    world.isolate(2, true);
    world.run(4_000);
    let request = world.ask(0, Request::Remove(removed));
    world.run(4_000);
    let answer = world.answers.remove(&request);
    ensure!(matches!(answer, Some(Answer::Removed(Ok(())))), "{answer:?}");
    [0, 1].into_iter().for_each(|id| lose_tombstones_of(&mut world, id, Namespace::SYSTEM));
    world.isolate(2, false);
    world.run(20_000);
    let view = world.view(2, Namespace::SYSTEM);
    let engine = &world.nodes[2].running.as_ref().unwrap().engine;
    ensure!(view.vv() == world.view(0, Namespace::SYSTEM).vv(), "it is not level");
    ensure!(engine.members.get(removed).is_none(), "a removed member is one still");
    let mut records = engine.records.clone();
    records.advance(&view).unwrap();
    ensure!(records == Records::read(&view).unwrap(), "what went is a record still");
    Ok(())
}

#[test]
fn records_that_a_comparison_took_away_are_none_any_more() {
    depends_on(&["what goes without a dot is noticed"], an_absent_node_learns_who_was_removed);
}
