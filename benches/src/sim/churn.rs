//! `churn`: members come and go, and vectors cost what they did.

use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use millpond::sim::{ChurnOptions, ChurnReport, Weights, churn};

#[derive(Args)]
pub struct Arguments {
    /// Members that stay.
    #[arg(long, default_value_t = 5)]
    members: usize,
    /// Members that join, write and are removed, one after the other.
    #[arg(long, default_value_t = 1_000)]
    joins: usize,
    /// Seed of all randomness.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many times the bytes of vectors in a message there may be.
    #[arg(long, default_value_t = 2.0)]
    bar: f64,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let Arguments { members, joins, seed, bar } = *arguments;
    let started = Instant::now();
    let report = match churn(&ChurnOptions { members, joins, seed }) {
        Ok(report) => report,
        Err(why) => {
            println!("failed: {why}");
            return ExitCode::FAILURE;
        }
    };
    println!("{members} members, {joins} joins and leaves, seed {seed}");
    print("fresh", &report.fresh);
    print("after that", &report.churned);
    print("one more joins", &report.join);
    let ratio = report.ratio();
    println!("incarnations {}, listed {}", report.incarnations, report.listed);
    println!("bytes of vectors per message: {ratio:.2} of a fresh cluster's, at most {bar}");
    println!("{:.1} s", started.elapsed().as_secs_f64());
    if ratio <= bar { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(what: &str, weights: &Weights) {
    println!("{what}: {:.1} bytes of vectors per message", ChurnReport::per_message(weights));
    for (kind, weight) in weights {
        let each = weight.vector_bytes as f64 / weight.messages as f64;
        println!("  {kind:<12} {:>6} messages, {each:>9.1} bytes each", weight.messages);
    }
}
