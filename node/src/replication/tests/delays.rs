//! The delayed replica: what it shows is exactly what it had received so long ago, whatever happens meanwhile.

use std::cell::RefCell;
use std::rc::Rc;

use millpond_core::{Namespace, VersionVector};
use rand_core::Rng;

use super::depends_on;
use crate::replica::DelayError;
use crate::replication::{Answer, DelayOrder, Request};
use crate::seal::Seal;
use crate::sim::net::NodeId;
use crate::sim::world::{Check, World, ensure};
use crate::state::{View, WriteError, shown_in};
use crate::status::{NodeState, PeerState};
use crate::store::Store;

const DELAY_MS: u64 = 60_000;

/// The node whose replica is delayed.
const LATE: NodeId = 3;

/// What readers of a node see.
fn shown(world: &World, id: NodeId) -> View {
    let snapshot = world.nodes[id].store.snapshot().unwrap();
    let namespace = shown_in(&*snapshot).unwrap();
    View::new(snapshot, namespace).unwrap()
}

fn digest(view: &View) -> String {
    format!("{:?}", Seal::of(view).unwrap())
}

/// All that the late node ever held, by the time when that was committed.
#[derive(Default)]
struct History(Vec<(u64, VersionVector, String)>);

impl History {
    fn note(&mut self, world: &World) {
        let held = world.view(LATE, Namespace::MAIN);
        self.0.push((world.now_ms, held.vv().clone(), digest(&held)));
    }

    /// What is shown was held long enough ago, as a whole.
    fn check(&self, world: &World, delay_ms: u64) -> Check {
        let shown = shown(world, LATE);
        let first = self.0.iter().find(|(_, vv, _)| vv.covers_all(shown.vv()));
        let Some((at_ms, ..)) = first else {
            return Err(format!("{:?} was never held", shown.vv()));
        };
        // A job arrives a little before it is committed.
        let is_first = *at_ms == 0;
        ensure!(
            is_first || *at_ms + delay_ms <= world.now_ms + 100,
            "early: of {at_ms} at {}",
            world.now_ms
        );
        let found = digest(&shown);
        let same = self.0.iter().filter(|(_, vv, _)| vv == shown.vv());
        for (at_ms, _, held) in same {
            ensure!(*held == found, "shows something else than what was held at {at_ms}");
        }
        Ok(())
    }
}

/// Four members, of which the last is delayed; looked at after each of its commits.
fn late(seed: u64) -> (World, Rc<RefCell<History>>) {
    let mut world = World::small_mesh(4, seed);
    for key in 0..30 {
        world.put(0, &format!("c/{key}/f"), "first");
    }
    world.settle().unwrap();
    world.crash(LATE, true);
    world.nodes[LATE].apply_after_ms = Some(DELAY_MS);
    let history = Rc::new(RefCell::new(History::default()));
    history.borrow_mut().0.push((0, world.vv(LATE), digest(&world.view(LATE, Namespace::MAIN))));
    world.start(LATE);
    let seen = history.clone();
    world.observer = Some(Box::new(move |world, id| {
        if id != LATE {
            return Ok(());
        }
        seen.borrow_mut().note(world);
        seen.borrow().check(world, DELAY_MS)
    }));
    (world, history)
}

fn order(world: &mut World, order: DelayOrder) -> Result<(), String> {
    let id = world.ask(LATE, Request::Delay(order));
    world.run(1_000);
    match world.answers.remove(&id) {
        Some(Answer::Delay(done)) => done.map_err(|error| error.to_string()),
        other => Err(format!("no answer: {other:?}")),
    }
}

/// Writes, deletes, cuts and crashes, drawn from a seed; in the end everything is shown.
fn storms(seed: u64) -> Check {
    let (mut world, history) = late(seed);
    for _ in 0..60 {
        let drawn = world.rng.next_u32();
        let (what, who, key) = (drawn % 12, (drawn >> 8) as usize % 3, (drawn >> 16) % 30);
        match what {
            0 => {
                world.crash(LATE, drawn & (1 << 30) != 0);
                // While it is down, much is written: it catches up by a large cut.
                for number in 0..40 {
                    world.put(who, &format!("c/{number}/f"), &format!("{drawn}"));
                    world.run(30);
                }
                world.start(LATE);
            }
            1 => world.isolate(LATE, drawn & (1 << 30) != 0),
            2 | 3 => drop(world.delete(who, &format!("c/{key}/f"))),
            _ => drop(world.put(who, &format!("c/{key}/f"), &format!("{drawn}"))),
        }
        world.run(u64::from(drawn >> 20) * 2);
        world.observed.clone()?;
    }
    world.isolate(LATE, false);
    world.run(20_000);
    let held = digest(&world.view(LATE, Namespace::MAIN));
    ensure!(held == digest(&world.view(0, Namespace::MAIN)), "it has not received all");
    world.run(2 * DELAY_MS);
    world.observed.clone()?;
    history.borrow().check(&world, DELAY_MS)?;
    ensure!(digest(&shown(&world, LATE)) == held, "something is lost, or late");
    ensure!(
        world.status(LATE).node.delayed.is_some_and(|it| it.oldest_waiting_s.is_none()),
        "waits"
    );
    world.observer = None;
    world.settle()
}

