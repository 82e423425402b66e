//! Long work on a thread of its own: with a bar, and stopped in good order.

use std::io::{self, IsTerminal, Read};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Buf, Bytes};
use indicatif::{ProgressBar, ProgressStyle};
use millpond::backup::{BackupError, BackupProgress};
use tokio::sync::mpsc;

use crate::client::Answer;

/// A bar on a terminal, nothing elsewhere.
pub(crate) struct Bar {
    bar: ProgressBar,
    counts: fn(&BackupProgress) -> u64,
}

impl Bar {
    /// Bytes, of which nobody knows how many will come.
    pub fn bytes(what: &'static str) -> Self {
        Self::new(ProgressBar::new_spinner(), "{spinner} {msg}: {bytes}, {elapsed}", what, |it| {
            it.bytes
        })
    }

    /// Rows, of at most so many.
    pub fn rows(what: &'static str) -> Self {
        Self::new(
            ProgressBar::new_spinner(),
            "{spinner} {msg}: {pos} rows, {elapsed}",
            what,
            |it| it.rows,
        )
    }

    /// The bytes of a file.
    pub fn of_file(what: &'static str, file: &Path) -> Self {
        let bytes = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
        let style = "{msg} {bar:40} {bytes}/{total_bytes}  {eta} left";
        Self::new(ProgressBar::new(bytes), style, what, |it| it.bytes)
    }

    fn new(
        bar: ProgressBar,
        style: &str,
        what: &'static str,
        counts: fn(&BackupProgress) -> u64,
    ) -> Self {
        let bar = if io::stderr().is_terminal() { bar } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template(style).expect("a valid template");
        Self { bar: bar.with_style(style).with_message(what), counts }
    }
}

/// Does long work; `None` when Ctrl-C stopped it, and it has cleaned up behind itself.
pub(crate) async fn run<T: Send + 'static>(
    bar: Bar,
    work: impl FnOnce(&mut dyn FnMut(BackupProgress) -> ControlFlow<()>) -> Result<T, BackupError>
    + Send
    + 'static,
) -> Result<Option<T>, BackupError> {
    let is_stopped = Arc::new(AtomicBool::new(false));
    let asked = is_stopped.clone();
    let mut working = tokio::task::spawn_blocking(move || {
        let Bar { bar, counts } = bar;
        let done = work(&mut |progress| {
            bar.set_position(counts(&progress));
            match asked.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        bar.finish_and_clear();
        done
    });
    let done = tokio::select! {
        done = &mut working => done,
        _ = tokio::signal::ctrl_c() => {
            is_stopped.store(true, Ordering::Relaxed);
            working.await
        }
    };
    match done.expect("the work does not panic") {
        Err(BackupError::Stopped) if is_stopped.load(Ordering::Relaxed) => Ok(None),
        done => done.map(Some),
    }
}

/// The body of an answer, to be read by a thread while it comes.
pub(crate) struct Received {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    chunk: Bytes,
}

impl Received {
    pub fn of(mut answer: Answer) -> Self {
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
        tokio::spawn(async move {
            loop {
                let chunk = match answer.chunk().await {
                    Ok(Some(chunk)) => Ok(chunk),
                    Ok(None) => return,
                    // What follows sees that the end is missing; why, the node's log knows.
                    Err(_) => Err(io::ErrorKind::UnexpectedEof.into()),
                };
                let is_last = chunk.is_err();
                if sender.send(chunk).await.is_err() || is_last {
                    return;
                }
            }
        });
        Self { chunks, chunk: Bytes::new() }
    }
}

impl Read for Received {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.chunk = chunk?,
                None => return Ok(0),
            }
        }
        let length = bytes.len().min(self.chunk.len());
        self.chunk.copy_to_slice(&mut bytes[..length]);
        Ok(length)
    }
}

/// Keeps the connection busy while the last chunk is written.
const CHUNKS_AHEAD: usize = 8;
