//! What every store does, as tests that run over each of them.

use std::ops::ControlFlow::{Break, Continue};

use bytes::Bytes;
use millpond_core::{Dot, Entry, Hlc, Namespace, Path};

use super::samples::{MAIN, dot, entry, incarnation, live, meta, path, row};
use super::{Changes, Durability, LogRow, Snapshot, Store};

/// Runs all tests, each over a store that `open` has just made.
pub(super) fn check(mut open: impl FnMut() -> Box<dyn Store>) {
    let tests: &[fn(&dyn Store)] = &[
        a_new_store_is_empty,
        what_was_committed_is_read,
        a_snapshot_does_not_see_later_commits,
        an_absent_entry_removes_the_path,
        removing_what_is_not_there_does_nothing,
        scans_go_in_path_order_within_their_bounds,
        scans_stop_when_told,
        namespaces_do_not_mix,
        the_log_is_read_by_ranges,
        unstaging_comes_before_staging,
        absorbed_changes_equal_two_commits,
        a_record_grows_and_shrinks,
        a_large_value_parts_its_record,
        siblings_and_unknown_kinds_are_kept,
        size_grows,
    ];
    tests.iter().for_each(|test| test(&*open()));
}

fn a_new_store_is_empty(store: &dyn Store) {
    let snapshot = store.snapshot().unwrap();
    assert!(snapshot.entry(MAIN, &path("a")).unwrap().is_absent());
    assert_eq!(snapshot.log_row(MAIN, dot(1, 1)).unwrap(), None);
    assert_eq!(snapshot.staged_row(MAIN, &path("a")).unwrap(), None);
    assert_eq!(snapshot.meta(&meta("vv")).unwrap(), None);
    assert!(entries(&*snapshot, None, None).is_empty());
    assert!(staged(&*snapshot, None).is_empty());
    assert!(log(&*snapshot, 1, 0, u64::MAX).is_empty());
}

fn what_was_committed_is_read(store: &dyn Store) {
    let deleted = LogRow {
        path: path("places/1/name"),
        deleted: Some(Hlc::from_ms(77)),
        ends_transaction: true,
    };
    let changes = Changes::default()
        .with_entry("places/1/name", entry(dot(1, 1), "Paris"))
        .with_log(dot(1, 1), Some(row("places/1/name")))
        .with_log(dot(1, 2), Some(deleted.clone()))
        .with_staged("places/2/name", Some("staged"))
        .with_meta("vv", Some("vector"));
    store.commit(&changes, Durability::Synced).unwrap();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.entry(MAIN, &path("places/1/name")).unwrap(), entry(dot(1, 1), "Paris"));
    assert!(snapshot.entry(MAIN, &path("places/1")).unwrap().is_absent());
    assert!(snapshot.entry(MAIN, &path("places/1/zip")).unwrap().is_absent());
    assert_eq!(snapshot.log_row(MAIN, dot(1, 1)).unwrap(), Some(row("places/1/name")));
    assert_eq!(snapshot.log_row(MAIN, dot(1, 2)).unwrap(), Some(deleted));
    let staged = snapshot.staged_row(MAIN, &path("places/2/name")).unwrap();
    assert_eq!(staged.as_deref(), Some(&b"staged"[..]));
    assert_eq!(snapshot.meta(&meta("vv")).unwrap().as_deref(), Some(&b"vector"[..]));
}

