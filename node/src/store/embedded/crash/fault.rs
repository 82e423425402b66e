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
    /// All, reads too.
    All,
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
        let index = [self.changes, self.changes + self.reads];
        self.changes += 1;
        self.strike(index)
    }

    /// Counts one that does not.
    pub(super) fn read(&mut self) -> Option<FaultKind> {
        let index = [u64::MAX, self.changes + self.reads];
        self.reads += 1;
        self.strike(index)
    }

    /// Operations so far that count among these.
    pub(super) fn count(&self, among: Among) -> u64 {
        match among {
            Among::Changes => self.changes,
            Among::All => self.changes + self.reads,
        }
    }

    /// Whether an operation has failed.
    pub(super) fn has_struck(&self) -> bool {
        self.struck
    }

    /// The operation is of this index among changes, and among all.
    fn strike(&mut self, [of_changes, of_all]: [u64; 2]) -> Option<FaultKind> {
        let fault = self.fault?;
        let index = match fault.among {
            Among::Changes => of_changes,
            Among::All => of_all,
        };
        let fails = index == fault.at || self.struck && fault.kind == FaultKind::Dead;
        self.struck |= fails;
        fails.then_some(fault.kind)
    }
}
