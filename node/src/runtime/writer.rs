//! The writer: the one that changes the store, with group commit. A thread, since disks take their time; over a
//! store in memory a task, since handing a job to a thread and back takes far longer than its commit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};

use super::Event;
use super::ground::Failed;
use super::queue::JobQueue;
use crate::indexes::Declared;
use crate::replication::{Input, Token};
use crate::state::{
    Heads, Job, JobError, Outcome, WriteError, commit_group_showing, is_long, take_group,
};
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
    /// Starts the thread, which keeps these indexes. It reports to `events`. At the first failure that it cannot go
    /// on from it calls `failed`, once, and from then on it answers every job with that failure, and leaves the store
    /// alone.
    ///
    /// # Errors
    /// Any [`StoreError`] of reading the heads.
    pub(crate) fn thread(
        store: Arc<dyn Store>,
        declared: Arc<[Declared]>,
        events: mpsc::Sender<Event>,
        failed: Failed,
    ) -> Result<Self, StoreError> {
        let writer = Writer::new(store, declared, events, failed, true)?;
        let (jobs, inbox) = channel();
        let thread = std::thread::Builder::new()
            .name("millpond-writer".into())
            .spawn(move || writer.run(JobQueue::new(inbox)))
            .map_err(|error| StoreError::Io { reason: format!("no writer thread: {error}") })?;
        let jobs = Jobs::new(move |message| drop(jobs.send(message)));
        Ok(Self { jobs, worker: Worker::Thread(thread) })
    }

    /// The same as a task of this runtime, for a store that waits for no disk. What would keep others waiting runs
    /// beside it.
    ///
    /// # Errors
    /// Any [`StoreError`] of reading the heads.
    pub(crate) fn task(
        store: Arc<dyn Store>,
        declared: Arc<[Declared]>,
        events: mpsc::Sender<Event>,
        failed: Failed,
    ) -> Result<Self, StoreError> {
        let writer = Writer::new(store, declared, events, failed, false)?;
        let ((jobs, inbox), wake) = (channel(), Arc::new(Notify::new()));
        let task = tokio::spawn(writer.run_in_task(JobQueue::new(inbox), wake.clone()));
        let jobs = Jobs::new(move |message| {
            let _ = jobs.send(message);
            wake.notify_one();
        });
        Ok(Self::of_task(jobs, task))
    }

    /// A writer that is this task.
    pub(crate) fn of_task(jobs: Jobs, task: tokio::task::JoinHandle<()>) -> Self {
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
            Worker::Task(task) => drop(task.await),
        }
    }
}

struct Writer {
    store: Arc<dyn Store>,
    /// Whether a commit waits for one.
    has_disk: bool,
    heads: Heads,
    events: mpsc::Sender<Event>,
    failed: Failed,
    /// What ended the writing.
    failure: Option<StoreError>,
}

impl Writer {
    fn new(
        store: Arc<dyn Store>,
        declared: Arc<[Declared]>,
        events: mpsc::Sender<Event>,
        failed: Failed,
        has_disk: bool,
    ) -> Result<Self, StoreError> {
        let mut heads = Heads::load(&*store.snapshot()?)?;
        heads.indexing.declared = declared;
        Ok(Self { store, has_disk, heads, events, failed, failure: None })
    }

    fn run(mut self, mut queue: JobQueue) {
        while let Some(first) = queue.first() {
            let (tokens, jobs) = take_group(first, || queue.next());
            let start = Instant::now();
            let results = self.commit(tokens, jobs);
            queue.committed(start.elapsed());
            if self.events.blocking_send(self.committed(results)).is_err() {
                return;
            }
        }
    }

    async fn run_in_task(mut self, mut queue: JobQueue, wake: Arc<Notify>) {
        loop {
            while !queue.has_some() {
                wake.notified().await;
            }
            let Some(first) = queue.first() else { return };
            let (tokens, jobs) = take_group(first, || queue.next());
            let results = if is_long(&jobs) {
                let work = move || {
                    let results = self.commit(tokens, jobs);
                    (self, results)
                };
                // It goes on to its end even while the runtime is shut down.
                let Ok((writer, results)) = tokio::task::spawn_blocking(work).await else { return };
                self = writer;
                results
            } else {
                self.commit(tokens, jobs)
            };
            queue.committed(Duration::ZERO);
            if self.events.send(self.committed(results)).await.is_err() {
                return;
            }
        }
    }

    fn committed(&self, results: JobResults) -> Event {
        Event::Input(Input::Committed { results, heads: Box::new(self.heads.clone()) })
    }

