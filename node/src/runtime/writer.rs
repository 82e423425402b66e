//! The writer: the one thread that changes the store, with group commit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::mpsc;

use super::Event;
use super::ground::Failed;
use super::queue::JobQueue;
use crate::indexes::Declared;
use crate::replication::{Input, Token};
use crate::state::{Heads, Job, JobError, Outcome, WriteError, commit_group, take_group};
use crate::store::{Store, StoreError};

/// What came of each job of a group.
type JobResults = Vec<(Token, Result<Outcome, JobError>)>;

/// What the writer is told.
#[allow(clippy::large_enum_variant, reason = "all but the last message are jobs")]
pub(crate) enum WriterMessage {
    /// Run a job.
    Job(Token, Job),
    /// Finish what was given, and end.
    Stop,
}

/// The way to the writer, which never blocks: the engine bounds what it has in flight.
#[derive(Clone)]
pub(crate) struct Jobs(Arc<dyn Fn(WriterMessage) + Send + Sync>);

/// The writer, and how it ends.
pub(crate) struct WriterHandle {
    jobs: Jobs,
    worker: Worker,
}

enum Worker {
    Thread(JoinHandle<()>),
    /// In a simulation, where threads would come and go by chance.
    #[cfg(feature = "sim")]
    Task(tokio::task::JoinHandle<()>),
}

impl Jobs {
    /// Hands jobs over by this function. One that is given after the end is lost: the writer is gone only after a
    /// failure that ends the node, or at its end.
    pub(crate) fn new(hand_over: impl Fn(WriterMessage) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hand_over))
    }

    pub(crate) fn send(&self, message: WriterMessage) {
        (self.0)(message);
    }
}

impl WriterHandle {
    /// Starts the thread, which keeps these indexes. It reports to `events`. At the first failure that it cannot go on from it calls
    /// `failed`, once, and from then on it answers every job with that failure, and leaves the store alone.
    ///
    /// # Errors
    /// Any [`StoreError`] of reading the heads.
    pub(crate) fn start(
        store: Arc<dyn Store>,
        declared: Arc<[Declared]>,
        events: mpsc::Sender<Event>,
        failed: Failed,
    ) -> Result<Self, StoreError> {
        let mut heads = Heads::load(&*store.snapshot()?)?;
        heads.indexing.declared = declared;
        let (jobs, inbox) = channel();
        let writer = Writer { store, heads, events, failed, failure: None };
        let thread = std::thread::Builder::new()
            .name("millpond-writer".into())
            .spawn(move || writer.run(JobQueue::new(inbox)))
            .map_err(|error| StoreError::Io { reason: format!("no writer thread: {error}") })?;
        let jobs = Jobs::new(move |message| drop(jobs.send(message)));
        Ok(Self { jobs, worker: Worker::Thread(thread) })
    }

    /// A writer that is a task.
    #[cfg(feature = "sim")]
    pub(crate) fn simulated(jobs: Jobs, task: tokio::task::JoinHandle<()>) -> Self {
        Self { jobs, worker: Worker::Task(task) }
    }

    /// The queue of jobs.
    pub(crate) fn jobs(&self) -> Jobs {
        self.jobs.clone()
    }

    /// Lets it finish what it was given, and waits until it has ended. A panic of it was logged.
    pub(crate) async fn finish(self) {
        self.jobs.send(WriterMessage::Stop);
        match self.worker {
            Worker::Thread(thread) => {
                let _ = tokio::task::spawn_blocking(move || thread.join()).await;
            }
            #[cfg(feature = "sim")]
            Worker::Task(task) => drop(task.await),
        }
    }
}

struct Writer {
    store: Arc<dyn Store>,
    heads: Heads,
    events: mpsc::Sender<Event>,
    failed: Failed,
    /// What ended the writing.
    failure: Option<StoreError>,
}

impl Writer {
    fn run(mut self, mut queue: JobQueue) {
        while let Some(first) = queue.first() {
            let (tokens, jobs) = take_group(first, || queue.next());
            let start = Instant::now();
            let results = self.commit(tokens, jobs);
            queue.committed(start.elapsed());
            let input = Input::Committed { results, heads: Box::new(self.heads.clone()) };
            if self.events.blocking_send(Event::Input(input)).is_err() {
                return;
            }
        }
    }

    /// Runs a group of jobs and commits what they changed, in one transaction of the store.
    fn commit(&mut self, tokens: Vec<Token>, jobs: Vec<Job>) -> JobResults {
        let committed = match &self.failure {
            Some(failure) => Err(failure.clone()),
            None => {
                let commit = || commit_group(&*self.store, &mut self.heads, jobs);
                // A store that panics must not leave a node that takes writes and never answers them.
                catch_unwind(AssertUnwindSafe(commit)).unwrap_or_else(|_| {
                    Err(StoreError::Io { reason: "the store panicked".to_owned() })
                })
            }
        };
        if self.failure.is_none()
            && let Some(failure) = end_of_writing(&committed)
        {
            self.failure = Some(StoreError::Poisoned { reason: failure.to_string() });
            (self.failed)(failure.clone());
        }
        match committed {
            Ok(results) => tokens.into_iter().zip(results).collect(),
            Err(error) => {
                let failed = |token| (token, Err(JobError::Store(error.clone())));
                tokens.into_iter().map(failed).collect()
            }
        }
    }
}

