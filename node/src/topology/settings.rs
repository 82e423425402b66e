//! How a node takes part in its mesh: what an operator chooses.

use std::collections::BTreeSet;

use millpond_core::NodeKey;
use millpond_core::limits::TEXT_BYTES_MAX;
use serde::{Deserialize, Serialize};

/// How a node takes part in its mesh. Nodes of one domain may differ in all of it, and still converge.
///
/// Its serialised form is that of the configuration file: `mode`, `fanout` (of a spanning tree only, 8 unless
/// said), `ripple`, and `link`, a list of [`LinkSettings`]. Settings that [`Topology::check`] refuses are not
/// deserialised.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "super::written::Written", into = "super::written::Written")]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
    /// The member: its name, its key or the first 8 digits of it or more; `*` is every member that no other
    /// line names.
    pub peer: String,
    /// Where this node dials it first, before the addresses that it tells: `host:port`, or of another transport.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Overrides [`Topology::ripple`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ripple: Option<Ripple>,
    /// Overrides what it costs to receive from this peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<u32>,
    /// Which way data goes.
    #[serde(default)]
    pub direction: Direction,
    /// Whether this node dials the peer; if not it waits to be dialled.
    #[serde(default = "yes")]
    pub dial: bool,
    /// Overrides [`Config::automatic_refresh`](crate::Config::automatic_refresh).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub automatic_refresh: Option<bool>,
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

/// Why settings of a topology make no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// A tree in which nobody feeds anybody.
    #[error("`fanout` is 1 or more: so many peers this node feeds its own writes to")]
    Fanout,
    /// A fanout, where every peer is fed or none that is not named.
    #[error("`fanout` is of mode \"spanning-tree\" only")]
    FanoutWithoutTree,
    /// A static node that is linked with nobody.
    #[error(
        "mode \"static\" links this node with the members that [[topology.link]] names, and none is named"
    )]
    NoLinks,
    /// A link to nobody, or to a name longer than any member's.
    #[error(
        "`peer` is a member's name, its key, or the first 8 digits of that or more; `*` is every other"
    )]
    Peer,
    /// Two lines for one peer.
    #[error("there are two links of peer \"{0}\"")]
    Twice(String),
}

impl Topology {
    /// Whether the settings make sense.
    ///
    /// # Errors
    /// [`TopologyError`]. A peer that is no member is none: it may become one.
    pub fn check(&self) -> Result<(), TopologyError> {
        if let Mode::SpanningTree { fanout: 0 } = self.mode {
            return Err(TopologyError::Fanout);
        }
        if self.mode == Mode::Static && self.links.is_empty() {
            return Err(TopologyError::NoLinks);
        }
        let mut seen = BTreeSet::new();
        for link in &self.links {
            if link.peer.is_empty() || link.peer.len() > TEXT_BYTES_MAX {
                return Err(TopologyError::Peer);
            }
            if !seen.insert(&link.peer) {
                return Err(TopologyError::Twice(link.peer.clone()));
            }
        }
        Ok(())
    }

    /// What is set for a member: the first line that names it, else that of `*`, else nothing.
    pub(crate) fn link(&self, key: NodeKey, name: &str) -> Option<&LinkSettings> {
        let named = self.links.iter().find(|link| link.names(key, name));
        named.or_else(|| self.links.iter().find(|link| link.is_for_others()))
    }
}

impl Mode {
    /// The fanout of a spanning tree, unless said: a node's own writes leave it eight times at most, and
    /// reach 64 nodes in two steps.
    pub const FANOUT: usize = 8;

    /// Its word in configuration files.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::FullMesh => "full-mesh",
            Self::SpanningTree { .. } => "spanning-tree",
            Self::Static => "static",
        }
    }
}

impl Ripple {
    /// Its word in configuration files.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Adaptive => "adaptive",
            Self::HoldDown => "hold-down",
        }
    }
}

impl LinkSettings {
    /// The defaults for a peer: both ways, dialled.
    pub fn new(peer: impl Into<String>) -> Self {
        Self {
            peer: peer.into(),
            address: None,
            ripple: None,
            cost: None,
            direction: Direction::Both,
            dial: true,
            automatic_refresh: None,
        }
    }

    /// Whether it is for every member that no other line names.
    pub(crate) fn is_for_others(&self) -> bool {
        self.peer == "*"
    }

    /// Whether it names a member.
    pub(crate) fn names(&self, key: NodeKey, name: &str) -> bool {
        is_named(&self.peer, &key.to_string(), name)
    }
}

/// Whether what a person wrote means the member of this key, in full, and name.
pub(crate) fn is_named(written: &str, key: &str, name: &str) -> bool {
    let long_enough = written.len() >= KEY_DIGITS_MIN;
    written == name || (long_enough && key.starts_with(&written.to_lowercase()))
}

fn yes() -> bool {
    true
}

/// Fewer digits of a key may be somebody's name.
const KEY_DIGITS_MIN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn links<const N: usize>(peers: [&str; N]) -> Vec<LinkSettings> {
        peers.map(LinkSettings::new).to_vec()
    }

    #[test]
    fn a_member_is_named_by_its_name_or_by_enough_of_its_key() {
        let key = NodeKey::from_bytes([0xab; 32]);
        for (written, is_meant) in
            [("hub", true), ("ABABABAB", true), ("abababa", false), ("hu", false), ("*", false)]
        {
            assert_eq!(LinkSettings::new(written).names(key, "hub"), is_meant, "{written}");
        }
    }

    #[test]
    fn the_line_for_all_others_is_for_those_that_no_line_names() {
        let topology = Topology { links: links(["*", "hub"]), ..Topology::default() };
        let peer = |name| topology.link(NodeKey::from_bytes([1; 32]), name).map(|it| &it.peer[..]);
        assert_eq!([peer("hub"), peer("leaf")], [Some("hub"), Some("*")]);
        let topology = Topology { links: links(["hub"]), ..Topology::default() };
        assert_eq!(topology.link(NodeKey::from_bytes([1; 32]), "leaf"), None);
    }
}
