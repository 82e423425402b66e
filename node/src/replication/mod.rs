//! The replication engine: a sans-IO state machine, `(now, Input)` in, [`Output`] out.
//!
//! It opens no socket, waits for no disk, reads no clock and draws randomness only from the generator that it
//! was given; its maps are ordered, so one seed and one sequence of inputs give one trace (R11). After each
//! [`Engine::handle`], drain [`Engine::poll_output`] to the end, then wait for the next input, for
//! [`Engine::next_deadline`], or, while [`Engine::has_work`], for nothing at all.
//!
//! | module | decides |
//! |---|---|
//! | `session` | who is welcome: hello and its outcomes, duplicates, joining |
//! | `inviting` | which invites there are |
//! | `introductions` | whose an incarnation is, before its record has come |
//! | `entering` | which node may go over to another domain, while it runs |
//! | `fence` | who holds this node's key or history, too |
//! | `recalling` | whether peers hold this node's writes as it does |
//! | `reissuing` | what becomes of writes whose numbers went on elsewhere |
//! | `feed` | what is pushed live, and what is held back |
//! | `rules` | what the settings say of a link, and whom to link with |
//! | `announcing` | what is told to whom that is not sent |
//! | `grafting` | who sends whose writes to whom |
//! | `names` | numbers that stand for incarnations on a link |
//! | `receive` | when a push may be applied |
//! | `pull`, `pulling`, `supply`, `supplying` | catch-up, at the asker and at the supplier |
//! | `refresh_asked` | what an operator asks of a refresh |
//! | `refreshing`, `comparing`, `absences` | refresh, where tombstones are gone |
//! | `taking_over` | what the next refresh has of one that broke off |
//! | `verify_plan`, `verifying`, `mending` | whether what is here is what should be, and what if it is not |
//! | `folding` | when a large catch-up that is visible moves to its place |
//! | `indexing` | when indexes are built |
//! | `progress` | acks, digests, credit |
//! | `concerns` | who waits for the acks of members |
//! | `bookmarks` | readers that wait for what they have seen elsewhere |
//! | `compacting` | which slots of counters nobody needs any more |
//! | `relaying` | what is told of members that are not linked with each other |
//! | `closing`, `removing` | which incarnations are closed, and whose members' ends those are |
//! | `rotating` | keys that change, and those that are refused |
//! | `words`, `collecting` | which tombstones nobody needs any more |
//! | `commit` | jobs for the store, and what follows from them |
//! | `continuity` | whether a new incarnation is needed |
//! | `primary` | who takes writes, where one member does |
//! | `delaying` | when a delayed replica shows what it has received |
//! | `rehab` | whether this node is ready, and a source for others |
//! | `dialer` | whom to dial, and when |
//! | `survey` | how the whole mesh is |
//! | `requests` | who answers what the application asks |
//! | `report`, `limited`, `sources`, `counting` | what to tell the operator |
//! | `sight` | what applications wait for: what peers hold |

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use millpond_core::message::CloseCode;
use millpond_core::transport::{Lane, LinkStats};
use millpond_core::{Dot, Incarnation, Namespace, NodeKey, Path, Succession, VersionVector};

use crate::conflicts::Writer;
use crate::membership::{Invite, InviteOptions, IssuedInvite, PendingMember};
use crate::removal::RemoveError;
use crate::replica::{DelayError, InviteError, JoinError, PromoteError, ReleaseError};
use crate::rotation::{RevokeError, RotateError};
use crate::state::{Heads, Job, JobError, LocalClosure, Outcome, WriteError};
use crate::status::{RefreshError, RefreshReport, Status, VerifyReport};
use crate::topology::settings::Topology;
use crate::topology::surveyed::Surveyed;

mod absences;
mod announcing;
mod bookmarks;
mod closing;
mod collecting;
mod commit;
mod compacting;
mod comparing;
mod concerns;
mod continuity;
mod counting;
mod deadlines;
mod delaying;
mod dialer;
mod engine;
mod entering;
mod feed;
mod fence;
mod folding;
mod grafting;
mod inbox;
mod indexing;
#[cfg(any(test, feature = "sim"))]
mod inspect;
mod introductions;
mod inviting;
mod limited;
mod link;
mod mending;
mod names;
mod peer;
mod primary;
mod progress;
mod pull;
mod pulling;
mod recalling;
mod receive;
mod refresh_asked;
mod refreshing;
mod rehab;
mod reissuing;
mod relaying;
mod removing;
mod report;
mod requests;
mod ring;
mod rotating;
mod rules;
mod session;
mod sight;
mod sources;
mod supply;
mod supplying;
mod survey;
mod taking_over;
mod verify_plan;
mod verifying;
#[cfg(feature = "backup")]
mod whole;
mod words;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

