//! Who has acknowledged a write, and who is late.

use std::fmt;
use std::str::FromStr;

use millpond_core::NodeKey;

/// How far a write has come at a member. Each level implies those before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AckLevel {
    /// The member has it in memory: it survives the end of this node, not the end of both.
    Received,
    /// Readers of the member see it.
    Applied,
    /// It is on the member's disk.
    #[default]
    Durable,
}

/// The text is no level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a level is `received`, `applied` or `durable`")]
pub struct ParseLevelError;

/// What is known of a member when its ack is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Standing {
    /// It is linked with this node.
    Linked,
    /// It is not linked with this node now. What it has acknowledged it has.
    NotLinked,
    /// It has told more of itself than has come here, and does not count before: it may be a delayed replica. Or it
    /// holds other writes of this node than this node has: they are compared first.
    Unknown,
    /// It has yet to catch up, and does not count.
    Rehab,
    /// It is a delayed replica, and does not count.
    Delayed,
    /// It has been silent for longer than the offline window, and does not count.
    Evicted,
    /// Its key or its history is alive twice, and it does not count.
    Fenced,
}

/// A member, and how far a write has come there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberAck {
    /// Who.
    pub key: NodeKey,
    /// Its name.
    pub name: String,
    /// How far the write has come there, as far as is known here.
    pub level: Option<AckLevel>,
    /// What is known of it.
    pub standing: Standing,
}

/// Who has acknowledged a write, and who is late, of those that its concern is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Acks {
    /// Those whose acks count, at the level that was asked for.
    pub acked: Vec<MemberAck>,
    /// All others: who is late, and who does not count.
    pub late: Vec<MemberAck>,
}

impl Standing {
    /// Whether an ack of a member that stands so counts.
    pub fn counts(self) -> bool {
        matches!(self, Self::Linked | Self::NotLinked)
    }
}

impl fmt::Display for AckLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Received => "received",
            Self::Applied => "applied",
            Self::Durable => "durable",
        })
    }
}

impl FromStr for AckLevel {
    type Err = ParseLevelError;

    fn from_str(text: &str) -> Result<Self, ParseLevelError> {
        match text {
            "received" => Ok(Self::Received),
            "applied" => Ok(Self::Applied),
            "durable" => Ok(Self::Durable),
            _ => Err(ParseLevelError),
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Linked => "linked",
            Self::NotLinked => "not linked",
            Self::Unknown => "not yet known well enough",
            Self::Rehab => "has yet to catch up",
            Self::Delayed => "a delayed replica",
            Self::Evicted => "silent for longer than the offline window",
            Self::Fenced => "fenced",
        })
    }
}

impl fmt::Display for Acks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |members: &[MemberAck], text: &dyn Fn(&MemberAck) -> String| match members {
            [] => "nobody".to_owned(),
            members => members.iter().map(text).collect::<Vec<_>>().join(", "),
        };
        let acked = names(&self.acked, &|member| member.name.clone());
        let late = names(&self.late, &|member| format!("{} ({})", member.name, member.standing));
        write!(f, "acknowledged by {acked}; late: {late}")
    }
}
