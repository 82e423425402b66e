//! Nodes on turmoil's hosts, and the time.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use millpond::Replica;
use millpond::sim::shell::{ClientWrite, Cluster, DiskFault};
use millpond_core::NodeKey;
use millpond_core::transport::Transport;
use millpond_transport_quic::{Identity, Quic, QuicOptions};
use tokio::sync::mpsc;
use turmoil::net::UdpSocket;
use turmoil::{Builder, Sim};

use crate::road::{Datagram, Road};
use crate::socket::Socket;
use crate::watched::{Watch, Watched};
use crate::wires::Wires;

/// A rule that is broken, to see whether it is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A link drops a frame, and goes on.
    DropsFrames,
    /// A disk forgets what it had when a process ends.
    ForgetsCommits,
    /// Endpoints draw connection ids, keys and the like by chance.
    DrawsByChance,
}

/// Nodes, the network between them, and the time.
pub(crate) struct Rig {
    sim: Sim<'static>,
    pub(crate) cluster: Cluster,
    pub(crate) wires: Wires,
    pub(crate) road: Road,
    pub(crate) keys: Vec<NodeKey>,
    is_down: Vec<bool>,
    /// What is asked of the node that runs on each host.
    asked: Slots,
    /// What each node has counted when it was asked to, rows received and links.
    counted: Arc<Mutex<Vec<(u64, u64)>>>,
}

type Slots = Arc<Mutex<Vec<Option<mpsc::UnboundedSender<Command>>>>>;

/// What is asked of a node.
enum Command {
    Write(ClientWrite),
    Invite(usize),
    Count,
}

/// What a host's process knows of the world.
#[derive(Clone)]
struct Host {
    watch: Watch,
    road: Road,
    local: SocketAddr,
    asked: Slots,
    counted: Arc<Mutex<Vec<(u64, u64)>>>,
}

impl Rig {
    /// A cluster of so many nodes, which has yet to come together. A datagram travels for a time within this span.
    pub(crate) fn new(
        seed: u64,
        count: usize,
        latency_ms: (u64, u64),
        fault: Option<Fault>,
        wires: &Wires,
    ) -> Self {
        let mut sim = Builder::new()
            .rng_seed(seed)
            .tick_duration(TICK)
            .min_message_latency(Duration::from_millis(latency_ms.0))
            .max_message_latency(Duration::from_millis(latency_ms.1))
            .simulation_duration(Duration::MAX)
            .udp_capacity(SOCKET_DATAGRAMS)
            .build();
        let locals: Vec<SocketAddr> =
            (0..count).map(|node| (sim.lookup(name(node)), PORT + node as u16).into()).collect();
        let addresses: Vec<String> = locals.iter().map(SocketAddr::to_string).collect();
        let cluster = Cluster::new(seed, &addresses);
        if fault == Some(Fault::ForgetsCommits) {
            cluster.plant(DiskFault::ForgetsCommits);
        }
        let (wires, road) = (wires.clone(), Road::new(cluster.clone(), seed));
        let asked: Slots = Arc::new(Mutex::new(vec![None; count]));
        let counted = Arc::new(Mutex::new(vec![(0, 0); count]));
        for (node, &local) in locals.iter().enumerate() {
            let watch = Watch { node, cluster: cluster.clone(), wires: wires.clone(), fault };
            let (asked, counted) = (Arc::clone(&asked), Arc::clone(&counted));
            let host = Host { watch, road: road.clone(), local, asked, counted };
            sim.host(name(node), move || host.clone().live());
        }
        let keys = (0..count).map(|node| cluster.key(node)).collect();
        Self { sim, cluster, wires, road, keys, is_down: vec![false; count], asked, counted }
    }

    pub(crate) fn count(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.cluster.now_ms()
    }

    /// Lets time pass, a millisecond at a time, while nothing is wrong.
    pub(crate) fn pass(&mut self, ms: u64) -> Result<(), String> {
        (0..ms).try_for_each(|_| self.step())
    }

    /// Lets time pass until something holds, and says how long that took.
    pub(crate) fn pass_until(
        &mut self,
        within_ms: u64,
        what: &str,
        holds: impl Fn(&Self) -> bool,
    ) -> Result<u64, String> {
        let begun_ms = self.now_ms();
        while !holds(self) {
            if self.now_ms() - begun_ms >= within_ms {
                let standing = self.cluster.standing();
                return Err(format!("liveness: not {what} within {within_ms} ms: {standing}"));
            }
            self.pass(LOOK_MS)?;
        }
        Ok(self.now_ms() - begun_ms)
    }

    /// The first node invites all others; they come, and all are linked and level.
    pub(crate) fn come_together(&mut self) -> Result<(), String> {
        self.pass(1)?;
        (1..self.count()).for_each(|node| self.ask(0, Command::Invite(node)));
        self.pass_until(JOINED_MS, "together", Self::is_settled)?;
        Ok(())
    }

    /// Whether all are linked, each two by one link, and hold the same.
    pub(crate) fn is_settled(&self) -> bool {
        let are_members = (0..self.count()).all(|node| self.cluster.is_member(node));
        are_members && self.wires.are_meshed(&self.keys) && self.cluster.is_level()
    }

