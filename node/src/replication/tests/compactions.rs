//! Compaction of counters: findings 8, 9 and 12, and S10 (R13).

use millpond_core::types::counter::{Slot, slot_owner};
use millpond_core::{Hlc, Namespace};

use super::depends_on;
use super::reissues::count;
use crate::replication::Collection;
use crate::replication::words::Word;
use crate::sim::net::NodeId;
use crate::sim::node::{COLLECTION, DIGEST_MS};
use crate::sim::world::{Check, NAMESPACES, World, ensure, path};

const AT: &str = "c/n/f";
/// The one of the lowest key, which compacts; one that counts; one that resets.
const LOWEST: NodeId = 0;
const COUNTS: NodeId = 1;
const RESETS: NodeId = 2;

fn add(world: &mut World, id: NodeId, delta: i64) {
    world.write(id, move |tx| tx.count(&path(AT), delta));
}

fn reset(world: &mut World, id: NodeId) {
    world.write(id, |tx| tx.reset_counter(&path(AT)));
}

/// The slots that a node holds.
fn slots(world: &World, id: NodeId) -> usize {
    let mut count = 0;
    world
        .view(id, Namespace::MAIN)
        .entries(Some(&path(AT)), None, &mut |path, _| {
            count += usize::from(slot_owner(&path).is_some());
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    count
}

fn tombstones(world: &World, id: NodeId) -> u64 {
    world.nodes[id].running.as_ref().unwrap().heads.tombstones(Namespace::MAIN).count
}

/// All have counted, and one has reset.
fn spent(collection: Collection) -> Result<World, String> {
    let mut world = World::new(80);
    world.set_collection(collection);
    (1..3).for_each(|_| {
        world.join();
    });
    (0..3).for_each(|id| add(&mut world, id, 5));
    world.settle()?;
    ensure!((0..3).all(|id| count(&world, id, AT) == 15), "it is not 15");
    Ok(world)
}

fn goes() -> Check {
    let mut world = spent(COLLECTION)?;
    let issued: Vec<u64> = world.nodes.iter().map(|node| node.issued).collect();
    reset(&mut world, RESETS);
    world.settle()?;
    world.run(6 * DIGEST_MS);
    world.settle()?;
    for id in 0..3 {
        ensure!(slots(&world, id) == 0, "{id} keeps {} slots", slots(&world, id));
        ensure!(tombstones(&world, id) == 0, "{id} keeps tombstones");
    }
    let wrote: Vec<u64> =
        world.nodes.iter().zip(issued).map(|(node, before)| node.issued - before).collect();
    ensure!(wrote == [1, 0, 1], "one compacts and one resets, and they wrote {wrote:?}");
    // It counts on, from nothing, in slots of new names.
    (0..3).for_each(|id| add(&mut world, id, 2));
    world.settle()?;
    ensure!((0..3).all(|id| count(&world, id, AT) == 6), "it does not count on");
    world.run(6 * DIGEST_MS);
    ensure!(slots(&world, 1) == 3, "a slot that counts was deleted");
    Ok(())
}

#[test]
fn a_counter_that_was_reset_vanishes() {
    depends_on(&["counters that were reset are compacted"], goes);
}

/// Finding 8: what vanishes at one node without a dot stays at the others, at equal vectors.
#[test]
fn finding_8_what_is_compacted_takes_dots() {
    depends_on(&["what is compacted takes dots"], goes);
}

/// The one of the lowest key has something else to do, and the others wait for it.
fn the_others_wait() -> Check {
    let mut world = spent(COLLECTION)?;
    let never = Collection { interval_ms: u64::MAX, ..COLLECTION };
    world.nodes[LOWEST].running.as_mut().unwrap().engine_mut().set_collection(never);
    reset(&mut world, RESETS);
    world.run(6 * DIGEST_MS);
    world.settle()?;
    ensure!(slots(&world, COUNTS) == 3, "another one compacts");
    world.nodes[LOWEST].running.as_mut().unwrap().engine_mut().set_collection(COLLECTION);
    world.run(2 * DIGEST_MS);
    ensure!(slots(&world, COUNTS) == 0, "nobody compacts");
    Ok(())
}

#[test]
fn one_member_compacts_for_all() {
    depends_on(&["one member compacts"], the_others_wait);
}

/// Finding 9: what is cleared away keeps its stamp.
#[test]
fn finding_9_a_compaction_has_the_stamp_of_what_it_clears_away() {
    let mut world = spent(COLLECTION).unwrap();
    reset(&mut world, RESETS);
    world.settle().unwrap();
    let after = Hlc::from_ms(world.nodes[0].now(world.now_ms).wall_ms);
    world.cut(LOWEST, COUNTS);
    world.cut(LOWEST, RESETS);
    world.run(1_000);
    world.heal(LOWEST, COUNTS);
    let mut stamps = Vec::new();
    for _ in 0..4_000 {
        world.run(10);
        let snapshot = crate::store::Store::snapshot(&*world.nodes[LOWEST].store).unwrap();
        let visit = &mut |_, row: crate::store::LogRow| {
            stamps.extend(row.deleted);
            std::ops::ControlFlow::Continue(())
        };
        for dot in world.vv(LOWEST).iter() {
            snapshot.log(Namespace::MAIN, dot.incarnation, 0, u64::MAX, visit).unwrap();
        }
        if !stamps.is_empty() {
            break;
        }
    }
    assert!(!stamps.is_empty(), "nothing was compacted");
    assert!(stamps.iter().all(|stamp| *stamp < after), "{stamps:?}, and it is {after:?}");
}

/// A slot of which something is left is no slot at its bases, whatever it adds.
#[test]
fn what_was_never_reset_stays() {
    let mut world = spent(COLLECTION).unwrap();
    add(&mut world, COUNTS, -5);
    world.settle().unwrap();
    world.run(6 * DIGEST_MS);
    assert!((0..3).all(|id| slots(&world, id) == 3 && count(&world, id, AT) == 10));
}

/// A count that has not heard of the reset is still under way, though its node has heard of it since: the
/// word says so, and the one that compacts has got the word and not the count.
fn a_word_is_ahead() -> Check {
    let mut world = spent(COLLECTION)?;
    world.isolate(COUNTS, true);
    world.run(10_000);
    add(&mut world, COUNTS, 2);
    reset(&mut world, RESETS);
    world.run(10_000);
    // As if it had come by another way: it has the reset, and what it has counted before.
    let vectors = NAMESPACES.map(|namespace| {
        let mut vv = world.view(COUNTS, namespace).vv().clone();
        vv.join(world.view(RESETS, namespace).vv());
        (namespace, vv)
    });
    let (key, boot) = (world.nodes[COUNTS].key, world.nodes[COUNTS].running.as_ref().unwrap().boot);
    let now_ms = world.now_ms as i64;
    let engine = world.nodes[LOWEST].running.as_mut().unwrap().engine_mut();
    engine.peer_mut(key).words.hear(boot, Word(vectors.into()), now_ms);
    world.run(4 * DIGEST_MS);
    world.isolate(COUNTS, false);
    world.settle()?;
    world.run(6 * DIGEST_MS);
    world.settle()?;
    let counted = count(&world, LOWEST, AT);
    ensure!(counted == 2, "it reads {counted}, and 2 were counted beside the reset");
    Ok(())
}

#[test]
fn s10_a_reset_is_kept_until_what_was_counted_beside_it_has_come() {
    depends_on(&["compaction waits until it covers what members have"], a_word_is_ahead);
}

/// Finding 12: it is away for longer than the window, with a count that it has not told.
fn one_is_away() -> Check {
    let mut world = spent(Collection { offline_window_ms: 60_000, ..COLLECTION })?;
    world.isolate(COUNTS, true);
    world.run(10_000);
    add(&mut world, COUNTS, 2);
    reset(&mut world, RESETS);
    world.run(120_000);
    let evicted = world.status(LOWEST).peers.iter().filter(|it| it.evicted.is_some()).count();
    ensure!(evicted == 1, "it was not evicted");
    world.isolate(COUNTS, false);
    world.run(30_000);
    world.settle()?;
    for id in 0..3 {
        let counted = count(&world, id, AT);
        ensure!(counted == 2, "{id} reads {counted}, and 2 were counted beside the reset");
    }
    world.run(8 * DIGEST_MS);
    world.settle()?;
    ensure!(slots(&world, LOWEST) == 1, "what was reset stays");
    Ok(())
}

#[test]
fn finding_12_compaction_waits_for_who_was_evicted() {
    depends_on(&["compaction waits for who was evicted"], one_is_away);
}

/// What is no slot, and has a name like one, is nobody's to clear away.
#[test]
fn what_looks_like_a_slot_stays() {
    let mut world = World::mesh(2, 81);
    let at = path("c/k").child([7; 24]).unwrap();
    let value = crate::sim::world::text("v");
    world.write(0, move |tx| tx.put(at, value));
    world.run(6 * DIGEST_MS);
    world.settle().unwrap();
    let at = path("c/k").child([7; 24]).unwrap();
    let entry = world.view(1, Namespace::MAIN).entry(&at).unwrap();
    assert!(!entry.is_absent());
    assert!(Slot::read(&entry).is_some_and(Slot::is_zero), "it reads like one");
}
