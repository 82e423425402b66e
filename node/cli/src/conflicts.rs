//! `conflicts`: which values a field has, which one it is to have, and why it shows the one that it shows.

use std::path::Path;

use clap::{Args, Subcommand};
use hyper::Method;
use millpond::ResolveError;
use millpond::records::{Json, RecordId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::{Client, Outgoing, segment};
use crate::failure::{Exit, Failure, Outcome};
use crate::watch;

/// List fields that several nodes wrote at once, and end such conflicts.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ConflictsArgs {
    #[command(subcommand)]
    command: Option<ConflictsCommand>,
    #[command(flatten)]
    list: ListArgs,
}

/// Which to list.
#[derive(Debug, Args)]
struct ListArgs {
    /// Only of this collection
    collection: Option<String>,
    /// Go on with what becomes of them: new ones, further values, ends
    #[arg(long)]
    follow: bool,
    /// With --follow: begin after this token, from an earlier one
    #[arg(long, value_name = "TOKEN", requires = "follow")]
    from: Option<String>,
    /// Print JSON; with --follow a line for each event, and one with the token where a follower goes on
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum ConflictsCommand {
    /// List them
    Ls(ListArgs),
    /// Show the values of one, as `millpond explain` does
    Show(PlaceArgs),
    /// End one: with one of its values, or with another
    Resolve {
        /// collection/key
        record: RecordId,
        /// The field; contact/phone lies in contact
        field: String,
        /// Keep the value of this number, as `conflicts show` counts them
        #[arg(long, required_unless_present = "set", conflicts_with = "set")]
        keep: Option<usize>,
        /// Write this JSON value
        #[arg(long, value_parser = Json::parse)]
        set: Option<Json>,
        /// What the decision is about, as `conflicts show` prints it: nothing is ended that has changed since
        #[arg(long)]
        seen: String,
    },
    /// Take back what last ended one, on whatever node: its values are in conflict again
    Undo {
        /// collection/key
        record: RecordId,
        /// The field; contact/phone lies in contact
        field: String,
    },
}

/// A field.
#[derive(Debug, Args)]
pub(crate) struct PlaceArgs {
    /// collection/key
    pub(crate) record: RecordId,
    /// The field; contact/phone lies in contact
    pub(crate) field: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Deserialize, Serialize)]
struct Conflicts {
    conflicts: Vec<Conflict>,
}

#[derive(Deserialize, Serialize)]
struct Conflict {
    collection: String,
    key: String,
    field: String,
    kind: String,
    clash: bool,
    candidates: Vec<Candidate>,
    seen: Vec<String>,
}

#[derive(Deserialize, Serialize)]
struct Explanation {
    value: Json,
    kind: String,
    rule: String,
    candidates: Vec<Candidate>,
    seen: Vec<String>,
}

#[derive(Deserialize, Serialize)]
struct Candidate {
    value: Json,
    kind: String,
    at: String,
    author: String,
    dot: String,
    writer: Option<String>,
    seen_by: Vec<String>,
}

/// Which value a field is to have: one of these, or another.
#[derive(Serialize)]
struct Resolution<'a> {
    collection: &'a str,
    key: &'a str,
    field: &'a str,
    seen: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    keep: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Json>,
}

pub(crate) async fn conflicts(args: ConflictsArgs, dir: &Path) -> Outcome {
    match args.command.unwrap_or(ConflictsCommand::Ls(args.list)) {
        ConflictsCommand::Ls(args) if args.follow => follow(args, dir).await,
        ConflictsCommand::Ls(args) => list(args.collection, args.json, dir).await,
        ConflictsCommand::Show(args) => show(&args, dir).await,
        ConflictsCommand::Resolve { record, field, keep, set, seen } => {
            resolve(&record, &field, (keep, set), &seen, dir).await
        }
        ConflictsCommand::Undo { record, field } => undo(&record, &field, dir).await,
    }
}

/// Why a field shows what it shows.
pub(crate) async fn show(args: &PlaceArgs, dir: &Path) -> Outcome {
    let explained = explanation(&args.record, &args.field, dir).await?;
    if args.json {
        println!("{}", as_json(&explained));
        return Ok(Exit::Ok);
    }
    println!("{}   ({})", explained.value.text(), explained.kind);
    println!("{}", explained.rule);
    print_candidates(&explained.candidates);
    if explained.candidates.len() > 1 {
        let PlaceArgs { record, field, .. } = args;
        let seen = tag(&explained.seen);
        println!("next: millpond conflicts resolve {record} {field} --seen {seen} --keep NUMBER");
    }
    Ok(Exit::Ok)
}

