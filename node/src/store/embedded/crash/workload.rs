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
use super::{Operations, below, open};
use crate::store::embedded::EmbeddedStore;
use crate::store::memory::MemoryStore;
use crate::store::{Changes, Durability, LogRow, MetaKey, Snapshot, Store, StoreError};

/// Commits to make to a store, and what it holds after each of them.
pub(super) struct Script {
    pub(super) commits: Vec<(Changes, Durability)>,
    /// After no commit, after the first, and so on.
    states: Vec<Rows>,
    /// The disk when the store had been made. A file gets its name only then.
    pub(super) base: Vec<u8>,
    pub(super) cache_bytes: usize,
}

/// A script that was played, and what the disk saw of it.
pub(super) struct History {
    pub(super) script: Script,
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

impl Script {
    /// Draws this many commits, and makes the store.
    pub(super) fn draw(commits: usize, cache_bytes: usize, rng: &mut ChaCha8Rng) -> Self {
        let disk = Disk::default();
        drop(open(&disk, cache_bytes).expect("this disk never fails"));
        let base = image(&[], &disk.operations(), Survivors::Nothing, rng);
        let mut script = Self { commits: vec![], states: vec![Rows::default()], base, cache_bytes };
        let (mut seqs, model) = ([0; 2], MemoryStore::new());
        for number in 1..=commits {
            let changes = draw_changes(number, &mut seqs, rng);
            let is_synced = below(rng, 3) > 0;
            let durability = if is_synced { Durability::Synced } else { Durability::Buffered };
            model.commit(&changes, durability).expect("memory never fails");
            let state = model.snapshot().and_then(|snapshot| rows(&*snapshot));
            script.states.push(state.expect("memory never fails"));
            script.commits.push((changes, durability));
        }
        script
    }

    /// Opens the store over a disk with this script's base.
    pub(super) fn open(&self, disk: &Disk) -> Result<EmbeddedStore, StoreError> {
        open(disk, self.cache_bytes)
    }

    /// Opens the store over a disk, marks the moment, compares it with what it should hold, and if all is
    /// well goes on with `then`, which is told how many commits it holds. A panic is a failure, too.
    pub(super) fn judge<T>(
        &self,
        disk: &Disk,
        promised: usize,
        then: impl FnOnce(EmbeddedStore, usize) -> Result<T, Verdict>,
    ) -> Result<T, Verdict> {
        let judge = || {
            let store = open(disk, 1 << 20)?;
            disk.mark();
            let commits = self.compare(&store, promised)?;
            then(store, commits)
        };
        let panicked = |_| Err(Verdict::Unopenable("a panic".to_owned()));
        catch_unwind(AssertUnwindSafe(judge)).unwrap_or_else(panicked)
    }

    /// How many commits a store holds, if it is what it should be then.
    pub(super) fn compare(&self, store: &dyn Store, promised: usize) -> Result<usize, Verdict> {
        let found = store.snapshot()?;
        let commits = count(&*found)?;
        if commits < promised {
            let lost = format!("{commits} commits of {promised} that were acknowledged");
            return Err(Verdict::Lost(lost));
        }
        if commits < self.states.len() && rows(&*found)? == self.states[commits] {
            return Ok(commits);
        }
        Err(Verdict::Partial(format!("the state is not that after {commits} commits")))
    }

    /// Whether a snapshot shows exactly the first `commits` commits.
    ///
    /// # Errors
    /// Any [`StoreError`] of reading.
    pub(super) fn is_shown(
        &self,
        snapshot: &dyn Snapshot,
        commits: usize,
    ) -> Result<bool, StoreError> {
        Ok(count(snapshot)? == commits && rows(snapshot)? == self.states[commits])
    }
}

/// A store that cannot be read is as bad as one that does not open.
impl From<StoreError> for Verdict {
    fn from(error: StoreError) -> Self {
        Self::Unopenable(error.to_string())
    }
}

impl History {
    /// Makes a store, opens it again, and commits to it until a clean end.
    pub(super) fn play(rng: &mut ChaCha8Rng) -> Self {
        let commits = 4 + below(rng, 16);
        let cache_bytes = [0, 64 << 10, 1 << 20][below(rng, 3)];
        let script = Script::draw(commits, cache_bytes, rng);
        let disk = Disk::with_image(script.base.clone());
        let store = script.open(&disk).expect("this disk never fails");
        let mut acknowledged = Vec::new();
        for (number, (changes, durability)) in script.commits.iter().enumerate() {
            store.commit(changes, *durability).expect("this disk never fails");
            if *durability == Durability::Synced {
                acknowledged.push((disk.operation_count(), number + 1));
            }
        }
        drop(store);
        Self { script, operations: disk.operations(), acknowledged }
    }

    /// After how many operations how many commits were synced, at last.
    pub(super) fn last_synced(&self) -> (usize, usize) {
        self.acknowledged.last().copied().unwrap_or_default()
    }

    /// How many commits are promised to survive a cut after this many operations.
    pub(super) fn promised(&self, cut: usize) -> usize {
        let before = self.acknowledged.iter().filter(|(operations, _)| *operations <= cut);
        before.map(|(_, commits)| *commits).max().unwrap_or(0)
    }

    /// Opens the image and compares.
    pub(super) fn judge(&self, image: Vec<u8>, promised: usize) -> Verdict {
        let judged = self.script.judge(&Disk::with_image(image), promised, |_, _| Ok(()));
        judged.err().unwrap_or(Verdict::Kept)
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
    let counter = Bytes::copy_from_slice(&(number as u16).to_le_bytes());
    changes.meta.insert(counter_key(), Some(counter));
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

/// How many commits a store holds, by its own word.
fn count(snapshot: &dyn Snapshot) -> Result<usize, StoreError> {
    let counter = snapshot.meta(&counter_key())?;
    let counter = counter.map_or([0; 2], |bytes| bytes[..].try_into().unwrap_or([0xff; 2]));
    Ok(usize::from(u16::from_le_bytes(counter)))
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
