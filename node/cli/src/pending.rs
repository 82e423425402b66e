//! `peers pending | approve | deny`: who came with an invite and waits until an admin lets it in.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use millpond::PendingMember;
use serde_json::{Value, json};

use crate::client::Client;
use crate::failure::{Exit, Outcome};
use crate::status::{age_text, first_digits, table};

#[derive(Debug, Subcommand)]
pub(crate) enum PendingCommand {
    /// Who came with an invite of this node's that needs approval, with the three words that it shows too
    Pending {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let a node in that waits, once its three words are the same at both ends
    ///
    /// Have them read out by telephone, or look at both screens: whoever has got hold of the invite shows others.
    Approve(WhoArgs),
    /// Refuse a node that waits; the invite is not used up by it
    Deny(WhoArgs),
}

#[derive(Debug, Args)]
pub(crate) struct WhoArgs {
    /// Its three words, or its key or the first 8 digits of that
    #[arg(required = true, num_args = 1..=3)]
    who: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(command: PendingCommand, dir: &Path) -> Outcome {
    match command {
        PendingCommand::Pending { json } => list(json, dir).await,
        PendingCommand::Approve(args) => decide(args, "approve", dir).await,
        PendingCommand::Deny(args) => decide(args, "deny", dir).await,
    }
}

async fn list(json: bool, dir: &Path) -> Outcome {
    let what = "cannot tell who waits";
    let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
    let found: Value = client.get("/api/v1/peers/pending").await.map_err(|error| error.at(what))?;
    if json {
        println!("{found}");
        return Ok(Exit::Ok);
    }
    let pending: Vec<PendingMember> =
        serde_json::from_value(found["pending"].clone()).unwrap_or_default();
    match pending.is_empty() {
        true => println!("nobody waits to be approved"),
        false => print!("{}", pending_table(&pending)),
    }
    Ok(Exit::Ok)
}

async fn decide(args: WhoArgs, verb: &str, dir: &Path) -> Outcome {
    let who = args.who.join("-");
    let what = format!("cannot {verb} {who}");
    let client = Client::of_dir(dir).map_err(|error| error.at(&what))?;
    let path = format!("/api/v1/peers/{verb}");
    let decided: PendingMember =
        client.post(&path, &json!({"peer": who})).await.map_err(|error| error.at(&what))?;
    if args.json {
        println!("{}", json!(decided));
        return Ok(Exit::Ok);
    }
    let PendingMember { name, role, .. } = &decided;
    let key = first_digits(&decided.key);
    match verb {
        "approve" => println!("approved {name} ({key}): it is a {role} some seconds from now"),
        _ => println!("denied {name} ({key}): it does not come in by that invite"),
    }
    Ok(Exit::Ok)
}

/// Who waits, since when, and by which words.
pub(crate) fn pending_table(pending: &[PendingMember]) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let head = ["WAITS", "KEY", "ROLE", "SINCE", "WORDS"].map(String::from);
    let rows = pending.iter().map(|it| {
        let since_s = (now.as_millis() as u64).saturating_sub(it.since_ms) as f64 / 1000.0;
        let since = format!("{} ago", age_text(since_s));
        let role = it.role.to_string();
        [it.name.clone(), first_digits(&it.key), role, since, it.words.replace('-', " ")]
    });
    table(std::iter::once(head).chain(rows).collect())
}
