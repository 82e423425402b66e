//! Hosts that nobody can dial, and hosts on one wire that ask each other by multicast.

use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use crate::host::Host;
use crate::network::{Network, ip, sweep, unique_name};

impl Network {
    /// Why nobody can be put behind a NAT, if so.
    pub fn why_no_nat() -> Option<String> {
        if let Some(why) = Self::why_not() {
            return Some(why);
        }
        let found = Command::new("nft").arg("--version").stdout(Stdio::null()).status();
        found.err().map(|error| format!("no NAT without nft (package nftables): {error}"))
    }

    /// Two hosts on one wire, which carries what is sent to all.
    ///
    /// # Errors
    /// `ip` fails.
    pub fn lan() -> io::Result<Self> {
        sweep()?;
        let mut network = Self::empty();
        for number in 0..2 {
            let name = unique_name(&number.to_string());
            ip(&["netns", "add", &name])?;
            network.hosts.push(Host::in_namespace(name, Ipv4Addr::new(10, 78, 0, number + 1)));
        }
        network.add_cable(0, 1)?;
        for (number, peer) in [(0, 1), (1, 0)] {
            let address = network.hosts[number].address();
            let lines = format!(
                "link set lo up\naddr add {address}/24 dev to{peer}\nlink set to{peer} up\n\
                 route add 224.0.0.0/4 dev to{peer}\n"
            );
            network.batch(number, &lines)?;
        }
        Ok(network)
    }

    /// Adds a host that reaches the others through this one and is seen by them as this one. Nothing gets in that does
    /// not belong to something from within; what does not is dropped without a word, so the host between takes no
    /// connections itself. Tells which host it is.
    ///
    /// # Errors
    /// `ip` or `nft` fails.
    pub fn put_behind(&mut self, router: usize) -> io::Result<usize> {
        let (number, name) = (self.hosts.len(), unique_name(&self.hosts.len().to_string()));
        let address = Ipv4Addr::new(192, 168, number as u8, 2);
        ip(&["netns", "add", &name])?;
        self.hosts.push(Host::in_namespace(name, address));
        self.add_cable(router, number)?;
        // Both ends have one address below IP, so that nobody asks for it.
        let below = format!("address 02:00:00:01:{router:02x}:{number:02x} arp off up");
        let own = format!(
            "link set lo up\naddr add {address}/32 dev to{router}\nlink set to{router} {below}\n\
             route add default dev to{router} src {address}\n"
        );
        self.batch(number, &own)?;
        let theirs = format!("link set to{number} {below}\nroute add {address} dev to{number}\n");
        self.batch(router, &theirs)?;
        self.hosts[router].within(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "1"))?;
        masquerade(&self.hosts[router])?;
        Ok(number)
    }

    /// A wire whose ends are down.
    fn add_cable(&self, first: usize, second: usize) -> io::Result<()> {
        let (ends, names) = ([first, second], [second, first].map(|peer| format!("to{peer}")));
        let namespaces = ends.map(|host| self.hosts[host].namespace().unwrap_or_default());
        let from = ["link", "add", &names[0], "netns", namespaces[0], "type", "veth"];
        ip(&[&from[..], &["peer", "name", &names[1], "netns", namespaces[1]]].concat())
    }
}

fn masquerade(router: &Host) -> io::Result<()> {
    let mut process = router
        .command("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = process.stdin.take().expect("it is piped");
    let written = stdin.write_all(NAT.as_bytes());
    drop(stdin);
    let output = process.wait_with_output()?;
    match output.status.success() {
        true => written,
        false => Err(io::Error::other(format!("nft: {}", String::from_utf8_lossy(&output.stderr)))),
    }
}

const NAT: &str = "\
table ip millpond {
  chain outward { type nat hook postrouting priority 100; masquerade; }
  chain inward { type filter hook input priority 0; policy drop; }
}
";
