//! Faults that a disk has in store.

use std::io;

/// One failure: when, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    /// Which operation fails, counted from zero.
    pub(super) at: u64,
    /// Which operations count.
    pub(super) among: Among,
    pub(super) kind: FaultKind,
}

/// Operations that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Among {
    /// Those that change the disk, or make changes last.
    Changes,
    /// Those that do not.
    Reads,
}

/// How an operation fails. A failed sync always keeps a part of what it should have kept, by chance; the
/// rest is lost though it can still be read, and no later sync notices: so do systems that take a page for
/// clean once they have tried to write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// It has no effect and fails; the next one succeeds.
    Error,
    /// The same, for lack of space.
    Full,
    /// Half of the bytes are written; the next operation succeeds.
    Torn,
    /// It fails, and so do all after it.
    Dead,
}

impl FaultKind {
    pub(super) const ALL: [Self; 4] = [Self::Error, Self::Full, Self::Torn, Self::Dead];

    pub(super) fn error(self) -> io::Error {
        match self {
            Self::Full => io::ErrorKind::StorageFull.into(),
            Self::Error | Self::Torn | Self::Dead => io::Error::other("the disk failed"),
        }
    }
}

/// Counts operations until one of them fails.
#[derive(Debug, Default)]
pub(super) struct Countdown {
    fault: Option<Fault>,
    changes: u64,
    reads: u64,
    struck: bool,
}

impl Countdown {
    pub(super) fn new(fault: Fault) -> Self {
        Self { fault: Some(fault), ..Self::default() }
    }

    /// Counts an operation that changes the disk; returns how it fails, if it does.
    pub(super) fn change(&mut self) -> Option<FaultKind> {
        self.changes += 1;
        self.strike(Among::Changes)
    }

    /// Counts one that does not.
    pub(super) fn read(&mut self) -> Option<FaultKind> {
        self.reads += 1;
        self.strike(Among::Reads)
    }

    /// Operations so far that count among these.
    pub(super) fn count(&self, among: Among) -> u64 {
        match among {
            Among::Changes => self.changes,
            Among::Reads => self.reads,
        }
    }

    /// Whether an operation has failed.
    pub(super) fn has_struck(&self) -> bool {
        self.struck
    }

    /// How the operation that was just counted among these fails.
    fn strike(&mut self, among: Among) -> Option<FaultKind> {
        let fault = self.fault?;
        let is_it = among == fault.among && self.count(among) == fault.at + 1;
        let fails = is_it || self.struck && fault.kind == FaultKind::Dead;
        self.struck |= fails;
        fails.then_some(fault.kind)
    }
}
