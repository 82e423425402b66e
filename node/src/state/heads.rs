//! The small facts that every commit reads and most change: vectors, incarnations, clock, cuts under way.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use millpond_core::{
    Boot, Domain, Hlc, HybridClock, Incarnation, Namespace, NodeKey, Path, VersionVector,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::began::Began;
use super::clear::Clear;
use super::delayed::{Delayed, SHOWN};
use super::fold::Fold;
use super::tombstones::Tombstones;
use crate::indexes::Indexing;
use crate::membership::Finals;
use crate::planted::planted;
use crate::probes::always;
use crate::store::{Changes, MetaKey, Snapshot, StoreError};

/// Who a store belongs to. Written once, when it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// Drawn when the store was made: two folders with one id are copies.
    pub(crate) store: [u8; 16],
    /// The domain that its data belongs to.
    pub(crate) domain: Domain,
    /// The key by which the node is known: its first one.
    pub(crate) key: NodeKey,
}

/// A cut that is arriving: whose, between which vectors, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CutMark {
    /// The supplier.
    pub(crate) supplier: NodeKey,
    /// The supplier's boot: its snapshots do not outlive it, but its vector only grows.
    pub(crate) boot: Boot,
    /// The base that the rows are complete relative to.
    pub(crate) from: VersionVector,
    /// The vector after the flip.
    pub(crate) upto: VersionVector,
    /// The floor that comes with it: the supplier's, which `upto` covers.
    pub(crate) floor: VersionVector,
    /// The vector that every row here is at, at least: the first `upto`. A transfer that was resumed and cut
    /// off again may not have sent again all that changed since.
    pub(crate) since: VersionVector,
    /// How many rows came so far; one that came twice counts twice.
    pub(crate) rows: u64,
    /// The last path that is durably here, encoded; none yet.
    pub(crate) cursor: Option<Vec<u8>>,
    /// Whether rows go straight to the final tables, hidden since no vector covers them.
    pub(crate) direct: bool,
    /// In a refresh: up to where what is here has been compared with what the supplier holds.
    pub(crate) compared: Option<VersionVector>,
}

impl CutMark {
    /// The last path that is durably here.
    pub(crate) fn cursor(&self) -> Option<Path> {
        let encoded = Bytes::from(self.cursor.clone()?);
        Path::from_encoded(encoded).ok()
    }
}

/// The state of a replica apart from its entries, as of the latest commit.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Heads {
    /// The applied vector of each namespace.
    pub(crate) vv: BTreeMap<Namespace, VersionVector>,
    /// Below these vectors, which `vv` covers, tombstones are gone.
    pub(crate) floor: BTreeMap<Namespace, VersionVector>,
    /// The tombstones that are left, above the floor or between its entries.
    pub(crate) tombstones: BTreeMap<Namespace, Tombstones>,
    /// Up to here slots of counters were looked at, whether they may go.
    pub(crate) compacted: BTreeMap<Namespace, VersionVector>,
    /// The incarnation under which this replica writes, once it has written.
    pub(crate) open: Option<Incarnation>,
    /// All incarnations of this replica, oldest first.
    pub(crate) incarnations: Vec<Incarnation>,
    /// Issues stamps.
    pub(crate) clock: HybridClock,
    /// No stamp up to here is issued again after a restart.
    pub(crate) ceiling: Hlc,
    /// Cuts that are arriving.
    pub(crate) cuts: BTreeMap<Namespace, CutMark>,
    /// Cuts that are visible and not yet folded. While one is, no other cut arrives.
    pub(crate) folds: BTreeMap<Namespace, Fold>,
    /// Cuts that were given up and are not gone yet. The same holds.
    pub(crate) clears: BTreeMap<Namespace, Clear>,
    /// How a delayed replica is with what it has yet to show.
    pub(crate) delayed: Option<Box<Delayed>>,
    /// The vectors at the latest local transaction of this boot: what dependencies are relative to.
    pub(crate) last_local: BTreeMap<Namespace, VersionVector>,
    /// The indexes.
    pub(crate) indexing: Indexing,
    /// What this boot began with.
    pub(crate) began: Began,
}

/// What becomes of the last cut of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nothing is left of it.
    Free,
    /// It is visible, and some of its rows are not folded.
    Folding,
    /// It was given up, and some of its rows are still here.
    Clearing,
}