/// The failure of a group, or of a job in it, that the writer cannot go on from.
fn end_of_writing(
    committed: &Result<Vec<Result<Outcome, JobError>>, StoreError>,
) -> Option<&StoreError> {
    match committed {
        // The group met a damaged value, which can be mended.
        Err(StoreError::Full | StoreError::Corrupt { .. }) => None,
        Err(error) => Some(error),
        // A job that met a damaged value harmed itself only. One that could not read met a failed disk.
        Ok(results) => results.iter().find_map(|result| match result {
            Err(JobError::Store(error) | JobError::Write(WriteError::Store(error))) => {
                let ends = matches!(error, StoreError::Io { .. } | StoreError::Poisoned { .. });
                ends.then_some(error)
            }
            _ => None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::panic::resume_unwind;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use millpond_core::{Incarnation, Namespace, NodeKey, Path, Payload, PayloadKind};

    use super::*;
    use crate::state::Local;
    use crate::store::memory::MemoryStore;
    use crate::store::{Changes, Durability, Snapshot};

    /// A store whose third commit fails, and that would take those after it.
    struct Failing {
        store: MemoryStore,
        commits: AtomicU64,
        /// `None` for a panic.
        error: Option<StoreError>,
    }

    impl Store for Failing {
        fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
            self.store.snapshot()
        }

        fn commit(&self, changes: &Changes, durability: Durability) -> Result<(), StoreError> {
            if self.commits.fetch_add(1, Relaxed) != 2 {
                return self.store.commit(changes, durability);
            }
            // Without a word: the test wants it.
            Err(self.error.clone().unwrap_or_else(|| resume_unwind(Box::new("a panic"))))
        }

        fn size_bytes(&self) -> u64 {
            0
        }
    }

    fn write(value: &'static str) -> Job {
        Job::Local(Local {
            namespace: Namespace::MAIN,
            closure: Box::new(move |tx| {
                let bytes = value.as_bytes().into();
                let payload = Payload { kind: PayloadKind::LWW, bytes };
                tx.put(Path::new(["c", "key", "field"])?, payload)
            }),
            now_ms: 1_000,
            ended: None,
            fresh: Incarnation::from_bytes([1; 16]),
            key: NodeKey::from_bytes([2; 32]),
        })
    }

    /// Writes six times to a store whose third commit fails like this, and returns which of them succeeded,
    /// how often the store was asked, and what was reported as the end.
    fn six_writes(error: Option<StoreError>) -> (Vec<bool>, u64, Vec<String>) {
        let store = MemoryStore::new();
        let store = Arc::new(Failing { store, commits: AtomicU64::new(0), error });
        let (events, mut inbox) = mpsc::channel(8);
        let reported = Arc::new(Mutex::new(Vec::new()));
        let report = reported.clone();
        let failed = move |error: StoreError| report.lock().unwrap().push(error.to_string());
        let writer =
            WriterHandle::start(store.clone(), [].into(), events, Box::new(failed)).unwrap();
        let succeeded = (0..6).map(|number| {
            let job = WriterMessage::Job(Token(number), write("value"));
            writer.jobs().send(job);
            match inbox.blocking_recv() {
                Some(Event::Input(Input::Committed { results, .. })) => {
                    assert_eq!(results.len(), 1);
                    assert_eq!(results[0].0, Token(number));
                    results[0].1.is_ok()
                }
                _ => panic!("the writer answers each job"),
            }
        });
        let succeeded = succeeded.collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(writer.finish());
        let reported = reported.lock().unwrap().clone();
        (succeeded, store.commits.load(Relaxed), reported)
    }

    #[test]
    fn nothing_is_acknowledged_after_a_failure() {
        let error = StoreError::Io { reason: "the disk is on fire".into() };
        let (succeeded, commits, reported) = six_writes(Some(error.clone()));
        assert_eq!(succeeded, [true, true, false, false, false, false]);
        assert_eq!(commits, 3, "a store that failed is left alone");
        assert_eq!(reported, [error.to_string()]);
    }

    #[test]
    fn a_panic_of_the_store_is_a_failure() {
        let (succeeded, commits, reported) = six_writes(None);
        assert_eq!(succeeded, [true, true, false, false, false, false]);
        assert_eq!(commits, 3);
        assert_eq!(reported, ["the store failed: the store panicked"]);
    }

    #[test]
    fn a_full_device_is_no_end() {
        let (succeeded, commits, reported) = six_writes(Some(StoreError::Full));
        assert_eq!(succeeded, [true, true, false, true, true, true]);
        assert_eq!((commits, reported.len()), (6, 0));
    }

    #[test]
    fn a_job_that_cannot_read_the_disk_ends_the_writing_and_one_that_met_damage_does_not() {
        let ends = |error: StoreError| {
            let of_job = Ok(vec![Ok(Outcome::default()), Err(JobError::Store(error.clone()))]);
            let of_closure = Ok(vec![Err(JobError::Write(WriteError::Store(error)))]);
            [of_job, of_closure].map(|committed| end_of_writing(&committed).is_some())
        };
        assert_eq!(ends(StoreError::Io { reason: String::new() }), [true, true]);
        assert_eq!(ends(StoreError::Poisoned { reason: String::new() }), [true, true]);
        assert_eq!(ends(StoreError::Corrupt { what: String::new() }), [false, false]);
        assert_eq!(end_of_writing(&Ok(vec![Err(JobError::NoCut)])).map(drop), None);
    }
}
