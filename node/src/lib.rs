//! Millpond: an embeddable, durable, multi-writer replicated store.

pub mod status;
pub mod store;
