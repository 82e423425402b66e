//! The replica: a handle on a running node.
//!
//! | module | holds |
//! |---|---|
//! | `handle` | the handle: reading, following, closing |
//! | `builder` | how an application opens it |
//! | `opening` | from a folder to running tasks |
//! | `writing` | transactions |
//! | `concerned` | for whose acks one waits, how far, and for how long |
//! | `receipt` | what their callers keep, and wait with again |
//! | `bookmark` | what a client has seen, taken from one replica to another |
//! | `operating` | what an operator does with it |
//! | `errors` | why that came to nothing |

mod bookmark;
mod builder;
mod concerned;
mod errors;
mod handle;
mod opening;
mod operating;
mod receipt;
mod writing;

pub use bookmark::{AtLeastError, Bookmark, ParseBookmarkError};
pub use builder::ReplicaBuilder;
pub use concerned::Concerned;
#[cfg(any(test, feature = "sim"))]
pub(crate) use concerned::timeout_ms;
pub use errors::{DelayError, InviteError, JoinError, PromoteError, ReleaseError};
pub use handle::Replica;
pub use receipt::{ConcernNotMet, Receipt, WaitFor};
pub use writing::{ConcernError, ConcernedWrite, Write};
