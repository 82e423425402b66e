//! `import` and `export`: all records, in and out.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use hyper::Method;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::client::{Answer, Client, ClientError, Outgoing, segment};
use crate::failure::{Cause, Exit, Failure, Outcome};

/// Load records.
#[derive(Debug, Args)]
#[command(after_help = "\
Each line is {\"collection\":\"tasks\",\"key\":\"milk\",\"fields\":{\"title\":\"Buy milk\"}}, as export writes it;
with --collection and --key-field it is the record itself: {\"id\":\"milk\",\"title\":\"Buy milk\"}")]
pub(crate) struct ImportArgs {
    /// JSON Lines, compressed if the name ends in .gz; `-` is standard input
    file: PathBuf,
    /// The collection of lines that name none
    #[arg(long)]
    collection: Option<String>,
    /// The field that holds each record's key
    #[arg(long, requires = "collection", value_name = "FIELD")]
    key_field: Option<String>,
    /// Change the fields that a line names, and keep a record's others
    #[arg(long)]
    merge: bool,
    /// Check every line, write nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What an import did.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ImportReport {
    /// Lines read.
    pub lines: u64,
    /// Records imported.
    pub imported: u64,
    /// Lines refused.
    pub failed: u64,
    /// Transactions.
    pub transactions: u64,
    /// The first of the lines refused.
    pub errors: Vec<ImportError>,
    /// Why it stopped early, if it did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stopped: Option<String>,
}

/// A line that was refused.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ImportError {
    /// Its number, from one.
    pub line: u64,
    /// Stable, for programs.
    pub code: String,
    /// For people.
    pub error: String,
}

pub(crate) async fn import(args: ImportArgs, dir: &Path) -> Outcome {
    let what = format!("cannot import {}", args.file.display());
    let client = Client::of_dir(dir).map_err(|error| error.at(&what))?;
    let progress = progress_of_file(&args.file);
    let input = open_input(&args.file, progress.clone())
        .map_err(|error| Failure::new(&what).why(error).cause(Cause::System))?;
    let answer = post_lines(&client, &args.query(), input).await;
    progress.finish_and_clear();
    let report = answer.map_err(|error| error.at(&what))?;
    if args.json {
        println!("{}", serde_json::to_string(&report).expect("counts and texts have a JSON form"));
    } else {
        print_report(&report, args.dry_run);
    }
    if let Some(stopped) = report.stopped {
        let fix = "resolve that, and import the file again: records that are there already stay";
        return Err(Failure::new("the import stopped early")
            .cause(Cause::Import)
            .why(stopped)
            .fix(fix));
    }
    if report.failed > 0 {
        let what = format!("{} of {} lines were not imported", report.failed, report.lines);
        let fix = "correct those lines and import the file again: the others stay as they are";
        return Err(Failure::new(what).cause(Cause::Import).why("see the lines above").fix(fix));
    }
    Ok(Exit::Ok)
}

impl ImportArgs {
    fn query(&self) -> String {
        let mut query = String::from("/api/v1/import?mode=");
        query += if self.merge { "patch" } else { "put" };
        query += if self.dry_run { "&dry_run=true" } else { "" };
        if let Some(collection) = &self.collection {
            query += &format!("&collection={}", segment(collection));
        }
        if let Some(field) = &self.key_field {
            query += &format!("&key_field={}", segment(field));
        }
        query
    }
}

