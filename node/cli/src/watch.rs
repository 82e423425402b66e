//! `watch`: changes as they come.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use hyper::Method;
use millpond::records::Json;
use serde::Deserialize;

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
    let what = "cannot watch";
    let mut watcher = Watcher { token: args.from.clone(), args, dir };
    loop {
        match watcher.follow().await {
            Ok(()) => return Ok(Exit::Ok),
            // Only a token that came from the node lets it go on without a gap.
            Err(Stopped::Lost(error)) if watcher.token.is_none() => return Err(error.at(what)),
            Err(Stopped::Lost(ClientError::Refused(refusal))) => {
                return Err(ClientError::Refused(refusal).at(what));
            }
            Err(Stopped::Lost(error)) if !watcher.began() => return Err(error.at(what)),
            Err(Stopped::Lost(_)) => {
                eprintln!("connection lost; trying again");
                tokio::time::sleep(RETRY).await;
            }
            Err(Stopped::Output(error)) => return Err(error.into()),
        }
    }
}

struct Watcher<'a> {
    args: WatchArgs,
    dir: &'a Path,
    token: Option<String>,
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

impl Watcher<'_> {
    /// Whether the node has sent anything yet.
    fn began(&self) -> bool {
        self.token != self.args.from
    }

    async fn follow(&mut self) -> Result<(), Stopped> {
        let client = Client::of_dir(self.dir)?;
        let answer =
            client.send(Method::GET, &self.path(), &self.headers(), Outgoing::empty()).await?;
        let mut lines = LineReader::new(answer);
        while let Some(line) = lines.next().await? {
            if let Some(token) = line.strip_prefix("id: ") {
                self.token = Some(token.to_owned());
            }
            let Some(data) = line.strip_prefix("data: ") else { continue };
            let event: Event = serde_json::from_str(data).map_err(|error| {
                ClientError::Broken(format!("the answer is not as expected: {error}"))
            })?;
            let is_cut = event.kind == "cut";
            self.print(data, &event).map_err(Stopped::Output)?;
            if is_cut && self.args.once {
                return Ok(());
            }
        }
        Err(ClientError::Broken("the node ended the stream".into()).into())
    }

    fn path(&self) -> String {
        let mut path = String::from("/api/v1/changes?");
        if let Some(filter) = &self.args.collection {
            let (collection, prefix) = filter.split_once('/').unwrap_or((filter, ""));
            path += &format!("collection={}&prefix={}", segment(collection), segment(prefix));
        }
        path
    }

    fn headers(&self) -> Vec<(&'static str, &str)> {
        self.token.iter().map(|token| ("last-event-id", token.as_str())).collect()
    }

    fn print(&self, data: &str, event: &Event) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        if self.args.json {
            writeln!(out, "{data}")?;
            return out.flush();
        }
        match &event.fields {
            _ if event.kind == "resync" => {
                writeln!(
                    out,
                    "= deletes since then are forgotten: what follows is all that there is"
                )?;
            }
            _ if event.kind != "change" => {}
            Some(fields) => {
                writeln!(out, "+ {}/{}  {}", event.collection, event.key, fields.text())?;
            }
            None => writeln!(out, "- {}/{}", event.collection, event.key)?,
        }
        out.flush()
    }
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
