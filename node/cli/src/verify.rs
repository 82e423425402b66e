//! `verify`, `refresh` and `repair`: whether the node holds what it should, and what if not.

use std::path::Path;

use clap::Args;
use millpond::status::{
    PeerStatus, RefreshReport, ScrubReport, Status, VerifiedPeer, VerifyOutcome, VerifyReport,
};
use serde::Deserialize;
use serde_json::json;

use crate::client::Client;
use crate::failure::{Cause, Exit, Failure, Outcome};
use crate::status::table;

/// Compare the node with its peers.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The member to compare with: its name, or its key [default: all that are linked]
    #[arg(conflicts_with = "cluster")]
    peer: Option<String>,
    /// Compare with every member; one that is not linked counts as not verified
    #[arg(long)]
    cluster: bool,
    /// Read the whole store first, and check every value
    #[arg(long)]
    deep: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Refresh with a peer.
#[derive(Debug, Args)]
pub(crate) struct RefreshArgs {
    /// The member to refresh with: its name, or its key [default: the one that status says needs it]
    #[arg(long)]
    from: Option<String>,
    /// Only tell what would come, go and stay
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Give up what is lost.
#[derive(Debug, Args)]
pub(crate) struct RepairArgs {
    /// Delete what is lost at this key, collection/key or collection; `*` for all
    #[arg(long, value_name = "KEY", required = true)]
    accept_loss: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn verify(args: VerifyArgs, dir: &Path) -> Outcome {
    let what = "cannot verify";
    let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
    let body = match &args.peer {
        Some(peer) => json!({"peer": peer, "deep": args.deep}),
        None => json!({"all": args.cluster, "deep": args.deep}),
    };
    let report: VerifyReport =
        client.post("/api/v1/verify", &body).await.map_err(|error| error.at(what))?;
    match args.json {
        true => println!("{}", serde_json::to_string(&report).expect("a report has a JSON form")),
        false => print!("{}", render(&report)),
    }
    Ok(exit(&report))
}

fn exit(report: &VerifyReport) -> Exit {
    let is_wrong = |peer: &VerifiedPeer| peer.suspect > 0;
    match report.peers.iter().any(is_wrong) || !report.lost.is_empty() {
        true => Exit::Diverged,
        false if report.is_sound && report.is_whole => Exit::Ok,
        false => Exit::Degraded,
    }
}

/// A row for each peer and namespace, what was found, and what to do.
fn render(report: &VerifyReport) -> String {
    let mut out = String::new();
    if let Some(scrub) = &report.scrub {
        out += &format!(
            "own store: {} entries and {} log rows read {} s ago: {}\n",
            scrub.entries,
            scrub.log_rows,
            scrub.age_s,
            found(scrub, report.lost.len())
        );
    }
    if !report.peers.is_empty() {
        let head = [
            "PEER",
            "NAMESPACE",
            "OUTCOME",
            "ENTRIES",
            "DIFFER",
            "ON ITS WAY",
            "PUT BACK",
            "IN DOUBT",
        ];
        let rows = report.peers.iter().map(|it| {
            [
                it.peer.clone(),
                it.namespace.clone(),
                word(it.outcome).into(),
                it.entries.to_string(),
                it.differing.to_string(),
                it.explained.to_string(),
                it.mended.to_string(),
                it.suspect.to_string(),
            ]
        });
        out += &table(std::iter::once(head.map(String::from)).chain(rows).collect());
    }
    for peer in report.peers.iter().filter(|peer| !peer.paths.is_empty()) {
        out += &format!("{} of {}, first {}\n", peer.peer, peer.namespace, peer.paths[0]);
        peer.paths.iter().skip(1).for_each(|path| out += &format!("    {path}\n"));
    }
    report.alarms.iter().for_each(|alarm| out += &format!("alarm: {alarm}\n"));
    for lost in &report.lost {
        out += &format!(
            "lost here, and no linked member has given it back: {} in {} ({})\n",
            lost.path, lost.namespace, lost.dot
        );
    }
    out += match (exit(report), report.lost.is_empty()) {
        (Exit::Ok, _) => "all is sound\n",
        (Exit::Diverged, false) => {
            "next: link a member that may have what is lost, and verify again; to give it up, deleting what is \
             lost everywhere: millpond repair --accept-loss COLLECTION/KEY\n"
        }
        (Exit::Diverged, true) => "next: verify again in a minute; then look at the alarms\n",
        _ => "not all was compared: millpond status says who is not linked or behind\n",
    };
    out
}

/// What reading the own store has found, and what became of it.
fn found(scrub: &ScrubReport, still_lost: usize) -> String {
    let parts =
        [(scrub.damaged, "damaged"), (scrub.lost, "lost"), (scrub.unlogged, "missing in the log")];
    let parts: Vec<String> = (parts.iter().filter(|(count, _)| *count > 0))
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    match (parts.is_empty(), still_lost) {
        (true, _) => "all sound".into(),
        (false, 0) => format!("{}; all of it is mended", parts.join(", ")),
        (false, lost) => format!("{}; {lost} still lost, the rest is mended", parts.join(", ")),
    }
}

fn word(outcome: VerifyOutcome) -> &'static str {
    match outcome {
        VerifyOutcome::Equal => "equal",
        VerifyOutcome::Level => "level",
        VerifyOutcome::Mended => "mended",
        VerifyOutcome::Differs => "DIFFERS",
        VerifyOutcome::NotLinked => "not linked",
        VerifyOutcome::Behind => "behind",
        VerifyOutcome::RefreshNeeded => "refresh needed",
        VerifyOutcome::BrokeOff => "broke off",
        _ => "unknown",
    }
}

pub(crate) async fn refresh(args: RefreshArgs, dir: &Path) -> Outcome {
    let what = "cannot refresh";
    let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
    let from = match args.from {
        Some(from) => from,
        None => {
            let status: Status = client.get("/api/v1/status").await.map_err(|it| it.at(what))?;
            let needs = |peer: &&PeerStatus| peer.link.as_ref().is_some_and(|it| it.refresh_needed);
            match status.peers.iter().find(needs) {
                Some(peer) => peer.name.clone(),
                None => {
                    return Err(Failure::new(what)
                        .cause(Cause::Usage)
                        .why("no linked member needs one")
                        .fix("name the member to refresh with all the same: --from PEER"));
                }
            }
        }
    };
    let body = json!({"from": from, "dry_run": args.dry_run});
    let report: RefreshReport =
        client.post("/api/v1/refresh", &body).await.map_err(|error| error.at(what))?;
    if args.json {
        println!("{}", serde_json::to_string(&report).expect("a report has a JSON form"));
        return Ok(Exit::Ok);
    }
    let needed = if report.is_needed { "needed" } else { "not needed" };
    if !report.is_dry {
        println!("refreshed with {from}; it was {needed}");
        return Ok(Exit::Ok);
    }
    println!("a refresh with {from} is {needed}; it would, of what both know by now:");
    let least = if report.is_partial { "at least " } else { "" };
    for (does, side) in [("bring", &report.come), ("take away", &report.go), ("send", &report.stay)]
    {
        println!("  {does} {least}{}", side.count);
        side.paths.iter().for_each(|path| println!("      {path}"));
    }
    Ok(Exit::Ok)
}

pub(crate) async fn repair(args: RepairArgs, dir: &Path) -> Outcome {
    #[derive(Deserialize)]
    struct Repaired {
        deleted: u64,
    }
    let what = "cannot repair";
    let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
    let path: Vec<&str> = match &args.accept_loss[..] {
        "*" => Vec::new(),
        key => key.splitn(2, '/').collect(),
    };
    let answer = client.post("/api/v1/repair", &json!({"accept_loss": path})).await;
    let Repaired { deleted } = answer.map_err(|error| error.at(what))?;
    match args.json {
        true => println!("{}", json!({"deleted": deleted})),
        false if deleted == 0 => {
            println!("nothing is lost there: millpond verify --deep tells what is")
        }
        false => println!("deleted what was lost, here and on every member: {deleted}"),
    }
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(suspect: u64, is_whole: bool) -> VerifyReport {
        let peer = json!({"peer": "paris", "namespace": "main", "outcome": "level", "entries": 7,
            "differing": 2, "explained": 2, "mended": 0, "suspect": suspect, "paths": [], "age_s": 0});
        let report = json!({"is_sound": suspect == 0, "is_whole": is_whole, "peers": [peer],
            "scrub": null, "lost": [], "alarms": []});
        serde_json::from_value(report).unwrap()
    }

    #[test]
    fn the_exit_code_tells_a_script_what_to_think_of_it() {
        assert_eq!(exit(&report(0, true)), Exit::Ok);
        assert_eq!(exit(&report(0, false)), Exit::Degraded);
        assert_eq!(exit(&report(1, true)), Exit::Diverged);
        assert!(render(&report(0, true)).ends_with("all is sound\n"));
    }
}