fn a_snapshot_does_not_see_later_commits(store: &dyn Store) {
    let state = |value: &'static str, seq| {
        Changes::default()
            .with_entry("a/1/x", entry(dot(1, seq), value))
            .with_log(dot(1, 1), Some(LogRow { ends_transaction: seq > 1, ..row("a/1/x") }))
            .with_staged("a", Some(value))
            .with_meta("m", Some(value))
    };
    store.commit(&state("old", 1), Durability::Buffered).unwrap();
    let before = store.snapshot().unwrap();
    store
        .commit(&state("new", 2).with_log(dot(1, 2), Some(row("a/1/x"))), Durability::Synced)
        .unwrap();
    assert_eq!(before.entry(MAIN, &path("a/1/x")).unwrap(), entry(dot(1, 1), "old"));
    assert_eq!(before.log_row(MAIN, dot(1, 1)).unwrap(), Some(row("a/1/x")));
    assert_eq!(before.log_row(MAIN, dot(1, 2)).unwrap(), None);
    assert_eq!(staged(&*before, None), [(path("a"), Bytes::from("old"))]);
    assert_eq!(before.meta(&meta("m")).unwrap(), Some(Bytes::from("old")));
    let after = store.snapshot().unwrap();
    assert_eq!(after.entry(MAIN, &path("a/1/x")).unwrap(), entry(dot(1, 2), "new"));
}

fn an_absent_entry_removes_the_path(store: &dyn Store) {
    let changes = Changes::default()
        .with_entry("a/1/x", entry(dot(1, 1), "x"))
        .with_entry("a/1/y", entry(dot(1, 2), "y"));
    store.commit(&changes, Durability::Buffered).unwrap();
    let changes = Changes::default().with_entry("a/1/x", Entry::absent());
    store.commit(&changes, Durability::Buffered).unwrap();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(paths(&*snapshot), ["a/1/y"]);
    assert!(snapshot.entry(MAIN, &path("a/1/x")).unwrap().is_absent());
}

fn removing_what_is_not_there_does_nothing(store: &dyn Store) {
    let present = Changes::default()
        .with_entry("a/1/y", entry(dot(1, 2), "y"))
        .with_log(dot(1, 2), Some(row("a/1/y")));
    store.commit(&present, Durability::Buffered).unwrap();
    let absent = Changes::default()
        .with_entry("a/1/x", Entry::absent())
        .with_entry("b/1/x", Entry::absent())
        .with_log(dot(1, 3), None)
        .with_log(dot(2, 1), None)
        .with_staged("b", None)
        .with_meta("m", None);
    store.commit(&absent, Durability::Synced).unwrap();
    store.commit(&Changes::default(), Durability::Synced).unwrap();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(paths(&*snapshot), ["a/1/y"]);
    assert_eq!(log(&*snapshot, 1, 0, 100).len(), 1);
}

fn scans_go_in_path_order_within_their_bounds(store: &dyn Store) {
    // A path, and one below it, at each depth; and names that sort around each other's ends.
    let all =
        ["a", "a/1", "a/1/x", "a/1/x/e", "a/1/y", "a/10/x", "a/2", "aa/1/x", "b", "b/1/x/e/f"];
    for (seq, text) in (1..).zip(all.iter().rev()) {
        let changes = Changes::default().with_entry(text, entry(dot(1, seq), text));
        store.commit(&changes, Durability::Buffered).unwrap();
    }
    let snapshot = store.snapshot().unwrap();
    let sorted = {
        let mut sorted = all.map(path);
        sorted.sort();
        sorted
    };
    let bounds = sorted.iter().cloned().chain(["0", "a/1/xx", "a/3", "b/1", "c"].map(path));
    let bounds: Vec<Option<Path>> = bounds.map(Some).chain([None]).collect();
    for within in &bounds {
        for after in &bounds {
            let expected: Vec<&Path> = sorted
                .iter()
                .filter(|path| within.as_ref().is_none_or(|within| path.is_within(within)))
                .filter(|path| after.as_ref().is_none_or(|after| *path > after))
                .collect();
            let found = entries(&*snapshot, within.as_ref(), after.as_ref());
            let found: Vec<&Path> = found.iter().map(|(path, _)| path).collect();
            assert_eq!(found, expected, "within {within:?}, after {after:?}");
        }
    }
}

