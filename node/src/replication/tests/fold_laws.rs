//! The law of folding: whatever is written, pushed, read and lost while a catch-up is folded slice by slice, it
//! comes to the same as if one commit had folded it (6, R7).

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use millpond_core::message::Pull;
use millpond_core::wire::{PushFrame, RowsFrame};
use millpond_core::{
    Boot, Dot, Entry, Incarnation, Namespace, NodeKey, Path, Payload, PayloadKind, Push,
    VersionVector,
};
use proptest::prelude::*;

use super::super::supply::{Step, Supply};
use crate::limits::Limits;
use crate::planted;
use crate::state::{
    Cut, CutMark, Heads, Job, Local, Overlay, Takeover, View, commit_group, meta_key, write_meta,
};
use crate::store::memory::MemoryStore;
use crate::store::{Changes, Durability, LogRow, Snapshot, Store};

/// One write: a path, and a value or a delete.
type Write = (u8, Option<u8>);

/// What happens while a catch-up is folded.
#[derive(Debug, Clone)]
enum Event {
    /// A local transaction.
    Write(Vec<Write>),
    /// The next transaction of a third replica arrives.
    Push,
    /// The supplier writes, and a small catch-up brings that.
    Batch(Vec<Write>),
    /// So many rows are folded.
    Fold(usize),
    /// The process ends, and starts again.
    Crash,
}

/// A history: what all replicas hold, what two of them write apart from each other and from the third, and
/// what happens when the first has caught up.
#[derive(Debug, Clone)]
struct Story {
    common: Vec<Vec<Write>>,
    own: Vec<Vec<Write>>,
    supplied: Vec<Vec<Write>>,
    pushed: Vec<Vec<Write>>,
    events: Vec<Event>,
}

fn stories() -> impl Strategy<Value = Story> {
    let write = (0..PATHS, prop::option::weighted(0.7, any::<u8>()));
    let transaction = prop::collection::vec(write, 1..4);
    let some = |count| prop::collection::vec(transaction.clone(), 0..count);
    let event = prop_oneof![
        3 => transaction.clone().prop_map(Event::Write),
        2 => Just(Event::Push),
        1 => transaction.clone().prop_map(Event::Batch),
        4 => (1..4_usize).prop_map(Event::Fold),
        1 => Just(Event::Crash),
    ];
    let events = prop::collection::vec(event, 0..14);
    (some(5), some(4), some(9), some(4), events).prop_map(
        |(common, own, supplied, pushed, events)| Story { common, own, supplied, pushed, events },
    )
}

/// A replica of one namespace, changed by production jobs only.
struct Replica {
    number: u8,
    store: MemoryStore,
    heads: Heads,
}

impl Replica {
    fn new(number: u8) -> Self {
        let store = MemoryStore::new();
        let mut changes = Changes::default();
        write_meta(&mut changes, meta_key::open(), Some(&incarnation(number)));
        write_meta(&mut changes, meta_key::incarnations(), Some(&vec![incarnation(number)]));
        store.commit(&changes, Durability::Synced).unwrap();
        let mut replica = Self { number, store, heads: Heads::default() };
        replica.restart();
        replica
    }

    /// Another one that holds the same.
    fn twin(&self) -> Self {
        Self { store: self.store.image(), heads: self.heads.clone(), ..*self }
    }

    fn restart(&mut self) {
        self.heads = Heads::load(&*self.snapshot()).unwrap();
    }

    fn snapshot(&self) -> std::sync::Arc<dyn Snapshot> {
        self.store.snapshot().unwrap()
    }

    fn commit(&mut self, job: Job) -> Vec<Push> {
        let mut results = commit_group(&self.store, &mut self.heads, vec![job]).unwrap();
        results.pop().unwrap().expect("nothing is refused here").pushes
    }

    fn write(&mut self, writes: &[Write]) -> Vec<Push> {
        let writes = writes.to_vec();
        self.commit(Job::Local(Local {
            namespace: Namespace::MAIN,
            closure: Box::new(move |tx| {
                for (number, value) in writes {
                    match value {
                        Some(value) => tx.put(path(number), payload(value))?,
                        None => drop(tx.delete(&path(number))?),
                    }
                }
                Ok(())
            }),
            now_ms: u64::from(self.number),
            ended: None,
            fresh: incarnation(self.number),
            key: NodeKey::from_bytes([self.number; 32]),
        }))
    }

