//! `promote`: who alone takes writes.

use std::path::Path;

use clap::Args;
use serde_json::{Value, json};

use crate::client::Client;
use crate::failure::{Exit, Outcome};

/// Make a member the primary.
#[derive(Debug, Args)]
pub(crate) struct PromoteArgs {
    /// Its name or key [default: this node]
    #[arg(conflicts_with = "everybody")]
    node: Option<String>,
    /// End primary and backup: every writer writes
    #[arg(long)]
    everybody: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn promote(args: PromoteArgs, dir: &Path) -> Outcome {
    let what = "cannot promote";
    let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
    let body = json!({"node": args.node, "everybody": args.everybody});
    let promoted: Value =
        client.post("/api/v1/promote", &body).await.map_err(|error| error.at(what))?;
    match promoted["primary"].as_str() {
        _ if args.json => println!("{promoted}"),
        Some(name) => println!("{name} is the primary now; the other members are its backups"),
        None => println!("every writer writes now"),
    }
    Ok(Exit::Ok)
}
