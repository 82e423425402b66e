//! Millpond: an embeddable, durable, multi-writer replicated store.
//!
//! A [`Replica`] is one copy of the data, in one folder, opened by one process. It takes reads and writes at
//! any time, online or not, and converges with the other members of its domain by itself: no leader, no
//! quorum, no server. A write is a transaction: visible whole or not at all, on every replica, and on disk
//! before it is acknowledged.
//!
//! It is *not* a consensus store: there are no linearizable reads, no unique constraints, and no transaction
//! sees what happens elsewhere at the same moment. Of two concurrent writes of one field the later shows, and
//! the other stays visible as a conflict until the field is written again. If two nodes must not both sell
//! the last ticket, something else is needed.
//!
//! Left to others: how peers are reached is a transport's (QUIC here), merging and wire are
//! [`millpond_core`]'s, and the node for operators is the program `millpond`.
//!
//! # Example
//! Two replicas on one machine: the first founds a domain, the second joins it by an invite, and each sees
//! what the other writes.
//!
#![cfg_attr(feature = "quic", doc = "```")]
#![cfg_attr(not(feature = "quic"), doc = "```no_run")]
//! use millpond::records::{Document, RecordId, RecordView, write};
//! use millpond::{Config, InviteOptions, Replica};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let anna = Config::new(folder.join("anna")); // on a free loopback port
//! Replica::init(&anna)?;
//! let anna = Replica::open(anna).await?;
//! let invite = anna.invite(InviteOptions::default()).await?;
//!
//! let ben = Config::new(folder.join("ben"));
//! Replica::prepare_join(&ben, &invite)?;
//! let ben = Replica::open(ben).await?;
//! ben.joined().await?;
//!
//! let milk = RecordId::new("todo", "milk")?;
//! let fields = Document::parse(r#"{"title": "Buy milk", "done": false}"#)?;
//! let id = milk.clone();
//! let ((), receipt) = write(&anna, move |tx| tx.put(&id, &fields)).await?;
//!
//! ben.committed().covers(&receipt.vv).await?;
//! let record = RecordView::new(ben.read()?).get(&milk)?.expect("it has arrived");
//! assert_eq!(record.document().0["title"].text(), r#""Buy milk""#);
//!
//! ben.close().await;
//! anna.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Where to look
//! | to | see |
//! |---|---|
//! | learn it | [`_tutorial`] |
//! | know how something is done, and what can go wrong | [`_cookbook`] |
//! | open, write, read, watch, invite, pause, close | [`Replica`], [`ReplicaBuilder`], [`Config`] |
//! | wait until other members hold a write | [`Write::concern`], [`Concern`], [`Receipt`] |
//! | let a client move between replicas and never go back | [`Bookmark`], [`Replica::at_least`] |
//! | know what an error means, and whether to try again | [`ErrorCode`], `code()`, `hint()` and `is_retryable()` of each error |
//! | follow what changes, from any replica to any other | [`Replica::changes`], [`Changes`] |
//! | see and end conflicts | [`Replica::conflicts`], [`Replica::follow_conflicts`], [`Replica::undo_decision`], [`Replica::explain`] |
//! | wait for other members, and see how they are | [`Replica::caught_up`], [`Replica::synced_with`], [`Presence`] |
//! | work with structs whose fields merge as their types say | [`typed`], [`Record`](trait@Record) |
//! | work with JSON records and counters | [`records`] |
//! | work with paths and payloads below them | [`WriteTx`], [`View`] |
//! | put the data aside, and make a replica of it | `backup` (feature) |
//! | tell how the node is | [`status`] |
//! | serve all that over HTTP | `http` (feature) |
//! | test what an app does when nodes are cut off, crash or fall back | `sim` (feature) |
//! | know what lies on disk and what a store must do | [`store`] |
//!
//! # Features
//! | feature | adds |
//! |---|---|
//! | `derive` (default) | `#[derive(Record)]` |
//! | `backup` | backups: making, checking and restoring them |
//! | `quic` (default) | the QUIC transport; without it a replica reads and writes, and is alone |
//! | `http` | the local HTTP/JSON API |
//! | `sim` | for tests: the test kit, `sim::Sim`, on which an app meets cuts, crashes, wrong clocks and old backups; besides, the simulator and the rigs that test Millpond itself, which are free to change |

// What the derive makes names this crate as others do.
extern crate self as millpond;

#[cfg(doc)]
pub mod _cookbook;
#[cfg(doc)]
pub mod _tutorial;
#[cfg(feature = "backup")]
pub mod backup;
mod certificate;
mod changes;
mod closure;
mod commits;
mod concern;
mod config;
mod conflicts;
mod errors;
mod folder;
#[cfg(feature = "http")]
pub mod http;
mod indexes;
mod key_pair;
mod key_ring;
mod limits;
mod membership;
mod network;
mod planted;
mod presence;
mod probes;
mod reconcile;
pub mod records;
mod removal;
mod replica;
mod replication;
mod rotation;
mod runtime;
mod seal;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
#[cfg(test)]
mod sources;
mod state;
pub mod status;
pub mod store;
mod topology;
pub mod typed;
mod verify;

pub use certificate::{Certificate, ParseCertificateError};
pub use changes::{Before, Change, ChangeEvent, ChangeFilter, Changes};
pub use commits::{Commits, CommitsEnded};
pub use concern::{
    AckLevel, Acks, Concern, MemberAck, ParseConcernError, ParseLevelError, Standing,
};
pub use config::{Config, Libp2pConfig, Preset};
pub use conflicts::{
    Candidate, Conflict, ConflictEvent, Conflicts, Explanation, ResolveError, Writer,
};
pub use errors::{ErrorCode, ErrorPage, ParseErrorCodeError};
pub use folder::{InitReport, OpenError};
pub use membership::{
    Invite, InviteId, InviteOptions, InviteState, IssuedInvite, ParseInviteError, ParseRoleError,
    PendingMember, Role,
};
#[cfg(feature = "derive")]
pub use millpond_derive::Record;
pub use network::{ListenError, OwnTransport};
pub use presence::{Presence, PresenceEvent, PresentPeer, SyncError};
pub use removal::RemoveError;
pub use replica::{
    AtLeastError, Bookmark, ConcernError, ConcernNotMet, Concerned, ConcernedWrite, DelayError,
    InviteError, JoinError, ParseBookmarkError, PromoteError, Receipt, ReleaseError, Replica,
    ReplicaBuilder, WaitFor, Write,
};
pub use rotation::{RevokeError, RotateError};
pub use seal::Seal;
pub use state::{View, WriteError, WriteTx};
pub use topology::settings::{Direction, LinkSettings, Mode, Ripple, Topology, TopologyError};
pub use typed::{
    AddWins, Collection, Counter, DisableWins, EnableWins, Flag, Index, IndexQuery, IndexState,
    Key, Keys, Log, Map, Multi, Nested, Record, RemoveWins, Set,
};