/// Streams lines to an import route (`/api/v1/import?...`), and answers what became of them.
pub(crate) async fn post_lines(
    client: &Client,
    route: &str,
    mut lines: impl Read + Send + 'static,
) -> Result<ImportReport, ClientError> {
    let (chunks, body) = mpsc::channel(CHUNKS_AHEAD);
    std::thread::spawn(move || {
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            let read = match lines.read(&mut chunk) {
                Ok(0) => return,
                Ok(read) => Ok(Bytes::from(chunk).slice(..read)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let failed = read.is_err();
            if chunks.blocking_send(read).is_err() || failed {
                return; // the request is over
            }
        }
    });
    let body = Outgoing::Stream(body);
    client.send(Method::POST, route, &[], body).await?.json().await
}

fn print_report(report: &ImportReport, dry_run: bool) {
    for error in &report.errors {
        eprintln!("line {}: {} ({})", error.line, error.error, error.code);
    }
    let omitted = report.failed - report.errors.len() as u64;
    if omitted > 0 {
        eprintln!("and {omitted} more lines");
    }
    let verb = if dry_run { "would import" } else { "imported" };
    println!("{verb} {} of {} lines", report.imported, report.lines);
}

fn open_input(file: &Path, progress: ProgressBar) -> io::Result<Box<dyn Read + Send>> {
    if file == Path::new("-") {
        return Ok(Box::new(io::stdin()));
    }
    let read = progress.wrap_read(File::open(file)?);
    Ok(match is_gzip(file) {
        true => Box::new(MultiGzDecoder::new(read)),
        false => Box::new(read),
    })
}

pub(crate) fn is_gzip(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "gz")
}

/// A bar over the file's bytes on a terminal, nothing elsewhere.
fn progress_of_file(file: &Path) -> ProgressBar {
    let bytes = std::fs::metadata(file).map(|metadata| metadata.len());
    match bytes {
        Ok(bytes) if io::stderr().is_terminal() && file != Path::new("-") => {
            let style = "{bar:40} {bytes}/{total_bytes}  {eta} left";
            let bar = ProgressBar::new(bytes);
            bar.with_style(ProgressStyle::with_template(style).expect("a valid template"))
        }
        _ => ProgressBar::hidden(),
    }
}

/// Write all records.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The file to write, compressed if its name ends in .gz [default: standard output]
    #[arg(long, short)]
    output: Option<PathBuf>,
}

pub(crate) async fn export(args: ExportArgs, dir: &Path) -> Outcome {
    let what = "cannot export";
    let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
    let answer = client.send(Method::GET, "/api/v1/export", &[], Outgoing::empty()).await;
    let answer = answer.map_err(|error| error.at(what))?;
    let Some(output) = &args.output else {
        copy(answer, &mut io::stdout().lock()).await?;
        return Ok(Exit::Ok);
    };
    // The name is taken only by a whole export.
    let mut partial = output.clone().into_os_string();
    partial.push(".partial");
    let failure = |error: io::Error| {
        Failure::new(format!("{what} to {}", output.display())).why(error).cause(Cause::System)
    };
    let file = BufWriter::new(File::create(&partial).map_err(failure)?);
    let lines = if is_gzip(output) {
        let mut encoder = GzEncoder::new(file, Compression::default());
        let lines = copy(answer, &mut encoder).await?;
        encoder.finish().and_then(|mut file| file.flush()).map_err(failure)?;
        lines
    } else {
        let mut file = file;
        copy(answer, &mut file).await?
    };
    std::fs::rename(&partial, output).map_err(failure)?;
    let records = if lines == 1 { "record" } else { "records" };
    eprintln!("exported {lines} {records} to {}", output.display());
    Ok(Exit::Ok)
}

/// Copies the answer, and counts its lines.
async fn copy(mut answer: Answer, out: &mut impl Write) -> Result<u64, Failure> {
    let progress = match io::stderr().is_terminal() && !io::stdout().is_terminal() {
        true => ProgressBar::new_spinner().with_message("exporting"),
        false => ProgressBar::hidden(),
    };
    progress.enable_steady_tick(Duration::from_millis(100));
    let mut lines = 0;
    let broken = |error: ClientError| error.at("the export is not whole");
    while let Some(chunk) = answer.chunk().await.map_err(broken)? {
        out.write_all(&chunk)?;
        lines += chunk.iter().filter(|&&byte| byte == b'\n').count() as u64;
        progress.set_message(format!("{lines} records"));
    }
    out.flush()?;
    progress.finish_and_clear();
    Ok(lines)
}

/// A chunk for a few hundred lines.
const CHUNK_BYTES: usize = 64 * 1024;

/// Keeps the connection busy while the next chunk is read.
const CHUNKS_AHEAD: usize = 4;
