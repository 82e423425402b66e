//! Messages: what peers say to each other, as values. [`crate::wire`] is how they look as bytes.
//!
//! | message | lane | says |
//! |---|---|---|
//! | [`Hello`] | control | first on every link, both ways: who I am and what I hold |
//! | [`Introduce`](Message::Introduce) | control | whose an incarnation is |
//! | [`Pull`] | control | send me all that I lack of a namespace |
//! | [`PullStart`](Message::PullStart), [`Rows`](Message::Rows), [`PullEnd`](Message::PullEnd), [`PullRefused`](Message::PullRefused) | bulk | the answer |
//! | [`Feed`](Message::Feed) | control | from this vector on, send me what is written |
//! | [`Behind`](Message::Behind) | control | your feed needs more than I keep at hand: pull |
//! | [`Push`](Message::Push) | control | one transaction as written |
//! | [`Names`](Message::Names) | control | numbers that stand for incarnations from here on |
//! | [`Terms`] | control | what I want of you, and what you may expect of me |
//! | [`Announce`](Message::Announce) | control | what I have applied and do not send: graft it if it does not come |
//! | [`Graft`](Message::Graft) | control | send me what these origins write |
//! | [`Prune`](Message::Prune) | control | I have it from elsewhere: send me no more of these origins |
//! | [`Digest`](Message::Digest) | control | a hash of what I have told you that I have applied |
//! | [`Ack`](Message::Ack) | control | what I received, applied, made durable, since my last word |
//! | [`Words`] | control | what members have that you are not linked with, and whom I am linked with |
//! | [`Credit`](Message::Credit) | control | how much of yours I have worked off |
//! | [`Compare`], [`CompareAccept`](Message::CompareAccept), [`CompareRefused`](Message::CompareRefused) | bulk | let us find where we differ |
//! | [`Ranges`](Message::Ranges) | bulk | what I hold, range by range |
//! | [`PullCompared`](Message::PullCompared) | control | send me what differs, and all that I lack |
//! | [`Recall`](Message::Recall), [`Recalled`](Message::Recalled) | control | which of my writes do you hold, and as what? |
//! | [`Closed`](Message::Closed) | both | what is closed, and left out of the vectors that follow |
//! | [`ClosedHeld`](Message::ClosedHeld) | control | the table that I have; before hello: not yours |
//! | [`Succession`](Message::Succession) | control | before hello: whose successor the key is that this link was made with |
//! | [`Hurry`](Message::Hurry) | control | ack at once, for a while |
//! | [`Survey`](Message::Survey) | control | tell me, and let all others tell me, how the mesh is |
//! | [`Surveyed`](Message::Surveyed) | bulk | how one node sees it |

use alloc::string::String;
use alloc::vec::Vec;

pub use crate::compare::{Claim, Compare, CompareRefusal, Fingerprint, Purpose, Range};
pub use crate::survey::{LinkReport, NodeReport, OriginReport, ReportedMode};
use crate::wire::{PushFrame, RowsFrame};
pub use crate::words::{Differing, Linked, RelayedWord, Words};
use crate::{
    Boot, ClosedSeq, Domain, Incarnation, Namespace, NodeKey, Path, Seq, Succession, VersionVector,
};

/// The version of the protocol that this crate speaks, and the oldest that it still understands.
pub const PROTOCOL: Protocol = Protocol { oldest: 1, newest: 1 };

/// A range of protocol versions. Two nodes talk in the newest that both know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocol {
    /// The oldest version understood.
    pub oldest: u16,
    /// The newest version spoken.
    pub newest: u16,
}

impl Protocol {
    /// The version that both sides speak; `None` when there is none.
    pub fn common(self, other: Self) -> Option<u16> {
        let newest = self.newest.min(other.newest);
        (newest >= self.oldest.max(other.oldest)).then_some(newest)
    }
}

