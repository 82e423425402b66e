//! Strategies: any value of each type, well-formed but otherwise unconstrained.

use bytes::Bytes;
use millpond_core::message::{Ack, Claim, Compare, CompareRefusal, Credit, Fingerprint, Hello};
use millpond_core::message::{HelloNamespace, LinkReport, Message, Purpose, Range};
use millpond_core::message::{
    Linked, PullRefusal, RelayedWord, ReportedMode, Resume, Terms, Words,
};
use millpond_core::message::{NodeReport, NumberedVector, OriginReport, Protocol, Pull};
use millpond_core::wire::{PushFrame, RowsFrame, RowsWriter};
use millpond_core::*;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

/// Mostly one of a few, so that values meet.
pub fn incarnation() -> impl Strategy<Value = Incarnation> {
    prop_oneof![
        8 => (0_u8..5).prop_map(|id| Incarnation::from_bytes([id; 16])),
        1 => any::<[u8; 16]>().prop_map(Incarnation::from_bytes),
    ]
}

pub fn seq() -> impl Strategy<Value = Seq> {
    prop_oneof![8 => 1_u64..50, 1 => 1_u64..=u64::MAX].prop_map(|seq| Seq::new(seq).unwrap())
}

pub fn dot() -> impl Strategy<Value = Dot> {
    (incarnation(), seq()).prop_map(|(incarnation, seq)| Dot::new(incarnation, seq))
}

pub fn vector() -> impl Strategy<Value = VersionVector> {
    vec(dot(), 0..6).prop_map(VersionVector::from_iter)
}

pub fn hlc() -> impl Strategy<Value = Hlc> {
    prop_oneof![
        4 => 1_000_u64 << 16..1_003 << 16,
        4 => 0..=Hlc::MAX.bits(),
        1 => Just(Hlc::MAX.bits()),
    ]
    .prop_map(Hlc::from_bits)
}

/// Components of few letters, zeros among them, so that paths share prefixes and need escapes.
pub fn components() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let byte = prop_oneof![Just(0_u8), Just(1), Just(b'a'), Just(0xff), any::<u8>()];
    vec(vec(byte, 0..6), 1..5)
}

pub fn path() -> impl Strategy<Value = Path> {
    components().prop_map(|components| Path::new(components).unwrap())
}

pub fn payload() -> impl Strategy<Value = Payload> {
    // The last one is a store's own mark, and never travels.
    let kind = prop_oneof![4 => 0_u16..4, 1 => 0..u16::MAX];
    (kind, vec(any::<u8>(), 0..20))
        .prop_map(|(kind, bytes)| Payload { kind: PayloadKind(kind), bytes: Bytes::from(bytes) })
}

pub fn entry() -> impl Strategy<Value = Entry> {
    let live =
        (dot(), hlc(), payload()).prop_map(|(dot, hlc, payload)| LiveDot { dot, hlc, payload });
    vec(live, 0..4).prop_map(Entry::from_live)
}

pub fn row() -> impl Strategy<Value = Row> {
    let live = btree_map(dot(), proptest::option::of((hlc(), payload())), 0..4);
    let deletes = btree_map(dot(), hlc(), 0..3);
    (path(), live, deletes).prop_map(|(path, live, deletes)| Row {
        path,
        live: live.into_iter().map(|(dot, content)| RowDot { dot, content }).collect(),
        deletes: deletes.into_iter().collect(),
    })
}

pub fn rows_frame(rows: &[Row]) -> RowsFrame {
    let mut writer = RowsWriter::new(7);
    rows.iter().for_each(|row| writer.push(row));
    writer.finish()
}

pub fn push() -> impl Strategy<Value = Push> {
    let write = (hlc(), proptest::option::of(payload()), btree_set(dot(), 0..4));
    let writes = btree_map(path(), write, 1..6);
    (any::<u32>(), incarnation(), seq(), vector(), writes).prop_map(
        |(namespace, origin, first, mut deps, writes)| {
            deps.remove(origin);
            let first = Seq::new(first.get().min(u64::MAX - 10)).unwrap();
            let issued = |dot: &Dot| dot.incarnation == origin && dot.seq >= first;
            let writes = writes.into_iter().map(|(path, (hlc, payload, overwritten))| PushWrite {
                path,
                hlc,
                payload,
                overwritten: overwritten.into_iter().filter(|dot| !issued(dot)).collect(),
            });
            let namespace = Namespace::from_number(namespace);
            Push { namespace, origin, first, deps, writes: writes.collect() }
        },
    )
}

fn namespace() -> impl Strategy<Value = Namespace> {
    any::<u32>().prop_map(Namespace::from_number)
}

