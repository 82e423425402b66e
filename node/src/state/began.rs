//! What this boot began with: what a re-issue is relative to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use millpond_core::types::counter::Slot;
use millpond_core::{Dot, Namespace, Path, VersionVector};

/// The vectors that a boot began with, and the totals of this replica's own slots before the boot counted in
/// them. Shared by all copies of the heads: what a transaction that fails has noted is true all the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Began(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    vv: BTreeMap<Namespace, VersionVector>,
    slots: Mutex<BTreeMap<(Namespace, Path), Slot>>,
}

impl Began {
    pub(super) fn at(vv: BTreeMap<Namespace, VersionVector>) -> Self {
        Self(Arc::new(Inner { vv, slots: Mutex::default() }))
    }

    /// Whether a dot was here when the boot began.
    pub(crate) fn with(&self, namespace: Namespace, dot: Dot) -> bool {
        self.0.vv.get(&namespace).is_some_and(|vv| vv.covers(dot))
    }

    /// The vector that the boot began with.
    pub(crate) fn vv(&self, namespace: Namespace) -> VersionVector {
        self.0.vv.get(&namespace).cloned().unwrap_or_default()
    }

    /// Notes a slot before the boot counts in it, unless that is known, or as many are as may be.
    pub(super) fn note_slot(&self, namespace: Namespace, path: &Path, slot: Slot) {
        let mut slots = self.0.slots.lock().expect("nobody panics while holding it");
        if slots.len() < SLOTS_MAX {
            slots.entry((namespace, path.clone())).or_insert(slot);
        }
    }

    /// What a slot held before the boot counted in it.
    pub(super) fn slot(&self, namespace: Namespace, path: &Path) -> Option<Slot> {
        let slots = self.0.slots.lock().expect("nobody panics while holding it");
        slots.get(&(namespace, path.clone())).copied()
    }
}

/// It is no part of the state.
impl PartialEq for Began {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// About 20 MiB. What a slot beyond these has gained is joined instead, when it has to be issued again.
const SLOTS_MAX: usize = 100_000;
