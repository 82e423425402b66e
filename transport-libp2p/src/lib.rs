//! Millpond over libp2p: links over TCP, secured by Noise and shared by Yamux, between peers that are libp2p nodes.
//!
//! A [`Libp2p`] listens on a TCP socket and dials others, by multiaddresses such as `/ip4/203.0.113.9/tcp/8445` or
//! `/dns/pond.example/tcp/8445`. The node's Ed25519 key is its libp2p identity: a peer id contains the key whole, and
//! Noise proves it. Each link is one connection, with a stream for the goodbye and one for each lane. `identify` and
//! `ping` run beside them; connections are limited, and peers can be allowed and blocked. Where the options ask for it,
//! peers are found, relayed and reached through NATs. With the feature `quic` the same runs over QUIC.
//!
//! What is young below this crate is said in its README.
//!
//! # Wire
//! ```text
//! /millpond/1/session   word*                                       both ways: 0, a sign of life, or at last
//!                       1 | code u32 | length u16 | reason [length] a goodbye, little-endian
//! /millpond/1/control   frame*                                      both ways
//! /millpond/1/bulk      frame*                                      both ways
//! ```
//! The dialler opens all three, each by itself.
//!
//! # Example
//! ```
//! use millpond_core::frame::frame;
//! use millpond_core::transport::{Lane, Transport};
//! use millpond_transport_libp2p::{Libp2p, Libp2pOptions};
//! use ring::{rand::SystemRandom, signature::Ed25519KeyPair};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let new_key = || Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
//! let (ann, bob) = (new_key().unwrap(), new_key().unwrap());
//! let any_port = "127.0.0.1:0".parse()?;
//! let server = Libp2p::bind(ann.as_ref(), any_port, Libp2pOptions::default())?;
//! let client = Libp2p::bind(bob.as_ref(), any_port, Libp2pOptions::default())?;
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

mod address;
mod behaviours;
mod discovery;
mod found;
mod identity;
pub mod limits;
mod link;
#[cfg(feature = "quic")]
mod quic;
mod relays;
mod session;
mod streams;
mod swarm;
mod transport;

pub use transport::{BindError, Libp2p, Libp2pOptions};
