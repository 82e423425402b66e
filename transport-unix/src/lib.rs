//! Millpond over Unix sockets: links between processes of one user on one host, at a fraction of what a network
//! costs.
//!
//! A [`Unix`] listens at a path and dials others, by addresses of the form `unix:/run/pond/anna.sock`. Both ends
//! prove their Ed25519 keys. What they say is not encrypted: the kernel carries it between the two processes, and
//! nobody else but root can read or change it. So that nobody stands in between either, both ends demand that the
//! process at the other end runs as the same user, or as root; that user could read the node's key anyway. Nodes
//! of several users on one host use another transport.
//!
//! Written to be read: what a transport has to do is little, and here is all of it. The guide is
//! `docs/TRANSPORTS.md`.
//!
//! # Wire
//! A link is three connections to one socket: a *session* for the handshake, signs of life and the goodbye, and one
//! connection for each lane. So the kernel's buffers are the lanes' back-pressure, each lane its own, and a goodbye
//! never waits behind frames.
//!
//! ```text
//! start   = "millpond" | version u8 (1) | kind u8 (0 session, 1 control lane, 2 bulk lane)      from the dialler
//! session = start | key [32] | nonce [32]                                                       from the dialler
//!           version u8 (1) | key [32] | nonce [32] | signature [64]                             from the acceptor
//!           signature [64]                                                                      from the dialler
//!           ticket [16]                                                                         from the acceptor
//!           word*                                                                               both ways
//! lane    = start | ticket [16] | frame*                                                        from the dialler
//!           frame*                                                                              from the acceptor
//! word    = 0 ping | 1 pong | 2 goodbye, code u32, length u16, reason [length]                  (little-endian)
//! signed  = "millpond unix 1 acceptor" or "millpond unix 1 dialler."
//!           | dialler's key | dialler's nonce | acceptor's key | acceptor's nonce
//! ```
//!
//! # Example
//! ```
//! use millpond_core::NodeKey;
//! use millpond_core::frame::frame;
//! use millpond_core::transport::{Lane, Transport};
//! use millpond_transport_unix::{Unix, UnixOptions};
//! use ring::{rand::SystemRandom, signature::Ed25519KeyPair};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let new_key = || Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
//! let (ann, bob) = (new_key().unwrap(), new_key().unwrap());
//! let options = UnixOptions::default();
//! let server = Unix::bind(ann.as_ref(), folder.path().join("ann.sock"), options.clone())?;
//! let client = Unix::bind(bob.as_ref(), folder.path().join("bob.sock"), options)?;
//!
//! let address = server.local_address();
//! let (dialed, accepted) = tokio::join!(client.dial(&address, server.key()), server.accept());
//! let (dialed, accepted) = (dialed?, accepted.expect("the server is open"));
//! assert_eq!(accepted.peer(), client.key());
//!
//! dialed.send(Lane::Control, frame(1, 1, b"hello")).await?;
//! assert_eq!(accepted.receive(Lane::Control).await?, frame(1, 1, b"hello"));
//! client.close().await;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![cfg(unix)]

mod address;
mod dial;
#[cfg(any(test, feature = "fuzz"))]
mod fuzz;
mod handshake;
mod lane;
pub mod limits;
mod link;
mod listener;
mod session;
mod socket_file;
mod unix;

#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub use fuzz::fuzz_unix;
pub use socket_file::BindError;
pub use unix::{Unix, UnixOptions};
