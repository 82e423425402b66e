//! Indexes of typed records, against a scan of all of them, over both ways to build and to change one.

use std::sync::Arc;

use millpond_core::{Boot, Incarnation, Namespace, NodeKey, Path, Payload, PayloadKind};
use proptest::prelude::*;

use super::audit::{audit, audit_tx};
use super::*;
use crate::planted;
use crate::records::RecordError;
use crate::sim::disk::SimDisk;
use crate::state::{
    Heads, IndexWork, Job, JobError, Local, View, WriteError, WriteTx, commit_group, meta_key,
    read_meta, write_meta,
};
use crate::store::memory::MemoryStore;
use crate::store::{Changes, Durability, Store};
use crate::{Collection, IndexState, Multi, Record};

#[derive(Debug, Clone, Default, PartialEq, Record)]
#[millpond(collection = "task", index(agenda(owner, due), wide(labels, due, owner)))]
struct Task {
    #[millpond(key)]
    id: String,
    #[millpond(index)]
    owner: String,
    #[millpond(index)]
    due: Option<u16>,
    #[millpond(index)]
    labels: Multi<String>,
    #[millpond(index)]
    weight: f64,
}

/// The same collection by another program, whose due dates are texts.
#[derive(Debug, Default, Record)]
#[millpond(collection = "task")]
struct Texts {
    #[millpond(key)]
    id: String,
    #[millpond(index)]
    due: String,
}

fn declared<R: crate::typed::Record>() -> Arc<[Declared]> {
    R::indexes().into_iter().map(|it| it.declared).collect()
}

/// A store and its one writer.
struct Node<S = MemoryStore> {
    store: S,
    heads: Heads,
    boots: u64,
}

impl Node {
    fn new(declared: Arc<[Declared]>) -> Self {
        Self::over(MemoryStore::new(), declared)
    }
}

impl<S: Store> Node<S> {
    fn over(store: S, declared: Arc<[Declared]>) -> Self {
        let mut node = Self { store, heads: Heads::default(), boots: 0 };
        node.open(declared);
        node
    }

    /// Opens the store as a program does that declares these.
    fn open(&mut self, declared: Arc<[Declared]>) {
        let boot = self.next_boot();
        let mut changes = Changes::default();
        let last = read_meta(&*self.snapshot(), &meta_key::boot()).unwrap();
        write_meta(&mut changes, meta_key::boot(), Some(&boot));
        settle_indexes(&*self.snapshot(), &declared, (last, boot), &mut changes).unwrap();
        self.store.commit(&changes, Durability::Synced).unwrap();
        self.heads = Heads::load(&*self.snapshot()).unwrap();
        self.heads.indexing.declared = declared;
    }

    /// Opens it as a program does that knows nothing of indexes.
    fn open_as_of_old(&mut self) {
        let boot = self.next_boot();
        let mut changes = Changes::default();
        write_meta(&mut changes, meta_key::boot(), Some(&boot));
        self.store.commit(&changes, Durability::Synced).unwrap();
        self.heads = Heads::load(&*self.snapshot()).unwrap();
        self.heads.indexing = Indexing::default();
    }

    fn next_boot(&mut self) -> Boot {
        self.boots += 1;
        Boot { counter: self.boots, random: 0 }
    }

    fn snapshot(&self) -> Arc<dyn crate::store::Snapshot> {
        self.store.snapshot().unwrap()
    }

    fn commit(&mut self, jobs: Vec<Job>) -> Result<(), JobError> {
        let results = commit_group(&self.store, &mut self.heads, jobs).unwrap();
        results.into_iter().try_for_each(|result| result.map(drop))
    }

