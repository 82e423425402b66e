//! The durable store: one redb file in the data folder. `docs/STORE.md` describes it byte by byte.
//!
//! The contract speaks of paths and dots; the file holds packs (the entries of one record together) and
//! log blocks (64 consecutive dots together), which takes a third of the space and of the time that a row
//! for each would. Packing ends at this module's edge.

mod codec;
#[cfg(any(test, feature = "sim"))]
pub mod crash;
mod entries_table;
mod error;
mod folder;
mod fuse;
mod keys;
mod log_block;
mod log_table;
mod pack;
mod plain_tables;
mod sealed;
mod snapshot;
mod space;
mod store;

#[cfg(feature = "backup")]
pub(crate) use folder::Folder;
pub(crate) use folder::file_in;
#[cfg(test)]
pub(crate) use sealed::TableName;
pub use store::{EmbeddedOptions, EmbeddedStore};

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
