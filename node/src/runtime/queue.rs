//! The writer's queue: which jobs share a commit.

use std::collections::VecDeque;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::WriterMessage;
use crate::replication::Token;
use crate::state::Job;

/// Jobs on their way to the writer. Whatever came while the last commit was at the disk shares the next one.
///
/// Whoever was answered by the last commit often writes again at once, but a moment too late: then half of
/// the writers would wait while the other half's commit is under way, which costs nearly as much as a commit
/// of all. So a commit with writes waits for those writers too, for at most a quarter of the time that the
/// last one took. A lone writer never waits.
pub(super) struct JobQueue {
    inbox: Receiver<WriterMessage>,
    /// What came before the last commit was answered.
    ahead: VecDeque<(Token, Job)>,
    /// Users' transactions handed out for this commit.
    writes: usize,
    /// As many were handed out for the last one, or wait.
    writes_expected: usize,
    /// How long to wait for them.
    patience: Duration,
    deadline: Instant,
    is_stopping: bool,
}

impl JobQueue {
    pub(super) fn new(inbox: Receiver<WriterMessage>) -> Self {
        Self {
            inbox,
            ahead: VecDeque::new(),
            writes: 0,
            writes_expected: 0,
            patience: Duration::ZERO,
            deadline: Instant::now(),
            is_stopping: false,
        }
    }

    /// The first job of the next commit; waits for one. `None` at the end of all jobs.
    pub(super) fn first(&mut self) -> Option<(Token, Job)> {
        if self.ahead.is_empty() && !self.is_stopping {
            let message = self.inbox.recv().unwrap_or(WriterMessage::Stop);
            self.accept(message);
        }
        self.deadline = Instant::now() + self.patience;
        self.hand_out()
    }

    /// A further job that is to share the commit.
    pub(super) fn next(&mut self) -> Option<(Token, Job)> {
        if self.ahead.is_empty() && !self.is_stopping {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let message = match self.inbox.try_recv() {
                Ok(message) => message,
                Err(_) if self.awaits_writes() => self.inbox.recv_timeout(left).ok()?,
                Err(_) => return None,
            };
            self.accept(message);
        }
        self.hand_out()
    }

    /// The commit of what was handed out is done, and is about to be answered.
    pub(super) fn committed(&mut self, took: Duration) {
        while !self.is_stopping
            && let Ok(message) = self.inbox.try_recv()
        {
            self.accept(message);
        }
        let waiting = self.ahead.iter().filter(|(_, job)| is_write(job)).count();
        self.writes_expected = waiting + std::mem::take(&mut self.writes);
        self.patience = took / 4;
    }

    fn awaits_writes(&self) -> bool {
        self.writes > 0 && self.writes < self.writes_expected
    }

    fn accept(&mut self, message: WriterMessage) {
        match message {
            WriterMessage::Job(token, job) => self.ahead.push_back((token, job)),
            WriterMessage::Stop => self.is_stopping = true,
        }
    }

    fn hand_out(&mut self) -> Option<(Token, Job)> {
        let (token, job) = self.ahead.pop_front()?;
        self.writes += usize::from(is_write(&job));
        Some((token, job))
    }
}

fn is_write(job: &Job) -> bool {
    matches!(job, Job::Local(_))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use millpond_core::{Incarnation, Namespace, NodeKey};

    use super::*;
    use crate::state::Local;

    const LONG: Duration = Duration::from_secs(3600);

    fn queue() -> (Sender<WriterMessage>, JobQueue) {
        let (jobs, inbox) = channel();
        (jobs, JobQueue::new(inbox))
    }

    fn write(number: u64) -> WriterMessage {
        let local = Local {
            namespace: Namespace::MAIN,
            closure: Box::new(|_| Ok(())),
            now_ms: 0,
            ended: None,
            fresh: Incarnation::from_bytes([1; 16]),
            key: NodeKey::from_bytes([2; 32]),
        };
        WriterMessage::Job(Token(number), Job::Local(local))
    }

    /// The tokens of the next commit.
    fn group(queue: &mut JobQueue) -> Vec<u64> {
        let first = queue.first().into_iter();
        let group = first.chain(std::iter::from_fn(|| queue.next()));
        group.map(|(Token(number), _)| number).collect()
    }

    #[test]
    fn a_lone_writer_never_waits() {
        let (jobs, mut queue) = queue();
        for number in 1..=3 {
            jobs.send(write(number)).unwrap();
            assert_eq!(group(&mut queue), [number]);
            queue.committed(LONG);
        }
    }

    #[test]
    fn a_writer_just_answered_shares_the_commit_of_one_that_waited() {
        let (jobs, mut queue) = queue();
        jobs.send(write(1)).unwrap();
        assert_eq!(group(&mut queue), [1]);
        jobs.send(write(2)).unwrap(); // while the first is at the disk
        queue.committed(LONG);
        let answered = std::thread::spawn(move || {
            jobs.send(write(3)).unwrap(); // whether it comes before or after the writer looks
            jobs
        });
        assert_eq!(group(&mut queue), [2, 3]);
        drop(answered.join().unwrap());
    }

    #[test]
    fn patience_ends() {
        let (jobs, mut queue) = queue();
        jobs.send(write(1)).unwrap();
        assert_eq!(group(&mut queue), [1]);
        jobs.send(write(2)).unwrap();
        queue.committed(Duration::from_millis(4));
        assert_eq!(group(&mut queue), [2]);
    }

    #[test]
    fn what_came_before_the_end_is_handed_out() {
        let (jobs, mut queue) = queue();
        jobs.send(write(1)).unwrap();
        assert_eq!(group(&mut queue), [1]);
        jobs.send(write(2)).unwrap();
        jobs.send(WriterMessage::Job(Token(3), Job::Meta(Vec::new()))).unwrap();
        jobs.send(WriterMessage::Stop).unwrap();
        queue.committed(LONG);
        assert_eq!(group(&mut queue), [2, 3]);
        assert!(queue.first().is_none());
    }
}
