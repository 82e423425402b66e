//! `status`, `peers` and `digest`: how the node is.

use std::fmt::Write;
use std::path::Path;

use clap::{Args, Subcommand};
use indicatif::HumanBytes;
use millpond::status::{
    BackupStatus, DelayStatus, Health, Lag, NodeState, NodeStatus, Pace, PeerState, PeerStatus,
    Status, TombstoneStatus, VerifyStatus,
};
use serde_json::{Value, json};

use crate::client::Client;
use crate::config::topology_text;
use crate::details;
use crate::failure::{Cause, Exit, Failure, Outcome};
use crate::pending::{self, PendingCommand, pending_table};
use crate::ping::{self, PingArgs};

/// How the node is.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Exit with 5 if the node is degraded, 6 if it has diverged or takes no writes
    #[arg(long)]
    check: bool,
    /// Show the links' settings, the ways of what each member writes, what moved, and the limits with their use
    #[arg(long)]
    details: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn status(args: StatusArgs, dir: &Path) -> Outcome {
    let what = "cannot tell how the node is";
    let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
    let status: Status = client.get("/api/v1/status").await.map_err(|error| error.at(what))?;
    if args.json {
        println!("{}", serde_json::to_string(&status).expect("a status has a JSON form"));
    } else {
        print!("{}", render(&status));
        if args.details {
            print!("{}", details::render(&status));
        }
    }
    Ok(match status.verdict.health {
        Health::Degraded if args.check => Exit::Degraded,
        Health::Failing if args.check => Exit::Diverged,
        _ => Exit::Ok,
    })
}

/// The verdict, a row for each member, and what to do.
fn render(status: &Status) -> String {
    let word = match status.verdict.health {
        Health::Ok => "OK",
        Health::Degraded => "DEGRADED",
        Health::Failing => "FAILING",
        _ => "UNKNOWN",
    };
    let node = &status.node;
    let (key, domain) = (first_digits(&node.key), first_digits(&node.domain));
    let text = &status.verdict.text;
    let mut out = format!("{word}  {} ({key}) in domain {domain}: {text}\n", node.name);
    out += &peer_table(&status.peers);
    if !status.pending.is_empty() {
        out += &pending_table(&status.pending);
    }
    out += &about(node);
    out += &status.backup.as_ref().map(last_backup).unwrap_or_default();
    out += &node.delayed.as_ref().map(delay_text).unwrap_or_default();
    for namespace in &status.namespaces {
        let Some(folding) = &namespace.folding else { continue };
        let (name, rows, all) = (&namespace.namespace, folding.rows, folding.rows_expected);
        let pace = pace_text(folding.pace);
        let _ = writeln!(out, "folding {name}: {rows} of about {all} rows are in place{pace}");
    }
    for warning in &status.warnings {
        let _ = writeln!(out, "warning: {warning}");
    }
    if !status.next.is_empty() {
        let _ = writeln!(out, "next: {}", status.next.join("\n      "));
    }
    out
}

/// What a delayed replica shows, and what waits.
fn delay_text(delay: &DelayStatus) -> String {
    let after = age_text(delay.apply_after_s as f64);
    let waits = match delay.oldest_waiting_s {
        Some(seconds) => format!("the oldest of what waits came {} ago", age_text(seconds as f64)),
        None => "nothing waits".into(),
    };
    let paused = if delay.is_paused { "; paused" } else { "" };
    format!("shows what it has received after {after}: {waits}{paused}\n")
}

/// What the node is, where it is to be found, and where it keeps what.
fn about(node: &NodeStatus) -> String {
    let (role, addresses) = (&node.role, node.addresses.join(", "));
    let state_dir = node.state_dir.as_deref().unwrap_or("none");
    let bytes = HumanBytes(node.store_bytes);
    let topology = topology_text(&node.topology);
    let region =
        node.region.as_ref().map(|region| format!("; region {region}")).unwrap_or_default();
    let cost = match node.cost {
        0 => String::new(),
        cost => format!("; costs others {cost}"),
    };
    let state = match node.state {
        NodeState::Lagging => ", lagging",
        NodeState::Rehab => ", in rehab: not ready",
        NodeState::Delayed => ", delayed",
        _ => "",
    };
    let primary = match &node.primary {
        None => String::new(),
        Some(primary) if primary.is_this_node => "; the primary".into(),
        Some(primary) => {
            format!("; a backup of {}", primary.name.as_deref().unwrap_or("no primary yet"))
        }
    };
    format!(
        "this node: {role}{primary}{state}; others dial {addresses}\n           store {bytes}; state folder {state_dir}\n           \
         {topology}{region}{cost}\n{}{}",
        verified(&node.verify),
        deletes(&node.tombstones)
    )
}