/// Anything that one peer says to another.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Message {
    /// The first message on a link.
    Hello(Hello),
    /// Incarnations and the members who issue under them.
    Introduce(Vec<(Incarnation, NodeKey)>),
    /// From the first key of a member to the one that it shows on this link: who has not heard of its rotation yet knows
    /// it by that. Comes before the hello, or not at all.
    Succession(Vec<Succession>),
    /// Asks for a catch-up.
    Pull(Pull),
    /// The catch-up begins.
    PullStart {
        /// Which transfer.
        transfer: u64,
        /// The vector that the receiver will have when it has committed all of it.
        upto: VersionVector,
        /// About how many rows will come, for progress bars.
        rows_estimate: u64,
        /// Below this vector the supplier's tombstones are gone, and with the catch-up the receiver's are too.
        /// `upto` covers it.
        floor: VersionVector,
    },
    /// Rows of the catch-up, in path order.
    Rows(RowsFrame),
    /// The catch-up is complete.
    PullEnd {
        /// Which transfer.
        transfer: u64,
        /// How many rows it had on this connection.
        rows: u64,
    },
    /// No catch-up from here.
    PullRefused {
        /// Which transfer.
        transfer: u64,
        /// Why, and so whether to come again.
        reason: PullRefusal,
    },
    /// Asks for a live feed of this namespace, starting at a vector.
    Feed {
        /// Which namespace.
        namespace: Namespace,
        /// What the asker has applied.
        from: VersionVector,
    },
    /// The live feed cannot start from there: what the asker lacks is no longer at hand as transactions.
    Behind {
        /// Which namespace.
        namespace: Namespace,
    },
    /// One transaction.
    Push(PushFrame),
    /// Gives incarnations numbers, which stand for them in what the sender says later on this link. They take
    /// 1 or 2 bytes where an incarnation takes 16.
    Names {
        /// The number of the first one; zero takes back all that were given before.
        first: u32,
        /// The incarnations; their numbers ascend by one.
        names: Vec<Incarnation>,
    },
    /// What the sender wants on this link, and what it does there; the latest word holds.
    Terms(Terms),
    /// What the sender has applied, and has on disk, beyond its last word, and does not send: the receiver may get it from
    /// elsewhere, and grafts it if it does not.
    Announce(Vec<(Namespace, NumberedVector)>),
    /// Asks for all transactions of these origins beyond these seqs, and for what they write from now on.
    Graft {
        /// Which namespace.
        namespace: Namespace,
        /// Of each origin the last seq that need not be sent; `None` is before the first.
        after: Vec<(u32, Option<Seq>)>,
    },
    /// Asks for nothing more of these origins: another peer is their source. They may still be announced.
    Prune {
        /// Which namespace.
        namespace: Namespace,
        /// Which origins, by number.
        origins: Vec<u32>,
    },
    /// For each namespace the XXH3-64 of the vector that the receiver has been told is applied: of each entry, in
    /// order, the incarnation and the seq as eight bytes, little-endian. One that differs from what the
    /// receiver believes shows that a word was lost.
    Digest(Vec<(Namespace, u64)>),
    /// What changed in the sender's vectors since it last told them.
    Ack(Vec<Ack>),
    /// What members have that the receiver is not linked with. Follows a digest.
    Words(Words),
    /// Bytes of pushes and of rows, since the link began, that the sender has worked off.
    Credit(Credit),
    /// Somebody waits for acks: for so long the sender wants to hear at once what the receiver has received and
    /// applied, and not when that gathers into a longer ack.
    Hurry {
        /// For how many milliseconds from now; the receiver may bound it.
        ms: u64,
    },
    /// Asks every node of the mesh for a [`NodeReport`]. A node passes a survey on once, and answers the way
    /// that it came.
    Survey {
        /// Chosen at random by who asks.
        id: u64,
    },
    /// A node's answer to a survey, on its way to who asked.
    Surveyed {
        /// Of which survey.
        id: u64,
        /// What the node tells.
        report: NodeReport,
    },
    /// Asks to compare a namespace. Each side takes part with one snapshot, and says [`Message::Ranges`] in
    /// turn; the asker begins.
    Compare(Compare),
    /// The comparison may begin.
    CompareAccept {
        /// Which.
        session: u64,
        /// What the snapshot of who answers covers.
        vv: VersionVector,
        /// Below this vector it has no tombstones any more.
        floor: VersionVector,
    },
    /// The comparison does not begin, or goes no further.
    CompareRefused {
        /// Which.
        session: u64,
        /// Why.
        reason: CompareRefusal,
    },
    /// What the sender holds in the ranges that are not settled, and what it wants to know of.
    Ranges {
        /// Of which comparison.
        session: u64,
        /// Whether the sender has said all that it has to say in this turn. A turn without ranges ends the
        /// comparison.
        is_last: bool,
        /// Ascending.
        ranges: Vec<Range>,
    },
    /// Asks for the supplier's side of a comparison that has ended: what the asker's snapshot does not cover,
    /// and every entry that differs. The answer is that of a [`Message::Pull`].
    PullCompared {
        /// Of which comparison.
        session: u64,
        /// A number that the asker chose, unique on the link.
        transfer: u64,
        /// Where an earlier transfer was cut off, from this supplier's boot, with the same base.
        resume: Option<Resume>,
    },
    /// Says a table of closed incarnations, to which vectors that follow on this lane may be relative.
    Closed(ClosedChange),
    /// Names the sender's own table of closed incarnations. In the place of an answer to a hello it means that the
    /// one that came before that hello is not known here: it is to be said by what differs from another one, and
    /// hello again.
    ClosedHeld {
        /// Its hash.
        hash: u64,
    },
    /// Asks what the receiver holds of the asker's own writes: an incarnation that was issued under twice shows
    /// two contents for one dot.
    Recall {
        /// Which namespace.
        namespace: Namespace,
        /// One of the asker's incarnations.
        incarnation: Incarnation,
        /// Only what lies beyond this seq; `None` is before the first.
        after: Option<Seq>,
        /// And not beyond this one.
        upto: Seq,
    },
    /// What the sender holds of them, live or as tombstones: the first ones, ascending, at most
    /// [`RECALLED_WRITES_MAX`](crate::limits::RECALLED_WRITES_MAX).
    Recalled {
        /// Which namespace.
        namespace: Namespace,
        /// The incarnation.
        incarnation: Incarnation,
        /// Up to where that is all.
        upto: Seq,
        /// The first eight bytes of the BLAKE3 hash of each write: its path encoded, with the length before it
        /// as eight bytes, little-endian; its stamp as eight bytes, big-endian; and, unless it deletes, its
        /// kind as two bytes, little-endian, and its value.
        writes: Vec<(Seq, [u8; 8])>,
    },
}

