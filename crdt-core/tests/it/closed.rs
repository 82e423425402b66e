//! Vectors relative to tables of closed incarnations: whatever the tables, what arrives is what was said.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use millpond_core::message::*;
use millpond_core::wire::{DecodeError, Decoder, Encoder, PushFrame, encode, kind};
use millpond_core::*;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::{arbitrary, golden, samples};

fn incarnation(number: u8) -> Incarnation {
    Incarnation::from_bytes([number; 16])
}

fn vector(seqs: &[(u8, u64)]) -> VersionVector {
    let dot = |&(id, seq): &(u8, u64)| Some(Dot::new(incarnation(id), Seq::new(seq)?));
    seqs.iter().filter_map(dot).collect()
}

/// Vectors that are much alike: of eight incarnations each covered up to one of a few seqs, or not at all.
fn alike() -> impl Strategy<Value = VersionVector> {
    vec(prop_oneof![8 => Just(7_u64), 1 => 0..9_u64], 8).prop_map(|seqs| {
        let entries: Vec<(u8, u64)> = (1..).zip(seqs).collect();
        vector(&entries)
    })
}

fn table() -> impl Strategy<Value = Arc<Closed>> {
    (alike(), alike()).prop_map(|(system, main)| {
        Arc::new(Closed::new([(Namespace::SYSTEM, system), (Namespace::MAIN, main)].into()))
    })
}

/// Every kind of message with vectors.
fn messages(push: &Push, vv: &VersionVector, floor: &VersionVector) -> Vec<Message> {
    let (namespace, vv, floor) = (Namespace::MAIN, vv.clone(), floor.clone());
    let resume = || Some(Resume { upto: vv.clone(), cursor: Path::new(["c", "k"]).unwrap() });
    let Message::Hello(mut hello) = samples::messages().remove(0).1 else { panic!("a hello") };
    hello.namespaces =
        vec![HelloNamespace { namespace, durable: vv.clone(), floor: floor.clone() }];
    let mut push = push.clone();
    push.deps = vv.clone();
    push.deps.remove(push.origin);
    vec![
        Message::Hello(hello),
        Message::Pull(Pull { namespace, transfer: 7, from: floor.clone(), resume: resume() }),
        Message::PullStart {
            transfer: 7,
            upto: vv.clone(),
            rows_estimate: 3,
            floor: floor.clone(),
        },
        Message::Feed { namespace, from: vv.clone() },
        Message::Push(PushFrame::encode(&push)),
        Message::Compare(Compare {
            session: 9,
            namespace,
            purpose: Purpose::Refresh,
            salt: [0x55; 16],
            vv: vv.clone(),
            floor: floor.clone(),
        }),
        Message::CompareAccept { session: 9, vv: vv.clone(), floor },
        Message::PullCompared { session: 9, transfer: 8, resume: resume() },
    ]
}

fn with_table(message: Message, closed: &Arc<Closed>) -> Message {
    match message {
        Message::Push(push) => Message::Push(PushFrame::encode_relative(&push.to_push(), closed)),
        message => message,
    }
}

proptest! {
    #[test]
    fn what_is_said_by_tables_arrives(
        tables in vec(table(), 1..4),
        vectors in vec((alike(), alike(), 0..4_usize), 1..5),
        push in arbitrary::push(),
        has_theirs in any::<bool>(),
    ) {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        let theirs = has_theirs.then(|| tables[0].clone());
        let known: Vec<_> = theirs.iter().cloned().collect();
        for (vv, floor, which) in vectors {
            let closed = &tables[which % tables.len()];
            for message in messages(&push, &vv, &floor) {
                let message = with_table(message, closed);
                let frames = encoder.encode(&message, closed, theirs.as_ref());
                let mut decoded = None;
                for frame in frames {
                    decoded = decoder.decode_knowing(frame, &known).unwrap();
                }
                prop_assert_eq!(decoded, Some(message));
            }
        }
    }

    #[test]
    fn a_table_makes_nothing_longer(closed in table(), vv in alike(), push in arbitrary::push()) {
        let mut encoder = Encoder::new();
        for message in messages(&push, &vv, &vv) {
            let plain: usize = encode(&message).iter().map(Bytes::len).sum();
            let said: usize = encoder.encode(&message, &closed, None).iter().map(Bytes::len).sum();
            prop_assert!(said <= plain);
        }
    }
}

fn sample_table() -> Arc<Closed> {
    let system: Vec<(u8, u64)> = (1..=20).map(|id| (id, 3)).collect();
    let main: Vec<(u8, u64)> = (1..=20).map(|id| (id, 300)).collect();
    let finals = [(Namespace::SYSTEM, vector(&system)), (Namespace::MAIN, vector(&main))];
    Arc::new(Closed::new(finals.into()))
}

/// All of the sample table but one entry, one further on, and one that it has not.
fn sample_vector() -> VersionVector {
    let main = (1..=20).filter(|id| *id != 4).map(|id| (id, if id == 5 { 301 } else { 300 }));
    vector(&main.chain([(0x21, 9)]).collect::<Vec<_>>())
}