    /// Runs a group of jobs and commits what they changed, in one transaction of the store.
    fn commit(&mut self, tokens: Vec<Token>, jobs: Vec<Job>) -> JobResults {
        let committed = match &self.failure {
            Some(failure) => Err(failure.clone()),
            None => {
                let show = |heads: &Heads| {
                    let vv = heads.vv(heads.shown()).clone();
                    // While the engine has that much to do, it is shown with the commit itself.
                    let _ = self.events.try_send(Event::Input(Input::Shown { vv }));
                };
                let show = self.has_disk.then_some(show);
                let commit = || commit_group_showing(&*self.store, &mut self.heads, jobs, show);
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

    /// Which writer there is.
    type Start = fn(
        Arc<dyn Store>,
        Arc<[Declared]>,
        mpsc::Sender<Event>,
        Failed,
    ) -> Result<WriterHandle, StoreError>;

    /// Writes six times to a store whose third commit fails like this, and returns which of them succeeded,
    /// how often the store was asked, and what was reported as the end.
    async fn six_writes(start: Start, error: Option<StoreError>) -> (Vec<bool>, u64, Vec<String>) {
        let store = MemoryStore::new();
        let store = Arc::new(Failing { store, commits: AtomicU64::new(0), error });
        let (events, mut inbox) = mpsc::channel(8);
        let reported = Arc::new(Mutex::new(Vec::new()));
        let report = reported.clone();
        let failed = move |error: StoreError| report.lock().unwrap().push(error.to_string());
        let writer = start(store.clone(), [].into(), events, Box::new(failed)).unwrap();
        let mut succeeded = Vec::new();
        for number in 0..6 {
            let job = WriterMessage::Job(Token(number), write("value"));
            writer.jobs().send(job);
            match inbox.recv().await {
                Some(Event::Input(Input::Committed { results, .. })) => {
                    assert_eq!(results.len(), 1);
                    assert_eq!(results[0].0, Token(number));
                    succeeded.push(results[0].1.is_ok());
                }
                _ => panic!("the writer answers each job"),
            }
        }
        writer.finish().await;
        let reported = reported.lock().unwrap().clone();
        (succeeded, store.commits.load(Relaxed), reported)
    }

    const BOTH: [Start; 2] = [WriterHandle::thread, WriterHandle::task];

    #[tokio::test]
    async fn nothing_is_acknowledged_after_a_failure() {
        for start in BOTH {
            let error = StoreError::Io { reason: "the disk is on fire".into() };
            let (succeeded, commits, reported) = six_writes(start, Some(error.clone())).await;
            assert_eq!(succeeded, [true, true, false, false, false, false]);
            assert_eq!(commits, 3, "a store that failed is left alone");
            assert_eq!(reported, [error.to_string()]);
        }
    }

    #[tokio::test]
    async fn a_panic_of_the_store_is_a_failure() {
        for start in BOTH {
            let (succeeded, commits, reported) = six_writes(start, None).await;
            assert_eq!(succeeded, [true, true, false, false, false, false]);
            assert_eq!(commits, 3);
            assert_eq!(reported, ["the store failed: the store panicked"]);
        }
    }

    #[tokio::test]
    async fn a_full_device_is_no_end() {
        for start in BOTH {
            let (succeeded, commits, reported) = six_writes(start, Some(StoreError::Full)).await;
            assert_eq!(succeeded, [true, true, false, true, true, true]);
            assert_eq!((commits, reported.len()), (6, 0));
        }
    }

    /// A task that would keep others waiting runs beside them, and what comes after it still comes after it.
    #[tokio::test]
    async fn what_is_long_and_what_is_short_keep_their_order() {
        let (events, mut inbox) = mpsc::channel(8);
        let store = Arc::new(MemoryStore::new());
        let failed = |error: StoreError| panic!("{error}");
        let writer = WriterHandle::task(store, [].into(), events, Box::new(failed)).unwrap();
        let fold = || Job::Fold { namespace: Namespace::MAIN, rows_max: 1 };
        for (number, job) in [write("1"), fold(), fold(), write("2")].into_iter().enumerate() {
            writer.jobs().send(WriterMessage::Job(Token(number as u64), job));
        }
        writer.finish().await;
        let mut done = Vec::new();
        while let Some(Event::Input(input)) = inbox.recv().await {
            let Input::Committed { results, .. } = input else { panic!("nothing comes of others") };
            done.extend(results.into_iter().map(|(token, _)| token.0));
        }
        assert_eq!(done, [0, 3, 1, 2], "a user's write overtakes what is long");
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
