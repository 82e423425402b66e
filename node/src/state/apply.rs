//! Applying a job: the one function that changes the replicated state.

use millpond_core::wire::{PushFrame, RowsFrame};
use millpond_core::{
    Context, Dot, Entry, Incarnation, Namespace, NodeKey, Push, Row, VersionVector,
};

use super::clear::{clear_slice, drop_cut};
use super::compaction::compact;
use super::delayed::{apply_due, note_arrival};
use super::enter::enter;
use super::floor::{shares_nothing, tells_all};
use super::fold::{Fold, fold_slice};
use super::heads::{CutMark, Heads, Place};
use super::job::{Cut, IndexWork, Job, JobError, Local, Outcome};
use super::mend::mend;
use super::reissue::reissue;
use super::staged_row::encode_staged;
use super::tombstones::collect;
use super::transaction::Transaction;
use super::write::{WriteError, WriteTx, write};
use crate::membership::{self, Finals, record_closed};
use crate::planted::planted;
use crate::probes::sometimes;
use crate::store::StoreError;

/// Applies one job to the transaction. Pure and synchronous: the clock and the randomness that it needs are
/// in the job. On an error the transaction is to be thrown away.
pub(crate) fn apply(tx: &mut Transaction<'_>, job: Job) -> Result<Outcome, JobError> {
    match job {
        Job::Local(local) => apply_local(tx, local),
        Job::Pushes(pushes) => apply_pushes(tx, &pushes),
        Job::Batch { namespace, from, upto, floor, rows } => {
            check_base(&tx.heads, namespace, &from, &upto)?;
            check_floor(&tx.heads, namespace, &upto, &floor)?;
            // Its vector may cover what is hidden, and its supplier have seen that go.
            let is_direct = |cut: &CutMark| cut.direct;
            let hides = tx.heads.cuts.get(&namespace).is_some_and(is_direct)
                || tx.heads.place(namespace) == Place::Clearing;
            if hides && !planted!("a batch waits until what is hidden is gone") {
                return Err(JobError::Occupied);
            }
            let mut outcome = Outcome::default();
            for row in rows.iter().flat_map(RowsFrame::rows) {
                join_cut_row(tx, namespace, &row, &upto, &mut outcome)?;
            }
            advance(&mut tx.heads, namespace, &upto);
            raise_floor(&mut tx.heads, namespace, &floor);
            Ok(outcome)
        }
        Job::Cut(cut) => apply_cut(tx, cut),
        Job::Flip { namespace, mark, rows_max } => flip(tx, namespace, &mark, rows_max),
        Job::Fold { namespace, rows_max } => {
            fold_slice(tx, namespace, rows_max)?;
            clear_slice(tx, namespace, rows_max)?;
            Ok(Outcome::default())
        }
        Job::DropCut { namespace, rows_max } => {
            drop_cut(tx, namespace, rows_max)?;
            Ok(Outcome::default())
        }
        Job::Mend(it) => mend(tx, it),
        Job::Collect { namespace, stable, closed } => Ok(collect(tx, namespace, &stable, &closed)?),
        Job::Compact { local, stable } => compact(tx, local, stable),
        Job::At(arrival, job) => {
            note_arrival(&mut tx.heads, arrival);
            job.map_or(Ok(Outcome::default()), |job| apply(tx, *job))
        }
        Job::Show(due) => {
            apply_due(tx, due)?;
            Ok(Outcome::default())
        }
        Job::Delay(mode) => {
            // Since it was asked for, the delay may have ended: nothing was recorded from then on.
            let is_over = tx.heads.delay().is_none() && !planted!("a promotion is final");
            match &mut tx.heads.delayed {
                Some(delayed) if !is_over => delayed.mode = mode,
                _ => return Err(JobError::NotDelayed),
            }
            Ok(Outcome::default())
        }
        Job::Close => {
            tx.heads.open = None;
            Ok(Outcome::default())
        }
        Job::Index(work) => {
            // At the end of the group: it has to know all that changes.
            match work {
                IndexWork::Slice(rows_max) => tx.heads.indexing.slice_rows = rows_max.max(1),
                IndexWork::Renew(numbers) => tx.heads.indexing.renews.extend(numbers),
            }
            Ok(Outcome::default())
        }
        Job::Reissue(job) => reissue(tx, job),
        Job::Enter(job) => enter(tx, job),
        Job::Meta(values) => {
            values.into_iter().for_each(|(key, value)| tx.put_meta(key, value));
            Ok(Outcome::default())
        }
    }
}