impl Heads {
    /// Reads the heads that the store holds.
    pub(crate) fn load(snapshot: &dyn Snapshot) -> Result<Self, StoreError> {
        let mut heads = Self::default();
        for namespace in NAMESPACES {
            if let Some(vv) = read_meta(snapshot, &meta_key::vv(namespace))? {
                heads.vv.insert(namespace, vv);
            }
            if let Some(floor) = read_meta(snapshot, &meta_key::floor(namespace))? {
                heads.floor.insert(namespace, floor);
            }
            if let Some(tombstones) = read_meta(snapshot, &meta_key::tombstones(namespace))? {
                heads.tombstones.insert(namespace, tombstones);
            }
            if let Some(compacted) = read_meta(snapshot, &meta_key::compacted(namespace))? {
                heads.compacted.insert(namespace, compacted);
            }
            if let Some(cut) = read_meta(snapshot, &meta_key::cut(namespace))? {
                heads.cuts.insert(namespace, cut);
            }
            if let Some(fold) = Fold::of(snapshot, namespace)? {
                heads.folds.insert(namespace, fold);
            }
            if let Some(clear) = read_meta(snapshot, &meta_key::clear(namespace))? {
                heads.clears.insert(namespace, clear);
            }
        }
        heads.began = Began::at(heads.vv.clone());
        heads.delayed = read_meta(snapshot, &meta_key::delayed())?.map(Box::new);
        if let Some(vv) = read_meta(snapshot, &meta_key::vv(SHOWN))? {
            heads.vv.insert(SHOWN, vv);
            let floor = read_meta(snapshot, &meta_key::floor(SHOWN))?;
            heads.floor.insert(SHOWN, floor.unwrap_or_default());
        }
        heads.indexing.stored = read_meta(snapshot, &meta_key::indexes())?.map(Arc::new);
        heads.open = read_meta(snapshot, &meta_key::open())?;
        heads.incarnations = read_meta(snapshot, &meta_key::incarnations())?.unwrap_or_default();
        heads.ceiling = read_meta(snapshot, &meta_key::ceiling())?.unwrap_or_default();
        heads.clock = HybridClock::starting_above(heads.ceiling);
        if planted!("the first push of a boot depends on all") {
            heads.last_local = heads.vv.clone();
        }
        Ok(heads)
    }

    /// The applied vector of a namespace.
    pub(crate) fn vv(&self, namespace: Namespace) -> &VersionVector {
        self.vv.get(&namespace).unwrap_or(&NOTHING)
    }

    /// Below this vector tombstones of a namespace are gone.
    pub(crate) fn floor(&self, namespace: Namespace) -> &VersionVector {
        self.floor.get(&namespace).unwrap_or(&NOTHING)
    }

    /// The tombstones of a namespace.
    pub(crate) fn tombstones(&self, namespace: Namespace) -> &Tombstones {
        static NONE: Tombstones = Tombstones::NONE;
        self.tombstones.get(&namespace).unwrap_or(&NONE)
    }

    /// How far an incarnation came, as far as this replica has applied.
    pub(crate) fn covered_of(&self, incarnation: Incarnation) -> Finals {
        let vectors = NAMESPACES.iter().map(|&namespace| (namespace, self.vv(namespace)));
        Finals::covered(incarnation, vectors)
    }

    /// Whether a cut can arrive in a namespace.
    pub(crate) fn place(&self, namespace: Namespace) -> Place {
        match (self.folds.get(&namespace), self.clears.get(&namespace)) {
            (Some(_), _) => Place::Folding,
            (None, Some(_)) => Place::Clearing,
            (None, None) => Place::Free,
        }
    }

    /// Writes what differs from `before` into `changes`, raising the clock's ceiling ahead of need.
    pub(crate) fn save(&mut self, before: &Self, changes: &mut Changes) {
        if self.clock.last() > self.ceiling && !planted!("the clock's ceiling is on disk") {
            self.ceiling = Hlc::from_ms(self.clock.last().ms() + CEILING_AHEAD_MS);
            write_meta(changes, meta_key::ceiling(), Some(&self.ceiling));
        }
        for (&namespace, vv) in &self.vv {
            if before.vv.get(&namespace) != Some(vv) {
                write_meta(changes, meta_key::vv(namespace), Some(vv));
            }
        }
        for (&namespace, floor) in &self.floor {
            always!(self.vv(namespace).covers_all(floor), "what was collected was covered");
            if before.floor.get(&namespace) != Some(floor) {
                write_meta(changes, meta_key::floor(namespace), Some(floor));
            }
        }
        for (&namespace, tombstones) in &self.tombstones {
            if before.tombstones.get(&namespace) != Some(tombstones) {
                write_meta(changes, meta_key::tombstones(namespace), Some(tombstones));
            }
        }
        for namespace in NAMESPACES {
            let compacted = self.compacted.get(&namespace);
            if before.compacted.get(&namespace) != compacted {
                write_meta(changes, meta_key::compacted(namespace), compacted);
            }
            let cut = self.cuts.get(&namespace);
            if before.cuts.get(&namespace) != cut {
                write_meta(changes, meta_key::cut(namespace), cut);
            }
            let fold = self.folds.get(&namespace);
            if before.folds.get(&namespace) != fold {
                write_meta(changes, meta_key::fold(namespace), fold);
            }
            let clear = self.clears.get(&namespace);
            if before.clears.get(&namespace) != clear {
                write_meta(changes, meta_key::clear(namespace), clear);
            }
        }
        if before.delayed != self.delayed {
            write_meta(changes, meta_key::delayed(), self.delayed.as_deref());
        }
        if before.indexing != self.indexing {
            write_meta(changes, meta_key::indexes(), self.indexing.stored.as_deref());
        }
        if before.open != self.open {
            write_meta(changes, meta_key::open(), self.open.as_ref());
        }
        if before.incarnations != self.incarnations {
            write_meta(changes, meta_key::incarnations(), Some(&self.incarnations));
        }
    }
}

