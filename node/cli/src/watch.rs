//! `watch`: changes as they come.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use hyper::Method;
use millpond::records::Json;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::client::{Client, ClientError, Outgoing, segment};
use crate::data::LineReader;
use crate::failure::{Exit, Outcome};

/// Follow what changes. After a lost connection it goes on where it was, without a gap.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// COLLECTION, or COLLECTION/PREFIX; without it everything
    collection: Option<String>,
    /// Begin after this token, from an earlier watch or a receipt; 1 begins with all records
    #[arg(long, value_name = "TOKEN")]
    from: Option<String>,
    /// Stop when all changes so far have been shown
    #[arg(long)]
    once: bool,
    /// Print JSON: a line for each change, and one with the token after each cut
    #[arg(long)]
    json: bool,
}

pub(crate) async fn watch(args: WatchArgs, dir: &Path) -> Outcome {
    let mut path = String::from("/api/v1/changes?");
    if let Some(filter) = &args.collection {
        let (collection, prefix) = filter.split_once('/').unwrap_or((filter, ""));
        path += &format!("collection={}&prefix={}", segment(collection), segment(prefix));
    }
    let print = |data: &str, event: &Event| {
        print(data, event, args.json)?;
        Ok(event.kind == "cut" && args.once)
    };
    follow(dir, "cannot watch", &path, args.from.clone(), print).await
}

/// Follows a stream of events, with the token of its last cut again after each lost connection, until `print` says that
/// it is enough.
pub(crate) async fn follow<E: DeserializeOwned>(
    dir: &Path,
    what: &str,
    path: &str,
    from: Option<String>,
    print: impl FnMut(&str, &E) -> std::io::Result<bool>,
) -> Outcome {
    let mut watcher = Watcher { dir, path, token: from.clone(), from, print };
    loop {
        match watcher.follow().await {
            Ok(()) => return Ok(Exit::Ok),
            // Only a token that came from the node lets it go on without a gap.
            Err(Stopped::Lost(error)) if watcher.token.is_none() => return Err(error.at(what)),
            Err(Stopped::Lost(ClientError::Refused(refusal))) => {
                return Err(ClientError::Refused(refusal).at(what));
            }
            Err(Stopped::Lost(error)) if watcher.token == watcher.from => {
                return Err(error.at(what)); // it has not sent anything yet
            }
            Err(Stopped::Lost(_)) => {
                eprintln!("connection lost; trying again");
                tokio::time::sleep(RETRY).await;
            }
            Err(Stopped::Output(error)) => return Err(error.into()),
        }
    }
}

struct Watcher<'a, P> {
    dir: &'a Path,
    path: &'a str,
    token: Option<String>,
    from: Option<String>,
    print: P,
}

enum Stopped {
    /// The connection, or the node.
    Lost(ClientError),
    /// Nobody reads what is printed.
    Output(std::io::Error),
}

impl From<ClientError> for Stopped {
    fn from(error: ClientError) -> Self {
        Self::Lost(error)
    }
}

impl<P> Watcher<'_, P> {
    async fn follow<E: DeserializeOwned>(&mut self) -> Result<(), Stopped>
    where
        P: FnMut(&str, &E) -> std::io::Result<bool>,
    {
        let client = Client::of_dir(self.dir)?;
        let headers: Vec<(&'static str, &str)> =
            self.token.iter().map(|token| ("last-event-id", token.as_str())).collect();
        let answer = client.send(Method::GET, self.path, &headers, Outgoing::empty()).await?;
        let mut lines = LineReader::new(answer);
        while let Some(line) = lines.next().await? {
            if let Some(token) = line.strip_prefix("id: ") {
                self.token = Some(token.to_owned());
            }
            let Some(data) = line.strip_prefix("data: ") else { continue };
            let event: E = serde_json::from_str(data).map_err(|error| {
                ClientError::Broken(format!("the answer is not as expected: {error}"))
            })?;
            if (self.print)(data, &event).map_err(Stopped::Output)? {
                return Ok(());
            }
        }
        Err(ClientError::Broken("the node ended the stream".into()).into())
    }
}

fn print(data: &str, event: &Event, is_json: bool) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if is_json {
        writeln!(out, "{data}")?;
        return out.flush();
    }
    match &event.fields {
        _ if event.kind == "resync" => {
            writeln!(out, "= deletes since then are forgotten: what follows is all that there is")?;
        }
        _ if event.kind != "change" => {}
        Some(fields) => {
            writeln!(out, "+ {}/{}  {}", event.collection, event.key, fields.text())?;
        }
        None => writeln!(out, "- {}/{}", event.collection, event.key)?,
    }
    out.flush()
}

/// A change, a cut, or a new beginning.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    collection: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    fields: Option<Json>,
}

/// A restart of the node takes about so long.
const RETRY: Duration = Duration::from_millis(500);
