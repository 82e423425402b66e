//! Millpond: an embeddable, durable, multi-writer replicated store.

#[cfg(feature = "http")]
pub mod http;
pub mod records;
mod replica;
pub mod state;
pub mod status;
pub mod store;

pub use replica::{
    Config, InitReport, Invite, InviteError, InviteOptions, JoinError, OpenError, ParseInviteError,
    Receipt, Replica, Role, Seal,
};
