//! Bytes that no honest peer sends: each is refused with its reason, and none does harm.

use bytes::Bytes;
use millpond_core::frame::{FRAME_HEADER_BYTES, frame};
use millpond_core::limits::*;
use millpond_core::message::{Claim, Hello, Message, Protocol, Range};
use millpond_core::message::{LinkReport, NodeReport, OriginReport, ReportedMode};
use millpond_core::wire::entry::decode_entry;
use millpond_core::wire::{DecodeError, Decoder, PushFrame, RowsWriter, encode, kind};
use millpond_core::*;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::arbitrary;

fn decode(kind: u16, body: &[u8]) -> Result<Option<Message>, DecodeError> {
    Decoder::new().decode(frame(kind, kind::version(kind), body))
}

/// Decodes, and reads all that comes out.
fn decode_and_read(decoder: &mut Decoder, frame: Bytes) {
    match decoder.decode(frame) {
        Ok(Some(Message::Rows(rows))) => assert_eq!(rows.rows().count(), rows.len()),
        Ok(Some(Message::Push(push))) => assert_eq!(push.writes().count(), push.len()),
        _ => {}
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(kind in 0_u16..24, bytes in vec(any::<u8>(), 0..200)) {
        decode_and_read(&mut Decoder::new(), Bytes::from(bytes.clone()));
        decode_and_read(&mut Decoder::new(), frame(kind, kind::version(kind), &bytes));
        let _ = decode_entry(&Bytes::from(bytes.clone()));
        let _ = Path::from_encoded(Bytes::from(bytes));
    }

    #[test]
    fn changed_frames_never_panic_and_what_decodes_encodes_to_the_same(
        message in arbitrary::message(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = encode(&message)[0].to_vec();
        for (index, byte) in changes {
            let index = FRAME_HEADER_BYTES + index.index(bytes.len());
            if index < bytes.len() {
                bytes[index] = byte;
            }
        }
        let changed = Bytes::from(bytes);
        decode_and_read(&mut Decoder::new(), changed.clone());
        if let Ok(Some(message)) = Decoder::new().decode(changed.clone()) {
            prop_assert_eq!(encode(&message), [changed]);
        }
    }

    #[test]
    fn a_cut_or_padded_body_is_refused(message in arbitrary::message()) {
        let whole = encode(&message)[0].clone();
        let kind = u16::from_le_bytes([whole[0], whole[1]]);
        let body = &whole[FRAME_HEADER_BYTES..];
        for cut in 0..body.len() {
            // A rows or push frame may be cut between two elements, and is then shorter but whole.
            let is_list = matches!(kind, kind::ROWS | kind::PUSH);
            prop_assert!(decode(kind, &body[..cut]).is_err() || is_list);
        }
        prop_assert!(decode(kind, &[body, &[0]].concat()).is_err());
    }

    #[test]
    fn fragments_in_any_shape_never_panic(
        pieces in vec((0_u8..5, vec(any::<u8>(), 0..20)), 0..8),
        message in arbitrary::message(),
    ) {
        let mut decoder = Decoder::new();
        for (flags, piece) in pieces {
            let body = [&[flags][..], &piece].concat();
            decode_and_read(&mut decoder, frame(kind::FRAGMENT, 1, &body));
        }
        decode_and_read(&mut decoder, encode(&message)[0].clone());
    }
}

#[test]
fn a_message_beyond_a_frame_travels_in_fragments() {
    let path = Path::new(["c", "k"]).unwrap();
    let large = |seq, byte: u8| RowDot {
        dot: Dot::new(Incarnation::from_bytes([1; 16]), Seq::new(seq).unwrap()),
        content: Some((
            Hlc::from_ms(5),
            Payload { kind: PayloadKind::LWW, bytes: vec![byte; VALUE_BYTES_MAX].into() },
        )),
    };
    let mut writer = RowsWriter::new(1);
    writer.push(&Row { path, live: vec![large(1, 7), large(2, 8)], deletes: Vec::new() });
    let rows = writer.finish();
    let frames = encode(&Message::Rows(rows.clone()));
    assert_eq!(frames.len(), 3);
    assert!(frames.iter().all(|frame| frame.len() <= FRAME_BYTES_MAX));
    assert_eq!(frames.iter().map(Bytes::len).sum::<usize>(), rows.encoded_bytes());

    let mut decoder = Decoder::new();
    assert_eq!(decoder.decode(frames[0].clone()), Ok(None));
    assert_eq!(decoder.buffered_bytes(), FRAME_BYTES_MAX - FRAME_HEADER_BYTES - 1);
    assert_eq!(decoder.decode(frames[1].clone()), Ok(None));
    assert_eq!(decoder.decode(frames[2].clone()), Ok(Some(Message::Rows(rows))));
    assert_eq!((decoder.buffered_bytes(), decoder.skipped()), (0, 0));

    let behind = Message::Behind { namespace: Namespace::MAIN };
    for out_of_place in [&frames[1], &frames[2]] {
        assert!(Decoder::new().decode(out_of_place.clone()).is_err(), "not begun");
    }
    for after_the_first in [&frames[0], &frames[2], &encode(&behind)[0]] {
        let mut decoder = Decoder::new();
        decoder.decode(frames[0].clone()).unwrap();
        let error = decoder.decode(after_the_first.clone()).unwrap_err();
        assert!(matches!(error, DecodeError::Fragment(_)), "{error}");
    }
}

#[test]
fn a_fragment_that_announces_too_much_is_refused_at_once() {
    let mut body = vec![1];
    body.extend_from_slice(&kind::ROWS.to_le_bytes());
    body.push(kind::VERSION);
    body.extend_from_slice(&(MESSAGE_BYTES_MAX as u32).to_le_bytes());
    body.extend_from_slice(&[0; 100]);
    let refused = decode(kind::FRAGMENT, &body);
    assert!(matches!(refused, Err(DecodeError::Fragment(_))), "{refused:?}");
}

#[test]
fn unknown_kinds_and_versions_are_skipped_whole_or_in_fragments() {
    let mut decoder = Decoder::new();
    assert_eq!(decoder.decode(frame(999, 1, b"later")), Ok(None));
    assert_eq!(decoder.decode(frame(kind::HELLO, 99, b"later")), Ok(None));
    let inner = frame(999, 1, &[7; 100]);
    let first = [&[1], &inner[..50]].concat();
    let last = [&[2], &inner[50..]].concat();
    assert_eq!(decoder.decode(frame(kind::FRAGMENT, 1, &first)), Ok(None));
    assert_eq!(decoder.buffered_bytes(), 0, "nothing is kept of what will be skipped");
    assert_eq!(decoder.decode(frame(kind::FRAGMENT, 1, &last)), Ok(None));
    assert_eq!(decoder.skipped(), 3);
    let behind = Message::Behind { namespace: Namespace::MAIN };
    assert_eq!(decoder.decode(encode(&behind)[0].clone()), Ok(Some(behind)));
}

#[test]
fn a_vector_has_one_form() {
    let entry = |id: u8, seq: u8| [&[id; 16][..], &[seq]].concat();
    let feed = |entries: &[Vec<u8>]| {
        let entries = entries.concat();
        decode(kind::FEED, &[&[1, entries.len() as u8][..], &entries].concat())
    };
    assert!(feed(&[entry(1, 5), entry(2, 5)]).is_ok());
    assert_eq!(feed(&[entry(2, 5), entry(1, 5)]), Err(DecodeError::Order("vector entries")));
    assert_eq!(feed(&[entry(1, 5), entry(1, 6)]), Err(DecodeError::Order("vector entries")));
    assert_eq!(feed(&[entry(1, 0)]), Err(DecodeError::Dot));
    assert_eq!(feed(&[vec![1; 16]]), Err(DecodeError::Malformed));
}

#[test]
fn an_integer_has_one_form() {
    assert!(decode(kind::CREDIT, &[1, 2]).is_ok());
    assert_eq!(decode(kind::CREDIT, &[0x81, 0x00, 2]), Err(DecodeError::Malformed));
    assert_eq!(decode(kind::ROWS, &[0x81, 0x00]), Err(DecodeError::Malformed));
}

#[test]
fn counts_and_texts_beyond_their_limits_are_refused() {
    let hello = |addresses: usize, name_bytes: usize| {
        let hello = Hello {
            protocol: Protocol { oldest: 1, newest: 1 },
            features: 0,
            domain: Domain::from_bytes([1; 16]),
            name: "n".repeat(name_bytes),
            addresses: vec!["a".to_owned(); addresses],
            boot: Boot { counter: 1, random: 2 },
            incarnations: Vec::new(),
            namespaces: Vec::new(),
            invite: None,
        };
        Decoder::new().decode(encode(&Message::Hello(hello))[0].clone())
    };
    assert!(hello(ADDRESSES_MAX, TEXT_BYTES_MAX).is_ok());
    assert!(matches!(hello(ADDRESSES_MAX + 1, 1), Err(DecodeError::Limit(_))));
    assert!(matches!(hello(1, TEXT_BYTES_MAX + 1), Err(DecodeError::Limit(_))));

    let digest = |count: u32| {
        let hashes = (0..count).map(|n| (Namespace::from_number(n), 0));
        Decoder::new().decode(encode(&Message::Digest(hashes.collect()))[0].clone())
    };
    assert!(digest(NAMESPACES_MAX as u32).is_ok());
    assert!(matches!(digest(NAMESPACES_MAX as u32 + 1), Err(DecodeError::Limit(_))));

    let announce = |entries: u32, seq: u64| {
        let entries = (0..entries).map(|number| (number, Seq::FIRST.plus(seq))).collect();
        let announce = Message::Announce(vec![(Namespace::MAIN, entries)]);
        Decoder::new().decode(encode(&announce)[0].clone())
    };
    assert!(announce(4_096, u64::MAX).is_ok());
    assert_eq!(announce(8_192, u64::MAX), Err(DecodeError::Limit("bytes of numbered entries")));

    let feed = |entries: usize| {
        let dot = |n: usize| {
            let id = (n as u128).to_be_bytes();
            Dot::new(Incarnation::from_bytes(id), Seq::FIRST)
        };
        let from = (0..entries).map(dot).collect();
        let message = Message::Feed { namespace: Namespace::MAIN, from };
        Decoder::new().decode(encode(&message)[0].clone())
    };
    assert!(feed(VECTOR_ENTRIES_MAX).is_ok());
    assert_eq!(feed(VECTOR_ENTRIES_MAX + 1), Err(DecodeError::Limit("vector entries")));
}

#[test]
fn a_push_is_consistent_with_itself() {
    let origin = Incarnation::from_bytes([1; 16]);
    let dot = |id: u8, seq| Dot::new(Incarnation::from_bytes([id; 16]), Seq::new(seq).unwrap());
    let write = |key: &str, overwritten| PushWrite {
        path: Path::new(["c", key]).unwrap(),
        hlc: Hlc::from_ms(7),
        payload: None,
        overwritten,
    };
    let push = |writes| Push {
        namespace: Namespace::MAIN,
        origin,
        first: Seq::new(10).unwrap(),
        deps: VersionVector::from_iter([dot(2, 3)]),
        writes,
    };
    let body = |push: &Push| {
        encode(&Message::Push(PushFrame::encode(push)))[0][FRAME_HEADER_BYTES..].to_vec()
    };
    let good = body(&push(vec![write("a", vec![dot(1, 9), dot(2, 3)]), write("b", vec![])]));
    assert!(decode(kind::PUSH, &good).is_ok());
    // namespace 1, origin 16, first 1, stamp 8, length 1 and deps 17; then the writes.
    assert_eq!(decode(kind::PUSH, &good[..44]), Err(DecodeError::Malformed), "no write");
    let mut changed = good.clone();
    changed[52] = 5; // the first write a counter later than the header's greatest
    assert_eq!(decode(kind::PUSH, &changed), Err(DecodeError::Stamp), "not the greatest stamp");
    let mut changed = good.clone();
    changed[17] = 0;
    assert_eq!(decode(kind::PUSH, &changed), Err(DecodeError::Dot), "seq zero");
    let mut changed = good.clone();
    changed[56] = 0; // the difference of the overwritten seq to the first
    assert_eq!(decode(kind::PUSH, &changed), Err(DecodeError::Dot), "it overwrites its own dot");
    let mut changed = good.clone();
    changed[27..43].fill(1);
    assert_eq!(decode(kind::PUSH, &changed), Err(DecodeError::Dot), "it depends on itself");
    let twice = [&good[..], &good[44..]].concat();
    assert!(matches!(
        decode(kind::PUSH, &twice),
        Err(DecodeError::Order(_) | DecodeError::Malformed)
    ));
}

#[test]
fn a_row_with_too_many_deletes_keeps_the_last_of_each_incarnation() {
    let dot = |id: u8, seq: usize| {
        Dot::new(Incarnation::from_bytes([id; 16]), Seq::new(seq as u64).unwrap())
    };
    let path = Path::new(["c", "k"]).unwrap();
    let deletes =
        |id: u8, count: usize| (1..=count).map(move |seq| (dot(id, seq), Hlc::from_ms(1)));
    let live = vec![RowDot { dot: dot(2, 50_000), content: None }];
    let row = |count: usize| Row {
        path: path.clone(),
        live: live.clone(),
        deletes: deletes(1, count).chain(deletes(2, 2)).collect(),
    };
    let decoded =
        |row: &Row| arbitrary::rows_frame(std::slice::from_ref(row)).rows().next().unwrap();

    let fits = row(ROW_DOTS_MAX - 3);
    assert_eq!(decoded(&fits), fits);
    let too_many = row(ROW_DOTS_MAX - 2);
    let kept = decoded(&too_many);
    assert_eq!(kept.live, too_many.live);
    assert_eq!(kept.deletes, [(dot(1, ROW_DOTS_MAX - 2), Hlc::from_ms(1))]);
}

#[test]
fn a_path_is_checked_as_the_frame_restores_it() {
    // A transfer, then rows without dots: shared, tail, length, what is between, shape.
    let rows = |rows: &[&[u8]]| decode(kind::ROWS, &[&[1][..], &rows.concat()].concat());
    const AB: &[u8] = b"\0\0\x04ab\0\x01\0";
    assert!(rows(&[AB, b"\x01\x02\x01c\0"]).is_ok());
    let malformed = Err(DecodeError::Path(PathError::Malformed));
    assert_eq!(rows(&[b"\0\0\x02ab\0"]), malformed, "no end");
    assert_eq!(rows(&[AB, b"\x03\0\0\0"]), malformed, "the end is cut off");
    assert_eq!(rows(&[b"\0\0\0\0"]), Err(DecodeError::Path(PathError::Depth(0))));
    let could_share_more = Err(DecodeError::Malformed);
    assert_eq!(rows(&[AB, b"\0\x02\x02ac\0"]), could_share_more, "the first byte agrees");
    assert_eq!(
        rows(&[AB, b"\x01\x01\x02c\0\0"]),
        could_share_more,
        "one more byte of the end agrees"
    );
    let shared_more = Err(DecodeError::Limit("shared path bytes"));
    assert_eq!(rows(&[AB, b"\x05\0\x03c\0\x01\0"]), shared_more);
    assert_eq!(rows(&[AB, b"\x03\x02\0\0"]), shared_more, "beginning and end overlap");
    let long = [&[0, 0, 0x81, 0x10][..], &[b'a'; PATH_BYTES_MAX + 1], &[0]].concat();
    assert_eq!(rows(&[&long]), Err(DecodeError::Limit("path bytes")));
}

#[test]
fn a_stamp_beyond_the_bound_is_refused() {
    let path = Path::new(["c"]).unwrap();
    let frame = |hlc| {
        let dot = Dot::new(Incarnation::from_bytes([1; 16]), Seq::FIRST);
        let row = Row { path: path.clone(), live: Vec::new(), deletes: vec![(dot, hlc)] };
        let frames = encode(&Message::Rows(arbitrary::rows_frame(&[row])));
        Decoder::new().decode(frames[0].clone())
    };
    assert!(frame(Hlc::MAX).is_ok());
    assert_eq!(frame(Hlc::MAX.next()), Err(DecodeError::Stamp));
    assert_eq!(frame(Hlc::from_bits(u64::MAX)), Err(DecodeError::Stamp));
}

/// A report with so many links and origins, of which the last one's source is at a place.
fn report(links: usize, origins: usize, source: usize) -> Message {
    let key = NodeKey::from_bytes([7; 32]);
    let origin = |n: usize| {
        let source = (n + 1 == origins).then_some(source);
        let origin = Incarnation::from_bytes((n as u128).to_be_bytes());
        OriginReport { origin, source, standby: None }
    };
    let report = NodeReport {
        key,
        name: "n".into(),
        region: String::new(),
        cost: 0,
        mode: ReportedMode::FullMesh,
        is_adaptive: true,
        open: None,
        links: vec![LinkReport { peer: key, round_trip_us: 0, cost: 0 }; links],
        origins: (0..origins).map(origin).collect(),
    };
    Message::Surveyed { id: 1, report }
}

#[test]
fn a_report_beyond_its_limits_is_refused() {
    let decoded = |message: &Message| Decoder::new().decode(encode(message)[0].clone());
    for whole in [report(SURVEYED_LINKS_MAX, 1, 0), report(1, SURVEYED_ORIGINS_MAX, 0)] {
        assert_eq!(decoded(&whole), Ok(Some(whole)));
    }
    for over in [report(SURVEYED_LINKS_MAX + 1, 1, 0), report(1, SURVEYED_ORIGINS_MAX + 1, 0)] {
        assert_eq!(decoded(&over), Err(DecodeError::Limit("elements of a list")));
    }
}

#[test]
fn a_report_names_no_link_that_it_does_not_list() {
    for (links, source) in [(0, 0), (1, 1), (3, 9)] {
        let frame = encode(&report(links, 1, source)).remove(0);
        assert_eq!(Decoder::new().decode(frame), Err(DecodeError::Malformed));
    }
}

#[test]
fn a_fanout_of_what_is_no_tree_is_refused() {
    for mode in [ReportedMode::FullMesh, ReportedMode::Static, ReportedMode::Other(200)] {
        assert_eq!(ReportedMode::from_numbers(mode.number(), 0), Some(mode));
        assert_eq!(ReportedMode::from_numbers(mode.number(), 8), None);
    }
}

#[test]
fn ranges_ascend_and_end_once() {
    let decoded = |ends: &[Option<&[u8]>]| {
        let range =
            |end: &Option<&[u8]>| Range { end: end.map(<[u8]>::to_vec), claim: Claim::Skip };
        let ranges = ends.iter().map(range).collect();
        let message = Message::Ranges { session: 1, is_last: true, ranges };
        Decoder::new().decode(encode(&message)[0].clone()).map(drop)
    };
    assert_eq!(decoded(&[Some(b"a"), Some(b"ab"), Some(b"b"), None]), Ok(()));
    for ends in [
        &[Some(&b"b"[..]), Some(&b"a"[..])][..],
        &[Some(b"a"), Some(b"a")],
        &[Some(b"ab"), Some(b"a")],
        &[Some(b"")],
        &[None, None],
        &[None, Some(b"a")],
    ] {
        assert_eq!(decoded(ends), Err(DecodeError::Order("ranges")), "{ends:?}");
    }
    let long = vec![7; PATH_BYTES_MAX + 1];
    assert_eq!(decoded(&[Some(&long)]), Err(DecodeError::Limit("path bytes")));
    let items = Claim::Items(vec![[2; 8], [1; 8]]);
    let ranges = vec![Range { end: None, claim: items }];
    let message = Message::Ranges { session: 1, is_last: true, ranges };
    let refused = Decoder::new().decode(encode(&message)[0].clone());
    assert_eq!(refused, Err(DecodeError::Order("items")));
}

#[test]
fn ranges_whose_ends_would_fill_memory_are_refused() {
    let decoded = |count: usize| {
        let mut end = vec![7; 2046];
        let ranges = (0..count).map(|n| {
            end.truncate(2046);
            end.extend((n as u16).to_be_bytes());
            Range { end: Some(end.clone()), claim: Claim::Skip }
        });
        let ranges = ranges.collect();
        let message = Message::Ranges { session: 1, is_last: true, ranges };
        Decoder::new().decode(encode(&message)[0].clone()).map(drop)
    };
    assert_eq!(decoded(COMPARED_ENDS_BYTES_MAX / 2048), Ok(()));
    let refused = Err(DecodeError::Limit("bytes of the ends of ranges"));
    assert_eq!(decoded(COMPARED_ENDS_BYTES_MAX / 2048 + 1), refused);
}
