//! Random schedules: safety under faults, then convergence in bounded time and silence.
//!
//! `MILLPOND_SEED=7` runs one schedule, `MILLPOND_SEEDS=5000` that many; `MILLPOND_TRACE=1` prints what
//! happens.

use std::collections::BTreeMap;

use millpond_core::transport::Lane;

use crate::probes;
use crate::replication::Limits;
use crate::sim::audit::{audit, credit_is_level};
use crate::sim::history::{History, pairs_are_whole};
use crate::sim::net::NodeId;
use crate::sim::node::Image;
use crate::sim::world::{Check, NAMESPACES, SMALL, World, ensure};

#[test]
fn random_schedules_converge_and_lose_nothing() {
    run_seeds(|seed| schedule(seed, false));
}

/// Folders are also replaced by older images of themselves. What only the lost folder held is lost; never are
/// two writes of one dot.
#[test]
fn random_restores_never_issue_a_dot_twice() {
    run_seeds(|seed| schedule(seed, true));
}

fn run_seeds(schedule: fn(u64) -> Check) {
    let read = |name| std::env::var(name).ok().and_then(|it: String| it.parse::<u64>().ok());
    let seeds = match read("MILLPOND_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..read("MILLPOND_SEEDS").unwrap_or(SEEDS),
    };
    let mut failed = 0;
    for seed in seeds {
        let why = match std::panic::catch_unwind(|| schedule(seed)) {
            Ok(Ok(())) => continue,
            Ok(Err(why)) => why,
            Err(_) => "it panicked, see above".into(),
        };
        println!("MILLPOND_SEED={seed}: {why}");
        failed += 1;
    }
    assert_eq!(failed, 0, "schedules failed");
}

fn schedule(seed: u64, restores: bool) -> Check {
    probes::take_never();
    let mut world = World::new(seed);
    let count = 3 + world.below(3) as usize;
    let limits = if world.below(2) == 0 { SMALL } else { Limits::default() };
    world.limits = limits;
    world.restart_all();
    for _ in 1..count {
        world.join();
    }
    let mut last = BTreeMap::new();
    world.observer = Some(Box::new(move |world, node| {
        audit(world, node)?;
        pairs_are_whole(world, node)?;
        for namespace in NAMESPACES {
            let vv = world.view(node, namespace).vv().clone();
            let before = last.insert((node, namespace), vv.clone()).unwrap_or_default();
            let may_fall = restores || vv.covers_all(&before);
            ensure!(may_fall, "the vector of {node} falls in {namespace}");
        }
        queues_are_bounded(world, node)
    }));
    let mut history = History::default();
    let mut images = BTreeMap::new();
    for _ in 0..40 + world.below(80) {
        disturb(&mut world, &mut history);
        if restores {
            replace_folders(&mut world, &mut images);
        }
        let pause_ms = world.below(400);
        world.run(pause_ms);
        world.observed.clone()?;
    }
    mend(&mut world);
    world.settle_within(CONVERGE_MS)?;
    for node in 0..count {
        if !restores {
            history.judge(&world, node)?;
        }
        let engine = &world.nodes[node].running.as_ref().unwrap().engine;
        ensure!(engine.jobs.is_empty(), "{node} waits for its disk");
        ensure!(engine.pulls.is_empty() && engine.supplies.is_empty(), "{node} still catches up");
        ensure!(engine.fenced.is_none(), "{node} is fenced: {:?}", engine.fenced);
    }
    // A catch-up that a full disk refused is asked for again after a digest's time, and a node whose dead
    // process was heard late is taken for a possible copy for some seconds.
    world.run(20_000);
    world.heard = Some(BTreeMap::new());
    world.run(12_000);
    let never = probes::take_never();
    ensure!(never.is_empty(), "an honest peer {never:?}");
    let heard = world.heard.take().unwrap_or_default();
    let others = heard.iter().filter(|(kind, _)| *kind != "Digest").collect::<Vec<_>>();
    ensure!(others.is_empty(), "level, and not silent: {others:?}");
    credit_is_level(&world)
}

/// Without a lease: with one, a rollback of less than a second goes unnoticed, as documented.
fn replace_folders(world: &mut World, images: &mut BTreeMap<NodeId, Image>) {
    let node = world.below(world.nodes.len() as u64) as usize;
    world.nodes[node].keeps_lease = false;
    match world.below(16) {
        0 | 1 => drop(images.insert(node, world.nodes[node].image())),
        2 => {
            if let Some(image) = images.get(&node) {
                world.restore(node, image);
            }
        }
        _ => {}
    }
}

fn disturb(world: &mut World, history: &mut History) {
    let count = world.nodes.len() as u64;
    let (a, b) = (world.below(count) as usize, world.below(count) as usize);
    match world.below(100) {
        0..60 => {
            if world.nodes[a].running.is_some() {
                for _ in 0..1 + world.below(4) {
                    history.operate(world, a);
                }
            }
        }
        60..64 => world.net.set_cut(world.now_ms, a, b, a != b),
        64..68 if a != b => world.cut(a, b),
        68..76 => world.heal(a, b),
        76..80 => {
            let delay_ms = [1, 20, 200, 1_500][world.below(4) as usize];
            world.delay(a, b, delay_ms);
        }
        80..84 => {
            let (lane, is_held) = ([Lane::Control, Lane::Bulk], world.below(2) == 0);
            let lane = lane[world.below(2) as usize];
            world.hold(a, b, lane, is_held);
        }
        84..88 => {
            let is_written = world.below(2) == 0;
            world.crash(a, is_written);
        }
        88..94 => {
            if world.nodes[a].running.is_none() {
                world.nodes[a].keeps_lease = world.below(2) == 0;
                world.start(a);
            }
        }
        94..97 => world.nodes[a].commit_ms = [1, 10, 300, 2_500][world.below(4) as usize],
        97..98 => world.nodes[a].is_full = true,
        _ => world.nodes[a].is_full = false,
    }
}

fn mend(world: &mut World) {
    let count = world.nodes.len();
    for a in 0..count {
        for b in 0..count {
            world.heal(a, b);
            world.delay(a, b, 1 + (a + b) as u64);
            world.hold(a, b, Lane::Control, false);
            world.hold(a, b, Lane::Bulk, false);
        }
        world.nodes[a].commit_ms = 1;
        world.nodes[a].is_full = false;
        if world.nodes[a].running.is_none() {
            world.start(a);
        }
    }
}

fn queues_are_bounded(world: &World, node: usize) -> Check {
    let Some(running) = &world.nodes[node].running else { return Ok(()) };
    let engine = &running.engine;
    ensure!(engine.lacking.len() < 200, "{node} counts {} lacking origins", engine.lacking.len());
    ensure!(world.net.bytes_under_way() < 64 << 20, "the network holds too much");
    for inbox in engine.inboxes.values() {
        let (bytes, most) = (inbox.waiting_bytes(), engine.config.limits.waiting_bytes);
        ensure!(bytes <= most, "{bytes} bytes of pushes wait at {node}");
    }
    Ok(())
}

/// Schedules in the suite.
const SEEDS: u64 = 300;
/// How long nodes may take to be level once all is mended.
const CONVERGE_MS: u64 = 40_000;
