//! The set: each element on a path of its own, so that a change costs one element, whatever the set holds.
//!
//! ```text
//! concurrent, of one element    add, add    add, remove    remove, remove
//! add-wins                      in          in             out
//! remove-wins                   in          out            out
//! ```
//!
//! An element is a [`Flag`](super::flag::Flag) at its path, with kinds of its own: a set is told from a map of
//! flags by what is stored. The same lattice, bottom (no element) and costs: removing from a remove-wins set
//! leaves a dot. An add-wins set is the observed-remove set without tombstones of Bieniusa and others (2012).

use crate::types::flag::{is_marked, is_unopposed, mark, vote};
use crate::{Entry, Path, PathError, Payload, PayloadKind};

/// What happens to an element that somebody adds and somebody else, without seeing that, removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Set {
    /// It is in the set.
    AddWins,
    /// It is not.
    RemoveWins,
}

impl Set {
    /// What adding (`true`) or removing (`false`) an element writes at its path over the dots seen. `None` is a
    /// delete.
    pub fn payload(self, member: bool) -> Option<Payload> {
        match self {
            Self::AddWins => mark(PayloadKind::SET_ADD_WINS, member),
            Self::RemoveWins => Some(vote(PayloadKind::SET_REMOVE_WINS, member)),
        }
    }

    /// Whether the element whose entry this is belongs to the set. Payloads of other kinds have no say.
    pub fn contains(self, entry: &Entry) -> bool {
        match self {
            Self::AddWins => is_marked(entry, PayloadKind::SET_ADD_WINS),
            Self::RemoveWins => is_unopposed(entry, PayloadKind::SET_REMOVE_WINS),
        }
    }
}

/// The path of an element of the set at `set`.
///
/// # Errors
/// [`PathError`] when the path would be too long or too deep.
pub fn element_path(set: &Path, element: impl AsRef<[u8]>) -> Result<Path, PathError> {
    set.child(element)
}
