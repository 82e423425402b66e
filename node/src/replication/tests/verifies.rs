//! Verify and scrub: what is damaged is found and mended, and nothing is found where nothing is (finding 19).

use millpond_core::message::Message;
use millpond_core::transport::Lane;
use millpond_core::wire::RowsWriter;
use millpond_core::{Dot, Entry, LiveDot, Namespace, Row, VersionVector};
use rand_core::Rng;

use super::depends_on;
use super::hostile::say;
use super::trees::{engine, link};
use crate::replication::{Answer, Request};
use crate::sim::audit::audit;
use crate::sim::net::NodeId;
use crate::sim::world::{Check, World, ensure, path, text};
use crate::state::View;
use crate::status::{VerifyOutcome, VerifyReport};
use crate::store::{Changes, Durability, Store};
use crate::topology::settings::Direction;

pub(super) const MAIN: Namespace = Namespace::MAIN;

/// A node verifies itself with all its peers.
pub(super) fn verify(world: &mut World, id: NodeId, is_deep: bool) -> Result<VerifyReport, String> {
    let request = world.ask(id, Request::Verify { peers: None, is_deep });
    world.run_until(200_000, |world| world.answers.contains_key(&request))?;
    match world.answers.remove(&request) {
        Some(Answer::Verified(report)) => Ok(*report),
        other => Err(format!("{other:?}")),
    }
}

pub(super) fn entry(world: &World, id: NodeId, at: &str) -> Entry {
    let view = View::new(world.nodes[id].store.snapshot().unwrap(), MAIN).unwrap();
    view.entry(&path(at)).unwrap()
}

pub(super) fn dot(world: &World, id: NodeId, at: &str) -> Dot {
    entry(world, id, at).live()[0].dot
}

pub(super) fn commit(world: &World, id: NodeId, changes: &Changes) {
    world.nodes[id].store.commit(changes, Durability::Synced).unwrap();
}

/// An entry vanishes behind the store's back; with its log row, or without.
fn lose(world: &World, id: NodeId, at: &str, and_log: bool) {
    let mut changes = Changes::default();
    if and_log {
        changes.log.insert((MAIN, dot(world, id, at)), None);
    }
    changes.entries.insert((MAIN, path(at)), Entry::absent());
    commit(world, id, &changes);
}

/// Three level nodes with some values.
pub(super) fn level_three(seed: u64) -> Result<World, String> {
    let mut world = World::mesh(3, seed);
    for key in 0..60 {
        world.put(key as usize % 3, &format!("c/{key}/f"), &format!("value {key}"));
    }
    world.settle()?;
    Ok(world)
}

/// All nodes hold a value, and their stores are sound.
pub(super) fn holds(world: &World, at: &str, expected: &[&str]) -> Check {
    (0..world.nodes.len()).try_for_each(|id| holds_in(world, id, at, expected))
}

pub(super) fn holds_in(world: &World, id: NodeId, at: &str, expected: &[&str]) -> Check {
    let view = View::new(world.nodes[id].store.snapshot().unwrap(), MAIN).unwrap();
    let found = view.entry(&path(at)).map_err(|error| format!("{id} at {at}: {error}"))?;
    let found: Vec<&[u8]> = found.live().iter().map(|live| &live.payload.bytes[..]).collect();
    let expected: Vec<&[u8]> = expected.iter().map(|it| it.as_bytes()).collect();
    ensure!(found == expected, "{id} holds {found:?} at {at}, not {expected:?}");
    audit(world, id)
}

#[test]
fn level_nodes_are_equal() {
    let mut world = level_three(81).unwrap();
    let report = verify(&mut world, 1, true).unwrap();
    assert!(report.is_sound && report.is_whole, "{report:?}");
    assert_eq!(report.peers.len(), 4);
    assert!(report.peers.iter().all(|it| it.outcome == VerifyOutcome::Equal), "{report:?}");
    let scrub = report.scrub.unwrap();
    assert!(scrub.entries >= 60 && scrub.log_rows >= scrub.entries, "{scrub:?}");
    assert_eq!((scrub.damaged, scrub.lost, scrub.unlogged), (0, 0, 0));
}

