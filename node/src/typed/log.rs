//! Fields to which everybody appends.

use std::marker::PhantomData;

use millpond_core::PayloadKind;
use millpond_core::types::log;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::records::RecordError;
use crate::typed::site::{from_json, to_json};
use crate::typed::{Draw, Field, Found, Site};

/// A log: what is appended anywhere is kept, in one order everywhere, and each append costs its own size.
///
/// The lattice, the order and its limits are those of [`millpond_core::types::log`]; the bottom is the empty
/// log. Appends made at once all stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Log<T>(Vec<T>);

impl<T> Log<T> {
    /// The entries, the earliest first.
    pub fn entries(&self) -> &[T] {
        &self.0
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Serialize + DeserializeOwned + Send + 'static> Field for Log<T> {
    type Edit<'p> = LogEdit<'p, T>;

    fn read(found: &Found<'_>) -> Result<Self, RecordError> {
        let entries = log::read(found.children().filter_map(|(_, found)| found.entry()));
        entries.into_iter().map(|live| from_json(&live.payload)).collect::<Result<_, _>>().map(Self)
    }

    /// Appends what the log has, in place of what is there. One that holds the same already stays.
    fn write(&self, site: &Site<'_>) {
        let held: Vec<serde_json::Value> = site.value::<Log<_>>().unwrap_or_default().0;
        let same = self.0.len() == held.len()
            && self
                .0
                .iter()
                .zip(&held)
                .all(|(new, held)| serde_json::to_value(new).is_ok_and(|new| new == *held));
        if same {
            return;
        }
        site.clear();
        let mut edit = Self::edit(site.clone());
        self.0.iter().for_each(|entry| edit.append(entry));
    }

    fn edit(site: Site<'_>) -> LogEdit<'_, T> {
        LogEdit { site, of: PhantomData }
    }

    fn vary<D: Draw>(site: &Site<'_>, draw: &mut D) {
        let mut edit = Self::edit(site.clone());
        draw.value().iter().for_each(|entry| edit.append(entry));
    }
}

/// Appends to a log.
#[derive(Debug)]
pub struct LogEdit<'p, T> {
    site: Site<'p>,
    of: PhantomData<T>,
}

impl<T: Serialize> LogEdit<'_, T> {
    /// Appends an entry.
    pub fn append(&mut self, entry: &T) {
        self.site.with(|tx| {
            let payload = to_json(entry, PayloadKind::LOG)?;
            Ok(tx.append(self.site.path(), payload.bytes)?)
        });
    }
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> FromIterator<T> for Log<T> {
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}
