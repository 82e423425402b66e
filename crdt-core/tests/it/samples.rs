//! One message of each kind, the same for ever: what the golden bytes say.

use bytes::Bytes;
use millpond_core::frame::frame;
use millpond_core::message::*;
use millpond_core::wire::{PushFrame, RowsWriter, encode, kind};
use millpond_core::*;

/// Every kind of message with its name.
pub fn messages() -> Vec<(&'static str, Message)> {
    vec![
        ("hello", Message::Hello(hello())),
        ("introduce", Message::Introduce(vec![(incarnation(1), NodeKey::from_bytes([0x77; 32]))])),
        ("pull", Message::Pull(pull())),
        (
            "pull_start",
            Message::PullStart {
                transfer: 7,
                upto: vector(),
                rows_estimate: 1_000_000,
                floor: VersionVector::from_iter([dot(0x0a, 2)]),
            },
        ),
        ("rows", Message::Rows(rows())),
        ("pull_end", Message::PullEnd { transfer: 7, rows: 300 }),
        ("pull_refused", Message::PullRefused { transfer: 7, reason: PullRefusal::BelowFloor }),
        ("feed", Message::Feed { namespace: Namespace::MAIN, from: vector() }),
        ("behind", Message::Behind { namespace: Namespace::MAIN }),
        ("push", Message::Push(PushFrame::encode(&push()))),
        (
            "digest",
            Message::Digest(vec![(Namespace::SYSTEM, 7), (Namespace::MAIN, 0x0102_0304_0506_0708)]),
        ),
        ("ack", Message::Ack(vec![ack()])),
        ("names", Message::Names { first: 300, names: vec![incarnation(0x0a), incarnation(0x0b)] }),
        ("terms", Message::Terms(terms())),
        ("announce", Message::Announce(vec![(Namespace::MAIN, numbered())])),
        (
            "graft",
            Message::Graft {
                namespace: Namespace::MAIN,
                after: vec![(0, None), (300, Seq::new(5))],
            },
        ),
        ("prune", Message::Prune { namespace: Namespace::MAIN, origins: vec![0, 300] }),
        ("credit", Message::Credit(Credit { push_bytes: 65_536, rows_bytes: 1 << 40 })),
        ("hurry", Message::Hurry { ms: 10_000 }),
        ("survey", Message::Survey { id: 0x0102_0304_0506_0708 }),
        ("surveyed", Message::Surveyed { id: 0x0102_0304_0506_0708, report: report() }),
        ("compare", Message::Compare(compare())),
        (
            "compare_accept",
            Message::CompareAccept { session: 9, vv: vector(), floor: VersionVector::new() },
        ),
        (
            "compare_refused",
            Message::CompareRefused { session: 9, reason: CompareRefusal::NotAllowed },
        ),
        ("ranges", Message::Ranges { session: 9, is_last: true, ranges: ranges() }),
        (
            "recall",
            Message::Recall {
                namespace: Namespace::MAIN,
                incarnation: incarnation(0x0a),
                after: None,
                upto: Seq::FIRST.plus(299),
            },
        ),
        (
            "recalled",
            Message::Recalled {
                namespace: Namespace::MAIN,
                incarnation: incarnation(0x0a),
                upto: Seq::FIRST.plus(299),
                writes: vec![(Seq::FIRST, [0x11; 8]), (Seq::FIRST.plus(298), [0x22; 8])],
            },
        ),
        ("words", Message::Words(words())),
        ("succession", Message::Succession(vec![succession(1, 2), succession(2, 3)])),
        ("closed", Message::Closed(closed())),
        ("closed_held", Message::ClosedHeld { hash: 0x0102_0304_0506_0708 }),
        ("pull_compared", Message::PullCompared { session: 9, transfer: 8, resume: pull().resume }),
    ]
}

