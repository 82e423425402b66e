//! Group commit: many jobs, one transaction of the store.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::apply::apply;
use super::delayed::record;
use super::heads::Heads;
use super::job::{Job, JobError, Outcome};
use super::transaction::Transaction;
use super::write::WriteError;
use crate::indexes::keep;
use crate::planted::planted;
use crate::probes::sometimes;
use crate::store::{Changes, Durability, Store, StoreError};

/// What came of each job of a group.
type GroupResults = Vec<Result<Outcome, JobError>>;

/// Runs a group of jobs, each whole or not at all, and commits what they changed. A job that fails, or a
/// user's closure that panics, spoils nothing of the others.
///
/// # Errors
/// Any [`StoreError`] of reading or committing; then no job of the group happened, and `heads` are as they
/// were.
#[cfg(any(test, feature = "backup"))]
pub(crate) fn commit_group(
    store: &dyn Store,
    heads: &mut Heads,
    jobs: Vec<Job>,
) -> Result<GroupResults, StoreError> {
    commit_group_showing(store, heads, jobs, Some(|_: &Heads| {}))
}

/// The same, and calls `show` with the heads that readers see already, where there is a disk that they need not wait for:
/// what others wrote is on a disk elsewhere, so a crash here loses nothing of it. Own writes are shown once they are
/// durable, since nobody else has them.
///
/// # Errors
/// As [`commit_group`]. What was shown before a sync failed may be gone when the store is opened again.
pub(crate) fn commit_group_showing(
    store: &dyn Store,
    heads: &mut Heads,
    jobs: Vec<Job>,
    show: Option<impl FnOnce(&Heads)>,
) -> Result<GroupResults, StoreError> {
    let show = show.filter(|_| is_small_and_of_others(&jobs));
    let snapshot = store.snapshot()?;
    let mut group = Changes::default();
    let mut next = heads.clone();
    let mut results = Vec::with_capacity(jobs.len());
    for job in jobs {
        let is_shown = matches!(&job, Job::At(arrival, _) if arrival.is_shown);
        let mut tx = Transaction::new(&*snapshot, &group, next.clone());
        let result = catch_unwind(AssertUnwindSafe(|| apply(&mut tx, job)));
        let result = result.unwrap_or_else(|_| {
            let reason = "the transaction's closure panicked".to_string();
            Err(JobError::Write(WriteError::Rejected(reason)))
        });
        sometimes!(result.is_err() && !group.is_empty(), JobFailsInGroup);
        if result.is_ok() {
            let (mut changes, mut changed) = tx.finish();
            record(&next, &mut changed, &mut changes, is_shown)?;
            group.absorb(changes);
            next = changed;
        }
        results.push(result);
    }
    keep(&*snapshot, heads, &mut next, &mut group)?;
    next.save(heads, &mut group);
    // A store in memory changes in place what nobody else looks at.
    drop(snapshot);
    if planted!("a group is one commit") {
        let entries = Changes { entries: group.entries.clone(), ..Changes::default() };
        store.commit(&entries, Durability::Synced)?;
    }
    let mut is_unsynced = !group.is_empty();
    if let Some(show) = show.filter(|_| is_unsynced) {
        store.commit(&group, Durability::Buffered)?;
        show(&next);
        group = Changes::default();
        is_unsynced = !planted!("what was shown early is synced");
    }
    if is_unsynced {
        store.commit(&group, Durability::Synced)?;
    }
    *heads = next;
    Ok(results)
}

/// Whether a group brings others' writes only, and few: of many a second commit costs more than it hastens.
fn is_small_and_of_others(jobs: &[Job]) -> bool {
    jobs.iter().all(|job| matches!(job, Job::Pushes(_))) && !is_long(jobs)
}

/// Collects the jobs of one group from a queue, as many as are there and may share a commit.
pub(crate) fn take_group<T>(
    first: (T, Job),
    mut next: impl FnMut() -> Option<(T, Job)>,
) -> (Vec<T>, Vec<Job>) {
    let mut weight = weigh(&first.1);
    let (mut tokens, mut jobs) = (vec![first.0], vec![first.1]);
    while weight < GROUP_ROWS_MAX
        && let Some((token, job)) = next()
    {
        weight += weigh(&job);
        tokens.push(token);
        jobs.push(job);
    }
    (tokens, jobs)
}

/// Whether a group does as much as one commit may: for others a while, even without a disk.
pub(crate) fn is_long(jobs: &[Job]) -> bool {
    jobs.iter().map(weigh).sum::<usize>() >= LONG_ROWS
}