/// When the node last looked whether it holds what it should; nothing before the first time.
fn verified(verify: &VerifyStatus) -> String {
    let ago = |age_s: u64| format!("{} ago", age_text(age_s as f64));
    let peers = |count: u64| format!("{count} peer{}", if count == 1 { "" } else { "s" });
    let read = verify.read_age_s.map(|age_s| format!("own store read {}", ago(age_s)));
    let compared = verify.compared_age_s.map(|age_s| {
        let others = match verify.others {
            0 => String::new(),
            others => format!(", not with {} (millpond verify says why)", peers(others)),
        };
        format!("agrees with {}{others}, compared {}", peers(verify.agreeing), ago(age_s))
    });
    let parts: Vec<String> = read.into_iter().chain(compared).collect();
    match parts.is_empty() {
        true => String::new(),
        false => format!("verified:  {}\n", parts.join("; ")),
    }
}

/// Deletes that somebody may not have heard of: how many, for whom they wait, and until when.
fn deletes(left: &TombstoneStatus) -> String {
    if left.count == 0 {
        return String::new();
    }
    let blockers = left.gc_blocked_by.iter().map(|it| {
        let age = |seconds: u64| age_text(seconds as f64);
        match it.silent_s {
            0 => format!("{} (for {})", it.name, age(it.since_s)),
            silent_s => format!(
                "{} (silent for {}; no longer in {})",
                it.name,
                age(silent_s),
                age(it.evicted_in_s)
            ),
        }
    });
    let waits = match blockers.collect::<Vec<_>>() {
        none if none.is_empty() => String::new(),
        some => format!("; they wait for {}", some.join(", ")),
    };
    let (count, bytes) = (left.count, HumanBytes(left.bytes));
    format!("deletes:   {count} remembered, {bytes}{waits}\n")
}

/// How old the newest backup is.
fn last_backup(backup: &BackupStatus) -> String {
    let every = age_text(backup.every_s as f64);
    let last =
        backup.age_s.map_or("none yet".into(), |age_s| format!("{} old", age_text(age_s as f64)));
    format!("           last backup {last}, every {every} in {}\n", backup.folder)
}

fn peer_table(peers: &[PeerStatus]) -> String {
    if peers.is_empty() {
        return String::new();
    }
    let head = ["PEER", "LINK", "STATE", "THEY LACK", "WE LACK", "RTT", "NOTE"].map(String::from);
    let rows = peers.iter().map(|peer| {
        let link = peer.link.as_ref();
        let round_trip = link.map(|link| link.round_trip_us).filter(|&us| us > 0);
        [
            peer.name.clone(),
            link.map_or("-".into(), |link| link.transport.clone()),
            state_word(peer.state).into(),
            lag_text(peer.they_lack),
            lag_text(peer.we_lack),
            round_trip.map_or("-".into(), |us| format!("{:.1}ms", us as f64 / 1000.0)),
            note(peer),
        ]
    });
    table(std::iter::once(head).chain(rows).collect())
}

fn state_word(state: PeerState) -> &'static str {
    match state {
        PeerState::Current => "current",
        PeerState::Lagging => "lagging",
        PeerState::Paused => "paused",
        PeerState::Connecting => "connecting",
        PeerState::Offline => "offline",
        PeerState::Fenced => "fenced",
        PeerState::Rehab => "rehab",
        PeerState::Delayed => "delayed",
        _ => "unknown",
    }
}

/// Writes and the age of the oldest; what is not known is never 0.
fn lag_text(lag: Option<Lag>) -> String {
    match lag {
        None => "unknown".into(),
        Some(Lag { ops: 0, .. }) => "0".into(),
        Some(Lag { ops, seconds: Some(age), .. }) => format!("{ops} ops/{}", age_text(age)),
        Some(Lag { ops, .. }) => format!("{ops} ops"),
    }
}

/// A length of time with its two largest units.
pub(crate) fn age_text(seconds: f64) -> String {
    let whole = seconds as u64;
    let (large, unit, small, small_unit) = match whole {
        0..60 => return format!("{seconds:.1}s"),
        60..3600 => (whole / 60, 'm', whole % 60, 's'),
        3600..86_400 => (whole / 3600, 'h', whole / 60 % 60, 'm'),
        _ => (whole / 86_400, 'd', whole / 3600 % 24, 'h'),
    };
    match small {
        0 => format!("{large}{unit}"),
        _ => format!("{large}{unit}{small}{small_unit}"),
    }
}

/// How fast it goes and when it will be done, as far as that is known.
fn pace_text(pace: Pace) -> String {
    let rate = pace.rows_per_s.map(|rate| format!(", {rate:.0} rows/s"));
    let left = pace.eta_s.map(|seconds| format!(", {} left", age_text(seconds as f64)));
    rate.into_iter().chain(left).collect()
}

fn note(peer: &PeerStatus) -> String {
    if let Some(pull) = peer.link.as_ref().and_then(|link| link.catching_up.as_ref()) {
        let pace = pace_text(pull.pace);
        return format!("catching up: {} of about {} rows{pace}", pull.rows, pull.rows_expected);
    }
    let seen = match peer.last_seen_s {
        _ if peer.link.is_some() => return String::new(),
        Some(seconds) => format!("last seen {} ago", age_text(seconds as f64)),
        None => "not seen since this node started".into(),
    };
    let seen = match peer.evicted {
        Some(_) => format!("{seen}; deletes no longer wait for it"),
        None => seen,
    };
    match &peer.last_error {
        Some(error) if peer.state != PeerState::Paused => format!("{seen}; {error}"),
        _ => seen,
    }
}

