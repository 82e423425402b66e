//! A peer built from the description of the wire, which can break every rule of it.

use async_trait::async_trait;
use millpond_core::transport::Lane;
use millpond_transport_conformance::{RawLink, Seed, pkcs8};
use ring::signature::{Ed25519KeyPair, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

pub struct Raw {
    pub session: UnixStream,
    pub control: UnixStream,
    pub bulk: UnixStream,
}

pub fn pair(seed: Seed) -> Ed25519KeyPair {
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8(seed)).unwrap()
}

impl Raw {
    pub async fn open(to: &str, pair: &Ed25519KeyPair) -> std::io::Result<Self> {
        let path = to.strip_prefix("unix:").unwrap();
        let (session, ticket) = session(path, pair, pair.public_key().as_ref()).await?;
        let (control, bulk) = (lane(path, 1, &ticket).await?, lane(path, 2, &ticket).await?);
        Ok(Self { session, control, bulk })
    }

    fn lane(&mut self, lane: Lane) -> &mut UnixStream {
        match lane {
            Lane::Control => &mut self.control,
            Lane::Bulk => &mut self.bulk,
        }
    }
}

/// A session of whoever `shown` is said to be, signed by `pair`, and its ticket.
pub async fn session(
    path: &str,
    pair: &Ed25519KeyPair,
    shown: &[u8],
) -> std::io::Result<(UnixStream, [u8; 16])> {
    let mut session = UnixStream::connect(path).await?;
    let dialer = [shown, &[9; 32]].concat();
    session.write_all(&[b"millpond\x01\x00", &dialer[..]].concat()).await?;
    let mut reply = [0; 1 + 64 + 64];
    session.read_exact(&mut reply).await?;
    let signed = [b"millpond unix 1 dialler.", &dialer[..], &reply[1..65]].concat();
    session.write_all(pair.sign(&signed).as_ref()).await?;
    let mut ticket = [0; 16];
    session.read_exact(&mut ticket).await?;
    Ok((session, ticket))
}

/// A lane that shows a ticket.
pub async fn lane(path: &str, kind: u8, ticket: &[u8]) -> std::io::Result<UnixStream> {
    let mut lane = UnixStream::connect(path).await?;
    lane.write_all(&[b"millpond\x01", &[kind][..], ticket].concat()).await?;
    Ok(lane)
}

#[async_trait]
impl RawLink for Raw {
    async fn write(&mut self, lane: Lane, bytes: &[u8]) {
        self.lane(lane).write_all(bytes).await.unwrap();
    }

    async fn end(&mut self, lane: Lane) {
        self.lane(lane).shutdown().await.unwrap();
    }

    /// With a goodbye, since that is what a peer is told.
    async fn ended(&mut self) {
        let mut word = 0;
        while word != 2 {
            word = self.session.read_u8().await.expect("a goodbye comes before the end");
        }
    }
}
