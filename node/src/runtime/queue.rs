//! The writer's queue: which jobs share a commit.

use std::collections::VecDeque;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use millpond_core::Namespace;

use super::WriterMessage;
use crate::replication::Token;
use crate::state::Job;

/// Jobs on their way to the writer. Whatever came while the last commit was at the disk shares the next one.
///
/// Whoever was answered by the last commit often writes again at once, but a moment too late: then half of
/// the writers would wait while the other half's commit is under way, which costs nearly as much as a commit
/// of all. So a commit with writes waits for those writers too, for at most a quarter of the time that the
/// last one took. A lone writer never waits.
///
/// Slices of a large catch-up take tens of milliseconds each. Users' transactions overtake those that wait, and so does
/// what the domain says of itself (roles, removals, who takes writes); they share no commit with one; then one slice has
/// its turn. So a user waits for one slice at most, and the catch-up goes on however many users there are. What is urgent
/// mostly comes in a row, each after the answer to the one before: so after each of the next slices the disk is left
/// alone for as long as that one took, or until more comes.
pub(super) struct JobQueue {
    inbox: Receiver<WriterMessage>,
    /// What came before the last commit was answered.
    ahead: VecDeque<(Token, Job)>,
    /// Users' transactions handed out for this commit.
    writes: usize,
    /// As many were handed out for the last one, or wait.
    writes_expected: usize,
    /// Whether this commit holds what overtakes slices.
    is_urgent: bool,
    /// Whether this commit holds a slice.
    has_slice: bool,
    /// Whether the next commit is a slice's, since the last one was not while one waited.
    owes_slice: bool,
    /// How many slices yet are followed by a pause, since something urgent was committed.
    pauses_left: u32,
    /// How long the next slice waits for something urgent.
    pause: Duration,
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
            is_urgent: false,
            has_slice: false,
            owes_slice: false,
            pauses_left: 0,
            pause: Duration::ZERO,
            patience: Duration::ZERO,
            deadline: Instant::now(),
            is_stopping: false,
        }
    }

    /// Whether [`JobQueue::first`] would not wait.
    pub(super) fn has_some(&mut self) -> bool {
        self.accept_all();
        !self.ahead.is_empty() || self.is_stopping
    }

    /// The first job of the next commit; waits for one. `None` at the end of all jobs.
    pub(super) fn first(&mut self) -> Option<(Token, Job)> {
        if self.ahead.is_empty() && !self.is_stopping {
            let message = self.inbox.recv().unwrap_or(WriterMessage::Stop);
            self.accept(message);
            self.accept_all();
        }
        self.deadline = Instant::now() + self.patience;
        if !std::mem::take(&mut self.owes_slice) {
            self.leave_the_disk();
            self.let_one_overtake();
        }
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
        if self.is_urgent {
            self.let_one_overtake();
            if self.is_slice_next() {
                self.owes_slice = true;
                return None;
            }
        }
        self.hand_out()
    }

    /// The commit of what was handed out is done, and is about to be answered.
    pub(super) fn committed(&mut self, took: Duration) {
        self.accept_all();
        let waiting = self.ahead.iter().filter(|(_, job)| is_write(job)).count();
        self.writes_expected = waiting + std::mem::take(&mut self.writes);
        self.pause = Duration::ZERO;
        if std::mem::take(&mut self.has_slice)
            && let Some(left) = self.pauses_left.checked_sub(1)
        {
            (self.pauses_left, self.pause) = (left, took);
        }
        if std::mem::take(&mut self.is_urgent) {
            self.pauses_left = PAUSES;
        }
        self.patience = took / 4;
    }

    fn awaits_writes(&self) -> bool {
        self.writes > 0 && self.writes < self.writes_expected
    }

    /// All that is there by now.
    fn accept_all(&mut self) {
        while !self.is_stopping
            && let Ok(message) = self.inbox.try_recv()
        {
            self.accept(message);
        }
    }

    fn accept(&mut self, message: WriterMessage) {
        match message {
            WriterMessage::Job(token, job) => self.ahead.push_back((token, job)),
            WriterMessage::Stop => self.is_stopping = true,
        }
    }

    /// Waits before a slice for something urgent, if that is likely to come.
    fn leave_the_disk(&mut self) {
        let until = Instant::now() + std::mem::take(&mut self.pause);
        while !self.is_stopping
            && self.is_slice_next()
            && !self.ahead.iter().any(|(_, job)| is_urgent(job))
        {
            let left = until.saturating_duration_since(Instant::now());
            match self.inbox.recv_timeout(left) {
                Ok(message) => self.accept(message),
                Err(_) => return,
            }
        }
    }

    /// Puts the first job that overtakes slices before those that it waits behind.
    fn let_one_overtake(&mut self) {
        let place = self.ahead.iter().position(|(_, job)| !is_slice(job));
        let urgent = place.filter(|place| *place > 0 && is_urgent(&self.ahead[*place].1));
        if let Some(urgent) = urgent.and_then(|place| self.ahead.remove(place)) {
            self.ahead.push_front(urgent);
        }
    }

    fn is_slice_next(&self) -> bool {
        self.ahead.front().is_some_and(|(_, job)| is_slice(job))
    }

    fn hand_out(&mut self) -> Option<(Token, Job)> {
        let (token, job) = self.ahead.pop_front()?;
        self.writes += usize::from(is_write(&job));
        self.is_urgent |= is_urgent(&job);
        self.has_slice |= is_slice(&job);
        Some((token, job))
    }
}

