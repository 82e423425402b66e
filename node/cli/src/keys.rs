//! `keys`: by which a node proves who it is.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use millpond::status::{KeyState, KeyStatus};
use serde_json::{Value, json};

use crate::client::Client;
use crate::config::Span;
use crate::failure::{Exit, Outcome};

/// The keys by which nodes prove who they are.
#[derive(Debug, Args)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Show this node's keys, and until when old ones are valid
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change this node's key while it runs
    ///
    /// It stays the member that it is. The new key is shown once all members know it; when the overlap is over as well, the
    /// old one is refused.
    Rotate {
        /// For how long the old key stays valid: 90s, 2h, 1d; 0s if it was stolen
        /// [default: `key_overlap` under [replication], or a day]
        #[arg(long, value_name = "TIME")]
        overlap: Option<Span>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Have an old key refused now, before its overlap is over: this node's own, or, at an admin's node, any member's
    Revoke {
        /// The key, all 64 digits
        key: String,
    },
}

pub(crate) async fn keys(args: KeysArgs, dir: &Path) -> Outcome {
    match args.command {
        KeysCommand::Show { json } => show(dir, json).await,
        KeysCommand::Rotate { overlap, json } => rotate(dir, overlap, json).await,
        KeysCommand::Revoke { key } => {
            let what = "cannot revoke the key";
            let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
            let revoked = client.post::<Value>("/api/v1/keys/revoke", &json!({"key": key})).await;
            revoked.map_err(|error| error.at(what))?;
            println!("revoked: {key}");
            Ok(Exit::Ok)
        }
    }
}

async fn show(dir: &Path, is_json: bool) -> Outcome {
    let what = "cannot ask the node";
    let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
    let found: Value = client.get("/api/v1/keys").await.map_err(|error| error.at(what))?;
    if is_json {
        println!("{found}");
        return Ok(Exit::Ok);
    }
    let keys: Vec<KeyStatus> = serde_json::from_value(found["keys"].clone()).unwrap_or_default();
    println!("known by  {}", found["key"].as_str().unwrap_or_default());
    println!("in one line, for others to pin: {}", certificate(&found));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    keys.iter().for_each(|key| println!("{}", line(key, now)));
    Ok(Exit::Ok)
}

/// What others write as `partner_cert`.
pub(crate) async fn show_certificate(dir: &Path) -> Outcome {
    let what = "cannot ask the node";
    let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
    let found: Value = client.get("/api/v1/keys").await.map_err(|error| error.at(what))?;
    println!("{}", certificate(&found));
    Ok(Exit::Ok)
}

fn certificate(found: &Value) -> &str {
    found["certificate"].as_str().unwrap_or_default()
}

pub(crate) async fn rotate(dir: &Path, overlap: Option<Span>, is_json: bool) -> Outcome {
    let what = "cannot change the key";
    let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
    let overlap_ms = overlap.map(|Span(overlap)| overlap.as_millis() as u64);
    let body = json!({"overlap_ms": overlap_ms});
    let rotated: Value =
        client.post("/api/v1/keys/rotate", &body).await.map_err(|error| error.at(what))?;
    match rotated["next"].as_str() {
        Some(next) if !is_json => println!(
            "next key: {next}\n\
             it is shown once all members know it; until then, and while the two overlap, the old one is valid\n\
             see: millpond keys show"
        ),
        _ => println!("{rotated}"),
    }
    Ok(Exit::Ok)
}

fn line(key: &KeyStatus, now: Duration) -> String {
    let what = match key.state {
        KeyState::Next => "next",
        KeyState::Shown => "shown",
        KeyState::Old => "old",
        _ => "other",
    };
    let left = key.until_ms.map(|until_ms| Duration::from_millis(until_ms).saturating_sub(now));
    let left = left.map(|left| format!("  valid for {}s more", left.as_secs())).unwrap_or_default();
    format!("{what:<8}  {}{left}", key.key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_line_with_what_is_left_of_it() {
        let status = |state: &str, until: Value| {
            let status = json!({"key": "ab", "state": state, "until_ms": until});
            serde_json::from_value::<KeyStatus>(status).unwrap()
        };
        let now = Duration::from_secs(100);
        assert_eq!(line(&status("old", json!(160_000)), now), "old       ab  valid for 60s more");
        assert_eq!(line(&status("shown", Value::Null), now), "shown     ab");
        assert_eq!(line(&status("next", Value::Null), now), "next      ab");
    }
}
