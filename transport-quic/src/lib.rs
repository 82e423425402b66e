//! Millpond over QUIC: links whose two ends have proved their Ed25519 keys.
//!
//! A [`Quic`] dials and accepts links on one UDP socket. Each link is one QUIC connection (quinn), secured
//! by TLS 1.3 (rustls with ring) with RFC 7250 raw public keys both ways: no certificates, names or expiry
//! dates. The dialler pins the key that it expects; the accepting side takes any Ed25519 key and reports
//! it. Whether that key is a member, and what frames mean, is decided above, after the hello.
//!
//! # Wire
//! ALPN `millpond/1`. The dialler opens two bidirectional streams, one per lane, and starts each with two
//! bytes; then both directions carry frames ([`millpond_core::frame`]) and nothing else.
//!
//! ```text
//! stream = version u8 (1) | lane u8 (0 control, 1 bulk) | frame*     dialler to acceptor
//! stream = frame*                                                    acceptor to dialler
//! ```
//!
//! Close codes from [`TRANSPORT_CLOSE_CODES_FROM`] upward are this crate's; those below belong to the layer
//! above.
//!
//! [`TRANSPORT_CLOSE_CODES_FROM`]: millpond_core::transport::TRANSPORT_CLOSE_CODES_FROM
//!
//! # Example
//! ```
//! use millpond_core::frame::frame;
//! use millpond_core::transport::{Lane, Transport};
//! use millpond_transport_quic::{Identity, Quic, QuicOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (ann, bob) = (Identity::generate()?, Identity::generate()?);
//! let any_port = "127.0.0.1:0".parse()?;
//! let server = Quic::bind(&ann, any_port, QuicOptions::default())?;
//! let client = Quic::bind(&bob, any_port, QuicOptions::default())?;
//!
//! let address = server.local_address();
//! let (dialed, accepted) = tokio::join!(client.dial(&address, ann.key()), server.accept());
//! let (dialed, accepted) = (dialed?, accepted.expect("the server is open"));
//! assert_eq!(accepted.peer(), bob.key());
//!
//! dialed.send(Lane::Control, frame(1, 1, b"hello")).await?;
//! assert_eq!(accepted.receive(Lane::Control).await?, frame(1, 1, b"hello"));
//! client.close().await;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod address;
mod close;
mod congestion;
mod dial;
mod identity;
mod lane;
mod lane_streams;
pub mod limits;
mod link;
mod listener;
mod options;
mod quic;
mod raw_key;
#[cfg(feature = "sim")]
mod simulated;
#[cfg(feature = "sim")]
mod simulated_tls;
mod socket;
mod tls;

pub use identity::{Identity, IdentityError};
pub use options::QuicOptions;
pub use quic::Quic;
#[cfg(feature = "sim")]
pub use simulated::Datagrams;
pub use socket::{BindError, SocketBuffers};