#[test]
fn golden_messages_that_are_relative_to_a_table() {
    let closed = sample_table();
    let (_, push) = samples::messages().swap_remove(9);
    let Message::Push(push) = push else { panic!("a push") };
    let names = [
        "hello_v2",
        "pull_v2",
        "pull_start_v3",
        "feed_v2",
        "push_v2",
        "compare_v2",
        "compare_accept_v2",
        "pull_compared_v2",
    ];
    let all = messages(&push.to_push(), &sample_vector(), &vector(&[]));
    for (name, message) in names.iter().zip(all) {
        let message = with_table(message, &closed);
        let frames = Encoder::new().encode(&message, &closed, Some(&closed));
        let golden = golden::golden(name, &frames);
        assert_eq!(frames, golden, "{name}");
        assert_eq!(golden.len(), 2, "{name}: the table, and what is relative to it");
        let version = kind::relative_version(u16::from(golden[1][0]));
        assert_eq!(Some(golden[1][2]), version, "{name}");
        let mut decoder = Decoder::new();
        let decoded: Vec<Option<Message>> = golden
            .into_iter()
            .map(|frame| decoder.decode_knowing(frame, std::slice::from_ref(&closed)).unwrap())
            .collect();
        assert_eq!(decoded[1], Some(message), "{name}");
    }
}

#[test]
fn a_vector_of_closed_incarnations_takes_no_more_than_its_open_ones() {
    let all: Vec<(u8, u64)> = (1..=250).map(|id| (id, 1_000)).collect();
    let closed = Arc::new(Closed::new([(Namespace::MAIN, vector(&all))].into()));
    let from = vector(&all.iter().copied().chain([(0xfe, 5)]).collect::<Vec<_>>());
    let feed = Message::Feed { namespace: Namespace::MAIN, from };
    let frames = Encoder::new().encode(&feed, &closed, Some(&closed));
    let bytes: usize = frames.iter().map(Bytes::len).sum();
    assert!(bytes < 70, "{bytes} bytes");
    assert!(encode(&feed)[0].len() > 4_000);
}

#[test]
fn tables_that_are_unknown_or_false_are_refused() {
    let closed = sample_table();
    let feed = Message::Feed { namespace: Namespace::MAIN, from: sample_vector() };
    let frames = Encoder::new().encode(&feed, &closed, Some(&closed));
    let mut decoder = Decoder::new();
    for frame in &frames {
        assert_eq!(decoder.decode(frame.clone()), Err(DecodeError::UnknownTable));
    }
    // The lane may begin again.
    let whole = Encoder::new().encode(&feed, &closed, Some(&Arc::new(Closed::NONE)));
    let last = whole.into_iter().map(|frame| decoder.decode(frame).unwrap()).last();
    assert_eq!(last, Some(Some(feed)));

    let change = |from, to, changes| Message::Closed(ClosedChange { from, to, changes });
    let said = |number: u8, seq| ClosedSeq {
        namespace: Namespace::MAIN,
        incarnation: incarnation(number),
        seq: Seq::new(seq),
    };
    let decode = |message: &Message| Decoder::new().decode(encode(message)[0].clone()).map(drop);
    assert_eq!(decode(&change(0, 17, vec![said(1, 5)])), Err(DecodeError::Table));
    assert_eq!(decode(&change(17, 17, Vec::new())), Err(DecodeError::UnknownTable));
    let unordered = change(0, 17, vec![said(2, 5), said(1, 5)]);
    assert_eq!(decode(&unordered), Err(DecodeError::Order("closed incarnations")));
}

/// A body of one vector in the form that may be relative.
fn relative(bytes: &[u8]) -> Result<Option<Message>, DecodeError> {
    let body = [&[1_u8, bytes.len() as u8][..], bytes].concat();
    let frame = millpond_core::frame::frame(kind::FEED, 2, &body);
    Decoder::new().decode_knowing(frame, &[small_table()])
}

fn small_table() -> Arc<Closed> {
    Arc::new(Closed::new(BTreeMap::from([(Namespace::MAIN, vector(&[(1, 5), (2, 6)]))])))
}

#[test]
fn a_relative_vector_lists_what_differs_and_nothing_else() {
    let head = [&[2][..], &small_table().hash().to_le_bytes()].concat();
    let entry = |id: u8, seq: u8| [&[id; 16][..], &[seq]].concat();
    let with = |entries: &[Vec<u8>]| relative(&[&head[..], &entries.concat()].concat());
    let feed = |seqs: &[(u8, u64)]| {
        Ok(Some(Message::Feed { namespace: Namespace::MAIN, from: vector(seqs) }))
    };
    assert_eq!(with(&[]), feed(&[(1, 5), (2, 6)]));
    assert_eq!(with(&[entry(1, 0), entry(3, 9)]), feed(&[(2, 6), (3, 9)]));
    assert_eq!(with(&[entry(1, 5)]), Err(DecodeError::Malformed), "it does not differ");
    assert_eq!(with(&[entry(4, 0)]), Err(DecodeError::Malformed), "neither has it");
    assert_eq!(with(&[entry(3, 9), entry(1, 0)]), Err(DecodeError::Order("vector entries")));
    assert_eq!(relative(&head[..5]), Err(DecodeError::Malformed));
    assert_eq!(relative(&[0]), feed(&[]));
    assert_eq!(relative(&[&[0][..], &entry(3, 0)].concat()), Err(DecodeError::Dot));
}
