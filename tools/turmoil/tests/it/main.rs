//! The real shell in simulation: a few seeds of each kind, equal traces, and faults that must be noticed. Seeds are few,
//! since tests run unoptimised; TESTING.md names the long runs.

use std::process::Command;

use millpond_turmoil::run::run;
use millpond_turmoil::{Fault, dials, restart};

#[test]
fn seeds_keep_every_promise_and_equal_ones_make_equal_traces_in_any_process() {
    let folder = std::env::temp_dir().join(format!("millpond-turmoil-{}", std::process::id()));
    let runner = Command::new(env!("CARGO_BIN_EXE_millpond-turmoil"))
        .args(["run", "--seeds", "2", "--threads", "1", "--traces"])
        .arg(&folder)
        .output()
        .unwrap();
    let traces = std::fs::read_to_string(&folder).unwrap();
    std::fs::remove_file(&folder).unwrap();
    assert!(runner.status.success(), "{runner:?}");
    let here = (0..2).map(|seed| {
        let run = run(seed, None);
        assert_eq!(run.failure, None, "seed {seed}");
        assert!(run.trace.len() > 100 && run.rows > 10);
        format!("{seed} {:016x}\n", run.trace_hash())
    });
    assert_eq!(here.collect::<String>(), traces);
}

#[test]
fn choices_that_no_seed_makes_show_in_the_trace() {
    let [first, again] = [0; 2].map(|seed| run(seed, Some(Fault::DrawsByChance)).trace_hash());
    assert_ne!(first, again);
}

#[test]
fn a_frame_that_a_link_drops_is_noticed() {
    is_noticed(Fault::DropsFrames, "frames");
}

#[test]
fn a_disk_that_forgets_is_noticed() {
    is_noticed(Fault::ForgetsCommits, "monotony");
}

#[test]
fn of_two_links_one_is_left_and_nothing_is_lost() {
    let (mut rounds, mut races) = (0, 0);
    for seed in 0..2 {
        let dials = dials::run(seed, None);
        assert_eq!(dials.failure, None, "seed {seed}");
        rounds += dials.rounds;
        races += dials.races;
    }
    assert!(rounds >= 6 && races > 0, "{races} races in {rounds} rounds");
}

#[test]
fn nodes_that_are_started_at_once_are_soon_meshed() {
    let restart = restart::run(0, 6);
    assert_eq!(restart.failure, None);
    assert_eq!(restart.links, 15);
}

/// One of a few seeds fails, by this check.
fn is_noticed(fault: Fault, check: &str) {
    let mut found = Vec::new();
    for seed in 0..SEEDS {
        found.extend(run(seed, Some(fault)).failure);
        if found.last().is_some_and(|why| why.starts_with(check)) {
            return;
        }
    }
    panic!("{check} has not spoken: {found:#?}");
}

const SEEDS: u64 = 6;
