//! Control messages as frames: postcard, over the structs of [`super::control_v1`].

use bytes::Bytes;
use postcard::ser_flavors::Size;
use serde::{Deserialize, Serialize};

use super::closed_v1::{ClosedHeldV1, ClosedV1};
use super::compare_v1::{
    CompareAcceptV1, CompareRefusedV1, CompareV1, PullComparedV1, RangesV1, check_length,
};
use super::control_v1::{
    BehindV1, CreditV1, FeedV1, HelloV1, IntroduceV1, PullEndV1, PullRefusedV1, PullStartV2,
    PullV1, VectorV1,
};
use super::encode::{finish_frame, start_frame};
use super::recall_v1::{RecallV1, RecalledV1};
use super::succession_v1::SuccessionV1;
use super::survey_v1::{SurveyV1, SurveyedV1};
use super::tables::Tables;
use super::tree_v1::{
    AcksV2, AnnounceV1, DigestV2, GraftV1, HurryV1, NamesV1, PruneV1, TermsV1, after_v1, prune_v1,
};
use super::words_v1::WordsV1;
use super::{DecodeError, kind};
use crate::compare::CompareRefusal;
use crate::limits::NUMBERED_BYTES_MAX;
use crate::message::{Credit, Message, PullRefusal};
use crate::{Closed, Namespace};

/// Whether a control message can have a version whose vectors are relative.
pub(super) fn has_vectors(message: &Message) -> bool {
    matches!(
        message,
        Message::Hello(_)
            | Message::Pull(_)
            | Message::PullStart { .. }
            | Message::Feed { .. }
            | Message::Compare(_)
            | Message::CompareAccept { .. }
            | Message::PullCompared { .. }
    )
}

/// The whole frame of a control message.
pub(super) fn encode(message: &Message) -> Bytes {
    with_vectors(message, None).unwrap_or_else(|| without_vectors(message))
}

/// The whole frame of a control message with vectors relative to a table, where it has vectors.
pub(super) fn encode_relative(message: &Message, closed: &Closed) -> Option<Bytes> {
    with_vectors(message, Some(closed))
}

fn with_vectors(message: &Message, closed: Option<&Closed>) -> Option<Bytes> {
    let version = |kind| match closed {
        Some(_) => kind::relative_version(kind).expect("its message has vectors"),
        None => kind::version(kind),
    };
    let vector = |vv| VectorV1::new(vv, closed);
    Some(match message {
        Message::Hello(hello) => {
            versioned(kind::HELLO, version(kind::HELLO), &HelloV1::new(hello, closed))
        }
        Message::Pull(pull) => {
            versioned(kind::PULL, version(kind::PULL), &PullV1::new(pull, closed))
        }
        Message::PullStart { transfer, upto, rows_estimate, floor } => {
            let start = PullStartV2(*transfer, vector(upto), *rows_estimate, vector(floor));
            versioned(kind::PULL_START, version(kind::PULL_START), &start)
        }
        Message::Feed { namespace, from } => {
            let feed = FeedV1(namespace.number(), vector(from));
            versioned(kind::FEED, version(kind::FEED), &feed)
        }
        Message::Compare(compare) => {
            versioned(kind::COMPARE, version(kind::COMPARE), &CompareV1::new(compare, closed))
        }
        Message::CompareAccept { session, vv, floor } => {
            let accept = CompareAcceptV1::new(*session, (vv, floor), closed);
            versioned(kind::COMPARE_ACCEPT, version(kind::COMPARE_ACCEPT), &accept)
        }
        Message::PullCompared { session, transfer, resume } => {
            let pull = PullComparedV1::new(*session, *transfer, resume.as_ref(), closed);
            versioned(kind::PULL_COMPARED, version(kind::PULL_COMPARED), &pull)
        }
        _ => return None,
    })
}