pub(super) fn apply_local(tx: &mut Transaction<'_>, local: Local) -> Result<Outcome, JobError> {
    let Local { namespace, closure, now_ms, ended, fresh, key } = local;
    let mut outcome = Outcome::default();
    sometimes!(ended.is_some() && tx.heads.open == ended, EndedBeforeWrite);
    if tx.heads.open == ended && !planted!("an ended incarnation is not continued") {
        tx.heads.open = None;
    }
    let incarnation = tx.heads.open.unwrap_or(fresh);
    if tx.heads.open != Some(incarnation) {
        // The first push of an incarnation depends on everything that is here.
        tx.heads.last_local.clear();
    }
    // No write, no incarnation: a closure that writes nothing opens none.
    let push = write(tx, namespace, incarnation, now_ms, closure)?;
    let Some(push) = push else { return Ok(outcome) };
    if tx.heads.open != Some(incarnation) {
        sometimes!(!tx.heads.incarnations.is_empty(), NextIncarnationOpened);
        tx.heads.open = Some(incarnation);
        let ended = last_ended(&tx.heads);
        tx.heads.incarnations.push(incarnation);
        let opened = write(tx, Namespace::SYSTEM, incarnation, now_ms, |tx| {
            membership::record_incarnation(tx, key, incarnation)?;
            close_ended(tx, key, ended)
        })?;
        outcome.pushes.extend(opened);
    }
    // The record of an incarnation is written after what it was opened for, and sent before it; when both
    // are in the system namespace their seqs decide the order.
    match push.namespace {
        Namespace::SYSTEM => outcome.pushes.insert(0, push),
        _ => outcome.pushes.push(push),
    }
    Ok(outcome)
}

/// The incarnation before the one that is opened, and how far it came.
pub(super) fn last_ended(heads: &Heads) -> Option<(Incarnation, Finals)> {
    heads.incarnations.last().map(|&ended| (ended, heads.covered_of(ended)))
}

/// The commit that opens an incarnation closes the one before.
pub(super) fn close_ended(
    tx: &mut WriteTx<'_>,
    key: NodeKey,
    ended: Option<(Incarnation, Finals)>,
) -> Result<(), WriteError> {
    match ended.filter(|_| !planted!("an incarnation that ended is closed")) {
        Some((ended, finals)) => record_closed(tx, key, ended, &finals),
        None => Ok(()),
    }
}

fn apply_pushes(tx: &mut Transaction<'_>, pushes: &[PushFrame]) -> Result<Outcome, JobError> {
    let mut outcome = Outcome::default();
    for push in pushes {
        let rows = push.len() as u64;
        let vv = tx.heads.vv(push.namespace());
        if vv.seq(push.origin()) >= push.last().get() {
            sometimes!(PushAppliedBefore);
            outcome.rows_duplicate += rows;
            continue;
        }
        let is_next = vv.seq(push.origin()) + 1 == push.first().get();
        let follows = is_next || planted!("a push follows its predecessor");
        if !follows || !(vv.covers_all(push.deps()) || planted!("causes come before effects")) {
            sometimes!(PushAfterFailedOne);
            return Err(JobError::Dependencies);
        }
        let push = push.to_push();
        for write in &push.writes {
            tx.fold_first(push.namespace, &write.path)?;
        }
        // Its paths differ, so none of its writes changes what another one meets.
        let entries = push.writes.iter().map(|write| tx.entry(push.namespace, &write.path));
        let entries = entries.collect::<Result<Vec<Entry>, StoreError>>()?;
        if planted!("merging has no limit") && entries.iter().any(|entry| entry.live().len() > 2) {
            return Err(JobError::Dependencies);
        }
        apply_push_writes(tx, &push, entries);
        outcome.rows_new += rows;
    }
    Ok(outcome)
}

