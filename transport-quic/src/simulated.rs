//! An endpoint over simulated datagrams, in virtual time, whose every choice follows from a seed.
//!
//! quinn asks tokio for the time, and so stands still where that is paused. What it draws by itself is seeded here:
//! connection ids, the keys of tokens and resets, the order of transport parameters, greasing; and what TLS draws, in
//! `simulated_tls`. So two runs of a seed send the same bytes.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Endpoint, EndpointConfig, ServerConfig, TokioRuntime, UdpPoller};
use quinn_proto::{ConnectionId, ConnectionIdGenerator};
use ring::{hkdf, hmac};
use tokio::runtime::Handle;

use crate::congestion::Closable;
use crate::dial::FirstIds;
use crate::quic::{Bound, accepting};
use crate::socket::{BindError, SocketBuffers};
use crate::{Identity, Quic, QuicOptions, simulated_tls, tls};

/// A simulated UDP socket.
pub trait Datagrams: fmt::Debug + Send + Sync + 'static {
    /// The address at which others reach it.
    fn local_address(&self) -> SocketAddr;

    /// Sends a datagram, which may be lost.
    ///
    /// # Errors
    /// Whatever a socket says.
    fn send(&self, to: SocketAddr, datagram: &[u8]) -> io::Result<()>;

    /// The next datagram, its length and its sender; pending until there is one. One task asks.
    ///
    /// # Errors
    /// Whatever a socket says.
    fn poll_receive(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>>;
}

impl Quic {
    /// As [`Quic::bind`], over simulated datagrams and with the choices of a seed. Nothing is secret then: for
    /// simulators only.
    ///
    /// # Errors
    /// As [`Quic::bind`].
    pub fn bind_simulated(
        identity: &Identity,
        datagrams: Arc<dyn Datagrams>,
        options: QuicOptions,
        seed: u64,
    ) -> Result<Self, BindError> {
        let runtime = Handle::try_current().map_err(|_| BindError::NoRuntime)?;
        let mut seeded = Seeded(seed);
        let local_address = datagrams.local_address();
        let reset_key = hmac::Key::new(hmac::HMAC_SHA256, &seeded.bytes::<64>());
        let token_key = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&seeded.bytes::<64>());
        let (rng_seed, ids) = (seeded.bytes(), seeded.next());
        let mut config = EndpointConfig::new(Arc::new(reset_key));
        config.rng_seed(Some(rng_seed)).cid_generator(move || Box::new(Ids(Seeded(ids))));
        let congestion = Arc::new(Closable::default());
        let provider = simulated_tls::provider(seeded.next());
        let tls = tls::server(identity, Arc::clone(&provider));
        let server = ServerConfig::new(Arc::new(tls), Arc::new(token_key));
        let endpoint = Endpoint::new_with_abstract_socket(
            config,
            Some(accepting(server, &options, &congestion)),
            Arc::new(Socket(datagrams)),
            Arc::new(TokioRuntime),
        )
        .map_err(|source| BindError::Io { address: local_address, source })?;
        let first_ids: FirstIds = Arc::new(|| ConnectionId::new(&simulated_tls::drawn::<20>()));
        let (first_ids, buffers) = (Some(first_ids), SocketBuffers::ample());
        let bound = Bound { endpoint, provider, first_ids, local_address, buffers };
        Ok(Self::start(&runtime, identity, bound, &options, congestion))
    }
}

/// Datagrams as quinn takes them: one at a time, always writable.
#[derive(Debug)]
struct Socket(Arc<dyn Datagrams>);

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.0.send(transmit.destination, transmit.contents)
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let (Some(buffer), Some(meta)) = (buffers.first_mut(), meta.first_mut()) else {
            return Poll::Ready(Ok(0));
        };
        self.0.poll_receive(context, buffer).map_ok(|(len, addr)| {
            *meta = RecvMeta { addr, len, stride: len, ecn: None, dst_ip: None };
            1
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.0.local_address())
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Connection ids of a seed, as long as quinn's own.
struct Ids(Seeded);

impl ConnectionIdGenerator for Ids {
    fn generate_cid(&mut self) -> ConnectionId {
        ConnectionId::new(&self.0.next().to_le_bytes())
    }

    fn cid_len(&self) -> usize {
        size_of::<u64>()
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// SplitMix64: enough for what need not be secret.
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.fill_with(|| self.next() as u8);
        bytes
    }
}
