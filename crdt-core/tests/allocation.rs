//! No frame makes the decoder allocate more than two frames, whatever it claims or holds (R10).
//!
//! A binary and a test of its own: the allocator counts for the whole process.

use bytes::Bytes;
use millpond_core::frame::{FRAME_HEADER_BYTES, frame};
use millpond_core::limits::*;
use millpond_core::message::{Ack, Hello, HelloNamespace, Message, NumberedVector, Protocol};
use millpond_core::message::{Claim, LinkReport, NodeReport, OriginReport, Range, ReportedMode};
use millpond_core::wire::entry::decode_entry;
use millpond_core::wire::{Decoder, PushFrame, RowsWriter, encode, kind};
use millpond_core::*;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What is allocated at most while `work` runs, beyond what was before.
fn peak(work: impl FnOnce()) -> usize {
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    work();
    ALLOCATOR.peak_usage() - before
}

/// Decodes a frame and reads all that is in it, keeping nothing but the message.
fn decode_and_read(frame: Bytes) {
    match Decoder::new().decode(frame) {
        Ok(Some(Message::Rows(rows))) => assert_eq!(rows.rows().count(), rows.len()),
        Ok(Some(Message::Push(push))) => assert_eq!(push.writes().count(), push.len()),
        _ => {}
    }
}

#[test]
fn no_frame_makes_the_decoder_allocate_more_than_two() {
    for (name, frame) in full_frames().into_iter().chain(claims()) {
        assert!(frame.len() <= FRAME_BYTES_MAX, "{name} is one frame");
        let bytes = peak(|| decode_and_read(frame.clone()));
        println!("{name}: {} bytes on the wire, {bytes} allocated", frame.len());
        assert!(bytes <= 2 * FRAME_BYTES_MAX, "{name} allocates {bytes} bytes");
    }
    fragments_grow_with_what_came();
    entries_grow_with_what_is_there();
}

/// Well-formed frames as full as they can be of what is small on the wire and large in memory.
fn full_frames() -> Vec<(&'static str, Bytes)> {
    let digest = (0..NAMESPACES_MAX).map(|_| (Namespace::MAIN, u64::MAX));
    let numbered = |count: u32, seq: u64| -> NumberedVector {
        (0..count).map(|number| (number, Seq::FIRST.plus(seq))).collect()
    };
    let ack = |seq| Ack {
        namespace: Namespace::MAIN,
        received: numbered(9, seq),
        applied: numbered(9, seq + 1),
        durable: numbered(9, seq + 2),
    };
    let ids = (0..VECTOR_ENTRIES_MAX).map(incarnation);
    let key = NodeKey::from_bytes([7; 32]);
    let single = |message: Message| {
        let mut frames = encode(&message);
        assert_eq!(frames.len(), 1);
        frames.remove(0)
    };
    vec![
        ("hashes", single(Message::Digest(digest.collect()))),
        ("announcements", single(Message::Announce(vec![(Namespace::MAIN, numbered(16_384, 0))]))),
        ("acks", single(Message::Ack((0..NAMESPACES_MAX as u64).map(ack).collect()))),
        ("introductions", single(Message::Introduce(ids.clone().map(|id| (id, key)).collect()))),
        ("hello", single(Message::Hello(hello(ids.collect())))),
        ("names of dots", single(rows(None))),
        ("empty values", single(rows(Some(0)))),
        ("small values", single(rows(Some(30)))),
        ("delete dots", single(deletes())),
        ("overwritten dots", single(Message::Push(push()))),
        ("small rows", small_rows()),
        ("long ends", single(long_ends())),
        ("short ranges", single(short_ranges())),
        ("a report", single(Message::Surveyed { id: 1, report: report() })),
    ]
}

/// As many bytes of ends as there may be, that share nearly all of them.
fn long_ends() -> Message {
    let mut end = vec![7; 2046];
    let ranges = (0..COMPARED_ENDS_BYTES_MAX / 2048).map(|n| {
        end.truncate(2046);
        end.extend((n as u16).to_be_bytes());
        Range { end: Some(end.clone()), claim: Claim::Skip }
    });
    Message::Ranges { session: 1, is_last: true, ranges: ranges.collect() }
}

/// As many ranges as fit.
fn short_ranges() -> Message {
    let range = |n: u16| Range { end: Some(n.to_be_bytes().to_vec()), claim: Claim::Skip };
    let ranges = (0..COMPARED_BYTES_MAX as u16 / 6).map(|n| range(n + 1)).collect();
    Message::Ranges { session: 1, is_last: true, ranges }
}

/// With as many links and origins as there may be.
fn report() -> NodeReport {
    let key = NodeKey::from_bytes([7; 32]);
    let link = LinkReport { peer: key, round_trip_us: 0, cost: 0 };
    let origin = |n| OriginReport { origin: incarnation(n), source: None, standby: None };
    NodeReport {
        key,
        name: String::new(),
        region: String::new(),
        cost: 0,
        mode: ReportedMode::Static,
        is_adaptive: false,
        open: None,
        links: vec![link; SURVEYED_LINKS_MAX],
        origins: (0..SURVEYED_ORIGINS_MAX).map(origin).collect(),
    }
}

