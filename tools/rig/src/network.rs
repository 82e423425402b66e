//! Hosts in network namespaces, with a wire between each two that can be cut.
//!
//! A wire is a pair of virtual interfaces, one in each namespace. Each host has one address, and a route over
//! a wire to each other host; nothing is routed through a third. A wire is cut where it arrives: a rule drops
//! what comes in from it, so that the sender notices nothing, and each direction is cut by itself. That takes
//! nothing but `ip`; the packet filter (`nft`) would have to be installed first.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};

use crate::host::Host;

/// Hosts with a wire between each two. They are removed with it, so it must outlive what runs on them.
#[derive(Debug)]
pub struct Network {
    pub(crate) hosts: Vec<Host>,
    /// Who hears nothing of whom: (from, to).
    cut: BTreeSet<(usize, usize)>,
    /// Wires whose interfaces are down at their first end: (first, second).
    down: BTreeSet<(usize, usize)>,
}

impl Network {
    /// Why this process can make no network, if so: it is not root, there is no `ip`, or the sandbox around
    /// it has no namespaces to give.
    pub fn why_not() -> Option<String> {
        if !rustix::process::geteuid().is_root() {
            return Some("network namespaces need root".into());
        }
        let name = unique_name("probe");
        let made = ip(&["netns", "add", &name]);
        let removed = ip(&["netns", "del", &name]);
        made.and(removed).err().map(|error| format!("no network namespaces here: {error}"))
    }

    /// So many hosts, at most 250. What owners that were killed left behind is removed first.
    ///
    /// # Errors
    /// `ip` fails.
    pub fn mesh(hosts: usize) -> io::Result<Self> {
        assert!(hosts <= HOSTS_MAX, "a network has at most {HOSTS_MAX} hosts");
        sweep()?;
        let mut network = Self::empty();
        for number in 0..hosts {
            network.add_host(number)?;
        }
        for second in 0..hosts {
            for first in 0..second {
                network.add_wire(first, second)?;
            }
        }
        Ok(network)
    }

    /// Drops silently what the two send to each other.
    ///
    /// # Errors
    /// `ip` fails.
    pub fn cut(&mut self, first: usize, second: usize) -> io::Result<()> {
        self.cut_one_way(first, second)?;
        self.cut_one_way(second, first)
    }

    /// Drops silently what one sends to the other, and lets pass what the other sends.
    ///
    /// # Errors
    /// `ip` fails.
    pub fn cut_one_way(&mut self, from: usize, to: usize) -> io::Result<()> {
        if self.cut.insert((from, to)) {
            self.batch(to, &format!("rule add pref {CUT_RULE} iif to{from} blackhole\n"))?;
        }
        Ok(())
    }

    /// Sets the interface down at the first of the two: it sees that it has no way to the second, which has
    /// a wire without a carrier.
    ///
    /// # Errors
    /// `ip` fails.
    pub fn take_down(&mut self, first: usize, second: usize) -> io::Result<()> {
        if self.down.insert((first, second)) {
            self.batch(first, &format!("link set to{second} down\n"))?;
        }
        Ok(())
    }

    /// Mends the wire between the two, whatever was done to it.
    ///
    /// # Errors
    /// `ip` fails.
    pub fn heal(&mut self, first: usize, second: usize) -> io::Result<()> {
        for (from, to) in [(first, second), (second, first)] {
            if self.cut.remove(&(from, to)) {
                self.batch(to, &format!("rule del pref {CUT_RULE} iif to{from} blackhole\n"))?;
            }
            if self.down.remove(&(from, to)) {
                self.batch(from, &format!("link set to{to} up\n{}", self.route(from, to)))?;
            }
        }
        Ok(())
    }

    /// Silently cuts all wires between these hosts and the others.
    ///
    /// # Errors
    /// `ip` fails.
    pub fn split(&mut self, part: &[usize]) -> io::Result<()> {
        let is_apart = |host: &usize| !part.contains(host);
        for rest in (0..self.hosts.len()).filter(is_apart) {
            for one in part {
                self.cut(*one, rest)?;
            }
        }
        Ok(())
    }

    /// Mends every wire.
    ///
    /// # Errors
    /// `ip` fails.
    pub fn heal_all(&mut self) -> io::Result<()> {
        for (first, second) in self.cut.union(&self.down).copied().collect::<Vec<_>>() {
            self.heal(first, second)?;
        }
        Ok(())
    }

