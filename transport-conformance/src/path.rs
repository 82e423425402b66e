//! Ways to an endpoint that can be slowed down, moved and cut: relays on loopback for TCP, Unix sockets and UDP.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};

/// What a relay does at the moment.
#[derive(Clone)]
struct Controls {
    /// 0 is as fast as it goes.
    bytes_per_s: Arc<AtomicU64>,
    cut: Arc<watch::Sender<bool>>,
}

impl Controls {
    fn new() -> Self {
        let (cut, _) = watch::channel(false);
        Self { bytes_per_s: Arc::default(), cut: Arc::new(cut) }
    }

    /// Takes the time that so many bytes need on this road.
    async fn pass(&self, bytes: usize) {
        let rate = self.bytes_per_s.load(Ordering::Relaxed);
        if rate > 0 {
            tokio::time::sleep(Duration::from_secs_f64(bytes as f64 / rate as f64)).await;
        }
    }

    async fn is_cut(&self) {
        let _ = self.cut.subscribe().wait_for(|cut| *cut).await;
    }
}

/// A relay of byte streams, or of packets.
///
/// Links through byte streams end when an address changes, so only a relay of packets can
/// [`Relay::rebind`] itself.
pub struct Relay {
    controls: Controls,
    task: JoinHandle<()>,
    packets: Option<Arc<Packets>>,
}

impl Relay {
    /// A relay to a TCP endpoint, and the address to dial.
    ///
    /// # Errors
    /// When loopback has no port left.
    pub async fn tcp(to: SocketAddr) -> io::Result<(Self, SocketAddr)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let controls = Controls::new();
        let relaying = controls.clone();
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if let Ok(far) = TcpStream::connect(to).await {
                    let _ = (near.set_nodelay(true), far.set_nodelay(true));
                    tokio::spawn(carry(near, far, relaying.clone()));
                }
            }
        });
        Ok((Self { controls, task, packets: None }, address))
    }

    /// A relay to the Unix socket at one path, that listens at another one.
    ///
    /// # Errors
    /// When it cannot listen there.
    #[cfg(unix)]
    pub fn unix(to: std::path::PathBuf, at: &std::path::Path) -> io::Result<Self> {
        let listener = tokio::net::UnixListener::bind(at)?;
        let controls = Controls::new();
        let relaying = controls.clone();
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if let Ok(far) = tokio::net::UnixStream::connect(&to).await {
                    tokio::spawn(carry(near, far, relaying.clone()));
                }
            }
        });
        Ok(Self { controls, task, packets: None })
    }

    /// A relay to a UDP endpoint, and the address to dial.
    ///
    /// # Errors
    /// When loopback has no port left.
    pub async fn udp(to: SocketAddr) -> io::Result<(Self, SocketAddr)> {
        let near = UdpSocket::bind("127.0.0.1:0").await?;
        let address = near.local_addr()?;
        let controls = Controls::new();
        let packets =
            Arc::new(Packets { near, to, moves: AtomicU8::new(0), peers: Mutex::default() });
        let task = tokio::spawn(Arc::clone(&packets).outward(controls.clone()));
        Ok((Self { controls, task, packets: Some(packets) }, address))
    }

    /// As [`Path::throttle`](crate::Path::throttle).
    pub fn throttle(&self, bytes_per_s: Option<u64>) {
        self.controls.bytes_per_s.store(bytes_per_s.unwrap_or(0), Ordering::Relaxed);
    }

    /// As [`Path::cut`](crate::Path::cut).
    pub fn cut(&self) {
        self.controls.cut.send_replace(true);
        self.task.abort();
    }

    /// As [`Path::rebind`](crate::Path::rebind).
    pub fn rebind(&self) -> bool {
        let Some(packets) = &self.packets else { return false };
        // The next packet of each peer goes out of a socket of its own.
        packets.moves.fetch_add(1, Ordering::Relaxed);
        lock(&packets.peers).clear();
        true
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.cut();
    }
}

/// Carries both directions of one stream until an end or the cut.
async fn carry(
    near: impl AsyncRead + AsyncWrite + Send + 'static,
    far: impl AsyncRead + AsyncWrite + Send + 'static,
    controls: Controls,
) {
    let (near_in, near_out) = tokio::io::split(near);
    let (far_in, far_out) = tokio::io::split(far);
    let both = async {
        tokio::join!(one_way(near_in, far_out, &controls), one_way(far_in, near_out, &controls))
    };
    tokio::select! {
        _ = both => {}
        () = controls.is_cut() => {}
    }
}

async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    controls: &Controls,
) -> io::Result<()> {
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        controls.pass(read).await;
        to.write_all(&buffer[..read]).await?;
    }
}

/// Packets of peers, each by way of a socket that is its own.
struct Packets {
    near: UdpSocket,
    to: SocketAddr,
    /// How often it has moved.
    moves: AtomicU8,
    peers: Mutex<BTreeMap<SocketAddr, Outlet>>,
}

struct Outlet {
    socket: Arc<UdpSocket>,
    inward: AbortHandle,
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.inward.abort();
    }
}

impl Packets {
    async fn outward(self: Arc<Self>, controls: Controls) {
        let mut packet = vec![0; 65_536];
        loop {
            let received = tokio::select! {
                () = controls.is_cut() => return lock(&self.peers).clear(),
                received = self.near.recv_from(&mut packet) => received,
            };
            let Ok((length, peer)) = received else { continue };
            controls.pass(length).await;
            if let Ok(outlet) = self.outlet(peer, &controls).await {
                let _ = outlet.send(&packet[..length]).await; // a packet may get lost
            }
        }
    }

    async fn outlet(
        self: &Arc<Self>,
        peer: SocketAddr,
        controls: &Controls,
    ) -> io::Result<Arc<UdpSocket>> {
        if let Some(outlet) = lock(&self.peers).get(&peer) {
            return Ok(Arc::clone(&outlet.socket));
        }
        let socket = Arc::new(UdpSocket::bind((self.host(), 0)).await?);
        socket.connect(self.to).await?;
        let inward = Arc::clone(self).inward(peer, Arc::clone(&socket), controls.clone());
        let inward = tokio::spawn(inward).abort_handle();
        lock(&self.peers).insert(peer, Outlet { socket: Arc::clone(&socket), inward });
        Ok(socket)
    }

    /// Each second move is to another port only, each other one to another address too, where loopback has more.
    fn host(&self) -> Ipv4Addr {
        let has_more = cfg!(target_os = "linux");
        Ipv4Addr::new(
            127,
            0,
            0,
            if has_more { 1 + self.moves.load(Ordering::Relaxed) / 2 % 64 } else { 1 },
        )
    }

    async fn inward(self: Arc<Self>, peer: SocketAddr, socket: Arc<UdpSocket>, controls: Controls) {
        let mut packet = vec![0; 65_536];
        while let Ok(length) = socket.recv(&mut packet).await {
            controls.pass(length).await;
            let _ = self.near.send_to(&packet[..length], peer).await;
        }
    }
}

/// What is kept is whole after any panic: nothing here runs code of others.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes that a relay takes at once: few, so that a cut comes within a frame.
const PIECE_BYTES: usize = 4 << 10;
