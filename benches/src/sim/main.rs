//! The runner of the simulator and of the crash rigs: breaks what is below a replica, as often as one likes,
//! and checks that it keeps its word.
//!
//! Each subcommand draws everything from seeds that it names. Exit codes: 0 all is well; 1 something was
//! found, with the arguments that show it again; 2 wrong arguments.

mod crash_store;

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
    /// Cuts the power beneath the embedded store, and opens what is left.
    CrashStore(crash_store::Arguments),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::CrashStore(arguments) => crash_store::run(&arguments),
    }
}
