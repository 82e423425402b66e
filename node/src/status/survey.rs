//! How the whole mesh is, as its nodes have told.

use serde::{Deserialize, Serialize};

/// How the whole mesh is, as its nodes have told.
///
/// Nodes are named by [`SurveyNode::name`], which is unique here. Nothing of it is proven: a node is believed
/// what it tells of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Survey {
    /// Every member, by name.
    pub nodes: Vec<SurveyNode>,
    /// The links between them, by name.
    pub links: Vec<SurveyLink>,
    /// For each member that writes the way of its writes, by name.
    pub trees: Vec<SurveyTree>,
    /// What would follow if a node died, by name; those of whose death nothing follows are left out.
    pub losses: Vec<SurveyLoss>,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SurveyNode {
    /// Its name, and the first digits of its key if another one is named alike.
    pub name: String,
    /// Its key, 64 hex digits.
    pub key: String,
    /// Whether it is the node that asked.
    pub is_this_node: bool,
    /// Whether it has answered; if not, what follows is unknown.
    pub answered: bool,
    /// Where it is, if it has said.
    pub region: Option<String>,
    /// What it costs others to receive from it, beside the way to it.
    pub cost: u32,
    /// Whom it links with: `full-mesh`, `spanning-tree`, `static`.
    pub mode: Option<String>,
    /// How many peers it feeds its own writes to, in a spanning tree.
    pub fanout: Option<u32>,
    /// What becomes of replicated data there: `adaptive` or `hold-down`.
    pub ripple: Option<String>,
}

/// A link between two members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SurveyLink {
    /// One end.
    pub a: String,
    /// The other end.
    pub b: String,
    /// Smoothed round trip in microseconds, the lesser of what the two say; absent while unknown.
    pub round_trip_us: Option<u64>,
    /// What it costs the first to receive over it, if that has answered.
    pub cost_to_a: Option<u32>,
    /// What it costs the second to receive over it, if that has answered.
    pub cost_to_b: Option<u32>,
    /// Whether nothing comes over it now.
    pub is_spare: bool,
    /// Whether the mesh would fall apart without it.
    pub is_bridge: bool,
}

/// The way of what one member writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SurveyTree {
    /// The member that writes.
    pub origin: String,
    /// The incarnation under which it writes.
    pub incarnation: String,
    /// Who sends it to whom, by receiver.
    pub edges: Vec<SurveyEdge>,
    /// The nodes that have answered and that nobody sends it to: they are told of it, or catch up.
    pub unfed: Vec<String>,
}

/// Who sends to whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SurveyEdge {
    /// Who sends.
    pub from: String,
    /// Who receives.
    pub to: String,
    /// Whom the receiver would ask next.
    pub standby: Option<String>,
}

/// What would follow if a node died.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SurveyLoss {
    /// The node.
    pub node: String,
    /// Who would have to take data from elsewhere.
    pub turns: Vec<SurveyTurn>,
    /// The nodes that no link would lead to any more from most others, until new ones are made.
    pub cut_off: Vec<String>,
}

/// A node would have to take something from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SurveyTurn {
    /// Which node.
    pub node: String,
    /// Whose writes.
    pub origin: String,
    /// Whom it would ask for them; absent where it knows nobody yet: it would wait for an announcement.
    pub to: Option<String>,
}
