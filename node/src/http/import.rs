//! `POST /import`: any number of records, streamed in, committed some hundred at a time.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use axum::body::Body;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use millpond_core::limits::VALUE_BYTES_MAX;
use serde::{Deserialize, Serialize};

use crate::Replica;
use crate::errors::code;
use crate::http::problem::Problem;
use crate::http::records::query;
use crate::http::server::SharedApi;
use crate::records::{self, Document, Json, RecordError, RecordId};

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportQuery {
    /// The collection of lines that name none.
    collection: Option<String>,
    /// The field that holds the key: then each line is a record as it is.
    key_field: Option<String>,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Put,
    Patch,
}

/// What an import did.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Lines read, empty ones aside.
    lines: u64,
    /// Records that are durable; under `dry_run`, that would have been written.
    imported: u64,
    /// Lines that were not imported.
    failed: u64,
    /// Transactions committed.
    transactions: u64,
    /// The first [`ERRORS_MAX`] failures, in the order of their lines.
    errors: Vec<LineError>,
    /// Why it stopped before the end, if it did. What was imported stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<String>,
}

#[derive(Debug, Serialize)]
struct LineError {
    line: u64,
    code: &'static str,
    error: String,
}

/// `POST /import`
pub(super) async fn import(
    State(api): State<SharedApi>,
    uri: Uri,
    body: Body,
) -> Result<Response, Problem> {
    let query: ImportQuery = query(&uri)?;
    if let Some(collection) = &query.collection {
        RecordId::new(&**collection, "-")?;
    }
    if query.key_field.is_some() && query.collection.is_none() {
        let detail = "`key_field` needs `collection`: the lines name none";
        return Err(Problem::bad_request("bad_query", code::<902>(), detail));
    }
    let mut import = Import {
        replica: api.replica.clone(),
        query,
        batch: Batch::default(),
        in_flight: VecDeque::new(),
        report: Report::default(),
        line: 0,
    };
    let stopped = import.run(body).await.err();
    import.settle(0).await;
    let mut report = import.report;
    report.errors.sort_by_key(|error| error.line);
    report.stopped = report.stopped.or(stopped);
    Ok(axum::Json(report).into_response())
}

struct Import {
    replica: Replica,
    query: ImportQuery,
    batch: Batch,
    in_flight: VecDeque<InFlight>,
    report: Report,
    line: u64,
}

type InFlight = Pin<Box<dyn Future<Output = Committed> + Send>>;

#[derive(Clone, Default)]
struct Batch {
    items: Vec<Item>,
    bytes: usize,
}

#[derive(Clone)]
struct Item {
    line: u64,
    id: RecordId,
    document: Document,
}

/// What became of a batch.
#[derive(Default)]
struct Committed {
    imported: u64,
    transactions: u64,
    errors: Vec<LineError>,
    stopped: Option<String>,
}

impl Import {
    /// Reads the body to its end, or says why it stopped before.
    async fn run(&mut self, body: Body) -> Result<(), String> {
        let mut body = body.into_data_stream();
        let mut lines = Lines::default();
        while let Some(chunk) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await {
            lines.push(chunk.map_err(|error| format!("the body broke off: {error}"))?);
            while let Some(line) = lines.next() {
                self.take(line).await?;
            }
        }
        if let Some(line) = lines.rest() {
            self.take(line).await?;
        }
        self.send().await
    }

    async fn take(&mut self, line: Line) -> Result<(), String> {
        self.line += 1;
        let text = match &line {
            Line::Whole(bytes) if bytes.iter().all(u8::is_ascii_whitespace) => return Ok(()),
            Line::Whole(bytes) => bytes,
            Line::TooLong => &Bytes::new(),
        };
        self.report.lines += 1;
        let parsed = match line {
            Line::TooLong => Err(("line_too_long", format!("exceeds {LINE_BYTES_MAX} bytes"))),
            Line::Whole(_) => self.parse(text),
        };
        match parsed {
            Ok((id, document)) => {
                self.batch.bytes += text.len();
                self.batch.items.push(Item { line: self.line, id, document });
            }
            Err((code, error)) => {
                let line = self.line;
                self.fail(LineError { line, code, error });
            }
        }
        let full = self.batch.items.len() >= BATCH_RECORDS || self.batch.bytes >= BATCH_BYTES;
        if full { self.send().await } else { Ok(()) }
    }