pub(crate) use crate::limits::Limits;
pub(crate) use bookmarks::Behind;
pub(crate) use collecting::Collection;
pub(crate) use concerns::{Waited, Wanted};
pub(crate) use engine::{Engine, EngineConfig};
#[cfg(any(test, feature = "sim"))]
pub(crate) use inspect::Belief;
#[cfg(feature = "backup")]
pub(crate) use rehab::Beginning;
pub(crate) use sight::Sight;
pub(crate) use verify_plan::VerifySettings;
#[cfg(feature = "backup")]
pub(crate) use whole::{Whole, not_of_whole};

/// The present, on both clocks: the monotonic one drives timers, the wall clock stamps writes. They never
/// mix.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Now {
    /// Milliseconds since some start.
    pub(crate) mono_ms: u64,
    /// Milliseconds since 1970.
    pub(crate) wall_ms: u64,
}

/// A link, numbered by the shell in the order in which they came up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LinkId(pub(crate) u64);

/// A job on its way through the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Token(pub(crate) u64);

/// A question of the application, to be answered under this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RequestId(pub(crate) u64);

/// Where a link leads, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Remote {
    /// The kind of network, in one word.
    pub(crate) transport: &'static str,
    pub(crate) address: String,
}

/// What a link's network tells at the moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct LinkNow {
    pub(crate) stats: LinkStats,
    /// Where the peer is seen, which may have moved since the link came up.
    pub(crate) address: String,
}

/// What happens to the engine.
#[allow(clippy::large_enum_variant)] // each is moved once, into the engine
pub(crate) enum Input {
    /// A link is authenticated: the peer has shown this key.
    LinkUp { link: LinkId, peer: NodeKey, dialed: bool, remote: Remote },
    /// A whole frame arrived.
    Frame { link: LinkId, lane: Lane, frame: Bytes },
    /// The transport took this many frame bytes off a lane's queue.
    Sent { link: LinkId, lane: Lane, bytes: usize },
    /// A link is gone; with the peer's code, if it said one.
    LinkDown {
        link: LinkId,
        peer: NodeKey,
        code: Option<CloseCode>,
        reason: String,
        stats: LinkStats,
    },
    /// The round trip of a link, as the transport measures it.
    RoundTrip { link: LinkId, us: u64 },
    /// The node shows this key from now on, and makes its links anew; or why not.
    KeyShown(Result<NodeKey, String>),
    /// It tells others to dial these addresses from now on.
    Listens(Vec<String>),
    /// A dial came to nothing.
    DialFailed { peer: NodeKey, reason: String },
    /// Readers see so much of the data, though not all of it is durable here yet.
    Shown { vv: VersionVector },
    /// The writer has committed a group, or failed to.
    Committed { results: Vec<(Token, Result<Outcome, JobError>)>, heads: Box<Heads> },
    /// The application asks.
    Request { id: RequestId, request: Request },
    /// A deadline may have passed.
    Timer,
    /// There was work left.
    Continue,
}

/// What the application asks of the engine.
pub(crate) enum Request {
    /// A transaction in the main namespace.
    Write(LocalClosure),
    /// The same, if so many members that count are linked; answered once its concern is met, if it has one.
    WriteWith { closure: LocalClosure, min_connected: usize, wanted: Option<Wanted> },
    /// Waits for the acks of a write that was committed.
    Await { dot: Dot, wanted: Wanted },
    /// Waits until readers see all of this.
    AwaitShown { vv: VersionVector, timeout_ms: u64 },
    /// Whoever waits for acks is to wait no longer.
    EndWaits,
    /// Whose these incarnations are, and what those members are called.
    Writers(BTreeSet<Incarnation>),
    /// Everything about this node. The shell knows the links' network counters, the store's size and what it
    /// noticed itself.
    Status { links: Vec<(LinkId, LinkNow)>, store_bytes: u64, warnings: Vec<String> },
    /// A new invite.
    Invite { options: InviteOptions, secret: [u8; 16] },
    /// The invites that this node has issued.
    Invites,
    /// Lets a node in that waits for it, or does not.
    Decide { who: String, is_approved: bool },
    /// Lets nobody in any more by the invite that is named so.
    RevokeInvite(String),
    /// Redeems an invite, if nothing is here that could be lost.
    Join(Invite),
    /// Closes the links to a peer, or all, and keeps them closed.
    Pause(Option<NodeKey>),
    /// Takes back [`Request::Pause`].
    Resume(Option<NodeKey>),
    /// How the whole mesh is.
    Survey,
    /// Verifies this node with these peers, or all, after looking through its own store if that is wanted.
    Verify { peers: Option<Vec<NodeKey>>, is_deep: bool },
    /// Refreshes with a peer, or tells what that would do.
    Refresh { peer: NodeKey, is_dry: bool },
    /// Deletes what is lost everywhere, at and below a path, or everywhere.
    AcceptLoss(Option<Path>),
    /// Lifts the fence: a person has looked.
    Release,
    /// Makes a member the only one that takes writes, or everybody.
    Promote(Option<NodeKey>),
    /// Remove a member.
    Remove(NodeKey),
    /// Record that another key follows that of this node, which shows it at the latest after so long, and that one no
    /// longer.
    Rotate { succession: Succession, overlap_ms: u64 },
    /// Have a key refused that another one has taken the place of.
    Revoke(NodeKey),
    /// Does something else with what a delayed replica has yet to show.
    Delay(DelayOrder),
    /// Takes part in the mesh in another way from now on. The settings have been checked.
    SetTopology(Topology),
}

