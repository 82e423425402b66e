//! Fields that count.

use millpond_core::PayloadKind;
use millpond_core::types::counter::{self, Slot};
use serde::Serialize;

use crate::records::RecordError;
use crate::typed::{Draw, Field, Found, Site};

/// A counter: what everybody adds and takes away, wherever they are, sums up.
///
/// The lattice is that of [`millpond_core::types::counter`]; the bottom reads as zero. Counts made at once all
/// count; a reset takes back exactly what it saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Counter(i128);

impl Counter {
    /// A counter that stands here: for a record that is put.
    pub fn new(value: i64) -> Self {
        Self(value.into())
    }

    /// Where it stands.
    pub fn value(self) -> i128 {
        self.0
    }
}

impl Field for Counter {
    type Edit<'p> = CounterEdit<'p>;

    fn read(found: &Found<'_>) -> Result<Self, RecordError> {
        let slots = found.children().filter_map(|(_, slot)| slot.entry());
        let slots = slots
            .filter(|entry| entry.live().iter().any(|it| it.payload.kind == PayloadKind::COUNTER));
        Ok(Self(counter::read(slots.filter_map(Slot::read)).unwrap_or(0)))
    }

    /// Counts as much as is missing.
    fn write(&self, site: &Site<'_>) {
        let held = site.value::<Self>().unwrap_or_default();
        let mut missing = self.0 - held.0;
        while missing != 0 {
            let step = missing.clamp(i64::MIN.into(), i64::MAX.into());
            missing -= step;
            let step = i64::try_from(step).expect("clamped to 64 bits");
            site.with(|tx| Ok(tx.count(site.path(), step)?));
        }
    }

    fn edit(site: Site<'_>) -> CounterEdit<'_> {
        CounterEdit { site }
    }

    fn vary<D: Draw>(site: &Site<'_>, draw: &mut D) {
        let mut edit = Self::edit(site.clone());
        match draw.below(8) {
            0 => edit.reset(),
            step => edit.add(step as i64 - 3),
        }
    }
}

/// Changes a counter.
#[derive(Debug)]
pub struct CounterEdit<'p> {
    site: Site<'p>,
}

impl CounterEdit<'_> {
    /// Adds, or takes away what is negative.
    pub fn add(&mut self, delta: i64) {
        self.site.with(|tx| Ok(tx.count(self.site.path(), delta)?));
    }

    /// Back to zero: takes back all that is counted here, and nothing of what others count meanwhile.
    pub fn reset(&mut self) {
        self.site.with(|tx| Ok(tx.reset_counter(self.site.path())?));
    }

    /// Where it stands, with what this transaction counted so far.
    pub fn value(&self) -> i128 {
        self.site.value::<Counter>().unwrap_or_default().value()
    }
}
