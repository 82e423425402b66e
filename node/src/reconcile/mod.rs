//! Finding what differs between two snapshots, by fingerprints of ranges.
//!
//! `Index` sums up one snapshot; [`Reconciler`] talks to the other side's until both know their own entries
//! that the other does not hold alike ([`Differs`]). Neither knows of links: ranges in, ranges out.

mod differs;
mod index;
mod reconciler;

#[cfg(test)]
mod tests;

pub(crate) use differs::Differs;
pub(crate) use reconciler::{Reconciler, Turn};