    fn parse(&self, line: &[u8]) -> Result<(RecordId, Document), (&'static str, String)> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct NamedLine {
            collection: Option<String>,
            key: String,
            fields: Document,
        }
        let line = line.trim_ascii_end();
        // The line's number in the file is told beside: it is always the first line of this text.
        let bad_json = |error: serde_json::Error| {
            ("bad_json", error.to_string().replace(" at line 1 column ", " at column "))
        };
        let (collection, key, document) = match &self.query.key_field {
            Some(field) => {
                let document: Document = serde_json::from_slice(line).map_err(bad_json)?;
                let key = key_of(&document, field)?;
                (self.query.collection.clone(), key, document)
            }
            None => {
                let line: NamedLine = serde_json::from_slice(line).map_err(bad_json)?;
                (line.collection.or_else(|| self.query.collection.clone()), line.key, line.fields)
            }
        };
        let collection =
            collection.ok_or(("bad_name", "the line names no collection".to_owned()))?;
        let id = RecordId::new(collection, key).map_err(|e| ("bad_name", e.to_string()))?;
        let large = document.0.iter().find(|(_, value)| value.text().len() > VALUE_BYTES_MAX);
        if let Some((name, value)) = large {
            let (bytes, limit) = (value.text().len(), VALUE_BYTES_MAX);
            let error = format!("field `{name}` has {bytes} bytes, the limit is {limit}");
            return Err(("value_too_large", error));
        }
        Ok((id, document))
    }

    /// Hands the batch to the writer. Batches are queued in their order, so that the last line of a record
    /// wins.
    async fn send(&mut self) -> Result<(), String> {
        let batch = std::mem::take(&mut self.batch);
        if batch.items.is_empty() {
            return Ok(());
        }
        if self.query.dry_run {
            self.report.imported += batch.items.len() as u64;
            return Ok(());
        }
        self.settle(IN_FLIGHT_MAX - 1).await;
        if let Some(stopped) = &self.report.stopped {
            return Err(stopped.clone());
        }
        let mut write: InFlight = Box::pin(commit(self.replica.clone(), batch, self.query.mode));
        // The first poll queues it; only then may the next one be made.
        let polled = std::future::poll_fn(|cx| Poll::Ready(write.as_mut().poll(cx))).await;
        match polled {
            Poll::Ready(committed) => self.note(committed),
            Poll::Pending => self.in_flight.push_back(Box::pin(joined(tokio::spawn(write)))),
        }
        Ok(())
    }

    /// Waits until at most `left` batches are in flight.
    async fn settle(&mut self, left: usize) {
        while self.in_flight.len() > left {
            let Some(oldest) = self.in_flight.pop_front() else { return };
            let committed = oldest.await;
            self.note(committed);
        }
    }

    fn note(&mut self, committed: Committed) {
        self.report.imported += committed.imported;
        self.report.transactions += committed.transactions;
        committed.errors.into_iter().for_each(|error| self.fail(error));
        self.report.stopped = self.report.stopped.take().or(committed.stopped);
    }

    fn fail(&mut self, error: LineError) {
        self.report.failed += 1;
        if self.report.errors.len() < ERRORS_MAX {
            self.report.errors.push(error);
        }
    }
}

/// Writes a batch in one transaction; if one of its records is refused, each in its own.
async fn commit(replica: Replica, batch: Batch, mode: Mode) -> Committed {
    let items = batch.items.clone();
    let count = items.len() as u64;
    match write(&replica, items, mode).await {
        Ok(()) => return Committed { imported: count, transactions: 1, ..Committed::default() },
        Err(error) => {
            let problem = Problem::from(error);
            if problem.is_node_wide() {
                return Committed { stopped: Some(problem.detail), ..Committed::default() };
            }
        }
    }
    let mut committed = Committed::default();
    for item in batch.items {
        let line = item.line;
        match write(&replica, vec![item], mode).await {
            Ok(()) => {
                committed.imported += 1;
                committed.transactions += 1;
            }
            Err(error) => {
                let Problem { code, detail: error, .. } = Problem::from(error);
                committed.errors.push(LineError { line, code, error });
            }
        }
    }
    committed
}