/// A table of closed incarnations, told as what differs from another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedChange {
    /// The hash of the table that is changed: the one that the lane said last, or one that the receiver has.
    pub from: u64,
    /// The hash of the table that comes of it.
    pub to: u64,
    /// What differs, ascending by namespace and incarnation.
    pub changes: Vec<ClosedSeq>,
}

/// Who a node is and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Protocol versions.
    pub protocol: Protocol,
    /// Optional abilities, a bit each; unknown bits are ignored.
    pub features: u64,
    /// The deployment that the node belongs to, or asks to join.
    pub domain: Domain,
    /// The node's name, for people.
    pub name: String,
    /// Where the node can be dialled.
    pub addresses: Vec<String>,
    /// This opening of its store.
    pub boot: Boot,
    /// The incarnations that it issued under and that are not in the table that the lane has said, oldest first.
    pub incarnations: Vec<Incarnation>,
    /// What it holds durably, for each namespace.
    pub namespaces: Vec<HelloNamespace>,
    /// The secret of an invite, when the node asks to join.
    pub invite: Option<[u8; 16]>,
}

/// What a node holds of one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelloNamespace {
    /// Which.
    pub namespace: Namespace,
    /// Its durable vector.
    pub durable: VersionVector,
    /// Below this vector its tombstones are gone.
    pub floor: VersionVector,
}

/// Asks a supplier for everything that the asker lacks of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// Which namespace.
    pub namespace: Namespace,
    /// A number that the asker chose, unique on the link.
    pub transfer: u64,
    /// What the asker holds durably.
    pub from: VersionVector,
    /// Where an earlier transfer from this supplier's boot with the same `from` was cut off.
    pub resume: Option<Resume>,
}

/// How far a transfer got that was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// The vector of the snapshot that the staged rows came from.
    pub upto: VersionVector,
    /// The last path staged durably.
    pub cursor: Path,
}

/// Why a catch-up is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PullRefusal {
    /// The supplier has as much to do as it allows itself: ask another, or later.
    Busy,
    /// The asker's vector does not cover the supplier's floor: the two must refresh.
    BelowFloor,
    /// The supplier does not hold this namespace, or the asker may not read it.
    NotAllowed,
    /// A reason that this version does not know.
    Other(u8),
}

