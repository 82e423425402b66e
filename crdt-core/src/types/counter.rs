//! The counter: increments and decrements on every replica, with an exact observed reset.
//!
//! A counter is a set of *slots*, each on a path of its own below the counter's, whose last component is
//! the dot of the slot's first write. Only the incarnation in that dot counts in it; anybody may reset it.
//! A slot's payload holds four totals, each of which only grows, so that two live dots of one slot join by
//! taking the greater of each.
//!
//! ```text
//! value  =  sum over slots of (plus - plus_base) - (minus - minus_base)
//! reset:    bases := totals, on each slot where they differ
//! absent :  no slot, or all slots stand at their bases
//! ```
//!
//! An increment that a reset did not see survives it, and nothing else does. A slot that was deleted is
//! never continued: its owner opens a new one, under a new name, so that no total can come back.

use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Dot, Entry, Incarnation, Path, PathError, Payload, PayloadKind};

/// The four totals of a slot, joined by taking the greater of each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Sum of the increments.
    pub plus: u64,
    /// Sum of the decrements.
    pub minus: u64,
    /// `plus` as of the last reset.
    pub plus_base: u64,
    /// `minus` as of the last reset.
    pub minus_base: u64,
}

/// Why a counter cannot be changed. Nothing was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CounterError {
    /// The slot's totals would exceed 64 bits.
    #[error("the counter's total would exceed 64 bits")]
    Overflow,
}

impl Slot {
    /// The greater of each total: how two live dots of one slot read.
    pub fn join(self, other: Self) -> Self {
        Self {
            plus: self.plus.max(other.plus),
            minus: self.minus.max(other.minus),
            plus_base: self.plus_base.max(other.plus_base),
            minus_base: self.minus_base.max(other.minus_base),
        }
    }

    /// What a slot's entry reads as: the join over its live dots. Payloads that are no slot count nothing.
    /// `None` when the path is absent.
    pub fn read(entry: &Entry) -> Option<Self> {
        let slots = entry.live().iter().map(|live| Self::decode(&live.payload).unwrap_or_default());
        slots.reduce(Self::join)
    }

    /// The slot after its owner counted `delta`.
    ///
    /// # Errors
    /// [`CounterError::Overflow`].
    pub fn counted(mut self, delta: i64) -> Result<Self, CounterError> {
        let total = if delta < 0 { &mut self.minus } else { &mut self.plus };
        *total = total.checked_add(delta.unsigned_abs()).ok_or(CounterError::Overflow)?;
        Ok(self)
    }

    /// The slot after a reset, or `None` when it stands at its bases already.
    pub fn reset(self) -> Option<Self> {
        let reset = Self { plus_base: self.plus, minus_base: self.minus, ..self };
        (reset != self).then_some(reset)
    }

    /// Whether the slot stands at its bases.
    pub fn is_zero(self) -> bool {
        self.reset().is_none()
    }

    /// What the slot adds to the counter.
    pub fn value(self) -> i128 {
        (i128::from(self.plus) - i128::from(self.plus_base))
            - (i128::from(self.minus) - i128::from(self.minus_base))
    }

    /// The slot as a payload: four varints.
    pub fn encode(self) -> Payload {
        let bytes = postcard::to_allocvec(&self).expect("four integers always encode");
        Payload { kind: PayloadKind::COUNTER, bytes: Bytes::from(bytes) }
    }

    /// The slot of a payload; `None` for another kind or malformed bytes.
    pub fn decode(payload: &Payload) -> Option<Self> {
        if payload.kind != PayloadKind::COUNTER {
            return None;
        }
        let (slot, rest) = postcard::take_from_bytes(&payload.bytes).ok()?;
        rest.is_empty().then_some(slot)
    }
}

/// The path of the slot that `first_write` opens in the counter at `counter`.
///
/// # Errors
/// [`PathError`] when the path would be too long or too deep.
pub fn slot_path(counter: &Path, first_write: Dot) -> Result<Path, PathError> {
    counter.child(first_write.to_bytes())
}

/// Who owns the slot at this path: the incarnation of its first write. `None` when the last component is no
/// dot.
pub fn slot_owner(slot: &Path) -> Option<Incarnation> {
    let name: Vec<u8> = slot.components().last()?;
    Dot::from_bytes(name.try_into().ok()?).map(|dot| dot.incarnation)
}

/// The counter's value over all its slots; `None` when it is absent.
pub fn read(slots: impl IntoIterator<Item = Slot>) -> Option<i128> {
    slots
        .into_iter()
        .filter(|slot| !slot.is_zero())
        .map(Slot::value)
        .reduce(|sum, value| sum.saturating_add(value))
}
