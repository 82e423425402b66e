//! `bank`: transfers between accounts at three replicas, under cuts, kills and wrong clocks. A transaction is seen
//! whole or not at all, so whoever adds up all accounts, anywhere, finds the same sum.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::ProgressBar;
use millpond::records::RecordError;
use millpond::sim::Sim;
use millpond::{Counter, Keys, Record, WriteTx};

#[derive(Args)]
pub struct Arguments {
    /// Transfers in all.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    transfers: u64,
    /// Transfers of one seed, each followed by an audit at a node that chance picks.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    per_seed: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Seeds at once.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..))]
    threads: u8,
}

#[derive(Default, Record)]
struct Account {
    #[millpond(key)]
    number: u32,
    balance: Counter,
}

/// What all threads share.
struct Shared {
    next: AtomicU64,
    is_failed: AtomicBool,
    transfers: AtomicU64,
    audits: AtomicU64,
    bar: ProgressBar,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let Arguments { transfers, per_seed, seed, threads } = *arguments;
    let seeds = transfers.div_ceil(per_seed);
    let shared = Shared {
        next: AtomicU64::new(0),
        is_failed: AtomicBool::new(false),
        transfers: AtomicU64::new(0),
        audits: AtomicU64::new(0),
        bar: ProgressBar::new(transfers),
    };
    let started = Instant::now();
    let work = || {
        while !shared.is_failed.load(Relaxed) {
            let number = shared.next.fetch_add(1, Relaxed);
            if number >= seeds {
                return;
            }
            let count = per_seed.min(transfers - number * per_seed);
            // Which seed it was, and what happened, is told by the test kit.
            let test = || trade(Sim::new(NODES).seed(seed + number), count, &shared);
            if catch_unwind(AssertUnwindSafe(test)).is_err() {
                shared.is_failed.store(true, Relaxed);
            }
        }
    };
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    shared.bar.finish_and_clear();
    let is_failed = shared.is_failed.load(Relaxed);
    println!(
        "{} transfers at 3 replicas, {seeds} seeds from {seed}, {} audits: {}; {:.1} s",
        shared.transfers.load(Relaxed),
        shared.audits.load(Relaxed),
        if is_failed { "one failed, see above" } else { "the sum was the same in each" },
        started.elapsed().as_secs_f64(),
    );
    if is_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Transfers at whichever node runs, and an audit after each.
fn trade(mut sim: Sim, count: u64, shared: &Shared) {
    let open = |tx: &mut WriteTx<'_>| {
        (0..ACCOUNTS)
            .try_for_each(|number| tx.store(&Account { number, balance: Counter::new(OPENING) }))
    };
    sim.write(0, open).expect("nothing keeps node 0 from writing");
    sim.settle();
    let mut is_down = [false; NODES];
    for _ in 0..count {
        if sim.below(TROUBLE_IN) == 0 {
            trouble(&mut sim, &mut is_down);
        }
        let [from, to] = [0; 2].map(|_| sim.below(u64::from(ACCOUNTS)) as u32);
        let amount = sim.below(50) as i64;
        let transfer = move |tx: &mut WriteTx<'_>| -> Result<(), RecordError> {
            tx.edit::<Account, _>(from, |account| account.balance.add(-amount))?;
            tx.edit::<Account, _>(to, |account| account.balance.add(amount))
        };
        let node = one_that_runs(&mut sim, &is_down);
        sim.write(node, transfer).expect("it runs");
        shared.transfers.fetch_add(1, Relaxed);
        shared.bar.inc(1);
        let node = one_that_runs(&mut sim, &is_down);
        audit(&mut sim, node, shared);
    }
    sim.heal().assert_converged();
    (0..NODES).for_each(|node| audit(&mut sim, node, shared));
}

/// Something happens, or what happened is mended.
fn trouble(sim: &mut Sim, is_down: &mut [bool; NODES]) {
    let node = sim.below(NODES as u64) as usize;
    match sim.below(6) {
        0 => {
            sim.heal();
            *is_down = [false; NODES];
        }
        1 => drop(sim.partition([node], (0..NODES).filter(|other| *other != node))),
        2 if is_down.iter().filter(|it| **it).count() < NODES - 1 => {
            sim.crash(node);
            is_down[node] = true;
        }
        3 => {
            sim.restart(node);
            is_down[node] = false;
        }
        4 => {
            let ahead_ms = sim.below(120_000) as i64 - 60_000;
            sim.skew(node, ahead_ms);
        }
        _ => {
            let pause = Duration::from_millis(sim.below(5_000));
            sim.run_for(pause);
        }
    }
}

fn one_that_runs(sim: &mut Sim, is_down: &[bool; NODES]) -> usize {
    let first = sim.below(NODES as u64) as usize;
    let mut nodes = (first..first + NODES).map(|node| node % NODES);
    nodes.find(|node| !is_down[*node]).expect("one is left to run")
}

/// Adds up all accounts at a node.
fn audit(sim: &mut Sim, node: usize, shared: &Shared) {
    let accounts = sim.collection::<Account>(node).list(&Keys::all()).expect("a readable disk");
    let sum: i128 = accounts.iter().map(|account| account.balance.value()).sum();
    assert_eq!(sum, i128::from(OPENING) * i128::from(ACCOUNTS), "at node {node}");
    shared.audits.fetch_add(1, Relaxed);
}

const NODES: usize = 3;
const ACCOUNTS: u32 = 10;
const OPENING: i64 = 1_000;
/// How often something happens.
const TROUBLE_IN: u64 = 8;
