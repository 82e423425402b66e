//! The accepting side: many connections at once, a bounded number, each with a deadline, joined to links.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use millpond_core::transport::Lane;
use ring::signature::Ed25519KeyPair;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Duration, sleep, timeout};

use crate::handshake::{self, HandshakeError, Kind, Ticket};
use crate::limits::{CONNECTIONS_MAX, SESSIONS_MAX};
use crate::link::{Streams, UnixLink};
use crate::unix::UnixOptions;

/// What each inbound connection needs.
pub(crate) struct Door {
    pub(crate) pair: Arc<Ed25519KeyPair>,
    pub(crate) options: UnixOptions,
    pub(crate) ready: mpsc::Sender<UnixLink>,
    sessions: Semaphore,
    /// Sessions that wait for their lanes.
    waiting: Mutex<BTreeMap<Ticket, mpsc::Sender<(Lane, UnixStream)>>>,
}

#[derive(Debug, thiserror::Error)]
enum AdmitError {
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    #[error("too many sessions are being opened")]
    Busy,
    #[error("a lane shows the ticket of no session")]
    UnknownTicket,
    #[error("a lane was opened twice")]
    LaneTwice,
    #[error("it was not finished in time")]
    TooLate(#[from] tokio::time::error::Elapsed),
}

impl From<io::Error> for AdmitError {
    fn from(error: io::Error) -> Self {
        Self::Handshake(error.into())
    }
}

/// Accepts connections until the task is aborted.
pub(crate) async fn listen(listener: UnixListener, door: Door) {
    let door = Arc::new(door);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(Arc::clone(&door).admit(stream));
                }
                Err(error) => {
                    // Mostly too many open files: others have to close some first.
                    tracing::debug!(%error, "a connection was not accepted");
                    sleep(ACCEPT_WAIT).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

impl Door {
    pub(crate) fn new(
        pair: Arc<Ed25519KeyPair>,
        options: UnixOptions,
        ready: mpsc::Sender<UnixLink>,
    ) -> Self {
        let (sessions, waiting) = (Semaphore::new(SESSIONS_MAX), Mutex::default());
        Self { pair, options, ready, sessions, waiting }
    }

    /// One connection, from its first byte to its place in a link, and the link's to its place in the queue.
    async fn admit(self: Arc<Self>, stream: UnixStream) {
        let link = match timeout(self.options.handshake_timeout, self.establish(stream)).await {
            Ok(Ok(link)) => link,
            Ok(Err(error)) => return tracing::debug!(%error, "an inbound connection failed"),
            Err(error) => {
                let error = AdmitError::from(error);
                return tracing::debug!(%error, "an inbound connection failed");
            }
        };
        let Some(link) = link else { return };
        let session = Arc::clone(link.session());
        tokio::select! {
            place = self.ready.reserve() => if let Ok(place) = place {
                place.send(link);
            },
            _ = session.ended() => {}
        }
    }

    async fn establish(&self, mut stream: UnixStream) -> Result<Option<UnixLink>, AdmitError> {
        handshake::check_user(&stream)?;
        match handshake::started(&mut stream).await? {
            Kind::Session => self.session(stream).await.map(Some),
            Kind::Lane(lane) => self.lane(lane, stream).await.map(|()| None),
        }
    }

    async fn session(&self, mut session: UnixStream) -> Result<UnixLink, AdmitError> {
        let _place = self.sessions.try_acquire().map_err(|_| AdmitError::Busy)?;
        let peer = handshake::accept(&mut session, &self.pair).await?;
        let process = session.peer_cred()?.pid();
        let ticket = handshake::new_ticket()?;
        let mut lanes = Lanes::expect(self, ticket);
        session.write_all(&ticket).await?;
        let (control, bulk) = lanes.come().await?;
        let from = process.map_or("a process".to_owned(), |process| format!("process {process}"));
        Ok(UnixLink::new(Streams { session, control, bulk }, peer, false, from, &self.options))
    }

    async fn lane(&self, lane: Lane, mut stream: UnixStream) -> Result<(), AdmitError> {
        let mut ticket = Ticket::default();
        stream.read_exact(&mut ticket).await?;
        let session = self.waiting().get(&ticket).cloned().ok_or(AdmitError::UnknownTicket)?;
        session.try_send((lane, stream)).map_err(|_| AdmitError::LaneTwice)
    }

    /// What is kept is whole after any panic: nothing here runs code of others.
    fn waiting(
        &self,
    ) -> std::sync::MutexGuard<'_, BTreeMap<Ticket, mpsc::Sender<(Lane, UnixStream)>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lanes that a session waits for. Its ticket is good for as long as this lives.
struct Lanes<'a> {
    door: &'a Door,
    ticket: Ticket,
    come: mpsc::Receiver<(Lane, UnixStream)>,
}

impl<'a> Lanes<'a> {
    fn expect(door: &'a Door, ticket: Ticket) -> Self {
        let (sender, come) = mpsc::channel(2);
        door.waiting().insert(ticket, sender);
        Self { door, ticket, come }
    }

    /// Control and bulk, in whichever order they came.
    async fn come(&mut self) -> Result<(UnixStream, UnixStream), AdmitError> {
        let (mut control, mut bulk) = (None, None);
        while let Some((lane, stream)) = self.come.recv().await {
            let place = match lane {
                Lane::Control => &mut control,
                Lane::Bulk => &mut bulk,
            };
            if place.replace(stream).is_some() {
                return Err(AdmitError::LaneTwice);
            }
            if control.is_some() && bulk.is_some() {
                break;
            }
        }
        control.zip(bulk).ok_or(AdmitError::UnknownTicket)
    }
}

impl Drop for Lanes<'_> {
    fn drop(&mut self) {
        self.door.waiting().remove(&self.ticket);
    }
}

const ACCEPT_WAIT: Duration = Duration::from_millis(50);
