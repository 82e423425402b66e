//! Flags and sets: what readers see is a function of who had seen what, and nothing else.

use millpond_core::types::flag::Flag;
use millpond_core::types::set::{Set, element_path};
use millpond_core::wire::PushFrame;
use millpond_core::*;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::model::{Replica, Rules};

/// The four types are one machine in two modes: what differs is the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Flag(Flag),
    Set(Set),
}

const TYPES: [Type; 4] = [
    Type::Flag(Flag::EnableWins),
    Type::Flag(Flag::DisableWins),
    Type::Set(Set::AddWins),
    Type::Set(Set::RemoveWins),
];

impl Type {
    fn path(self) -> Path {
        let field = Path::new(["c", "k", "field"]).unwrap();
        match self {
            Self::Flag(_) => field,
            Self::Set(_) => element_path(&field, "element").unwrap(),
        }
    }

    fn payload(self, on: bool) -> Option<Payload> {
        match self {
            Self::Flag(flag) => flag.payload(on),
            Self::Set(set) => set.payload(on),
        }
    }

    fn read(self, entry: &Entry) -> bool {
        match self {
            Self::Flag(flag) => flag.read(entry),
            Self::Set(set) => set.contains(entry),
        }
    }

    /// Whether "on" wins over an "off" that it has not seen.
    fn on_wins(self) -> bool {
        matches!(self, Self::Flag(Flag::EnableWins) | Self::Set(Set::AddWins))
    }
}

/// One call, and what its caller had seen.
#[derive(Debug, Clone)]
struct Call {
    dot: Dot,
    on: bool,
    seen: VersionVector,
}

/// The oracle: of the calls that `vv` covers those count that no covered call had seen.
fn expected(calls: &[Call], vv: &VersionVector, on_wins: bool) -> bool {
    let covered = || calls.iter().filter(|call| vv.covers(call.dot));
    let counts = |call: &&Call| !covered().any(|later| later.seen.covers(call.dot));
    let mut on = covered().filter(counts).map(|call| call.on).peekable();
    match on_wins {
        true => on.any(|on| on),
        false => on.peek().is_some() && on.all(|on| on),
    }
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Call { at: usize, on: bool },
    Deliver { index: usize },
    Pull { at: usize, supplier: usize },
}

const REPLICAS: usize = 3;

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let replica = 0..REPLICAS;
    let op = prop_oneof![
        5 => (replica.clone(), any::<bool>()).prop_map(|(at, on)| Op::Call { at, on }),
        5 => any::<usize>().prop_map(|index| Op::Deliver { index }),
        3 => (replica.clone(), replica).prop_map(|(at, supplier)| Op::Pull { at, supplier }),
    ];
    vec(op, 0..40)
}

#[derive(Clone)]
struct World {
    of: Type,
    replicas: Vec<Replica>,
    calls: Vec<Call>,
    pushes: Vec<(usize, PushFrame)>,
}

impl World {
    fn new(of: Type) -> Self {
        let replicas = (1..=REPLICAS as u8).map(|id| Replica::new(id, Rules::ALL)).collect();
        Self { of, replicas, calls: Vec::new(), pushes: Vec::new() }
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Call { at, on } => self.call(at, on),
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
    }

    fn call(&mut self, at: usize, on: bool) {
        let replica = &mut self.replicas[at];
        let seen = replica.vv.clone();
        // Clocks are apart, and have no say.
        let now_ms = 1_000 + 5_000 * at as u64;
        if let Some(push) = replica.write(now_ms, vec![(self.of.path(), self.of.payload(on))]) {
            self.calls.push(Call { dot: Dot::new(push.origin(), push.last()), on, seen });
            let others = (0..REPLICAS).filter(|to| *to != at);
            self.pushes.extend(others.map(|to| (to, push.clone())));
        }
        assert_eq!(self.read(at), on, "who calls sees what they asked for");
    }

    fn read(&self, at: usize) -> bool {
        self.of.read(&self.replicas[at].entry(&self.of.path()))
    }

    fn check(&self) {
        for (at, replica) in self.replicas.iter().enumerate() {
            let expected = expected(&self.calls, &replica.vv, self.of.on_wins());
            assert_eq!(self.read(at), expected, "{:?} at {at} after {:?}", self.of, self.calls);
        }
    }

