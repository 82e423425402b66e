//! Dialling: a session, and then its lanes.

use std::io;
use std::path::Path;
use std::time::Duration;

use millpond_core::NodeKey;
use millpond_core::transport::{DialError, Lane};
use ring::signature::Ed25519KeyPair;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use crate::address;
use crate::handshake::{self, HandshakeError, Kind, Ticket};
use crate::link::{Streams, UnixLink};
use crate::unix::UnixOptions;

/// A link to the node with `expected`'s key at `address`.
pub(crate) async fn dial(
    address: &str,
    expected: NodeKey,
    pair: &Ed25519KeyPair,
    options: &UnixOptions,
) -> Result<UnixLink, DialError> {
    let path = address::parse(address)?;
    let dialed = timeout(options.handshake_timeout, connect(&path, expected, pair)).await;
    let dialed = dialed.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()));
    match dialed {
        Ok(streams) => Ok(UnixLink::new(streams, expected, true, address.to_owned(), options)),
        Err(error) => Err(refusal(error, address.to_owned(), expected)),
    }
}

fn refusal(error: HandshakeError, address: String, expected: NodeKey) -> DialError {
    let reason = match &error {
        HandshakeError::Io(error) => match error.kind() {
            io::ErrorKind::NotFound => "there is no socket".to_owned(),
            io::ErrorKind::ConnectionRefused => "nobody listens there".to_owned(),
            io::ErrorKind::TimedOut => "nobody answered in time".to_owned(),
            _ => error.to_string(),
        },
        error => error.to_string(),
    };
    match error {
        HandshakeError::AnotherKey(_) | HandshakeError::Unproven(_) => {
            DialError::WrongKey { address, expected, reason }
        }
        HandshakeError::Foreign | HandshakeError::Version(_) | HandshakeError::UnknownKind(_) => {
            DialError::Incompatible { address, reason }
        }
        HandshakeError::Io(_) | HandshakeError::AnotherUser(..) => {
            DialError::Unreachable { address, reason }
        }
    }
}

async fn connect(
    path: &Path,
    expected: NodeKey,
    pair: &Ed25519KeyPair,
) -> Result<Streams, HandshakeError> {
    let mut session = open(path, Kind::Session).await?;
    let ticket = handshake::dial(&mut session, pair, expected).await?;
    let control = lane(path, Lane::Control, ticket).await?;
    let bulk = lane(path, Lane::Bulk, ticket).await?;
    Ok(Streams { session, control, bulk })
}

async fn lane(path: &Path, lane: Lane, ticket: Ticket) -> Result<UnixStream, HandshakeError> {
    let mut stream = open(path, Kind::Lane(lane)).await?;
    stream.write_all(&ticket).await?;
    Ok(stream)
}

async fn open(path: &Path, kind: Kind) -> Result<UnixStream, HandshakeError> {
    let mut stream = loop {
        match UnixStream::connect(path).await {
            // The queue of those who wait to be accepted is full, and the system tells nobody when it is not.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(QUEUE_WAIT).await,
            stream => break stream?,
        }
    };
    handshake::check_user(&stream)?;
    handshake::start(&mut stream, kind).await?;
    Ok(stream)
}

/// Long enough for a listener to take some of those who wait, and short beside a dial.
const QUEUE_WAIT: Duration = Duration::from_millis(5);
