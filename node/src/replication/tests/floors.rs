//! Floors: findings 1, 13 and S11 (R9).

use std::ops::ControlFlow;
use std::sync::Arc;

use millpond_core::message::{Message, Pull, PullRefusal, Resume};
use millpond_core::transport::Lane;
use millpond_core::{Dot, Incarnation, Namespace, Path, Seq, VersionVector, wire};

use super::super::supply::Supply;
use super::depends_on;
use super::trees::{engine, link};
use crate::limits::Limits;
use crate::planted;
use crate::replication::Input;
use crate::sim::net::NodeId;
use crate::sim::world::{Check, World, ensure, path, text};
use crate::state::{Heads, Job, JobError, Local, commit_group, meta_key, write_meta};
use crate::store::memory::MemoryStore;
use crate::store::{Changes, Durability, Store};

/// A node restarts, and its tombstones are gone.
pub(super) fn lose_tombstones(world: &mut World, id: NodeId) {
    lose_tombstones_of(world, id, Namespace::MAIN);
}

/// The same in any namespace.
pub(super) fn lose_tombstones_of(world: &mut World, id: NodeId, namespace: Namespace) {
    world.crash(id, true);
    let store = world.nodes[id].store.clone();
    let snapshot = store.snapshot().unwrap();
    let heads = Heads::load(&*snapshot).unwrap();
    let (mut floor, mut changes) = (VersionVector::new(), Changes::default());
    for last in heads.vv(namespace).iter() {
        let visit = &mut |dot: Dot, row: crate::store::LogRow| {
            if row.deleted.is_some() {
                floor.advance(dot);
                changes.log.insert((namespace, dot), None);
            }
            ControlFlow::Continue(())
        };
        snapshot.log(namespace, last.incarnation, 0, u64::MAX, visit).unwrap();
    }
    write_meta(&mut changes, meta_key::floor(namespace), Some(&floor));
    store.commit(&changes, Durability::Synced).unwrap();
    world.start(id);
}

/// Node 2 is absent while something is deleted, and until nobody has the tombstone any more.
fn an_absent_node_returns() -> Check {
    let mut world = World::mesh(3, 41);
    world.put(0, "c/k/f", "v");
    world.put(0, "c/other/f", "v");
    world.settle()?;
    world.isolate(2, true);
    world.run(4_000);
    world.delete(0, "c/k/f");
    world.put(1, "c/new/f", "v");
    world.run(4_000);
    [0, 1].into_iter().for_each(|id| lose_tombstones(&mut world, id));
    world.isolate(2, false);
    world.run(20_000);
    let is_level = world.vv(2) == world.vv(0);
    ensure!(!is_level || world.values(2, "c/k/f").is_empty(), "a deleted value is back");
    Ok(())
}

#[test]
fn finding_13_who_is_below_the_floor_is_not_brought_level_by_what_changed() {
    const RULES: [&str; 3] = [
        "who cannot be told what changed is refreshed",
        "who is below the floor is not supplied",
        "a batch meets who is above its floor",
    ];
    depends_on(&RULES, an_absent_node_returns);
    // Each of the last two holds what is deleted down alone.
    for rules in [
        &["who cannot be told what changed is refreshed", "who is below the floor is not supplied"],
        &["who cannot be told what changed is refreshed", "a batch meets who is above its floor"],
    ] {
        planted::without(rules, an_absent_node_returns).unwrap();
    }
}

#[test]
fn who_covers_the_floor_is_served_and_passes_it_on() {
    let mut world = World::mesh(3, 42);
    world.put(0, "c/k/f", "v");
    world.delete(0, "c/k/f");
    world.settle().unwrap();
    world.isolate(2, true);
    world.run(4_000);
    world.put(1, "c/new/f", "v");
    world.run(1_000);
    [0, 1].into_iter().for_each(|id| lose_tombstones(&mut world, id));
    world.isolate(2, false);
    world.run_until(20_000, |world| world.vv(2) == world.vv(0)).unwrap();
    assert_eq!(world.values(2, "c/new/f"), ["v"]);
    let floor = |world: &World, id: NodeId| {
        let running = world.nodes[id].running.as_ref().unwrap();
        running.heads.floor(Namespace::MAIN).clone()
    };
    assert_eq!(floor(&world, 2), floor(&world, 0));
    assert!(!floor(&world, 2).is_empty());
    // So does a fresh node, which holds nothing that may have been deleted.
    let fresh = world.join();
    world.run_until(20_000, |world| world.vv(fresh) == world.vv(0)).unwrap();
    assert_eq!(floor(&world, fresh), floor(&world, 0));
}

