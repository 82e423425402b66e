//! Counters: sums are exact under concurrent increments, resets and deletes.

use std::collections::BTreeMap;

use bytes::Bytes;
use millpond_core::types::counter::{self, Slot};
use millpond_core::wire::PushFrame;
use millpond_core::*;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::model::{Change, Replica, Rules};

const NOW_MS: u64 = 1_000;

fn hits() -> Path {
    Path::new(["c", "k", "hits"]).unwrap()
}

fn slots(replica: &Replica) -> Vec<(Path, Slot)> {
    let within = replica.entries.iter().filter(|(path, _)| path.is_within(&hits()));
    within.map(|(path, entry)| (path.clone(), Slot::read(entry).unwrap())).collect()
}

fn value(replica: &Replica) -> i128 {
    counter::read(slots(replica).into_iter().map(|(_, slot)| slot)).unwrap_or(0)
}

/// The owner counts in its live slot, or opens one.
fn count(replica: &mut Replica, delta: i64) -> PushFrame {
    let own =
        slots(replica).into_iter().find(|(path, _)| counter::slot_owner(path) == Some(replica.id));
    let (path, slot) = own.unwrap_or_else(|| {
        (counter::slot_path(&hits(), replica.next_dot()).unwrap(), Slot::default())
    });
    let payload = slot.counted(delta).unwrap().encode();
    replica.write(NOW_MS, vec![(path, Some(payload))]).unwrap()
}

fn reset(replica: &mut Replica) -> Option<PushFrame> {
    let reset = |(path, slot): (Path, Slot)| Some((path, Some(slot.reset()?.encode())));
    let changes: Vec<Change> = slots(replica).into_iter().filter_map(reset).collect();
    replica.write(NOW_MS, changes)
}

fn delete_slots(replica: &mut Replica, which: impl Fn(&Path, Slot) -> bool) -> Option<PushFrame> {
    let slots = slots(replica).into_iter().filter(|(path, slot)| which(path, *slot));
    let changes = slots.map(|(path, _)| (path, None)).collect();
    replica.write(NOW_MS, changes)
}

/// What was counted and reset, and who had seen what: the oracle.
#[derive(Default)]
struct Counted {
    counts: Vec<(Dot, i64)>,
    resets: Vec<(Dot, VersionVector)>,
}

impl Counted {
    /// The sum of the counts that `vv` covers and that no covered reset had seen.
    fn value_at(&self, vv: &VersionVector) -> i128 {
        let resets = || self.resets.iter().filter(|(dot, _)| vv.covers(*dot));
        let counts = self.counts.iter().filter(|(dot, _)| vv.covers(*dot));
        let live = counts.filter(|(dot, _)| !resets().any(|(_, seen)| seen.covers(*dot)));
        live.map(|(_, delta)| i128::from(*delta)).sum()
    }
}

#[derive(Debug, Clone)]
enum Op {
    Count {
        at: usize,
        delta: i64,
    },
    Reset {
        at: usize,
    },
    /// The first replica deletes slots that stand at their bases, once that is stable.
    Compact,
    Deliver {
        index: usize,
    },
    Pull {
        at: usize,
        supplier: usize,
    },
}

const REPLICAS: usize = 3;

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let replica = 0..REPLICAS;
    let op = prop_oneof![
        4 => (replica.clone(), -3_i64..5).prop_map(|(at, delta)| Op::Count { at, delta }),
        2 => replica.clone().prop_map(|at| Op::Reset { at }),
        3 => Just(Op::Compact),
        4 => any::<usize>().prop_map(|index| Op::Deliver { index }),
        6 => (replica.clone(), replica).prop_map(|(at, supplier)| Op::Pull { at, supplier }),
    ];
    vec(op, 0..80)
}

struct World {
    replicas: Vec<Replica>,
    counted: Counted,
    pushes: Vec<(usize, PushFrame)>,
    /// Every vector that each replica had, in order: the acks that others may know of.
    acks: Vec<Vec<VersionVector>>,
    compacted: usize,
}

impl World {
    fn new() -> Self {
        Self {
            replicas: (1..=REPLICAS as u8).map(|id| Replica::new(id, Rules::ALL)).collect(),
            counted: Counted::default(),
            pushes: Vec::new(),
            acks: vec![vec![VersionVector::new()]; REPLICAS],
            compacted: 0,
        }
    }

