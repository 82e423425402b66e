//! Typed records: structs whose fields merge as their types say.
//!
//! `#[derive(Record)]` ([`Record`]) makes a struct storable. A transaction ([`Replica::transact`](crate::Replica))
//! stores, loads, edits and removes records ([`WriteTx::store`](crate::WriteTx) and its neighbours); a
//! [`Collection`] reads them. An edit goes through a proxy for each field, so that only what was touched becomes
//! a write, and two nodes that change two fields, or two elements, of one record at once both prevail.
//!
//! What is stored is what [`crate::records`] reads: plain fields are JSON registers, and counters, flags, sets,
//! maps and logs are told by their payloads' kinds. So the command line, the HTTP API and an app of another
//! language see the same records.

mod collection;
mod counter;
mod flag;
mod key;
mod log;
mod map;
mod multi;
mod nested;
mod plain;
mod record;
mod set;
mod site;
mod tx;

pub use collection::{Collection, Keys};
pub use counter::{Counter, CounterEdit};
pub use flag::{DisableWins, EnableWins, Flag, FlagEdit, FlagRule};
pub use key::Key;
pub use log::{Log, LogEdit};
pub use map::{Map, MapEdit};
pub use multi::{Multi, MultiEdit};
pub use nested::Nested;
pub use plain::PlainEdit;
pub use record::{Field, Fields, Record};
pub use set::{AddWins, RemoveWins, Set, SetEdit, SetRule};
pub use site::{Found, Site};