/// The names of meta values.
pub(crate) mod meta_key {
    use millpond_core::{Namespace, NodeKey};

    use crate::store::MetaKey;

    pub(crate) fn identity() -> MetaKey {
        MetaKey("identity".into())
    }

    pub(crate) fn boot() -> MetaKey {
        MetaKey("boot".into())
    }

    pub(crate) fn open() -> MetaKey {
        MetaKey("open".into())
    }

    pub(crate) fn incarnations() -> MetaKey {
        MetaKey("incarnations".into())
    }

    pub(crate) fn ceiling() -> MetaKey {
        MetaKey("clock-ceiling".into())
    }

    pub(crate) fn vv(namespace: Namespace) -> MetaKey {
        MetaKey(format!("vv/{}", namespace.number()))
    }

    pub(crate) fn floor(namespace: Namespace) -> MetaKey {
        MetaKey(format!("floor/{}", namespace.number()))
    }

    pub(crate) fn tombstones(namespace: Namespace) -> MetaKey {
        MetaKey(format!("tombstones/{}", namespace.number()))
    }

    pub(crate) fn compacted(namespace: Namespace) -> MetaKey {
        MetaKey(format!("compacted/{}", namespace.number()))
    }

    pub(crate) fn cut(namespace: Namespace) -> MetaKey {
        MetaKey(format!("cut/{}", namespace.number()))
    }

    pub(crate) fn fold(namespace: Namespace) -> MetaKey {
        MetaKey(format!("fold/{}", namespace.number()))
    }

    pub(crate) fn clear(namespace: Namespace) -> MetaKey {
        MetaKey(format!("clear/{}", namespace.number()))
    }

    pub(crate) fn member(key: NodeKey) -> MetaKey {
        MetaKey(format!("member/{key}"))
    }

    pub(crate) fn introduced() -> MetaKey {
        MetaKey("introduced".into())
    }

    pub(crate) fn invites() -> MetaKey {
        MetaKey("invites/2".into())
    }

    pub(crate) fn pending_invite() -> MetaKey {
        MetaKey("pending-invite".into())
    }

    pub(crate) fn delayed() -> MetaKey {
        MetaKey("delayed".into())
    }

    pub(crate) fn indexes() -> MetaKey {
        MetaKey("indexes".into())
    }

    pub(crate) fn rehab() -> MetaKey {
        MetaKey("rehab".into())
    }

    pub(crate) fn fenced() -> MetaKey {
        MetaKey("fenced".into())
    }

    pub(crate) fn overtaken() -> MetaKey {
        MetaKey("overtaken".into())
    }
}

/// Reads a meta value; an unreadable one is corrupt.
pub(crate) fn read_meta<T: DeserializeOwned>(
    snapshot: &dyn Snapshot,
    key: &MetaKey,
) -> Result<Option<T>, StoreError> {
    let Some(bytes) = snapshot.meta(key)? else { return Ok(None) };
    let value = postcard::from_bytes(&bytes)
        .map_err(|_| StoreError::Corrupt { what: format!("meta value {:?}", key.0) })?;
    Ok(Some(value))
}

/// Puts a meta value into `changes`; `None` drops it.
pub(crate) fn write_meta<T: Serialize>(changes: &mut Changes, key: MetaKey, value: Option<&T>) {
    let bytes = value.map(|value| {
        Bytes::from(postcard::to_allocvec(value).expect("plain values always encode"))
    });
    changes.meta.insert(key, bytes);
}

static NOTHING: VersionVector = VersionVector::new();

/// The namespaces of this version.
const NAMESPACES: [Namespace; 2] = [Namespace::SYSTEM, Namespace::MAIN];

/// How far ahead of the last stamp the ceiling is written: a write to disk at most once in this time.
const CEILING_AHEAD_MS: u64 = 1_000;
