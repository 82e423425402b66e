//! When a node verifies itself: one comparison after the other, and with rests between.

use millpond_core::message::Purpose;

use super::depends_on;
use super::verifies::level_three;
use crate::replication::{Answer, Request, VerifySettings};
use crate::sim::world::{Check, World, ensure};

/// How many verifications a node has under way.
fn under_way(world: &World, id: usize) -> usize {
    let engine = &world.nodes[id].running.as_ref().unwrap().engine;
    engine.comparisons.values().filter(|it| it.purpose == Purpose::Verify).count()
}

/// All nodes ask all others at the same moment, again and again: each takes part in one comparison at a time, and
/// all come to their end.
fn one_after_the_other(seed: u64) -> Check {
    let mut world = level_three(seed)?;
    for _ in 0..5 {
        let ask = |id| world.ask(id, Request::Verify { peers: None, is_deep: false });
        let requests = [0, 1, 2].map(ask);
        let deadline = world.now_ms + 60_000;
        while !requests.iter().all(|request| world.answers.contains_key(request)) {
            ensure!(world.now_ms < deadline, "they wait for each other");
            world.run(1);
            for id in 0..3 {
                let count = under_way(&world, id);
                ensure!(count <= 1, "{id} makes {count} at a time");
            }
        }
        for request in requests {
            let Some(Answer::Verified(report)) = world.answers.remove(&request) else {
                return Err("another answer".into());
            };
            ensure!(report.is_sound && report.is_whole, "{report:?}");
        }
    }
    Ok(())
}

#[test]
fn verifications_come_one_after_the_other() {
    for seed in 110..114 {
        one_after_the_other(seed).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
    depends_on(&["verifications come one after the other"], || one_after_the_other(110));
}

/// Reading takes most of a period: it is a small share of the time all the same.
fn who_has_read_much_rests() -> Check {
    let mut world = level_three(115)?;
    // Steps of so many rows pause for as many milliseconds.
    world.nodes[0].verify = VerifySettings { every_ms: Some(2_000), rows_per_s: 1_000 };
    world.crash(0, true);
    world.start(0);
    let (mut reading_ms, mut scrubs) = (0_u64, 0);
    let start_ms = world.now_ms;
    while scrubs < 4 {
        ensure!(
            world.now_ms < start_ms + 600_000,
            "it has looked through its store {scrubs} times"
        );
        world.run(10);
        let verify = &world.nodes[0].running.as_ref().unwrap().engine.verify;
        reading_ms += if verify.scrub.is_some() { 10 } else { 0 };
        scrubs = verify.totals.scrubs;
    }
    let all_ms = world.now_ms - start_ms;
    ensure!(reading_ms > 4_000, "it reads too little to tell: {reading_ms} ms");
    ensure!(reading_ms * 4 < all_ms, "it reads for {reading_ms} of {all_ms} ms");
    Ok(())
}

#[test]
fn a_large_store_is_not_read_without_pause() {
    depends_on(&["who has read much rests"], who_has_read_much_rests);
}

/// All nodes verify themselves while one after the other asks what a refresh with another one would do.
fn plans_are_told_beside_verifications() -> Check {
    let mut world = level_three(116)?;
    for (id, of) in [(0, 1), (1, 0), (2, 0), (0, 2), (1, 2), (2, 1)] {
        for after_ms in 0..6 {
            for verifier in 0..3 {
                world.ask(verifier, Request::Verify { peers: None, is_deep: false });
            }
            world.run(after_ms);
            let peer = world.nodes[of].key;
            let plan = world.ask(id, Request::Refresh { peer, is_dry: true });
            world.run_until(60_000, |world| world.answers.contains_key(&plan))?;
            match world.answers.remove(&plan) {
                Some(Answer::Refreshed(Ok(report))) => ensure!(report.is_dry, "{report:?}"),
                other => return Err(format!("{id} asks {of} after {after_ms} ms: {other:?}")),
            }
            world.run(5_000);
        }
    }
    Ok(())
}

#[test]
fn a_plan_waits_until_its_peer_has_time() {
    depends_on(&["a plan waits until its peer has time"], plans_are_told_beside_verifications);
}