fn scans_stop_when_told(store: &dyn Store) {
    let mut changes = Changes::default();
    for seq in 1..=200 {
        let text = format!("a/{}/{seq}", seq % 3);
        changes = changes
            .with_entry(&text, entry(dot(1, seq), "value"))
            .with_log(dot(1, seq), Some(row(&text)))
            .with_staged(&text, Some("row"));
    }
    store.commit(&changes, Durability::Buffered).unwrap();
    let snapshot = store.snapshot().unwrap();
    let mut left = 5;
    let mut stop = || {
        left -= 1;
        if left == 0 { Break(()) } else { Continue(()) }
    };
    snapshot.entries(MAIN, None, None, &mut |_, _| stop()).unwrap();
    assert_eq!(left, 0);
    let mut seqs = Vec::new();
    let mut visit = |dot: Dot, _| {
        seqs.push(dot.seq.get());
        if seqs.len() == 70 { Break(()) } else { Continue(()) }
    };
    snapshot.log(MAIN, incarnation(1), 30, 200, &mut visit).unwrap();
    assert_eq!(seqs, (31..=100).collect::<Vec<_>>());
    let mut visited = 0;
    let mut visit = |_, _| {
        visited += 1;
        Break(())
    };
    snapshot.staged(MAIN, None, &mut visit).unwrap();
    assert_eq!(visited, 1);
}

fn namespaces_do_not_mix(store: &dyn Store) {
    let mut changes = Changes::default();
    for number in [0, 1, 2, u32::MAX] {
        let namespace = Namespace::from_number(number);
        let value = number.to_string();
        changes.entries.insert((namespace, path("a/1/x")), entry(dot(1, 1), &value));
        changes.log.insert((namespace, dot(1, 1)), Some(row(&value)));
        changes.staged.insert((namespace, path("a")), Some(Bytes::from(value)));
    }
    store.commit(&changes, Durability::Buffered).unwrap();
    let mut unstage = Changes::default();
    unstage.unstaged.extend([MAIN, Namespace::from_number(u32::MAX)]);
    store.commit(&unstage, Durability::Buffered).unwrap();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(entries(&*snapshot, None, None), [(path("a/1/x"), entry(dot(1, 1), "1"))]);
    assert_eq!(log(&*snapshot, 1, 0, 9), [(dot(1, 1), row("1"))]);
    for (number, is_staged) in [(0, true), (1, false), (2, true), (u32::MAX, false)] {
        let row = snapshot.staged_row(Namespace::from_number(number), &path("a")).unwrap();
        assert_eq!(row.is_some(), is_staged, "namespace {number}");
    }
}

fn the_log_is_read_by_ranges(store: &dyn Store) {
    let seqs = [1, 2, 63, 64, 65, 127, 128, 200, 1_000_000, u64::MAX];
    let mut changes = Changes::default().with_log(dot(0, 5), Some(row("before")));
    for seq in seqs {
        changes = changes.with_log(dot(1, seq), Some(row(&format!("a/{seq}/x"))));
    }
    let changes = changes.with_log(dot(2, 64), Some(row("behind")));
    store.commit(&changes, Durability::Buffered).unwrap();
    let snapshot = store.snapshot().unwrap();
    for after in [0, 1, 62, 63, 64, 128, 1_000_000, u64::MAX] {
        for upto in [0, 1, 63, 64, 65, 199, 200, 1_000_000, u64::MAX] {
            let expected: Vec<_> =
                seqs.into_iter().filter(|&seq| after < seq && seq <= upto).collect();
            let found = log(&*snapshot, 1, after, upto);
            let found: Vec<_> = found.iter().map(|(dot, _)| dot.seq.get()).collect();
            assert_eq!(found, expected, "({after}, {upto}]");
        }
    }
    let changes =
        seqs.iter().fold(Changes::default(), |changes, &seq| changes.with_log(dot(1, seq), None));
    store.commit(&changes, Durability::Buffered).unwrap();
    let snapshot = store.snapshot().unwrap();
    assert!(log(&*snapshot, 1, 0, u64::MAX).is_empty());
    assert_eq!(log(&*snapshot, 2, 0, u64::MAX).len(), 1);
}

