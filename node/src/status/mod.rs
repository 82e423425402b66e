//! What a node can tell about itself: one model for the CLI, the HTTP API and the metrics.

mod backup;
mod counters;
mod keys;
mod limits;
mod origins;
mod pace;
mod refresh;
mod state;
mod survey;
mod tombstones;
mod verify;

use serde::{Deserialize, Serialize};

pub use backup::BackupStatus;
pub(crate) use counters::Moved;
pub use counters::{Amount, ControlBytes, LinkCounters, OriginCounters, Totals};
pub use keys::{KeyState, KeyStatus};
pub use limits::LimitStatus;
pub use origins::OriginStatus;
pub use pace::{CatchUp, Folding, Pace};
pub use refresh::{RefreshError, RefreshReport, RefreshSide};
pub use state::{DelayStatus, NodeState, PrimaryStatus, Rehab};
pub use survey::{Survey, SurveyEdge, SurveyLink, SurveyLoss, SurveyNode, SurveyTree, SurveyTurn};
pub use tombstones::{Blocker, Eviction, TombstoneStatus};
pub use verify::{
    LostValue, ScrubReport, VerifiedPeer, VerifyOutcome, VerifyReport, VerifyStatus, VerifyTotals,
};

use crate::membership::PendingMember;
use crate::topology::settings::{Direction, Ripple, Topology};

/// Everything about a node at one moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Status {
    /// One word and one sentence: read this first.
    pub verdict: Verdict,
    /// Who the node is.
    pub node: NodeStatus,
    /// Every member of the domain but this one, those that are gone too, by name.
    pub peers: Vec<PeerStatus>,
    /// From whom this node takes what each origin writes, and whom it feeds with it, by origin.
    #[serde(default)]
    pub sources: Vec<OriginStatus>,
    /// What each namespace holds.
    pub namespaces: Vec<NamespaceStatus>,
    /// Who came with an invite of this node's, and waits for an admin to approve it.
    #[serde(default)]
    pub pending: Vec<PendingMember>,
    /// The limits that it keeps to, those first of which it knows how much is used.
    #[serde(default)]
    pub limits: Vec<LimitStatus>,
    /// The backups that it makes by itself, if it does.
    #[serde(default)]
    pub backup: Option<BackupStatus>,
    /// Totals of this node since it started.
    pub totals: Totals,
    /// What an operator should know or change, in plain words.
    pub warnings: Vec<String>,
    /// What to do next: commands or actions, most urgent first.
    pub next: Vec<String>,
}

impl Status {
    /// The status of these facts: derives the verdict and the next steps.
    pub fn assess(
        node: NodeStatus,
        peers: Vec<PeerStatus>,
        sources: Vec<OriginStatus>,
        namespaces: Vec<NamespaceStatus>,
        totals: Totals,
        warnings: Vec<String>,
    ) -> Self {
        let verdict = Verdict::of(&node, &peers);
        let next = next_steps(&node, &peers);
        let (pending, limits, backup) = (Vec::new(), Vec::new(), None);
        Self {
            verdict,
            node,
            peers,
            sources,
            namespaces,
            pending,
            limits,
            backup,
            totals,
            warnings,
            next,
        }
    }

    /// Adds the limits, and warns of those that are nearly reached.
    pub(crate) fn with_limits(mut self, limits: Vec<LimitStatus>) -> Self {
        for near in limits.iter().filter(|limit| limit.is_near()) {
            let LimitStatus { what, limit, used } = near;
            self.warnings.push(format!("{what}: {} of {limit}", used.unwrap_or_default()));
        }
        self.limits = limits;
        self
    }

    /// Adds who waits for an admin's approval.
    pub(crate) fn with_pending(mut self, pending: Vec<PendingMember>) -> Self {
        let ask =
            "compare the three words with those at the node that waits: millpond peers pending";
        if !pending.is_empty() {
            self.next.insert(0, ask.into());
        }
        self.pending = pending;
        self
    }

    /// Adds how the node's own backups are.
    #[cfg(feature = "backup")]
    pub(crate) fn with_backup(mut self, backup: BackupStatus) -> Self {
        if let Some(warning) = backup.warning() {
            self.warnings.push(warning);
        }
        self.backup = Some(backup);
        self
    }

