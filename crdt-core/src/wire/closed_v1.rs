//! The bodies of the messages about tables of closed incarnations: frozen, like those of
//! [`super::control_v1`].

use serde::{Deserialize, Serialize};

use super::DecodeError;
use super::control_v1::List;
use crate::limits::VECTOR_ENTRIES_MAX;
use crate::message::ClosedChange;
use crate::{ClosedSeq, Incarnation, Namespace, Seq};

/// The hash of the table before, that of the table after, and what differs: namespace, incarnation, seq; zero
/// takes it out.
#[derive(Serialize, Deserialize)]
pub(super) struct ClosedV1(u64, u64, List<(u32, [u8; 16], u64), VECTOR_ENTRIES_MAX>);

/// The hash of the table that is held.
#[derive(Serialize, Deserialize)]
pub(super) struct ClosedHeldV1(pub(super) u64);

impl From<&ClosedChange> for ClosedV1 {
    fn from(change: &ClosedChange) -> Self {
        let body = |it: &ClosedSeq| {
            (it.namespace.number(), *it.incarnation.as_bytes(), it.seq.map_or(0, Seq::get))
        };
        Self(change.from, change.to, change.changes.iter().map(body).collect())
    }
}

impl TryFrom<ClosedV1> for ClosedChange {
    type Error = DecodeError;

    fn try_from(ClosedV1(from, to, List(bodies)): ClosedV1) -> Result<Self, DecodeError> {
        let change = |(namespace, incarnation, seq)| ClosedSeq {
            namespace: Namespace::from_number(namespace),
            incarnation: Incarnation::from_bytes(incarnation),
            seq: Seq::new(seq),
        };
        let changes: alloc::vec::Vec<ClosedSeq> = bodies.into_iter().map(change).collect();
        let key = |it: &ClosedSeq| (it.namespace, it.incarnation);
        match changes.is_sorted_by(|a, b| key(a) < key(b)) {
            true => Ok(Self { from, to, changes }),
            false => Err(DecodeError::Order("closed incarnations")),
        }
    }
}