async fn write(replica: &Replica, items: Vec<Item>, mode: Mode) -> Result<(), RecordError> {
    let written = records::write(replica, move |tx| {
        items.iter().try_for_each(|item| match mode {
            Mode::Put => tx.put(&item.id, &item.document),
            Mode::Patch => tx.patch(&item.id, &item.document),
        })
    });
    written.await.map(drop)
}

async fn joined(task: tokio::task::JoinHandle<Committed>) -> Committed {
    let stopped = Some("a writer panicked".to_owned());
    task.await.unwrap_or(Committed { stopped, ..Committed::default() })
}

/// The key in a record's field: text, or a number as it is written.
fn key_of(document: &Document, field: &str) -> Result<String, (&'static str, String)> {
    let value = document.0.get(field).map(Json::text);
    let text = value.ok_or_else(|| ("bad_name", format!("there is no field `{field}`")))?;
    if text.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        return Ok(text.to_owned());
    }
    serde_json::from_str(text)
        .map_err(|_| ("bad_name", format!("field `{field}` is neither text nor a number")))
}

/// Cuts chunks into lines.
#[derive(Default)]
struct Lines {
    buffer: BytesMut,
    /// How much of the buffer holds no line feed.
    searched: usize,
    /// Whether the rest of an overlong line is being skipped.
    skipping: bool,
}

enum Line {
    Whole(Bytes),
    TooLong,
}

impl Lines {
    fn push(&mut self, chunk: Bytes) {
        self.buffer.extend_from_slice(&chunk);
    }

    fn next(&mut self) -> Option<Line> {
        let found = self.buffer[self.searched..].iter().position(|&byte| byte == b'\n');
        let Some(offset) = found else {
            self.searched = self.buffer.len();
            if self.buffer.len() > LINE_BYTES_MAX {
                self.buffer.clear();
                self.searched = 0;
                self.skipping = true;
            }
            return None;
        };
        let line = self.buffer.split_to(self.searched + offset + 1).freeze();
        self.searched = 0;
        Some(self.whole(line))
    }

    /// What follows the last line feed.
    fn rest(mut self) -> Option<Line> {
        let rest = self.buffer.split().freeze();
        (self.skipping || !rest.is_empty()).then(|| self.whole(rest))
    }

    fn whole(&mut self, line: Bytes) -> Line {
        let skipped = std::mem::take(&mut self.skipping);
        if skipped || line.len() > LINE_BYTES_MAX { Line::TooLong } else { Line::Whole(line) }
    }
}

/// Enough that a commit's fixed cost is spread thin, few enough that a failure repeats little.
const BATCH_RECORDS: usize = 500;

/// A quarter of what a transaction may hold.
const BATCH_BYTES: usize = 4 << 20;

/// The writer groups what is queued; a few batches keep it busy while the next lines are parsed.
const IN_FLIGHT_MAX: usize = 4;

/// One record with several large values. Longer lines fail alone.
const LINE_BYTES_MAX: usize = 8 << 20;

/// Enough to see what is wrong; the rest is counted.
const ERRORS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(chunks: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::default();
        let mut cut = Vec::new();
        let mut note = |line| match line {
            Line::Whole(bytes) => cut.push(Some(bytes.to_vec())),
            Line::TooLong => cut.push(None),
        };
        for chunk in chunks {
            lines.push(Bytes::copy_from_slice(chunk));
            while let Some(line) = lines.next() {
                note(line);
            }
        }
        lines.rest().into_iter().for_each(note);
        cut
    }

    #[test]
    fn lines_are_whole_whatever_the_chunks() {
        let whole = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(
            cut(&[b"a\nb", b"c\n\nd"]),
            [whole("a\n"), whole("bc\n"), whole("\n"), whole("d")]
        );
    }

    #[test]
    fn an_overlong_line_is_skipped_alone() {
        let long = vec![b'x'; LINE_BYTES_MAX + 1];
        let cut = cut(&[b"a\n", &long, b"tail\nb\n"]);
        assert_eq!(cut, [Some(b"a\n".to_vec()), None, Some(b"b\n".to_vec())]);
    }

    #[test]
    fn a_key_is_text_or_a_number_as_written() {
        let document = Document::parse(r#"{"id":"2988507","n":1.50,"b":true}"#).unwrap();
        assert_eq!(key_of(&document, "id").unwrap(), "2988507");
        assert_eq!(key_of(&document, "n").unwrap(), "1.50");
        assert!(key_of(&document, "b").is_err() && key_of(&document, "none").is_err());
    }
}