fn unstaging_comes_before_staging(store: &dyn Store) {
    let first = Changes::default().with_staged("a", Some("1")).with_staged("b", Some("1"));
    store.commit(&first, Durability::Buffered).unwrap();
    let mut second = Changes::default().with_staged("b", Some("2")).with_staged("c", Some("2"));
    second.unstaged.insert(MAIN);
    store.commit(&second, Durability::Buffered).unwrap();
    let snapshot = store.snapshot().unwrap();
    let expected = [(path("b"), Bytes::from("2")), (path("c"), Bytes::from("2"))];
    assert_eq!(staged(&*snapshot, None), expected);
    assert_eq!(staged(&*snapshot, Some(&path("b"))), expected[1..]);
}

fn absorbed_changes_equal_two_commits(store: &dyn Store) {
    let mut changes = Changes::default()
        .with_entry("a/1/x", entry(dot(1, 1), "1"))
        .with_log(dot(1, 1), Some(row("a/1/x")))
        .with_staged("a", Some("1"))
        .with_meta("m", Some("1"));
    let mut later = Changes::default()
        .with_entry("a/1/x", entry(dot(1, 2), "2"))
        .with_log(dot(1, 1), None)
        .with_staged("b", Some("2"));
    later.unstaged.insert(MAIN);
    changes.absorb(later);
    assert!(!changes.is_empty());
    store.commit(&changes, Durability::Buffered).unwrap();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(entries(&*snapshot, None, None), [(path("a/1/x"), entry(dot(1, 2), "2"))]);
    assert_eq!(snapshot.log_row(MAIN, dot(1, 1)).unwrap(), None);
    assert_eq!(staged(&*snapshot, None), [(path("b"), Bytes::from("2"))]);
    assert!(snapshot.meta(&meta("m")).unwrap().is_some());
}

fn a_record_grows_and_shrinks(store: &dyn Store) {
    // A set of 3,000 elements in one record, beside two others that must not be touched.
    let beside = Changes::default()
        .with_entry("sets/a/x", entry(dot(2, 1), "before"))
        .with_entry("sets/c/x", entry(dot(2, 2), "behind"));
    store.commit(&beside, Durability::Buffered).unwrap();
    let element = |number: u64| format!("sets/b/tags/element-{:04}", number * 7 % 3_000);
    for commit in 0..30 {
        let mut changes = Changes::default();
        for number in commit * 100..(commit + 1) * 100 {
            changes = changes.with_entry(&element(number), entry(dot(1, number + 1), "tag"));
        }
        store.commit(&changes, Durability::Buffered).unwrap();
    }
    let snapshot = store.snapshot().unwrap();
    let set = path("sets/b");
    let all = entries(&*snapshot, Some(&set), None);
    assert_eq!(all.len(), 3_000);
    assert!(all.is_sorted_by_key(|(path, _)| path.clone()));
    for (path, entry) in &all {
        assert_eq!(snapshot.entry(MAIN, path).unwrap(), *entry);
    }
    let half = &all[1_500].0;
    assert_eq!(entries(&*snapshot, Some(&set), Some(half)), all[1_501..]);

    // All elements but the last go: those at the start of the record first, so that its first pack empties.
    for part in all[..2_999].chunks(500) {
        let mut changes = Changes::default();
        let absent = part.iter().map(|(path, _)| ((MAIN, path.clone()), Entry::absent()));
        changes.entries.extend(absent);
        store.commit(&changes, Durability::Buffered).unwrap();
    }
    let snapshot = store.snapshot().unwrap();
    assert_eq!(entries(&*snapshot, Some(&set), None), all[2_999..]);
    let (last, before) = (&all[2_999].0, path("sets/b/tags"));
    let changes = Changes::default().with_entry("sets/b/tags", entry(dot(1, 9_000), "itself"));
    store.commit(&changes, Durability::Buffered).unwrap();
    assert_eq!(
        store.snapshot().unwrap().entry(MAIN, &before).unwrap(),
        entry(dot(1, 9_000), "itself")
    );
    let mut changes = Changes::default();
    changes.entries.insert((MAIN, last.clone()), Entry::absent());
    changes.entries.insert((MAIN, before), Entry::absent());
    store.commit(&changes, Durability::Buffered).unwrap();
    assert_eq!(paths(&*store.snapshot().unwrap()), ["sets/a/x", "sets/c/x"]);
    let changes = Changes::default().with_entry("sets/b/tags", entry(dot(1, 9_001), "again"));
    store.commit(&changes, Durability::Synced).unwrap();
    assert_eq!(paths(&*store.snapshot().unwrap()), ["sets/a/x", "sets/b/tags", "sets/c/x"]);
}