/// Slices after something urgent that are followed by a pause: in that time the next urgent one has come, mostly.
const PAUSES: u32 = 2;

fn is_write(job: &Job) -> bool {
    matches!(job, Job::Local(_))
}

/// Work on data which no reader sees yet, or sees alike before and after: when it is done no write can tell. The system
/// namespace has no such work that would take long.
fn is_slice(job: &Job) -> bool {
    match job {
        Job::Cut(cut) => cut.namespace != Namespace::SYSTEM,
        Job::Fold { namespace, .. } | Job::DropCut { namespace, .. } => {
            *namespace != Namespace::SYSTEM
        }
        Job::Index(_) => true,
        _ => false,
    }
}

/// What overtakes slices, which it has nothing to do with: a user's transaction, and what others wrote to the system
/// namespace.
fn is_urgent(job: &Job) -> bool {
    match job {
        Job::Local(_) => true,
        Job::Pushes(pushes) => pushes.iter().all(|it| it.namespace() == Namespace::SYSTEM),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use bytes::Bytes;
    use millpond_core::wire::PushFrame;
    use millpond_core::{
        Hlc, Incarnation, NodeKey, Path, Payload, PayloadKind, Push, PushWrite, Seq, VersionVector,
    };

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

    fn slice(number: u64) -> WriterMessage {
        let fold = Job::Fold { namespace: Namespace::MAIN, rows_max: 1 };
        WriterMessage::Job(Token(number), fold)
    }

    /// A commit of one job, and how long it took.
    fn commit_one(queue: &mut JobQueue, took: Duration) -> Option<u64> {
        let first = queue.first().map(|(Token(number), _)| number);
        queue.committed(took);
        first
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

    /// What another one wrote to a namespace.
    fn push(number: u64, namespace: Namespace) -> WriterMessage {
        let write = PushWrite {
            path: Path::new(["member", "key", "role"]).unwrap(),
            hlc: Hlc::from_ms(1),
            payload: Some(Payload { kind: PayloadKind::LWW, bytes: Bytes::from_static(b"reader") }),
            overwritten: Vec::new(),
        };
        let push = Push {
            namespace,
            origin: Incarnation::from_bytes([1; 16]),
            first: Seq::new(1).unwrap(),
            deps: VersionVector::new(),
            writes: vec![write],
        };
        WriterMessage::Job(Token(number), Job::Pushes(vec![PushFrame::encode(&push)]))
    }

    #[test]
    fn what_the_domain_says_of_itself_overtakes_slices_of_data() {
        let (jobs, mut queue) = queue();
        jobs.send(slice(1)).unwrap();
        jobs.send(push(2, Namespace::SYSTEM)).unwrap();
        jobs.send(push(3, Namespace::MAIN)).unwrap();
        assert_eq!(group(&mut queue), [2]);
        queue.committed(Duration::ZERO);
        assert_eq!(group(&mut queue), [1, 3], "others' data waits");
        queue.committed(Duration::ZERO);
        let own = Job::Fold { namespace: Namespace::SYSTEM, rows_max: 1 };
        jobs.send(WriterMessage::Job(Token(4), own)).unwrap();
        jobs.send(push(5, Namespace::SYSTEM)).unwrap();
        assert_eq!(group(&mut queue), [4, 5], "its own slices come first");
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
    fn a_write_waits_for_one_slice_and_slices_go_on() {
        let (jobs, mut queue) = queue();
        let mut next = || {
            // Of a group that is full the writer asks for no more.
            let (Token(first), job) = queue.first().unwrap();
            let rest = std::iter::from_fn(|| if is_slice(&job) { None } else { queue.next() });
            let group: Vec<u64> = [first].into_iter().chain(rest.map(|(it, _)| it.0)).collect();
            queue.committed(Duration::ZERO);
            group
        };
        jobs.send(slice(1)).unwrap();
        assert_eq!(next(), [1]);
        [2, 3].into_iter().for_each(|number| jobs.send(slice(number)).unwrap());
        [4, 5].into_iter().for_each(|number| jobs.send(write(number)).unwrap());
        jobs.send(WriterMessage::Job(Token(6), Job::Close)).unwrap();
        jobs.send(write(7)).unwrap();
        assert_eq!(next(), [4, 5], "they overtake slices, and nothing else");
        assert_eq!(next(), [2], "it has its turn, though a write waits");
        assert_eq!(next(), [3]);
        assert_eq!(next(), [6, 7]);
    }

    #[test]
    fn what_comes_in_a_row_finds_the_disk_idle() {
        let (jobs, mut queue) = queue();
        let mut next = |took| commit_one(&mut queue, took);
        (1..=2).for_each(|number| jobs.send(slice(number)).unwrap());
        assert_eq!(next(LONG), Some(1));
        assert_eq!(next(LONG), Some(2), "a catch-up alone goes on");
        jobs.send(write(3)).unwrap();
        assert_eq!(next(LONG), Some(3));
        for (number, urgent) in [(4, 5), (6, 7)] {
            jobs.send(slice(number)).unwrap();
            assert_eq!(next(LONG), Some(number), "it has its turn");
            jobs.send(slice(number + 10)).unwrap();
            let jobs = jobs.clone();
            let writing = std::thread::spawn(move || jobs.send(write(urgent)).unwrap());
            assert_eq!(
                next(LONG),
                Some(urgent),
                "whether it comes before or after the queue looks"
            );
            writing.join().unwrap();
            assert_eq!(next(Duration::ZERO), Some(number + 10));
        }
    }

    #[test]
    fn a_pause_ends_after_as_long_as_the_slice_took_and_with_the_queue() {
        let (jobs, mut queue) = queue();
        let mut next = |took| commit_one(&mut queue, took);
        jobs.send(write(1)).unwrap();
        assert_eq!(next(LONG), Some(1));
        jobs.send(push(9, Namespace::MAIN)).unwrap();
        jobs.send(slice(8)).unwrap();
        assert_eq!(next(LONG), Some(9));
        assert_eq!(next(Duration::ZERO), Some(8), "what is no slice is followed by no pause");
        (2..=4).for_each(|number| jobs.send(slice(number)).unwrap());
        assert_eq!(next(Duration::from_millis(2)), Some(2));
        assert_eq!(next(LONG), Some(3), "nothing urgent came");
        jobs.send(WriterMessage::Stop).unwrap();
        assert_eq!(next(LONG), Some(4), "nothing will");
        assert_eq!(next(LONG), None);
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