    fn take(&mut self, pushes: &[Push]) {
        let pushes = pushes.iter().map(PushFrame::encode).collect();
        self.commit(Job::Pushes(pushes));
    }

    /// What it supplies above a vector, and up to where.
    fn supply(&self, from: &VersionVector) -> (Vec<RowsFrame>, VersionVector) {
        let (namespace, from) = (Namespace::MAIN, from.clone());
        let pull = Pull { namespace, transfer: 1, from, resume: None };
        let mut supply = Supply::new(self.snapshot(), pull, Limits::default()).unwrap();
        let (upto, mut rows) = (supply.upto.clone(), Vec::new());
        loop {
            match supply.step().unwrap() {
                Step::Working => {}
                Step::Frame(frame, _) => rows.push(frame),
                Step::Done { .. } => return (rows, upto),
            }
        }
    }

    /// Stages all that another one supplies, and makes it visible; so many rows are folded at once.
    fn catch_up(&mut self, (rows, upto): &(Vec<RowsFrame>, VersionVector), rows_max: usize) {
        let mark = CutMark {
            supplier: NodeKey::from_bytes([2; 32]),
            boot: Boot { counter: 1, random: 0 },
            from: self.heads.vv(Namespace::MAIN).clone(),
            upto: upto.clone(),
            floor: VersionVector::new(),
            since: upto.clone(),
            rows: rows.iter().map(|rows| rows.len() as u64).sum(),
            cursor: None,
            direct: false,
            compared: None,
        };
        let (namespace, begins, takes) = (Namespace::MAIN, true, Takeover::default());
        self.commit(Job::Cut(Cut {
            namespace,
            mark: mark.clone(),
            begins,
            rows: rows.clone(),
            takes,
        }));
        self.commit(Job::Flip { namespace, mark, rows_max });
    }

    /// The same by one batch.
    fn take_batch(&mut self, (rows, upto): &(Vec<RowsFrame>, VersionVector)) {
        let from = self.heads.vv(Namespace::MAIN).clone();
        let (namespace, floor) = (Namespace::MAIN, VersionVector::new());
        self.commit(Job::Batch { namespace, from, upto: upto.clone(), floor, rows: rows.clone() });
    }

    fn is_folding(&self) -> bool {
        self.heads.folds.contains_key(&Namespace::MAIN)
    }

    /// All that can be seen: the vector, the entries, by scans and by single looks, and the log.
    fn seen(&self) -> Seen {
        let view = View::new(self.snapshot(), Namespace::MAIN).unwrap();
        let tables = Overlay::over(self.snapshot(), Namespace::MAIN).unwrap();
        let mut seen = Seen { vv: view.vv().clone(), ..Seen::default() };
        view.entries(None, None, &mut |path, entry| {
            seen.scanned.push((path, entry));
            ControlFlow::Continue(())
        })
        .unwrap();
        for number in 0..PATHS {
            let entry = view.entry(&path(number)).unwrap();
            if !entry.is_absent() {
                seen.looked_at.insert(path(number), entry);
            }
            let (within, mut found) = (path(number), Vec::new());
            let beyond = path(number / 2);
            view.entries(Some(&record(number)), Some(&beyond), &mut |path, _| {
                found.push(path);
                ControlFlow::Continue(())
            })
            .unwrap();
            seen.within.insert(within, found);
        }
        for number in 1..=3 {
            tables
                .log(Namespace::MAIN, incarnation(number), 0, u64::MAX, &mut |dot, row| {
                    seen.log.push((dot, row));
                    ControlFlow::Continue(())
                })
                .unwrap();
        }
        seen
    }
}

#[derive(Debug, Default, PartialEq)]
struct Seen {
    vv: VersionVector,
    scanned: Vec<(Path, Entry)>,
    looked_at: BTreeMap<Path, Entry>,
    within: BTreeMap<Path, Vec<Path>>,
    log: Vec<(Dot, LogRow)>,
}

