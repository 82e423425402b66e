//! The two held against each other: what a node's store must be, by what it covers.

use std::collections::{BTreeMap, BTreeSet};

use millpond_core::{Dot, Entry, Namespace, VersionVector};

use super::code::Code;
use super::history::{Covered, History, Name, PATHS, path, payload};
use crate::store::LogRow;

/// What is held against the code after every step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Rule {
    /// R1: readers see what was written up to the vector and not overwritten up to there.
    Reflected,
    /// R2: a live dot is covered by the vector, or hidden below the vector of a cut that is arriving.
    Covered,
    /// R3: each live dot and each delete dot has one log row.
    Logged,
    /// R4: a batch is applied exactly if its base is covered, and the vector moves with it.
    Based,
    /// R5: dots are numbered from one, without gaps, each once.
    Numbered,
    /// R7: a transaction is covered whole or not at all, and a group of jobs is one commit.
    Whole,
    /// Causes are covered before their effects.
    Caused,
    /// R12: a write overwrites what its node sees at its path, and nothing else.
    Seen,
    /// A push is applied exactly when its causes are here; the inbox and the store agree on it.
    Ready,
    /// Equal vectors mean equal entries, to the stamp.
    Equal,
    /// What is on disk is what is in memory.
    Durable,
}

/// A rule that does not hold, and how.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Fault {
    pub(super) rule: Rule,
    pub(super) why: String,
}

/// Fails unless a condition holds.
macro_rules! hold {
    ($rule:ident, $holds:expr, $($why:tt)*) => {
        if !$holds {
            return Err(Fault { rule: Rule::$rule, why: format!($($why)*) });
        }
    };
}
pub(super) use hold;

/// Holds a node's code against what the model says of whoever covers so much.
pub(super) fn check(history: &History, covered: Covered, code: &Code) -> Result<(), Fault> {
    let vv = code.heads.vv(Namespace::MAIN);
    check_vector(history, vv)?;
    hold!(Based, *vv == covered.vector(), "the vector is {vv:?}, not {covered:?}");
    check_readers(history, covered, code)?;
    check_tables(history, covered, code)?;
    let (stored, heads) = (&code.stored, &code.heads);
    let is_stored = (&stored.vv, &stored.cuts, &stored.folds, &stored.clears)
        == (&heads.vv, &heads.cuts, &heads.folds, &heads.clears)
        && stored.open == heads.open
        && stored.clock.last() >= heads.clock.last();
    hold!(Durable, is_stored, "on disk are {stored:?}, not {heads:?}");
    Ok(())
}

/// What every vector keeps to, whatever the model thinks that it should be.
fn check_vector(history: &History, vv: &VersionVector) -> Result<(), Fault> {
    let known = Covered::of(vv);
    for (name, write) in history.known(known) {
        let last = Name { seq: write.transaction.1, ..name };
        hold!(Whole, known.covers(last), "{name:?} is covered, and {last:?} is not");
        hold!(Caused, known.covers_all(write.causes), "{name:?} is here before {write:?}");
    }
    Ok(())
}

fn check_readers(history: &History, covered: Covered, code: &Code) -> Result<(), Fault> {
    for index in 0..PATHS.len() {
        let live = code.entries.get(&path(index)).map(Entry::live).unwrap_or_default();
        let read = live.iter().map(|live| (live.dot, live.payload.clone()));
        let expected = history.live(covered, index).into_iter().map(|name| {
            let value = history.get(name).and_then(|write| write.value);
            (name.dot(), payload(value.expect("a delete is never live")))
        });
        let (read, expected): (Vec<_>, Vec<_>) = (read.collect(), expected.collect());
        hold!(Reflected, read == expected, "at {index} read {read:?}, expected {expected:?}");
    }
    Ok(())
}

fn check_tables(history: &History, covered: Covered, code: &Code) -> Result<(), Fault> {
    let cut = code.heads.cuts.get(&Namespace::MAIN).filter(|cut| cut.direct);
    let cleared = code.heads.clears.get(&Namespace::MAIN).and_then(|clear| clear.direct.clone());
    let hidden = cut.map(|cut| cut.upto.clone()).or(cleared).unwrap_or_default();
    let vv = covered.vector();
    let is_hidden = |dot: Dot| !vv.covers(dot) && hidden.covers(dot);
    let mut log: BTreeMap<Dot, &LogRow> = code.log.iter().map(|(dot, row)| (*dot, row)).collect();
    for (dot, path) in &code.live {
        hold!(Covered, vv.covers(*dot) || is_hidden(*dot), "{dot} lives, {vv:?} covers it not");
        let row = log.remove(dot);
        let is_right = row.is_some_and(|row| row.path == *path && row.deleted.is_none());
        hold!(Logged, is_right, "{dot} lives at {path} and its log row is {row:?}");
    }
    let deletes = history.known(covered).filter(|(_, write)| write.value.is_none());
    let deletes: BTreeSet<Dot> = deletes.map(|(name, _)| name.dot()).collect();
    for dot in &deletes {
        let row = log.get(dot);
        hold!(Logged, row.is_some_and(|row| row.deleted.is_some()), "{dot} deletes: row {row:?}");
    }
    for (dot, row) in &log {
        let is_right = row.deleted.is_some() && (deletes.contains(dot) || is_hidden(*dot));
        hold!(Logged, is_right, "a log row of {dot}, which is no more: {row:?}");
    }
    Ok(())
}