/// Node 0 cannot feed node 2 any more, and refuses it a catch-up, since its floor has risen. Then node 1 brings node 2
/// what was collected.
fn a_refused_node_comes_further() -> Check {
    let mut world = World::mesh(3, 43);
    world.put(0, "c/k/f", "v");
    world.settle()?;
    let (there, here) = (link(&mut world, 0, 2), link(&mut world, 2, 0));
    world.hold(2, 0, Lane::Control, true);
    engine(&mut world, 0).end_feed(there, Namespace::MAIN);
    world.run(1_000);
    let transfer = engine(&mut world, 2).pulls.get(&Namespace::MAIN).map(|it| it.transfer);
    let transfer = transfer.ok_or("node 2 asks for no catch-up")?;
    let refused = Message::PullRefused { transfer, reason: PullRefusal::BelowFloor };
    for frame in wire::encode(&refused) {
        world.input(2, Input::Frame { link: here, lane: Lane::Bulk, frame });
    }
    world.hold(2, 0, Lane::Control, false);
    world.put(1, "c/new/f", "v");
    world.run(12_000);
    world.put(0, "c/next/f", "v");
    let fed = world.run_until(100, |world| !world.values(2, "c/next/f").is_empty());
    fed.map(drop).map_err(|why| format!("node 0 does not feed node 2, {why}"))
}

#[test]
fn who_was_below_a_floor_and_has_come_further_asks_again() {
    depends_on(&["who has come further asks again"], a_refused_node_comes_further);
}

/// A store with one value, and what covers it and its delete, elsewhere.
fn one_value() -> (MemoryStore, Heads, VersionVector, VersionVector) {
    let (store, mut heads) = (MemoryStore::new(), Heads::default());
    let incarnation = Incarnation::from_bytes([1; 16]);
    let local = Local {
        namespace: Namespace::MAIN,
        closure: Box::new(|tx| tx.put(path("c/k/f"), text("v"))),
        now_ms: 1_790_000_000_000,
        ended: None,
        fresh: incarnation,
        key: crate::sim::node::key(0),
    };
    commit_group(&store, &mut heads, vec![Job::Local(local)]).unwrap().remove(0).unwrap();
    // Whoever deletes is another one, and this one is not to be fenced for what it is told.
    commit_group(&store, &mut heads, vec![Job::Close]).unwrap().remove(0).unwrap();
    let delete = Dot::new(Incarnation::from_bytes([2; 16]), Seq::FIRST);
    let mut upto = heads.vv(Namespace::MAIN).clone();
    upto.advance(delete);
    (store, heads, upto, VersionVector::from_iter([delete]))
}

fn batch(from: VersionVector, upto: VersionVector, floor: VersionVector) -> Job {
    Job::Batch { namespace: Namespace::MAIN, from, upto, floor, rows: Vec::new() }
}

/// A node that held nothing when it asked has taken a push since, of a value that its supplier had deleted.
#[test]
fn a_batch_meets_who_is_above_its_floor() {
    depends_on(&["a batch meets who is above its floor"], || {
        let (store, mut heads, upto, floor) = one_value();
        let job = batch(VersionVector::new(), upto, floor);
        let result = commit_group(&store, &mut heads, vec![job]).unwrap().remove(0);
        ensure!(matches!(result, Err(JobError::BelowFloor)), "{result:?}");
        Ok(())
    });
}

#[test]
fn finding_1_a_floor_comes_with_its_batch() {
    depends_on(&["a floor comes with its batch"], || {
        let (store, mut heads, upto, floor) = one_value();
        // Nothing was collected that this one has yet to forget.
        let mut from = heads.vv(Namespace::MAIN).clone();
        let job = batch(from.clone(), upto.clone(), VersionVector::new());
        commit_group(&store, &mut heads, vec![job]).unwrap().remove(0).unwrap();
        from.join(&upto);
        let job = batch(from, upto, floor.clone());
        commit_group(&store, &mut heads, vec![job]).unwrap().remove(0).unwrap();
        let heads = Heads::load(&*store.snapshot().unwrap()).unwrap();
        ensure!(*heads.floor(Namespace::MAIN) == floor, "{:?}", heads.floor);
        Ok(())
    });
}

/// A catch-up from nothing was cut off, and deletes behind its cursor were collected since.
#[test]
fn finding_s11_a_resumption_is_above_the_floor() {
    depends_on(&["a resumption is above the floor"], || {
        let (store, _, upto, floor) = one_value();
        let mut changes = Changes::default();
        write_meta(&mut changes, meta_key::vv(Namespace::MAIN), Some(&upto));
        write_meta(&mut changes, meta_key::floor(Namespace::MAIN), Some(&floor));
        store.commit(&changes, Durability::Synced).unwrap();
        let cursor: Path = path("c/k/f");
        let snapshot: Arc<dyn crate::store::Snapshot> = store.snapshot().unwrap();
        let tells_all = |resume: Option<VersionVector>| {
            let resume = resume.map(|upto| Resume { upto, cursor: cursor.clone() });
            let from = VersionVector::new();
            let pull = Pull { namespace: Namespace::MAIN, transfer: 1, from, resume };
            Supply::new(snapshot.clone(), pull, Limits::default()).unwrap().tells_all()
        };
        let staged =
            VersionVector::from_iter([Dot::new(Incarnation::from_bytes([1; 16]), Seq::FIRST)]);
        ensure!(tells_all(None), "a fresh node is refused");
        ensure!(tells_all(Some(upto.clone())), "what is staged is of now");
        ensure!(!tells_all(Some(staged)), "what is staged may have been deleted");
        Ok(())
    });
}
