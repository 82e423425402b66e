//! Runs the real shell in simulation, from seeds that it names. Exit codes: 0 all is well; 1 something was found; 2
//! wrong arguments.

mod seeds;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use millpond_turmoil::run::{Run, describe, run, run_in_words};
use millpond_turmoil::{Datagram, dials, restart};

use seeds::{Found, Seeds};

/// Runs the real shell in simulation: replicas over QUIC, on a simulated network and in virtual time.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Three nodes under loss, cuts and crashes.
    Run(RunArguments),
    /// Runs a seed of `run`, and tells what is done in it.
    Replay(ReplayArguments),
    /// Two nodes that dial each other at once.
    Dials(Seeds),
    /// Many nodes that are started at once.
    Restart(RestartArguments),
}

#[derive(Args)]
struct RunArguments {
    #[command(flatten)]
    seeds: Seeds,
    /// Runs each seed twice, and compares the traces.
    #[arg(long)]
    twice: bool,
    /// Writes a number for the trace of each seed into this file.
    #[arg(long)]
    traces: Option<PathBuf>,
}

#[derive(Args)]
struct ReplayArguments {
    seed: u64,
    /// Writes each datagram into this file: when, from and to which port, its size, the hash of its
    /// content, and how many copies went on.
    #[arg(long)]
    trace: Option<PathBuf>,
    /// Writes each frame into this file, in words.
    #[arg(long)]
    frames: Option<PathBuf>,
}

#[derive(Args)]
struct RestartArguments {
    #[command(flatten)]
    seeds: Seeds,
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(2..=200))]
    nodes: u16,
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(arguments) => run_seeds(&arguments),
        Command::Replay(arguments) => replay(&arguments),
        Command::Dials(seeds) => dial_seeds(&seeds),
        Command::Restart(arguments) => restart_seeds(&arguments),
    }
}

fn run_seeds(RunArguments { seeds, twice, traces }: &RunArguments) -> ExitCode {
    let found = seeds.each(|seed| {
        let first = run(seed, None);
        let again = twice.then(|| run(seed, None));
        let differs = again.and_then(|again| first_difference(&first.trace, &again.trace));
        let failure = first.failure.clone().or(differs);
        let Run { virtual_ms, rows, .. } = first;
        let figures = [first.trace.len() as u64, rows, virtual_ms / 1000];
        Found { failure, figures, line: format!("{seed} {:016x}\n", first.trace_hash()) }
    });
    let [datagrams, rows, virtual_s] = found.sums();
    println!("{datagrams} datagrams, {rows} rows, {virtual_s} s of virtual time");
    if let Some(path) = traces
        && let Err(error) = fs::write(path, found.lines())
    {
        eprintln!("error: {}: {error}", path.display());
        return ExitCode::from(2);
    }
    found.end("run")
}

fn first_difference(first: &[Datagram], again: &[Datagram]) -> Option<String> {
    let at = first.iter().zip(again).position(|(a, b)| a != b);
    let at = at.or((first.len() != again.len()).then(|| first.len().min(again.len())))?;
    Some(format!("traces: datagram {at} is {:?}, and was {:?}", again.get(at), first.get(at)))
}

fn replay(ReplayArguments { seed, trace, frames }: &ReplayArguments) -> ExitCode {
    println!("{}", describe(*seed));
    let (run, words) = run_in_words(*seed);
    println!("{} datagrams in {} ms, {:016x}", run.trace.len(), run.virtual_ms, run.trace_hash());
    let line = |it: &Datagram| {
        let Datagram { at_ms, from, to, bytes, content, copies } = it;
        format!("{at_ms} {from} {to} {bytes} {content:016x} {copies}")
    };
    let datagrams: Vec<String> = run.trace.iter().map(line).collect();
    for (path, lines) in [(trace, datagrams), (frames, words)] {
        let Some(path) = path else { continue };
        if let Err(error) = fs::write(path, lines.join("\n") + "\n") {
            eprintln!("error: {}: {error}", path.display());
            return ExitCode::from(2);
        }
    }
    match run.failure {
        None => ExitCode::SUCCESS,
        Some(why) => {
            println!("failed: {why}");
            ExitCode::FAILURE
        }
    }
}

fn dial_seeds(seeds: &Seeds) -> ExitCode {
    let found = seeds.each(|seed| {
        let dials::Dials { failure, rounds, races } = dials::run(seed, None);
        Found { failure, figures: [rounds, races, 0], line: String::new() }
    });
    let [rounds, races, _] = found.sums();
    println!("{rounds} starts of both, {races} with two links, of which one was left");
    found.end("dials")
}

fn restart_seeds(RestartArguments { seeds, nodes }: &RestartArguments) -> ExitCode {
    let found = seeds.each(|seed| {
        let restart::Restart { failure, links, dials, meshed_ms } =
            restart::run(seed, usize::from(*nodes));
        println!("seed {seed}: {links} links after {dials} dials and {meshed_ms} ms");
        Found { failure, figures: [links, dials, meshed_ms], line: String::new() }
    });
    found.end("restart")
}