fn without_vectors(message: &Message) -> Bytes {
    match message {
        Message::Introduce(incarnations) => {
            body(kind::INTRODUCE, &IntroduceV1::from(&incarnations[..]))
        }
        Message::PullEnd { transfer, rows } => body(kind::PULL_END, &PullEndV1(*transfer, *rows)),
        Message::PullRefused { transfer, reason } => {
            body(kind::PULL_REFUSED, &PullRefusedV1(*transfer, reason.number()))
        }
        Message::Behind { namespace } => body(kind::BEHIND, &BehindV1(namespace.number())),
        Message::Digest(hashes) => body(kind::DIGEST, &DigestV2::from(&hashes[..])),
        Message::Ack(acks) => body(kind::ACK, &AcksV2::from(&acks[..])),
        Message::Names { first, names } => body(kind::NAMES, &NamesV1::new(*first, names)),
        Message::Terms(terms) => body(kind::TERMS, &TermsV1::from(terms)),
        Message::Announce(vectors) => body(kind::ANNOUNCE, &AnnounceV1::from(&vectors[..])),
        Message::Graft { namespace, after } => {
            body(kind::GRAFT, &after_v1(namespace.number(), after))
        }
        Message::Prune { namespace, origins } => {
            body(kind::PRUNE, &prune_v1(namespace.number(), origins))
        }
        Message::Credit(credit) => {
            body(kind::CREDIT, &CreditV1(credit.push_bytes, credit.rows_bytes))
        }
        Message::Recall { namespace, incarnation, after, upto } => {
            let after = after.map_or(0, |after| after.get());
            let recall = RecallV1(namespace.number(), *incarnation.as_bytes(), after, upto.get());
            body(kind::RECALL, &recall)
        }
        Message::Recalled { namespace, incarnation, upto, writes } => {
            body(kind::RECALLED, &RecalledV1::new(*namespace, *incarnation, *upto, writes))
        }
        Message::Hurry { ms } => body(kind::HURRY, &HurryV1(*ms)),
        Message::Succession(chain) => body(kind::SUCCESSION, &SuccessionV1::from(&chain[..])),
        Message::Survey { id } => body(kind::SURVEY, &SurveyV1(*id)),
        Message::Surveyed { id, report } => body(kind::SURVEYED, &SurveyedV1::new(*id, report)),
        Message::CompareRefused { session, reason } => {
            body(kind::COMPARE_REFUSED, &CompareRefusedV1(*session, reason.number()))
        }
        Message::Ranges { session, is_last, ranges } => {
            body(kind::RANGES, &RangesV1::new(*session, *is_last, ranges))
        }
        Message::Words(words) => body(kind::WORDS, &WordsV1::from(words)),
        Message::Closed(change) => body(kind::CLOSED, &ClosedV1::from(change)),
        Message::ClosedHeld { hash } => body(kind::CLOSED_HELD, &ClosedHeldV1(*hash)),
        Message::Rows(_) | Message::Push(_) => unreachable!("they are frames already"),
        Message::Hello(_)
        | Message::Pull(_)
        | Message::PullStart { .. }
        | Message::Feed { .. }
        | Message::Compare(_)
        | Message::CompareAccept { .. }
        | Message::PullCompared { .. } => unreachable!("they have vectors"),
    }
}

