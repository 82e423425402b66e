//! The writer: the one thread that changes the store, with group commit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::mpsc;

use super::Event;
use super::queue::JobQueue;
use crate::replication::{Input, Token};
use crate::state::{Heads, Job, JobError, Outcome, Transaction, WriteError, apply};
use crate::store::{Changes, Durability, Store, StoreError};

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
            let mut weight = weigh(&first.1);
            let mut group = vec![first];
            while weight < GROUP_ROWS_MAX
                && let Some(next) = queue.next()
            {
                weight += weigh(&next.1);
                group.push(next);
            }
            let start = Instant::now();
            let results = self.commit(group);
            queue.committed(start.elapsed());
            let input = Input::Committed { results, heads: self.heads.clone() };
            if self.events.blocking_send(Event::Input(input)).is_err() {
                return;
            }
        }
    }

    /// Runs a group of jobs and commits what they changed, in one transaction of the store.
    fn commit(&mut self, jobs: Vec<(Token, Job)>) -> JobResults {
        let tokens: Vec<Token> = jobs.iter().map(|(token, _)| *token).collect();
        match self.try_commit(jobs) {
            Ok(results) => results,
            Err(error) => {
                if !matches!(error, StoreError::Full) {
                    (self.failed)(error.clone());
                }
                let failed = |token| (token, Err(JobError::Store(error.clone())));
                tokens.into_iter().map(failed).collect()
            }
        }
    }

    fn try_commit(&mut self, jobs: Vec<(Token, Job)>) -> Result<JobResults, StoreError> {
        let snapshot = self.store.snapshot()?;
        let mut group = Changes::default();
        let mut heads = self.heads.clone();
        let mut results = Vec::with_capacity(jobs.len());
        for (token, job) in jobs {
            let mut tx = Transaction::new(&*snapshot, &group, heads.clone());
            let result = catch_unwind(AssertUnwindSafe(|| apply(&mut tx, job)));
            let result = result.unwrap_or_else(|_| {
                let reason = "the transaction's closure panicked".to_string();
                Err(JobError::Write(WriteError::Rejected(reason)))
            });
            if result.is_ok() {
                let (changes, changed) = tx.finish();
                group.absorb(changes);
                heads = changed;
            }
            results.push((token, result));
        }
        heads.save(&self.heads, &mut group);
        if !group.is_empty() {
            self.store.commit(&group, Durability::Synced)?;
        }
        self.heads = heads;
        Ok(results)
    }
}

/// About how many rows a job touches.
fn weigh(job: &Job) -> usize {
    match job {
        Job::Local(_) => 16,
        Job::Pushes(pushes) => pushes.iter().map(|push| push.len()).sum(),
        Job::Batch { rows, .. } => rows.iter().map(|rows| rows.len()).sum(),
        Job::Cut(cut) => cut.rows.iter().map(|rows| rows.len()).sum(),
        Job::Flip { .. } | Job::DropCut { .. } => GROUP_ROWS_MAX,
        Job::Close | Job::Meta(_) => 1,
    }
}

/// Rows beyond which a group takes no more jobs, so that nobody waits for long.
const GROUP_ROWS_MAX: usize = 20_000;
