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

/// Runs a group of jobs, each whole or not at all, and commits what they changed. A job that fails, or a
/// user's closure that panics, spoils nothing of the others.
///
/// # Errors
/// Any [`StoreError`] of reading or committing; then no job of the group happened, and `heads` are as they
/// were.
pub(crate) fn commit_group(
    store: &dyn Store,
    heads: &mut Heads,
    jobs: Vec<Job>,
) -> Result<Vec<Result<Outcome, JobError>>, StoreError> {
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
    if !group.is_empty() {
        store.commit(&group, Durability::Synced)?;
    }
    *heads = next;
    Ok(results)
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

/// Rows beyond which a group takes no more jobs, so that nobody waits for long.
const GROUP_ROWS_MAX: usize = 20_000;
