//! What can be varied.

use std::num::NonZero;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::cell::REGIONS;
use super::disturbance::Disturbance;
use super::engine::Engine;
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
    /// How the nodes take part: `full-mesh` or `spanning-tree:FANOUT`, with `+hold-down` behind it if they
    /// announce nothing; or `none`, to run the protocols to compare with alone.
    #[arg(long, value_delimiter = ',', default_value = "full-mesh", value_parser = mode)]
    #[serde(skip)]
    pub mode: Vec<Option<Engine>>,
    /// What delays single messages.
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = [Disturbance::None])]
    pub disturbance: Vec<Disturbance>,
    /// Trials of each size and rate, each with round trips of its own.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    pub first_seed: u64,
    /// Measured updates of a trial; those of five seconds, if that is more.
    #[arg(long, default_value_t = 300, value_parser = one_or_more)]
    pub updates: usize,
    /// Updates before those, 200 in a second.
    #[arg(long, default_value_t = 2_000, value_parser = one_or_more)]
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
    /// How often to split the mesh in two, for 1 s and for 30 s, at each size.
    #[arg(long, default_value_t = 0)]
    pub splits: u64,
    /// Measure four regions as well, without and with costs of the links between them. Of 64 nodes if
    /// nothing else is said.
    #[arg(long, value_name = "NODES", num_args = 0..=1, default_missing_value = "64", value_parser = regions)]
    pub regions: Option<usize>,
    /// How many threads; all cores if not given. The figures do not depend on it.
    #[arg(long)]
    #[serde(skip)]
    pub threads: Option<NonZero<usize>>,
}

fn mode(text: &str) -> Result<Option<Engine>, String> {
    if text == "none" { Ok(None) } else { text.parse().map(Some) }
}

fn regions(text: &str) -> Result<usize, String> {
    let nodes = at_least(2 * REGIONS, text)?;
    if nodes.is_multiple_of(REGIONS) {
        Ok(nodes)
    } else {
        Err("four regions of equal size are needed".into())
    }
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