/// Joins the writes of one push into the entries of their paths, and covers its dots.
pub(super) fn apply_push_writes(tx: &mut Transaction<'_>, push: &Push, entries: Vec<Entry>) {
    let applied = match planted!("a transaction is applied whole") {
        true => 1,
        false => push.writes.len(),
    };
    let last = push.dot(applied - 1);
    for ((index, write), entry) in push.writes.iter().enumerate().zip(entries).take(applied) {
        let row = write.to_row(push.dot(index));
        let context = Context::Overwritten(&write.overwritten);
        tx.join_row_into(push.namespace, &row, entry, context, Some(last));
    }
    tx.heads.vv.entry(push.namespace).or_default().advance(last);
}

/// Rows of a large cut: straight into the final tables, hidden because no vector covers them, or staged.
fn apply_cut(tx: &mut Transaction<'_>, cut: Cut) -> Result<Outcome, JobError> {
    let Cut { namespace, mark, begins, rows, takes } = cut;
    // Its rows would mingle with those of another one.
    if tx.heads.place(namespace) != Place::Free && !planted!("a cut waits for the fold before it") {
        return Err(JobError::Occupied);
    }
    let held = tx.heads.cuts.get(&namespace);
    if begins && held.is_some() && !planted!("nothing stays of a cut that is given up") {
        return Err(JobError::Occupied);
    }
    let continues = match takes.held.as_deref() {
        // What came late to it was not compared.
        Some(compared)
            if held != Some(compared) && !planted!("a refresh takes over what it compared") =>
        {
            return Err(JobError::Changed);
        }
        Some(_) => held.is_some(),
        None => held.is_some_and(|held| held.continues_as(&mark)),
    };
    if !begins && !continues && !planted!("a continuation needs its beginning") {
        return Err(JobError::NoCut);
    }
    check_cut(&tx.heads, namespace, &mark)?;
    let mut outcome = Outcome::default();
    takes.dropped.into_iter().for_each(|path| tx.unstage(namespace, path));
    for row in rows.iter().flat_map(RowsFrame::rows) {
        if mark.direct {
            join_cut_row(tx, namespace, &row, &mark.upto, &mut outcome)?;
        } else {
            outcome.rows_new += 1;
            tx.stage(namespace, row.path.clone(), encode_staged(&row));
        }
    }
    if planted!("a partial cut covers nothing") {
        advance(&mut tx.heads, namespace, &mark.upto);
    }
    tx.heads.cuts.insert(namespace, mark);
    Ok(outcome)
}

/// Makes a cut visible: its vector is covered from now on, and its rows are folded, the first of them in the
/// same commit. It must be the cut that is meant, with all of its rows: the last slice may have been refused,
/// and then an older cut is still here, or this one without its end.
fn flip(
    tx: &mut Transaction<'_>,
    namespace: Namespace,
    meant: &CutMark,
    rows_max: usize,
) -> Result<Outcome, JobError> {
    let mark = tx.heads.cuts.remove(&namespace).ok_or(JobError::NoCut)?;
    if mark != *meant && !planted!("a flip names its cut") {
        return Err(JobError::NoCut);
    }
    check_cut(&tx.heads, namespace, &mark)?;
    check_compared(&tx.heads, namespace, &mark)?;
    let mut before = tx.heads.vv(namespace).clone();
    if planted!("rows are joined under the vector before the flip") {
        before.join(&mark.upto);
    }
    advance(&mut tx.heads, namespace, &mark.upto);
    raise_floor(&mut tx.heads, namespace, &mark.floor);
    if !mark.direct {
        let fold = Fold { before, upto: mark.upto, rows: mark.rows, folded: 0 };
        tx.heads.folds.insert(namespace, fold);
        fold_slice(tx, namespace, rows_max)?;
        sometimes!(tx.heads.folds.contains_key(&namespace), FlipLeavesRows);
    }
    Ok(Outcome::default())
}

