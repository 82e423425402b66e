//! Scenario `fanout`: real nodes on loopback, a process each, that write at full speed: how often each update
//! crosses each of them, and how soon all are equal.
//!
//! The counters are those of the nodes' status, from when all are linked until they stand still.

mod report;
mod trial;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::folder::ScratchFolder;
use crate::{Printing, Result};
use report::FanoutReport;

pub const NAME: &str = "fanout";
pub const ABOUT: &str = "real nodes on loopback write at full speed, in each mode. Limit: each update \
                         crosses each node once. Bar (B8): copies <= 1.02";

/// What can be varied.
#[derive(Args, Serialize)]
pub struct Parameters {
    #[command(flatten)]
    #[serde(skip)]
    pub printing: Printing,
    /// Sizes of the cluster.
    #[arg(long, value_delimiter = ',', default_values_t = [3, 8, 16], value_parser = clap::value_parser!(u64).range(2..=64))]
    nodes: Vec<u64>,
    /// How the nodes share what they get.
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = Mode::value_variants().to_vec())]
    modes: Vec<Mode>,
    /// Updates, over all writers.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    updates: u64,
    /// How many nodes write; all if not given.
    #[arg(long)]
    writers: Option<u64>,
    /// Clients of each writing node, which wait for each answer.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..))]
    clients: u64,
    /// Updates of a transaction.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    transaction: u64,
    /// Trials of each size and mode, each with new nodes.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    /// The program `millpond`. Beside this one if not given.
    #[arg(long)]
    #[serde(skip)]
    program: Option<PathBuf>,
    /// Where the stores go, in a folder that is removed afterwards. Beside this program if not given.
    #[arg(long)]
    #[serde(skip)]
    dir: Option<PathBuf>,
}

/// How the nodes share what they get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Linked with all, adaptive.
    FullMesh,
    /// Linked with some, adaptive.
    SpanningTree,
    /// Linked with all; what came by replication is forwarded after a fixed delay.
    HoldDown,
}

impl Mode {
    /// How many links each of so many nodes has at least.
    fn links_min(self, nodes: u64) -> u64 {
        match self {
            Self::FullMesh | Self::HoldDown => nodes - 1,
            Self::SpanningTree => (nodes - 1).min(FANOUT),
        }
    }

    fn settings(self) -> String {
        let rest = match self {
            Self::FullMesh => "mode = \"full-mesh\"".into(),
            Self::SpanningTree => format!("mode = \"spanning-tree\"\nfanout = {FANOUT}"),
            Self::HoldDown => "mode = \"full-mesh\"\nripple = \"hold-down\"".into(),
        };
        format!("[topology]\n{rest}")
    }
}

pub async fn run(parameters: &Parameters) -> Result<FanoutReport> {
    let program = program(parameters.program.as_deref())?;
    // In memory there is more speed, and as many copies.
    let folder = ScratchFolder::create(parameters.dir.as_deref(), true)?;
    let mut rows = Vec::new();
    for nodes in &parameters.nodes {
        for mode in &parameters.modes {
            for sample in 1..=parameters.samples {
                eprintln!("{nodes} nodes, {mode:?}, sample {sample}");
                // It waits for processes and their answers, and nothing else is to be done here.
                let row = tokio::task::block_in_place(|| {
                    trial::run(parameters, *nodes, *mode, &program, folder.path())
                })?;
                rows.push(row);
            }
        }
    }
    Ok(FanoutReport::new(parameters, rows, &folder))
}

/// The program `millpond`: this one, or the one beside the harness.
pub fn program(chosen: Option<&Path>) -> Result<PathBuf> {
    let program = match chosen {
        Some(chosen) => chosen.to_owned(),
        None => std::env::current_exe()?.with_file_name("millpond"),
    };
    if !program.exists() {
        let build = "build it: cargo build --release -p millpond-cli, or name it by --program";
        return Err(format!("there is no {}; {build}", program.display()).into());
    }
    Ok(program.canonicalize()?)
}

/// Of the spanning tree: few enough that data takes several steps.
const FANOUT: u64 = 3;
