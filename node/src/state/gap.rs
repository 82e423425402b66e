//! Gaps: where a snapshot is known to have no entries.

use millpond_core::{Namespace, Path};

/// A part of a namespace's path order without entries.
#[derive(Debug, Default)]
pub(super) struct Gap {
    /// An absent path; none before one was looked for.
    pub(super) after: Option<(Namespace, Path)>,
    pub(super) upto: Upto,
}

/// How far a gap reaches.
#[derive(Debug, Default)]
pub(super) enum Upto {
    /// Nobody has looked.
    #[default]
    Unknown,
    /// To this path.
    Before(Path),
    /// To the end of the namespace.
    End,
}

impl Gap {
    pub(super) fn begins_before(&self, namespace: Namespace, path: &Path) -> bool {
        self.after.as_ref().is_some_and(|(within, after)| *within == namespace && after <= path)
    }

    pub(super) fn holds(&self, namespace: Namespace, path: &Path) -> bool {
        let reaches = match &self.upto {
            Upto::Unknown => false,
            Upto::Before(next) => path < next,
            Upto::End => true,
        };
        reaches && self.begins_before(namespace, path)
    }
}
