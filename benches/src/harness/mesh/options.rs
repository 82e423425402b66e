//! What can be varied.

use std::num::NonZero;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::disturbance::Disturbance;
use crate::Printing;

/// What can be varied.
#[derive(Args, Serialize)]
pub struct Parameters {
    #[command(flatten)]
    #[serde(skip)]
    pub printing: Printing,
    /// Sizes of the mesh.
    #[arg(long, value_delimiter = ',', default_values_t = [3, 5, 8, 16, 32, 64], value_parser = two_or_more)]
    pub nodes: Vec<usize>,
    /// Updates a second, over all nodes; up to 16 of them write.
    #[arg(long, value_delimiter = ',', default_values_t = [2, 200], value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Vec<u32>,
    /// What delays single messages.
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = [Disturbance::None])]
    pub disturbance: Vec<Disturbance>,
    /// Trials of each size and rate, each with round trips of its own.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    pub first_seed: u64,
    /// Measured updates of a trial.
    #[arg(long, default_value_t = 300, value_parser = one_or_more)]
    pub updates: usize,
    /// Updates before those.
    #[arg(long, default_value_t = 200)]
    pub warm_up: usize,
    /// Run the protocols to compare with as well.
    #[arg(long)]
    pub baselines: bool,
    /// How often to cut the link that feeds a node, at each size.
    #[arg(long, default_value_t = 0)]
    pub cuts: u64,
    /// Write charts into this folder, as SVG.
    #[arg(long)]
    #[serde(skip)]
    pub charts: Option<PathBuf>,
    /// How many threads; all cores if not given. The figures do not depend on it.
    #[arg(long)]
    #[serde(skip)]
    pub threads: Option<NonZero<usize>>,
}

fn two_or_more(text: &str) -> Result<usize, String> {
    at_least(2, text)
}

fn one_or_more(text: &str) -> Result<usize, String> {
    at_least(1, text)
}

fn at_least(least: usize, text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number >= least => Ok(number),
        _ => Err(format!("a number from {least} on is needed")),
    }
}