/// Plays a story twice, and says where the two differ.
fn play(story: &Story) -> Result<(), String> {
    let (mut first, mut supplier, mut third) = (Replica::new(1), Replica::new(2), Replica::new(3));
    for writes in &story.common {
        let pushes = supplier.write(writes);
        first.take(&pushes);
        third.take(&pushes);
    }
    story.own.iter().for_each(|writes| drop(first.write(writes)));
    story.supplied.iter().for_each(|writes| drop(supplier.write(writes)));
    let pushed = story.pushed.iter().flat_map(|writes| third.write(writes));
    let mut pushed = pushed.collect::<Vec<_>>().into_iter();

    let mut whole = first.twin();
    let supplied = supplier.supply(first.heads.vv(Namespace::MAIN));
    first.catch_up(&supplied, 1);
    whole.catch_up(&supplied, usize::MAX);
    if whole.is_folding() {
        return Err("one commit folds all".into());
    }
    same(&first, &whole, "after the flip")?;
    for (number, event) in story.events.iter().enumerate() {
        match event {
            Event::Write(writes) => {
                let (left, right) = (first.write(writes), whole.write(writes));
                if left != right {
                    return Err(format!("event {number}: {left:?} is written, and {right:?}"));
                }
            }
            Event::Push => {
                let Some(push) = pushed.next() else { continue };
                first.take(std::slice::from_ref(&push));
                whole.take(&[push]);
            }
            Event::Batch(writes) => {
                supplier.write(writes);
                let supplied = supplier.supply(first.heads.vv(Namespace::MAIN));
                first.take_batch(&supplied);
                whole.take_batch(&supplied);
            }
            Event::Fold(rows_max) => {
                let (namespace, rows_max) = (Namespace::MAIN, *rows_max);
                first.commit(Job::Fold { namespace, rows_max });
            }
            Event::Crash => {
                first.restart();
                whole.restart();
            }
        }
        same(&first, &whole, &format!("after event {number}"))?;
        // Whoever asks either of them is told the same.
        let from = third.heads.vv(Namespace::MAIN);
        let (left, right) = (rows_of(&first, from), rows_of(&whole, from));
        if left != right {
            return Err(format!("event {number}: {left:?} is supplied, and {right:?}"));
        }
    }
    while first.is_folding() {
        first.commit(Job::Fold { namespace: Namespace::MAIN, rows_max: 2 });
    }
    same(&first, &whole, "in the end")?;
    let is_left = |replica: &Replica| {
        let mut rows = 0;
        let visit = &mut |_, _| {
            rows += 1;
            ControlFlow::Continue(())
        };
        replica.snapshot().staged(Namespace::MAIN, None, visit).unwrap();
        rows > 0
    };
    match is_left(&first) || is_left(&whole) {
        true => Err("rows are left".into()),
        false => Ok(()),
    }
}

fn same(sliced: &Replica, whole: &Replica, when: &str) -> Result<(), String> {
    let (sliced, whole) = (sliced.seen(), whole.seen());
    let scanned: BTreeMap<Path, Entry> = sliced.scanned.iter().cloned().collect();
    if scanned != sliced.looked_at {
        return Err(format!("{when}: a scan finds {scanned:?}, looks {:?}", sliced.looked_at));
    }
    match sliced == whole {
        true => Ok(()),
        false => Err(format!("{when}:\n{sliced:?}\n{whole:?}")),
    }
}

fn rows_of(replica: &Replica, from: &VersionVector) -> Vec<millpond_core::Row> {
    replica.supply(from).0.iter().flat_map(RowsFrame::rows).collect()
}

fn incarnation(number: u8) -> Incarnation {
    Incarnation::from_bytes([number; 16])
}

fn record(number: u8) -> Path {
    Path::new(["c", &format!("{}", number % 3)]).unwrap()
}

fn path(number: u8) -> Path {
    Path::new(["c", &format!("{}", number % 3), &format!("{number}")]).unwrap()
}

fn payload(value: u8) -> Payload {
    Payload { kind: PayloadKind::LWW, bytes: Bytes::copy_from_slice(&[value]) }
}

const PATHS: u8 = 9;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn folding_by_slices_comes_to_the_same_as_one_commit(story in stories()) {
        play(&story).map_err(TestCaseError::fail)?;
    }
}

/// The law is not kept without any of these.
#[test]
fn the_law_needs_its_rules() {
    for rules in [
        &["a cut is seen whole"] as &[_],
        &["a write folds its path first"],
        &["what is supplied is folded"],
    ] {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let breaks = planted::without(rules, || {
            runner.run(&stories(), |story| play(&story).map_err(TestCaseError::fail)).is_err()
        });
        assert!(breaks, "{rules:?} taken out, and the law holds");
    }
}
