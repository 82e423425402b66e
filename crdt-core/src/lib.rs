//! The core of Millpond: values and pure functions, `no_std` with `alloc`.
//!
//! Here are causality ([`Dot`], [`VersionVector`], [`Hlc`]), the data ([`Path`], [`Entry`]), the one way to
//! merge it ([`join()`]), the [data types](types) as views over entries, and what travels: [`Push`] and
//! [`Row`], the [messages](message) that peers exchange and [how they look as bytes](wire), [frames](frame)
//! and the [transport contract](transport). It reads no clock, draws no randomness, opens nothing and starts
//! nothing: stores, engines and transports are other crates'.
//!
//! ```
//! use millpond_core::{Dot, Incarnation, Seq, VersionVector};
//!
//! let a = Incarnation::from_bytes([1; 16]);
//! let mut vv = VersionVector::new();
//! vv.advance(Dot::new(a, Seq::new(3).unwrap()));
//! assert!(vv.covers(Dot::new(a, Seq::FIRST)));
//! ```
#![no_std]

extern crate alloc;

mod closed;
mod compare;
mod dot;
mod entry;
pub mod frame;
mod hex;
mod hlc;
mod incarnation;
mod join;
pub mod limits;
pub mod message;
mod node_key;
mod path;
mod push;
mod succession;
mod survey;
pub mod transport;
pub mod types;
mod version_vector;
pub mod wire;
mod words;

pub use closed::{Closed, ClosedSeq};
pub use dot::{Dot, Seq};
pub use entry::{Entry, LiveDot, Payload, PayloadKind, Row, RowDot};
pub use hlc::{Hlc, HybridClock, StampError};
pub use incarnation::{
    Boot, Domain, Incarnation, Namespace, ParseDomainError, ParseIncarnationError,
};
pub use join::{Context, Joined, join};
pub use node_key::{NodeKey, ParseNodeKeyError, ShortKey};
pub use path::{Path, PathError};
pub use push::{Push, PushWrite};
pub use succession::Succession;
pub use version_vector::{DotRange, VersionVector};
