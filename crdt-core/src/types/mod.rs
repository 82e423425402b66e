//! Data types: ways to write and to read entries. None of them changes how entries merge.
//!
//! | type | payload of a dot | write | read |
//! |---|---|---|---|
//! | [`lww`] | value | overwrite the dots seen | the greatest (stamp, incarnation, seq) |
//! | [`multi`] | value | overwrite the dots seen | all live values |
//! | [`counter`] | a path per slot: four totals | the owner overwrites its slot | sum over slots |

pub mod counter;
pub mod lww;
pub mod multi;
