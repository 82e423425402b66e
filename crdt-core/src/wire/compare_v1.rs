//! The bodies of the messages of a comparison, version 1: frozen, like those of [`super::control_v1`].

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::DecodeError;
use super::control_v1::{List, ResumeV1, VectorV1};
use super::tables::Tables;
use crate::compare::{Claim, Compare, Fingerprint, Purpose, Range};
use crate::limits::{
    COMPARED_BYTES_MAX, COMPARED_ENDS_BYTES_MAX, COMPARED_ITEMS_MAX, PATH_BYTES_MAX,
};
use crate::message::Resume;
use crate::{Closed, Namespace, VersionVector};

/// Session, namespace, purpose, salt, vector, floor.
#[derive(Serialize, Deserialize)]
pub(super) struct CompareV1<'a>(
    u64,
    u32,
    u8,
    [u8; 16],
    #[serde(borrow)] VectorV1<'a>,
    #[serde(borrow)] VectorV1<'a>,
);

/// Session, vector, floor.
#[derive(Serialize, Deserialize)]
pub(super) struct CompareAcceptV1<'a>(
    pub(super) u64,
    #[serde(borrow)] pub(super) VectorV1<'a>,
    #[serde(borrow)] pub(super) VectorV1<'a>,
);

/// Session, reason.
#[derive(Serialize, Deserialize)]
pub(super) struct CompareRefusedV1(pub(super) u64, pub(super) u8);

/// Session, whether it is the last message of this turn, ranges.
#[derive(Serialize, Deserialize)]
pub(super) struct RangesV1<'a>(u64, bool, #[serde(borrow)] List<RangeV1<'a>, COMPARED_ITEMS_MAX>);

/// Where it ends: `None` is behind all paths, else how many bytes are those of the end before, and the rest.
#[derive(Serialize, Deserialize)]
struct RangeV1<'a>(#[serde(borrow)] Option<EndV1<'a>>, ClaimV1);

#[derive(Serialize, Deserialize)]
struct EndV1<'a>(u32, #[serde(borrow, with = "serde_bytes")] &'a [u8]);

#[derive(Serialize, Deserialize)]
enum ClaimV1 {
    Skip,
    Whole(u64, [u8; 16]),
    Items(List<[u8; 8], COMPARED_ITEMS_MAX>),
    Wants(List<[u8; 8], COMPARED_ITEMS_MAX>),
}

/// Session, transfer, where to go on.
#[derive(Serialize, Deserialize)]
pub(super) struct PullComparedV1<'a>(u64, u64, #[serde(borrow)] Option<ResumeV1<'a>>);

impl CompareV1<'_> {
    pub(super) fn new(it: &Compare, closed: Option<&Closed>) -> Self {
        let (namespace, purpose) = (it.namespace.number(), it.purpose.number());
        let (vv, floor) = (VectorV1::new(&it.vv, closed), VectorV1::new(&it.floor, closed));
        Self(it.session, namespace, purpose, it.salt, vv, floor)
    }

    pub(super) fn read(self, tables: Option<Tables<'_>>) -> Result<Compare, DecodeError> {
        let CompareV1(session, namespace, purpose, salt, vv, floor) = self;
        Ok(Compare {
            session,
            namespace: Namespace::from_number(namespace),
            purpose: Purpose::from_number(purpose).ok_or(DecodeError::Malformed)?,
            salt,
            vv: vv.read(tables)?,
            floor: floor.read(tables)?,
        })
    }
}

impl CompareAcceptV1<'_> {
    pub(super) fn new(
        session: u64,
        (vv, floor): (&VersionVector, &VersionVector),
        closed: Option<&Closed>,
    ) -> Self {
        Self(session, VectorV1::new(vv, closed), VectorV1::new(floor, closed))
    }
}

