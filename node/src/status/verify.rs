//! What verifying has found, for operators.

use serde::{Deserialize, Serialize};

/// What one verification of a node has found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Whether all that was asked is in order, or was mended.
    pub is_sound: bool,
    /// Whether everything that was asked for was looked at.
    pub is_whole: bool,
    /// What comparing with each peer came to, for each namespace.
    pub peers: Vec<VerifiedPeer>,
    /// What looking through this node's own store came to, the last time.
    pub scrub: Option<ScrubReport>,
    /// Values that this node has lost and no peer has given back so far.
    pub lost: Vec<LostValue>,
    /// What a person has to look at, newest last: no more than the latest.
    pub alarms: Vec<String>,
}

/// What comparing with one peer came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VerifiedPeer {
    /// The peer's name.
    pub peer: String,
    /// The namespace.
    pub namespace: String,
    /// The outcome, in one word.
    pub outcome: VerifyOutcome,
    /// Entries that this node has compared.
    pub entries: u64,
    /// Paths at which the two differed.
    pub differing: u64,
    /// Of those, paths where writes on their way explain it.
    pub explained: u64,
    /// Values that were put back here.
    pub mended: u64,
    /// Values of which one side is wrong, and nothing says which.
    pub suspect: u64,
    /// The first of those paths that nothing explains.
    pub paths: Vec<String>,
    /// How long ago that was.
    pub age_s: u64,
}

/// What comparing with a peer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum VerifyOutcome {
    /// Both hold the same.
    Equal,
    /// What differs is on its way.
    Level,
    /// Something was put back here.
    Mended,
    /// Something differs that nothing explains.
    Differs,
    /// There is no link to the peer that data may be asked over.
    NotLinked,
    /// One of the two has so much to catch up with that comparing them says little.
    Behind,
    /// The two need a refresh first.
    RefreshNeeded,
    /// It broke off.
    BrokeOff,
}

impl VerifyOutcome {
    /// Whether it says that the two agree.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Equal | Self::Level | Self::Mended)
    }
}

/// What looking through a store has found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ScrubReport {
    /// Entries read, and checked against their checksums and the log.
    pub entries: u64,
    /// Log rows read, and checked against their checksums and the entries.
    pub log_rows: u64,
    /// Values whose checksums do not hold.
    pub damaged: u64,
    /// Writes that the log has and their paths have not.
    pub lost: u64,
    /// Writes that their paths have and the log has not.
    pub unlogged: u64,
    /// How long ago it ended.
    pub age_s: u64,
}

/// A value that a node has lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LostValue {
    /// The namespace.
    pub namespace: String,
    /// The path.
    pub path: String,
    /// The dot.
    pub dot: String,
}

/// When a node last looked whether it holds what it should.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VerifyStatus {
    /// How long ago it last read its own store to the end; `None` if it has not yet.
    pub read_age_s: Option<u64>,
    /// Peers with which its last comparisons found nothing wrong.
    pub agreeing: u64,
    /// Peers with which one of its last comparisons found something, or came to nothing.
    pub others: u64,
    /// How long ago the last comparison ended.
    pub compared_age_s: Option<u64>,
}

/// What verifying has done since the node started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VerifyTotals {
    /// Comparisons with peers that came to an end.
    pub comparisons: u64,
    /// Times that the own store was looked through.
    pub scrubs: u64,
    /// Values put back, and log rows.
    pub mended: u64,
    /// Values of which one side is wrong, and nothing says which.
    pub suspect: u64,
    /// Values that were issued again.
    pub issued_again: u64,
    /// Values that this node has lost, and nobody has given back so far.
    pub lost: u64,
}
