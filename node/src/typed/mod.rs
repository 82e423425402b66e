//! Typed records: structs whose fields merge as their types say.
//!
//! `#[derive(Record)]` ([`Record`]) makes a struct storable. A transaction ([`Replica::write`](crate::Replica::write))
//! stores, loads, edits and removes records ([`WriteTx::store`](crate::WriteTx) and its neighbours); a
//! [`Collection`] reads them. An edit goes through a proxy for each field, so that only what was touched becomes
//! a write, and two nodes that change two fields, or two elements, of one record at once both prevail.
//!
//! ```
//! use millpond::{Collection, Counter, Record, Replica, Set, records::RecordError};
//!
//! #[derive(Debug, Default, Record)]
//! struct Task {
//!     #[millpond(key)]
//!     id: String,
//!     title: String,      // of two written at once the later shows
//!     votes: Counter,     // all count
//!     tags: Set<String>,  // element by element
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let dir = "todo"; // made the first time
//! # let dir = folder.path().join(dir);
//! let db = Replica::builder(dir).open().await?;
//! let milk = Task { id: "milk".into(), title: "Buy milk".into(), ..Task::default() };
//! db.write(move |tx| tx.store(&milk)).await?;
//! let edit = |tx: &mut millpond::WriteTx<'_>| -> Result<(), RecordError> {
//!     tx.edit::<Task, _>("milk", |task| {
//!         task.votes.add(1);
//!         task.tags.insert("dairy");
//!     })
//! };
//! db.write(edit).await?;
//! let milk = Collection::<Task>::new(db.read()?).get("milk")?.expect("it was stored");
//! assert_eq!((milk.votes.value(), milk.tags.len()), (1, 1));
//! db.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! What is stored is what [`crate::records`] reads: plain fields are JSON registers, and counters, flags, sets,
//! maps and logs are told by their payloads' kinds. So the command line, the HTTP API and an app of another
//! language see the same records.

mod collection;
mod counter;
mod flag;
mod index;
mod key;
mod log;
mod map;
mod multi;
mod nested;
mod plain;
mod record;
mod resolver;
mod set;
mod site;
mod tx;
mod vary;

pub use collection::{Collection, Keys};
pub use counter::{Counter, CounterEdit};
pub use flag::{DisableWins, EnableWins, Flag, FlagEdit, FlagRule};
pub use index::{
    CompoundKey, Index, IndexDeclaration, IndexField, IndexKey, IndexQuery, IndexState, IndexValue,
};
pub use key::Key;
pub use log::{Log, LogEdit};
pub use map::{Map, MapEdit};
pub use multi::{Multi, MultiEdit};
pub use nested::Nested;
pub use plain::PlainEdit;
pub use record::{Field, Fields, Record};
pub use resolver::{Candidate, Resolver};
pub use set::{AddWins, RemoveWins, Set, SetEdit, SetRule};
pub use site::{Found, Site};
#[doc(hidden)]
pub use vary::Draw;
