//! The writer as a task: what its thread does, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::cluster::Cluster;
use crate::replication::{Input, Token};
use crate::runtime::{Event, Failed, Jobs, StartWriter, WriterHandle, WriterMessage};
use crate::sim::net::NodeId;
use crate::sim::node::{are_user, done};
use crate::state::{Heads, Job, JobError, commit_group, take_group};
use crate::store::{Store, StoreError};

/// The jobs that wait for a disk.
struct Queue {
    inbox: mpsc::UnboundedReceiver<WriterMessage>,
    is_stopping: bool,
}

/// Starts the task of a node whose commits take so long.
pub(super) fn start_writer(cluster: Cluster, id: NodeId, commit_ms: u64) -> StartWriter {
    Box::new(move |store, events, failed| {
        let heads = Heads::load(&*store.snapshot()?)?;
        let (jobs, inbox) = mpsc::unbounded_channel();
        let queue = Queue { inbox, is_stopping: false };
        let writer = Writer { cluster, id, commit_ms, store, heads, events, failed };
        let task = tokio::spawn(writer.run(queue));
        Ok(WriterHandle::of_task(Jobs::new(move |it| drop(jobs.send(it))), task))
    })
}

struct Writer {
    cluster: Cluster,
    id: NodeId,
    commit_ms: u64,
    store: Arc<dyn Store>,
    heads: Heads,
    events: mpsc::Sender<Event>,
    failed: Failed,
}

impl Writer {
    /// A kill may fall before a commit, or between a commit and its answer.
    async fn run(mut self, mut queue: Queue) {
        while let Some(first) = queue.first().await {
            sleep(Duration::from_millis(self.commit_ms / 2)).await;
            let (tokens, jobs) = take_group(first, || queue.next());
            let input = self.commit(tokens, jobs);
            sleep(Duration::from_millis(self.commit_ms.div_ceil(2))).await;
            if self.events.send(Event::Input(input)).await.is_err() {
                return;
            }
        }
    }

    fn commit(&mut self, tokens: Vec<Token>, jobs: Vec<Job>) -> Input {
        let are_user = are_user(&jobs);
        let committed = commit_group(&*self.store, &mut self.heads, jobs);
        let of_jobs = done(are_user, committed.clone().unwrap_or_default());
        self.cluster.committed(self.id, of_jobs);
        let results = match committed {
            Ok(results) => tokens.into_iter().zip(results).collect(),
            Err(error) => {
                self.fail(&error);
                let failed = |token| (token, Err(JobError::Store(error.clone())));
                tokens.into_iter().map(failed).collect()
            }
        };
        Input::Committed { results, heads: Box::new(self.heads.clone()) }
    }

    /// No disk of a cluster fails, so this is a bug of ours.
    fn fail(&self, error: &StoreError) {
        self.cluster.violated(Err(format!("the store of {}: {error}", self.id)));
        (self.failed)(error.clone());
    }
}

impl Queue {
    async fn first(&mut self) -> Option<(Token, Job)> {
        match self.is_stopping {
            true => None,
            false => {
                let message = self.inbox.recv().await?;
                self.job(message)
            }
        }
    }

    fn next(&mut self) -> Option<(Token, Job)> {
        let message = self.inbox.try_recv().ok()?;
        self.job(message)
    }

    fn job(&mut self, message: WriterMessage) -> Option<(Token, Job)> {
        match message {
            WriterMessage::Job(token, job) => Some((token, job)),
            WriterMessage::Stop => {
                self.is_stopping = true;
                None
            }
        }
    }
}