    fn run(&mut self, op: &Op) {
        match *op {
            Op::Count { at, delta } => {
                let dot = self.replicas[at].next_dot();
                let push = count(&mut self.replicas[at], delta);
                self.counted.counts.push((dot, delta));
                self.send(at, push);
            }
            Op::Reset { at } => {
                let seen = self.replicas[at].vv.clone();
                if let Some(push) = reset(&mut self.replicas[at]) {
                    self.counted.resets.push((Dot::new(push.origin(), push.last()), seen));
                    self.send(at, push);
                    assert_eq!(value(&self.replicas[at]), 0);
                }
            }
            Op::Compact => self.compact(),
            Op::Deliver { index } if !self.pushes.is_empty() => {
                let (to, push) = self.pushes.swap_remove(index % self.pushes.len());
                self.replicas[to].receive(&push);
            }
            Op::Deliver { .. } => {}
            Op::Pull { at, supplier } => {
                let batch = self.replicas[supplier].batch(&self.replicas[at].vv);
                assert!(self.replicas[at].take(&batch));
            }
        }
        for (replica, acks) in self.replicas.iter().zip(&mut self.acks) {
            assert_eq!(value(replica), self.counted.value_at(&replica.vv), "exact after {op:?}");
            acks.push(replica.vv.clone());
        }
    }

    fn compact(&mut self) {
        let voter = &mut self.replicas[0];
        let (entries, vv) = (voter.entries.clone(), voter.vv.clone());
        // Stable: covered by the newest ack of each member that my vector covers.
        let newest = self.acks.iter().map(|acks| acks.iter().rev().find(|ack| vv.covers_all(ack)));
        let newest: Vec<_> = newest.map(|ack| ack.unwrap()).collect();
        let stable = |path: &Path| {
            let mut dots = entries[path].live().iter().map(|live| live.dot);
            dots.all(|dot| newest.iter().all(|ack| ack.covers(dot)))
        };
        if let Some(push) = delete_slots(voter, |path, slot| slot.is_zero() && stable(path)) {
            self.compacted += 1;
            self.send(0, push);
        }
    }

    fn send(&mut self, from: usize, push: PushFrame) {
        let others = (0..REPLICAS).filter(|to| *to != from);
        self.pushes.extend(others.map(|to| (to, push.clone())));
    }
}

proptest! {
    #[test]
    fn sums_are_exact_whatever_is_counted_reset_and_compacted(ops in ops()) {
        let mut world = World::new();
        ops.iter().for_each(|op| world.run(op));
    }

    #[test]
    fn slots_join_as_a_lattice(a in any::<[u64; 4]>(), b in any::<[u64; 4]>(), c in any::<[u64; 4]>()) {
        let [a, b, c] = [a, b, c].map(|[plus, minus, plus_base, minus_base]| {
            Slot { plus, minus, plus_base, minus_base }
        });
        prop_assert_eq!(a.join(b), b.join(a));
        prop_assert_eq!(a.join(b).join(c), a.join(b.join(c)));
        prop_assert_eq!(a.join(a), a);
        prop_assert_eq!(a.join(b).join(a), a.join(b));
        prop_assert_eq!(Slot::decode(&a.encode()), Some(a));
    }
}

#[test]
fn compaction_happens_in_the_model() {
    let mut world = World::new();
    let pull = |at, supplier| Op::Pull { at, supplier };
    let level = [pull(1, 0), pull(2, 0), pull(0, 1), pull(0, 2)];
    let mut ops = vec![Op::Count { at: 0, delta: 5 }, Op::Reset { at: 0 }];
    ops.extend(level.clone());
    ops.extend([Op::Compact]);
    ops.extend(level);
    ops.extend([Op::Count { at: 0, delta: 2 }]);
    ops.iter().for_each(|op| world.run(op));
    assert_eq!((world.compacted, value(&world.replicas[0])), (1, 2));
}

/// Finding 10. B resets a counter at 5 while A takes one away.
#[test]
fn finding_10_a_decrement_concurrent_with_a_reset_survives_it() {
    let [mut a, mut b] = [1, 2].map(|id| Replica::new(id, Rules::ALL));
    b.receive(&count(&mut a, 5));
    let pushes = [count(&mut a, -1), reset(&mut b).unwrap()];
    a.receive(&pushes[1]);
    b.receive(&pushes[0]);
    assert_eq!((value(&a), value(&b)), (-1, -1));

    // The rule taken out: one total and its base, joined by the greater. The decrement leaves 4, the reset
    // copied 5, and the decrement is lost.
    let (decremented, reset) = ((4_i64, 0_i64), (5, 5));
    let joined = (decremented.0.max(reset.0), decremented.1.max(reset.1));
    assert_eq!(joined.0 - joined.1, 0);
}