impl PullRefusal {
    /// The number on the wire.
    pub const fn number(self) -> u8 {
        match self {
            Self::Busy => 1,
            Self::BelowFloor => 2,
            Self::NotAllowed => 3,
            Self::Other(number) => number,
        }
    }

    /// The reason of this number.
    pub const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Busy,
            2 => Self::BelowFloor,
            3 => Self::NotAllowed,
            number => Self::Other(number),
        }
    }
}

/// Entries of a vector under the numbers that the sender has given to incarnations on this link
/// ([`Message::Names`]), strictly ascending by number; so few that the message stays within
/// [`NUMBERED_BYTES_MAX`](crate::limits::NUMBERED_BYTES_MAX).
pub type NumberedVector = Vec<(u32, Seq)>;

/// Changes of the sender's vectors for one namespace: entries that rose since its last word on this link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// Which namespace.
    pub namespace: Namespace,
    /// Received, perhaps not yet applied.
    pub received: NumberedVector,
    /// Applied and visible.
    pub applied: NumberedVector,
    /// Applied and on disk.
    pub durable: NumberedVector,
}

/// What a node wants on a link, and what it does there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// It wants to be told what the peer applies and does not send it ([`Message::Announce`]).
    pub wants_announcements: bool,
    /// It sends its own writes at once, unasked.
    pub feeds_own: bool,
    /// It serves feeds and catch-ups; if not, asking is in vain.
    pub serves: bool,
    /// It is not ready: it has yet to catch up, or is too far behind.
    pub in_rehab: bool,
    /// Within how many milliseconds it wants to hear of progress; `None` leaves it to the peer.
    pub ack_within_ms: Option<u64>,
}

impl Default for Terms {
    /// Before anything was said: it serves, and feeds its own writes.
    fn default() -> Self {
        Self {
            wants_announcements: false,
            feeds_own: true,
            serves: true,
            in_rehab: false,
            ack_within_ms: None,
        }
    }
}

/// Running totals of frame bytes worked off, of each kind that flow control bounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Credit {
    /// Of [`Message::Push`].
    pub push_bytes: u64,
    /// Of [`Message::Rows`].
    pub rows_bytes: u64,
}

/// Why a node closes a link: the code that the peer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseCode {
    /// The node shuts down; dial again later.
    ShuttingDown,
    /// Another link to the same peer survives.
    Duplicate,
    /// The peer is of another domain. Nothing is ever deleted because of this.
    OtherDomain,
    /// No common protocol version.
    Incompatible,
    /// The peer is no member here.
    NotAuthorised,
    /// The invite is unknown here, used, or expired.
    InviteRefused,
    /// The peer broke the protocol, or a limit that no honest peer exceeds.
    Protocol,
    /// Dots of the peer cannot be admitted: its clock or its role.
    NotAdmitted,
    /// Two live boots of one key exist.
    Cloned,
    /// The peer presents this node's own key.
    Itself,
    /// The peer came with an invite, and an admin has yet to approve it; dial again later.
    AwaitsApproval,
    /// A code that this version does not know.
    Other(u32),
}

impl CloseCode {
    /// The number on the wire.
    pub const fn number(self) -> u32 {
        match self {
            Self::ShuttingDown => 1,
            Self::Duplicate => 2,
            Self::OtherDomain => 3,
            Self::Incompatible => 4,
            Self::NotAuthorised => 5,
            Self::InviteRefused => 6,
            Self::Protocol => 7,
            Self::NotAdmitted => 8,
            Self::Cloned => 9,
            Self::Itself => 10,
            Self::AwaitsApproval => 11,
            Self::Other(number) => number,
        }
    }

    /// The code of this number.
    pub const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::ShuttingDown,
            2 => Self::Duplicate,
            3 => Self::OtherDomain,
            4 => Self::Incompatible,
            5 => Self::NotAuthorised,
            6 => Self::InviteRefused,
            7 => Self::Protocol,
            8 => Self::NotAdmitted,
            9 => Self::Cloned,
            10 => Self::Itself,
            11 => Self::AwaitsApproval,
            number => Self::Other(number),
        }
    }
}
