//! The program `millpond`: runs a node, and asks it.

mod backup;
mod client;
mod concern;
mod config;
mod conflicts;
mod data;
mod dataset;
mod delayed;
mod demo;
mod details;
mod explain;
mod failure;
mod fence;
mod invite;
mod join;
mod keys;
mod pending;
mod ping;
mod promote;
mod restore;
mod run;
mod setup;
mod state_dir;
mod status;
mod topology;
mod transfer;
mod verify;
mod watch;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::failure::{Cause, Exit, Failure, Outcome};

/// A replicated store that is writable on every node, online or offline, and converges by itself.
#[derive(Debug, Parser)]
#[command(name = "millpond", version, after_help = EXIT_CODES)]
struct Cli {
    /// The node's folder
    #[arg(long, global = true, env = "MILLPOND_DIR", default_value = "./millpond-data")]
    dir: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Found a new domain with this node as its first member
    Init(setup::InitArgs),
    /// Run the node until it is told to stop
    Run(run::RunArgs),
    Invite(invite::InviteArgs),
    Join(join::JoinArgs),
    /// List members, and approve new ones; pause and resume the links to them
    Peers(status::PeersArgs),
    /// How the node is, who lacks what, and what to do about it
    Status(status::StatusArgs),
    /// Why the node takes no writes, if its key or its history is alive elsewhere, and how it goes on
    Fence(fence::FenceArgs),
    /// Show, change and revoke the keys by which nodes prove who they are
    Keys(keys::KeysArgs),
    /// What identifies this node, in one line for `partner_cert` of others
    #[command(hide = true)]
    ShowReplicationCertificate,
    /// `millpond keys rotate`
    #[command(hide = true)]
    RenewReplicationCertificate,
    /// Show a record
    Get(data::GetArgs),
    /// Write a record, or change some of its fields
    Put(data::PutArgs),
    /// Delete a record
    Rm(data::RmArgs),
    /// List collections, or the records of one
    Ls(data::LsArgs),
    /// Add to a counter, or read it
    Count(data::CountArgs),
    /// List fields that several nodes wrote at once, and end such conflicts
    Conflicts(conflicts::ConflictsArgs),
    /// What an error's code means, or why a field shows what it shows
    Explain(explain::ExplainArgs),
    /// Follow what changes
    Watch(watch::WatchArgs),
    /// Load records from JSON Lines
    Import(transfer::ImportArgs),
    /// Write all records as JSON Lines
    Export(transfer::ExportArgs),
    /// Put all that the node holds aside in one file, and make nodes of such files
    Backup(backup::BackupArgs),
    /// Make a new member of a backup or of a stopped node's folder: it fetches only the rest
    Clone(restore::CloneArgs),
    /// A hash over everything that the node holds, equal on nodes that hold the same
    Digest(status::DigestArgs),
    /// Whether the node holds what its peers hold; mends what is damaged
    Verify(verify::VerifyArgs),
    /// Join what this node and a peer hold, though deletes between them are forgotten
    Refresh(verify::RefreshArgs),
    /// Give up values that a damaged disk has lost and nobody else has
    Repair(verify::RepairArgs),
    /// By which way each member's writes reach all others, and what if one dies
    Topology(topology::TopologyArgs),
    /// Make a member the primary, which alone takes writes, or end that
    Promote(promote::PromoteArgs),
    /// Pause, resume or end the delay of a delayed replica, or let it show what was at a moment
    Delayed(delayed::DelayedArgs),
    /// Look after the configuration
    Config(config::ConfigArgs),
    /// Start nodes on this machine, cut them apart, write on all of them, and watch them converge
    Demo(demo::DemoArgs),
}

fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    // The demo works in a folder of its own, whatever the default and the environment say.
    let is_dir_chosen = matches.value_source("dir") == Some(ValueSource::CommandLine);
    let outcome = match &cli.command {
        Command::Run(_) | Command::Join(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    }
    .enable_all()
    .build()
    .map_err(|error| Failure::new("cannot start").why(error).cause(Cause::System))
    .and_then(|runtime| {
        let outcome = runtime.block_on(dispatch(cli, is_dir_chosen));
        // A thread may still wait for standard input.
        runtime.shutdown_background();
        outcome
    });
    let exit = outcome.unwrap_or_else(|failure| {
        eprintln!("{failure}");
        failure.exit
    });
    ExitCode::from(exit as u8)
}

async fn dispatch(cli: Cli, is_dir_chosen: bool) -> Outcome {
    let dir = cli.dir;
    match cli.command {
        // These stop in good order by themselves.
        Command::Run(args) => run::run(args, &dir).await,
        Command::Backup(args) => backup::run_command(args, &dir).await,
        Command::Clone(args) => restore::clone(args).await,
        Command::Demo(args) => demo::demo(args, is_dir_chosen.then_some(&*dir)).await,
        other => tokio::select! {
            outcome = command(other, dir) => outcome,
            _ = tokio::signal::ctrl_c() => Ok(Exit::Interrupted),
        },
    }
}

async fn command(command: Command, dir: PathBuf) -> Outcome {
    match command {
        Command::Init(args) => setup::init(args, &dir),
        Command::Run(_) | Command::Demo(_) | Command::Backup(_) | Command::Clone(_) => {
            unreachable!("they are dispatched before")
        }
        Command::Invite(args) => invite::invite(args, &dir).await,
        Command::Join(args) => join::join(args, &dir).await,
        Command::Peers(args) => status::peers(args, &dir).await,
        Command::Status(args) => status::status(args, &dir).await,
        Command::Fence(args) => fence::fence(args, &dir).await,
        Command::Keys(args) => keys::keys(args, &dir).await,
        Command::ShowReplicationCertificate => keys::show_certificate(&dir).await,
        Command::RenewReplicationCertificate => keys::rotate(&dir, None, false).await,
        Command::Get(args) => data::get(args, &dir).await,
        Command::Put(args) => data::put(args, &dir).await,
        Command::Rm(args) => data::rm(args, &dir).await,
        Command::Ls(args) => data::ls(args, &dir).await,
        Command::Count(args) => data::count(args, &dir).await,
        Command::Conflicts(args) => conflicts::conflicts(args, &dir).await,
        Command::Explain(args) => explain::explain(args, &dir).await,
        Command::Watch(args) => watch::watch(args, &dir).await,
        Command::Import(args) => transfer::import(args, &dir).await,
        Command::Export(args) => transfer::export(args, &dir).await,
        Command::Digest(args) => status::digest(args, &dir).await,
        Command::Verify(args) => verify::verify(args, &dir).await,
        Command::Refresh(args) => verify::refresh(args, &dir).await,
        Command::Repair(args) => verify::repair(args, &dir).await,
        Command::Topology(args) => topology::topology(args, &dir).await,
        Command::Promote(args) => promote::promote(args, &dir).await,
        Command::Delayed(args) => delayed::delayed(args, &dir).await,
        Command::Config(args) => config::run(&args, &dir),
    }
}

const EXIT_CODES: &str = "\
Exit codes:
  0  it worked                      4  the node cannot be reached
  1  it failed                      5  status --check: degraded; verify: not all was compared
  2  wrong usage                    6  status --check: diverged, or takes no writes; verify: a person is needed
  3  the configuration is invalid   7  --concern: written here, and not held in time by those members
130  interrupted";