/// Finding 11. B removes the record of a counter at 3 while A counts one more.
#[test]
fn finding_11_removing_a_counter_resets_it() {
    let run = |remove: fn(&mut Replica) -> Option<PushFrame>| {
        let [mut a, mut b] = [1, 2].map(|id| Replica::new(id, Rules::ALL));
        b.receive(&count(&mut a, 3));
        let pushes = [count(&mut a, 1), remove(&mut b).unwrap()];
        a.receive(&pushes[1]);
        b.receive(&pushes[0]);
        assert_eq!(a.entries, b.entries);
        value(&a)
    };
    assert_eq!(run(reset), 1);
    // The rule taken out: delete dots. What B removed comes back.
    assert_eq!(run(|replica| delete_slots(replica, |_, _| true)), 4);
}

/// S1. A's slot stands at 5 and is reset, which goes stable; the path is deleted. A, who saw the delete,
/// counts 1; B, who did not, counts 1.
#[test]
fn s1_a_deleted_slot_is_never_continued() {
    let [mut a, mut b] = [1, 2].map(|id| Replica::new(id, Rules::ALL));
    b.receive(&count(&mut a, 5));
    a.receive(&reset(&mut b).unwrap());
    let deleted = delete_slots(&mut a, |_, slot| slot.is_zero()).unwrap();
    let pushes = [count(&mut a, 1), count(&mut b, 1)];
    b.receive(&deleted);
    b.receive(&pushes[0]);
    a.receive(&pushes[1]);
    assert_eq!((value(&a), value(&b)), (2, 2));
}

/// S1 with the rule taken out: all slots in one payload at the counter's path.
#[test]
fn s1_one_map_of_slots_loses_a_count() {
    let [mut a, mut b] = [1, 2].map(|id| Replica::new(id, Rules::ALL));
    b.receive(&one_map::count(&mut a, 5));
    a.receive(&one_map::reset(&mut b));
    let deleted = a.write(NOW_MS, vec![(hits(), None)]).unwrap();
    let pushes = [one_map::count(&mut a, 1), one_map::count(&mut b, 1)];
    b.receive(&deleted);
    b.receive(&pushes[0]);
    a.receive(&pushes[1]);
    assert_eq!(a.entries, b.entries);
    assert_eq!(one_map::value(&a), 1, "two were counted since the reset");
}

/// The form that the design gave up.
mod one_map {
    use super::*;

    type Slots = BTreeMap<Incarnation, Slot>;

    pub fn count(replica: &mut Replica, delta: i64) -> PushFrame {
        let mut slots = slots(replica);
        let own = slots.entry(replica.id).or_default();
        *own = own.counted(delta).unwrap();
        write(replica, &slots)
    }

    pub fn reset(replica: &mut Replica) -> PushFrame {
        let mut slots = slots(replica);
        slots.values_mut().for_each(|slot| *slot = slot.reset().unwrap_or(*slot));
        write(replica, &slots)
    }

    pub fn value(replica: &Replica) -> i128 {
        slots(replica).into_values().map(Slot::value).sum()
    }

    fn slots(replica: &Replica) -> Slots {
        let mut joined = Slots::new();
        for live in replica.entry(&hits()).live() {
            for entry in live.payload.bytes.chunks_exact(48) {
                let (id, totals) = entry.split_at(16);
                let id = Incarnation::from_bytes(id.try_into().unwrap());
                let mut totals =
                    totals.chunks_exact(8).map(|t| u64::from_be_bytes(t.try_into().unwrap()));
                let mut next = || totals.next().unwrap();
                let slot =
                    Slot { plus: next(), minus: next(), plus_base: next(), minus_base: next() };
                let known = joined.entry(id).or_default();
                *known = known.join(slot);
            }
        }
        joined
    }

    fn write(replica: &mut Replica, slots: &Slots) -> PushFrame {
        let mut bytes = Vec::new();
        for (id, slot) in slots {
            bytes.extend_from_slice(id.as_bytes());
            for total in [slot.plus, slot.minus, slot.plus_base, slot.minus_base] {
                bytes.extend_from_slice(&total.to_be_bytes());
            }
        }
        let payload = Payload { kind: PayloadKind::COUNTER, bytes: Bytes::from(bytes) };
        replica.write(NOW_MS, vec![(hits(), Some(payload))]).unwrap()
    }
}
