//! A few replicas and a bad network: pushes and batches that come late, twice, in any order, or never.

use bytes::Bytes;
use millpond_core::wire::PushFrame;
use millpond_core::*;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::model::{Batch, History, Replica, Rules};

/// One thing that happens. Numbers choose among what is there.
#[derive(Debug, Clone)]
pub enum Op {
    Put {
        at: u8,
        path: u8,
    },
    Delete {
        at: u8,
        path: u8,
    },
    /// One transaction over two paths.
    Both {
        at: u8,
        paths: (u8, u8),
    },
    /// A client read at `seen` and writes at `at`.
    PutSeen {
        at: u8,
        seen: u8,
        path: u8,
    },
    RemoveAll {
        at: u8,
    },
    Deliver {
        index: u8,
    },
    DeliverAgain {
        index: u8,
    },
    Lose {
        index: u8,
    },
    AskBatch {
        at: u8,
        supplier: u8,
    },
    CommitBatch {
        index: u8,
    },
}

pub fn ops() -> impl Strategy<Value = Vec<Op>> {
    let index = any::<u8>;
    let op = prop_oneof![
        6 => (index(), index()).prop_map(|(at, path)| Op::Put { at, path }),
        3 => (index(), index()).prop_map(|(at, path)| Op::Delete { at, path }),
        2 => (index(), (index(), index())).prop_map(|(at, paths)| Op::Both { at, paths }),
        2 => (index(), index(), index()).prop_map(|(at, seen, path)| Op::PutSeen { at, seen, path }),
        1 => index().prop_map(|at| Op::RemoveAll { at }),
        8 => index().prop_map(|index| Op::Deliver { index }),
        2 => index().prop_map(|index| Op::DeliverAgain { index }),
        1 => index().prop_map(|index| Op::Lose { index }),
        3 => (index(), index()).prop_map(|(at, supplier)| Op::AskBatch { at, supplier }),
        3 => index().prop_map(|index| Op::CommitBatch { index }),
    ];
    vec(op, 0..60)
}

#[derive(Debug, Clone)]
pub struct World {
    pub replicas: Vec<Replica>,
    pub history: History,
    pushes: Vec<(usize, PushFrame)>,
    batches: Vec<(usize, Batch)>,
    now_ms: u64,
}

impl World {
    pub fn new(replicas: u8, rules: Rules) -> Self {
        Self {
            replicas: (1..=replicas).map(|id| Replica::new(id, rules)).collect(),
            history: History::default(),
            pushes: Vec::new(),
            batches: Vec::new(),
            now_ms: 1_000_000,
        }
    }

    /// The world after these ops, checked against the oracle after each.
    pub fn after(rules: Rules, ops: &[Op]) -> Self {
        let mut world = Self::new(4, rules);
        for op in ops {
            world.run(op);
            world.replicas.iter().for_each(|replica| world.history.check(replica));
        }
        world
    }

    /// Brings all replicas level by batches, and checks that they are.
    pub fn settle(&mut self) {
        for _ in 0..2 {
            for at in 0..self.replicas.len() {
                for supplier in 0..self.replicas.len() {
                    let batch = self.replicas[supplier].batch(&self.replicas[at].vv);
                    assert!(self.replicas[at].take(&batch));
                }
            }
        }
        for replica in &self.replicas {
            self.history.check(replica);
            assert_eq!(replica.vv, self.replicas[0].vv);
            assert_eq!(replica.entries, self.replicas[0].entries);
        }
    }

    fn run(&mut self, op: &Op) {
        self.now_ms += 1;
        match *op {
            Op::Put { at, path } => {
                let value = self.value();
                let pushed = self.write(at, vec![(nth_path(path), Some(value.clone()))]);
                assert!(pushed, "a put always writes");
                let entry = self.replica(at).entry(&nth_path(path));
                assert_eq!(types::lww::read(&entry).map(|live| &live.payload), Some(&value));
            }
            Op::Delete { at, path } => {
                self.write(at, vec![(nth_path(path), None)]);
                assert!(self.replica(at).entry(&nth_path(path)).is_absent());
            }
            Op::Both { at, paths: (a, b) } => {
                let value = self.value();
                let b = (nth_path(b), (a % 2 == 0).then(|| value.clone()));
                self.write(at, vec![(nth_path(a), Some(value)), b]);
            }
            Op::PutSeen { at, seen, path } => {
                let context = self.replica(seen).live_dots(&nth_path(path));
                let (now_ms, change) = (self.now_ms_at(at), (nth_path(path), Some(self.value())));
                let push = self.replica(at).write_over(now_ms, change, context);
                self.send(at, push);
            }
            Op::RemoveAll { at } => {
                let now_ms = self.now_ms_at(at);
                let root = Path::new(["c"]).unwrap();
                let push = self.replica(at).remove_below(now_ms, &root);
                self.send(at, push);
            }
            Op::Deliver { index } => {
                if let Some(index) = nth(index, self.pushes.len()) {
                    let (to, push) = self.pushes.swap_remove(index);
                    self.replicas[to].receive(&push);
                }
            }
            Op::DeliverAgain { index } => {
                if let Some(index) = nth(index, self.pushes.len()) {
                    let (to, push) = &self.pushes[index];
                    self.replicas[*to].receive(push);
                }
            }
            Op::Lose { index } => {
                nth(index, self.pushes.len()).map(|index| self.pushes.swap_remove(index));
            }
            Op::AskBatch { at, supplier } => {
                let from = self.replica(at).vv.clone();
                let batch = self.replica(supplier).batch(&from);
                self.batches.push((usize::from(at) % self.replicas.len(), batch));
            }
            Op::CommitBatch { index } => {
                if let Some(index) = nth(index, self.batches.len()) {
                    let (to, batch) = self.batches.swap_remove(index);
                    assert!(self.replicas[to].take(&batch), "a vector only grows");
                }
            }
        }
    }

    fn write(&mut self, at: u8, changes: Vec<(Path, Option<Payload>)>) -> bool {
        let now_ms = self.now_ms_at(at);
        let push = self.replica(at).write(now_ms, changes);
        self.send(at, push)
    }

    fn send(&mut self, at: u8, push: Option<PushFrame>) -> bool {
        let Some(push) = push else { return false };
        self.history.record(&push);
        let origin = usize::from(at) % self.replicas.len();
        let others = (0..self.replicas.len()).filter(|to| *to != origin);
        self.pushes.extend(others.map(|to| (to, push.clone())));
        true
    }

    fn replica(&mut self, at: u8) -> &mut Replica {
        let count = self.replicas.len();
        &mut self.replicas[usize::from(at) % count]
    }

    /// Clocks are apart by seconds, so that stamps disagree with what really came first.
    fn now_ms_at(&self, at: u8) -> u64 {
        self.now_ms + 5_000 * (u64::from(at) % self.replicas.len() as u64)
    }

    fn value(&self) -> Payload {
        let bytes = Bytes::copy_from_slice(&self.now_ms.to_be_bytes());
        Payload { kind: PayloadKind::LWW, bytes }
    }
}

/// One of four paths, two of them below one record.
pub fn nth_path(index: u8) -> Path {
    let components: &[&str] = match index % 4 {
        0 => &["c", "k"],
        1 => &["c", "k", "a"],
        2 => &["c", "k", "b"],
        _ => &["d", "l"],
    };
    Path::new(components).unwrap()
}

fn nth(index: u8, count: usize) -> Option<usize> {
    (count > 0).then(|| usize::from(index) % count)
}
