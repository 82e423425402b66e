//! Who alone takes writes, if an admin has said so.

use bytes::Bytes;
use millpond_core::{NodeKey, Path, PathError, Payload, PayloadKind, VersionVector};
use serde::{Deserialize, Serialize};

use super::logs::LogAuthors;
use crate::state::{WriteError, WriteTx};

/// An entry of the log of primaries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Promotion {
    /// One more than that of any promotion that the author had seen: it comes after those, whatever clocks say.
    pub(super) order: u64,
    /// Who takes writes from then on: one member, or all that their roles allow to.
    pub(super) primary: Option<NodeKey>,
    pub(super) author: NodeKey,
    /// What the author had applied of the system namespace, where roles and primaries are told.
    pub(super) author_vv: VersionVector,
}

impl Promotion {
    #[cfg(test)]
    pub(super) fn new(
        order: u64,
        author: NodeKey,
        primary: Option<NodeKey>,
        author_vv: VersionVector,
    ) -> Self {
        Self { order, primary, author, author_vv }
    }
}

/// Makes `primary` the only one that takes writes, on the word of `author`; none makes it everybody.
pub(crate) fn promote(
    tx: &mut WriteTx<'_>,
    order: u64,
    primary: Option<NodeKey>,
    author: NodeKey,
    authors: &LogAuthors,
) -> Result<(), WriteError> {
    let promotion = Promotion { order, primary, author, author_vv: authors.seen(tx) };
    let bytes = postcard::to_allocvec(&promotion).expect("plain values always encode");
    let path: Result<Path, PathError> = Path::new([&b"primary"[..], &tx.unique_name()]);
    tx.put(path?, Payload { kind: PayloadKind::LOG, bytes: Bytes::from(bytes) })
}
