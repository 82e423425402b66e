//! How much is explored, and the exploration.

use std::sync::atomic::{AtomicBool, Ordering};

use millpond_core::Namespace;
use stateright::{Checker, HasDiscoveries, Model, Property};

use super::check::Rule;
use super::history::{Kind, NODES, Name, NodeId, incarnation};
use super::state::State;
use super::steps::{Action, is_next};
use crate::planted;

/// What happens, at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope {
    /// What is written, in this order, each transaction by any node at any time; one script at a time.
    pub(super) scripts: &'static [&'static [Kind]],
    /// How many of the nodes do anything.
    pub(super) nodes: usize,
    /// Whether transactions are pushed.
    pub(super) pushes: bool,
    /// How many catch-ups are asked for, and how they are applied.
    pub(super) asks: usize,
    pub(super) batches: bool,
    pub(super) cuts: bool,
    /// Whether a base may be what is received and not durable.
    pub(super) is_hasty: bool,
    pub(super) crashes: usize,
}

/// What an exploration found.
#[derive(Debug)]
pub(super) struct Explored {
    pub(super) states: usize,
    pub(super) steps: usize,
    pub(super) depth: usize,
    /// The rule that does not hold, how, and the steps that show it.
    pub(super) fault: Option<(Rule, String, Vec<Action>)>,
    /// What was reached of [`REACHED`].
    pub(super) reached: Vec<&'static str>,
}

/// A scope, with rules taken out of the code.
struct Exploration {
    scope: Scope,
    without: &'static [&'static str],
    /// Whether there was a fault: the first one has the fewest steps.
    has_failed: AtomicBool,
}

/// What must be reachable, or the exploration proves little.
pub(super) const REACHED: [&str; 7] = [
    "two values in conflict",
    "a delete beside a write",
    "a cut resumed on a newer snapshot",
    "a batch whose base is not covered",
    "all nodes level",
    "a catch-up supplied while its supplier folds",
    "a write at a node that folds",
];

impl Scope {
    /// Explores all of it, or up to the first fault.
    pub(super) fn explore(self, without: &'static [&'static str]) -> Explored {
        // The checker runs on a thread of its own, so each step takes the rules out for itself.
        let exploration = Exploration { scope: self, without, has_failed: AtomicBool::new(false) };
        let checker = exploration.checker().threads(1);
        let checker = checker.finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        let fault = checker.discovery(FAULT).map(|path| {
            let fault = path.last_state().fault.clone().expect("it was found");
            (fault.rule, fault.why, path.into_actions())
        });
        let discoveries = checker.discoveries();
        Explored {
            states: checker.unique_state_count(),
            steps: checker.state_count(),
            depth: checker.max_depth(),
            fault,
            reached: REACHED.into_iter().filter(|it| discoveries.contains_key(it)).collect(),
        }
    }
}

impl Model for Exploration {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        self.scope.scripts.iter().map(|script| State::new(script)).collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.fault.is_some() {
            return;
        }
        let Scope { nodes, pushes, asks, batches, cuts, is_hasty, crashes, .. } = self.scope;
        // Nodes that have not written are alike, so that they write for the first time in their order.
        let has_written = |node: NodeId| state.past.history.all().count(node) > 0;
        let writers = (0..nodes).filter(|&node| node == 0 || has_written(node - 1));
        if state.written < state.script.len() {
            actions.extend(writers.map(Action::Write));
        }
        let firsts: Vec<Name> = state.past.pushes.keys().copied().collect();
        for &first in firsts.iter().filter(|_| pushes) {
            let others = (0..nodes).filter(|&to| to != first.node);
            actions.extend(others.map(|to| Action::Push { first, to }));
        }
        for (asker, supplier) in pairs(nodes).filter(|_| state.asked < asks) {
            let [mine, theirs] = [asker, supplier].map(|node| state.nodes[node].covered);
            if mine.covers_all(theirs) {
                continue;
            }
            actions.push(Action::Ask { asker, supplier, received: None });
            let received = firsts.iter().filter(|it| is_hasty && is_next(state, mine, **it));
            let received = received.map(|first| Some(*first));
            actions.extend(received.map(|received| Action::Ask { asker, supplier, received }));
        }
        for (index, transfer) in state.transfers.iter().enumerate() {
            if batches && !transfer.is_sliced() {
                actions.push(Action::Batch(index));
            }
            if cuts && transfer.has_rows() {
                actions.push(Action::Slice(index));
            }
            if cuts && (transfer.has_rows() || transfer.is_sliced()) {
                actions.push(Action::Flip(index));
            }
        }
        let folding = (0..nodes).filter(|&node| state.nodes[node].is_folding());
        actions.extend(folding.map(Action::Fold));
        if state.crashes < crashes {
            actions.extend((0..nodes).map(Action::Crash));
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        planted::without(self.without, || {
            let mut next = state.clone();
            next.fault = next.step(action).err();
            (next != *state).then_some(next)
        })
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let [conflict, beside, resumed, unbased, level, supplied, written] = REACHED;
        vec![
            Property::always(FAULT, |exploration: &Self, state: &State| {
                state.fault.is_none() || exploration.has_failed.swap(true, Ordering::Relaxed)
            }),
            Property::sometimes(conflict, |_, state: &State| state.has_conflict()),
            Property::sometimes(beside, |_, state: &State| state.has_delete_beside_write()),
            Property::sometimes(resumed, |_, state: &State| state.has_resumed),
            Property::sometimes(unbased, |_, state: &State| {
                let mut transfers = state.transfers.iter();
                transfers.any(|it| !state.nodes[it.asker].covered.covers_all(it.from))
            }),
            Property::sometimes(level, |_, state: &State| state.is_level()),
            Property::sometimes(supplied, |_, state: &State| {
                state.transfers.iter().any(|it| it.is_of_folding)
            }),
            Property::sometimes(written, |_, state: &State| {
                state.nodes.iter().enumerate().any(|(id, node)| {
                    let fold = node.code.heads.folds.get(&Namespace::MAIN);
                    let own = incarnation(id);
                    let written = node.code.heads.vv(Namespace::MAIN).seq(own);
                    fold.is_some_and(|fold| written > fold.before.seq(own).max(fold.upto.seq(own)))
                })
            }),
        ]
    }
}

fn pairs(nodes: usize) -> impl Iterator<Item = (NodeId, NodeId)> {
    let all = (0..nodes).flat_map(move |asker| (0..nodes).map(move |supplier| (asker, supplier)));
    all.filter(|(asker, supplier)| asker != supplier)
}

const FAULT: &str = "the code is as the model says";
const _: () = assert!(NODES == 3, "scripts and scopes are made for three");
