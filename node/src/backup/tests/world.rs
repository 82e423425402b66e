//! Stores to make backups of: two nodes that write, delete, and send each other some of it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use millpond_core::wire::PushFrame;
use millpond_core::{
    Boot, Domain, Dot, Entry, Hlc, Incarnation, Namespace, NodeKey, Path, Payload, PayloadKind,
    Push, VersionVector,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::backup::error::Fault;
use crate::backup::fill::{Identity, fill};
use crate::backup::reader::BackupReader;
use crate::backup::writer::{About, write};
use crate::backup::{BackupProgress, Restore};
use crate::membership::{LogAuthors, Role, grant_role};
use crate::state::{
    Cut, CutMark, Heads, Identity as StoreIdentity, Job, Local, LocalClosure, Takeover,
    commit_group, meta_key, write_meta,
};
use crate::store::memory::MemoryStore;
use crate::store::{Changes, Durability, Snapshot, Store};

/// What happens at the nodes.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// A node writes at some keys at once, with values of this length.
    Write(usize, Vec<u8>, usize),
    /// A node deletes at a key.
    Delete(usize, u8),
    /// A node gets all that the other one has written.
    Hear(usize),
    /// A node opens a new incarnation with its next write.
    Renew(usize),
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let node = 0..2_usize;
    let step = prop_oneof![
        4 => (node.clone(), vec(any::<u8>(), 1..6), prop_oneof![9 => 0..100_usize, 1 => 0..70_000_usize])
            .prop_map(|(node, keys, bytes)| Step::Write(node, keys, bytes)),
        2 => (node.clone(), any::<u8>()).prop_map(|(node, key)| Step::Delete(node, key)),
        2 => node.clone().prop_map(Step::Hear),
        1 => node.prop_map(Step::Renew),
    ];
    vec(step, 0..60)
}

/// Two nodes of one domain.
pub(super) struct World {
    nodes: [Node; 2],
    now_ms: u64,
    incarnations: u8,
}

pub(super) struct Node {
    pub(super) key: NodeKey,
    pub(super) store: MemoryStore,
    pub(super) heads: Heads,
    /// What it wrote, and how much of that the other one has.
    written: Vec<Push>,
    told: usize,
}

impl World {
    /// The domain is founded by the first node, which both know.
    pub(super) fn new() -> Self {
        let nodes = [1, 2].map(|number| {
            let key = NodeKey::from_bytes([number; 32]);
            let store = MemoryStore::new();
            let mut changes = Changes::default();
            let about = StoreIdentity { store: [number; 16], domain: DOMAIN, key };
            write_meta(&mut changes, meta_key::identity(), Some(&about));
            let boot = Boot { counter: 3, random: 4 };
            write_meta(&mut changes, meta_key::boot(), Some(&boot));
            store.commit(&changes, Durability::Synced).unwrap();
            Node { key, store, heads: Heads::default(), written: Vec::new(), told: 0 }
        });
        let mut world = Self { nodes, now_ms: 1_000, incarnations: 0 };
        let [first, second] = [0, 1].map(|index| world.nodes[index].key);
        world.write(
            0,
            Namespace::SYSTEM,
            Box::new(move |tx| {
                grant_role(tx, first, Role::Admin, first, &LogAuthors::default())?;
                grant_role(tx, second, Role::Writer, first, &LogAuthors::default())
            }),
        );
        world.hear(1);
        world
    }

    pub(super) fn after(steps: &[Step]) -> Self {
        let mut world = Self::new();
        for step in steps {
            world.step(step);
        }
        world
    }

    pub(super) fn node(&self, node: usize) -> &Node {
        &self.nodes[node]
    }

    pub(super) fn step(&mut self, step: &Step) {
        match step.clone() {
            Step::Write(node, keys, bytes) => self.write(
                node,
                Namespace::MAIN,
                Box::new(move |tx| {
                    for key in keys {
                        let payload = vec![key; bytes];
                        let payload = Payload { kind: PayloadKind::LWW, bytes: payload.into() };
                        tx.put(path(key), payload)?;
                    }
                    Ok(())
                }),
            ),
            Step::Delete(node, key) => self.write(
                node,
                Namespace::MAIN,
                Box::new(move |tx| {
                    tx.delete(&path(key))?;
                    Ok(())
                }),
            ),
            Step::Hear(node) => self.hear(node),
            Step::Renew(node) => self.run(node, Job::Close),
        }
    }

    fn write(&mut self, node: usize, namespace: Namespace, closure: LocalClosure) {
        self.now_ms += 1;
        self.incarnations += 1;
        let fresh = Incarnation::from_bytes([self.incarnations; 16]);
        let (now_ms, key) = (self.now_ms, self.nodes[node].key);
        self.run(node, Job::Local(Local { namespace, closure, now_ms, ended: None, fresh, key }));
    }

    fn hear(&mut self, node: usize) {
        let other = &mut self.nodes[1 - node];
        let news: Vec<PushFrame> =
            other.written[other.told..].iter().map(PushFrame::encode).collect();
        other.told = other.written.len();
        if !news.is_empty() {
            self.run(node, Job::Pushes(news));
        }
    }

