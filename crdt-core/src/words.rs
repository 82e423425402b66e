//! Words of third parties: what members that are not linked with each other have on their disks.

use alloc::vec::Vec;

use crate::{Boot, Namespace, NodeKey, Seq};

/// What the sender knows of members that the receiver is not linked with. Members are named by numbers that
/// the sender gives on this link.
///
/// It follows a digest, and what it says of vectors is relative to what the receiver was told by then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// The number of the first of `members`; zero takes back all that were given before.
    pub first: u32,
    /// Members that have not had a number on this link; their numbers ascend by one.
    pub members: Vec<NodeKey>,
    /// Whom the sender is linked with, if that is news.
    pub linked: Option<Linked>,
    /// The words, ascending by member.
    pub words: Vec<RelayedWord>,
}

/// Whom a node is linked with, and so need not be told of: in the shorter of two ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linked {
    /// Whether it is all members but those that are named.
    pub is_all_but: bool,
    /// Members, by number, strictly ascending.
    pub members: Vec<u32>,
}

/// What a member had on its disk, at one moment, as others tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayedWord {
    /// Whose it is, by number.
    pub member: u32,
    /// The boot that said it, unless it is that of the word before about the same member on this link.
    pub boot: Option<Boot>,
    /// How long ago it said so, or was last heard to have no more, without the time that frames are under way.
    pub age_ms: u64,
    /// The entries, in each namespace, that differ from what the receiver was told of the sender by the digest
    /// before: of each incarnation the last seq; `None` for none of it. Without it the member is alive, and
    /// what it has is not told.
    pub differs: Option<Vec<Differing>>,
}

/// The entries of one namespace that differ, strictly ascending by number.
pub type Differing = (Namespace, Vec<(u32, Option<Seq>)>);
