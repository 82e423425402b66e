//! The writer: the one thread that changes the store, with group commit.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::mpsc;

use super::Event;
use super::queue::JobQueue;
use crate::replication::{Input, Token};
use crate::state::{Heads, Job, JobError, Outcome, commit_group, take_group};
use crate::store::{Store, StoreError};

/// What came of each job of a group.
type JobResults = Vec<(Token, Result<Outcome, JobError>)>;

/// What the writer is told.
pub(crate) enum WriterMessage {
    /// Run a job.
    Job(Token, Job),
    /// Finish what was given, and end.
    Stop,
}

/// The writer's thread.
pub(crate) struct WriterHandle {
    jobs: Sender<WriterMessage>,
    thread: Option<JoinHandle<()>>,
}

impl WriterHandle {
    /// Starts the thread. It reports to `events`, and after a failure that it cannot go on from it calls
    /// `failed` once.
    ///
    /// # Errors
    /// Any [`StoreError`] of reading the heads.
    pub(crate) fn start(
        store: Arc<dyn Store>,
        events: mpsc::Sender<Event>,
        failed: impl Fn(StoreError) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let heads = Heads::load(&*store.snapshot()?)?;
        let (jobs, inbox) = channel();
        let writer = Writer { store, heads, events, failed: Box::new(failed) };
        let thread = std::thread::Builder::new()
            .name("millpond-writer".into())
            .spawn(move || writer.run(JobQueue::new(inbox)))
            .map_err(|error| StoreError::Io { reason: format!("no writer thread: {error}") })?;
        Ok(Self { jobs, thread: Some(thread) })
    }

    /// The queue of jobs, which never blocks: the engine bounds what it has in flight.
    pub(crate) fn jobs(&self) -> Sender<WriterMessage> {
        self.jobs.clone()
    }

    /// Waits until the thread has ended; blocks.
    pub(crate) fn join(mut self) {
        let _ = self.jobs.send(WriterMessage::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Writer {
    store: Arc<dyn Store>,
    heads: Heads,
    events: mpsc::Sender<Event>,
    failed: Box<dyn Fn(StoreError) + Send>,
}

impl Writer {
    fn run(mut self, mut queue: JobQueue) {
        while let Some(first) = queue.first() {
            let (tokens, jobs) = take_group(first, || queue.next());
            let start = Instant::now();
            let results = self.commit(tokens, jobs);
            queue.committed(start.elapsed());
            let input = Input::Committed { results, heads: self.heads.clone() };
            if self.events.blocking_send(Event::Input(input)).is_err() {
                return;
            }
        }
    }

    /// Runs a group of jobs and commits what they changed, in one transaction of the store.
    fn commit(&mut self, tokens: Vec<Token>, jobs: Vec<Job>) -> JobResults {
        match commit_group(&*self.store, &mut self.heads, jobs) {
            Ok(results) => tokens.into_iter().zip(results).collect(),
            Err(error) => {
                if !matches!(error, StoreError::Full) {
                    (self.failed)(error.clone());
                }
                let failed = |token| (token, Err(JobError::Store(error.clone())));
                tokens.into_iter().map(failed).collect()
            }
        }
    }
}