fn hello() -> impl Strategy<Value = Message> {
    let held = (namespace(), vector(), vector())
        .prop_map(|(namespace, durable, floor)| HelloNamespace { namespace, durable, floor });
    let identity = (any::<[u8; 16]>(), ".{0,20}", vec(".{0,20}", 0..4), any::<(u64, u64)>());
    let protocol = (any::<u16>(), any::<u16>(), any::<u64>());
    let lists = (vec(incarnation(), 0..4), vec(held, 0..3), any::<Option<[u8; 16]>>());
    (protocol, identity, lists).prop_map(
        |((oldest, newest, features), identity, (incarnations, namespaces, invite))| {
            let (domain, name, addresses, (counter, random)) = identity;
            Message::Hello(Hello {
                protocol: Protocol { oldest, newest },
                features,
                domain: Domain::from_bytes(domain),
                name,
                addresses,
                boot: Boot { counter, random },
                incarnations,
                namespaces,
                invite,
            })
        },
    )
}

fn pull() -> impl Strategy<Value = Message> {
    let resume = (vector(), path()).prop_map(|(upto, cursor)| Resume { upto, cursor });
    (namespace(), any::<u64>(), vector(), proptest::option::of(resume)).prop_map(
        |(namespace, transfer, from, resume)| {
            Message::Pull(Pull { namespace, transfer, from, resume })
        },
    )
}

fn ack() -> impl Strategy<Value = Ack> {
    (namespace(), numbered(), numbered(), numbered()).prop_map(
        |(namespace, received, applied, durable)| Ack { namespace, received, applied, durable },
    )
}

fn numbered() -> impl Strategy<Value = NumberedVector> {
    let entries = btree_map(any::<u32>(), 1..=u64::MAX, 0..4);
    entries.prop_map(|entries| {
        entries.into_iter().map(|(number, seq)| (number, Seq::new(seq).unwrap())).collect()
    })
}

fn terms() -> impl Strategy<Value = Terms> {
    any::<(bool, bool, bool, bool, Option<u64>)>().prop_map(
        |(wants_announcements, feeds_own, serves, in_rehab, ack_within_ms)| Terms {
            wants_announcements,
            feeds_own,
            serves,
            in_rehab,
            ack_within_ms,
        },
    )
}

fn report() -> impl Strategy<Value = NodeReport> {
    let key = || any::<[u8; 32]>().prop_map(NodeKey::from_bytes);
    let link = (key(), any::<u64>(), any::<u32>())
        .prop_map(|(peer, round_trip_us, cost)| LinkReport { peer, round_trip_us, cost });
    let place = || proptest::option::of(any::<prop::sample::Index>());
    let about = (key(), ".{0,20}", ".{0,9}", any::<u32>(), any::<bool>());
    let mode = (any::<u8>(), any::<u32>());
    let lists = (vec(link, 0..4), vec((incarnation(), place(), place()), 0..4));
    (about, mode, proptest::option::of(incarnation()), lists).prop_map(
        |((key, name, region, cost, is_adaptive), (number, fanout), open, (links, origins))| {
            let mode = ReportedMode::from_numbers(number, fanout);
            let mode = mode.or(ReportedMode::from_numbers(number, 0)).unwrap();
            let count = links.len();
            let place = |index: Option<prop::sample::Index>| {
                index.filter(|_| count > 0).map(|index| index.index(count))
            };
            let origins = origins.into_iter().map(|(origin, source, standby)| OriginReport {
                origin,
                source: place(source),
                standby: place(standby),
            });
            let origins = origins.collect();
            NodeReport { key, name, region, cost, mode, is_adaptive, open, links, origins }
        },
    )
}