impl<'a> RangesV1<'a> {
    pub(super) fn new(session: u64, is_last: bool, ranges: &'a [Range]) -> Self {
        let mut before: &[u8] = &[];
        let range = |range: &'a Range| {
            let end = range.end.as_deref().map(|end| {
                let shared = before.iter().zip(end).take_while(|(last, this)| last == this).count();
                before = end;
                EndV1(shared as u32, &end[shared..])
            });
            RangeV1(end, (&range.claim).into())
        };
        Self(session, is_last, ranges.iter().map(range).collect())
    }

    /// Session, whether it is the last, ranges: checked to ascend, and each in its one form.
    pub(super) fn checked(self) -> Result<(u64, bool, Vec<Range>), DecodeError> {
        let Self(session, is_last, List(bodies)) = self;
        let mut before: Option<Vec<u8>> = Some(Vec::new());
        let mut ranges = Vec::with_capacity(bodies.len());
        let mut ends_bytes = 0;
        for RangeV1(end, claim) in bodies {
            // Nothing follows the range that ends behind all paths.
            let last = before.ok_or(DecodeError::Order("ranges"))?;
            let end = end.map(|end| end.after(&last)).transpose()?;
            ends_bytes += end.as_ref().map_or(0, Vec::len);
            if ends_bytes > COMPARED_ENDS_BYTES_MAX {
                return Err(DecodeError::Limit("bytes of the ends of ranges"));
            }
            ranges.push(Range { end: end.clone(), claim: claim.try_into()? });
            before = end;
        }
        Ok((session, is_last, ranges))
    }
}

impl EndV1<'_> {
    fn after(self, last: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let Self(shared, suffix) = self;
        let shared = last.get(..shared as usize).ok_or(DecodeError::Malformed)?;
        if shared.len() + suffix.len() > PATH_BYTES_MAX {
            return Err(DecodeError::Limit("path bytes"));
        }
        // It ascends, and shares as much as it can: where it parts from the last one its byte is greater.
        match (suffix.first(), last.get(shared.len())) {
            (Some(_), None) => {}
            (Some(this), Some(that)) if this > that => {}
            _ => return Err(DecodeError::Order("ranges")),
        }
        Ok([shared, suffix].concat())
    }
}

impl From<&Claim> for ClaimV1 {
    fn from(claim: &Claim) -> Self {
        match claim {
            Claim::Skip => Self::Skip,
            Claim::Whole(Fingerprint { count, sum }) => Self::Whole(*count, *sum),
            Claim::Items(items) => Self::Items(items.iter().copied().collect()),
            Claim::Wants(items) => Self::Wants(items.iter().copied().collect()),
        }
    }
}

impl TryFrom<ClaimV1> for Claim {
    type Error = DecodeError;

    fn try_from(claim: ClaimV1) -> Result<Self, DecodeError> {
        let ascending = |List(items): List<[u8; 8], COMPARED_ITEMS_MAX>| {
            let is_ascending = items.is_sorted_by(|a, b| a < b);
            is_ascending.then_some(items).ok_or(DecodeError::Order("items"))
        };
        Ok(match claim {
            ClaimV1::Skip => Self::Skip,
            ClaimV1::Whole(count, sum) => Self::Whole(Fingerprint { count, sum }),
            ClaimV1::Items(items) => Self::Items(ascending(items)?),
            ClaimV1::Wants(items) => Self::Wants(ascending(items)?),
        })
    }
}

impl<'a> PullComparedV1<'a> {
    pub(super) fn new(
        session: u64,
        transfer: u64,
        resume: Option<&'a Resume>,
        closed: Option<&Closed>,
    ) -> Self {
        Self(session, transfer, resume.map(|resume| ResumeV1::new(resume, closed)))
    }

    pub(super) fn checked(
        self,
        tables: Option<Tables<'_>>,
    ) -> Result<(u64, u64, Option<Resume>), DecodeError> {
        let Self(session, transfer, resume) = self;
        Ok((session, transfer, resume.map(|resume| resume.read(tables)).transpose()?))
    }
}

/// Why a body of ranges cannot be honest: it is longer than any.
pub(super) fn check_length(body: &[u8]) -> Result<(), DecodeError> {
    match body.len() > COMPARED_BYTES_MAX {
        true => Err(DecodeError::Limit("bytes of ranges")),
        false => Ok(()),
    }
}
