//! `init` and `join`: how nodes come to be, and together.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::ProgressBar;
use millpond::status::Lag;
use millpond::{Invite, ParseInviteError, Replica};
use serde_json::json;

use crate::config::{self, File, Region};
use crate::failure::{Cause, Exit, Failure, Outcome};

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
    let invite: Invite = args.invite.parse().map_err(|error: ParseInviteError| {
        Failure::new("that is no invite").why(&error).code(error.code())
    })?;
    let file = args.node.file(dir)?;
    let config = file.replica(dir)?;
    Replica::prepare_join(&config, &invite).map_err(|error| Failure::open(dir, &error))?;
    let name = config.name.clone();
    let replica = Replica::open(config).await.map_err(|error| Failure::open(dir, &error))?;
    // Not before the addresses have proved to be free: joining again with others writes those.
    config::write_first(dir, &file)?;
    let next = format!("millpond run --dir {}", dir.display());
    let (joined, is_level) = match tokio::time::timeout(JOIN_DEADLINE, replica.joined()).await {
        Ok(Ok(())) => (Ok(()), catch_up(&replica, &invite).await),
        Ok(Err(error)) => {
            let fix = "ask for a fresh invite (millpond invite), and join again";
            let what = "the domain did not take this node in";
            (Err(Failure::new(what).why(&error).code(error.code()).fix(fix)), false)
        }
        Err(_) => {
            let why = replica.join_progress().unwrap_or("the inviter did not answer".into());
            let fix = format!("see that the inviter runs and can be reached, then go on: {next}");
            (
                Err(Failure::new("the join is not finished").why(why).cause(Cause::Join).fix(fix)),
                false,
            )
        }
    };
    replica.close().await;
    joined?;
    if args.json {
        println!("{}", json!({"joined": true, "name": name, "caught_up": is_level}));
        return Ok(Exit::Ok);
    }
    match is_level {
        true => println!("{name} is a member now, and has caught up"),
        false => {
            println!("{name} is a member now; it has not all data yet, and goes on when it runs")
        }
    }
    println!("next: {next}");
    Ok(Exit::Ok)
}

/// Waits until this node and its inviter have what the other has, for as long as that goes on. False when
/// it stopped.
async fn catch_up(replica: &Replica, invite: &Invite) -> bool {
    let progress = match std::io::stderr().is_terminal() {
        true => ProgressBar::new_spinner(),
        false => ProgressBar::hidden(),
    };
    let issuer = invite.issuer().to_string();
    let mut interval = tokio::time::interval(PROGRESS_INTERVAL);
    let (mut last, mut moved) = (0, Instant::now());
    let is_level = loop {
        interval.tick().await;
        let status = replica.status().await;
        let Some(inviter) = status.peers.iter().find(|peer| peer.key == issuer) else {
            break false;
        };
        let is_fed = inviter.link.as_ref().is_some_and(|link| link.fed && link.feeding);
        let lacks_nothing = |lag: Option<Lag>| lag.is_some_and(|lag| lag.ops == 0);
        if is_fed && lacks_nothing(inviter.they_lack) && lacks_nothing(inviter.we_lack) {
            break true;
        }
        let rows = inviter.counters.rows_received;
        progress.set_message(format!("catching up: {rows} rows"));
        progress.tick();
        if rows != last {
            (last, moved) = (rows, Instant::now());
        } else if moved.elapsed() > STANDSTILL {
            break false;
        }
    };
    progress.finish_and_clear();
    is_level
}

/// How long to try to reach the inviter.
const JOIN_DEADLINE: Duration = Duration::from_secs(60);

/// A catch-up during which nothing comes for so long has broken off.
const STANDSTILL: Duration = Duration::from_secs(15);

const PROGRESS_INTERVAL: Duration = Duration::from_millis(50);