    /// Its hosts.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    pub(crate) fn empty() -> Self {
        Self { hosts: Vec::new(), cut: BTreeSet::new(), down: BTreeSet::new() }
    }

    fn add_host(&mut self, number: usize) -> io::Result<()> {
        let (name, address) = (unique_name(&number.to_string()), address(number));
        ip(&["netns", "add", &name])?;
        self.hosts.push(Host::in_namespace(name, address));
        // Packets to a host itself are looked up before all rules; here after the one that cuts a wire.
        self.batch(
            number,
            &format!(
                "link set lo up\naddr add {address}/32 dev lo\n\
                 rule add pref {LOCAL_RULE} lookup local\nrule del pref 0\n"
            ),
        )?;
        // The kernel would pass by the rules for sockets that it knows.
        self.hosts[number].within(|| std::fs::write("/proc/sys/net/ipv4/ip_early_demux", "0"))
    }

    fn add_wire(&self, first: usize, second: usize) -> io::Result<()> {
        let (ends, names) = ([first, second], [second, first].map(|peer| format!("to{peer}")));
        let namespaces = ends.map(|host| self.hosts[host].namespace().unwrap_or_default());
        let from = ["link", "add", &names[0], "netns", namespaces[0], "type", "veth"];
        ip(&[&from[..], &["peer", "name", &names[1], "netns", namespaces[1]]].concat())?;
        for (host, peer) in [(first, second), (second, first)] {
            // Both ends have one address below IP, and nobody asks for it: a question that is lost would
            // tell the sender of the cut.
            let address = format!("02:00:00:00:{:02x}:{:02x}", first, second);
            let device = format!("link set to{peer} address {address} arp off up\n");
            self.batch(host, &(device + &self.route(host, peer)))?;
        }
        Ok(())
    }

    fn route(&self, from: usize, to: usize) -> String {
        format!("route add {} dev to{to} src {}\n", address(to), address(from))
    }

    /// Runs lines of `ip` on a host.
    pub(crate) fn batch(&self, host: usize, lines: &str) -> io::Result<()> {
        let namespace = self.hosts[host].namespace().unwrap_or_default();
        run(&["-n", namespace, "-batch", "-"], lines)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in self.hosts.iter().filter_map(Host::namespace) {
            // What is left, the next one sweeps.
            let _ = ip(&["netns", "del", name]);
        }
    }
}

/// Removes the namespaces whose owners have ended without it, and ends what still runs there.
pub(crate) fn sweep() -> io::Result<()> {
    let output = Command::new("ip").args(["netns", "list"]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let names = text.lines().filter_map(|line| line.split(' ').next());
    for name in names.filter(|name| is_abandoned(name)) {
        let processes = Command::new("ip").args(["netns", "pids", name]).output()?;
        let ids = String::from_utf8_lossy(&processes.stdout);
        for id in ids.lines().filter_map(|id| Pid::from_raw(id.trim().parse().ok()?)) {
            let _ = kill_process(id, Signal::KILL);
        }
        let _ = ip(&["netns", "del", name]); // perhaps another one sweeps, too
    }
    Ok(())
}

/// A name that no other owner gives, now or later: it says which process made it, and when that started.
pub(crate) fn unique_name(what: &str) -> String {
    static NETWORKS: AtomicU32 = AtomicU32::new(0);
    let id = std::process::id();
    let serial = NETWORKS.fetch_add(1, Ordering::Relaxed);
    format!("{PREFIX}-{id}-{}-{serial}-{what}", started(id).unwrap_or_default())
}

fn is_abandoned(name: &str) -> bool {
    let mut words = name.split('-');
    let (Some(PREFIX), Some(Ok(id)), Some(Ok(start))) =
        (words.next(), words.next().map(str::parse), words.next().map(str::parse))
    else {
        return false;
    };
    started(id) != Some(start)
}

/// When a process started, in ticks since the machine did; `None` if there is no such process.
fn started(id: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The second field is a name in parentheses, which may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

pub(crate) fn ip(arguments: &[&str]) -> io::Result<()> {
    run(arguments, "")
}

fn run(arguments: &[&str], input: &str) -> io::Result<()> {
    let mut process = Command::new("ip")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = process.stdin.take().expect("it is piped");
    let written = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = process.wait_with_output()?;
    if output.status.success() {
        return written;
    }
    let error = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("ip {}: {}{input}", arguments.join(" "), error.trim())))
}

