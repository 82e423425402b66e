//! `join`: a node becomes a member of the domain that an invite is for, while it runs or before it does.

use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::ProgressBar;
use millpond::status::{Lag, Status};
use millpond::{Invite, ParseInviteError, Replica};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{Client, ClientError};
use crate::config;
use crate::failure::{Cause, Exit, Failure, Outcome};
use crate::setup::NodeArgs;

/// Become a member of the domain that an invite is for
///
/// In a new folder it makes the node. A node that runs there joins while it runs, if it has joined nothing yet, or its
/// domain is empty: one with data stays in its own, and says so.
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

/// What became of it.
struct Joined {
    name: String,
    is_level: bool,
    next: String,
}

pub(crate) async fn join(args: JoinArgs, dir: &Path) -> Outcome {
    let invite: Invite = args.invite.parse().map_err(|error: ParseInviteError| {
        Failure::new("that is no invite").why(&error).code(error.code())
    })?;
    let json = args.json;
    let joined = match running(dir).await? {
        Some(client) => join_running(&client, &args, &invite, dir).await?,
        None => join_offline(args.node, &invite, dir).await?,
    };
    let Joined { name, is_level, next } = joined;
    if json {
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

/// The node that runs in this folder, if one does.
async fn running(dir: &Path) -> Result<Option<Client>, Failure> {
    let Ok(client) = Client::of_dir(dir) else { return Ok(None) };
    match client.get::<Value>("/api/v1/join").await {
        Ok(_) => Ok(Some(client)),
        // What a killed node has left behind.
        Err(ClientError::Unreachable { .. }) => Ok(None),
        Err(error) => Err(error.at("cannot tell whether the node runs")),
    }
}

/// How a node is on its way.
#[derive(Deserialize)]
struct Progress {
    state: String,
    why: Option<String>,
    /// While an admin has to approve it.
    words: Option<String>,
}

/// Waits until a node is a member, for as long as an inviter takes to answer, or a person to compare words.
async fn until_joined(
    progress: impl AsyncFn() -> Result<Progress, Failure>,
    fix: String,
) -> Result<(), Failure> {
    let mut deadline = Instant::now() + JOIN_DEADLINE;
    let mut interval = tokio::time::interval(PROGRESS_INTERVAL);
    let mut shown = None;
    loop {
        interval.tick().await;
        let Progress { state, why, words } = progress().await?;
        match state.as_str() {
            "joined" => return Ok(()),
            "refused" => return Err(refused(why.unwrap_or_default())),
            _ => {}
        }
        if words.is_some() && words != shown {
            let text = words.as_deref().unwrap_or_default().replace('-', " ");
            eprintln!("an admin has to approve this node, by its three words:\n\n    {text}\n");
            eprintln!("at the inviter: millpond peers pending, then millpond peers approve {text}");
            deadline = Instant::now() + APPROVAL_DEADLINE;
            shown = words;
        }
        if Instant::now() > deadline {
            let why = why.unwrap_or("the inviter did not answer".into());
            let failure = Failure::new("the join is not finished").why(why);
            return Err(failure.cause(Cause::Join).fix(fix));
        }
    }
}

async fn join_running(
    client: &Client,
    args: &JoinArgs,
    invite: &Invite,
    dir: &Path,
) -> Result<Joined, Failure> {
    let what = "the node did not join";
    if args.node.is_given() {
        return Err(Failure::new(what)
            .why("it runs, and keeps the settings that it was started with")
            .cause(Cause::Usage)
            .fix("leave the settings out; they are in millpond.toml")
            .exit(Exit::Usage));
    }
    let body = json!({"invite": args.invite});
    let _: Progress = client.post("/api/v1/join", &body).await.map_err(|error| error.at(what))?;
    let fix = "see that the inviter runs and can be reached: the node goes on by itself".into();
    let progress = async || client.get("/api/v1/join").await.map_err(|error| error.at(what));
    until_joined(progress, fix).await?;
    let status = async || client.get::<Status>("/api/v1/status").await.ok();
    let is_level = catch_up(status, invite).await;
    let name = match status().await {
        Some(status) => status.node.name,
        None => "the node".into(),
    };
    Ok(Joined { name, is_level, next: format!("millpond status --dir {}", dir.display()) })
}

async fn join_offline(node: NodeArgs, invite: &Invite, dir: &Path) -> Result<Joined, Failure> {
    let file = node.file(dir)?;
    let config = file.replica(dir)?;
    Replica::prepare_join(&config, invite).map_err(|error| Failure::open(dir, &error))?;
    let name = config.name.clone();
    let replica = Replica::open(config).await.map_err(|error| Failure::open(dir, &error))?;
    // Not before the addresses have proved to be free: joining again with others writes those.
    config::write_first(dir, &file)?;
    let next = format!("millpond run --dir {}", dir.display());
    let fix = format!("see that the inviter runs and can be reached, then go on: {next}");
    let joined = until_joined(async || Ok(progress_of(&replica).await), fix).await;
    let is_level = match joined {
        Ok(()) => catch_up(async || Some(replica.status().await), invite).await,
        Err(_) => false,
    };
    replica.close().await;
    joined?;
    Ok(Joined { name, is_level, next })
}

async fn progress_of(replica: &Replica) -> Progress {
    let (why, words) = (replica.join_progress(), replica.join_words());
    let (state, why) = match tokio::time::timeout(Duration::ZERO, replica.joined()).await {
        Ok(Ok(())) => ("joined", None),
        Ok(Err(error)) => ("refused", Some(error.to_string())),
        Err(_) => ("joining", why),
    };
    Progress { state: state.into(), why, words }
}

fn refused(why: String) -> Failure {
    let refused = millpond::JoinError::Refused { why: String::new() };
    Failure::new("the domain did not take this node in")
        .why(why)
        .code(refused.code())
        .fix("ask for a fresh invite (millpond invite), and join again")
}

/// Waits until this node and its inviter have what the other has, for as long as that goes on. False when
/// it stopped.
async fn catch_up(status: impl AsyncFn() -> Option<Status>, invite: &Invite) -> bool {
    let progress = match std::io::stderr().is_terminal() {
        true => ProgressBar::new_spinner(),
        false => ProgressBar::hidden(),
    };
    let issuer = invite.issuer().to_string();
    let mut interval = tokio::time::interval(PROGRESS_INTERVAL);
    let (mut last, mut moved) = (0, Instant::now());
    let is_level = loop {
        interval.tick().await;
        let Some(status) = status().await else { break false };
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

/// How long a person may take to compare words. The node goes on by itself when it runs.
const APPROVAL_DEADLINE: Duration = Duration::from_secs(900);

/// A catch-up during which nothing comes for so long has broken off.
const STANDSTILL: Duration = Duration::from_secs(15);

const PROGRESS_INTERVAL: Duration = Duration::from_millis(50);
