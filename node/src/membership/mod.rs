//! Who belongs to the domain: the system namespace, invites, and what they mean together.
//!
//! ```text
//! member / <key> / name                         register, written by the member itself
//! member / <key> / addresses                    register, written by the member itself
//! member / <key> / region                       register, written by the member itself, if it has one
//! member / <key> / cost                         register, written by the member itself, if it has one
//! member / <key> / incarnation / <incarnation>  register, written by the member itself
//! role   / <dot>                                log entry: subject, role, author, the author's vector
//! ```
//!
//! Roles are a log, never overwritten, and read in the order of (stamp, dot): a grant counts if its author
//! was an admin by then.

mod invite;
mod members;
mod role;

pub use invite::{Invite, InviteOptions, ParseInviteError};
pub(crate) use invite::{InviteBook, Redeemed};
pub(crate) use members::{Member, Members, OwnRecord, grant_role, record_incarnation, record_self};
pub use role::Role;