/// What becomes of what a delayed replica has yet to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DelayOrder {
    /// It waits.
    Pause,
    /// It is shown when it is old enough.
    Resume,
    /// What arrived up to this moment, in milliseconds since 1970, is shown now; then all waits.
    ApplyUntil(u64),
    /// All is shown, and the delay ends.
    Promote,
}

/// What the engine wants done.
#[derive(Debug)]
pub(crate) enum Output {
    /// Hand a frame to a lane.
    Send { link: LinkId, lane: Lane, frame: Bytes },
    /// End a link, telling the peer why.
    Close { link: LinkId, code: CloseCode, reason: String },
    /// Dial a peer, which shows one of these keys, at one of these addresses.
    Dial { peer: NodeKey, keys: Vec<NodeKey>, addresses: Vec<String> },
    /// Show the key that was prepared, on links that are made anew.
    ShowKey { key: NodeKey },
    /// Run a job and report back.
    Commit { token: Token, job: Job },
    /// Answer the application.
    Answer { id: RequestId, answer: Answer },
    /// A namespace changed: its applied vector.
    #[cfg_attr(
        not(any(test, feature = "sim")),
        allow(dead_code, reason = "the simulator looks at it")
    )]
    Applied { namespace: Namespace, vv: VersionVector },
    /// Readers of the data see more: the vector of what they see.
    Shown { vv: VersionVector },
    /// What every member has on its disk, of the data.
    HeldByAll { vv: VersionVector },
    /// What became of joining.
    Join(JoinProgress),
}

/// An answer to the application.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The transaction is durable, its last dot named; or it was refused.
    Written(Result<(Option<Dot>, VersionVector), WriteError>),
    /// The transaction is durable here, and its concern is met, or has not been met in time.
    Stored { dot: Dot, vv: VersionVector, waited: Waited },
    /// The acks of a write are there, or have not come in time.
    Waited(Waited),
    /// Readers see what was asked for; or how much they do not.
    Shown(Result<(), Behind>),
    /// Those that are known.
    Writers(BTreeMap<Incarnation, Writer>),
    /// The status.
    Status(Box<Status>),
    /// The invite, once it is recorded; or why there is none.
    Invite(Result<Invite, InviteError>),
    /// Those that this node remembers.
    Invites(Vec<IssuedInvite>),
    /// It is recorded who was approved, or denied; or why not.
    Decided(Result<PendingMember, InviteError>),
    /// It is recorded that an invite is revoked; or why not.
    InviteRevoked(Result<IssuedInvite, InviteError>),
    /// It is recorded that this node is about to join; or why it is not.
    Joining(Result<(), JoinError>),
    /// It is recorded who takes writes; or why not.
    Promoted(Result<(), PromoteError>),
    /// It is recorded that a member is removed; or why not.
    Removed(Result<(), RemoveError>),
    /// It is recorded which key comes next; or why not.
    Rotated(Result<(), RotateError>),
    /// It is recorded that a key is refused; or why not.
    Revoked(Result<(), RevokeError>),
    /// It is recorded what becomes of what waits; or why not.
    Delay(Result<(), DelayError>),
    /// What the nodes of the mesh have told.
    Survey(Box<Surveyed>),
    /// What a refresh has come to, or would.
    Refreshed(Result<RefreshReport, RefreshError>),
    /// What a verification has found.
    Verified(Box<VerifyReport>),
    /// How many lost values were deleted, and how many paths that makes.
    LossAccepted(Result<u64, WriteError>),
    /// The fence is lifted; or why not.
    Released(Result<(), ReleaseError>),
    /// Done.
    Done,
}

/// What became of joining, for a node that holds an invite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JoinProgress {
    /// This node is a member, and has caught up with its inviter.
    Joined,
    /// The inviter refused.
    Refused(String),
    /// The inviter cannot be reached so far.
    Waiting(String),
    /// An admin has to approve this node, by these words.
    Asked { words: String },
}