    /// The status of a replica that was closed.
    pub(crate) fn closed(key: &str, name: &str) -> Self {
        let node = NodeStatus {
            key: key.into(),
            name: name.into(),
            domain: String::new(),
            role: String::new(),
            incarnation: None,
            boot: 0,
            listen: String::new(),
            addresses: Vec::new(),
            state_dir: None,
            state: NodeState::Fenced,
            rehab: None,
            primary: None,
            delayed: None,
            fenced: Some("the replica is closed".into()),
            uptime_s: 0,
            store_bytes: 0,
            version: env!("CARGO_PKG_VERSION").into(),
            region: None,
            cost: 0,
            topology: Topology::default(),
            keys: Vec::new(),
            tombstones: TombstoneStatus::default(),
            verify: VerifyStatus::default(),
        };
        let (peers, sources, namespaces) = (Vec::new(), Vec::new(), Vec::new());
        Self::assess(node, peers, sources, namespaces, Totals::default(), Vec::new())
    }
}

/// How the node is, in one word and one sentence.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Verdict {
    /// The word.
    pub health: Health,
    /// The sentence.
    pub text: String,
}

impl Verdict {
    fn of(node: &NodeStatus, peers: &[PeerStatus]) -> Self {
        if let Some(why) = &node.fenced {
            return Self { health: Health::Failing, text: format!("takes no writes: {why}") };
        }
        if let Some(why) = &node.rehab {
            return Self { health: Health::Degraded, text: format!("not ready: it {why}") };
        }
        let current = peers.iter().filter(|peer| is_level(peer.state)).count();
        if peers.is_empty() {
            return Self { health: Health::Ok, text: "alone in its domain so far".into() };
        }
        if current == peers.len() {
            let text = match peers.len() {
                1 => "the other member is current".into(),
                count => format!("all {count} other members are current"),
            };
            return Self { health: Health::Ok, text };
        }
        let mut text = format!("{current} of {} peers current", peers.len());
        for (state, word) in STATE_WORDS {
            let count = peers.iter().filter(|peer| peer.state == state).count();
            if count > 0 {
                text.push_str(&format!(", {count} {word}"));
            }
        }
        Self { health: Health::Degraded, text }
    }
}

/// How a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Health {
    /// All members are linked and current.
    Ok,
    /// It works, but some member is lagging, paused or gone.
    Degraded,
    /// It does not take writes, or its store has failed.
    Failing,
}

/// Who a node is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodeStatus {
    /// Its key, 64 hex digits.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Its domain, 32 hex digits.
    pub domain: String,
    /// Its role.
    pub role: String,
    /// The incarnation under which it writes; absent before its first write.
    pub incarnation: Option<String>,
    /// Openings of its store so far.
    pub boot: u64,
    /// The address that it listens on.
    pub listen: String,
    /// The addresses that it tells others.
    pub addresses: Vec<String>,
    /// The folder of its lease; absent without one.
    pub state_dir: Option<String>,
    /// What it is doing.
    #[serde(default)]
    pub state: NodeState,
    /// Why it is not ready, while its state is rehab.
    #[serde(default)]
    pub rehab: Option<Rehab>,
    /// Who alone takes writes; absent where every writer does.
    #[serde(default)]
    pub primary: Option<PrimaryStatus>,
    /// What a delayed replica shows; absent on all others.
    #[serde(default)]
    pub delayed: Option<DelayStatus>,
    /// Why it refuses writes, if it does.
    pub fenced: Option<String>,
    /// Seconds since it started.
    pub uptime_s: u64,
    /// Bytes of its store.
    pub store_bytes: u64,
    /// Version of the program.
    pub version: String,
    /// Where it is, if it has said.
    #[serde(default)]
    pub region: Option<String>,
    /// What it costs others to receive from it, beside the way to it.
    #[serde(default)]
    pub cost: u32,
    /// How it takes part in the mesh now.
    #[serde(default)]
    pub topology: Topology,
    /// Its keys that are valid, newest first: `key` is the first that it ever had, by which it is known.
    #[serde(default)]
    pub keys: Vec<KeyStatus>,
    /// What deletes have left here.
    #[serde(default)]
    pub tombstones: TombstoneStatus,
    /// When it last looked whether it holds what it should.
    #[serde(default)]
    pub verify: VerifyStatus,
}

