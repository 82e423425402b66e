//! Which records a reader of changes wants.

use std::ops::ControlFlow;

use millpond_core::{Entry, Path};

use crate::records::{RecordId, each_record, entries_of};
use crate::state::View;
use crate::store::StoreError;

/// Which records to follow. All of them by default; each condition narrows it down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangeFilter {
    /// Only of this collection.
    pub collection: Option<String>,
    /// Only of keys that start so.
    pub prefix: String,
    /// Only of this key.
    pub key: Option<String>,
}

impl ChangeFilter {
    /// Whether a record is wanted.
    pub fn wants(&self, id: &RecordId) -> bool {
        self.collection.as_deref().is_none_or(|collection| collection == id.collection())
            && id.key().starts_with(&self.prefix)
            && self.key.as_deref().is_none_or(|key| key == id.key())
    }

    /// Visits the wanted records of a view, reading no more than it has to.
    pub(super) fn scan(
        &self,
        view: &View,
        visit: &mut dyn FnMut(RecordId, Vec<(Path, Entry)>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let Some(collection) = &self.collection else {
            return each_record(view, None, None, &mut |id, entries| match self.wants(&id) {
                true => visit(id, entries),
                false => ControlFlow::Continue(()),
            });
        };
        if let Some(key) = &self.key {
            // A name that no record can have is of none.
            let id = RecordId::new(collection, key).ok().filter(|id| self.wants(id));
            let Some(id) = id else { return Ok(()) };
            let entries = entries_of(view, &id)?;
            if !entries.is_empty() {
                let _ = visit(id, entries);
            }
            return Ok(());
        }
        let (within, after) = (Path::new([collection]), Path::new([collection, &self.prefix]));
        let (Ok(within), Ok(after)) = (within, after) else { return Ok(()) };
        each_record(view, Some(&within), Some(&after), &mut |id, entries| match id
            .key()
            .starts_with(&self.prefix)
        {
            true => visit(id, entries),
            false => ControlFlow::Break(()),
        })
    }
}
