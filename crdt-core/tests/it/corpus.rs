//! The fuzz targets over their committed seeds, on stable.
//!
//! `MILLPOND_WRITE_SEEDS=1 cargo test -p millpond-core --test it seeds` writes the seeds anew, from arbitrary
//! values of a fixed seed. A find of the fuzzer is added by hand under a name that says what it was.

use std::path::PathBuf;

use millpond_core::frame::FRAME_HEADER_BYTES;
use millpond_core::message::Message;
use millpond_core::wire::entry::encode_entry;
use millpond_core::wire::{PushFrame, encode, kind};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::{arbitrary, samples};

#[path = "../../../fuzz/src/lib.rs"]
mod targets;

type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 8] = [
    ("frame", targets::fuzz_frame),
    ("lane", targets::fuzz_lane),
    ("pieces", targets::fuzz_pieces),
    ("control", targets::fuzz_control),
    ("rows", targets::fuzz_rows),
    ("push", targets::fuzz_push),
    ("entry", targets::fuzz_entry),
    ("path", targets::fuzz_path),
];

const SEEDS: usize = 12;

fn folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target)
}

#[test]
fn every_target_passes_over_its_seeds() {
    for (target, run) in TARGETS {
        let files: Vec<_> = std::fs::read_dir(folder(target)).unwrap().collect();
        assert!(files.len() >= SEEDS, "{target} has its seeds");
        for file in files {
            run(&std::fs::read(file.unwrap().path()).unwrap());
        }
    }
}

#[test]
fn seeds_are_written_on_demand() {
    for (target, run) in TARGETS {
        let seeds = seeds(target);
        seeds.iter().for_each(|seed| run(seed));
        if std::env::var_os("MILLPOND_WRITE_SEEDS").is_some() {
            std::fs::create_dir_all(folder(target)).unwrap();
            for (index, seed) in seeds.iter().enumerate() {
                std::fs::write(folder(target).join(format!("seed-{index:02}")), seed).unwrap();
            }
        }
    }
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let body = |message: &Message| encode(message)[0][FRAME_HEADER_BYTES..].to_vec();
    let message = arbitrary::message;
    match target {
        "frame" => draw(message().prop_map(|message| encode(&message).concat())),
        "lane" => draw((vec(message(), 1..4), 7..40_usize).prop_map(|(messages, cut)| {
            let whole: Vec<_> = messages.iter().flat_map(encode).collect();
            [&whole.concat()[..], &samples::in_fragments(&messages[0], cut).concat()].concat()
        })),
        "pieces" => draw((vec(message(), 1..4), 0..40_u8).prop_map(|(messages, piece)| {
            let whole: Vec<_> = messages.iter().flat_map(encode).collect();
            [&[piece][..], &whole.concat()].concat()
        })),
        "control" => draw(message().prop_filter_map("control only", move |message| {
            let kind = encode(&message)[0][0];
            let is_control = !matches!(u16::from(kind), kind::ROWS | kind::PUSH);
            is_control.then(|| [&[kind][..], &body(&message)].concat())
        })),
        "rows" => draw(
            vec(arbitrary::row(), 1..5)
                .prop_map(move |rows| body(&Message::Rows(arbitrary::rows_frame(&rows)))),
        ),
        "push" => draw(
            arbitrary::push().prop_map(move |push| body(&Message::Push(PushFrame::encode(&push)))),
        ),
        "entry" => draw(arbitrary::entry().prop_map(|entry| {
            let mut bytes = Vec::new();
            encode_entry(&entry, &mut bytes);
            bytes
        })),
        "path" => draw(arbitrary::path().prop_map(|path| path.as_bytes().to_vec())),
        _ => unreachable!("no such target"),
    }
}

fn draw(strategy: impl Strategy<Value = Vec<u8>>) -> Vec<Vec<u8>> {
    let mut runner = TestRunner::deterministic();
    (0..SEEDS).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}