/// A member as seen from here.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PeerStatus {
    /// Its key, 64 hex digits.
    pub key: String,
    /// Its name; the first digits of the key while unknown.
    pub name: String,
    /// The key that it showed last, where that is not `key`, its first one.
    #[serde(default)]
    pub shows: Option<String>,
    /// Its role.
    pub role: String,
    /// Where it can be dialled.
    pub addresses: Vec<String>,
    /// Where it is, if it has said.
    #[serde(default)]
    pub region: Option<String>,
    /// What it is doing.
    pub state: PeerState,
    /// What this node has applied and it has not, of all namespaces; absent while unknown.
    pub they_lack: Option<Lag>,
    /// What it has applied and this node has not; absent while unknown.
    pub we_lack: Option<Lag>,
    /// The link to it, if one is up.
    pub link: Option<LinkStatus>,
    /// Seconds since its last frame in this run; absent before the first.
    pub last_seen_s: Option<u64>,
    /// Why there is no link, as far as is known.
    pub last_error: Option<String>,
    /// Why it is not waited for before deletes are forgotten, if it is not. It still counts as a member.
    #[serde(default)]
    pub evicted: Option<Eviction>,
    /// What has moved between the two since this node started.
    pub counters: LinkCounters,
    /// The same of what was pushed, by who wrote it; what catch-ups bring is in `counters` only.
    #[serde(default)]
    pub origins: Vec<OriginCounters>,
}

/// What a member is doing, as seen from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PeerState {
    /// Linked, and neither side lacks anything older than a moment.
    Current,
    /// Linked, and one side is catching up.
    Lagging,
    /// The operator paused the link.
    Paused,
    /// A link is being made.
    Connecting,
    /// No link.
    Offline,
    /// Two live nodes hold its key.
    Fenced,
    /// Linked, and by its own word not ready: it has yet to catch up, or is too far behind.
    Rehab,
    /// Linked, and current as far as it is to be: it is a delayed replica, and shows later what it has received.
    Delayed,
}

/// How far one node is behind another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Lag {
    /// Dots applied on one side and not on the other.
    pub ops: u64,
    /// Age of the oldest of them by its stamp; absent when none is left to read it from. Zero when current.
    pub seconds: Option<f64>,
}

/// A link that is up.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LinkStatus {
    /// The kind of network: `quic`, `unix`, `libp2p`, or what another transport calls itself.
    pub transport: String,
    /// Whether this side dialled.
    pub dialed: bool,
    /// The peer's address as seen here.
    pub remote_address: String,
    /// Smoothed round trip in microseconds; 0 while unknown.
    pub round_trip_us: u64,
    /// Seconds since its hello.
    pub up_s: u64,
    /// Whether the peer feeds this node live.
    pub fed: bool,
    /// Whether this node feeds the peer live.
    pub feeding: bool,
    /// A catch-up from this peer, if one is running.
    pub catching_up: Option<CatchUp>,
    /// What it costs to receive over it: of ways that are equally fast the cheaper one is taken.
    #[serde(default)]
    pub cost: u32,
    /// What becomes of replicated data that the peer lacks.
    #[serde(default)]
    pub ripple: Ripple,
    /// Which way data goes.
    #[serde(default)]
    pub direction: Direction,
    /// Whether this node announces to the peer what it does not send it.
    #[serde(default)]
    pub announcing: bool,
    /// Whether the peer announces to this node what it does not send it.
    #[serde(default)]
    pub announced: bool,
    /// Whether one side has collected tombstones of which the other, absent for long, has not heard. They stay
    /// linked, but neither can bring the other level by what changed: they need a refresh.
    #[serde(default)]
    pub refresh_needed: bool,
}

/// What a namespace holds here.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NamespaceStatus {
    /// Its name.
    pub namespace: String,
    /// Dots applied.
    pub dots: u64,
    /// Its applied vector: incarnation to seq.
    pub vv: std::collections::BTreeMap<String, u64>,
    /// Its durable vector: incarnation to seq.
    pub durable: std::collections::BTreeMap<String, u64>,
    /// A catch-up that is visible and moves to its place, if there is one.
    #[serde(default)]
    pub folding: Option<Folding>,
}

