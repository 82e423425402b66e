//! The flag: on or off, with a say in what a concurrent set and clear come to.
//!
//! ```text
//! concurrent        set, set    set, clear    clear, clear
//! enable-wins       on          on            off
//! disable-wins      on          off           off
//! ```
//!
//! The lattice is that of all entries: live dots under the join, ordered by what has been seen; the bottom is
//! the absent path, which reads as off. A write overwrites what its writer saw, so that only what nobody saw
//! overwritten has a say. An enable-wins flag that is off costs nothing. Clearing a disable-wins flag leaves a
//! dot also where nothing was set, since it must win over a set that it has not seen; once that dot is causally
//! stable it may be compacted.

use bytes::Bytes;

use crate::{Entry, LiveDot, Payload, PayloadKind};

/// What a flag is when somebody sets it and somebody else, without seeing that, clears it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flag {
    /// On.
    EnableWins,
    /// Off.
    DisableWins,
}

impl Flag {
    /// What setting (`true`) or clearing (`false`) the flag writes over the dots seen. `None` is a delete.
    pub fn payload(self, on: bool) -> Option<Payload> {
        match self {
            Self::EnableWins => mark(PayloadKind::FLAG_ENABLE_WINS, on),
            Self::DisableWins => Some(vote(PayloadKind::FLAG_DISABLE_WINS, on)),
        }
    }

    /// Whether the flag is on. Payloads of other kinds have no say.
    pub fn read(self, entry: &Entry) -> bool {
        match self {
            Self::EnableWins => is_marked(entry, PayloadKind::FLAG_ENABLE_WINS),
            Self::DisableWins => is_unopposed(entry, PayloadKind::FLAG_DISABLE_WINS),
        }
    }
}

/// The payload whose being there means yes; no is a delete.
pub(super) fn mark(kind: PayloadKind, yes: bool) -> Option<Payload> {
    yes.then_some(Payload { kind, bytes: Bytes::new() })
}

/// Whether a mark is live.
pub(super) fn is_marked(entry: &Entry, kind: PayloadKind) -> bool {
    of_kind(entry, kind).next().is_some()
}

/// The payload that says yes or no: one byte.
pub(super) fn vote(kind: PayloadKind, yes: bool) -> Payload {
    Payload { kind, bytes: Bytes::from_static(if yes { &[1] } else { &[0] }) }
}

/// Whether there are votes and none says no. Bytes that are no vote say no: what nobody can read must not
/// switch anything on.
pub(super) fn is_unopposed(entry: &Entry, kind: PayloadKind) -> bool {
    let mut votes = of_kind(entry, kind).map(|live| live.payload.bytes == [1][..]).peekable();
    votes.peek().is_some() && votes.all(|yes| yes)
}

fn of_kind(entry: &Entry, kind: PayloadKind) -> impl Iterator<Item = &LiveDot> {
    entry.live().iter().filter(move |live| live.payload.kind == kind)
}