/// Small frames that claim to hold much, for every kind.
fn claims() -> Vec<(&'static str, Bytes)> {
    let largest = [0xff, 0xff, 0xff, 0xff, 0x0f];
    let mut frames = Vec::new();
    for kind in kind::HELLO..=kind::SURVEYED {
        for at in 0..60 {
            for claim in [&largest[..], &[0x80, 0x80, 0x01], &[0xff, 0xff, 0x03]] {
                let body = [&[1; 60][..at], claim, &[1; 40]].concat();
                frames.push(("a claim", frame(kind, kind::version(kind), &body)));
            }
        }
    }
    frames
}

fn fragments_grow_with_what_came() {
    let mut first = vec![1];
    first.extend_from_slice(&kind::ROWS.to_le_bytes());
    first.push(kind::VERSION);
    first.extend_from_slice(&((MESSAGE_BYTES_MAX - FRAME_HEADER_BYTES) as u32).to_le_bytes());
    first.push(7);
    let first = frame(kind::FRAGMENT, kind::VERSION, &first);
    let next = frame(kind::FRAGMENT, kind::VERSION, &[&[0][..], &[1; 1000]].concat());
    let mut decoder = Decoder::new();
    let announced = peak(|| assert_eq!(decoder.decode(first), Ok(None)));
    assert!(announced < 1000, "{announced} bytes for an announcement");
    let came = peak(|| (0..1000).for_each(|_| assert_eq!(decoder.decode(next.clone()), Ok(None))));
    assert!(came <= 3 * decoder.buffered_bytes(), "{came} for {}", decoder.buffered_bytes());
}

fn entries_grow_with_what_is_there() {
    let claim = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x0f, 1, 1, 1]);
    assert!(peak(|| assert!(decode_entry(&claim).is_err())) < 1000);
}

fn incarnation(n: usize) -> Incarnation {
    Incarnation::from_bytes((n as u128).to_be_bytes())
}

fn dot(n: usize) -> Dot {
    Dot::new(incarnation(n), Seq::FIRST)
}

fn vector(entries: usize) -> VersionVector {
    (0..entries).map(dot).collect()
}

fn path() -> Path {
    Path::new(["c"]).unwrap()
}

fn hello(incarnations: Vec<Incarnation>) -> Hello {
    let held = HelloNamespace {
        namespace: Namespace::MAIN,
        durable: vector(VECTOR_ENTRIES_MAX),
        floor: vector(VECTOR_ENTRIES_MAX),
    };
    Hello {
        protocol: Protocol { oldest: 1, newest: 1 },
        features: 0,
        domain: Domain::from_bytes([1; 16]),
        name: String::new(),
        addresses: vec!["x".repeat(TEXT_BYTES_MAX); ADDRESSES_MAX],
        boot: Boot { counter: 1, random: 1 },
        incarnations,
        namespaces: vec![held],
        invite: None,
    }
}

/// One row of as many dots as a row may have, each of another incarnation.
fn rows(value_bytes: Option<usize>) -> Message {
    let content = value_bytes.map(|bytes| {
        let payload = Payload { kind: PayloadKind::LWW, bytes: vec![7; bytes].into() };
        (Hlc::from_ms(1), payload)
    });
    let live = (0..ROW_DOTS_MAX).map(|n| RowDot { dot: dot(n), content: content.clone() });
    let mut writer = RowsWriter::new(1);
    writer.push(&Row { path: path(), live: live.collect(), deletes: Vec::new() });
    Message::Rows(writer.finish())
}

fn deletes() -> Message {
    let deletes = (0..ROW_DOTS_MAX).map(|n| (dot(n), Hlc::from_ms(1)));
    let mut writer = RowsWriter::new(1);
    writer.push(&Row { path: path(), live: Vec::new(), deletes: deletes.collect() });
    Message::Rows(writer.finish())
}

/// A write that overwrites as much as it may, of other incarnations than it depends on.
fn push() -> PushFrame {
    let overwritten = (0..VECTOR_ENTRIES_MAX).map(|n| dot(n + VECTOR_ENTRIES_MAX));
    PushFrame::encode(&Push {
        namespace: Namespace::MAIN,
        origin: incarnation(usize::MAX),
        first: Seq::FIRST,
        deps: vector(VECTOR_ENTRIES_MAX),
        writes: vec![PushWrite {
            path: path(),
            hlc: Hlc::from_ms(1),
            payload: None,
            overwritten: overwritten.collect(),
        }],
    })
}

/// As many rows as fit: the same path, no dot.
fn small_rows() -> Bytes {
    let row = Row { path: path(), live: Vec::new(), deletes: Vec::new() };
    let mut writer = RowsWriter::new(1);
    while writer.encoded_bytes() < FRAME_BYTES_MAX - 10 {
        writer.push(&row);
    }
    encode(&Message::Rows(writer.finish())).remove(0)
}
