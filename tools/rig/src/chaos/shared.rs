//! What all threads of a run share.

use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::client::{Client, Connection};
use crate::host::Host;
use crate::node::Node;

/// Where a node can be asked, whether it runs or not.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) name: String,
    host: Host,
    data: PathBuf,
}

impl Place {
    pub(super) fn of(node: &Node) -> Self {
        Self { name: node.name().to_owned(), host: node.host().clone(), data: node.data() }
    }

    /// The API of the process that runs there now.
    pub(super) fn client(&self) -> io::Result<Client> {
        Client::new(&self.host, &self.data)
    }

    pub(super) fn connect(&self) -> io::Result<Connection> {
        self.client()?.connect()
    }
}

/// The state of a run.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) places: Vec<Place>,
    pub(super) start: Instant,
    is_over: AtomicBool,
    violations: Mutex<Vec<String>>,
    pub(super) answered: AtomicU64,
    /// Writes that were not answered, or not with a success: perhaps they were written.
    pub(super) unknown: AtomicU64,
    /// Of those answered, how many were transfers.
    pub(super) transfers: AtomicU64,
    pub(super) reads: AtomicU64,
    /// How many keys of its own each writer has begun.
    pub(super) begun: Vec<AtomicU64>,
}

impl Shared {
    pub(super) fn new(places: Vec<Place>, writers: usize) -> Self {
        let count = || AtomicU64::new(0);
        Self {
            places,
            start: Instant::now(),
            is_over: AtomicBool::new(false),
            violations: Mutex::default(),
            answered: count(),
            unknown: count(),
            transfers: count(),
            reads: count(),
            begun: (0..writers).map(|_| count()).collect(),
        }
    }

    /// Something is wrong: the run ends, so that the folders show it.
    pub(super) fn violated(&self, what: String) {
        eprintln!("{} VIOLATED: {what}", self.clock());
        let mut violations = self.violations.lock().unwrap_or_else(|poison| poison.into_inner());
        if violations.len() < VIOLATIONS_MAX {
            violations.push(what);
        }
        self.end();
    }

    pub(super) fn violations(&self) -> Vec<String> {
        self.violations.lock().unwrap_or_else(|poison| poison.into_inner()).clone()
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    pub(super) fn end(&self) {
        self.is_over.store(true, Relaxed);
    }

    /// Waits until so much of the run has passed, or it is over.
    pub(super) fn until(&self, moment: Duration) {
        while !self.is_over() {
            let left = moment.saturating_sub(self.start.elapsed());
            if left.is_zero() {
                return;
            }
            std::thread::park_timeout(left.min(LOOK_AGAIN));
        }
    }

    /// Rests for a moment.
    pub(super) fn rest(&self) {
        std::thread::park_timeout(LOOK_AGAIN);
    }

    /// How much of the run has passed, for people.
    pub(super) fn clock(&self) -> String {
        format!("{:8.2}", self.start.elapsed().as_secs_f64())
    }
}

/// However a part of a run ends, all others end.
pub(super) struct End<'a>(pub(super) &'a Shared);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// More say no more.
const VIOLATIONS_MAX: usize = 40;
