use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use bytes::Bytes;
use millpond_core::message::{Message, Range};
use millpond_core::wire::{Decoder, encode};
use millpond_core::{
    Dot, Entry, Hlc, Incarnation, LiveDot, Namespace, Path, Payload, PayloadKind, Seq,
    VersionVector,
};
use proptest::prelude::*;

use super::index::Index;
use super::{Differs, Reconciler, Turn};
use crate::planted::without;
use crate::state::{View, meta_key, write_meta};
use crate::store::memory::MemoryStore;
use crate::store::{Changes, Durability, Store};

/// What a side holds: the number of each path, and of the write that is there.
type Side = BTreeMap<u64, u64>;

fn path(number: u64) -> Path {
    // Spread out, as keys are that are drawn at random.
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    Path::new([b"notes", &spread[..], b"text"]).expect("it is short")
}

fn incarnation() -> Incarnation {
    Incarnation::from_bytes([1; 16])
}

fn view(side: &Side) -> View {
    let mut changes = Changes::default();
    for (&number, &seq) in side {
        let dot = Dot::new(incarnation(), Seq::new(seq + 1).expect("not zero"));
        let bytes = Bytes::copy_from_slice(&seq.to_be_bytes());
        let payload = Payload { kind: PayloadKind::LWW, bytes };
        let live = LiveDot { dot, hlc: Hlc::from_ms(1_790_000_000_000), payload };
        changes.entries.insert((Namespace::MAIN, path(number)), Entry::from_live(vec![live]));
    }
    let vv: VersionVector =
        [Dot::new(incarnation(), Seq::new(1 << 40).expect("not zero"))].into_iter().collect();
    write_meta(&mut changes, meta_key::vv(Namespace::MAIN), Some(&vv));
    let store = MemoryStore::new();
    store.commit(&changes, Durability::Synced).unwrap();
    View::new(store.snapshot().unwrap(), Namespace::MAIN).unwrap()
}

fn reconciler(side: &Side, opens: bool) -> Reconciler {
    Reconciler::new(view(side), [7; 16], opens, false)
}

/// What came of a comparison.
struct Compared {
    differs: [Differs; 2],
    /// Frame bytes of both.
    bytes: usize,
    /// How often the word changed sides.
    turns: usize,
}

/// Lets two sides compare.
fn compare(sides: [&Side; 2]) -> Compared {
    converse([reconciler(sides[0], true), reconciler(sides[1], false)])
}

/// Lets two sides talk, with all that they say encoded and decoded. Each looks at what it has heard at once.
fn converse(mut speakers: [Reconciler; 2]) -> Compared {
    let (mut bytes, mut turns) = (0, 0);
    let mut decoder = Decoder::new();
    for speaks in [0, 1].into_iter().cycle() {
        loop {
            match speakers[speaks].step().unwrap() {
                Turn::Working => {}
                Turn::Say(ranges, is_last) => {
                    let message = Message::Ranges { session: 1, is_last, ranges };
                    for frame in encode(&message) {
                        bytes += frame.len();
                        let decoded = decoder.decode(frame).unwrap();
                        let Some(Message::Ranges { ranges, .. }) = decoded else { continue };
                        assert!(speakers[1 - speaks].hear(is_last, ranges), "it is its turn");
                        while !is_last && speakers[1 - speaks].has_work() {
                            let turn = speakers[1 - speaks].step().unwrap();
                            assert!(!matches!(turn, Turn::Say(..)), "it speaks out of turn");
                        }
                    }
                }
                Turn::Listening => break,
                Turn::Ended if speakers[1 - speaks].settled().is_none() => break,
                Turn::Ended => {
                    assert!(speakers.iter().all(|it| !it.has_work()));
                    let differs = speakers.map(|it| it.settled().expect("it has ended").clone());
                    return Compared { differs, bytes, turns };
                }
            }
        }
        turns += 1;
        assert!(turns < 100, "it ends");
    }
    unreachable!("the sides speak in turn for ever");
}

/// The numbers of a side's paths that the other one does not hold alike.
fn expected(own: &Side, other: &Side) -> BTreeSet<Path> {
    let differing = own.iter().filter(|(number, seq)| other.get(number) != Some(seq));
    differing.map(|(&number, _)| path(number)).collect()
}

fn visited(side: &Side, differs: &Differs, step: usize) -> BTreeSet<Path> {
    let view = view(side);
    let (mut found, mut after) = (BTreeSet::new(), None);
    loop {
        let visit = &mut |path: &Path, _| {
            found.insert(path.clone());
            ControlFlow::Continue(())
        };
        after = differs.visit(&view, after.as_ref(), step, visit).unwrap();
        if after.is_none() {
            return found;
        }
    }
}

