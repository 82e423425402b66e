//! The bodies of a recall and of its answer, version 1: frozen, like those of [`super::control_v1`].

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::DecodeError;
use super::control_v1::List;
use crate::limits::RECALLED_WRITES_MAX;
use crate::message::Message;
use crate::{Incarnation, Namespace, Seq};

/// Namespace, incarnation, after (zero is before the first), upto.
#[derive(Serialize, Deserialize)]
pub(super) struct RecallV1(pub u32, pub [u8; 16], pub u64, pub u64);

/// Namespace, incarnation, upto, writes: seq and hash.
#[derive(Serialize, Deserialize)]
pub(super) struct RecalledV1(u32, [u8; 16], u64, List<(u64, [u8; 8]), RECALLED_WRITES_MAX>);

impl RecalledV1 {
    pub(super) fn new(
        namespace: Namespace,
        incarnation: Incarnation,
        upto: Seq,
        writes: &[(Seq, [u8; 8])],
    ) -> Self {
        let writes = writes.iter().map(|(seq, hash)| (seq.get(), *hash)).collect();
        Self(namespace.number(), *incarnation.as_bytes(), upto.get(), List(writes))
    }
}

impl TryFrom<RecallV1> for Message {
    type Error = DecodeError;

    fn try_from(
        RecallV1(namespace, incarnation, after, upto): RecallV1,
    ) -> Result<Self, DecodeError> {
        Ok(Self::Recall {
            namespace: Namespace::from_number(namespace),
            incarnation: Incarnation::from_bytes(incarnation),
            after: Seq::new(after),
            upto: Seq::new(upto).filter(|upto| upto.get() > after).ok_or(DecodeError::Malformed)?,
        })
    }
}

impl TryFrom<RecalledV1> for Message {
    type Error = DecodeError;

    fn try_from(body: RecalledV1) -> Result<Self, DecodeError> {
        let RecalledV1(namespace, incarnation, upto, List(writes)) = body;
        let upto = Seq::new(upto).ok_or(DecodeError::Malformed)?;
        let is_ascending = writes.is_sorted_by(|(one, _), (next, _)| one < next);
        if !is_ascending || writes.last().is_some_and(|(seq, _)| *seq > upto.get()) {
            return Err(DecodeError::Malformed);
        }
        let writes = writes.into_iter().map(|(seq, hash)| Some((Seq::new(seq)?, hash)));
        Ok(Self::Recalled {
            namespace: Namespace::from_number(namespace),
            incarnation: Incarnation::from_bytes(incarnation),
            upto,
            writes: writes.collect::<Option<Vec<_>>>().ok_or(DecodeError::Malformed)?,
        })
    }
}
