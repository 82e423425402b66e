//! The UDP socket below an endpoint: bound, with large buffers.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Once;

use socket2::{Domain, Protocol, Socket, Type};

/// Why a [`Quic`](crate::Quic) could not be bound. No socket or task is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another socket has the address.
    #[error(
        "{address} is already in use: stop the process that listens there, or choose another port \
         (0 picks a free one)"
    )]
    InUse {
        /// What was asked for.
        address: SocketAddr,
    },
    /// No network interface of this host has the address.
    #[error(
        "{address} is not an address of this host: choose one that is, or 0.0.0.0 or [::] for all"
    )]
    NotLocal {
        /// What was asked for.
        address: SocketAddr,
    },
    /// The call came from outside a tokio runtime.
    #[error("binding needs a running tokio runtime")]
    NoRuntime,
    /// The operating system refused for another reason.
    #[error("cannot bind {address}")]
    Io {
        /// What was asked for.
        address: SocketAddr,
        /// What it said.
        source: io::Error,
    },
}

/// What the operating system granted for the buffers of a UDP socket, in the terms in which it was asked.
///
/// With less than [`SocketBuffers::WANTED_BYTES`] a burst overflows the buffer, and what overflows is lost
/// and sent again: with the usual default of 208 KiB, up to 44% on loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketBuffers {
    /// Size of the receive buffer.
    pub receive_bytes: usize,
    /// Size of the send buffer.
    pub send_bytes: usize,
}

impl SocketBuffers {
    /// What is asked for, per direction: 4 MiB, a few windows of a few busy links.
    pub const WANTED_BYTES: usize = 4 << 20;

    /// Whether both directions got what was asked for.
    pub fn are_granted(&self) -> bool {
        self.receive_bytes.min(self.send_bytes) >= Self::WANTED_BYTES
    }

    /// As if all that was asked for had been granted.
    #[cfg(feature = "sim")]
    pub(crate) fn ample() -> Self {
        Self { receive_bytes: Self::WANTED_BYTES, send_bytes: Self::WANTED_BYTES }
    }

    fn of(socket: &Socket) -> io::Result<Self> {
        Ok(Self {
            receive_bytes: socket.recv_buffer_size()? / KERNEL_FACTOR,
            send_bytes: socket.send_buffer_size()? / KERNEL_FACTOR,
        })
    }
}

/// Binds a UDP socket and asks for large buffers, warning once per process when they are not granted.
pub(crate) fn bind(address: SocketAddr) -> Result<(UdpSocket, SocketBuffers), BindError> {
    let socket = open(address).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { address },
        io::ErrorKind::AddrNotAvailable => BindError::NotLocal { address },
        _ => BindError::Io { address, source },
    })?;
    let buffers = enlarge_buffers(&socket).map_err(|source| BindError::Io { address, source })?;
    if !buffers.are_granted() {
        warn_once(buffers);
    }
    Ok((socket.into(), buffers))
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = match Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP)) {
        // [::] means every address, and on a host without IPv6 those are the IPv4 ones.
        Err(_) if address == SocketAddr::from((Ipv6Addr::UNSPECIFIED, address.port())) => {
            return open((Ipv4Addr::UNSPECIFIED, address.port()).into());
        }
        socket => socket?,
    };
    if address.is_ipv6() && address.ip().is_unspecified() {
        // [::] means every address, IPv4 ones included, whatever the system's default is. A host without
        // dual-stack sockets still serves IPv6.
        let _ = socket.set_only_v6(false);
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Some systems refuse a large size, others grant less silently: what counts is what is read back.
fn enlarge_buffers(socket: &Socket) -> io::Result<SocketBuffers> {
    let _ = socket.set_recv_buffer_size(SocketBuffers::WANTED_BYTES);
    let _ = socket.set_send_buffer_size(SocketBuffers::WANTED_BYTES);
    SocketBuffers::of(socket)
}

fn warn_once(buffers: SocketBuffers) {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| {
        tracing::warn!(
            receive_bytes = buffers.receive_bytes,
            send_bytes = buffers.send_bytes,
            wanted_bytes = SocketBuffers::WANTED_BYTES,
            "udp socket buffers are smaller than wanted, bulk transfer will lose packets; raise \
             net.core.rmem_max and net.core.wmem_max (sysctl) to the wanted size and restart"
        );
    });
}

/// Linux doubles what was asked for, to pay for its bookkeeping, and reports the double (socket(7)).
const KERNEL_FACTOR: usize =
    if cfg!(any(target_os = "linux", target_os = "android")) { 2 } else { 1 };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_socket_knows_its_port_and_its_buffers() {
        let (socket, buffers) = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_ne!(socket.local_addr().unwrap().port(), 0);
        assert!(buffers.receive_bytes > 0 && buffers.send_bytes > 0);
    }

    #[test]
    fn buffers_count_as_granted_only_when_both_directions_are() {
        let wanted = SocketBuffers::WANTED_BYTES;
        let buffers = |receive_bytes, send_bytes| SocketBuffers { receive_bytes, send_bytes };
        assert!(buffers(wanted, wanted).are_granted());
        assert!(!buffers(wanted, 212_992).are_granted());
        assert!(!buffers(212_992, wanted).are_granted());
    }

    #[test]
    fn an_address_of_another_host_is_named_as_such() {
        let address = "192.0.2.1:0".parse().unwrap(); // reserved for documentation
        assert!(matches!(bind(address), Err(BindError::NotLocal { .. })));
    }
}