#[test]
fn what_is_shown_was_held_so_long_ago_in_every_storm() {
    let seeds = std::env::var("MILLPOND_DELAY_SEEDS").ok().and_then(|it| it.parse().ok());
    for seed in 0..seeds.unwrap_or(12) {
        storms(1_000 + seed).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
}

#[test]
fn what_is_delayed_is_not_shown_early() {
    depends_on(&["what is delayed is not shown early"], || storms(1_003));
}

/// Of what the oldest of many seeds draws, one has a cut that is folded while readers look.
#[test]
fn a_record_is_of_what_readers_see() {
    depends_on(&["a record is of what readers see"], || {
        (0..8).try_for_each(|it| storms(1_000 + it))
    });
}

/// A restart in the middle of the delay.
fn a_late_node_restarts() -> Check {
    let (mut world, _) = late(77);
    world.put(0, "c/k/f", "bad");
    world.run(30_000);
    world.crash(LATE, true);
    world.run(500_000);
    world.start(LATE);
    world.run(20_000);
    world.observed.clone()?;
    let is_shown =
        |world: &World| digest(&shown(world, LATE)) == digest(&world.view(LATE, Namespace::MAIN));
    ensure!(!is_shown(&world), "a restart shows what has not waited");
    // It loses what was not noted, some ten seconds, and the time while it was down.
    world.run(25_000);
    ensure!(is_shown(&world), "a restart forgets how long it has waited");
    Ok(())
}

#[test]
fn a_restart_shows_nothing_early() {
    depends_on(&["a restart shows nothing early"], a_late_node_restarts);
}

/// Something is deleted by mistake, and the delayed replica shows what was just before.
fn until_just_before() -> Check {
    let (mut world, _) = late(78);
    world.run(10_000);
    world.put(0, "c/5/f", "second");
    world.run(5_000);
    let moment_ms = world.nodes[LATE].clock.shows_ms(world.now_ms);
    let then = digest(&world.view(LATE, Namespace::MAIN));
    world.run(5_000);
    for key in 0..30 {
        world.delete(1, &format!("c/{key}/f"));
        world.run(50);
    }
    world.run(5_000);
    // It is asked for what is younger than the delay, and so may show it before its time.
    world.observer = None;
    order(&mut world, DelayOrder::Pause)?;
    world.run(2 * DELAY_MS);
    ensure!(digest(&shown(&world, LATE)) != then, "a pause does not hold");
    order(&mut world, DelayOrder::ApplyUntil(moment_ms))?;
    world.run(5_000);
    ensure!(digest(&shown(&world, LATE)) == then, "it shows another moment");
    let status = world.status(LATE);
    ensure!(status.node.delayed.is_some_and(|it| it.is_paused), "it is not paused afterwards");
    world.crash(LATE, true);
    world.start(LATE);
    world.run(2 * DELAY_MS);
    ensure!(digest(&shown(&world, LATE)) == then, "a restart resumes what is paused");
    ensure!(order(&mut world, DelayOrder::ApplyUntil(moment_ms - 10_000)).is_err(), "it goes back");
    let future_ms = world.nodes[LATE].clock.shows_ms(world.now_ms) + 10_000;
    ensure!(order(&mut world, DelayOrder::ApplyUntil(future_ms)).is_err(), "it knows the future");
    order(&mut world, DelayOrder::Resume)?;
    world.run(2 * DELAY_MS);
    let held = digest(&world.view(LATE, Namespace::MAIN));
    ensure!(digest(&shown(&world, LATE)) == held, "a resume does not go on");
    Ok(())
}

#[test]
fn what_came_later_is_not_shown() {
    depends_on(&["what came later is not shown"], until_just_before);
}

/// The delay ends: everything is there, and it stays so.
fn a_late_node_is_promoted() -> Check {
    let (mut world, _) = late(79);
    let refused = world.put(LATE, "c/own/f", "v");
    world.put(0, "c/k/f", "new");
    world.run(5_000);
    let refused = world.written(refused);
    ensure!(matches!(refused, Some(Err(WriteError::Delayed))), "{refused:?}");
    ensure!(world.status(LATE).node.state == NodeState::Delayed, "it does not say so");
    let key = world.nodes[LATE].key.to_string();
    let of_late = |world: &mut World| {
        let peers = world.status(0).peers;
        peers.into_iter().find(|peer| peer.key == key).map(|peer| peer.state)
    };
    let seen = of_late(&mut world);
    ensure!(seen == Some(PeerState::Delayed), "others take it for {seen:?}");
    world.observer = None;
    order(&mut world, DelayOrder::Promote)?;
    for _ in 0..2 {
        ensure!(shown(&world, LATE).vv() == &world.vv(0), "not all is shown");
        let written = world.put(LATE, "c/own/f", "v");
        world.run(1_000);
        ensure!(matches!(world.written(written), Some(Ok(_))), "it takes no writes");
        world.settle()?;
        let seen = of_late(&mut world);
        ensure!(seen == Some(PeerState::Current), "others take it for {seen:?}");
        // Also after a restart, with the delay still in its configuration.
        world.crash(LATE, true);
        world.start(LATE);
        world.settle()?;
    }
    ensure!(order(&mut world, DelayOrder::Pause).is_err(), "it is delayed still");
    // Without it nothing of the delay is left, and with it again it begins anew.
    for apply_after_ms in [None, Some(DELAY_MS)] {
        world.crash(LATE, true);
        world.nodes[LATE].apply_after_ms = apply_after_ms;
        world.start(LATE);
        world.settle()?;
    }
    world.put(0, "c/k/f", "newer");
    world.run(5_000);
    let (held, shown) = (world.view(LATE, Namespace::MAIN), shown(&world, LATE));
    ensure!(digest(&held) != digest(&shown), "it is delayed no more");
    Ok(())
}

#[test]
fn a_delayed_replica_takes_no_writes_before_it_is_promoted() {
    depends_on(&["a delayed replica takes no writes"], a_late_node_is_promoted);
}

/// What is due while a pause is on its way to a slow disk is not shown after it.
fn a_pause_crosses_what_is_due() -> Check {
    let (mut world, _) = late(82);
    world.run(10_000);
    world.put(0, "c/k/f", "new");
    world.run(DELAY_MS - 300);
    world.nodes[LATE].commit_ms = 500;
    let before = digest(&shown(&world, LATE));
    order(&mut world, DelayOrder::Pause)?;
    world.run(20_000);
    ensure!(digest(&shown(&world, LATE)) == before, "it is paused, and shows more");
    order(&mut world, DelayOrder::Resume)?;
    world.run(5_000);
    ensure!(digest(&shown(&world, LATE)) != before, "a resume does not go on");
    Ok(())
}

#[test]
fn an_order_about_the_delay_holds_at_once() {
    depends_on(&["an order about the delay holds at once"], a_pause_crosses_what_is_due);
}

/// Two orders are given at once, and the second one comes too late.
fn a_pause_crosses_a_promotion() -> Check {
    let (mut world, _) = late(83);
    world.observer = None;
    let orders = [DelayOrder::Promote, DelayOrder::Pause];
    let asked = orders.map(|order| world.ask(LATE, Request::Delay(order)));
    world.run(1_000);
    let answers = asked.map(|id| world.answers.remove(&id));
    ensure!(
        matches!(
            answers,
            [Some(Answer::Delay(Ok(()))), Some(Answer::Delay(Err(DelayError::NotDelayed)))]
        ),
        "{answers:?}"
    );
    world.put(0, "c/k/f", "new");
    world.settle()?;
    ensure!(shown(&world, LATE).vv() == &world.vv(0), "it is delayed again");
    Ok(())
}

#[test]
fn a_promotion_is_final() {
    depends_on(&["a promotion is final"], a_pause_crosses_a_promotion);
}

/// A node that joins as a delayed replica begins with what there is.
#[test]
fn a_fresh_delayed_replica_shows_at_once_what_there_was() {
    let mut world = World::small_mesh(3, 80);
    for key in 0..100 {
        world.put(0, &format!("c/{key}/f"), "v");
        world.run(10);
    }
    let id = world.join_as(|node| node.apply_after_ms = Some(DELAY_MS));
    world.settle().unwrap();
    let first = digest(&world.view(0, Namespace::MAIN));
    assert_eq!(digest(&shown(&world, id)), first);
    world.run(1_000);
    world.put(0, "c/5/f", "later");
    world.settle().unwrap();
    assert_eq!(digest(&shown(&world, id)), first, "what comes later waits");
    world.run(2 * DELAY_MS);
    assert_eq!(digest(&shown(&world, id)), digest(&world.view(0, Namespace::MAIN)));
}

/// A disk had no room for what came live; two have it, and the delayed one has the older link.
fn a_disk_has_room_again() -> Check {
    let mut world = World::mesh(3, 81);
    world.crash(1, true);
    world.nodes[1].apply_after_ms = Some(DELAY_MS);
    world.start(1);
    world.settle()?;
    world.crash(0, true);
    world.start(0);
    world.settle()?;
    world.nodes[2].is_full = true;
    for key in 0..50 {
        world.put(0, &format!("c/{key}/f"), "v");
    }
    world.run(3_000);
    let sent = |world: &mut World| world.counted(1, |counters| counters.rows_sent);
    let before = sent(&mut world);
    world.nodes[2].is_full = false;
    world.settle()?;
    let rows = sent(&mut world) - before;
    ensure!(rows == 0, "the delayed replica has supplied {rows} rows");
    Ok(())
}

#[test]
fn a_delayed_replica_is_the_last_source() {
    depends_on(&["a delayed replica is the last source"], a_disk_has_room_again);
}