/// The entry is gone, and the log still says that it lives: the peer's copy is right.
fn a_lost_entry_comes_back(is_deep: bool, asked: NodeId) -> Check {
    let mut world = level_three(82)?;
    lose(&world, 1, "c/7/f", false);
    verify(&mut world, asked, is_deep)?;
    holds(&world, "c/7/f", &["value 7"])?;
    let report = verify(&mut world, 1, true)?;
    ensure!(report.is_sound && report.alarms.is_empty(), "{report:?}");
    let again = entry(&world, 1, "c/7/f") == entry(&world, 0, "c/7/f");
    ensure!(again, "it was written anew");
    Ok(())
}

#[test]
fn an_entry_that_its_log_still_has_comes_back() {
    a_lost_entry_comes_back(false, 0).unwrap();
    a_lost_entry_comes_back(false, 1).unwrap();
    depends_on(&["the log tells what an entry has lost"], || {
        let mut world = level_three(82)?;
        lose(&world, 1, "c/7/f", false);
        world.isolate(1, true);
        world.run(2_000);
        let report = verify(&mut world, 1, true)?;
        ensure!(report.lost.len() == 1 && !report.is_sound, "{report:?}");
        Ok(())
    });
}

/// What a peer meets in passing is mended without anybody's asking.
#[test]
fn a_damaged_value_that_a_comparison_meets_comes_back() {
    let mut world = level_three(84).unwrap();
    world.nodes[2].store.rot(MAIN, path("c/9/f"));
    verify(&mut world, 0, false).unwrap();
    world.run(10_000);
    holds(&world, "c/9/f", &["value 9"]).unwrap();
}

#[test]
fn a_lost_log_row_is_written_anew() {
    let mut world = level_three(86).unwrap();
    let mut changes = Changes::default();
    changes.log.insert((MAIN, dot(&world, 1, "c/5/f")), None);
    commit(&world, 1, &changes);
    assert!(audit(&world, 1).is_err());
    let report = verify(&mut world, 1, true).unwrap();
    assert_eq!(report.scrub.map(|scrub| scrub.unlogged), Some(1));
    audit(&world, 1).unwrap();
}

/// The entry is gone with its log row: nothing says who is right. What is held is kept, and told.
#[test]
fn finding_19_what_one_side_misses_without_a_trace_is_issued_again() {
    depends_on(&["what differs is looked at again"], || {
        let mut world = level_three(87)?;
        let before = entry(&world, 0, "c/7/f").live()[0].clone();
        lose(&world, 1, "c/7/f", true);
        let request = world.ask(0, Request::Verify { peers: None, is_deep: false });
        // Nobody acts on what was found once.
        world.run(6_000);
        ensure!(dot(&world, 0, "c/7/f") == before.dot, "issued again at once");
        world.run_until(100_000, |world| world.answers.contains_key(&request))?;
        world.run(30_000);
        holds(&world, "c/7/f", &["value 7"])?;
        let after = entry(&world, 1, "c/7/f").live().to_vec();
        ensure!(after.len() == 1 && after[0].dot != before.dot, "{after:?}");
        ensure!(after[0].hlc == before.hlc, "with another stamp");
        let report = verify(&mut world, 0, true)?;
        ensure!(report.is_sound && !report.alarms.is_empty(), "{report:?}");
        Ok(())
    });
}

#[test]
fn one_dot_with_two_contents_becomes_one_value() {
    let mut world = level_three(88).unwrap();
    let live = entry(&world, 1, "c/7/f").live()[0].clone();
    let other = LiveDot { payload: text("another"), ..live };
    let mut changes = Changes::default();
    changes.entries.insert((MAIN, path("c/7/f")), Entry::from_live(vec![other]));
    commit(&world, 1, &changes);
    let report = verify(&mut world, 1, false).unwrap();
    assert!(report.peers.iter().any(|it| it.outcome == VerifyOutcome::Differs), "{report:?}");
    world.run(60_000);
    let kept = world.values(0, "c/7/f");
    assert_eq!(kept.len(), 1);
    holds(&world, "c/7/f", &[&kept[0]]).unwrap();
    let report = verify(&mut world, 1, true).unwrap();
    assert!(report.is_sound && !report.alarms.is_empty(), "{report:?}");
}

