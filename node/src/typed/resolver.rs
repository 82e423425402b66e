//! Plain fields of which an app says what they read as where several values are held.

use millpond_core::types::multi;
use millpond_core::{Dot, Entry, Hlc};
use serde::de::DeserializeOwned;

use crate::records::RecordError;
use crate::typed::site::from_json;

/// One of several values of a plain field that were written at once, as a [resolver](Resolver) sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Candidate<T> {
    /// What was written.
    pub value: T,
    /// When, by its writer's clock.
    pub stamp: Hlc,
    /// By which write: its incarnation is the writer.
    pub dot: Dot,
}

/// What a plain field reads as where several values are held: declared by `#[millpond(resolve = function)]`.
///
/// It gets all of them, two or more, the one first that would show without it, in the same order on every replica. It
/// must be pure: what it returns depends on them alone, so that all replicas that hold the same show the same. It is not
/// called for one value.
///
/// It is applied when the field is read, and nothing is stored: the values stay held, and listed as a conflict, until
/// somebody writes the field. Readers that do not know the type, such as the HTTP API and the program, show the latest
/// value.
///
/// **Versions.** Two nodes that run different versions of the function show different values of the same state, for as
/// long as they do; what is held is the same on both, and they show the same once they run the same version. What an app
/// writes because of what it has read is a write like any other, and stays. So change it as you would change a type's
/// meaning: under a new field, or in a release that reaches all nodes before its result matters.
///
/// ```
/// use millpond::Record;
/// use millpond::typed::Candidate;
///
/// #[derive(Debug, Default, Record)]
/// struct Sensor {
///     #[millpond(key)]
///     id: String,
///     #[millpond(resolve = highest)]
///     alarm_level: u32, // of two set at once the more careful one shows
/// }
///
/// fn highest(candidates: &[Candidate<u32>]) -> u32 {
///     candidates.iter().map(|candidate| candidate.value).max().unwrap_or_default()
/// }
/// ```
pub type Resolver<T> = fn(&[Candidate<T>]) -> T;

/// What a register reads as.
pub(super) fn read<T: DeserializeOwned + Default>(
    entry: Option<&Entry>,
    resolve: Resolver<T>,
) -> Result<T, RecordError> {
    let live = entry.map(multi::read).unwrap_or_default();
    let candidates = live.into_iter().map(|live| {
        let (stamp, dot) = (live.hlc, live.dot);
        Ok(Candidate { value: from_json(&live.payload)?, stamp, dot })
    });
    let mut candidates: Vec<Candidate<T>> = candidates.collect::<Result<_, RecordError>>()?;
    match candidates.len() {
        0 | 1 => Ok(candidates.pop().map(|only| only.value).unwrap_or_default()),
        _ => Ok(resolve(&candidates)),
    }
}
