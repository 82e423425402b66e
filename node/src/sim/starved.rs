//! Starvation: a node lacks for long what a node has that is linked with it and gives to it.

use std::collections::BTreeMap;

use millpond_core::{Dot, Namespace};

use super::net::NodeId;
use super::node::DIGEST_MS;
use super::scenario::Action;
use super::world::{Check, NAMESPACES, World, ensure};

/// Who lacks what, and since when; looked at now and then.
#[derive(Default)]
pub(crate) struct Starved {
    lacking: BTreeMap<(NodeId, NodeId, Namespace), Lacking>,
}

/// The first dot that one node has and the other lacks.
struct Lacking {
    dot: Dot,
    since_ms: u64,
}

impl Starved {
    /// Something is done to nodes or to what lies between them: they may lack for a while what they lack.
    pub(crate) fn excuse(&mut self, action: &Action) {
        match (action, action.place()) {
            (Action::Ask { .. } | Action::Read { .. } | Action::Status { .. }, _) => {}
            (Action::MendAll | Action::Split { .. }, _) => self.lacking.clear(),
            (_, (a, Some(b))) => {
                self.lacking.retain(|(x, y, _), _| (*x, *y) != (a, b) && (*x, *y) != (b, a));
            }
            (_, (node, None)) => self.lacking.retain(|(x, y, _), _| *x != node && *y != node),
        }
    }

    /// Looks at all nodes that nothing keeps from what others give them.
    pub(crate) fn look(&mut self, world: &World) -> Check {
        let fed: Vec<(NodeId, NodeId)> =
            world.gifts().into_iter().filter(|&(from, to)| world.is_healthy(from, to)).collect();
        self.lacking.retain(|(from, to, _), _| fed.contains(&(*from, *to)));
        for (from, to) in fed {
            for namespace in NAMESPACES {
                let pair = (from, to, namespace);
                let Some(dot) = world.lacks(from, to, namespace) else {
                    self.lacking.remove(&pair);
                    continue;
                };
                let since_ms = world.now_ms;
                let known = self.lacking.entry(pair).or_insert(Lacking { dot, since_ms });
                if world.view(to, namespace).vv().covers(known.dot) {
                    *known = Lacking { dot, since_ms };
                }
                let lacked_ms = world.now_ms - known.since_ms;
                ensure!(
                    lacked_ms <= STARVED_MS,
                    "starvation: {to} lacks {} of {namespace} for {lacked_ms} ms, which {from} has",
                    known.dot
                );
            }
        }
        Ok(())
    }
}

impl World {
    /// Whether nothing is wrong with two nodes that run, or with the roads between them.
    fn is_healthy(&self, a: NodeId, b: NodeId) -> bool {
        let is_prompt = |id: NodeId| {
            let node = &self.nodes[id];
            node.commit_ms <= PROMPT_MS && !node.is_full
        };
        let is_clear = |from, to| {
            self.net.is_clear(from, to)
                && !self.net.is_postponed(from, to, self.now_ms + POSTPONED_MS)
        };
        is_prompt(a) && is_prompt(b) && is_clear(a, b) && is_clear(b, a)
    }
}

/// How often nodes are looked at.
pub(crate) const LOOK_MS: u64 = 500;
/// How long a node may lack what a linked one has: a digest tells of it, and it is asked for.
const STARVED_MS: u64 = DIGEST_MS + 5_000;
/// What is so long on its way has been held up, and all behind it.
const POSTPONED_MS: u64 = 2_000;
/// A commit that takes longer makes a node late for all that follows from it.
const PROMPT_MS: u64 = 10;