    fn write(
        &mut self,
        closure: impl FnOnce(&mut WriteTx<'_>) -> Result<(), RecordError> + Send + 'static,
    ) {
        self.commit(vec![local(closure)]).unwrap();
    }

    fn slice(&mut self, rows_max: usize) {
        self.commit(vec![Job::Index(IndexWork::Slice(rows_max))]).unwrap();
    }

    fn build(&mut self) {
        while self.heads.indexing.has_work(&self.heads) {
            self.slice(8);
            audit(&self.snapshot(), &self.heads.indexing.declared, Some(0)).unwrap();
        }
        self.check();
    }

    fn check(&self) {
        audit(&self.snapshot(), &self.heads.indexing.declared, None).unwrap();
    }

    fn tasks(&self) -> Collection<Task> {
        Collection::new(View::new(self.snapshot(), Namespace::MAIN).unwrap())
    }
}

fn local(
    closure: impl FnOnce(&mut WriteTx<'_>) -> Result<(), RecordError> + Send + 'static,
) -> Job {
    Job::Local(Local {
        namespace: Namespace::MAIN,
        closure: Box::new(|tx| {
            closure(tx).map_err(|error| WriteError::Rejected(error.to_string()))
        }),
        now_ms: 1_000,
        ended: None,
        fresh: Incarnation::from_bytes([1; 16]),
        key: NodeKey::from_bytes([2; 32]),
    })
}

fn task(id: &str, owner: &str, due: u16) -> Task {
    Task { id: id.into(), owner: owner.into(), due: Some(due), ..Task::default() }
}

fn store<S: Store>(node: &mut Node<S>, tasks: Vec<Task>) {
    node.write(move |tx| tasks.iter().try_for_each(|task| tx.store(task)));
}

fn ids(tasks: Vec<Task>) -> Vec<String> {
    tasks.into_iter().map(|task| task.id).collect()
}

#[test]
fn records_are_found_by_values_ranges_and_both_ways() {
    let mut node = Node::new(declared::<Task>());
    let of = [("a", "ben", 3), ("b", "anna", 2), ("c", "anna", 10), ("d", "ben", 2)];
    store(&mut node, of.map(|(id, owner, due)| task(id, owner, due)).into());
    store(&mut node, vec![Task { id: "e".into(), ..Task::default() }]);
    for is_built in [false, true] {
        let tasks = node.tasks();
        let state = tasks.by(TaskIndex::due()).state().unwrap();
        assert_eq!(state == IndexState::Ready, is_built);
        let by_due = || tasks.by(TaskIndex::due());
        assert_eq!(ids(by_due().list().unwrap()), ["e", "b", "d", "a", "c"], "nothing comes first");
        assert_eq!(ids(by_due().descending().limit(2).list().unwrap()), ["c", "a"]);
        assert_eq!(ids(by_due().range(Some(2)..Some(10)).list().unwrap()), ["b", "d", "a"]);
        assert_eq!(ids(by_due().range(..=Some(2)).descending().list().unwrap()), ["d", "b", "e"]);
        assert_eq!(ids(by_due().equal(Some(2)).list().unwrap()), ["b", "d"]);
        assert_eq!(by_due().equal(Some(4)).one().unwrap(), None);
        assert_eq!(by_due().limit(0).count().unwrap(), 0);
        let by_owner = tasks.by(TaskIndex::owner()).equal("anna");
        assert_eq!(by_owner.keys().unwrap(), ["b", "c"]);
        let agenda = || tasks.by(TaskIndex::agenda());
        assert_eq!(agenda().first("ben").keys().unwrap(), ["d", "a"]);
        let from: (String, Option<u16>) = ("anna".into(), Some(3));
        assert_eq!(agenda().range(from..).keys().unwrap(), ["c", "d", "a"]);
        assert_eq!(agenda().equal(("ben".to_owned(), Some(3))).count().unwrap(), 1);
        node.build();
    }
}

#[test]
fn a_record_is_found_by_each_value_that_it_shows_and_once_in_a_range() {
    let mut node = Node::new(declared::<Task>());
    node.build();
    let sides = [("a", 7), ("b", 8)];
    // Two writers at once, as their pushes bring it about.
    for (label, writer) in sides {
        let path = Path::new(["task", "both", "labels"]).unwrap();
        let bytes = format!("{label:?}").into_bytes().into();
        let payload = Payload { kind: PayloadKind::MULTI, bytes };
        let push = millpond_core::Push {
            namespace: Namespace::MAIN,
            origin: Incarnation::from_bytes([writer; 16]),
            first: millpond_core::Seq::FIRST,
            deps: Default::default(),
            writes: vec![millpond_core::PushWrite {
                path,
                hlc: millpond_core::Hlc::from_ms(u64::from(writer)),
                payload: Some(payload),
                overwritten: Vec::new(),
            }],
        };
        let frame = millpond_core::wire::PushFrame::encode(&push);
        node.commit(vec![Job::Pushes(vec![frame])]).unwrap();
    }
    node.check();
    let by_label = |label: &str| node.tasks().by(TaskIndex::labels()).equal(label).count().unwrap();
    assert_eq!((by_label("a"), by_label("b"), by_label("c")), (1, 1, 0));
    assert_eq!(node.tasks().by(TaskIndex::labels()).keys().unwrap(), ["both"]);
    store(&mut node, vec![task("none", "", 0)]);
    assert_eq!(node.tasks().by(TaskIndex::labels()).count().unwrap(), 1, "of no value by none");
}

#[test]
fn a_transaction_finds_its_own_writes() {
    let mut node = Node::new(declared::<Task>());
    node.build();
    store(&mut node, vec![task("a", "anna", 1), task("b", "ben", 2), task("c", "cleo", 3)]);
    node.write(|tx| {
        tx.edit::<Task, _>("b", |task| task.owner.set("anna"))?;
        tx.remove::<Task>("c")?;
        tx.store(&task("d", "dan", 0))?;
        let owners: Vec<_> = ids(tx.by(TaskIndex::owner()).list()?);
        assert_eq!(owners, ["a", "b", "d"]);
        assert_eq!(tx.by(TaskIndex::owner()).equal("ben").count()?, 0);
        assert_eq!(tx.by(TaskIndex::due()).descending().limit(1).keys()?, ["b"]);
        Ok(())
    });
    node.check();
    planted::without(&["what an index does not tell of is looked at"], || {
        node.write(|tx| {
            tx.edit::<Task, _>("b", |task| task.owner.set("zoe"))?;
            assert_eq!(tx.by(TaskIndex::owner()).equal("zoe").count()?, 0, "nobody looks");
            Ok(())
        });
    });
}

#[test]
fn what_cannot_be_read_is_found_by_no_value_and_listed() {
    let mut node = Node::new(declared::<Task>());
    node.build();
    store(&mut node, vec![task("a", "anna", 1)]);
    node.write(|tx| tx.store(&Texts { id: "b".into(), due: "tomorrow".into() }));
    node.check();
    let by_due = |node: &Node| node.tasks().by(TaskIndex::due()).keys().unwrap();
    assert_eq!(by_due(&node), ["a"]);
    assert_eq!(node.tasks().by(TaskIndex::due()).unreadable().unwrap(), ["b"]);
    assert_eq!(node.tasks().by(TaskIndex::owner()).keys().unwrap(), ["b", "a"], "that can be read");
    store(&mut node, vec![task("b", "ben", 0)]);
    assert_eq!(by_due(&node), ["b", "a"]);
    assert!(node.tasks().by(TaskIndex::due()).unreadable().unwrap().is_empty());
}

#[test]
fn texts_that_begin_alike_are_told_apart() {
    let mut node = Node::new(declared::<Task>());
    node.build();
    let long = |end: &str| format!("{}{end}", "x".repeat(2_000));
    let owners = [("c", "\0"), ("b", ""), ("a", "y")];
    store(&mut node, owners.map(|(id, end)| task(id, &long(end), 0)).into());
    node.check();
    let tasks = node.tasks();
    let by_owner = || tasks.by(TaskIndex::owner());
    assert_eq!(by_owner().equal(long("y")).keys().unwrap(), ["a"]);
    assert_eq!(by_owner().range(long("\0")..).keys().unwrap(), ["a", "c"]);
    assert_eq!(by_owner().keys().unwrap(), ["a", "b", "c"], "by their keys");
}

#[test]
fn an_index_is_built_anew_when_a_program_did_not_keep_it() {
    let mut node = Node::new(declared::<Task>());
    store(&mut node, vec![task("a", "anna", 1)]);
    node.build();
    node.open(declared::<Task>());
    assert!(!node.heads.indexing.has_work(&node.heads), "nothing is to be done");
    let unkept = |mut node: Node| {
        node.open_as_of_old();
        store(&mut node, vec![task("a", "ben", 1)]);
        node.open(declared::<Task>());
        node.build();
        let by_owner = node.tasks().by(TaskIndex::owner()).equal("ben").count().unwrap();
        (by_owner, node)
    };
    let (found, node) = unkept(node);
    assert_eq!(found, 1);
    planted::without(&["an index is kept by every boot"], || {
        let mut node = node;
        node.open_as_of_old();
        store(&mut node, vec![task("a", "cleo", 1)]);
        node.open(declared::<Task>());
        assert!(audit(&node.snapshot(), &declared::<Task>(), None).is_err());
    });
}

#[test]
fn an_index_of_other_values_is_built_anew_and_one_that_nobody_wants_is_dropped() {
    for is_known in [true, false] {
        let rules: &[&str] =
            if is_known { &[] } else { &["an index that is declared otherwise is built anew"] };
        let mut node = Node::new(declared::<Task>());
        store(&mut node, vec![task("a", "anna", 1)]);
        node.build();
        let open = |node: &mut Node| node.open(declared::<Texts>());
        match rules {
            [] => open(&mut node),
            _ => planted::without(&["an index that is declared otherwise is built anew"], || {
                open(&mut node);
            }),
        }
        while node.heads.indexing.has_work(&node.heads) {
            node.slice(2);
        }
        assert_eq!(audit(&node.snapshot(), &declared::<Texts>(), None).is_ok(), is_known);
        node.open(Arc::default());
        while node.heads.indexing.has_work(&node.heads) {
            node.slice(2);
        }
        node.open(Arc::default());
        assert!(node.snapshot().meta(&meta_key::indexes()).unwrap().is_none());
        let missing = node.tasks().by(TaskIndex::due()).list();
        assert!(matches!(missing, Err(RecordError::NotIndexed { .. })));
    }
}

#[test]
fn a_scrub_finds_rows_that_are_missing_or_left_over() {
    let rows = || {
        let mut node = Node::new(declared::<Task>());
        store(&mut node, vec![task("a", "anna", 1), task("b", "ben", 2)]);
        node.build();
        node
    };
    let scrub = |node: &Node, rows_max| {
        let mut scrub = IndexScrub::default();
        while !scrub.step(&*node.snapshot(), &node.heads.indexing.declared, rows_max).unwrap() {}
        scrub.wrong
    };
    for rows_max in [1, 2, 100] {
        assert!(scrub(&rows(), rows_max).is_empty());
        for is_missing in [true, false] {
            let mut node = rows();
            let owner = node.heads.indexing.stored.as_ref().unwrap().find("task", "owner").unwrap();
            let (number, of) = (owner.number, stored::rows_of(owner.number));
            let index = declared::<Task>()[0].clone();
            assert_eq!(index.name, "owner");
            let record = Path::new(["task", "a"]).unwrap();
            let value = if is_missing { "anna" } else { "zoe" };
            let row = index.row(&record, &[value.into()]).unwrap();
            let mut changes = Changes::default();
            changes.staged.insert((of, row), (!is_missing).then(bytes::Bytes::new));
            node.store.commit(&changes, Durability::Synced).unwrap();
            assert_eq!(scrub(&node, rows_max), [number]);
            planted::without(&["an index that is wrong is built anew"], || {
                assert!(scrub(&node, rows_max).is_empty());
            });
            let by_owner = node.tasks().by(TaskIndex::owner()).keys().unwrap();
            assert_eq!(
                by_owner.contains(&"a".to_owned()),
                !is_missing,
                "a row too many does no harm"
            );
            node.commit(vec![Job::Index(IndexWork::Renew(vec![number]))]).unwrap();
            node.build();
            assert!(scrub(&node, rows_max).is_empty());
        }
    }
}

/// The power fails at any moment of the disk; some of what was not synced is there, and some not.
#[test]
fn a_power_cut_while_it_is_built_leaves_what_can_be_gone_on_with() {
    for seed in 0..4 {
        let mut node = Node::over(SimDisk::new(true), Arc::default());
        let number = |number: u16| task(&format!("t{number:02}"), "anna", number % 7);
        store(&mut node, (0..40).map(number).collect());
        node.open(declared::<Task>());
        for round in 0..3 {
            let before = node.store.operations();
            for step in 0..(seed + round) % 5 + 1 {
                node.slice(4);
                let id = format!("t{:02}", (seed * 11 + step * 3) % 40);
                node.write(move |tx| tx.edit::<Task, _>(id, |task| task.due.set(Some(9))));
            }
            node.store = node.store.cut_since(before, seed * 4 + round).expect("it is a file");
            node.open(declared::<Task>());
            audit(&node.snapshot(), &declared::<Task>(), Some(1)).unwrap();
        }
        node.build();
        assert_eq!(node.tasks().by(TaskIndex::owner()).equal("anna").count().unwrap(), 40);
    }
}

/// What is done to one task.
#[derive(Debug, Clone)]
enum Step {
    Store(u8, u8, Option<u16>, Option<u8>, f64),
    Owner(u8, u8),
    Due(u8, Option<u16>),
    Unreadable(u8),
    Remove(u8),
    Slice(usize),
    Open(bool),
    OfOld,
}

fn step() -> impl Strategy<Value = Step> {
    let (id, owner) = (|| 0..6_u8, || 0..4_u8);
    let weight = prop_oneof![Just(0.0), Just(-1.5), Just(2.0), -9.0..9.0_f64];
    let due = || proptest::option::of(0..5_u16);
    prop_oneof![
        4 => (id(), owner(), due(), proptest::option::of(0..3_u8), weight)
            .prop_map(|(id, owner, due, label, weight)| Step::Store(id, owner, due, label, weight)),
        3 => (id(), owner()).prop_map(|(id, owner)| Step::Owner(id, owner)),
        3 => (id(), due()).prop_map(|(id, due)| Step::Due(id, due)),
        1 => id().prop_map(Step::Unreadable),
        2 => id().prop_map(Step::Remove),
        4 => (1..6_usize).prop_map(Step::Slice),
        1 => any::<bool>().prop_map(Step::Open),
        1 => Just(Step::OfOld),
    ]
}

fn take(tx: &mut WriteTx<'_>, step: &Step) -> Result<(), RecordError> {
    let id = |id: u8| format!("t{id}");
    let owner = |owner: u8| ["", "a", "a\0", "ab"][usize::from(owner)].to_owned();
    let exists = |tx: &WriteTx<'_>, key: u8| {
        Ok::<_, RecordError>(!tx.entries(&Path::new(["task", &id(key)]).unwrap())?.is_empty())
    };
    match *step {
        Step::Store(key, of, due, label, weight) => {
            let labels = label.map(|label| Multi::new(format!("l{label}"))).unwrap_or_default();
            tx.store(&Task { id: id(key), owner: owner(of), due, labels, weight })
        }
        Step::Owner(key, of) if exists(tx, key)? => {
            tx.edit::<Task, _>(id(key), |task| task.owner.set(owner(of)))
        }
        Step::Due(key, due) if exists(tx, key)? => {
            tx.edit::<Task, _>(id(key), |task| task.due.set(due))
        }
        Step::Unreadable(key) => tx.store(&Texts { id: id(key), due: "soon".into() }),
        Step::Remove(key) => tx.remove::<Task>(id(key)).map(drop),
        _ => Ok(()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_index_is_what_a_scan_says(steps in proptest::collection::vec(proptest::collection::vec(step(), 1..4), 1..24)) {
        let mut node = Node::new(declared::<Task>());
        for group in steps {
            let mut jobs = Vec::new();
            for step in group {
                match step {
                    Step::Slice(rows_max) => jobs.push(Job::Index(IndexWork::Slice(rows_max))),
                    Step::Open(is_other) => {
                        node.open(if is_other { declared::<Texts>() } else { declared::<Task>() });
                    }
                    Step::OfOld => {
                        node.open_as_of_old();
                        node.write(|tx| take(tx, &Step::Store(0, 1, None, None, 0.5)));
                        node.open(declared::<Task>());
                    }
                    step => {
                        let declared = node.heads.indexing.declared.clone();
                        jobs.push(local(move |tx| {
                            take(tx, &step)?;
                            audit_tx(tx, &declared, None).map_err(|why| WriteError::Rejected(why).into())
                        }));
                    }
                }
            }
            node.commit(jobs).unwrap();
            node.check();
        }
        node.build();
    }
}
