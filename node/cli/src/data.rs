//! `get`, `put`, `rm`, `ls` and `count`: records.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;

use clap::Args;
use hyper::Method;
use millpond::records::{Document, Json, RecordId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::client::{Answer, Client, ClientError, Outgoing, segment};
use crate::concern::{ConcernArgs, Receipt};
use crate::failure::{Cause, Exit, Failure, Outcome};

/// Show a record.
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// COLLECTION/KEY
    record: RecordId,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// With --json: also who wrote what when, and all values of fields in conflict
    #[arg(long, requires = "json")]
    meta: bool,
}

pub(crate) async fn get(args: GetArgs, dir: &Path) -> Outcome {
    let what = || format!("cannot show {}", args.record);
    let client = Client::of_dir(dir).map_err(|error| error.at(what()))?;
    let meta = args.meta || !args.json;
    let path = format!("{}{}", record_path(&args.record), if meta { "?meta=1" } else { "" });
    let answer = client.send(Method::GET, &path, &[], Outgoing::empty()).await;
    let text = text(answer).await.map_err(|error| error.at(what()))?;
    if args.json {
        println!("{text}");
        return Ok(Exit::Ok);
    }
    let meta: RecordMeta = parse(&text, &what())?;
    print_record(&meta, &mut std::io::stdout().lock())?;
    Ok(Exit::Ok)
}

/// Write a record.
#[derive(Debug, Args)]
pub(crate) struct PutArgs {
    /// COLLECTION/KEY
    record: RecordId,
    /// The fields as a JSON object; `-` reads it from standard input
    fields: String,
    /// Change only the named fields; null deletes one
    #[arg(long)]
    merge: bool,
    /// Only if the record is at this version (`millpond get --json --meta`), or `absent`
    #[arg(long, value_name = "VERSION")]
    if_version: Option<String>,
    #[command(flatten)]
    concern: ConcernArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn put(args: PutArgs, dir: &Path) -> Outcome {
    let what = || format!("cannot write {}", args.record);
    let fields = match args.fields.as_str() {
        "-" => {
            let mut text = String::new();
            let read = std::io::stdin().lock().read_to_string(&mut text);
            read.map_err(|error| Failure::new(what()).why(error).cause(Cause::System))?;
            text
        }
        text => text.to_owned(),
    };
    Document::parse(&fields).map_err(|error| {
        let fix = r#"give the fields as a JSON object: '{"title":"Buy milk","done":false}'"#;
        Failure::new(what()).why(&error).code(error.code()).fix(fix)
    })?;
    let client = Client::of_dir(dir).map_err(|error| error.at(what()))?;
    let method = if args.merge { Method::PATCH } else { Method::PUT };
    let etag = args.if_version.as_ref().map(|version| format!("\"{version}\""));
    let condition: &[(&'static str, &str)] = match etag.as_deref() {
        None => &[],
        Some("\"absent\"") => &[("if-none-match", "*")],
        Some(etag) => &[("if-match", etag)],
    };
    let body = Outgoing::text(fields);
    let path = format!("{}{}", record_path(&args.record), args.concern.query());
    let answer = client.send(method, &path, condition, body).await;
    let text = text(answer).await.map_err(|error| error.at(what()))?;
    let written: Written = parse(&text, &what())?;
    match args.json {
        true => println!("{text}"),
        false if written.created => println!("created {}", args.record),
        false => println!("updated {}", args.record),
    }
    Ok(written.receipt.report(args.json))
}

#[derive(Deserialize)]
struct Written {
    created: bool,
    receipt: Receipt,
}

/// Delete a record.
#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// COLLECTION/KEY
    record: RecordId,
    #[command(flatten)]
    concern: ConcernArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn rm(args: RmArgs, dir: &Path) -> Outcome {
    let what = || format!("cannot delete {}", args.record);
    let client = Client::of_dir(dir).map_err(|error| error.at(what()))?;
    let path = format!("{}{}", record_path(&args.record), args.concern.query());
    let answer = client.send(Method::DELETE, &path, &[], Outgoing::empty()).await;
    let text = text(answer).await.map_err(|error| error.at(what()))?;
    let deleted: Written = parse(&text, &what())?;
    match args.json {
        true => println!("{text}"),
        false => println!("deleted {}", args.record),
    }
    Ok(deleted.receipt.report(args.json))
}

/// List collections or records.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// COLLECTION, or COLLECTION/PREFIX; without it the collections
    collection: Option<String>,
    /// Only keys beyond this one
    #[arg(long, requires = "collection")]
    after: Option<String>,
    /// At most so many records
    #[arg(long, requires = "collection")]
    limit: Option<u64>,
    /// Print JSON: an object for the collections, a line for each record
    #[arg(long)]
    json: bool,
}

pub(crate) async fn ls(args: LsArgs, dir: &Path) -> Outcome {
    let what = "cannot list";
    let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
    let Some(collection) = &args.collection else {
        let found: Value = client.get("/api/v1/c").await.map_err(|error| error.at(what))?;
        if args.json {
            println!("{found}");
            return Ok(Exit::Ok);
        }
        for collection in found["collections"].as_array().into_iter().flatten() {
            let name = collection["collection"].as_str().unwrap_or_default();
            println!("{:>10}  {name}", collection["records"].as_u64().unwrap_or_default());
        }
        return Ok(Exit::Ok);
    };
    let (collection, prefix) = collection.split_once('/').unwrap_or((collection, ""));
    let mut path = format!("/api/v1/c/{}?prefix={}", segment(collection), segment(prefix));
    if let Some(after) = &args.after {
        path.push_str(&format!("&after={}", segment(after)));
    }
    if let Some(limit) = args.limit {
        path.push_str(&format!("&limit={limit}"));
    }
    let accept = [("accept", "application/jsonl")];
    let answer = client.send(Method::GET, &path, &accept, Outgoing::empty()).await;
    let mut lines = LineReader::new(answer.map_err(|error| error.at(what))?);
    let mut out = std::io::stdout().lock();
    while let Some(line) = lines.next().await.map_err(|error| error.at(what))? {
        if args.json {
            writeln!(out, "{line}")?;
            continue;
        }
        let record: RecordLine = serde_json::from_str(&line).map_err(|error| {
            Failure::new(what)
                .why(format!("the answer is not as expected: {error}"))
                .cause(Cause::Answer)
        })?;
        writeln!(out, "{}  {}", record.key, record.fields.get())?;
    }
    Ok(Exit::Ok)
}

#[derive(Deserialize)]
struct RecordLine<'a> {
    key: String,
    #[serde(borrow)]
    fields: &'a serde_json::value::RawValue,
}