/// Columns as wide as they need to be.
pub(crate) fn table<const N: usize>(rows: Vec<[String; N]>) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

pub(crate) fn first_digits(id: &str) -> String {
    id.chars().take(8).collect()
}

/// List, approve, pause, resume and remove peers.
#[derive(Debug, Args)]
pub(crate) struct PeersArgs {
    #[command(subcommand)]
    command: PeersCommand,
}

#[derive(Debug, Subcommand)]
enum PeersCommand {
    /// Every other member, those that are gone too
    Ls {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    Ping(PingArgs),
    #[command(flatten)]
    Pending(PendingCommand),
    /// Cut the link to a member, or to all, until it is resumed
    Pause {
        /// Its name or key
        peer: Option<String>,
    },
    /// Link to a member, or to all, again
    Resume {
        /// Its name or key
        peer: Option<String>,
    },
    /// Remove a member from the domain; what it wrote stays. A node that removes itself leaves
    ///
    /// Run it at an admin's node. Links to the member end, and nothing waits for it any more. What it wrote and has
    /// not sent yet stays with it alone. It comes back only by a new invite.
    Remove {
        /// Its name or key
        peer: String,
        /// The same again, since it cannot be taken back
        #[arg(long, value_name = "PEER")]
        yes_remove: Option<String>,
    },
}

pub(crate) async fn peers(args: PeersArgs, dir: &Path) -> Outcome {
    if let PeersCommand::Ping(args) = &args.command {
        return ping::run(args, dir).await;
    }
    if let PeersCommand::Pending(command) = args.command {
        return pending::run(command, dir).await;
    }
    let what = "cannot reach the peers' list";
    let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
    let (verb, peer) = match args.command {
        PeersCommand::Ls { json } => {
            let found: Value = client.get("/api/v1/peers").await.map_err(|error| error.at(what))?;
            if json {
                println!("{found}");
                return Ok(Exit::Ok);
            }
            let peers: Vec<PeerStatus> =
                serde_json::from_value(found["peers"].clone()).unwrap_or_default();
            if peers.is_empty() {
                println!("no other member yet\nnext: millpond invite");
            }
            print!("{}", peer_table(&peers));
            return Ok(Exit::Ok);
        }
        PeersCommand::Ping(_) | PeersCommand::Pending(_) => unreachable!("they have their own"),
        PeersCommand::Pause { peer } => ("pause", peer),
        PeersCommand::Resume { peer } => ("resume", peer),
        PeersCommand::Remove { peer, yes_remove } if yes_remove.as_ref() != Some(&peer) => {
            return Err(Failure::new(format!("{peer} was not removed"))
                .cause(Cause::Usage)
                .why("it cannot be taken back: only a new invite lets a removed member in again")
                .fix(format!("millpond peers remove {peer} --yes-remove={peer}"))
                .exit(Exit::Usage));
        }
        PeersCommand::Remove { peer, .. } => ("remove", Some(peer)),
    };
    let body = json!({"peer": peer});
    let what = format!("cannot {verb} {}", peer.as_deref().unwrap_or("the peers"));
    let chosen: Value = client
        .post(&format!("/api/v1/peers/{verb}"), &body)
        .await
        .map_err(|error| error.at(what))?;
    let names = chosen["peers"].as_array().into_iter().flatten().filter_map(Value::as_str);
    println!("{verb}d: {}", names.collect::<Vec<_>>().join(", "));
    Ok(Exit::Ok)
}

/// A hash over everything.
#[derive(Debug, Args)]
pub(crate) struct DigestArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn digest(args: DigestArgs, dir: &Path) -> Outcome {
    let what = "cannot compute the digest";
    let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
    let seal: Value = client.get("/api/v1/digest").await.map_err(|error| error.at(what))?;
    if args.json {
        println!("{seal}");
    } else {
        let digest = seal["digest"].as_str().unwrap_or_default();
        let count = |name: &str| format!("{name} {}", seal[name]);
        println!("{digest}  {}, {}, {}", count("records"), count("rows"), count("conflicts"));
    }
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deletes_that_are_remembered_are_told_with_whom_they_wait_for() {
        let status = |blockers: Value| -> TombstoneStatus {
            let status = json!({"count": 12, "bytes": 2048, "offline_window_s": 604_800,
                "gc_blocked_by": blockers});
            serde_json::from_value(status).unwrap()
        };
        assert_eq!(deletes(&TombstoneStatus::default()), "");
        assert_eq!(deletes(&status(json!([]))), "deletes:   12 remembered, 2.00 KiB\n");
        let blockers = json!([
            {"name": "tokyo", "key": "aa", "since_s": 7200, "silent_s": 7260, "evicted_in_s": 597_540},
            {"name": "lyon", "key": "bb", "since_s": 61, "silent_s": 0, "evicted_in_s": 604_800},
        ]);
        assert_eq!(
            deletes(&status(blockers)),
            "deletes:   12 remembered, 2.00 KiB; they wait for \
             tokyo (silent for 2h1m; no longer in 6d21h), lyon (for 1m1s)\n"
        );
    }
}
