//! Control messages as frames: postcard, over the structs of [`super::control_v1`].

use bytes::Bytes;
use postcard::ser_flavors::Size;
use serde::{Deserialize, Serialize};

use super::compare_v1::{
    CompareAcceptV1, CompareRefusedV1, CompareV1, PullComparedV1, RangesV1, check_length,
};
use super::control_v1::{
    BehindV1, CreditV1, FeedV1, HelloV1, IntroduceV1, PullEndV1, PullRefusedV1, PullStartV2, PullV1,
};
use super::encode::{finish_frame, start_frame};
use super::recall_v1::{RecallV1, RecalledV1};
use super::survey_v1::{SurveyV1, SurveyedV1};
use super::tree_v1::{
    AcksV2, AnnounceV1, DigestV2, GraftV1, NamesV1, PruneV1, TermsV1, after_v1, prune_v1,
};
use super::words_v1::WordsV1;
use super::{DecodeError, kind};
use crate::Namespace;
use crate::compare::CompareRefusal;
use crate::limits::NUMBERED_BYTES_MAX;
use crate::message::{Credit, Message, PullRefusal};

/// The whole frame of a control message.
pub(super) fn encode(message: &Message) -> Bytes {
    match message {
        Message::Hello(hello) => body(kind::HELLO, &HelloV1::from(hello)),
        Message::Introduce(incarnations) => {
            body(kind::INTRODUCE, &IntroduceV1::from(&incarnations[..]))
        }
        Message::Pull(pull) => body(kind::PULL, &PullV1::from(pull)),
        Message::PullStart { transfer, upto, rows_estimate, floor } => {
            let start = PullStartV2(*transfer, upto.into(), *rows_estimate, floor.into());
            body(kind::PULL_START, &start)
        }
        Message::PullEnd { transfer, rows } => body(kind::PULL_END, &PullEndV1(*transfer, *rows)),
        Message::PullRefused { transfer, reason } => {
            body(kind::PULL_REFUSED, &PullRefusedV1(*transfer, reason.number()))
        }
        Message::Feed { namespace, from } => {
            body(kind::FEED, &FeedV1(namespace.number(), from.into()))
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
        Message::Survey { id } => body(kind::SURVEY, &SurveyV1(*id)),
        Message::Surveyed { id, report } => body(kind::SURVEYED, &SurveyedV1::new(*id, report)),
        Message::Compare(compare) => body(kind::COMPARE, &CompareV1::from(compare)),
        Message::CompareAccept { session, vv, floor } => {
            body(kind::COMPARE_ACCEPT, &CompareAcceptV1::new(*session, vv, floor))
        }
        Message::CompareRefused { session, reason } => {
            body(kind::COMPARE_REFUSED, &CompareRefusedV1(*session, reason.number()))
        }
        Message::Ranges { session, is_last, ranges } => {
            body(kind::RANGES, &RangesV1::new(*session, *is_last, ranges))
        }
        Message::PullCompared { session, transfer, resume } => {
            let resume = resume.as_ref();
            body(kind::PULL_COMPARED, &PullComparedV1::new(*session, *transfer, resume))
        }
        Message::Words(words) => body(kind::WORDS, &WordsV1::from(words)),
        Message::Rows(_) | Message::Push(_) => unreachable!("they are frames already"),
    }
}

/// The control message of a known kind.
pub(super) fn decode(kind: u16, body: &[u8]) -> Result<Message, DecodeError> {
    Ok(match kind {
        kind::ACK | kind::ANNOUNCE | kind::GRAFT | kind::PRUNE | kind::WORDS
            if body.len() > NUMBERED_BYTES_MAX =>
        {
            return Err(DecodeError::Limit("bytes of numbered entries"));
        }
        kind::HELLO => Message::Hello(parse::<HelloV1>(body)?.try_into()?),
        kind::INTRODUCE => Message::Introduce(parse::<IntroduceV1>(body)?.into()),
        kind::PULL => Message::Pull(parse::<PullV1>(body)?.try_into()?),
        kind::PULL_START => {
            let PullStartV2(transfer, upto, rows_estimate, floor) = parse(body)?;
            let (upto, floor) = (upto.try_into()?, floor.try_into()?);
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
            Message::Feed { namespace: Namespace::from_number(namespace), from: from.try_into()? }
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
        kind::COMPARE => Message::Compare(parse::<CompareV1>(body)?.try_into()?),
        kind::COMPARE_ACCEPT => {
            let CompareAcceptV1(session, vv, floor) = parse(body)?;
            Message::CompareAccept { session, vv: vv.try_into()?, floor: floor.try_into()? }
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
            let (session, transfer, resume) = parse::<PullComparedV1>(body)?.checked()?;
            Message::PullCompared { session, transfer, resume }
        }
        _ => return Err(DecodeError::Malformed),
    })
}

fn body(kind: u16, body: &impl Serialize) -> Bytes {
    let mut frame = postcard::to_extend(body, start_frame())
        .expect("integers, bytes and lists of known length always encode");
    finish_frame(&mut frame, kind);
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
