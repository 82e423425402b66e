//! A UDP socket of turmoil's, as the QUIC transport takes it.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use millpond_transport_quic::Datagrams;
use turmoil::net::UdpSocket;

use crate::road::Road;

/// The socket of one node.
pub(crate) struct Socket {
    socket: Arc<UdpSocket>,
    local: SocketAddr,
    road: Road,
    /// Resolves when there is something to read. It has turmoil's queue to itself until then.
    readable: Mutex<Option<Readable>>,
}

type Readable = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

impl Socket {
    /// A socket that was bound, and is reached at `local`.
    pub(crate) fn new(socket: UdpSocket, local: SocketAddr, road: Road) -> Self {
        Self { socket: Arc::new(socket), local, road, readable: Mutex::new(None) }
    }
}

impl Datagrams for Socket {
    fn local_address(&self) -> SocketAddr {
        self.local
    }

    fn send(&self, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        for _ in 0..self.road.set_out(self.local.port(), to.port(), datagram) {
            match self.socket.try_send_to(datagram, to) {
                // Nobody is there, which a sender of datagrams need not hear.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                sent => drop(sent?),
            }
        }
        Ok(())
    }

    fn poll_receive(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut readable = self.readable.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(waiting) = &mut *readable {
                let ended = ready!(waiting.as_mut().poll(context));
                *readable = None;
                ended?;
            }
            match self.socket.try_recv_from(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let socket = Arc::clone(&self.socket);
                    *readable = Some(Box::pin(async move { socket.readable().await }));
                }
                received => return Poll::Ready(received),
            }
        }
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("local", &self.local).finish_non_exhaustive()
    }
}
