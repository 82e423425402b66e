//! The runner of the simulator and of the crash rigs: breaks what is below a replica, as often as one likes,
//! and checks that it keeps its word.
//!
//! Each subcommand draws everything from seeds that it names. Exit codes: 0 all is well; 1 something was
//! found, with the arguments that show it again; 2 wrong arguments.

mod bank;
mod churn;
mod commit;
mod crash_store;
mod finding;
#[cfg(feature = "planted-bugs")]
mod hunt;
#[cfg(feature = "planted-bugs")]
mod kills;
mod mesh;
mod mutants;
mod replay;
mod run;
mod timeline;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Breaks what is below a replica of Millpond, and checks that it keeps its word.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs clusters from seeds, and judges each.
    Run(run::Arguments),
    /// Runs one seed, or a scenario from a file, and shows what happens in it.
    Replay(replay::Arguments),
    /// Measures meshes of many nodes with known round trips: copies, latency, control bytes.
    Mesh(mesh::Arguments),
    /// Lets members come and go, and measures what vectors cost afterwards.
    Churn(churn::Arguments),
    /// Transfers between accounts under faults, and adds all up at every step.
    Bank(bank::Arguments),
    /// Takes the rules of the code out, one after the other, and counts what the simulator notices.
    Mutants(mutants::Arguments),
    /// Cuts the power beneath the embedded store, and opens what is left.
    CrashStore(crash_store::Arguments),
}

fn main() -> ExitCode {
    millpond::sim::silence_panics();
    match Cli::parse().command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Mesh(arguments) => mesh::run(&arguments),
        Command::Churn(arguments) => churn::run(&arguments),
        Command::Bank(arguments) => bank::run(&arguments),
        Command::Mutants(arguments) => mutants::run(&arguments),
        Command::CrashStore(arguments) => crash_store::run(&arguments),
    }
}

/// Says what was wrong with what was asked for.
fn refuse(why: impl std::fmt::Display) -> ExitCode {
    eprintln!("error: {why}");
    ExitCode::from(2)
}