/// Writes and deletes go on everywhere, one node is cut off now and then, and tombstones are collected: all the
/// while nodes verify themselves, and find nothing.
fn nothing_is_found_under_load(seed: u64) -> Check {
    let mut world = World::mesh(3, seed);
    for key in 0..40 {
        world.put(0, &format!("c/{key}/f"), "first");
    }
    world.settle()?;
    let mut requests = Vec::new();
    for round in 0..160 {
        let id = (world.rng.next_u64() % 3) as usize;
        let at = format!("c/{}/f", world.rng.next_u64() % 40);
        match world.rng.next_u64() % 3 {
            0 => drop(world.delete(id, &at)),
            _ => drop(world.put(id, &at, &format!("round {round}"))),
        }
        if round % 7 == 0 {
            let asked = (world.rng.next_u64() % 3) as usize;
            let is_deep = world.rng.next_u64().is_multiple_of(2);
            requests.push(world.ask(asked, Request::Verify { peers: None, is_deep }));
        }
        match world.rng.next_u64() % 24 {
            0 => world.isolate(2, true),
            1 | 2 => world.isolate(2, false),
            _ => {}
        }
        let pause_ms = world.rng.next_u64() % 400;
        world.run(pause_ms);
    }
    world.isolate(2, false);
    world.run(100_000);
    world.settle()?;
    let mut compared = 0;
    for request in requests {
        // Those of a node that was restarted are not answered.
        let Some(Answer::Verified(report)) = world.answers.remove(&request) else { continue };
        ensure!(report.alarms.is_empty() && report.lost.is_empty(), "{report:?}");
        for peer in &report.peers {
            ensure!(peer.suspect == 0 && peer.mended == 0, "{peer:?}");
            compared += usize::from(peer.outcome.is_good());
        }
        let scrub = report.scrub.unwrap_or_default();
        ensure!((scrub.damaged, scrub.lost, scrub.unlogged) == (0, 0, 0), "{scrub:?}");
    }
    ensure!(compared >= 20, "only {compared} comparisons came to an end");
    Ok(())
}