/// From a range for private networks; the namespaces have no way out.
fn address(host: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, host as u8 + 1)
}

const HOSTS_MAX: usize = 250;
const PREFIX: &str = "millpond";
const CUT_RULE: u32 = 10;
const LOCAL_RULE: u32 = 100;

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::*;
    use crate::wait::until;

    /// A socket on each host, connected to each other.
    struct Pair {
        network: Network,
        sockets: [UdpSocket; 2],
    }

    impl Pair {
        /// `None`, with words, where no network can be made.
        fn make() -> Option<Self> {
            if let Some(why) = Network::why_not() {
                let _ = writeln!(io::stderr(), "SKIPPED: {why}");
                return None;
            }
            let network = Network::mesh(2).unwrap();
            let socket = |host: usize| {
                let host = &network.hosts()[host];
                host.within(|| UdpSocket::bind((host.address(), 7000))).unwrap()
            };
            let sockets = [socket(0), socket(1)];
            for (socket, peer) in sockets.iter().zip([1, 0]) {
                socket.connect((network.hosts()[peer].address(), 7000)).unwrap();
                socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            }
            Some(Self { network, sockets })
        }

        fn send(&self, from: usize, text: &str) {
            self.sockets[from].send(text.as_bytes()).expect("the sender notices nothing");
        }

        /// What comes next; what was dropped never does.
        fn next(&self, to: usize) -> String {
            let mut buffer = [0; 64];
            let length = self.sockets[to].recv(&mut buffer).expect("something comes");
            String::from_utf8(buffer[..length].to_vec()).unwrap()
        }
    }

    #[test]
    fn a_cut_is_silent_and_ends() {
        let Some(mut pair) = Pair::make() else { return };
        pair.send(0, "before");
        pair.send(1, "before");
        assert_eq!((pair.next(0), pair.next(1)), ("before".into(), "before".into()));
        pair.network.cut(0, 1).unwrap();
        pair.send(0, "lost");
        pair.send(1, "lost");
        pair.network.heal(0, 1).unwrap();
        pair.send(0, "after");
        pair.send(1, "after");
        assert_eq!((pair.next(0), pair.next(1)), ("after".into(), "after".into()));
    }

    #[test]
    fn one_direction_is_cut_by_itself() {
        let Some(mut pair) = Pair::make() else { return };
        pair.network.cut_one_way(0, 1).unwrap();
        pair.send(0, "lost");
        pair.send(1, "comes");
        assert_eq!(pair.next(0), "comes");
        pair.network.heal(1, 0).unwrap();
        pair.send(0, "after");
        assert_eq!(pair.next(1), "after");
    }

    #[test]
    fn an_interface_that_is_down_is_seen_and_comes_back() {
        let Some(mut pair) = Pair::make() else { return };
        pair.network.take_down(0, 1).unwrap();
        pair.sockets[0].send(b"no way").expect_err("there is no route");
        pair.network.heal(1, 0).unwrap();
        pair.send(0, "after");
        assert_eq!(pair.next(1), "after");
    }

    #[test]
    fn what_a_killed_owner_left_behind_is_removed() {
        if Network::why_not().is_some() {
            return;
        }
        let network = Network::mesh(1).unwrap();
        let mut left = network.hosts()[0].command("sleep");
        let mut left = left.arg("600").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let kept = network.hosts()[0].namespace().unwrap();
        let pids = || Command::new("ip").args(["netns", "pids", kept]).output().unwrap().stdout;
        until("it runs there", || !pids().is_empty()).unwrap();
        // A second name for it, of a start that no process has: as if the id had gone to another one. From
        // now on whoever makes a network removes it.
        let name = format!("{PREFIX}-{}-0-0-0", std::process::id());
        ip(&["netns", "attach", &name, &left.id().to_string()]).unwrap();
        let _other = Network::mesh(1).unwrap();
        until("it was ended", || left.try_wait().unwrap().is_some()).unwrap();
        let list = Command::new("ip").args(["netns", "list"]).output().unwrap();
        let list = String::from_utf8(list.stdout).unwrap();
        assert!(!list.contains(&name) && list.contains(kept), "{list}");
    }
}
