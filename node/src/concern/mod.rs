//! Concerns: which members have to hold a write before its caller is told that it is done.
//!
//! | module | holds |
//! |---|---|
//! | `concern` | whose acks are asked for, and whether they are there: a pure function of what is known |
//! | `acks` | who has acknowledged what, and who is late |
//! | `table` | PostgreSQL's rules of FIRST and ANY, row by row (tests) |

mod acks;
#[expect(clippy::module_inception, reason = "the concern itself")]
mod concern;
#[cfg(test)]
mod table;

pub use acks::{AckLevel, Acks, MemberAck, ParseLevelError, Standing};
pub(crate) use concern::Other;
pub use concern::{Concern, ParseConcernError};