/// A message in fragments of `cut` bytes, whatever its size.
pub fn in_fragments(message: &Message, cut: usize) -> Vec<Bytes> {
    let whole = encode(message).remove(0);
    let last = whole.len().div_ceil(cut) - 1;
    let pieces = whole.chunks(cut).enumerate().map(|(index, slice)| {
        let flags = u8::from(index == 0) | u8::from(index == last) << 1;
        frame(kind::FRAGMENT, kind::VERSION, &[&[flags], slice].concat())
    });
    pieces.collect()
}

fn compare() -> Compare {
    Compare {
        session: 9,
        namespace: Namespace::MAIN,
        purpose: Purpose::Verify,
        salt: [0x55; 16],
        vv: vector(),
        floor: vector(),
    }
}

/// The first table that there is: it is told as what differs from none.
fn closed() -> ClosedChange {
    let seq = |namespace, byte, seq| ClosedSeq {
        namespace,
        incarnation: incarnation(byte),
        seq: Seq::new(seq),
    };
    let changes = vec![
        seq(Namespace::SYSTEM, 0x0a, 5),
        seq(Namespace::MAIN, 0x0a, 300),
        seq(Namespace::MAIN, 0x0b, 1),
    ];
    let to = Closed::NONE.changed(&changes).hash();
    ClosedChange { from: Closed::NONE.hash(), to, changes }
}

fn ranges() -> Vec<Range> {
    let range = |end: Option<&[u8]>, claim| Range { end: end.map(<[u8]>::to_vec), claim };
    let whole = Fingerprint { count: 300, sum: [0x66; 16] };
    vec![
        range(Some(b"users\0\x01a"), Claim::Skip),
        range(Some(b"users\0\x01ab"), Claim::Whole(whole)),
        range(Some(b"users\0\x01b"), Claim::Items(vec![[1; 8], [2; 8]])),
        range(None, Claim::Wants(vec![[3; 8]])),
    ]
}

fn incarnation(byte: u8) -> Incarnation {
    Incarnation::from_bytes([byte; 16])
}

fn dot(byte: u8, seq: u64) -> Dot {
    Dot::new(incarnation(byte), Seq::new(seq).unwrap())
}

fn vector() -> VersionVector {
    VersionVector::from_iter([dot(0x0a, 5), dot(0x0b, 300)])
}

fn path(components: &[&str]) -> Path {
    Path::new(components).unwrap()
}

/// So many milliseconds into September 2026, and the counter.
fn at(ms: u64, counter: u64) -> Hlc {
    Hlc::from_bits(((1_790_000_000_000 + ms) << 16) | counter)
}

fn payload(kind: PayloadKind, bytes: &'static [u8]) -> Payload {
    Payload { kind, bytes: Bytes::from_static(bytes) }
}

fn hello() -> Hello {
    Hello {
        protocol: Protocol { oldest: 1, newest: 2 },
        features: 5,
        domain: Domain::from_bytes([0xdd; 16]),
        name: "paris".to_owned(),
        addresses: vec!["10.0.0.1:7400".to_owned(), "paris.example:7400".to_owned()],
        boot: Boot { counter: 3, random: 0x0102_0304 },
        incarnations: vec![incarnation(0x0a), incarnation(0x0b)],
        namespaces: vec![HelloNamespace {
            namespace: Namespace::MAIN,
            durable: vector(),
            floor: VersionVector::from_iter([dot(0x0a, 2)]),
        }],
        invite: Some([0x1e; 16]),
    }
}

fn pull() -> Pull {
    Pull {
        namespace: Namespace::MAIN,
        transfer: 7,
        from: vector(),
        resume: Some(Resume { upto: vector(), cursor: path(&["places", "k1"]) }),
    }
}

