//! Undoing what ended a conflict.
//!
//! What ends a conflict notes beside it, in the same transaction, what it takes away: at a path of its own, which no
//! record has, so that every replica can undo it, also after a crash. Of one field the latest note is kept.
//!
//! Undoing puts the values back in the place of the one that was decided for, each with the stamp that it had: they are
//! in conflict again, and can be decided otherwise. What that means beside what others write:
//!
//! | others | then |
//! |---|---|
//! | wrote the field after the decision, and that is known here | nothing is undone: [`ResolveError::Changed`] |
//! | wrote it after the decision, unseen | theirs is in conflict with what is put back, and shows: it is later than all of that |
//! | wrote it before the decision, unseen by it | theirs stays, beside what is put back |
//! | undo as well | each value is there twice, which one decision ends |
//!
//! A replica writes one value of a path in a transaction, so a conflict of several comes back in as many transactions,
//! the decision's own value going with the last. One that breaks off is gone on with by undoing again.

use std::collections::BTreeMap;

use millpond_core::types::counter::{self, Slot};
use millpond_core::{Dot, Entry, Hlc, LiveDot, Path, Payload, PayloadKind};
use serde::{Deserialize, Serialize};

use crate::conflicts::ResolveError;
use crate::conflicts::resolve::field_path;
use crate::records::{NOTES, RecordId};
use crate::state::{WriteError, WriteTx};
use crate::{Receipt, Replica};

/// What ended a conflict, as it is noted: `docs/FORMAT.md`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ended {
    /// Whether a value was written at the field's own path, and did not stay only.
    pub(super) is_written: bool,
    /// What counters stood at that were reset, by their paths below the field.
    counted: BTreeMap<Vec<Vec<u8>>, i64>,
    /// Whether one stood beyond that range: then nothing can be undone.
    #[serde(skip)]
    is_beyond: bool,
    /// What is not there any more, but for counters.
    lost: Vec<Lost>,
}

/// Values that were at one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Lost {
    /// The path below the field.
    below: Vec<Vec<u8>>,
    /// Stamp, kind and bytes of each, the one first that showed first.
    values: Vec<(u64, u16, Vec<u8>)>,
}

impl Ended {
    /// Where it is noted; `None` for a field whose names are too long for that.
    pub(super) fn path(id: &RecordId, field: &str) -> Option<Path> {
        Path::new([NOTES, id.collection(), id.key(), field]).ok()
    }

    /// A slot is reset.
    pub(super) fn count(&mut self, field: &Path, at: &Path, slot: &Entry) {
        let mut counter = below(field, at);
        counter.pop();
        let value = counter::read(Slot::read(slot)).unwrap_or(0);
        let counted = self.counted.entry(counter).or_default();
        match i64::try_from(i128::from(*counted).saturating_add(value)) {
            Ok(sum) => *counted = sum,
            Err(_) => self.is_beyond = true,
        }
    }

    /// These values go.
    pub(super) fn lose<'e>(
        &mut self,
        field: &Path,
        at: &Path,
        values: impl Iterator<Item = &'e LiveDot>,
    ) {
        let mut values: Vec<&LiveDot> = values.collect();
        values.sort_by_key(|live| std::cmp::Reverse((live.hlc, live.dot)));
        let value =
            |live: &LiveDot| (live.hlc.bits(), live.payload.kind.0, live.payload.bytes.to_vec());
        self.lost.push(Lost {
            below: below(field, at),
            values: values.into_iter().map(value).collect(),
        });
    }

    /// Writes the note, if it is not too long; then there is none, and nothing can be undone.
    pub(super) fn note(&self, tx: &mut WriteTx<'_>, at: Path) -> Result<(), WriteError> {
        let mut bytes = vec![VERSION];
        bytes.extend(postcard::to_allocvec(self).expect("numbers and bytes have a form"));
        if bytes.len() > NOTE_BYTES_MAX || self.is_beyond {
            return tx.delete(&at).map(drop);
        }
        tx.put(at, Payload { kind: PayloadKind::DECISION, bytes: bytes.into() })
    }

    /// The note of a path, and the dot under which it was written. Of two decisions made at once none is undone: their
    /// values are in conflict.
    fn read(tx: &WriteTx<'_>, at: &Path) -> Result<(Self, Dot), ResolveError> {
        let entry = tx.entry(at)?;
        let live = match entry.live() {
            [] => return Err(ResolveError::NothingToUndo),
            [live] => live,
            _ => return Err(ResolveError::Changed),
        };
        let ended = Self::decode(&live.payload.bytes).ok_or(ResolveError::NothingToUndo)?;
        Ok((ended, live.dot))
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first() {
            Some((&VERSION, body)) => postcard::from_bytes(body).ok().filter(Self::is_sound),
            _ => None,
        }
    }

    /// Whether it may be written: another member made it.
    fn is_sound(&self) -> bool {
        let mut stamps = self.lost.iter().flat_map(|lost| &lost.values).map(|value| value.0);
        stamps.all(|stamp| Hlc::from_bits(stamp) <= Hlc::MAX)
    }

    /// In how many transactions all of it is put back.
    fn rounds(&self) -> usize {
        self.lost.iter().map(|lost| lost.values.len()).max().unwrap_or(0).max(1)
    }

    /// Puts back one value of each path; with the last ones the decision's own value and the note go.
    fn undo(&self, tx: &mut WriteTx<'_>, undo: &Undo, own: Option<Dot>) -> Result<(), WriteError> {
        let round = undo.round;
        for lost in &self.lost {
            let Some((stamp, kind, bytes)) = lost.values.get(round) else { continue };
            let stamp = Hlc::from_bits(*stamp);
            let payload = Payload { kind: PayloadKind(*kind), bytes: bytes.clone().into() };
            let at = at(&undo.field, &lost.below)?;
            let is_last = round + 1 == lost.values.len();
            let over = own.filter(|_| is_last && lost.below.is_empty());
            let entry = tx.entry(&at)?;
            let is_there = |live: &LiveDot| {
                Some(live.dot) != own && live.hlc == stamp && live.payload == payload
            };
            if over.is_some() || !entry.live().iter().any(is_there) {
                tx.restore(&at, payload, stamp, over)?;
            }
        }
        if round + 1 < self.rounds() {
            return Ok(());
        }
        let had_value = self.lost.iter().any(|lost| lost.below.is_empty());
        if let Some(own) = own.filter(|_| !had_value) {
            tx.take_back(&undo.field, own)?;
        }
        for (counter, &counted) in self.counted.iter().filter(|(_, counted)| **counted != 0) {
            tx.count(&at(&undo.field, counter)?, counted)?;
        }
        tx.delete(&undo.note).map(drop)
    }
}

