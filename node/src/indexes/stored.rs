//! What a store knows of its indexes: which there are, how far each is built, and what is left of earlier ones.

use std::fmt;
use std::sync::Arc;

use millpond_core::{Boot, Namespace, Path};
use serde::{Deserialize, Serialize};

use super::declared::Declared;
use crate::planted::planted;
use crate::probes::sometimes;
use crate::state::{Heads, meta_key, read_meta, shown_in, write_meta};
use crate::store::{Changes, Snapshot, StoreError};

/// The indexes of a store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Indexes {
    /// The number of the namespace that they are of: the one that readers see.
    pub(crate) of: u32,
    /// The boot that keeps them. A later one by a program that knows nothing of indexes leaves this as it is.
    boot: Option<Boot>,
    /// The number of the next one.
    next: u32,
    /// Those that are kept.
    pub(crate) kept: Vec<Kept>,
    /// The numbers of those whose rows have yet to be dropped.
    pub(crate) leaving: Vec<u32>,
}

/// An index that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Its rows' namespace: see [`rows_of`].
    pub(crate) number: u32,
    pub(crate) collection: String,
    pub(crate) name: String,
    definition: [u8; 16],
    pub(crate) built: Built,
}

/// How far an index is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Built {
    /// All records are listed.
    Whole,
    /// Those are whose paths are not beyond this one, encoded; none yet.
    Upto(Option<Vec<u8>>),
}

/// The indexes, as whoever changes the store knows them.
#[derive(Clone, Default)]
pub(crate) struct Indexing {
    /// What this program declares.
    pub(crate) declared: Arc<[Declared]>,
    /// What the store has of that; nothing where there never was an index.
    pub(crate) stored: Option<Arc<Indexes>>,
    /// How many rows this group of jobs is to build or to drop.
    pub(crate) slice_rows: usize,
    /// Whether this group is to begin anew with some, by their numbers.
    pub(crate) renews: Vec<u32>,
}

impl Indexes {
    /// The index of a collection.
    pub(crate) fn find(&self, collection: &str, name: &str) -> Option<&Kept> {
        self.kept.iter().find(|it| it.collection == collection && it.name == name)
    }

    /// Begins anew with an index.
    pub(super) fn renew(&mut self, place: usize) {
        let kept = &mut self.kept[place];
        if kept.built == Built::Upto(None) {
            return;
        }
        sometimes!(IndexRenewed);
        self.leaving.push(std::mem::replace(&mut kept.number, self.next));
        kept.built = Built::Upto(None);
        self.next += 1;
    }

    pub(super) fn renew_all(&mut self) {
        (0..self.kept.len()).for_each(|place| self.renew(place));
    }
}

impl Kept {
    /// Whether the rows of a record are kept: it is not to be listed later anyway.
    pub(super) fn covers(&self, record: &Path) -> bool {
        match &self.built {
            Built::Whole => true,
            Built::Upto(upto) => upto.as_deref().is_some_and(|upto| record.as_bytes() <= upto),
        }
    }
}

impl Indexing {
    /// Whether there is something to build or to drop.
    pub(crate) fn has_work(&self, heads: &Heads) -> bool {
        let Some(stored) = &self.stored else { return false };
        let is_built = |kept: &Kept| kept.built == Built::Whole;
        !stored.leaving.is_empty()
            || (!stored.kept.iter().all(is_built) && !hides(heads, heads.shown()))
    }

    /// What is declared of an index.
    pub(super) fn declared(&self, kept: &Kept) -> Option<&Declared> {
        let is_it = |it: &&Declared| it.collection == kept.collection && it.name == kept.name;
        self.declared.iter().find(is_it)
    }
}

/// By what the store has: what a program declares does not change while it runs.
impl PartialEq for Indexing {
    fn eq(&self, other: &Self) -> bool {
        self.stored == other.stored
    }
}

impl fmt::Debug for Indexing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Indexing").field(&self.stored).finish()
    }
}

/// The namespace whose staged rows are the rows of an index. It is on no wire, and none is used twice.
pub(crate) fn rows_of(number: u32) -> Namespace {
    Namespace::from_number(FIRST_NAMESPACE + number)
}

/// Whether rows may lie in the tables that no vector covers, and that a vector may cover one day though nothing
/// changes in them. What a delayed replica shows may always have some: it takes over, later, what lay hidden once.
pub(super) fn hides(heads: &Heads, namespace: Namespace) -> bool {
    namespace != Namespace::MAIN
        || heads.cuts.get(&namespace).is_some_and(|cut| cut.direct)
        || heads.clears.get(&namespace).is_some_and(|it| it.direct.is_some())
}

/// A boot begins: brings what a store has in line with what its program declares. Indexes of which that is not known
/// are built anew, in time.
///
/// # Errors
/// Any [`StoreError`] of reading.
pub(crate) fn settle_indexes(
    snapshot: &dyn Snapshot,
    declared: &[Declared],
    (last, boot): (Option<Boot>, Boot),
    changes: &mut Changes,
) -> Result<(), StoreError> {
    let held: Option<Indexes> = read_meta(snapshot, &meta_key::indexes())?;
    if held.is_none() && declared.is_empty() {
        return Ok(());
    }
    let held = held.unwrap_or_default();
    let of = shown_in(snapshot)?.number();
    let is_known = held.boot == last || planted!("an index is kept by every boot");
    let mut settled = Indexes { of, boot: Some(boot), next: held.next, ..Indexes::default() };
    let mut left = held.kept;
    for declared in declared {
        let definition = declared.definition();
        let is_it = |kept: &Kept| {
            kept.collection == declared.collection
                && kept.name == declared.name
                && (kept.definition == definition
                    || planted!("an index that is declared otherwise is built anew"))
        };
        let place = left.iter().position(is_it).filter(|_| is_known && held.of == of);
        let kept = place.map(|place| left.remove(place)).unwrap_or_else(|| {
            settled.next += 1;
            Kept {
                number: settled.next - 1,
                collection: declared.collection.to_owned(),
                name: declared.name.to_owned(),
                definition,
                built: Built::Upto(None),
            }
        });
        sometimes!(matches!(kept.built, Built::Upto(Some(_))), IndexBuildGoesOn);
        settled.kept.push(kept);
    }
    settled.leaving = held.leaving;
    settled.leaving.extend(left.into_iter().map(|kept| kept.number));
    let is_over = settled.kept.is_empty() && settled.leaving.is_empty();
    write_meta(changes, meta_key::indexes(), (!is_over).then_some(&settled));
    Ok(())
}

/// What readers see is about to change in a way that indexes do not follow.
///
/// # Errors
/// Any [`StoreError`] of reading.
pub(crate) fn distrust(snapshot: &dyn Snapshot, changes: &mut Changes) -> Result<(), StoreError> {
    let held: Option<Indexes> = read_meta(snapshot, &meta_key::indexes())?;
    if let Some(held) = held {
        let held = Indexes { boot: None, ..held };
        write_meta(changes, meta_key::indexes(), Some(&held));
    }
    Ok(())
}

/// Beyond all that peers speak of.
const FIRST_NAMESPACE: u32 = 0xe000_0000;
