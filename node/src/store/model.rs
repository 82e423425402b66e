//! Stores against a model: random commits, and the plain maps that they must equal.

use std::collections::BTreeMap;
use std::ops::ControlFlow::Continue;

use bytes::Bytes;
use millpond_core::{Dot, Entry, Namespace, Path, Seq};
use proptest::collection::vec;
use proptest::prelude::*;

use super::samples::{incarnation, live, path};
use super::{Changes, Durability, LogRow, MetaKey, Snapshot};

/// The maps that a store stands for.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Model {
    entries: BTreeMap<(Namespace, Path), Entry>,
    log: BTreeMap<(Namespace, Dot), LogRow>,
    staged: BTreeMap<(Namespace, Path), Bytes>,
    meta: BTreeMap<MetaKey, Bytes>,
}

impl Model {
    pub(super) fn apply(&mut self, changes: &Changes) {
        for (key, entry) in &changes.entries {
            set(&mut self.entries, key, (!entry.is_absent()).then_some(entry));
        }
        changes.log.iter().for_each(|(key, row)| set(&mut self.log, key, row.as_ref()));
        self.staged.retain(|(namespace, _), _| !changes.unstaged.contains(namespace));
        changes.staged.iter().for_each(|(key, row)| set(&mut self.staged, key, row.as_ref()));
        changes.meta.iter().for_each(|(key, value)| set(&mut self.meta, key, value.as_ref()));
    }

    /// Compares every row, by scans and by lookups.
    pub(super) fn assert_equals(&self, snapshot: &dyn Snapshot) {
        let mut stored = Self::default();
        for number in 0..NAMESPACES {
            let namespace = Namespace::from_number(number);
            let mut visit = |path, entry| {
                stored.entries.insert((namespace, path), entry);
                Continue(())
            };
            snapshot.entries(namespace, None, None, &mut visit).unwrap();
            let mut visit = |path, row| {
                stored.staged.insert((namespace, path), row);
                Continue(())
            };
            snapshot.staged(namespace, None, &mut visit).unwrap();
            self.assert_back_equals(snapshot, namespace);
            for number in 0..INCARNATIONS {
                let mut visit = |dot, row| {
                    stored.log.insert((namespace, dot), row);
                    Continue(())
                };
                snapshot.log(namespace, incarnation(number), 0, u64::MAX, &mut visit).unwrap();
            }
        }
        stored.meta.clone_from(&self.meta);
        assert_eq!(stored, *self);
        for ((namespace, path), entry) in &self.entries {
            assert_eq!(snapshot.entry(*namespace, path).unwrap(), *entry);
            for within in [path, &parent(path)] {
                self.assert_scan_equals(snapshot, *namespace, within, path);
            }
        }
        for ((namespace, dot), row) in &self.log {
            assert_eq!(snapshot.log_row(*namespace, *dot).unwrap().as_ref(), Some(row));
        }
        for ((namespace, path), row) in &self.staged {
            assert_eq!(snapshot.staged_row(*namespace, path).unwrap().as_ref(), Some(row));
        }
        for name in META_NAMES {
            let key = MetaKey(name.to_owned());
            assert_eq!(snapshot.meta(&key).unwrap().as_ref(), self.meta.get(&key));
        }
    }

    /// Staged rows from the end, and from each row on.
    fn assert_back_equals(&self, snapshot: &dyn Snapshot, of: Namespace) {
        let paths = || self.staged.keys().filter(|(namespace, _)| *namespace == of);
        let ends = paths().map(|(_, path)| Some(path.as_bytes()));
        for below in ends.chain([None, Some(&[][..])]) {
            let is_before = |path: &Path| below.is_none_or(|below| path.as_bytes() < below);
            let expected: Vec<&Path> =
                paths().map(|(_, path)| path).filter(|it| is_before(it)).collect();
            let mut found = Vec::new();
            let mut visit = |path, _| {
                found.push(path);
                Continue(())
            };
            snapshot.staged_back(of, below, &mut visit).unwrap();
            found.reverse();
            assert_eq!(found.iter().collect::<Vec<_>>(), expected);
        }
    }

