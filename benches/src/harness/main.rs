//! The scenario harness: what a whole system of replicas reaches, beside the physical limit of the same
//! machine, measured in the same run.
//!
//! `harness list` names the scenarios, `harness run SCENARIO [--json]` runs one. Both sides of a scenario
//! take turns, sample by sample, so that they see the same load. Replicas are real ones, over QUIC on
//! loopback, each with its store in a folder of its own on a disk.
//!
//! Exit codes: 0 done, also when a bar is missed; 1 failed; 2 wrong arguments; 5 a bar is missed and
//! `--check` is given.

mod bare_store;
mod bulk;
mod catch_up;
mod chaos;
mod churn;
mod fanout;
mod fold;
mod folder;
mod indexes;
mod live;
mod local_write;
mod machine;
mod mesh;
mod raw_quinn;
mod reattach;
mod receipt;
mod refresh;
mod replicas;
mod report;
mod rotation;
mod slow_peer;
mod typed_write;
mod urgent;
mod verify;
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use folder::ScratchFolder;
use report::Outcome;

/// A failure of a run: the message is all that its user needs.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Runs replicas of Millpond under load, beside the physical limit of this machine.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Names the scenarios, with the limit and the bar of each.
    List,
    /// Runs a scenario.
    Run {
        #[command(subcommand)]
        scenario: Scenario,
    },
}

#[derive(Subcommand)]
enum Scenario {
    /// A fresh node joins and catches up, against the bare store inserting the same rows.
    CatchUp(catch_up::Parameters),
    /// Concurrent durable writers, against one writer and against the bare store.
    LocalWrite(local_write::Parameters),
    /// Writes at a replica that keeps an index, against one that keeps none.
    Indexes(indexes::Parameters),
    /// One of three nodes was away while records changed: time and bytes until it is level.
    Reattach(reattach::Parameters),
    /// A large catch-up at a node that is written to: the longest write.
    Fold(fold::Parameters),
    /// Two nodes that have forgotten what the other lacks: bytes, round trips and memory of their refresh.
    Refresh(refresh::Parameters),
    /// Simulated meshes: copies, latencies and control bytes of each update, beside other protocols.
    MeshSim(mesh::Parameters),
    /// Real nodes on loopback that write at full speed: how often each update crosses each of them.
    Fanout(fanout::Parameters),
    /// Real nodes that are killed, frozen and cut off from each other under load.
    Chaos(chaos::Parameters),
    /// Replicas that insert and delete the same keys again and again: disk and memory.
    Churn(churn::Parameters),
    /// Writes while the nodes verify themselves.
    Verify(verify::Parameters),
    /// Records of five fields, beside the puts that they come down to.
    TypedWrite(typed_write::Parameters),
    /// Writes that wait for another node's disk.
    Receipt(receipt::Parameters),
    /// From a write until another node shows it.
    Live(live::Parameters),
    /// A peer that takes 1 kB/s beside four that take all.
    SlowPeer(slow_peer::Parameters),
    /// Small writes while 1 GiB catches up.
    Urgent(urgent::Parameters),
    /// What a link of each transport carries, beside raw quinn.
    Bulk(bulk::Parameters),
    /// Nodes that change their keys, and one that is removed, under load.
    Rotation(rotation::Parameters),
}

/// What every scenario takes.
#[derive(Args)]
struct Printing {
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Exit with code 5 when a bar is missed.
    #[arg(long)]
    check: bool,
}

