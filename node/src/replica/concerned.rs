//! Waiting for acks: for whose, how far, and for how long.

use std::time::Duration;

use crate::concern::{AckLevel, Concern};
use crate::replication::Wanted;

/// Something that waits for other members' acks: a [`ConcernedWrite`](super::ConcernedWrite) or a
/// [`WaitFor`](super::WaitFor). It waits until they have it on their disks, unless it is told otherwise, for 10 s.
#[derive(Debug)]
#[must_use = "nothing happens before it is awaited"]
pub struct Concerned<S> {
    pub(crate) subject: S,
    pub(crate) concern: Concern,
    pub(crate) level: AckLevel,
    timeout: Duration,
}

impl<S> Concerned<S> {
    pub(crate) fn new(subject: S, concern: Concern) -> Self {
        Self { subject, concern, level: AckLevel::Durable, timeout: TIMEOUT_DEFAULT }
    }

    /// Content with members that have it in memory: quicker, and lost if this node and they end at once.
    pub fn received(self) -> Self {
        self.level(AckLevel::Received)
    }

    /// Waits until readers of those members see it.
    pub fn applied(self) -> Self {
        self.level(AckLevel::Applied)
    }

    /// Waits until it is on those members' disks. This is the default.
    pub fn durable(self) -> Self {
        self.level(AckLevel::Durable)
    }

    pub(crate) fn level(self, level: AckLevel) -> Self {
        Self { level, ..self }
    }

    /// For how long to wait, once it is on disk here: 10 s unless this is called, and an hour at most.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    pub(crate) fn wanted(&self) -> Wanted {
        Wanted {
            concern: self.concern.clone(),
            level: self.level,
            timeout_ms: timeout_ms(self.timeout),
        }
    }
}

pub(crate) fn timeout_ms(timeout: Duration) -> u64 {
    timeout.min(TIMEOUT_MAX).as_millis() as u64
}

/// As long as MySQL waits for a replica before it goes on without.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// Whoever gives up waiting is not noticed before: the engine keeps a place for it.
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);