/// What an operator can do about it, most urgent first.
fn next_steps(node: &NodeStatus, peers: &[PeerStatus]) -> Vec<String> {
    let mut next = Vec::new();
    if node.fenced.is_some() {
        next.push(
            "read the warnings below; this node takes no writes until that is resolved".into(),
        );
    }
    match &node.primary {
        Some(PrimaryStatus { key: None, .. }) => {
            next.push("name a primary: millpond promote NODE, at an admin's node".into());
        }
        Some(PrimaryStatus { key: Some(key), name: Some(name), .. }) => {
            let is_it = |peer: &&PeerStatus| peer.key == *key && peer.state == PeerState::Offline;
            next.extend(peers.iter().find(is_it).map(|_| {
                format!("the primary {name} is gone: if it stays so, millpond promote NODE")
            }));
        }
        _ => {}
    }
    for peer in peers {
        match peer.state {
            PeerState::Fenced => {
                next.push(format!("stop the copy of {}: two live nodes hold its key", peer.name));
            }
            PeerState::Paused => next.push(format!("millpond peers resume {}", peer.name)),
            PeerState::Offline => next.push(match &peer.last_error {
                Some(error) => format!("check {}: {error}", peer.name),
                None => format!("check that {} runs and can be reached", peer.name),
            }),
            PeerState::Current
            | PeerState::Lagging
            | PeerState::Rehab
            | PeerState::Delayed
            | PeerState::Connecting => {}
        }
    }
    if peers.is_empty() {
        next.push("millpond invite, then millpond join on another machine".into());
    }
    next
}

fn is_level(state: PeerState) -> bool {
    matches!(state, PeerState::Current | PeerState::Delayed)
}

const STATE_WORDS: [(PeerState, &str); 6] = [
    (PeerState::Lagging, "lagging"),
    (PeerState::Rehab, "in rehab"),
    (PeerState::Connecting, "connecting"),
    (PeerState::Paused, "paused"),
    (PeerState::Offline, "offline"),
    (PeerState::Fenced, "fenced"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn node(fenced: Option<&str>) -> NodeStatus {
        NodeStatus {
            key: "00".repeat(32),
            name: "paris-1".into(),
            domain: "00".repeat(16),
            role: "admin".into(),
            incarnation: None,
            boot: 1,
            listen: "[::]:8444".into(),
            addresses: Vec::new(),
            state_dir: None,
            state: NodeState::Current,
            rehab: None,
            primary: None,
            delayed: None,
            fenced: fenced.map(Into::into),
            uptime_s: 1,
            store_bytes: 0,
            version: "0.1.0".into(),
            region: None,
            cost: 0,
            topology: Topology::default(),
            keys: Vec::new(),
            tombstones: TombstoneStatus::default(),
            verify: VerifyStatus::default(),
        }
    }

    fn peer(name: &str, state: PeerState) -> PeerStatus {
        PeerStatus {
            key: "11".repeat(32),
            name: name.into(),
            shows: None,
            role: "writer".into(),
            addresses: Vec::new(),
            region: None,
            state,
            they_lack: None,
            we_lack: None,
            link: None,
            last_seen_s: None,
            last_error: None,
            evicted: None,
            counters: LinkCounters::default(),
            origins: Vec::new(),
        }
    }

    fn assess(node: NodeStatus, peers: Vec<PeerStatus>) -> Status {
        Status::assess(node, peers, Vec::new(), Vec::new(), Totals::default(), Vec::new())
    }

    #[test]
    fn one_member_that_is_not_current_degrades_the_verdict() {
        let peers = vec![
            peer("london-1", PeerState::Current),
            peer("tokyo-1", PeerState::Lagging),
            peer("lab-pi", PeerState::Offline),
        ];
        let status = assess(node(None), peers);
        assert_eq!(status.verdict.health, Health::Degraded);
        assert_eq!(status.verdict.text, "1 of 3 peers current, 1 lagging, 1 offline");
        assert_eq!(status.next, ["check that lab-pi runs and can be reached"]);
    }

    #[test]
    fn a_lone_node_is_told_how_to_grow() {
        let status = assess(node(None), Vec::new());
        assert_eq!(status.verdict.health, Health::Ok);
        assert!(status.next[0].starts_with("millpond invite"));
    }

    #[test]
    fn a_fenced_node_fails_whatever_its_peers_do() {
        let status = assess(node(Some("two live boots")), vec![peer("b", PeerState::Current)]);
        assert_eq!(status.verdict.health, Health::Failing);
        assert_eq!(status.verdict.text, "takes no writes: two live boots");
    }
}
