//! A history of commits, and the judgement of what a crash left of it.

use std::ops::ControlFlow::Continue;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use millpond_core::{
    Dot, Entry, Hlc, Incarnation, LiveDot, Namespace, Path, Payload, PayloadKind, Seq,
};
use rand_chacha::ChaCha8Rng;
use rand_core::Rng;

use super::disk::{Disk, Survivors, image};
use super::{Operations, below, open, open_and_read};
use crate::store::memory::MemoryStore;
use crate::store::{Changes, Durability, LogRow, MetaKey, Snapshot, Store, StoreError};

/// Commits to a store, and what its disk saw.
pub(super) struct History {
    commits: Vec<Changes>,
    /// The disk when the store had been made. A file gets its name only then.
    pub(super) base: Vec<u8>,
    pub(super) operations: Operations,
    /// After how many operations how many commits were acknowledged as synced.
    acknowledged: Vec<(usize, usize)>,
}

/// Whether the store kept its word, or what it did instead.
#[derive(Debug)]
pub(super) enum Verdict {
    Kept,
    Lost(String),
    Partial(String),
    Unopenable(String),
}

impl Verdict {
    pub(super) fn with_context(self, context: &str) -> Self {
        match self {
            Self::Kept => Self::Kept,
            Self::Lost(found) => Self::Lost(format!("{context}: {found}")),
            Self::Partial(found) => Self::Partial(format!("{context}: {found}")),
            Self::Unopenable(found) => Self::Unopenable(format!("{context}: {found}")),
        }
    }
}

impl History {
    /// Makes a store, opens it again, and commits to it until a clean end.
    pub(super) fn play(rng: &mut ChaCha8Rng) -> Self {
        let disk = Disk::default();
        let cache_bytes = [0, 64 << 10, 1 << 20][below(rng, 3)];
        drop(open(&disk, cache_bytes).expect("this disk never fails"));
        let base = image(&[], &disk.operations(), Survivors::Nothing, rng);
        let disk = Disk::with_image(base.clone());
        let store = open(&disk, cache_bytes).expect("this disk never fails");
        let (mut commits, mut acknowledged) = (Vec::new(), Vec::new());
        let mut seqs = [0; 2];
        for number in 1..=4 + below(rng, 16) {
            let changes = draw_changes(number, &mut seqs, rng);
            let is_synced = below(rng, 3) > 0;
            let durability = if is_synced { Durability::Synced } else { Durability::Buffered };
            store.commit(&changes, durability).expect("this disk never fails");
            commits.push(changes);
            if is_synced {
                acknowledged.push((disk.operation_count(), number));
            }
        }
        drop(store);
        Self { commits, base, operations: disk.operations(), acknowledged }
    }

    /// How many commits are promised to survive a cut after this many operations.
    pub(super) fn promised(&self, cut: usize) -> usize {
        let before = self.acknowledged.iter().filter(|(operations, _)| *operations <= cut);
        before.map(|(_, commits)| *commits).max().unwrap_or(0)
    }

    /// Opens the image and compares. Returns how many commits it holds as well, if that is known.
    pub(super) fn judge(&self, image: Vec<u8>, promised: usize) -> (Option<usize>, Verdict) {
        open_and_read(&Disk::with_image(image), self, promised)
    }

    /// Compares a store with what it should hold.
    pub(super) fn compare(&self, store: &dyn Store, promised: usize) -> (Option<usize>, Verdict) {
        match catch_unwind(AssertUnwindSafe(|| self.try_compare(store, promised))) {
            Ok(Ok(compared)) => compared,
            Ok(Err(error)) => (None, Verdict::Unopenable(error.to_string())),
            Err(_) => (None, Verdict::Unopenable("a read panicked".to_owned())),
        }
    }

