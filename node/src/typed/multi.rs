//! Fields that show all values written at once, until somebody who saw them writes again.

use std::marker::PhantomData;

use millpond_core::PayloadKind;
use millpond_core::types::multi;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::records::RecordError;
use crate::typed::site::from_json;
use crate::typed::{Draw, Field, Found, Site, plain};

/// A multi-value register: a conflict is seen, and ends when somebody writes.
///
/// The lattice is the set of live values under the causal join; the bottom is no value. Two values written at
/// once both stay, the later stamp first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Multi<T>(Vec<T>);

impl<T> Multi<T> {
    /// The register of one value.
    pub fn new(value: T) -> Self {
        Self(vec![value])
    }

    /// The value that readers see first: the latest. None when the field is absent.
    pub fn get(&self) -> Option<&T> {
        self.0.first()
    }

    /// All values, the latest first.
    pub fn values(&self) -> &[T] {
        &self.0
    }

    pub(super) fn into_values(self) -> Vec<T> {
        self.0
    }

    /// Whether there is more than one value.
    pub fn is_conflict(&self) -> bool {
        self.0.len() > 1
    }
}

impl<T> Default for Multi<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> From<T> for Multi<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: Serialize + DeserializeOwned + Send + 'static> Field for Multi<T> {
    type Edit<'p> = MultiEdit<'p, T>;

    fn read(found: &Found<'_>) -> Result<Self, RecordError> {
        let live = found.entry().map(multi::read).unwrap_or_default();
        live.into_iter().map(|live| from_json(&live.payload)).collect::<Result<_, _>>().map(Self)
    }

    /// Writes the first value, in place of all that are there. An empty register deletes them.
    fn write(&self, site: &Site<'_>) {
        match self.get() {
            Some(value) => plain::write(value, site, PayloadKind::MULTI),
            None => site.put_or_delete(None),
        }
    }

    fn edit(site: Site<'_>) -> MultiEdit<'_, T> {
        MultiEdit { site, of: PhantomData }
    }

    fn vary<D: Draw>(site: &Site<'_>, draw: &mut D) {
        Self(draw.value().into_iter().collect()).write(site);
    }
}

/// Changes a multi-value field.
#[derive(Debug)]
pub struct MultiEdit<'p, T> {
    site: Site<'p>,
    of: PhantomData<T>,
}

impl<T: Serialize + DeserializeOwned + Send + 'static> MultiEdit<'_, T> {
    /// Replaces all values that are here.
    pub fn set(&mut self, value: impl Into<T>) {
        plain::write(&value.into(), &self.site, PayloadKind::MULTI);
    }

    /// What is here, with what this transaction wrote so far.
    pub fn get(&self) -> Multi<T> {
        self.site.value().unwrap_or_default()
    }
}
