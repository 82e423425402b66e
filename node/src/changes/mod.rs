//! Following what changes: current rows, then live, without a gap.
//!
//! A *cut* is all that changed between two vectors of this replica. It is told whole, change by change, and
//! then its token, from which a reader goes on here or at any other replica. Nothing is kept for a reader but
//! its vector and the snapshot at which its last cut ended: from the log of dots follows what changed since,
//! and from that snapshot what it was before. A slow reader gets larger cuts, in which each record comes once.
//!
//! | module | what |
//! |---|---|
//! | `change` | what a reader is told |
//! | `filter` | which records a reader wants |
//! | `touched` | which records the log says were written between two vectors |
//! | `walk` | the changes of one cut |
//! | `producer` | the task behind a stream: waits for commits, walks the cuts |
//! | `stream` | the stream, and how one is asked for |
//!
//! The HTTP API sends the same stream as server-sent events.

mod change;
mod filter;
mod producer;
mod stream;
mod touched;
mod walk;

pub use change::{Before, Change, ChangeEvent};
pub use filter::ChangeFilter;
pub use stream::Changes;
pub(crate) use walk::{RowKind, Walk, can_tell_since};