/// Rows that use every shape: a fresh key, a shared prefix, content and none, deletes, unknown kinds.
fn rows() -> wire::RowsFrame {
    let live = |dot, hlc, payload| RowDot { dot, content: Some((hlc, payload)) };
    let rows = [
        Row {
            path: path(&["places", "k1", "name"]),
            live: vec![live(dot(0x0a, 5), at(0, 0), payload(PayloadKind::LWW, b"Lac"))],
            deletes: Vec::new(),
        },
        Row {
            path: path(&["places", "k1", "size"]),
            live: vec![
                live(dot(0x0a, 6), at(0, 1), payload(PayloadKind(9), b"")),
                RowDot { dot: dot(0x0b, 299), content: None },
            ],
            deletes: vec![(dot(0x0a, 4), at(0, 0)), (dot(0x0b, 300), at(40, 2))],
        },
        Row { path: path(&["places", "k1\0"]), live: Vec::new(), deletes: Vec::new() },
    ];
    let mut writer = RowsWriter::new(7);
    rows.iter().for_each(|row| writer.push(row));
    writer.finish()
}

fn push() -> Push {
    Push {
        namespace: Namespace::MAIN,
        origin: incarnation(0x0a),
        first: Seq::new(10).unwrap(),
        deps: VersionVector::from_iter([dot(0x0b, 300)]),
        writes: vec![
            PushWrite {
                path: path(&["places", "k1", "name"]),
                hlc: at(0, 0),
                payload: Some(payload(PayloadKind::LWW, b"Lake")),
                overwritten: vec![dot(0x0a, 5), dot(0x0c, 1)],
            },
            PushWrite {
                path: path(&["places", "k1", "size"]),
                hlc: at(0, 1),
                payload: None,
                overwritten: vec![dot(0x0b, 299)],
            },
        ],
    }
}

fn ack() -> Ack {
    Ack {
        namespace: Namespace::MAIN,
        received: numbered(),
        applied: vec![(300, Seq::new(5).unwrap())],
        durable: Vec::new(),
    }
}

fn numbered() -> NumberedVector {
    vec![(0, Seq::FIRST), (300, Seq::new(70_000).unwrap())]
}

fn words() -> Words {
    let word = |member, boot, age_ms, differs| RelayedWord { member, boot, age_ms, differs };
    let differs = vec![
        (Namespace::SYSTEM, Vec::new()),
        (Namespace::MAIN, vec![(0, None), (300, Seq::new(70_000))]),
    ];
    Words {
        first: 3,
        members: vec![NodeKey::from_bytes([0x77; 32])],
        linked: Some(Linked { is_all_but: true, members: vec![0, 2] }),
        words: vec![
            word(1, None, 5_000, None),
            word(3, Some(Boot { counter: 3, random: 0x0102_0304 }), 130, Some(differs)),
        ],
    }
}

fn terms() -> Terms {
    Terms {
        wants_announcements: true,
        feeds_own: false,
        serves: true,
        in_rehab: false,
        ack_within_ms: Some(250),
    }
}

fn report() -> NodeReport {
    let key = |byte| NodeKey::from_bytes([byte; 32]);
    NodeReport {
        key: key(0x77),
        name: "paris".to_owned(),
        region: "eu".to_owned(),
        cost: 3,
        mode: ReportedMode::SpanningTree { fanout: 8 },
        is_adaptive: true,
        open: Some(incarnation(0x0a)),
        links: vec![
            LinkReport { peer: key(0x78), round_trip_us: 12_345, cost: 1 },
            LinkReport { peer: key(0x79), round_trip_us: 0, cost: 11 },
        ],
        origins: vec![
            OriginReport { origin: incarnation(0x0b), source: Some(0), standby: Some(1) },
            OriginReport { origin: incarnation(0x0c), source: None, standby: None },
        ],
    }
}

/// The live dots of the golden entry.
pub fn live_dots() -> Vec<LiveDot> {
    vec![
        LiveDot { dot: dot(0x0a, 5), hlc: at(0, 0), payload: payload(PayloadKind::LWW, b"Lac") },
        LiveDot { dot: dot(0x0b, 300), hlc: at(40, 2), payload: payload(PayloadKind(900), b"") },
    ]
}

fn succession(old: u8, new: u8) -> Succession {
    let [old, new] = [old, new].map(|byte| NodeKey::from_bytes([byte; 32]));
    Succession { old, new, signature: [0x5a; 64] }
}
