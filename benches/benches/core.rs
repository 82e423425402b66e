//! What the pure functions of the core cost. Inputs are drawn from a fixed seed; rates are per element.
//!
//! `cargo bench -p millpond-benches --bench core`, or with `-- join` for one group.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use millpond_core::types::counter::{self, Slot};
use millpond_core::{
    Context, Dot, Entry, Hlc, Incarnation, LiveDot, Path, Payload, PayloadKind, Row, RowDot, Seq,
    VersionVector, join,
};

criterion_group!(benches, join_rows, version_vectors, paths, counters);
criterion_main!(benches);

/// The usual case of replication: a row whose new dot replaces the one that is here.
fn join_rows(criterion: &mut Criterion) {
    let mut random = Random(SEED);
    let (mine, theirs) = (random.incarnation(), random.incarnation());
    let cases: Vec<(Entry, Row)> = (1..=ROWS)
        .map(|seq| {
            let path = Path::new([random.bytes(16)]).expect("a short path");
            let entry = Entry::from_live(vec![live(Dot::new(mine, seq_of(seq)), &mut random)]);
            let new = live(Dot::new(theirs, seq_of(seq)), &mut random);
            let content = Some((new.hlc, new.payload));
            let row = RowDot { dot: new.dot, content };
            (entry, Row { path, live: vec![row], deletes: Vec::new() })
        })
        .collect();
    let before = vector([Dot::new(mine, seq_of(ROWS))]);
    let upto = vector([Dot::new(mine, seq_of(ROWS)), Dot::new(theirs, seq_of(ROWS))]);

    let mut group = criterion.benchmark_group("join");
    group.throughput(Throughput::Elements(ROWS));
    group.bench_function("1000 rows, each replaces one value of 64 bytes", |bencher| {
        bencher.iter_batched(
            || cases.clone(),
            |mut cases| {
                for (entry, row) in &mut cases {
                    black_box(join(entry, row, Context::Upto(&upto), &before));
                }
                cases
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn version_vectors(criterion: &mut Criterion) {
    let mut random = Random(SEED);
    let dots: Vec<Dot> = (0..INCARNATIONS)
        .map(|_| Dot::new(random.incarnation(), seq_of(1 + random.next() % 1_000_000)))
        .collect();
    let full = vector(dots.iter().copied());
    let half = vector(dots.iter().copied().step_by(2));

    let mut group = criterion.benchmark_group("version vector of 64 incarnations");
    group.throughput(Throughput::Elements(INCARNATIONS));
    group.bench_function("covers each of its dots", |bencher| {
        bencher.iter(|| dots.iter().filter(|dot| full.covers(**dot)).count());
    });
    group.bench_function("join with itself", |bencher| {
        bencher.iter_batched_ref(
            || full.clone(),
            |vector| vector.join(black_box(&full)),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("difference from its half", |bencher| {
        bencher.iter(|| black_box(&full).difference(black_box(&half)));
    });
    group.finish();
}

fn paths(criterion: &mut Criterion) {
    let mut random = Random(SEED);
    let keys: Vec<Vec<u8>> = (0..ROWS).map(|_| random.bytes(16)).collect();
    let encoded: Vec<Bytes> = keys.iter().map(|key| path(key).encoded().clone()).collect();

    let mut group = criterion.benchmark_group("path of collection, 16-byte key and field");
    group.throughput(Throughput::Elements(ROWS));
    group.bench_function("encode", |bencher| {
        bencher
            .iter(|| keys.iter().map(|key| path(black_box(key)).as_bytes().len()).sum::<usize>());
    });
    group.bench_function("parse", |bencher| {
        bencher.iter(|| {
            let parsed = encoded.iter().map(|bytes| Path::from_encoded(bytes.clone()));
            parsed.filter(Result::is_ok).count()
        });
    });
    group.finish();
}

fn counters(criterion: &mut Criterion) {
    let mut random = Random(SEED);
    let slots: Vec<Entry> = (0..INCARNATIONS)
        .map(|_| {
            let slot =
                Slot { plus: random.next() >> 32, minus: random.next() >> 32, ..Slot::default() };
            let dot = Dot::new(random.incarnation(), seq_of(1));
            Entry::from_live(vec![LiveDot { dot, hlc: Hlc::from_ms(1), payload: slot.encode() }])
        })
        .collect();

    let mut group = criterion.benchmark_group("counter");
    group.throughput(Throughput::Elements(INCARNATIONS));
    group.bench_function("read 64 slots", |bencher| {
        bencher.iter(|| counter::read(black_box(&slots).iter().filter_map(Slot::read)));
    });
    group.finish();
}

fn path(key: &[u8]) -> Path {
    Path::new([&b"places"[..], key, b"population"]).expect("a short path")
}

fn live(dot: Dot, random: &mut Random) -> LiveDot {
    let payload = Payload { kind: PayloadKind::LWW, bytes: Bytes::from(random.bytes(64)) };
    LiveDot { dot, hlc: Hlc::from_ms(random.next() >> 24), payload }
}

fn vector(dots: impl IntoIterator<Item = Dot>) -> VersionVector {
    dots.into_iter().collect()
}

fn seq_of(number: u64) -> Seq {
    Seq::new(number).expect("seqs start at one")
}

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }

    fn incarnation(&mut self) -> Incarnation {
        let bytes = self.bytes(16).try_into().expect("16 bytes");
        Incarnation::from_bytes(bytes)
    }
}

const SEED: u64 = 42;
/// Rows of a small batch.
const ROWS: u64 = 1_000;
/// The most writing members that the design plans for.
const INCARNATIONS: u64 = 64;
