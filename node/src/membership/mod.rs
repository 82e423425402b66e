//! Who belongs to the domain: the system namespace, invites, and what they mean together.
//!
//! ```text
//! member / <key> / name                         register, written by the member itself
//! member / <key> / addresses                    register, written by the member itself
//! member / <key> / region                       register, written by the member itself, if it has one
//! member / <key> / cost                         register, written by the member itself, if it has one
//! member / <key> / apply-after                  register, written by the member itself, if it is delayed
//! member / <key> / successor / <old> / <new>    register, by the member itself: its old key's word for the new one
//! member / <key> / retired / <old>              register, by the member itself or an admin: which one took its place
//! member / <key> / incarnation / <incarnation>  register, written by the member itself
//! member / <key> / closed / <incarnation>       max register: its final seqs, by whoever knows
//! role   / <dot>                                log entry: subject, role, author, the author's vector
//! primary / <dot>                               log entry: order, the primary or none, author, its vector
//! ```
//!
//! A member's `<key>` is its first one, whatever it shows by now.
//!
//! Roles and primaries are logs, never overwritten, and read together in the order of (stamp, dot): an entry
//! counts if its author was an admin by then, and a promotion also if its author was one by what it had seen.
//! Of the promotions that count the one of the greatest order holds, and of those that did not see each other
//! the last one, on every member alike.

mod closings;
#[cfg(test)]
mod domain;
mod invite;
mod invite_book;
mod keys;
mod logs;
mod members;
mod primary;
mod records;
mod removal;
mod role;
mod words;

pub(crate) use closings::{Finals, record_closed};
pub use invite::{Invite, InviteId, InviteOptions, ParseInviteError};
pub(crate) use invite_book::{InviteBook, Redeemed, Refusal};
pub use invite_book::{InviteState, IssuedInvite, PendingMember};
pub(crate) use keys::{CheckSignature, KeyChecks, is_signed, record_retired, record_succession};
pub(crate) use logs::{LogAuthors, grant_role};
pub(crate) use members::{Member, Members, OwnRecord, record_incarnation, record_self};
pub(crate) use primary::promote;
pub(crate) use records::Records;
pub(crate) use removal::remove_member;
pub use role::{ParseRoleError, Role};
pub(crate) use words::joiner_words;
