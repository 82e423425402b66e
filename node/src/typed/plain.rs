//! Fields that hold one value, stored whole: of two written at once the later shows.

use millpond_core::PayloadKind;
use millpond_core::types::lww;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::records::RecordError;
use crate::typed::resolver::{self, Resolver};
use crate::typed::site::{from_json, to_json};
use crate::typed::{Draw, Field, Found, Site};

/// Any value with a JSON form is a field: a last-writer-wins register. It reads as its default where nothing is
/// stored, such as in records that an older version of the program wrote, or of which another node deleted the
/// rest while this one wrote a single field.
#[diagnostic::do_not_recommend] // what is missing is said by [`Field`], with the other ways
impl<T: Serialize + DeserializeOwned + Default + Send + 'static> Field for T {
    type Edit<'p> = PlainEdit<'p, T>;

    fn read(found: &Found<'_>) -> Result<Self, RecordError> {
        let value = found.entry().and_then(lww::read);
        value.map_or_else(|| Ok(Self::default()), |live| from_json(&live.payload))
    }

    fn write(&self, site: &Site<'_>) {
        write(self, site, PayloadKind::LWW);
    }

    fn edit(site: Site<'_>) -> PlainEdit<'_, T> {
        PlainEdit::of(site, None)
    }

    fn vary<D: Draw>(site: &Site<'_>, draw: &mut D) {
        draw.value::<Self>().unwrap_or_default().write(site);
    }
}

pub(super) fn write<T: Serialize>(value: &T, site: &Site<'_>, kind: PayloadKind) {
    site.with(|tx| Ok(tx.put(site.path().clone(), to_json(value, kind)?)?));
}

/// Changes a plain field.
pub struct PlainEdit<'p, T> {
    site: Site<'p>,
    resolve: Option<Resolver<T>>,
}

impl<'p, T> PlainEdit<'p, T> {
    pub(crate) fn of(site: Site<'p>, resolve: Option<Resolver<T>>) -> Self {
        Self { site, resolve }
    }
}

impl<T: Field + Serialize> PlainEdit<'_, T> {
    /// Replaces the value.
    pub fn set(&mut self, value: impl Into<T>) {
        write(&value.into(), &self.site, PayloadKind::LWW);
    }

    /// The value, with what this transaction wrote so far. The default when reading fails, which then fails the
    /// transaction.
    pub fn get(&self) -> T
    where
        T: Default + DeserializeOwned,
    {
        match self.resolve {
            Some(resolve) => self.site.read(|found| resolver::read(found.entry(), resolve)),
            None => self.site.value().unwrap_or_default(),
        }
    }
}

impl<T> std::fmt::Debug for PlainEdit<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PlainEdit").field(&self.site).finish()
    }
}