async fn list(collection: Option<String>, is_json: bool, dir: &Path) -> Outcome {
    let what = "cannot list conflicts";
    let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
    let mut path = String::from("/api/v1/conflicts");
    if let Some(collection) = &collection {
        path += &format!("?collection={}", segment(collection));
    }
    let found: Conflicts = client.get(&path).await.map_err(|error| error.at(what))?;
    if is_json {
        println!("{}", as_json(&found));
        return Ok(Exit::Ok);
    }
    for conflict in &found.conflicts {
        print_conflict(conflict);
    }
    if found.conflicts.is_empty() {
        println!("no conflicts");
    }
    Ok(Exit::Ok)
}

async fn follow(args: ListArgs, dir: &Path) -> Outcome {
    /// What became of a conflict, a cut, or a new beginning.
    #[derive(Deserialize)]
    struct Event {
        #[serde(rename = "type")]
        kind: String,
    }
    #[derive(Deserialize)]
    struct Ended {
        collection: String,
        key: String,
        field: String,
    }
    let mut path = String::from("/api/v1/conflicts/changes?");
    if let Some(collection) = &args.collection {
        path += &format!("collection={}", segment(collection));
    }
    let print = |data: &str, event: &Event| {
        if args.json {
            println!("{data}");
            return Ok(false);
        }
        match event.kind.as_str() {
            "conflict" => print_conflict(&serde_json::from_str(data)?),
            "ended" => {
                let Ended { collection, key, field } = serde_json::from_str(data)?;
                println!("- {collection}/{key}  {field}");
            }
            "resync" => println!("= what follows is all that there is"),
            _ => {}
        }
        Ok(false)
    };
    watch::follow(dir, "cannot follow conflicts", &path, args.from.clone(), print).await
}

fn print_conflict(conflict: &Conflict) {
    println!("{}/{}  {}", conflict.collection, conflict.key, conflict.field);
    print_candidates(&conflict.candidates);
}

async fn resolve(
    record: &RecordId,
    field: &str,
    (keep, set): (Option<usize>, Option<Json>),
    seen: &str,
    dir: &Path,
) -> Outcome {
    let what = "cannot end the conflict";
    let explained = explanation(record, field, dir).await?;
    if tag(&explained.seen) != seen {
        return Err(Failure::new(what)
            .code(ResolveError::Changed.code())
            .why(format!("{record} {field} has other values than those seen as {seen}"))
            .fix(format!("millpond conflicts show {record} {field}, and decide again")));
    }
    let candidates = &explained.candidates;
    let keep = match keep {
        Some(number) => {
            Some(candidates.get(number).map(|it| it.dot.as_str()).ok_or_else(|| {
                let error = ResolveError::NoCandidate { index: number, count: candidates.len() };
                Failure::new(what).why(&error).code(error.code())
            })?)
        }
        None => None,
    };
    let (collection, key) = (record.collection(), record.key());
    let body = Resolution { collection, key, field, seen: &explained.seen, keep, value: set };
    let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
    let body = Outgoing::text(as_json(&body));
    let sent = client.send(Method::POST, "/api/v1/conflicts/resolve", &[], body).await;
    sent.map_err(|error| error.at(what))?;
    println!("ended the conflict of {record} {field}");
    println!("undo: millpond conflicts undo {record} {field}");
    Ok(Exit::Ok)
}

async fn undo(record: &RecordId, field: &str, dir: &Path) -> Outcome {
    let what = "cannot undo the decision";
    let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
    let body = json!({"collection": record.collection(), "key": record.key(), "field": field});
    let undone: Result<Value, _> = client.post("/api/v1/conflicts/undo", &body).await;
    undone.map_err(|error| error.at(what))?;
    println!("the values of {record} {field} are in conflict again");
    println!("next: millpond conflicts show {record} {field}");
    Ok(Exit::Ok)
}

async fn explanation(record: &RecordId, field: &str, dir: &Path) -> Result<Explanation, Failure> {
    let what = "cannot explain";
    let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
    let (collection, key) = (segment(record.collection()), segment(record.key()));
    let path = format!("/api/v1/explain/{collection}/{key}/{}", segment(field));
    client.get(&path).await.map_err(|error| error.at(what))
}

/// Values keep the digits that they were written with.
fn as_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts and numbers always serialize")
}

/// Stands for these very values, however they are ordered.
fn tag(seen: &[String]) -> String {
    let mut dots: Vec<&str> = seen.iter().map(String::as_str).collect();
    dots.sort_unstable();
    blake3::hash(dots.join(" ").as_bytes()).to_hex().chars().take(8).collect()
}

fn print_candidates(candidates: &[Candidate]) {
    let are_alike = candidates.iter().all(|it| it.kind == candidates[0].kind);
    for (number, candidate) in candidates.iter().enumerate() {
        let author: String = candidate.author.chars().take(8).collect();
        let writer = candidate.writer.as_deref().unwrap_or(&author);
        let (value, held) = (candidate.value.text(), candidate.seen_by.len());
        let at = &candidate.at;
        let kind = if are_alike { String::new() } else { format!(" ({})", candidate.kind) };
        println!("  {number}  {value}{kind}  by {writer} at {at}, on disk at {held} other members");
    }
}
