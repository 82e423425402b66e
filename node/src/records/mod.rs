//! Records: JSON documents over entries.
//!
//! A record is named by a [`RecordId`]: a collection and a key. Each top-level field is a register of its
//! own, so that two nodes may change two fields of one record at once and both changes stay.
//!
//! | what | path | payload |
//! |---|---|---|
//! | a field | collection / key / field | its value as compact JSON text |
//! | a counter | collection / key / field / slot | [`millpond_core::types::counter`] |
//! | a flag | collection / key / field | [`millpond_core::types::flag`] |
//! | a set, a map, a log | collection / key / field / element, key, name | [`millpond_core::types`] |
//! | a record without fields | collection / key / (empty) | `true`, so that it exists |
//!
//! Concurrent values of a field are a *conflict*: readers see the latest by stamp, and [`Field::versions`]
//! lists all of them until the next write of the field replaces those that it saw. So it is where nodes made one
//! field with different types: one type shows, and `versions` lists what each of them reads. Values are kept as the
//! text that was written, without white space: no number is rounded.
//!
//! Flags, sets, maps and logs are written by [`crate::typed`], and show here as booleans, arrays and objects.
//! Putting one as it shows leaves it as it is; it can be deleted, and not replaced, by JSON.
//!
//! Reads go through [`RecordView`], writes through [`RecordTx`] or, on a replica, [`write()`]. Entries that
//! follow none of these layouts are other applications' and do not show here.

mod alternatives;
mod changes;
mod document;
mod error;
mod id;
mod instant;
mod record;
mod shape;
mod tx;
mod view;
mod within;

pub(crate) use changes::RECORDS;
pub use changes::{ParseTokenError, Token};
pub use document::{Document, Json, JsonError};
pub use error::RecordError;
pub use id::{IdError, RecordId};
pub(crate) use id::{NOTES, notes_of};
pub use instant::rfc3339;
pub(crate) use record::shows;
#[cfg(any(test, feature = "sim"))]
pub(crate) use record::values;
pub use record::{Field, FieldKind, FieldVersion, ParseVersionError, Record, Version};
pub use tx::{Precondition, RecordTx, write};
pub use view::{RecordView, Scan};
pub(crate) use view::{each_record, entries_of, record_id};
pub(crate) use within::FieldPath;
