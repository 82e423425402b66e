//! `init`, and what a new node needs to know.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use millpond::Replica;
use serde_json::json;

use crate::config::{self, File, Region};
use crate::failure::{Exit, Failure, Outcome};

/// Found a new domain.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    #[command(flatten)]
    node: NodeArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What a new node needs to know.
#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    /// The node's name [default: this machine's]
    #[arg(long)]
    name: Option<String>,
    /// Where it listens for members [default: [::]:8444]
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Where it serves its API [default: 127.0.0.1:8440]
    #[arg(long)]
    http: Option<SocketAddr>,
    /// Where its lease is kept [default: $XDG_STATE_HOME/millpond]
    #[arg(long)]
    state_dir: Option<PathBuf>,
    /// Where the node is: links within a region cost less than links between regions
    #[arg(long)]
    region: Option<Region>,
}

impl NodeArgs {
    /// Whether any of it was given.
    pub(crate) fn is_given(&self) -> bool {
        let Self { name, listen, http, state_dir, region } = self;
        name.is_some()
            || listen.is_some()
            || http.is_some()
            || state_dir.is_some()
            || region.is_some()
    }

    /// The node's settings: these, then those of the file if the folder has one.
    pub(crate) fn file(self, dir: &Path) -> Result<File, Failure> {
        let mut file = config::load_or_default(dir, None)?;
        file.name = self.name.or(file.name.take());
        file.state_dir = self.state_dir.or(file.state_dir.take());
        file.replication.bindaddress = self.listen.or(file.replication.bindaddress);
        file.http.bindaddress = self.http.unwrap_or(file.http.bindaddress);
        file.region = self.region.or(file.region.take());
        Ok(file)
    }
}

pub(crate) fn init(args: InitArgs, dir: &Path) -> Outcome {
    let file = args.node.file(dir)?;
    let config = file.replica(dir)?;
    let report = Replica::init(&config).map_err(|error| Failure::open(dir, &error))?;
    config::write_first(dir, &file)?;
    if args.json {
        let (key, domain) = (report.key.to_string(), report.domain.to_string());
        let recovery_key = report.recovery_key;
        println!(
            "{}",
            json!({"key": key, "domain": domain, "name": config.name, "recovery_key": recovery_key})
        );
        return Ok(Exit::Ok);
    }
    println!("{} ({}) founded domain {:#}", config.name, report.key.short(), report.domain);
    println!("recovery key: {}", report.recovery_key);
    println!(
        "  keep it apart from this machine: it alone can take the domain over when all admins are lost"
    );
    println!("next: millpond run --dir {}", dir.display());
    Ok(Exit::Ok)
}