fn a_large_value_parts_its_record(store: &dyn Store) {
    let large = "v".repeat(1 << 20);
    let changes = Changes::default()
        .with_entry("docs/1/a", entry(dot(1, 1), "small"))
        .with_entry("docs/1/b", entry(dot(1, 2), &large))
        .with_entry("docs/1/c", entry(dot(1, 3), "small"));
    store.commit(&changes, Durability::Buffered).unwrap();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.entry(MAIN, &path("docs/1/b")).unwrap(), entry(dot(1, 2), &large));
    assert_eq!(paths(&*snapshot), ["docs/1/a", "docs/1/b", "docs/1/c"]);
    let changes = Changes::default().with_entry("docs/1/b", entry(dot(1, 4), "small"));
    store.commit(&changes, Durability::Buffered).unwrap();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.entry(MAIN, &path("docs/1/b")).unwrap(), entry(dot(1, 4), "small"));
    assert_eq!(paths(&*snapshot), ["docs/1/a", "docs/1/b", "docs/1/c"]);
}

fn siblings_and_unknown_kinds_are_kept(store: &dyn Store) {
    let mut unknown = live(dot(3, u64::MAX), "");
    unknown.payload.kind.0 = u16::MAX;
    unknown.hlc = Hlc::MAX;
    let mut first = live(dot(1, 1), "first");
    first.hlc = Hlc::default();
    let siblings = Entry::from_live(vec![first, live(dot(2, 70), "second"), unknown]);
    let changes = Changes::default().with_entry("a/1/x", siblings.clone());
    store.commit(&changes, Durability::Buffered).unwrap();
    assert_eq!(store.snapshot().unwrap().entry(MAIN, &path("a/1/x")).unwrap(), siblings);
}

fn size_grows(store: &dyn Store) {
    let before = store.size_bytes();
    let mut changes = Changes::default();
    for seq in 1..=2_000 {
        changes = changes.with_entry(&format!("a/{seq}/x"), entry(dot(1, seq), &"v".repeat(1_000)));
    }
    store.commit(&changes, Durability::Synced).unwrap();
    assert!(store.size_bytes() > before + 1_000_000, "{before} to {}", store.size_bytes());
}

fn entries(
    snapshot: &dyn Snapshot,
    within: Option<&Path>,
    after: Option<&Path>,
) -> Vec<(Path, Entry)> {
    let mut rows = Vec::new();
    let mut visit = |path, entry| {
        rows.push((path, entry));
        Continue(())
    };
    snapshot.entries(MAIN, within, after, &mut visit).unwrap();
    rows
}

fn paths(snapshot: &dyn Snapshot) -> Vec<String> {
    entries(snapshot, None, None).iter().map(|(path, _)| path.to_string()).collect()
}

fn log(snapshot: &dyn Snapshot, number: u8, after: u64, upto: u64) -> Vec<(Dot, LogRow)> {
    let mut rows = Vec::new();
    let mut visit = |dot, row| {
        rows.push((dot, row));
        Continue(())
    };
    snapshot.log(MAIN, incarnation(number), after, upto, &mut visit).unwrap();
    rows
}

fn staged(snapshot: &dyn Snapshot, after: Option<&Path>) -> Vec<(Path, Bytes)> {
    let mut rows = Vec::new();
    let mut visit = |path, row| {
        rows.push((path, row));
        Continue(())
    };
    snapshot.staged(MAIN, after, &mut visit).unwrap();
    rows
}
