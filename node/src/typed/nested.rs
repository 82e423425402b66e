//! Fields that are records within a record.

use std::ops::Deref;

use serde::Serialize;

use crate::records::RecordError;
use crate::typed::{Draw, Field, Fields, Found, Site};

/// Fields within a field: each merges by its own rule, where a plain field would be replaced whole.
///
/// The lattice is the product of the fields' lattices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Nested<F>(pub F);

impl<F: Fields> Field for Nested<F> {
    type Edit<'p> = F::Edit<'p>;

    fn read(found: &Found<'_>) -> Result<Self, RecordError> {
        F::read(found).map(Self)
    }

    fn write(&self, site: &Site<'_>) {
        self.0.write(site);
    }

    fn edit(site: Site<'_>) -> F::Edit<'_> {
        F::edit(site)
    }

    fn vary<D: Draw>(site: &Site<'_>, draw: &mut D) {
        F::vary(site, draw);
    }
}

impl<F> Deref for Nested<F> {
    type Target = F;

    fn deref(&self) -> &F {
        &self.0
    }
}

impl<F> From<F> for Nested<F> {
    fn from(fields: F) -> Self {
        Self(fields)
    }
}
