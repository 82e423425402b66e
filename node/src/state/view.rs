//! Reading: a consistent snapshot at one version vector.

use std::ops::ControlFlow;
use std::sync::Arc;

use millpond_core::{Dot, Entry, Incarnation, Namespace, Path, VersionVector};

use super::heads::{CutMark, meta_key, read_meta};
use super::lost::whole;
use super::overlay::Overlay;
use crate::store::{DamagedEntries, LogRow, Snapshot, StoreError};

/// A consistent snapshot of one namespace, as of one version vector. Cheap to clone; holding one keeps the
/// store from reusing the space of what changed since.
///
/// Dots that the vector does not cover are never shown: they belong to a cut that is still arriving, and a
/// reader sees all of it or nothing.
#[derive(Clone)]
pub struct View {
    snapshot: Arc<dyn Snapshot>,
    namespace: Namespace,
    vv: Arc<VersionVector>,
}

impl View {
    pub(crate) fn new(
        snapshot: Arc<dyn Snapshot>,
        namespace: Namespace,
    ) -> Result<Self, StoreError> {
        let vv = read_meta(&*snapshot, &meta_key::vv(namespace))?.unwrap_or_default();
        let snapshot = Overlay::over(snapshot, namespace)?;
        Ok(Self { snapshot, namespace, vv: Arc::new(vv) })
    }

    /// The same with a staged cut that is arriving, as if that were all of it.
    pub(crate) fn with_cut(
        snapshot: Arc<dyn Snapshot>,
        namespace: Namespace,
        cut: &CutMark,
    ) -> Result<Self, StoreError> {
        let before: VersionVector =
            read_meta(&*snapshot, &meta_key::vv(namespace))?.unwrap_or_default();
        let mut vv = before.clone();
        vv.join(&cut.upto);
        let snapshot = Overlay::with_cut(snapshot, namespace, before, cut.upto.clone());
        Ok(Self { snapshot, namespace, vv: Arc::new(vv) })
    }

    /// The vector that this view is at.
    pub fn vv(&self) -> &VersionVector {
        &self.vv
    }

    /// What it is a view of.
    pub(crate) fn namespace(&self) -> Namespace {
        self.namespace
    }

    /// The snapshot as readers of the namespace see it, hidden dots included.
    pub(crate) fn snapshot(&self) -> &dyn Snapshot {
        &*self.snapshot
    }

    /// Below this vector nothing tells any more what was deleted.
    pub(crate) fn floor(&self) -> Result<VersionVector, StoreError> {
        Ok(read_meta(&*self.snapshot, &meta_key::floor(self.namespace))?.unwrap_or_default())
    }

    /// The entry at a path; absent when there is none.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when its checksum does not match, [`StoreError::Lost`] when it did not, or
    /// [`StoreError::Io`].
    pub fn entry(&self, path: &Path) -> Result<Entry, StoreError> {
        whole(path, self.entry_with_lost(path)?)
    }

    /// The entry at a path, though something of it may be lost: for whoever looks at its dots only.
    pub(crate) fn entry_with_lost(&self, path: &Path) -> Result<Entry, StoreError> {
        Ok(self.snapshot.entry(self.namespace, path)?.visible_at(&self.vv))
    }

    /// Visits entries in path order: those at and below `within`, if given, and beyond `after`, if given.
    /// Absent ones are not shown. The visitor stops the scan by breaking.
    ///
    /// # Errors
    /// As [`View::entry`]; the visitor has seen what came before.
    pub fn entries(
        &self,
        within: Option<&Path>,
        after: Option<&Path>,
        visit: &mut dyn FnMut(Path, Entry) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut lost = None;
        self.entries_with_lost(within, after, &mut |path, entry| match whole(&path, entry) {
            Ok(entry) => visit(path, entry),
            Err(error) => {
                lost = Some(error);
                ControlFlow::Break(())
            }
        })?;
        lost.map_or(Ok(()), Err)
    }

    /// Visits entries as [`View::entries`] does, those too of which something is lost.
    pub(crate) fn entries_with_lost(
        &self,
        within: Option<&Path>,
        after: Option<&Path>,
        visit: &mut dyn FnMut(Path, Entry) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.snapshot.entries(self.namespace, within, after, &mut |path, entry| {
            let entry = entry.visible_at(&self.vv);
            if entry.is_absent() { ControlFlow::Continue(()) } else { visit(path, entry) }
        })
    }

    /// Visits all entries beyond `after`, those of which something is lost too, and goes on behind damaged values,
    /// of which the visitor learns the place.
    pub(crate) fn sound_entries(
        &self,
        after: Option<&Path>,
        visit: &mut dyn FnMut(Result<(Path, Entry), DamagedEntries>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.snapshot.sound_entries(self.namespace, after, &mut |met| {
            let (path, entry) = match met {
                Ok(met) => met,
                Err(damaged) => return visit(Err(damaged)),
            };
            let entry = entry.visible_at(&self.vv);
            if entry.is_absent() {
                return ControlFlow::Continue(());
            }
            visit(Ok((path, entry)))
        })
    }

    /// Visits the log rows of an incarnation with seqs in `(after, upto]`: where its live dots and its
    /// tombstones are.
    ///
    /// # Errors
    /// As [`View::entry`].
    pub fn log(
        &self,
        incarnation: Incarnation,
        after: u64,
        upto: u64,
        visit: &mut dyn FnMut(Dot, LogRow) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let upto = upto.min(self.vv.seq(incarnation));
        if after >= upto {
            return Ok(());
        }
        self.snapshot.log(self.namespace, incarnation, after, upto, visit)
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("namespace", &self.namespace).field("vv", &self.vv).finish()
    }
}