    fn try_compare(
        &self,
        store: &dyn Store,
        promised: usize,
    ) -> Result<(Option<usize>, Verdict), StoreError> {
        let found = store.snapshot()?;
        let counter = found.meta(&counter_key())?;
        let commits = counter.map_or(0, |counter| usize::from(counter[0]));
        if commits < promised {
            let lost = format!("{commits} commits of {promised} that were acknowledged");
            return Ok((Some(commits), Verdict::Lost(lost)));
        }
        let expected = MemoryStore::new();
        for changes in &self.commits[..commits] {
            expected.commit(changes, Durability::Buffered)?;
        }
        let (found, expected) = (rows(&*found)?, rows(&*expected.snapshot()?)?);
        let verdict = if found == expected {
            Verdict::Kept
        } else {
            Verdict::Partial(format!("the state is not that after {commits} commits"))
        };
        Ok((Some(commits), verdict))
    }
}

/// A commit that touches every table, and earlier commits' rows. Its number is in all that it writes.
fn draw_changes(number: usize, seqs: &mut [u64; 2], rng: &mut ChaCha8Rng) -> Changes {
    let mut changes = Changes::default();
    let value = |len: usize| Bytes::from(vec![number as u8; len]);
    let writer = below(rng, 2);
    for _ in 0..1 + below(rng, 60) {
        seqs[writer] += 1;
        let dot = dot(writer, seqs[writer]);
        // Most records are small, one is large; some values exceed a page.
        let (key, fields) = if below(rng, 3) == 0 { (99, 400) } else { (below(rng, 20), 6) };
        let field = below(rng, fields);
        let path = Path::new(["c", &key.to_string(), &field.to_string()])
            .expect("three short components are a path");
        let len = if below(rng, 20) == 0 { 6_000 } else { below(rng, 40) };
        let hlc = Hlc::from_ms(1_000 + number as u64);
        let payload = Payload { kind: PayloadKind::LWW, bytes: value(len) };
        let is_delete = below(rng, 5) == 0;
        let live = if is_delete { vec![] } else { vec![LiveDot { dot, hlc, payload }] };
        changes.entries.insert((Namespace::MAIN, path.clone()), Entry::from_live(live));
        let row = LogRow {
            path: path.clone(),
            deleted: is_delete.then_some(hlc),
            ends_transaction: true,
        };
        changes.log.insert((Namespace::MAIN, dot), Some(row));
        if below(rng, 4) == 0 {
            changes.staged.insert((Namespace::MAIN, path), Some(value(len)));
        }
    }
    let earlier = rng.next_u64() % (seqs[writer] + 1);
    if earlier > 0 {
        changes.log.insert((Namespace::MAIN, dot(writer, earlier)), None);
    }
    if below(rng, 4) == 0 {
        changes.unstaged.insert(Namespace::MAIN);
    }
    changes.meta.insert(counter_key(), Some(value(1)));
    changes
}

/// All rows of a store, in their order.
type Rows = (Vec<(Path, Entry)>, Vec<(Dot, LogRow)>, Vec<(Path, Bytes)>);

fn rows(snapshot: &dyn Snapshot) -> Result<Rows, StoreError> {
    let (mut entries, mut log, mut staged) = Rows::default();
    let main = Namespace::MAIN;
    snapshot.entries(main, None, None, &mut |path, entry| {
        entries.push((path, entry));
        Continue(())
    })?;
    for writer in 0..2 {
        snapshot.log(main, incarnation(writer), 0, u64::MAX, &mut |dot, row| {
            log.push((dot, row));
            Continue(())
        })?;
    }
    snapshot.staged(main, None, &mut |path, row| {
        staged.push((path, row));
        Continue(())
    })?;
    Ok((entries, log, staged))
}

fn counter_key() -> MetaKey {
    MetaKey("counter".to_owned())
}

fn incarnation(writer: usize) -> Incarnation {
    Incarnation::from_bytes([writer as u8 + 1; 16])
}

fn dot(writer: usize, seq: u64) -> Dot {
    Dot::new(incarnation(writer), Seq::new(seq).expect("seqs are counted from one"))
}
