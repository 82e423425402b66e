//! Where a node runs: this machine, or a network namespace that is a machine of its own to its processes.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Where a node runs.
#[derive(Debug, Clone)]
pub struct Host {
    /// The namespace's name; `None` is this machine.
    namespace: Option<String>,
    /// Its address.
    address: IpAddr,
}

impl Host {
    /// This machine, on loopback.
    pub fn here() -> Self {
        Self { namespace: None, address: Ipv4Addr::LOCALHOST.into() }
    }

    pub(crate) fn in_namespace(name: String, address: Ipv4Addr) -> Self {
        Self { namespace: Some(name), address: address.into() }
    }

    /// Its address, which other hosts reach.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// An address on which nobody listens yet.
    ///
    /// # Errors
    /// The host has none left.
    pub fn free_port(&self) -> io::Result<SocketAddr> {
        let address = SocketAddr::new(self.address, 0);
        self.within(move || UdpSocket::bind(address)?.local_addr())
    }

    /// A program that will run on this host.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match &self.namespace {
            None => Command::new(program),
            Some(name) => {
                // It becomes the program: the process has the id that was given to `ip`.
                let mut command = Command::new("ip");
                command.args(["netns", "exec", name]).arg(program);
                command
            }
        }
    }

    /// A connection from this host.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        self.within(move || TcpStream::connect(address))
    }

    /// Does something on this host. A socket that is made there stays there, whoever uses it.
    ///
    /// # Errors
    /// There is no such namespace any more, or the work failed.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        let Some(name) = &self.namespace else { return work() };
        let namespace = File::open(Path::new(NAMESPACES).join(name))?;
        // A thread of its own: it never comes back from there.
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    pub(crate) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }
}

/// Where `ip netns` keeps them.
const NAMESPACES: &str = "/run/netns";
