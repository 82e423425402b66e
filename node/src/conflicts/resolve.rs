//! Ending a conflict.

use std::collections::BTreeSet;

use bytes::Bytes;
use millpond_core::types::flag::Flag;
use millpond_core::{Dot, Entry, Path, Payload, PayloadKind};

use super::undo::Ended;
use crate::Receipt;
use crate::conflicts::Conflict;
use crate::records::{FieldPath, Json, RecordError, RecordId, shows};
use crate::state::{WriteError, WriteTx};

/// Why a conflict was not ended, or that was not undone. Nothing was written, if it does not say otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The field has other values than it had when it was read: whoever decided has not seen all of them.
    #[error("the field has changed; read it again and decide again")]
    Changed,
    /// There are not so many values.
    #[error("there is no value {index}: there are {count}, counted from zero")]
    NoCandidate {
        /// Which one was asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// No decision about the field is known that could be undone.
    #[error("there is nothing to undo: no decision about the field is kept")]
    NothingToUndo,
    /// The write was refused or failed.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl From<WriteError> for ResolveError {
    fn from(error: WriteError) -> Self {
        Self::Record(error.into())
    }
}

/// What a field is to be.
enum Decision {
    /// What these writes made of it.
    Keep(BTreeSet<Dot>),
    /// This value.
    Set(Bytes),
}

impl Conflict {
    /// Ends it with one of its values, counted from zero.
    ///
    /// That decides among the values that are here, and wins no race: the value keeps the greatest of their stamps. So a
    /// write elsewhere that is later than all of them still shows, though it is older than the decision. Where types
    /// clash the candidate's type stays as it is, and what was made with other types is deleted, counters reset.
    ///
    /// # Errors
    /// Any [`ResolveError`].
    pub async fn keep(&self, index: usize) -> Result<Receipt, ResolveError> {
        let count = self.candidates.len();
        let kept = self.dots.get(index).ok_or(ResolveError::NoCandidate { index, count })?;
        self.end(Decision::Keep(kept.iter().copied().collect())).await
    }

    /// Ends it with another value: an ordinary write, by this node, with a stamp of now.
    ///
    /// # Errors
    /// Any [`ResolveError`].
    pub async fn set(&self, value: Json) -> Result<Receipt, ResolveError> {
        self.end(Decision::Set(Bytes::copy_from_slice(value.text().as_bytes()))).await
    }

    /// Ends it with what a function makes of its values, the one that readers see first: the same values give the
    /// same result on every node if it is pure. Two nodes that do so at once have written the same, which is no conflict.
    ///
    /// # Errors
    /// Any [`ResolveError`].
    pub async fn merge(
        &self,
        merge: impl FnOnce(&[Json]) -> Json,
    ) -> Result<Receipt, ResolveError> {
        let values: Vec<Json> = self.candidates.iter().map(|it| it.value.clone()).collect();
        self.set(merge(&values)).await
    }

    /// Writes the field, if it has the values that were read, and no other.
    async fn end(&self, decision: Decision) -> Result<Receipt, ResolveError> {
        let path = field_path(&self.id, &self.field)?;
        let note = Ended::path(&self.id, &self.field);
        let seen: BTreeSet<Dot> = self.seen().collect();
        let write = move |tx: &mut WriteTx<'_>| {
            let entries = tx.entries(&path)?;
            let showing = entries.iter().filter(|(_, entry)| shows(entry));
            let live: BTreeSet<Dot> =
                showing.flat_map(|(_, entry)| entry.live()).map(|live| live.dot).collect();
            if live != seen {
                return Err(ResolveError::Changed);
            }
            let mut ended = Ended::default();
            for (at, entry) in &entries {
                decision.carry_out(tx, &path, at, entry, &mut ended)?;
            }
            if let Decision::Set(value) = &decision {
                let own = entries.first().filter(|(at, _)| *at == path).map(|(_, entry)| entry);
                let payload = Payload { kind: register_kind(own), bytes: value.clone() };
                tx.put(path.clone(), payload)?;
                ended.is_written = true;
            }
            if let Some(note) = note {
                ended.note(tx, note)?;
            }
            Ok(())
        };
        self.replica.write(write).await.map(|((), receipt)| receipt)
    }
}

/// Where a field lies.
pub(super) fn field_path(id: &RecordId, field: &str) -> Result<Path, WriteError> {
    let field = FieldPath::parse(field);
    field.names().iter().try_fold(id.path(), |path, name| Ok(path.child(name)?))
}

impl Decision {
    /// Removes what is not to stay of one entry of the field, and notes it.
    fn carry_out(
        &self,
        tx: &mut WriteTx<'_>,
        field: &Path,
        at: &Path,
        entry: &Entry,
        ended: &mut Ended,
    ) -> Result<(), WriteError> {
        let is_register = at == field;
        let kept: Vec<Dot> = match self {
            Self::Keep(dots) => {
                entry.live().iter().map(|live| live.dot).filter(|dot| dots.contains(dot)).collect()
            }
            Self::Set(_) => Vec::new(),
        };
        if kept.len() == entry.live().len() {
            return Ok(());
        }
        if entry.live().iter().any(|live| live.payload.kind == PayloadKind::COUNTER) {
            ended.count(field, at, entry);
            return tx.reset_counter(at);
        }
        ended.lose(
            field,
            at,
            entry.live().iter().filter(|it| is_register || !kept.contains(&it.dot)),
        );
        match speaks_for(entry, &kept) {
            Some(dot) => {
                ended.is_written |= is_register;
                tx.keep(at, dot).map(drop)
            }
            None if matches!(self, Self::Set(_)) && is_register => Ok(()), // it is overwritten
            None => tx.delete(at).map(drop),
        }
    }
}

/// Of writes that make one reading together, one that reads alike on its own.
fn speaks_for(entry: &Entry, kept: &[Dot]) -> Option<Dot> {
    let is_kept = |dot: Dot| kept.contains(&dot);
    let kept = entry.live().iter().filter(|live| is_kept(live.dot));
    // A disable-wins flag is off if one write says so.
    let says_no = kept.clone().find(|live| {
        live.payload.kind == PayloadKind::FLAG_DISABLE_WINS
            && Flag::DisableWins.payload(true).is_none_or(|yes| yes != live.payload)
    });
    says_no.or_else(|| kept.max_by_key(|live| (live.hlc, live.dot))).map(|live| live.dot)
}

/// Of a value that is put onto these: a field of which all values are wanted stays one.
fn register_kind(entry: Option<&Entry>) -> PayloadKind {
    let are_multi =
        |entry: &Entry| entry.live().iter().all(|live| live.payload.kind == PayloadKind::MULTI);
    if entry.is_some_and(are_multi) { PayloadKind::MULTI } else { PayloadKind::LWW }
}