/// Add to a counter, or read it.
#[derive(Debug, Args)]
pub(crate) struct CountArgs {
    /// COLLECTION/KEY
    record: RecordId,
    /// The counter's field
    field: String,
    /// What to add, below zero too; without it the counter is read
    #[arg(allow_negative_numbers = true)]
    delta: Option<i64>,
    #[command(flatten)]
    concern: ConcernArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn count(args: CountArgs, dir: &Path) -> Outcome {
    let what = || format!("cannot count in {}", args.record);
    let client = Client::of_dir(dir).map_err(|error| error.at(what()))?;
    let path = record_path(&args.record);
    let mut receipt = None;
    let value = match args.delta {
        Some(delta) => {
            let body = json!({"field": args.field, "delta": delta});
            let counted: Counted = client
                .post(&format!("{path}/count{}", args.concern.query()), &body)
                .await
                .map_err(|error| error.at(what()))?;
            receipt = Some(counted.receipt);
            counted.value
        }
        None => {
            let mut meta: RecordMeta =
                client.get(&format!("{path}?meta=1")).await.map_err(|error| error.at(what()))?;
            let is_counter = |written: &FieldWritten| written.kind == "counter";
            let counter = meta.written.get(&args.field).is_some_and(is_counter);
            meta.fields.remove(&args.field).filter(|_| counter).ok_or_else(|| {
                Failure::new(what())
                    .cause(Cause::Usage)
                    .why(format!("field `{}` is no counter", args.field))
                    .fix(format!("begin one: millpond count {} {} 1", args.record, args.field))
            })?
        }
    };
    match args.json {
        true => println!("{{\"value\":{}}}", value.text()),
        false => println!("{}", value.text()),
    }
    Ok(receipt.map_or(Exit::Ok, |receipt| receipt.report(true)))
}

#[derive(Deserialize)]
struct Counted {
    value: Json,
    receipt: Receipt,
}

/// The route of a record.
pub(crate) fn record_path(record: &RecordId) -> String {
    format!("/api/v1/c/{}/{}", segment(record.collection()), segment(record.key()))
}

/// Lines of an answer as they come.
pub(crate) struct LineReader {
    answer: Answer,
    buffer: Vec<u8>,
    /// Where the next line begins.
    start: usize,
}

impl LineReader {
    pub fn new(answer: Answer) -> Self {
        Self { answer, buffer: Vec::new(), start: 0 }
    }

    /// The next line without its line feed; `None` at the end of a whole answer.
    pub async fn next(&mut self) -> Result<Option<String>, ClientError> {
        loop {
            let rest = &self.buffer[self.start..];
            if let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
                let line = String::from_utf8_lossy(&rest[..end]).into_owned();
                self.start += end + 1;
                return Ok(Some(line));
            }
            self.buffer.drain(..self.start);
            self.start = 0;
            match self.answer.chunk().await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }
}

async fn text(answer: Result<Answer, ClientError>) -> Result<String, ClientError> {
    answer?.text().await
}

fn parse<T: DeserializeOwned>(text: &str, what: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| {
        Failure::new(what)
            .why(format!("the answer is not as expected: {error}"))
            .cause(Cause::Answer)
    })
}

/// A record with who wrote what when. Values keep the digits that they were written with.
#[derive(Deserialize)]
struct RecordMeta {
    fields: BTreeMap<String, Json>,
    written: BTreeMap<String, FieldWritten>,
    conflicts: BTreeMap<String, Vec<Version>>,
}

#[derive(Deserialize)]
struct FieldWritten {
    kind: String,
}

#[derive(Deserialize)]
struct Version {
    value: Json,
    author: String,
    at: String,
}

/// A line for each field, and below it the values that compete for it.
fn print_record(meta: &RecordMeta, out: &mut impl Write) -> std::io::Result<()> {
    let width = meta.fields.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    for (name, value) in &meta.fields {
        let note = match meta.written.get(name) {
            Some(FieldWritten { kind }) if kind != "plain" => format!("   ({kind})"),
            _ => String::new(),
        };
        writeln!(out, "{name:width$}  {}{note}", value.text())?;
        for (index, version) in meta.conflicts.get(name).into_iter().flatten().enumerate() {
            let author: String = version.author.chars().take(8).collect();
            let shown = if index == 0 { "   <- shown" } else { "" };
            let (value, at) = (version.value.text(), &version.at);
            writeln!(out, "{:width$}    concurrent: {value}  by {author} at {at}{shown}", "")?;
        }
    }
    if meta.fields.is_empty() {
        writeln!(out, "(a record without fields)")?;
    }
    Ok(())
}