/// What every scenario of real replicas takes.
#[derive(Args)]
struct Common {
    #[command(flatten)]
    printing: Printing,
    /// How often to measure; the median counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    /// Where the stores go, in a folder that is removed afterwards. Beside the program if not given; must
    /// be on a disk.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Accept a folder in memory, where syncing costs nothing. The bar is then not judged.
    #[arg(long)]
    allow_memory: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let scenario = match Cli::parse().command {
        Command::List => {
            list();
            return ExitCode::SUCCESS;
        }
        Command::Run { scenario } => scenario,
    };
    let Printing { json, check } = *scenario.printing();
    match run(&scenario).await {
        Ok(outcome) => {
            if json {
                println!("{}", outcome.to_json());
            } else {
                print!("{outcome}");
            }
            let missed = outcome.missed();
            for bar in &missed {
                eprintln!("bar missed: {bar}");
            }
            if check && !missed.is_empty() { ExitCode::from(5) } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            eprintln!("the scenario failed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(scenario: &Scenario) -> Result<Box<dyn Outcome>> {
    Ok(match scenario {
        Scenario::CatchUp(parameters) => {
            Box::new(catch_up::run(parameters, &folder(&parameters.common)?).await?)
        }
        Scenario::LocalWrite(parameters) => {
            Box::new(local_write::run(parameters, &folder(&parameters.common)?).await?)
        }
        Scenario::Indexes(parameters) => {
            Box::new(indexes::run(parameters, &folder(&parameters.common)?).await?)
        }
        Scenario::Reattach(parameters) => {
            Box::new(reattach::run(parameters, &folder(&parameters.common)?).await?)
        }
        Scenario::Fold(parameters) => {
            Box::new(fold::run(parameters, &folder(&parameters.common)?).await?)
        }
        Scenario::Refresh(parameters) => {
            Box::new(refresh::run(parameters, &folder(&parameters.common)?).await?)
        }
        Scenario::MeshSim(parameters) => Box::new(mesh::run(parameters)?),
        Scenario::Fanout(parameters) => Box::new(fanout::run(parameters).await?),
        Scenario::Chaos(parameters) => Box::new(chaos::run(parameters).await?),
        Scenario::Churn(parameters) => {
            Box::new(churn::run(parameters, &folder(&parameters.common)?).await?)
        }
        Scenario::Verify(parameters) => {
            Box::new(verify::run(parameters, &folder(&parameters.common)?).await?)
        }
        Scenario::TypedWrite(parameters) => {
            Box::new(typed_write::run(parameters, &folder(&parameters.common)?).await?)
        }
        Scenario::Receipt(parameters) => {
            Box::new(receipt::run(parameters, &folder(&parameters.common)?).await?)
        }
        Scenario::Live(parameters) => {
            Box::new(live::run(parameters, &folder(&parameters.common)?).await?)
        }
        Scenario::SlowPeer(parameters) => {
            Box::new(slow_peer::run(parameters, &folder(&parameters.common)?).await?)
        }
        Scenario::Urgent(parameters) => {
            Box::new(urgent::run(parameters, &folder(&parameters.common)?).await?)
        }
        Scenario::Bulk(parameters) => {
            Box::new(bulk::run(parameters, &folder(&parameters.common)?).await?)
        }
        Scenario::Rotation(parameters) => {
            Box::new(rotation::run(parameters, &folder(&parameters.common)?).await?)
        }
    })
}

fn folder(common: &Common) -> Result<ScratchFolder> {
    let folder = ScratchFolder::create(common.dir.as_deref(), common.allow_memory)?;
    eprintln!("stores in {} ({})", folder.path().display(), folder.filesystem());
    Ok(folder)
}

impl Scenario {
    fn printing(&self) -> &Printing {
        match self {
            Self::CatchUp(parameters) => &parameters.common.printing,
            Self::LocalWrite(parameters) => &parameters.common.printing,
            Self::Indexes(parameters) => &parameters.common.printing,
            Self::Reattach(parameters) => &parameters.common.printing,
            Self::Fold(parameters) => &parameters.common.printing,
            Self::Refresh(parameters) => &parameters.common.printing,
            Self::MeshSim(parameters) => &parameters.printing,
            Self::Fanout(parameters) => &parameters.printing,
            Self::Chaos(parameters) => &parameters.printing,
            Self::Churn(parameters) => &parameters.common.printing,
            Self::Verify(parameters) => &parameters.common.printing,
            Self::TypedWrite(parameters) => &parameters.common.printing,
            Self::Receipt(parameters) => &parameters.common.printing,
            Self::Live(parameters) => &parameters.common.printing,
            Self::SlowPeer(parameters) => &parameters.common.printing,
            Self::Urgent(parameters) => &parameters.common.printing,
            Self::Bulk(parameters) => &parameters.common.printing,
            Self::Rotation(parameters) => &parameters.common.printing,
        }
    }
}

fn list() {
    let scenarios = [
        (catch_up::NAME, catch_up::ABOUT),
        (local_write::NAME, local_write::ABOUT),
        (indexes::NAME, indexes::ABOUT),
        (reattach::NAME, reattach::ABOUT),
        (fold::NAME, fold::ABOUT),
        (refresh::NAME, refresh::ABOUT),
        (mesh::NAME, mesh::ABOUT),
        (fanout::NAME, fanout::ABOUT),
        (chaos::NAME, chaos::ABOUT),
        (churn::NAME, churn::ABOUT),
        (verify::NAME, verify::ABOUT),
        (typed_write::NAME, typed_write::ABOUT),
        (receipt::NAME, receipt::ABOUT),
        (live::NAME, live::ABOUT),
        (slow_peer::NAME, slow_peer::ABOUT),
        (urgent::NAME, urgent::ABOUT),
        (bulk::NAME, bulk::ABOUT),
        (rotation::NAME, rotation::ABOUT),
    ];
    for (name, about) in scenarios {
        println!("{name:<12} {about}");
    }
}
