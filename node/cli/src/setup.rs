//! `init`, `invite` and `join`: how nodes come to be, and together.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use millpond::{Config, Invite, Replica};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::Client;
use crate::config::{self, Span};
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
struct NodeArgs {
    /// The node's name [default: this machine's]
    #[arg(long)]
    name: Option<String>,
    /// Where it listens for members
    #[arg(long, default_value = "[::]:8444")]
    listen: SocketAddr,
}

impl NodeArgs {
    fn config(&self, dir: &Path) -> Config {
        let mut config = Config::new(dir);
        config.name = self.name.clone().unwrap_or_else(config::host_name);
        config.listen = self.listen;
        config
    }
}

pub(crate) fn init(args: InitArgs, dir: &Path) -> Outcome {
    let config = args.node.config(dir);
    let report = Replica::init(&config).map_err(|error| Failure::open(dir, &error))?;
    config::write_first(dir, &config.name, config.listen)?;
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

/// Make an invite.
#[derive(Debug, Args)]
pub(crate) struct InviteArgs {
    /// What the new member may do: admin, writer or reader
    #[arg(long, default_value = "writer")]
    role: String,
    /// For how long the invite is valid: 10m, 2h, 1d
    #[arg(long, default_value = "10m")]
    expires: Span,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize, Deserialize)]
struct Invited {
    invite: String,
    role: String,
    expires_s: u64,
}

pub(crate) async fn invite(args: InviteArgs, dir: &Path) -> Outcome {
    let what = "cannot make an invite";
    let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
    let body = json!({"role": args.role, "expires_s": args.expires.0.as_secs()});
    let invited: Invited =
        client.post("/api/v1/invites", &body).await.map_err(|error| error.at(what))?;
    if args.json {
        println!("{}", json!(invited));
        return Ok(Exit::Ok);
    }
    println!("{}", invited.invite);
    eprintln!("valid for {} s, for one {}. On the other machine:", invited.expires_s, invited.role);
    eprintln!("  millpond join {} --dir ./millpond-data", invited.invite);
    Ok(Exit::Ok)
}

/// Become a member.
#[derive(Debug, Args)]
pub(crate) struct JoinArgs {
    /// The text that `millpond invite` printed
    invite: String,
    #[command(flatten)]
    node: NodeArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn join(args: JoinArgs, dir: &Path) -> Outcome {
    let invite: Invite = args.invite.parse().map_err(|error| {
        Failure::new("that is no invite").why(error).fix("copy the whole text, from mp1 on")
    })?;
    let config = args.node.config(dir);
    Replica::prepare_join(&config, &invite).map_err(|error| Failure::open(dir, &error))?;
    config::write_first(dir, &config.name, config.listen)?;
    let name = config.name.clone();
    let replica = Replica::open(config).await.map_err(|error| Failure::open(dir, &error))?;
    let joined = tokio::time::timeout(JOIN_DEADLINE, replica.joined()).await;
    replica.close().await;
    let next = format!("millpond run --dir {}", dir.display());
    match joined {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            return Err(Failure::new("the domain did not take this node in")
                .why(error)
                .fix("ask for a fresh invite (millpond invite), and join with an empty --dir"));
        }
        Err(_) => {
            let why = "the inviter could not be reached, or had not sent everything in time";
            let fix = format!("check the inviter's addresses, then go on with: {next}");
            return Err(Failure::new("the join is not finished").why(why).fix(fix));
        }
    }
    if args.json {
        println!("{}", json!({"joined": true, "name": name}));
    } else {
        println!("{name} is a member now\nnext: {next}");
    }
    Ok(Exit::Ok)
}

/// Enough for a few gigabytes; after that `run` goes on where it stopped.
const JOIN_DEADLINE: Duration = Duration::from_secs(120);
