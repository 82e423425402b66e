//! `mutants`: how many planted bugs the simulator notices.

use std::num::NonZero;
use std::path::PathBuf;
#[cfg(not(feature = "planted-bugs"))]
use std::process::ExitCode;

use clap::Args;

#[cfg(feature = "planted-bugs")]
pub use crate::hunt::{run, with_bug};

#[derive(Args)]
#[cfg_attr(not(feature = "planted-bugs"), allow(dead_code, reason = "nothing to do without"))]
pub struct Arguments {
    /// Only bugs whose rules have these words in their names.
    #[arg(long, value_name = "RULE")]
    pub only: Option<String>,
    /// For how long to look for each; 600 if not given, and 5 with `--quick`.
    #[arg(long)]
    pub seconds_each: Option<u64>,
    /// Begin with the seeds that are known to find each bug.
    #[arg(long)]
    pub quick: bool,
    /// How many in a hundred must be noticed; 100 if not given, and 80 with `--quick`.
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=100))]
    pub percent: Option<u64>,
    /// The first seed of each profile.
    #[arg(long, default_value_t = 0)]
    pub first_seed: u64,
    /// How many threads, each with a bug of its own; as many as there are cores if not given.
    #[arg(long)]
    pub threads: Option<NonZero<usize>>,
    /// Write the seeds that found bugs to this file, from which `--quick` will begin (in the next build).
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Without the feature there are no bugs.
#[cfg(not(feature = "planted-bugs"))]
pub fn run(_: &Arguments) -> ExitCode {
    crate::refuse(MISSING)
}

/// Does something with a planted bug: not in this build.
#[cfg(not(feature = "planted-bugs"))]
pub fn with_bug<T>(_: &str, _: impl FnOnce() -> T) -> Result<T, String> {
    Err(MISSING.into())
}

#[cfg(not(feature = "planted-bugs"))]
const MISSING: &str = "this build has no planted bugs; build one with: \
    cargo run --release -p millpond-benches --bin millpond-sim --features planted-bugs -- mutants";
