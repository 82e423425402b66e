//! How a replica is opened.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::network::OwnTransport;
use crate::topology::settings::Topology;

/// How to open a replica. Start from [`Config::new`] and change what differs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The folder of the replica: its key and its store. One process at a time uses it.
    pub dir: PathBuf,
    /// Where the lease is kept, which proves that the store continues where it stopped: a folder that
    /// survives restarts and is *not* restored or copied together with `dir`. Without one the first write
    /// after each start opens a new incarnation, one more to be named in every message.
    pub state_dir: Option<PathBuf>,
    /// The node's name, for people.
    pub name: String,
    /// The UDP address to listen on for peers. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// More addresses to listen on, each of another transport: `unix:` and the path of a socket, for nodes of this user
    /// on this host (feature `unix`); `/ip4/ADDRESS/tcp/PORT` for libp2p (feature `libp2p`). All of them are told to others, unless [`Config::advertise`] says what is; a
    /// node dials another one by the cheapest transport that both have.
    pub also_listen: Vec<String>,
    /// Transports of the application's own, beside these.
    pub own_transports: Vec<OwnTransport>,
    /// What libp2p does beside its links, if an address of it is listened on. Nothing, unless it is told.
    pub libp2p: Libp2pConfig,
    /// Whether it opens no socket at all: it reads and writes, and is alone.
    pub is_offline: bool,
    /// The addresses that other nodes are told to dial, `host:port` or of another transport. Empty tells the bound
    /// ones; for `[::]` or `0.0.0.0` the addresses that this host sends from, and loopback last.
    pub advertise: Vec<String>,
    /// How long data that came by replication is held back before it is forwarded to a peer that still
    /// lacks it, where [`Ripple::HoldDown`](crate::Ripple::HoldDown) is chosen.
    pub hold_down: Duration,
    /// How often nodes tell each other at the latest what they have, and check what was told (H). A difference
    /// without progress for as long is pulled.
    pub digest_interval: Duration,
    /// Whom the node links with, and what becomes of data that came by replication.
    pub topology: Topology,
    /// Where the node is: links within a region cost less than links between regions. At most
    /// [`Config::REGION_BYTES_MAX`] bytes, and not empty.
    pub region: Option<String>,
    /// What it costs others to receive from this node, beside the way to it: 0 for most, more for a metered
    /// or a slow uplink.
    pub cost: u32,
    /// Whether the node refreshes with a peer by itself when one of the two was absent while the other forgot
    /// deletes. If not, it says so, and waits for [`Replica::refresh`](crate::Replica::refresh).
    pub automatic_refresh: bool,
    /// How often the node looks through its own store and compares itself with its peers; `None` for never,
    /// unless it is asked to. After looking through it, it rests for seven times as long at least.
    pub verify_every: Option<Duration>,
    /// Rows of its own store that it looks at in a second then.
    pub verify_rows_per_s: u64,
    /// Which members take writes. The domain's own word, once an admin has promoted somebody, goes before it.
    pub preset: Preset,
    /// Makes this a delayed replica: it receives at once, shows what it has received so much later, and takes no
    /// writes. All that arrives meanwhile waits on disk, beside a second copy of the data.
    pub apply_after: Option<Duration>,
    /// How long the node may lag behind its peers and still count as ready. Beyond it is in rehab until it has
    /// caught up.
    pub max_lag: Duration,
    /// How many of its peers' writes it may lack and still count as ready; `None` sets no bound.
    pub max_lag_writes: Option<u64>,
    /// Backups that the node makes by itself; none unless it is told.
    #[cfg(feature = "backup")]
    pub backup: Option<crate::backup::BackupSchedule>,
    /// For how long the old key stays valid when the node [changes](crate::Replica::rotate_key) it, unless that says
    /// something else. It stays so for longer while a member
    /// that is not gone for `offline_window` has yet to hear of the next one.
    pub key_overlap: Duration,
    /// Memory for the store's cache, in bytes.
    pub cache_bytes: usize,
    /// For how long deletes are remembered for a member that is silent. One that is away for longer is
    /// brought level by a refresh when it returns, and loses nothing that it wrote. Only the time in which
    /// this node runs counts.
    pub offline_window: Duration,
    /// How many bytes of deletes may be remembered for members that nobody hears, before the window ends.
    pub tombstone_bytes_max: u64,
}

/// How libp2p finds members and reaches them, beside dialling what they have told. Whoever is found, only members are
/// linked. All of it needs the feature `libp2p`, and an address of libp2p in [`Config::also_listen`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Libp2pConfig {
    /// Whether members on the local net are found by multicast DNS. Whoever is near is told this node's key and
    /// addresses, and nothing of its domain.
    pub mdns: bool,
    /// Whether members that have moved are looked up in a table of addresses (Kademlia), which all nodes that do so keep
    /// together. Whoever connects may ask for the keys and addresses in it.
    pub kademlia: bool,
    /// Nodes at which that table begins, members or not: `/ip4/ADDRESS/tcp/PORT/p2p/KEY`, the key as `status` shows it.
    pub bootstrap: Vec<String>,
    /// Whether this node carries for members that reach each other in no other way.
    pub relay_for_members: bool,
    /// Relays at which this node can be reached, written as those in `bootstrap`: members that carry for others. It tells
    /// others to dial it there too.
    pub relays: Vec<String>,
    /// Whether two nodes that meet at a relay try to reach each other without it, by dialling at the same moment. Both
    /// must want it.
    pub hole_punching: bool,
}

/// Which members take writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Preset {
    /// All whose roles allow it.
    #[default]
    MultiWriter,
    /// One, the primary; the others are backups. Which one it is, [`Replica::promote`](crate::Replica::promote)
    /// says, and before it was called for the first time:
    PrimaryBackup {
        /// The name or the key of a member, or the first 8 digits of the key. Without one nobody writes yet.
        primary: Option<String>,
    },
}

impl Config {
    /// Whether it is that of a replica that has no folder.
    pub(crate) fn is_in_memory(&self) -> bool {
        self.dir.as_os_str().is_empty()
    }

    /// The longest name of a region: longer ones are no names of places, and make tables unreadable.
    pub const REGION_BYTES_MAX: usize = 64;

    /// The defaults for a folder: named after it, listening on a free loopback port, hold-down 1 s, digests
    /// every 5 s, verification every ten minutes, a cache of 64 MiB, no lease, no backups, deletes remembered for
    /// 7 days.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        let name = dir.file_name().map(|name| name.to_string_lossy().into_owned());
        Self {
            name: name.filter(|name| !name.is_empty()).unwrap_or_else(|| "node".into()),
            dir,
            state_dir: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            also_listen: Vec::new(),
            own_transports: Vec::new(),
            libp2p: Libp2pConfig::default(),
            is_offline: false,
            advertise: Vec::new(),
            hold_down: Duration::from_secs(1),
            digest_interval: Duration::from_secs(5),
            topology: Topology::default(),
            region: None,
            cost: 0,
            automatic_refresh: true,
            verify_every: Some(Duration::from_secs(600)),
            verify_rows_per_s: 20_000,
            preset: Preset::default(),
            apply_after: None,
            max_lag: Duration::from_secs(30),
            max_lag_writes: None,
            #[cfg(feature = "backup")]
            backup: None,
            key_overlap: Duration::from_secs(24 * 3600),
            cache_bytes: 64 << 20,
            offline_window: Duration::from_secs(7 * 24 * 3600),
            tombstone_bytes_max: 1 << 30,
        }
    }
}
