//! Fields that several nodes wrote at once: which values there are, why one of them shows, and ending it.
//!
//! A conflict is no state of its own: it is the live values of a field that has several. An ordinary write of the
//! field ends it, on every replica that gets the write.

mod conflict;
mod explain;
mod resolve;
mod stream;
mod undo;

pub use conflict::{Candidate, Conflict, Writer};
pub use explain::Explanation;
pub use resolve::ResolveError;
pub use stream::{ConflictEvent, Conflicts};