    /// A node gets all that the other one has as a cut, which it shows and has not folded.
    pub(super) fn take_unfolded(&mut self, node: usize) {
        let other = &self.nodes[1 - node];
        let (namespace, backup) = (Namespace::MAIN, other.backup());
        let upto = other.heads.vv(namespace).clone();
        let mut reader = BackupReader::begin(&backup[..]).unwrap();
        let mut rows = Vec::new();
        while let Some((of, frame)) = reader.next().unwrap() {
            rows.extend((of == namespace).then_some(frame));
        }
        let mark = CutMark {
            supplier: other.key,
            boot: Boot { counter: 1, random: 1 },
            from: VersionVector::new(),
            since: upto.clone(),
            upto,
            floor: VersionVector::new(),
            rows: rows.iter().map(|rows| rows.len() as u64).sum(),
            cursor: None,
            direct: false,
            compared: None,
        };
        let (begins, takes) = (true, Takeover::default());
        self.run(node, Job::Cut(Cut { namespace, mark: mark.clone(), begins, rows, takes }));
        self.run(node, Job::Flip { namespace, mark, rows_max: 0 });
        self.nodes[1 - node].told = self.nodes[1 - node].written.len();
    }

    /// Brings all that is shown to its place, in as many slices as its bytes take.
    pub(super) fn fold(&mut self, node: usize) {
        let namespace = Namespace::MAIN;
        while self.nodes[node].heads.folds.contains_key(&namespace) {
            self.run(node, Job::Fold { namespace, rows_max: usize::MAX });
        }
    }

    fn run(&mut self, node: usize, job: Job) {
        let node = &mut self.nodes[node];
        for outcome in commit_group(&node.store, &mut node.heads, vec![job]).unwrap() {
            // A delete of nothing is nothing.
            node.written.extend(outcome.unwrap().pushes);
        }
    }
}

impl Node {
    /// A backup of all that it has.
    pub(super) fn backup(&self) -> Vec<u8> {
        backup_of(&self.store)
    }
}

pub(super) fn backup_of(store: &dyn Store) -> Vec<u8> {
    let mut file = Vec::new();
    let about = About { name: "paris-1".into(), now_ms: 7, keys: None };
    write(&mut file, &store.snapshot().unwrap(), about, &mut go_on).unwrap();
    file
}

/// Restores a backup into a store, as a node of this key.
pub(super) fn restore_into(
    store: &dyn Store,
    backup: &[u8],
    key: NodeKey,
    how: &Restore,
) -> Result<bool, Fault> {
    let mut reader = BackupReader::begin(backup)?;
    let filled = fill(store, &mut reader, how, &mut go_on)?;
    let is_fork = matches!(how, Restore::AsFork);
    let identity = Identity {
        key,
        check: crate::sim::keys::verify,
        domain: if is_fork { FORK } else { DOMAIN },
        store: [9; 16],
        recovery: is_fork.then_some(RECOVERY),
        invite: None,
        fresh: Incarnation::from_bytes([255; 16]),
        now_ms: 5_000,
    };
    filled.finish(store, &identity).map(|(_, is_member)| is_member)
}

pub(super) fn go_on(_: BackupProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// All that makes up a namespace. Where transactions end is not in it: rows do not tell, of a catch-up as of a
/// backup, and nothing asks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dump {
    vv: VersionVector,
    pub(super) entries: BTreeMap<Path, Entry>,
    log: BTreeMap<Dot, (Path, Option<Hlc>)>,
}

pub(super) fn dump(store: &dyn Store, namespace: Namespace) -> Dump {
    let snapshot: Arc<dyn Snapshot> = store.snapshot().unwrap();
    let vv = Heads::load(&*snapshot).unwrap().vv(namespace).clone();
    let (mut entries, mut log) = (BTreeMap::new(), BTreeMap::new());
    snapshot
        .entries(namespace, None, None, &mut |path, entry| {
            entries.insert(path, entry);
            ControlFlow::Continue(())
        })
        .unwrap();
    for dot in vv.iter() {
        snapshot
            .log(namespace, dot.incarnation, 0, u64::MAX, &mut |dot, row| {
                log.insert(dot, (row.path, row.deleted));
                ControlFlow::Continue(())
            })
            .unwrap();
    }
    Dump { vv, entries, log }
}

fn path(key: u8) -> Path {
    // Few enough to meet again, in a few records.
    Path::new([&b"data"[..], &[b'a' + key % 5], &[b'a' + key % 7]]).unwrap()
}

pub(super) const DOMAIN: Domain = Domain::from_bytes([7; 16]);
pub(super) const FORK: Domain = Domain::from_bytes([8; 16]);
pub(super) const RECOVERY: NodeKey = NodeKey::from_bytes([77; 32]);

/// A value of each kind of step, for tests that need some data and not any data.
pub(super) fn some_steps() -> Vec<Step> {
    vec![
        Step::Write(0, vec![1, 2, 3], 20),
        Step::Write(1, vec![1, 9], 30),
        Step::Hear(0),
        Step::Delete(0, 2),
        Step::Renew(0),
        Step::Write(0, vec![4, 4, 1], 10),
        Step::Hear(1),
        Step::Write(1, vec![9], 5),
    ]
}

/// Bytes that no compression makes smaller.
pub(super) fn noise(length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes.into()
}