    /// All pull from all.
    fn settle(&mut self) {
        for (at, supplier) in [(0, 1), (0, 2), (1, 0), (2, 0)] {
            self.run(Op::Pull { at, supplier });
        }
    }
}

proptest! {
    #[test]
    fn readers_see_what_nobody_saw_overwritten(ops in ops()) {
        for of in TYPES {
            let mut world = World::new(of);
            for &op in &ops {
                world.run(op);
                world.check();
            }
            world.settle();
            world.check();
            prop_assert!((1..REPLICAS).all(|at| world.read(at) == world.read(0)));
        }
    }
}

/// Four calls at three replicas, with or without a pull before each: all that can happen, but for names.
#[test]
fn three_replicas_and_four_calls_exhaustively() {
    let pulls: Vec<Option<Op>> = (0..REPLICAS)
        .flat_map(|at| (0..REPLICAS).map(move |supplier| (at, supplier)))
        .filter(|(at, supplier)| at != supplier)
        .map(|(at, supplier)| Some(Op::Pull { at, supplier }))
        .chain([None])
        .collect();
    for of in TYPES {
        let mut worlds = 0;
        // The first caller is the first replica: others would only be other names.
        for on in [true, false] {
            let mut world = World::new(of);
            world.call(0, on);
            explore(&world, 3, &pulls, &mut worlds);
        }
        assert_eq!(worlds, 2 * (6 * pulls.len()).pow(3), "every history was looked at");
    }
}

fn explore(world: &World, calls: usize, pulls: &[Option<Op>], worlds: &mut usize) {
    if calls == 0 {
        *worlds += 1;
        let mut world = world.clone();
        world.settle();
        world.check();
        return;
    }
    for &pull in pulls {
        let mut pulled = world.clone();
        if let Some(pull) = pull {
            pulled.run(pull);
        }
        for at in 0..REPLICAS {
            for on in [true, false] {
                let mut called = pulled.clone();
                called.call(at, on);
                explore(&called, calls - 1, pulls, worlds);
            }
        }
    }
}

/// The tables of `types::flag` and `types::set`, from each state that all replicas may have been in before.
#[test]
fn concurrent_pairs_are_as_documented() {
    for of in TYPES {
        for before in [None, Some(false), Some(true)] {
            for (first, second) in [(true, true), (true, false), (false, true), (false, false)] {
                let mut world = World::new(of);
                if let Some(on) = before {
                    world.call(0, on);
                    world.settle();
                }
                world.call(0, first);
                world.call(1, second);
                world.settle();
                // A clear of what is off takes no dot in an enable-wins flag, and loses all the same.
                let documented = match (first, second) {
                    (true, true) => true,
                    (false, false) => false,
                    _ => of.on_wins(),
                };
                let read: Vec<bool> = (0..REPLICAS).map(|at| world.read(at)).collect();
                assert_eq!(read, [documented; REPLICAS], "{of:?} {before:?} {first} {second}");
            }
        }
    }
}

/// Finding 8a: of a remove-wins element that is added and removed at once, dropping the removal alone, without
/// a dot, would switch it on at whoever drops it.
#[test]
fn finding_8_a_removal_is_not_dropped_beside_the_add_that_it_wins_over() {
    let of = Type::Set(Set::RemoveWins);
    let mut world = World::new(of);
    world.call(0, true);
    world.call(1, false);
    world.settle();
    let entry = world.replicas[0].entry(&of.path());
    assert!(!of.read(&entry));
    let without: Vec<LiveDot> =
        entry.live().iter().filter(|it| it.payload.bytes == [1][..]).cloned().collect();
    assert!(of.read(&Entry::from_live(without)), "the rule taken out");
    // Compaction replaces the whole path, by an ordinary write.
    world.replicas[0].write(1, vec![(of.path(), None)]).unwrap();
    assert!(world.replicas[0].entry(&of.path()).is_absent());
}

#[test]
fn what_is_of_another_type_has_no_say() {
    let dot = Dot::new(Incarnation::from_bytes([1; 16]), Seq::FIRST);
    for of in TYPES {
        let payload = Payload { kind: PayloadKind::LWW, bytes: vec![1].into() };
        let entry = Entry::from_live(vec![LiveDot { dot, hlc: Hlc::from_ms(1), payload }]);
        assert!(!of.read(&entry), "{of:?}");
    }
}
