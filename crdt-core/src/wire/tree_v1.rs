//! The bodies of the messages by which peers find out who sends what to whom, and how far they are: frozen,
//! like those of [`super::control_v1`].

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::DecodeError;
use super::control_v1::List;
use crate::limits::{NAMESPACES_MAX, VECTOR_ENTRIES_MAX};
use crate::message::{Ack, NumberedVector, Terms};
use crate::{Incarnation, Namespace, Seq};

/// The first number, and the incarnations.
#[derive(Serialize, Deserialize)]
pub(super) struct NamesV1(u32, List<[u8; 16], VECTOR_ENTRIES_MAX>);

/// Bits: wants announcements, feeds its own, serves, in rehab. Then within how many milliseconds to ack.
#[derive(Serialize, Deserialize)]
pub(super) struct TermsV1(u8, Option<u64>);

/// Entries by number, strictly ascending.
#[derive(Serialize, Deserialize)]
pub(super) struct NumberedV1(pub(super) List<(u32, u64), VECTOR_ENTRIES_MAX>);

#[derive(Serialize, Deserialize)]
pub(super) struct AnnounceV1(List<(u32, NumberedV1), NAMESPACES_MAX>);

/// Namespace, and of each origin the last seq that need not be sent; zero is none.
#[derive(Serialize, Deserialize)]
pub(super) struct GraftV1(u32, NumberedV1);

/// Namespace, origins.
#[derive(Serialize, Deserialize)]
pub(super) struct PruneV1(u32, List<u32, VECTOR_ENTRIES_MAX>);

/// Namespace, hash.
#[derive(Serialize, Deserialize)]
pub(super) struct DigestV2(List<(u32, u64), NAMESPACES_MAX>);

#[derive(Serialize, Deserialize)]
pub(super) struct AcksV2(List<AckV2, NAMESPACES_MAX>);

/// Milliseconds.
#[derive(Serialize, Deserialize)]
pub(super) struct HurryV1(pub u64);

/// What is applied is left out where it equals what is received, and what is durable where it equals what is
/// applied.
#[derive(Serialize, Deserialize)]
struct AckV2 {
    namespace: u32,
    received: NumberedV1,
    applied: Option<NumberedV1>,
    durable: Option<NumberedV1>,
}

impl NamesV1 {
    pub(super) fn new(first: u32, names: &[Incarnation]) -> Self {
        Self(first, names.iter().map(|id| *id.as_bytes()).collect())
    }
}

impl From<NamesV1> for (u32, Vec<Incarnation>) {
    fn from(NamesV1(first, List(names)): NamesV1) -> Self {
        (first, names.into_iter().map(Incarnation::from_bytes).collect())
    }
}

impl From<&Terms> for TermsV1 {
    fn from(terms: &Terms) -> Self {
        let bits = [terms.wants_announcements, terms.feeds_own, terms.serves, terms.in_rehab];
        let bits = bits.iter().enumerate().map(|(place, &bit)| u8::from(bit) << place).sum();
        Self(bits, terms.ack_within_ms)
    }
}

impl TryFrom<TermsV1> for Terms {
    type Error = DecodeError;

    fn try_from(TermsV1(bits, ack_within_ms): TermsV1) -> Result<Self, DecodeError> {
        if bits >= 1 << 4 {
            return Err(DecodeError::Malformed);
        }
        let bit = |place: u8| bits & (1 << place) != 0;
        Ok(Self {
            wants_announcements: bit(0),
            feeds_own: bit(1),
            serves: bit(2),
            in_rehab: bit(3),
            ack_within_ms,
        })
    }
}

impl From<&NumberedVector> for NumberedV1 {
    fn from(vector: &NumberedVector) -> Self {
        Self(vector.iter().map(|&(number, seq)| (number, seq.get())).collect())
    }
}

impl TryFrom<NumberedV1> for NumberedVector {
    type Error = DecodeError;

    fn try_from(vector: NumberedV1) -> Result<Self, DecodeError> {
        let entries = vector.ascending()?;
        let entry = |(number, seq)| Ok((number, Seq::new(seq).ok_or(DecodeError::Dot)?));
        entries.into_iter().map(entry).collect()
    }
}