fn numbered(range: std::ops::Range<u64>) -> Side {
    range.map(|number| (number, number)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever two sides hold, each learns all of its own entries that the other does not hold alike, and few
    /// others.
    #[test]
    fn each_side_learns_what_differs(
        common in 0_u64..3_000,
        only in prop::array::uniform2(prop::collection::btree_map(0_u64..4_000, 5_000_u64..5_003, 0..80)),
        missing in prop::array::uniform2(prop::collection::btree_set(0_u64..3_000, 0..40)),
    ) {
        let sides = [0, 1].map(|side: usize| {
            let mut held = numbered(0..common);
            held.retain(|number, _| !missing[side].contains(number));
            held.extend(&only[side]);
            held
        });
        let compared = compare([&sides[0], &sides[1]]);
        for (side, differs) in compared.differs.iter().enumerate() {
            let expected = expected(&sides[side], &sides[1 - side]);
            let found = visited(&sides[side], differs, 37);
            prop_assert!(expected.is_subset(&found));
            prop_assert!(expected.iter().all(|path| differs.contains(path)));
            // A range is taken as a whole only if the other side has little in it.
            let others = sides[1 - side].len() as u64;
            prop_assert!(found.len() - expected.len() <= others.min(1_024) as usize);
            prop_assert!(differs.listed().is_none() || found == expected);
        }
    }
}

#[test]
fn what_is_equal_costs_one_small_frame_each() {
    let side = numbered(0..5_000);
    let compared = compare([&side, &side]);
    assert!(compared.differs.iter().all(Differs::is_empty));
    assert!(compared.bytes < 64, "{} bytes", compared.bytes);
    let nothing = Side::new();
    assert!(compare([&nothing, &nothing]).bytes < 64);
}

#[test]
fn what_differs_costs_its_share() {
    let mut figures = Vec::new();
    let entries = 100_000;
    let side = numbered(0..entries);
    for differences in [1, 10, 1_000] {
        let mut other = side.clone();
        for number in (0..differences).map(|it| it * (entries / differences)) {
            other.insert(number, entries + number);
        }
        let Compared { differs, bytes, turns } = compare([&side, &other]);
        for differs in differs {
            assert_eq!(differs.listed().map(BTreeSet::len), Some(differences as usize));
        }
        figures.push((differences, bytes, turns));
        let bound = 14_000 + 600 * differences as usize;
        assert!(bytes <= bound, "{differences}: {bytes} bytes");
        assert!(turns <= 6, "{differences}: {turns} turns");
    }
    println!("of {entries}: (differences, bytes, turns) {figures:?}");
}

/// One side has next to nothing: what the other has is not told one by one.
#[test]
fn what_is_nearly_all_is_told_as_a_range() {
    let (little, much) = (numbered(0..3), numbered(1..20_000));
    let Compared { differs: [of_little, of_much], bytes, .. } = compare([&little, &much]);
    assert!(of_little.contains(&path(0)));
    assert_eq!(of_much.listed(), None);
    assert!((3..20_000).all(|number| of_much.contains(&path(number))));
    assert!(bytes < 20_000, "{bytes} bytes");
}

#[test]
fn without_wants_one_side_does_not_learn_what_differs() {
    let side = numbered(0..100);
    let mut other = side.clone();
    other.insert(50, 200);
    let learns =
        || compare([&other, &side]).differs.iter().all(|differs| differs.contains(&path(50)));
    assert!(learns());
    assert!(!without(&["both sides learn what differs"], learns));
}

/// Answers that fill a message while the other side still speaks wait until it is through.
#[test]
fn a_side_waits_for_its_turn() {
    let side = numbered(0..20_000);
    let mut other = side.clone();
    for number in (0..20_000).step_by(10) {
        other.insert(number, 20_000 + number);
    }
    let says_in_turn = || {
        let compared = std::panic::catch_unwind(|| compare([&side, &other]));
        compared.is_ok_and(|it| it.differs.iter().all(|differs| differs.contains(&path(10))))
    };
    assert!(says_in_turn());
    assert!(!without(&["a side speaks in its turn"], says_in_turn));
}

/// More ranges in one turn than are kept differ as a whole: that costs bytes, and nothing is overlooked.
#[test]
fn much_that_is_told_in_one_turn_is_taken_as_one_range() {
    let side = numbered(0..20_000);
    let mut other = side.clone();
    for number in (0..20_000).step_by(10) {
        other.insert(number, 20_000 + number);
    }
    let mut speakers = [reconciler(&side, true), reconciler(&other, false)];
    speakers.iter_mut().for_each(|it| it.heard_bytes_max = 10_000);
    let Compared { differs, .. } = converse(speakers);
    assert!(differs.iter().any(|it| it.listed().is_none()));
    for (own, differs) in [&side, &other].into_iter().zip(&differs) {
        let expected = expected(own, if own == &side { &other } else { &side });
        assert!(expected.iter().all(|path| differs.contains(path)));
    }
}

/// A peer that speaks out of turn, or for ever, is found out.
#[test]
fn a_side_that_does_not_keep_to_the_turns_is_found_out() {
    let mut listener = reconciler(&numbered(0..100), false);
    let whole = || {
        let mut other = reconciler(&numbered(0..90), true);
        loop {
            match other.step().unwrap() {
                Turn::Working => {}
                Turn::Say(ranges, _) => return ranges,
                turn => panic!("it opens: {turn:?}"),
            }
        }
    };
    assert!(listener.hear(true, whole()));
    assert!(!listener.hear(true, whole()), "out of turn");
    let mut listener = reconciler(&numbered(0..100), false);
    let mut says = 0;
    while listener.hear(true, whole()) {
        says += 1;
        while listener.step().unwrap() == Turn::Working {}
        assert!(says < 1_000, "it ends");
    }
    let nonsense = vec![Range { end: None, claim: millpond_core::message::Claim::Skip }];
    let mut listener = reconciler(&numbered(0..100), false);
    assert!(listener.hear(true, nonsense));
    let said = loop {
        match listener.step().unwrap() {
            Turn::Working => {}
            said => break said,
        }
    };
    assert_eq!(said, Turn::Say(Vec::new(), true));
}

/// Bar: no more than 16 MB at a million entries, which is 16 bytes for each.
#[test]
fn an_index_takes_few_bytes_for_each_entry() {
    let side: Side = (0..40_000).map(|number| (number, number)).collect();
    let mut index = Index::new(view(&side), [7; 16], true);
    while index.step(1_000).unwrap() {}
    let (entries, _) = index.counted();
    let each = index.bytes() as f64 / entries as f64;
    assert!(each < 16.0, "{each:.1} bytes for each of {entries} entries");
    println!("{each:.1} bytes for each of {entries} entries");
}
