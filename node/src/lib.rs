//! Millpond: an embeddable, durable, multi-writer replicated store.

mod advertise;
mod config;
mod folder;
#[cfg(feature = "http")]
pub mod http;
mod key_pair;
mod membership;
mod network;
pub mod records;
mod replica;
mod replication;
mod runtime;
mod seal;
mod state;
pub mod status;
pub mod store;

pub use config::Config;
pub use folder::{InitReport, OpenError};
pub use membership::{Invite, InviteOptions, ParseInviteError, Role};
pub use network::ListenError;
pub use replica::{InviteError, JoinError, Receipt, Replica};
pub use seal::Seal;
pub use state::{View, WriteError, WriteTx};