impl NumberedV1 {
    pub(super) fn ascending(self) -> Result<Vec<(u32, u64)>, DecodeError> {
        let Self(List(entries)) = self;
        match entries.is_sorted_by(|a, b| a.0 < b.0) {
            true => Ok(entries),
            false => Err(DecodeError::Order("numbers")),
        }
    }
}

impl From<&[(Namespace, NumberedVector)]> for AnnounceV1 {
    fn from(vectors: &[(Namespace, NumberedVector)]) -> Self {
        Self(vectors.iter().map(|(it, vector)| (it.number(), vector.into())).collect())
    }
}

impl TryFrom<AnnounceV1> for Vec<(Namespace, NumberedVector)> {
    type Error = DecodeError;

    fn try_from(AnnounceV1(List(vectors)): AnnounceV1) -> Result<Self, DecodeError> {
        let typed = |(namespace, vector): (u32, NumberedV1)| {
            Ok((Namespace::from_number(namespace), vector.try_into()?))
        };
        vectors.into_iter().map(typed).collect()
    }
}

/// The body of a graft.
pub(super) fn after_v1(namespace: u32, after: &[(u32, Option<Seq>)]) -> GraftV1 {
    let entry = |&(number, seq): &(u32, Option<Seq>)| (number, seq.map_or(0, Seq::get));
    GraftV1(namespace, NumberedV1(after.iter().map(entry).collect()))
}

impl GraftV1 {
    #[expect(clippy::type_complexity, reason = "the fields of the message")]
    pub(super) fn checked(self) -> Result<(Namespace, Vec<(u32, Option<Seq>)>), DecodeError> {
        let after = self.1.ascending()?.into_iter();
        let after = after.map(|(number, seq)| (number, Seq::new(seq))).collect();
        Ok((Namespace::from_number(self.0), after))
    }
}

/// The body of a prune.
pub(super) fn prune_v1(namespace: u32, origins: &[u32]) -> PruneV1 {
    PruneV1(namespace, origins.iter().copied().collect())
}

impl PruneV1 {
    pub(super) fn checked(self) -> Result<(Namespace, Vec<u32>), DecodeError> {
        let Self(namespace, List(origins)) = self;
        match origins.is_sorted_by(|a, b| a < b) {
            true => Ok((Namespace::from_number(namespace), origins)),
            false => Err(DecodeError::Order("numbers")),
        }
    }
}

impl From<&[(Namespace, u64)]> for DigestV2 {
    fn from(hashes: &[(Namespace, u64)]) -> Self {
        Self(hashes.iter().map(|(namespace, hash)| (namespace.number(), *hash)).collect())
    }
}

impl From<DigestV2> for Vec<(Namespace, u64)> {
    fn from(DigestV2(List(hashes)): DigestV2) -> Self {
        hashes.into_iter().map(|(number, hash)| (Namespace::from_number(number), hash)).collect()
    }
}

impl From<&[Ack]> for AcksV2 {
    fn from(acks: &[Ack]) -> Self {
        let frozen = |ack: &Ack| AckV2 {
            namespace: ack.namespace.number(),
            received: (&ack.received).into(),
            applied: (ack.applied != ack.received).then(|| (&ack.applied).into()),
            durable: (ack.durable != ack.applied).then(|| (&ack.durable).into()),
        };
        Self(acks.iter().map(frozen).collect())
    }
}

impl TryFrom<AcksV2> for Vec<Ack> {
    type Error = DecodeError;

    fn try_from(AcksV2(List(acks)): AcksV2) -> Result<Self, DecodeError> {
        let typed = |ack: AckV2| {
            let received: NumberedVector = ack.received.try_into()?;
            let applied = ack.applied.map(NumberedVector::try_from).transpose()?;
            let durable = ack.durable.map(NumberedVector::try_from).transpose()?;
            // One form only: what is left out is equal, and what is equal is left out.
            if applied.as_ref() == Some(&received) {
                return Err(DecodeError::Malformed);
            }
            let applied = applied.unwrap_or_else(|| received.clone());
            if durable.as_ref() == Some(&applied) {
                return Err(DecodeError::Malformed);
            }
            let durable = durable.unwrap_or_else(|| applied.clone());
            let namespace = Namespace::from_number(ack.namespace);
            Ok(Ack { namespace, received, applied, durable })
        };
        acks.into_iter().map(typed).collect()
    }
}
