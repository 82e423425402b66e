//! Fields that are on or off.

use std::fmt;
use std::marker::PhantomData;

use millpond_core::types::flag;
use serde::Serialize;

use crate::records::RecordError;
use crate::typed::{Draw, Field, Found, Site};

/// On wins over an off that has not seen it: for [`Flag`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EnableWins;

/// Off wins over an on that has not seen it: for [`Flag`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DisableWins;

/// What a flag is when it is set and cleared at once.
pub trait FlagRule: Send + 'static {
    /// The rule, as a value.
    const RULE: flag::Flag;
}

impl FlagRule for EnableWins {
    const RULE: flag::Flag = flag::Flag::EnableWins;
}

impl FlagRule for DisableWins {
    const RULE: flag::Flag = flag::Flag::DisableWins;
}

/// A flag whose concurrent setting and clearing come to what its type says, whatever the clocks do.
///
/// The lattice and the table of concurrent pairs are those of [`millpond_core::types::flag`]; the bottom is off.
/// A plain `bool` is a register: there the later stamp shows.
pub struct Flag<R = EnableWins>(bool, PhantomData<R>);

impl<R> Flag<R> {
    /// A flag that is on or off: for a record that is put.
    pub fn new(on: bool) -> Self {
        Self(on, PhantomData)
    }

    /// Whether it is on.
    pub fn is_on(&self) -> bool {
        self.0
    }
}

impl<R: FlagRule> Field for Flag<R> {
    type Edit<'p> = FlagEdit<'p, R>;

    fn read(found: &Found<'_>) -> Result<Self, RecordError> {
        Ok(Self::new(found.entry().is_some_and(|entry| R::RULE.read(entry))))
    }

    /// Writes only what changes the flag: one that is off already has no need to be cleared.
    fn write(&self, site: &Site<'_>) {
        let held = site.value::<Self>().is_some_and(|held| held.0);
        if held != self.0 {
            site.put_or_delete(R::RULE.payload(self.0).as_ref());
        }
    }

    fn edit(site: Site<'_>) -> FlagEdit<'_, R> {
        FlagEdit { site, rule: PhantomData }
    }

    fn vary<D: Draw>(site: &Site<'_>, draw: &mut D) {
        Self::edit(site.clone()).set(draw.below(2) == 0);
    }
}

/// Changes a flag.
pub struct FlagEdit<'p, R> {
    site: Site<'p>,
    rule: PhantomData<R>,
}

impl<R: FlagRule> FlagEdit<'_, R> {
    /// Sets it (`true`) or clears it, also where it stands so already: it has a say against what others do at
    /// the same time.
    pub fn set(&mut self, on: bool) {
        self.site.put_or_delete(R::RULE.payload(on).as_ref());
    }

    /// Whether it is on, with what this transaction wrote so far.
    pub fn is_on(&self) -> bool {
        self.site.value::<Flag<R>>().is_some_and(|flag| flag.0)
    }
}

impl<R> Clone for Flag<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Flag<R> {}

impl<R> Default for Flag<R> {
    fn default() -> Self {
        Self::new(false)
    }
}

impl<R> PartialEq for Flag<R> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<R> Eq for Flag<R> {}

impl<R> fmt::Debug for Flag<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Flag").field(&self.0).finish()
    }
}

impl<R> Serialize for Flag<R> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<R> fmt::Debug for FlagEdit<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FlagEdit").field(&self.site).finish()
    }
}
