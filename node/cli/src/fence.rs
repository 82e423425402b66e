//! `fence`: why a node takes no writes, and how it goes on.

use std::path::Path;

use clap::{Args, Subcommand};
use millpond::status::Status;
use serde_json::{Value, json};

use crate::client::Client;
use crate::failure::{Exit, Outcome};

/// A node that takes no writes, since its key or its history is alive elsewhere.
#[derive(Debug, Args)]
pub(crate) struct FenceArgs {
    #[command(subcommand)]
    command: FenceCommand,
}

#[derive(Debug, Subcommand)]
enum FenceCommand {
    /// Whether this node is fenced, why, and what to do
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let this node write again, once the other node with its key is stopped
    Release,
}

pub(crate) async fn fence(args: FenceArgs, dir: &Path) -> Outcome {
    match args.command {
        FenceCommand::Status { json } => tell(dir, json).await,
        FenceCommand::Release => {
            let what = "cannot release this node";
            let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
            let released = client.post::<Value>("/api/v1/fence/release", &json!({})).await;
            released.map_err(|error| error.at(what))?;
            println!(
                "released: this node takes writes again, and links with the others within half a minute\n\
                 if the other node with its key still lives, both are fenced again: stop that one first"
            );
            Ok(Exit::Ok)
        }
    }
}

async fn tell(dir: &Path, is_json: bool) -> Outcome {
    let what = "cannot ask the node";
    let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
    let status: Status = client.get("/api/v1/status").await.map_err(|error| error.at(what))?;
    let why = status.node.fenced;
    if is_json {
        println!("{}", json!({"fenced": why}));
        return Ok(Exit::Ok);
    }
    match why {
        None => println!("not fenced: {} takes writes", status.node.name),
        Some(why) => print!("{}", story(&status.node.name, &why, dir)),
    }
    Ok(Exit::Ok)
}

fn story(name: &str, why: &str, dir: &Path) -> String {
    format!(
        "fenced: {name} takes no writes, and goes on reading\n  \
         why:  {why}\n  \
         lost: nothing; what either of the two nodes has acknowledged is in its folder\n  \
         do:   1. choose which of the two stays, and stop the other one\n        \
         2. on the one that stays: millpond fence release --dir {dir}\n        \
         3. the other one may hold writes that nobody else has. A member of its own, with all of them:\n           \
         millpond clone \"$(millpond invite --dir {dir})\" --from OTHER-FOLDER --data NEW-FOLDER\n",
        dir = dir.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_told_why_what_is_lost_and_what_to_do() {
        let story = story("paris-1", "two live nodes hold its key", Path::new("./a"));
        let lines: Vec<&str> = story.lines().map(str::trim_start).collect();
        assert_eq!(lines[0], "fenced: paris-1 takes no writes, and goes on reading");
        assert_eq!(lines[1], "why:  two live nodes hold its key");
        assert!(lines[2].starts_with("lost: nothing"));
        assert_eq!(lines[4], "2. on the one that stays: millpond fence release --dir ./a");
        assert!(lines[6].contains("--from OTHER-FOLDER --data NEW-FOLDER"));
    }
}