fn join_cut_row(
    tx: &mut Transaction<'_>,
    namespace: Namespace,
    row: &Row,
    upto: &VersionVector,
    outcome: &mut Outcome,
) -> Result<(), StoreError> {
    match tx.join_row(namespace, row, Context::Upto(upto), None)? {
        true => outcome.rows_new += 1,
        false => outcome.rows_duplicate += 1,
    }
    Ok(())
}

/// R4: a batch is complete only relative to its base, and claims nothing that this replica itself has not
/// issued.
fn check_base(
    heads: &Heads,
    namespace: Namespace,
    from: &VersionVector,
    upto: &VersionVector,
) -> Result<(), JobError> {
    let vv = heads.vv(namespace);
    if !vv.covers_all(from) && !planted!("a batch is complete relative to its base") {
        return Err(JobError::Base);
    }
    let claims = |open: &Incarnation| {
        upto.seq(*open) > vv.seq(*open) && !planted!("a peer that knows more fences")
    };
    match heads.open.filter(claims) {
        Some(open) => Err(JobError::ClaimsOwn(open)),
        None => Ok(()),
    }
}

/// R9, against the vector of now: since the asker asked it may have taken something from another peer.
fn check_floor(
    heads: &Heads,
    namespace: Namespace,
    upto: &VersionVector,
    floor: &VersionVector,
) -> Result<(), JobError> {
    let is_told = tells_all(heads.vv(namespace), upto, floor);
    match is_told || planted!("a batch meets who is above its floor") {
        true => Ok(()),
        false => Err(JobError::BelowFloor),
    }
}

/// The same for a cut. One whose rows go straight to the final tables was joined as they came, against a
/// vector that covered nothing of it: what was covered in between may have been overwritten within the cut,
/// and nobody would notice. Such a cut starts anew, staged.
fn check_cut(heads: &Heads, namespace: Namespace, mark: &CutMark) -> Result<(), JobError> {
    check_base(heads, namespace, &mark.from, &mark.upto)?;
    if mark.compared.is_none() {
        check_floor(heads, namespace, &mark.upto, &mark.floor)?;
    }
    match mark.is_joinable(heads.vv(namespace)) || planted!("a direct cut meets an empty state") {
        true => Ok(()),
        false => Err(JobError::Base),
    }
}

/// A refresh takes away what its supplier covers and does not hold; of what came since the two were compared
/// that is not known (finding 14).
fn check_compared(heads: &Heads, namespace: Namespace, mark: &CutMark) -> Result<(), JobError> {
    let Some(compared) = &mark.compared else { return Ok(()) };
    let is_unknown = |dot: Dot| {
        dot.seq.get().min(mark.upto.seq(dot.incarnation)) > compared.seq(dot.incarnation)
    };
    let is_overtaken = heads.vv(namespace).iter().any(is_unknown);
    match is_overtaken && !planted!("what came since the comparison is compared too") {
        true => Err(JobError::Overtaken),
        false => Ok(()),
    }
}

/// Of what the supplier has collected there is no tombstone here either, though the vector covers it.
fn raise_floor(heads: &mut Heads, namespace: Namespace, floor: &VersionVector) {
    if !floor.is_empty() && !planted!("a floor comes with its batch") {
        heads.floor.entry(namespace).or_default().join(floor);
    }
}

fn advance(heads: &mut Heads, namespace: Namespace, upto: &VersionVector) {
    heads.vv.entry(namespace).or_default().join(upto);
}

impl CutMark {
    /// Whether the cut may go on, at this vector.
    pub(crate) fn is_joinable(&self, vv: &VersionVector) -> bool {
        !self.direct || shares_nothing(vv, &self.upto)
    }

    /// Whether rows under `next` may be added to those that are here: the same supplier's boot, the same
    /// base, and a vector that covers the one so far.
    fn continues_as(&self, next: &Self) -> bool {
        self.supplier == next.supplier
            && (self.boot == next.boot || planted!("a cut is of one boot"))
            && self.from == next.from
            && self.since == next.since
            && self.direct == next.direct
            && self.compared.is_some() == next.compared.is_some()
            && (next.upto.covers_all(&self.upto) || planted!("a cut never falls back"))
    }
}