/// The names that lead from a field to a path below it.
fn below(field: &Path, at: &Path) -> Vec<Vec<u8>> {
    at.components().skip(field.components().count()).collect()
}

/// The path below a field to which these names lead.
fn at(field: &Path, names: &[Vec<u8>]) -> Result<Path, WriteError> {
    names.iter().try_fold(field.clone(), |at, name| Ok(at.child(name)?))
}

/// Which decision is undone, and how far that is.
#[derive(Debug, Clone)]
struct Undo {
    field: Path,
    note: Path,
    round: usize,
}

impl Undo {
    /// Says whether there is more to put back.
    fn carry_out(&self, tx: &mut WriteTx<'_>) -> Result<bool, ResolveError> {
        let (ended, noted) = Ended::read(tx, &self.note)?;
        // The note comes first in its transaction, and the field's own path next.
        let own = Dot::new(noted.incarnation, noted.seq.plus(1));
        let own = ended.is_written.then_some(own);
        let is_live = |own: Dot| tx.entry(&self.field).map(|entry| entry.contains(own));
        if let Some(own) = own
            && !is_live(own)?
        {
            return Err(ResolveError::Changed);
        }
        ended.undo(tx, self, own)?;
        Ok(self.round + 1 < ended.rounds())
    }
}

impl Replica {
    /// Takes back what last ended a conflict of a field, by [`Conflict::keep`](crate::Conflict::keep) and its like, on
    /// whatever replica: the values that it ended are in conflict again, with the stamps that they had.
    ///
    /// It never takes back what came later. If the field has been written since, nothing is undone; what others wrote
    /// without this being known here stays beside what is put back, and shows, since it is later. A counter that was
    /// reset counts again what it had counted. It takes a transaction for each value; if it fails in between, some of them
    /// are back beside the decision's own, and doing it again goes on.
    ///
    /// The latest decision of each field is kept until the record is deleted; one about more than 256 KiB of values is
    /// not, and cannot be undone.
    ///
    /// # Errors
    /// [`ResolveError::NothingToUndo`], [`ResolveError::Changed`] when the field has been written since, and
    /// [`ResolveError::Record`].
    pub async fn undo_decision(&self, id: &RecordId, field: &str) -> Result<Receipt, ResolveError> {
        let note = Ended::path(id, field).ok_or(ResolveError::NothingToUndo)?;
        let path = field_path(id, field)?;
        let mut undo = Undo { field: path, note, round: 0 };
        loop {
            let step = undo.clone();
            let (are_more, receipt) = self.write(move |tx| step.carry_out(tx)).await?;
            if !are_more {
                return Ok(receipt);
            }
            undo.round += 1;
        }
    }
}

/// The form of a note.
const VERSION: u8 = 1;

/// A conflict of longer values cannot be undone: a note travels and is stored with each decision.
const NOTE_BYTES_MAX: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of docs/FORMAT.md.
    const GOLDEN: &str = "01 01 01 01 05 766f746573 0a 01 00 02 \
                          808004 01 03 224122 808008 01 03 224222";

    fn note() -> Ended {
        let value = |ms: u64, text: &str| (Hlc::from_ms(ms).bits(), 1, text.as_bytes().to_vec());
        Ended {
            is_written: true,
            counted: BTreeMap::from([(vec![b"votes".to_vec()], 5)]),
            is_beyond: false,
            lost: vec![Lost { below: vec![], values: vec![value(1, "\"A\""), value(2, "\"B\"")] }],
        }
    }

    fn bytes(note: &Ended) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(postcard::to_allocvec(note).unwrap());
        bytes
    }

    #[test]
    fn a_note_is_as_the_document_says() {
        let hex: String = bytes(&note()).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, GOLDEN.replace(' ', ""));
        assert_eq!(Ended::decode(&bytes(&note())), Some(note()));
    }

    #[test]
    fn a_note_that_nobody_can_have_written_is_none() {
        let mut late = note();
        late.lost[0].values[0].0 = u64::MAX;
        assert_eq!(Ended::decode(&bytes(&late)), None, "a stamp beyond all stamps");
        let mut newer = bytes(&note());
        newer[0] = 2;
        assert_eq!(Ended::decode(&newer), None);
        for cut in 0..newer.len() {
            assert_eq!(Ended::decode(&bytes(&note())[..cut]), None);
        }
    }
}
