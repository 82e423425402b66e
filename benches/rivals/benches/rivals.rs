//! `cargo bench --manifest-path benches/rivals/Cargo.toml`, with `RIVAL_ENTRIES=1000000` for a million.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use millpond_rivals::{
    Automerge, CrdtsMap, CrdtsOrswot, Loro, Millpond, Plain, Replica, Yrs, filled, rows,
};

criterion_group!(benches, all);
criterion_main!(benches);

fn all(criterion: &mut Criterion) {
    of::<Plain>(criterion);
    of::<Millpond>(criterion);
    of::<Automerge>(criterion);
    of::<Loro>(criterion);
    of::<Yrs>(criterion);
    // Each merge takes seconds of it.
    of::<CrdtsOrswot>(criterion);
    of::<CrdtsMap>(criterion);
}

fn of<R: Replica>(criterion: &mut Criterion) {
    let count = entries();
    let mut group = criterion.benchmark_group(R::NAME);
    group.sample_size(10);
    group.throughput(Throughput::Elements(count as u64));
    group.bench_function(format!("write {count}"), |bencher| {
        bencher.iter_with_large_drop(|| filled::<R>(1, count));
    });
    let mut first: R = filled(1, count);
    let all = first.encode_since(&R::new(2).seen());
    group.bench_function(format!("merge all of {count}"), |bencher| {
        bencher.iter_batched_ref(
            || R::new(2),
            |second| second.merge(&all),
            BatchSize::PerIteration,
        );
    });
    let (key, _) = rows(1, 0).next().expect("there is one");
    group.bench_function(format!("merge all of {count}, and read one"), |bencher| {
        let merge_and_read = |second: &mut R| {
            second.merge(&all);
            assert!(second.get(key).is_some());
        };
        bencher.iter_batched_ref(|| R::new(2), merge_and_read, BatchSize::PerIteration);
    });
    let seen = first.seen();
    rows(count / 100, 7).for_each(|(key, value)| first.put(key, value));
    let changed = first.encode_since(&seen);
    group.throughput(Throughput::Elements(count as u64 / 100));
    group.bench_function(format!("merge what changed of {count}: 1%"), |bencher| {
        let second = || {
            let mut second = R::new(2);
            second.merge(&all);
            second
        };
        bencher.iter_batched_ref(second, |second| second.merge(&changed), BatchSize::PerIteration);
    });
    group.finish();
}

fn entries() -> usize {
    std::env::var("RIVAL_ENTRIES").ok().and_then(|it| it.parse().ok()).unwrap_or(100_000)
}
