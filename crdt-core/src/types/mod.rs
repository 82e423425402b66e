//! Data types: ways to write and to read entries. None of them changes how entries merge.
//!
//! | type | payload of a dot | write | read |
//! |---|---|---|---|
//! | [`lww`] | value | overwrite the dots seen | the greatest (stamp, incarnation, seq) |
//! | [`multi`] | value | overwrite the dots seen | all live values |
//! | [`counter`] | a path per slot: four totals | the owner overwrites its slot | sum over slots |
//! | [`flag`] | a mark, or a vote | set, clear | any, or none against |
//! | [`set`] | a path per element, as a flag | add, remove | the elements that are in |
//! | [`log`] | a path per entry | append | by (stamp, dot) |
//!
//! A map or record has no module: it is the paths below its own, one for each field, of whatever type. Removing
//! it takes a delete dot for each path that held a live one, and resets the counters inside.
//!
//! Types that meet at one path, since two replicas made it differently, are all kept: each reads the payloads
//! of its own kind.

pub mod counter;
pub mod flag;
pub mod log;
pub mod lww;
pub mod multi;
pub mod set;
