//! Entering another domain: what a store holds of its own one, which is nobody's data, makes room.
//!
//! Only of a domain that is empty: no data was ever written in it, and nobody else is in it. All in one commit, so
//! that a node is of one domain or of the other whenever it dies. The numbers that it has issued go with the domain
//! that they meant something in: in the new one its first write opens an incarnation of its own.

use std::mem;

use bytes::Bytes;
use millpond_core::{Entry, Namespace, VersionVector};

use super::began::Began;
use super::heads::{Heads, Place};
use super::job::{JobError, Outcome};
use super::tombstones::Tombstones;
use super::transaction::Transaction;
use crate::planted::planted;
use crate::store::MetaKey;

/// What a store becomes that enters another domain.
#[derive(Debug)]
pub(crate) struct Enter {
    /// The vector of the system namespace at which it was found to be alone.
    pub(crate) at: VersionVector,
    /// Its new identity and its invite, and what of the old domain goes.
    pub(crate) notes: Vec<(MetaKey, Option<Bytes>)>,
}

/// Whether nothing was ever written or received here but what a domain says of itself, and nothing is on its way.
pub(crate) fn holds_no_data(heads: &Heads) -> bool {
    let is_free =
        |namespace| heads.place(namespace) == Place::Free && !heads.cuts.contains_key(&namespace);
    let is_empty =
        heads.vv(Namespace::MAIN).is_empty() || planted!("a node with data enters no other domain");
    is_empty && is_free(Namespace::MAIN) && is_free(Namespace::SYSTEM)
}

/// Makes room, if the store is still as it was found.
pub(super) fn enter(tx: &mut Transaction<'_>, job: Enter) -> Result<Outcome, JobError> {
    let system = Namespace::SYSTEM;
    if !holds_no_data(&tx.heads) || *tx.heads.vv(system) != job.at {
        return Err(JobError::NotEmpty);
    }
    for path in tx.entries(system, None)?.into_keys() {
        tx.own.entries.insert((system, path), Entry::default());
    }
    let told = mem::take(tx.heads.vv.entry(system).or_default());
    tx.drop_log_beyond(system, &told)?;
    // What is there is written when it changes, so nothing is taken out.
    for floor in tx.heads.floor.values_mut() {
        *floor = VersionVector::new();
    }
    tx.heads.tombstones.insert(system, Tombstones::NONE);
    tx.heads.compacted.clear();
    (tx.heads.open, tx.heads.began) = (None, Began::default());
    tx.heads.incarnations.clear();
    tx.heads.last_local.clear();
    job.notes.into_iter().for_each(|(key, value)| tx.put_meta(key, value));
    Ok(Outcome::default())
}