/// About how many rows a job touches.
fn weigh(job: &Job) -> usize {
    match job {
        Job::Local(_) => 16,
        Job::Pushes(pushes) => pushes.iter().map(|push| push.len()).sum(),
        Job::Mend(it) => it.found.len() + it.lost.len() + it.unlogged.len() + 16,
        // As much as one commit may do beside small writes: they wait for one such job at most.
        Job::Batch { .. } | Job::Cut(_) => GROUP_ROWS_MAX,
        Job::Reissue(_) | Job::Enter(_) | Job::Index(_) => GROUP_ROWS_MAX,
        Job::Flip { .. } | Job::Fold { .. } | Job::DropCut { .. } => GROUP_ROWS_MAX,
        Job::Collect { .. } | Job::Compact { .. } => GROUP_ROWS_MAX,
        Job::At(_, Some(job)) => weigh(job),
        Job::Show(_) => GROUP_ROWS_MAX,
        Job::Close | Job::Meta(_) | Job::Delay(_) | Job::At(_, None) => 1,
    }
}

/// Rows that take about as long as handing them over to another thread and back does, ten times.
const LONG_ROWS: usize = 1_000;
/// Rows beyond which a group takes no more jobs, so that nobody waits for long.
const GROUP_ROWS_MAX: usize = 20_000;

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use millpond_core::wire::PushFrame;
    use millpond_core::{Incarnation, Namespace, NodeKey, Path, Payload, PayloadKind};

    use super::*;
    use crate::state::Local;
    use crate::store::Snapshot;
    use crate::store::memory::MemoryStore;

    /// What a store is asked, and what readers are told.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Step {
        Commits(Durability),
        Syncs,
        Shows,
    }

    /// A store that tells what it is asked, and may fail to sync what it was given before.
    #[derive(Default)]
    struct Telling {
        store: MemoryStore,
        steps: Mutex<Vec<Step>>,
        fails_to_sync: bool,
    }

    impl Store for Telling {
        fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
            self.store.snapshot()
        }

        fn commit(&self, changes: &Changes, durability: Durability) -> Result<(), StoreError> {
            let is_sync = changes.is_empty() && durability == Durability::Synced;
            let step = if is_sync { Step::Syncs } else { Step::Commits(durability) };
            self.steps.lock().unwrap().push(step);
            if is_sync && self.fails_to_sync {
                return Err(StoreError::Io { reason: "the sync failed".into() });
            }
            self.store.commit(changes, durability)
        }

        fn size_bytes(&self) -> u64 {
            0
        }
    }

    fn local(value: &'static str) -> Job {
        Job::Local(Local {
            namespace: Namespace::MAIN,
            closure: Box::new(move |tx| {
                let payload = Payload { kind: PayloadKind::LWW, bytes: value.as_bytes().into() };
                tx.put(Path::new(["c", "key", "field"])?, payload)
            }),
            now_ms: 1_000,
            ended: None,
            fresh: Incarnation::from_bytes([1; 16]),
            key: NodeKey::from_bytes([2; 32]),
        })
    }

    /// What another node wrote.
    fn pushes() -> Job {
        let (store, mut heads) = (MemoryStore::new(), Heads::default());
        let mut results = commit_group(&store, &mut heads, vec![local("theirs")]).unwrap();
        let outcome = results.remove(0).unwrap();
        Job::Pushes(outcome.pushes.iter().map(PushFrame::encode).collect())
    }

    /// The steps of a group, what came of it, and the vector that was shown and the one that is held.
    fn run(store: Telling, jobs: Vec<Job>) -> (Vec<Step>, bool, [u64; 2]) {
        let (mut heads, mut shown) = (Heads::default(), 0);
        let count = |heads: &Heads| heads.vv(Namespace::MAIN).iter().map(|it| it.seq.get()).sum();
        let show = |heads: &Heads| {
            shown = count(heads);
            store.steps.lock().unwrap().push(Step::Shows);
        };
        let results = commit_group_showing(&store, &mut heads, jobs, Some(show));
        let is_done = results.is_ok_and(|results| results.iter().all(Result::is_ok));
        (store.steps.into_inner().unwrap(), is_done, [shown, count(&heads)])
    }

    #[test]
    fn what_others_wrote_is_shown_before_it_is_synced() {
        let early = [Step::Commits(Durability::Buffered), Step::Shows, Step::Syncs];
        let (steps, is_done, seqs) = run(Telling::default(), vec![pushes()]);
        assert_eq!(steps, early);
        assert!(is_done);
        assert_eq!(seqs, [1, 1]);
    }

    /// Nobody else has it.
    #[test]
    fn an_own_write_is_shown_once_it_is_durable() {
        let synced = [Step::Commits(Durability::Synced)];
        assert_eq!(run(Telling::default(), vec![local("mine")]).0, synced);
        let (steps, is_done, _) = run(Telling::default(), vec![pushes(), local("mine")]);
        assert_eq!(steps, synced, "not beside others' writes either");
        assert!(is_done);
    }

    #[test]
    fn what_was_shown_and_not_synced_is_not_held() {
        let store = Telling { fails_to_sync: true, ..Telling::default() };
        let (_, is_done, seqs) = run(store, vec![pushes()]);
        assert!(!is_done, "nobody is told that it is durable");
        assert_eq!(seqs, [1, 0]);
    }
}
