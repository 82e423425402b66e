//! How a node takes part in its mesh: what an operator chooses.

use serde::{Deserialize, Serialize};

/// How a node takes part in its mesh. Nodes of one domain may differ in all of it, and still converge.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Topology {
    /// Whom the node links with, and whom it feeds its own writes.
    pub mode: Mode,
    /// What becomes of data that came by replication.
    pub ripple: Ripple,
    /// What differs for single peers; in [`Mode::Static`] also who is linked at all.
    pub links: Vec<LinkSettings>,
}

/// Whom a node links with, and whom it feeds its own writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "mode", deny_unknown_fields)]
#[non_exhaustive]
pub enum Mode {
    /// With every member; its own writes go to each of them, until a faster or cheaper way is found.
    #[default]
    FullMesh,
    /// With so many members that it chooses, and those that choose it; its own writes go to the nearest
    /// `fanout` of them, and the others graft themselves below.
    SpanningTree {
        /// How many; 1 or more.
        fanout: usize,
    },
    /// With the members that [`Topology::links`] names, and no other.
    Static,
}

/// What becomes of data that came by replication.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Ripple {
    /// It is announced, and sent to peers that have chosen this node as their source of its origin.
    #[default]
    Adaptive,
    /// It is announced to nobody, and sent to peers that still lack it after a fixed delay
    /// ([`Config::hold_down`](crate::Config::hold_down)).
    HoldDown,
}

/// What differs for one peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LinkSettings {
    /// The member: its name, its key or the first digits of it; `*` is every member that no other line names.
    pub peer: String,
    /// Overrides [`Topology::ripple`].
    #[serde(default)]
    pub ripple: Option<Ripple>,
    /// Overrides what it costs to receive from this peer.
    #[serde(default)]
    pub cost: Option<u32>,
    /// Which way data goes.
    #[serde(default)]
    pub direction: Direction,
    /// Whether this node dials the peer; if not it waits to be dialled.
    #[serde(default = "yes")]
    pub dial: bool,
}

/// Which way data goes over a link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Direction {
    /// Both ways.
    #[default]
    Both,
    /// This node takes from the peer, and gives it nothing.
    Pull,
    /// This node gives to the peer, and takes nothing from it.
    Serve,
}

impl LinkSettings {
    /// The defaults for a peer: both ways, dialled.
    pub fn new(peer: impl Into<String>) -> Self {
        Self { peer: peer.into(), ripple: None, cost: None, direction: Direction::Both, dial: true }
    }
}

fn yes() -> bool {
    true
}