    pub(crate) fn write(&self, node: usize) {
        self.ask(node, Command::Write(self.cluster.draw_write()));
    }

    /// Somebody writes one value at a node.
    pub(crate) fn put(&self, node: usize) {
        self.ask(node, Command::Write(self.cluster.draw_put()));
    }

    /// Rows received since the nodes were started, in all of them.
    pub(crate) fn received(&mut self) -> Result<u64, String> {
        (0..self.count()).for_each(|node| self.ask(node, Command::Count));
        self.pass(COUNTED_MS)?;
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(counted.iter().map(|(received, _)| received).sum())
    }

    /// Ends a node's process, as a kill does.
    pub(crate) fn crash(&mut self, node: usize) {
        if !self.is_down[node] {
            self.is_down[node] = true;
            self.cluster.crashed(node);
            self.sim.crash(name(node));
            self.wires.crashed(node);
        }
    }

    /// Starts a node that was ended.
    pub(crate) fn start(&mut self, node: usize) {
        if self.is_down[node] {
            self.is_down[node] = false;
            self.sim.bounce(name(node));
        }
    }

    /// From now on no datagram is lost, and all travel for as long: an update comes by the way that is the fastest.
    pub(crate) fn calm(&self, latency_ms: u64) {
        self.road.set_weather(0, 0);
        self.sim.set_max_message_latency(Duration::from_millis(latency_ms));
    }

    /// Lets no datagram pass from one node to another.
    pub(crate) fn cut(&self, from: usize, to: usize) {
        self.sim.partition_oneway(name(from), name(to));
    }

    /// Mends both directions between two nodes.
    pub(crate) fn mend(&self, a: usize, b: usize) {
        self.sim.repair(name(a), name(b));
    }

    /// Ends the run: what went over the roads.
    pub(crate) fn finish(mut self) -> Vec<Datagram> {
        (0..self.count()).for_each(|node| self.crash(node));
        self.road.trace()
    }

    fn step(&mut self) -> Result<(), String> {
        self.cluster.set_now_ms(self.now_ms() + 1);
        self.sim.step().map_err(|error| format!("a node ended: {error}"))?;
        self.cluster.so_far()
    }

    fn ask(&self, node: usize, command: Command) {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(node) = &asked[node] {
            let _ = node.send(command);
        }
    }
}

impl Host {
    /// The process of a node.
    async fn live(self) -> turmoil::Result {
        let id = self.watch.node;
        let cluster = self.watch.cluster.clone();
        let (sender, mut commands) = mpsc::unbounded_channel();
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)[id] = Some(sender);
        while !cluster.is_member(id) {
            tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
        }
        let socket = UdpSocket::bind(("0.0.0.0", self.local.port())).await?;
        let bind = |pkcs8: &[u8], seed| self.bind(socket, pkcs8, seed);
        let replica = cluster.open(id, bind).await?;
        while let Some(command) = commands.recv().await {
            let (host, replica) = (self.clone(), replica.clone());
            tokio::spawn(async move { host.obey(&replica, command).await });
        }
        Ok(())
    }

    fn bind(
        &self,
        socket: UdpSocket,
        pkcs8: &[u8],
        seed: u64,
    ) -> Result<Arc<dyn Transport>, String> {
        let identity = Identity::from_pkcs8(pkcs8).map_err(|error| error.to_string())?;
        let socket = Arc::new(Socket::new(socket, self.local, self.road.clone()));
        let seed = match self.watch.fault {
            Some(Fault::DrawsByChance) => by_chance(),
            _ => seed,
        };
        let quic = Quic::bind_simulated(&identity, socket, QuicOptions::default(), seed);
        let inner = Arc::new(quic.map_err(|error| error.to_string())?);
        Ok(Arc::new(Watched { inner, watch: self.watch.clone() }))
    }

    async fn obey(&self, replica: &Replica, command: Command) {
        let (id, cluster) = (self.watch.node, &self.watch.cluster);
        match command {
            Command::Write(write) => cluster.write(id, replica, write).await,
            Command::Invite(other) => {
                if let Err(why) = cluster.invite(other, replica).await {
                    eprintln!("{why}");
                }
            }
            Command::Count => {
                let counted = cluster.traffic(id).await;
                self.counted.lock().unwrap_or_else(PoisonError::into_inner)[id] = counted;
            }
        }
    }
}

/// What no seed gives.
fn by_chance() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(())
}

fn name(node: usize) -> String {
    format!("n{node}")
}

/// The finest that tokio's timers tell apart.
const TICK: Duration = Duration::from_millis(1);
/// The port of the first node.
const PORT: u16 = 7_000;
/// Datagrams that wait at a socket: some bursts.
const SOCKET_DATAGRAMS: usize = 4_096;
/// How often it is looked at what is waited for.
const LOOK_MS: u64 = 10;
/// How long nodes may take to come together.
const JOINED_MS: u64 = 60_000;
/// How long a node takes to count.
const COUNTED_MS: u64 = 20;
