//! Peers that break the rules of a handshake.

use std::time::Duration;

use millpond_core::frame::frame;
use millpond_core::transport::{Lane, Transport};
use millpond_transport_conformance::pkcs8;
use millpond_transport_unix::{Unix, UnixOptions};
use ring::signature::KeyPair;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::raw_peer::{self, Raw, pair};

struct Served {
    unix: Unix,
    folder: tempfile::TempDir,
}

impl Served {
    fn new(handshake_timeout: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = UnixOptions::default();
        options.handshake_timeout = handshake_timeout;
        let unix = Unix::bind(&pkcs8([1; 32]), folder.path().join("a.sock"), options).unwrap();
        Self { unix, folder }
    }

    fn path(&self) -> String {
        self.unix.local_address().strip_prefix("unix:").unwrap().to_owned()
    }

    /// A node of ours still gets its link.
    async fn still_serves(&self) {
        let path = self.folder.path().join("b.sock");
        let other = Unix::bind(&pkcs8([2; 32]), path, UnixOptions::default()).unwrap();
        let address = self.unix.local_address();
        let (dialed, accepted) = within(async {
            tokio::join!(other.dial(&address, self.unix.key()), self.unix.accept())
        })
        .await;
        let (dialed, accepted) = (dialed.unwrap(), accepted.unwrap());
        assert_eq!(accepted.peer(), other.key());
        dialed.send(Lane::Control, frame(1, 1, b"x")).await.unwrap();
        assert_eq!(within(accepted.receive(Lane::Control)).await.unwrap(), frame(1, 1, b"x"));
    }
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("took longer than 30 s")
}

#[tokio::test]
async fn a_key_that_is_not_held_never_becomes_a_link() {
    let served = Served::new(Duration::from_secs(20));
    let victim = pair([7; 32]);
    let (path, impostor) = (served.path(), pair([8; 32]));
    let opened = raw_peer::session(&path, &impostor, victim.public_key().as_ref());
    assert!(within(opened).await.is_err(), "it was given a ticket");
    served.still_serves().await;
}

#[tokio::test]
async fn lanes_without_a_session_are_refused() {
    let served = Served::new(Duration::from_secs(20));
    let mut stray = raw_peer::lane(&served.path(), 1, &[3; 16]).await.unwrap();
    assert_eq!(within(stray.read(&mut [0])).await.unwrap(), 0);
    served.still_serves().await;
}

#[tokio::test]
async fn a_lane_that_is_opened_twice_ends_its_session() {
    let served = Served::new(Duration::from_secs(20));
    let us = pair([7; 32]);
    let (mut session, ticket) =
        raw_peer::session(&served.path(), &us, us.public_key().as_ref()).await.unwrap();
    let _first = raw_peer::lane(&served.path(), 1, &ticket).await.unwrap();
    let _second = raw_peer::lane(&served.path(), 1, &ticket).await.unwrap();
    assert_eq!(within(session.read(&mut [0])).await.unwrap(), 0);
    served.still_serves().await;
}

#[tokio::test]
async fn a_ticket_is_good_for_one_link() {
    let served = Served::new(Duration::from_secs(20));
    let us = pair([7; 32]);
    let (_session, ticket) =
        raw_peer::session(&served.path(), &us, us.public_key().as_ref()).await.unwrap();
    let _control = raw_peer::lane(&served.path(), 1, &ticket).await.unwrap();
    let _bulk = raw_peer::lane(&served.path(), 2, &ticket).await.unwrap();
    let _accepted = within(served.unix.accept()).await.unwrap();
    let mut late = raw_peer::lane(&served.path(), 2, &ticket).await.unwrap();
    assert_eq!(within(late.read(&mut [0])).await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_no_start_is_refused() {
    let served = Served::new(Duration::from_secs(20));
    for start in [&b"GET / HTTP/1.1\r\n"[..], b"millpond\x02\x00", b"millpond\x01\x07"] {
        let mut stream = UnixStream::connect(served.path()).await.unwrap();
        stream.write_all(start).await.unwrap();
        let read = within(stream.read(&mut [0])).await; // unread bytes make it a reset
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
    served.still_serves().await;
}

#[tokio::test]
async fn who_stalls_delays_nobody_and_is_ended_at_the_deadline() {
    let served = Served::new(Duration::from_millis(300));
    let mut stalled = Vec::new();
    for _ in 0..100 {
        stalled.push(UnixStream::connect(served.path()).await.unwrap());
    }
    served.still_serves().await;
    for mut stream in stalled {
        assert_eq!(within(stream.read(&mut [0])).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_word_that_is_unknown_ends_the_link() {
    let served = Served::new(Duration::from_secs(20));
    let mut raw = Raw::open(&served.unix.local_address(), &pair([7; 32])).await.unwrap();
    let accepted = within(served.unix.accept()).await.unwrap();
    raw.session.write_all(&[77]).await.unwrap();
    assert!(within(accepted.receive(Lane::Bulk)).await.is_err());
}