    fn assert_scan_equals(
        &self,
        snapshot: &dyn Snapshot,
        of: Namespace,
        within: &Path,
        after: &Path,
    ) {
        let rows = self.entries.iter().filter(|((namespace, path), _)| {
            *namespace == of && path.is_within(within) && path > after
        });
        let expected: Vec<&Path> = rows.map(|((_, path), _)| path).collect();
        let mut found = Vec::new();
        let mut visit = |path, _| {
            found.push(path);
            Continue(())
        };
        snapshot.entries(of, Some(within), Some(after), &mut visit).unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected);
    }
}

/// A commit that often meets the rows of earlier ones.
pub(super) fn changes() -> impl Strategy<Value = Changes> {
    let namespace = || (0..NAMESPACES).prop_map(Namespace::from_number);
    let dot = || {
        let seq = prop_oneof![4 => 1..200_u64, 1 => any::<u64>().prop_map(|seq| seq | 1)];
        (0..INCARNATIONS, seq)
            .prop_map(|(number, seq)| Dot::new(incarnation(number), Seq::new(seq).unwrap()))
    };
    let value = prop_oneof![6 => 0..40_usize, 1 => 0..3_000_usize].prop_map(|len| "v".repeat(len));
    let live = (dot(), value).prop_map(|(dot, value)| live(dot, &value));
    let entry = vec(live, 0..3).prop_map(Entry::from_live);
    let row = (paths(), any::<Option<u64>>(), any::<bool>()).prop_map(
        |(path, deleted, ends_transaction)| LogRow {
            path,
            deleted: deleted.map(millpond_core::Hlc::from_bits),
            ends_transaction,
        },
    );
    let bytes = || proptest::option::of(vec(any::<u8>(), 0..20).prop_map(Bytes::from));
    let meta = (0..META_NAMES.len()).prop_map(|index| MetaKey(META_NAMES[index].to_owned()));
    let entries = vec(((namespace(), paths()), entry), 0..60);
    let log = vec(((namespace(), dot()), proptest::option::of(row)), 0..60);
    let unstaged = prop_oneof![3 => Just(None), 1 => namespace().prop_map(Some)];
    let staged = vec(((namespace(), paths()), bytes()), 0..20);
    (entries, log, unstaged, staged, vec((meta, bytes()), 0..4)).prop_map(
        |(entries, log, unstaged, staged, meta)| Changes {
            damaged_entries: Default::default(),
            damaged_log: Default::default(),
            entries: entries.into_iter().collect(),
            log: log.into_iter().collect(),
            unstaged: unstaged.into_iter().collect(),
            staged: staged.into_iter().collect(),
            meta: meta.into_iter().collect(),
        },
    )
}

pub(super) fn durability() -> impl Strategy<Value = Durability> {
    prop_oneof![Just(Durability::Synced), Just(Durability::Buffered)]
}

/// Few records, some with many fields.
fn paths() -> impl Strategy<Value = Path> {
    let component = "[ab\u{0}]{0,2}";
    let deep = (0..4_u8, 0..400_u16).prop_map(|(key, field)| path(&format!("c/{key}/f/{field}")));
    let any = vec(component, 1..5).prop_map(|components| Path::new(components).unwrap());
    prop_oneof![2 => deep, 1 => any]
}

fn parent(path: &Path) -> Path {
    let mut components: Vec<_> = path.components().collect();
    if components.len() > 1 {
        components.pop();
    }
    Path::new(components).unwrap()
}

fn set<K: Ord + Clone, V: Clone>(map: &mut BTreeMap<K, V>, key: &K, value: Option<&V>) {
    match value {
        Some(value) => map.insert(key.clone(), value.clone()),
        None => map.remove(key),
    };
}

const NAMESPACES: u32 = 3;
const INCARNATIONS: u8 = 3;
const META_NAMES: [&str; 4] = ["", "a", "vv", "vv/1"];