/// The control message of a known kind; with tables one whose vectors may be relative.
pub(super) fn decode(
    kind: u16,
    body: &[u8],
    tables: Option<Tables<'_>>,
) -> Result<Message, DecodeError> {
    Ok(match kind {
        kind::ACK | kind::ANNOUNCE | kind::GRAFT | kind::PRUNE | kind::WORDS
            if body.len() > NUMBERED_BYTES_MAX =>
        {
            return Err(DecodeError::Limit("bytes of numbered entries"));
        }
        kind::HELLO => Message::Hello(parse::<HelloV1>(body)?.read(tables)?),
        kind::INTRODUCE => Message::Introduce(parse::<IntroduceV1>(body)?.into()),
        kind::PULL => Message::Pull(parse::<PullV1>(body)?.read(tables)?),
        kind::PULL_START => {
            let PullStartV2(transfer, upto, rows_estimate, floor) = parse(body)?;
            let (upto, floor) = (upto.read(tables)?, floor.read(tables)?);
            Message::PullStart { transfer, upto, rows_estimate, floor }
        }
        kind::PULL_END => {
            let PullEndV1(transfer, rows) = parse(body)?;
            Message::PullEnd { transfer, rows }
        }
        kind::PULL_REFUSED => {
            let PullRefusedV1(transfer, reason) = parse(body)?;
            Message::PullRefused { transfer, reason: PullRefusal::from_number(reason) }
        }
        kind::FEED => {
            let FeedV1(namespace, from) = parse(body)?;
            Message::Feed { namespace: Namespace::from_number(namespace), from: from.read(tables)? }
        }
        kind::BEHIND => {
            let BehindV1(namespace) = parse(body)?;
            Message::Behind { namespace: Namespace::from_number(namespace) }
        }
        kind::DIGEST => Message::Digest(parse::<DigestV2>(body)?.into()),
        kind::ACK => Message::Ack(parse::<AcksV2>(body)?.try_into()?),
        kind::NAMES => {
            let (first, names) = parse::<NamesV1>(body)?.into();
            Message::Names { first, names }
        }
        kind::TERMS => Message::Terms(parse::<TermsV1>(body)?.try_into()?),
        kind::ANNOUNCE => Message::Announce(parse::<AnnounceV1>(body)?.try_into()?),
        kind::GRAFT => {
            let (namespace, after) = parse::<GraftV1>(body)?.checked()?;
            Message::Graft { namespace, after }
        }
        kind::PRUNE => {
            let (namespace, origins) = parse::<PruneV1>(body)?.checked()?;
            Message::Prune { namespace, origins }
        }
        kind::CREDIT => {
            let CreditV1(push_bytes, rows_bytes) = parse(body)?;
            Message::Credit(Credit { push_bytes, rows_bytes })
        }
        kind::HURRY => {
            let HurryV1(ms) = parse(body)?;
            Message::Hurry { ms }
        }
        kind::SUCCESSION => Message::Succession(parse::<SuccessionV1>(body)?.try_into()?),
        kind::SURVEY => {
            let SurveyV1(id) = parse(body)?;
            Message::Survey { id }
        }
        kind::SURVEYED => {
            let (id, report) = parse::<SurveyedV1>(body)?.try_into()?;
            Message::Surveyed { id, report }
        }
        kind::RECALL => parse::<RecallV1>(body)?.try_into()?,
        kind::RECALLED => parse::<RecalledV1>(body)?.try_into()?,
        kind::COMPARE => Message::Compare(parse::<CompareV1>(body)?.read(tables)?),
        kind::COMPARE_ACCEPT => {
            let CompareAcceptV1(session, vv, floor) = parse(body)?;
            Message::CompareAccept { session, vv: vv.read(tables)?, floor: floor.read(tables)? }
        }
        kind::COMPARE_REFUSED => {
            let CompareRefusedV1(session, reason) = parse(body)?;
            Message::CompareRefused { session, reason: CompareRefusal::from_number(reason) }
        }
        kind::RANGES => {
            check_length(body)?;
            let (session, is_last, ranges) = parse::<RangesV1>(body)?.checked()?;
            Message::Ranges { session, is_last, ranges }
        }
        kind::WORDS => Message::Words(parse::<WordsV1>(body)?.try_into()?),
        kind::PULL_COMPARED => {
            let (session, transfer, resume) = parse::<PullComparedV1>(body)?.checked(tables)?;
            Message::PullCompared { session, transfer, resume }
        }
        kind::CLOSED => Message::Closed(parse::<ClosedV1>(body)?.try_into()?),
        kind::CLOSED_HELD => {
            let ClosedHeldV1(hash) = parse(body)?;
            Message::ClosedHeld { hash }
        }
        _ => return Err(DecodeError::Malformed),
    })
}

fn body(kind: u16, body: &impl Serialize) -> Bytes {
    versioned(kind, kind::version(kind), body)
}

fn versioned(kind: u16, version: u8, body: &impl Serialize) -> Bytes {
    let mut frame = postcard::to_extend(body, start_frame())
        .expect("integers, bytes and lists of known length always encode");
    finish_frame(&mut frame, kind, version);
    Bytes::from(frame)
}

fn parse<'a, T: Deserialize<'a> + Serialize>(body: &'a [u8]) -> Result<T, DecodeError> {
    let value = match postcard::take_from_bytes(body) {
        Ok((value, [])) => value,
        Ok((_, trailing)) => return Err(DecodeError::TrailingBytes(trailing.len())),
        // The bounds of lists and texts are all that raises an error of ours in there.
        Err(postcard::Error::SerdeDeCustom) => {
            return Err(DecodeError::Limit("elements of a list"));
        }
        Err(_) => return Err(DecodeError::Malformed),
    };
    // Postcard reads padded integers too; the one form is the shortest.
    let shortest = postcard::serialize_with_flavor(&value, Size::default());
    if shortest != Ok(body.len()) {
        return Err(DecodeError::Malformed);
    }
    Ok(value)
}