#[test]
fn nothing_is_found_at_healthy_nodes_under_load() {
    for seed in 0..4 {
        nothing_is_found_under_load(seed).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
}

/// A delete that has come to one side only, an overwrite, and a new value.
#[test]
fn finding_19_what_is_on_its_way_is_no_fault() {
    depends_on(&["what is on its way explains a difference"], || {
        let mut world = level_three(92)?;
        [0, 2].into_iter().for_each(|id| world.hold(1, id, Lane::Control, true));
        world.delete(1, "c/7/f");
        world.put(1, "c/8/f", "newer");
        world.put(1, "c/new/f", "new");
        world.run(20);
        let report = verify(&mut world, 0, false)?;
        [0, 2].into_iter().for_each(|id| world.hold(1, id, Lane::Control, false));
        ensure!(report.is_sound, "{report:?}");
        let explained: u64 = report.peers.iter().map(|it| it.explained).sum();
        ensure!(explained == 3, "{report:?}");
        Ok(())
    });
}

fn waits(world: &World, id: usize) -> bool {
    !world.nodes[id].running.as_ref().unwrap().engine.comparisons.is_empty()
}

fn take_nothing(world: &mut World, id: usize, peer: usize) {
    let link = link(world, id, peer);
    engine(world, id).links.get_mut(&link).unwrap().rules.direction = Direction::Serve;
}

/// A peer that takes nothing wants none of what this side holds, and does not say so: its rows do.
fn a_peer_asks_for_nothing() -> Check {
    let mut world = level_three(98)?;
    lose(&world, 1, "c/7/f", true);
    take_nothing(&mut world, 1, 0);
    // Looked at when it has told what it found: what it gives back then the peer refuses, and ends the link.
    let peers = Some(vec![world.nodes[1].key]);
    let request = world.ask(0, Request::Verify { peers, is_deep: false });
    world.run_until(200_000, |world| world.answers.contains_key(&request))?;
    let told = world.answers.remove(&request);
    ensure!(matches!(told, Some(Answer::Verified(report)) if !report.is_sound), "nothing differs");
    ensure!(!waits(&world, 0), "it waits for a question that will not come");
    Ok(())
}

#[test]
fn who_has_told_all_is_not_waited_for() {
    depends_on(&["who has told all asks nothing more"], a_peer_asks_for_nothing);
}

/// Neither side wants anything.
fn nobody_asks() -> Check {
    let mut world = level_three(99)?;
    lose(&world, 1, "c/7/f", true);
    let peers = Some(vec![world.nodes[1].key]);
    world.ask(0, Request::Verify { peers, is_deep: false });
    let compares = |world: &World| {
        let engine = &world.nodes[0].running.as_ref().unwrap().engine;
        engine.comparisons.values().any(|it| it.namespace == MAIN)
    };
    world.run_until(1_000, compares)?;
    take_nothing(&mut world, 0, 1);
    take_nothing(&mut world, 1, 0);
    world.run(1_000);
    ensure!(waits(&world, 0) && waits(&world, 1), "they wait for nothing");
    world.run_until(6_000, |world| !waits(world, 0) && !waits(world, 1)).map(drop)
}

#[test]
fn who_may_ask_no_more_is_not_waited_for() {
    depends_on(&["who may ask no more is not waited for"], nobody_asks);
}

/// What a peer tells in a verification is bounded, and of the snapshot that was compared.
#[test]
fn who_tells_rows_of_another_snapshot_is_cut_off() {
    let mut world = level_three(95).unwrap();
    lose(&world, 1, "c/7/f", true);
    world.hold(1, 0, Lane::Bulk, true);
    world.ask(0, Request::Verify { peers: Some(vec![world.nodes[1].key]), is_deep: false });
    world.run(1_000);
    let links = |world: &World| world.nodes[0].running.as_ref().unwrap().engine.links.len();
    assert_eq!(links(&world), 2);
    // Nobody has asked for this transfer: it is ignored.
    let start = |transfer| Message::PullStart {
        transfer,
        upto: VersionVector::new(),
        rows_estimate: 0,
        floor: VersionVector::new(),
    };
    say(&mut world, &start(99));
    assert_eq!(links(&world), 2);
    world.hold(1, 0, Lane::Bulk, false);
    let telling = |world: &World| world.nodes[0].running.as_ref().unwrap().engine.inspect_told();
    world.run_until(20_000, |world| telling(world).is_some()).unwrap();
    let (transfer, ..) = telling(&world).unwrap();
    say(&mut world, &start(transfer));
    assert_eq!(links(&world), 1);
}

/// However much a peer tells, so much is kept.
#[test]
fn what_a_peer_tells_is_bounded() {
    depends_on(&["what is told is bounded"], || {
        let mut world = level_three(96)?;
        lose(&world, 1, "c/7/f", true);
        world.hold(1, 0, Lane::Bulk, true);
        world.ask(0, Request::Verify { peers: Some(vec![world.nodes[1].key]), is_deep: false });
        world.run(1_000);
        world.hold(1, 0, Lane::Bulk, false);
        let engine = |world: &World| world.nodes[0].running.as_ref().unwrap().engine.inspect_told();
        world.run_until(20_000, |world| engine(world).is_some())?;
        let (transfer, upto, floor) = engine(&world).unwrap();
        say(&mut world, &Message::PullStart { transfer, upto, rows_estimate: 0, floor });
        let large = text(&"x".repeat(1 << 20));
        for key in 0..20 {
            let dot = Dot::new(
                millpond_core::Incarnation::from_bytes([9; 16]),
                millpond_core::Seq::FIRST,
            );
            let content = Some((millpond_core::Hlc::from_ms(1), large.clone()));
            let live = vec![millpond_core::RowDot { dot, content }];
            let mut rows = RowsWriter::new(transfer);
            rows.push(&Row { path: path(&format!("c/{key}/f")), live, deletes: Vec::new() });
            say(&mut world, &Message::Rows(rows.finish()));
        }
        let engine = &world.nodes[0].running.as_ref().unwrap().engine;
        let told: usize =
            engine.comparisons.values().filter_map(|it| it.told.as_ref()).map(|it| it.rows()).sum();
        ensure!((10..17).contains(&told), "{told} rows are kept");
        Ok(())
    });
}