pub fn message() -> impl Strategy<Value = Message> {
    let key = any::<[u8; 32]>().prop_map(NodeKey::from_bytes);
    prop_oneof![
        hello(),
        vec((incarnation(), key), 0..4).prop_map(Message::Introduce),
        pull(),
        (any::<u64>(), vector(), any::<u64>(), vector()).prop_map(
            |(transfer, upto, rows_estimate, floor)| Message::PullStart {
                transfer,
                upto,
                rows_estimate,
                floor
            }
        ),
        vec(row(), 0..6).prop_map(|rows| Message::Rows(rows_frame(&rows))),
        any::<(u64, u64)>().prop_map(|(transfer, rows)| Message::PullEnd { transfer, rows }),
        any::<(u64, u8)>().prop_map(|(transfer, reason)| Message::PullRefused {
            transfer,
            reason: PullRefusal::from_number(reason),
        }),
        (namespace(), vector()).prop_map(|(namespace, from)| Message::Feed { namespace, from }),
        namespace().prop_map(|namespace| Message::Behind { namespace }),
        push().prop_map(|push| Message::Push(PushFrame::encode(&push))),
        vec((namespace(), any::<u64>()), 0..4).prop_map(Message::Digest),
        (any::<u32>(), vec(incarnation(), 0..4))
            .prop_map(|(first, names)| Message::Names { first, names }),
        terms().prop_map(Message::Terms),
        vec((namespace(), numbered()), 0..4).prop_map(Message::Announce),
        (namespace(), btree_map(any::<u32>(), any::<u64>(), 0..4)).prop_map(
            |(namespace, after)| Message::Graft {
                namespace,
                after: after.into_iter().map(|(number, seq)| (number, Seq::new(seq))).collect(),
            }
        ),
        (namespace(), btree_set(any::<u32>(), 0..4)).prop_map(|(namespace, origins)| {
            Message::Prune { namespace, origins: origins.into_iter().collect() }
        }),
        vec(ack(), 0..4).prop_map(Message::Ack),
        any::<(u64, u64)>().prop_map(|(push_bytes, rows_bytes)| {
            Message::Credit(Credit { push_bytes, rows_bytes })
        }),
        (namespace(), incarnation(), any::<u32>(), 1..u64::MAX >> 1).prop_map(
            |(namespace, incarnation, after, more)| Message::Recall {
                namespace,
                incarnation,
                after: Seq::new(u64::from(after)),
                upto: Seq::new(u64::from(after) + more).expect("not zero"),
            }
        ),
        (namespace(), incarnation(), btree_map(1..u64::MAX, any::<[u8; 8]>(), 0..4)).prop_map(
            |(namespace, incarnation, writes)| Message::Recalled {
                namespace,
                incarnation,
                upto: Seq::new(u64::MAX).expect("not zero"),
                writes: writes
                    .into_iter()
                    .map(|(seq, hash)| (Seq::new(seq).expect("not zero"), hash))
                    .collect(),
            }
        ),
        words().prop_map(Message::Words),
        any::<u64>().prop_map(|ms| Message::Hurry { ms }),
        (vec(any::<[u8; 32]>(), 2..5), any::<[u8; 32]>()).prop_map(|(keys, half)| {
            let one = |pair: &[[u8; 32]]| {
                let [old, new] = [pair[0], pair[1]].map(NodeKey::from_bytes);
                let signature = [half, half].concat().try_into().expect("two halves");
                Succession { old, new, signature }
            };
            Message::Succession(keys.windows(2).map(one).collect())
        }),
        any::<u64>().prop_map(|id| Message::Survey { id }),
        (any::<u64>(), report()).prop_map(|(id, report)| Message::Surveyed { id, report }),
        compare().prop_map(Message::Compare),
        (any::<u64>(), vector(), vector())
            .prop_map(|(session, vv, floor)| Message::CompareAccept { session, vv, floor }),
        any::<(u64, u8)>().prop_map(|(session, reason)| Message::CompareRefused {
            session,
            reason: CompareRefusal::from_number(reason),
        }),
        (any::<u64>(), any::<bool>(), ranges())
            .prop_map(|(session, is_last, ranges)| Message::Ranges { session, is_last, ranges }),
        (any::<u64>(), any::<u64>(), option::of((vector(), path()))).prop_map(
            |(session, transfer, resume)| Message::PullCompared {
                session,
                transfer,
                resume: resume.map(|(upto, cursor)| Resume { upto, cursor }),
            }
        ),
    ]
}

fn words() -> impl Strategy<Value = Words> {
    let numbers = || btree_set(any::<u32>(), 0..4).prop_map(|it| it.into_iter().collect());
    let linked =
        (any::<bool>(), numbers()).prop_map(|(is_all_but, members)| Linked { is_all_but, members });
    let seq = || any::<u64>().prop_map(Seq::new);
    let entries = btree_map(any::<u32>(), seq(), 0..4).prop_map(|it| it.into_iter().collect());
    let differs = option::of(vec((namespace(), entries), 0..3));
    let word = (option::of(any::<(u64, u64)>()), any::<u64>(), differs);
    let key = any::<[u8; 32]>().prop_map(NodeKey::from_bytes);
    let words = btree_map(any::<u32>(), word, 0..4);
    (any::<u32>(), vec(key, 0..3), option::of(linked), words).prop_map(
        |(first, members, linked, words)| {
            let words = words.into_iter().map(|(member, (boot, age_ms, differs))| RelayedWord {
                member,
                boot: boot.map(|(counter, random)| Boot { counter, random }),
                age_ms,
                differs,
            });
            Words { first, members, linked, words: words.collect() }
        },
    )
}

fn compare() -> impl Strategy<Value = Compare> {
    let purpose = prop_oneof![Just(Purpose::Refresh), Just(Purpose::Verify)];
    (any::<u64>(), namespace(), purpose, any::<[u8; 16]>(), vector(), vector()).prop_map(
        |(session, namespace, purpose, salt, vv, floor)| Compare {
            session,
            namespace,
            purpose,
            salt,
            vv,
            floor,
        },
    )
}

fn ranges() -> impl Strategy<Value = Vec<Range>> {
    let items = || btree_set(any::<[u8; 8]>(), 0..4).prop_map(|it| it.into_iter().collect());
    let claim = prop_oneof![
        Just(Claim::Skip),
        any::<(u64, [u8; 16])>().prop_map(|(count, sum)| Claim::Whole(Fingerprint { count, sum })),
        items().prop_map(Claim::Items),
        items().prop_map(Claim::Wants),
    ];
    let ends = btree_map(vec(any::<u8>(), 1..6), claim.clone(), 0..4);
    (ends, option::of(claim)).prop_map(|(ends, last)| {
        let ends = ends.into_iter().map(|(end, claim)| Range { end: Some(end), claim });
        ends.chain(last.map(|claim| Range { end: None, claim })).collect()
    })
}
