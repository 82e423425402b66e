//! The replicated state over a store: reading it, writing it, merging into it.
//!
//! [`View`] reads a consistent snapshot; [`WriteTx`] is what a user's closure writes through; [`apply`] runs
//! one [`Job`] of the engine against the store's latest state. None of this knows of links or peers, reads a
//! clock or draws randomness.

mod apply;
mod began;
mod clear;
mod compaction;
mod delayed;
mod enter;
mod floor;
mod fold;
mod gap;
mod group;
mod heads;
mod indexed_tx;
mod job;
mod lost;
mod mend;
mod overlay;
mod reissue;
mod staged_row;
mod staging;
mod tombstones;
mod transaction;
mod view;
mod write;

pub(crate) use apply::apply;
#[cfg(any(test, feature = "sim"))]
pub(crate) use clear::Clear;
pub(crate) use delayed::{Arrival, DelayMode, Due, settle_delay, shown_in};
pub(crate) use enter::{Enter, holds_no_data};
pub(crate) use floor::tells_all;
pub(crate) use fold::Fold;
#[cfg(any(test, feature = "backup"))]
pub(crate) use group::commit_group;
pub(crate) use group::{commit_group_showing, is_long, take_group};
pub(crate) use heads::{CutMark, Heads, Identity, Place, meta_key, read_meta, write_meta};
pub(crate) use job::{Cut, IndexWork, Job, JobError, Local, LocalClosure, Outcome, Takeover};
pub(crate) use lost::{has_content, is_lost};
pub(crate) use mend::Mend;
pub(crate) use overlay::Overlay;
pub(crate) use reissue::Reissue;
#[cfg(any(test, feature = "sim"))]
pub(crate) use reissue::Reissued;
pub(crate) use staged_row::decode_staged;
#[cfg(any(test, feature = "sim"))]
pub(crate) use tombstones::Tombstones;
pub(crate) use transaction::Transaction;
pub use view::View;
pub use write::{WriteError, WriteTx};
