//! One state of both: the past, three nodes, and what is under way between them.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use millpond_core::message::Message;
use millpond_core::wire::{self, Decoder};
use millpond_core::{Boot, Namespace, NodeKey};

use super::check::{Fault, Rule, check, hold};
use super::code::Code;
use super::history::{Covered, History, Kind, NODES, Name, NodeId};
use super::transfer::Transfer;
use crate::state::{Job, JobError, Outcome, Place};

/// One state, of the model and of the code.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) script: &'static [Kind],
    /// What the script has left is to be written yet, by whomever.
    pub(super) written: usize,
    pub(super) past: Arc<Past>,
    pub(super) nodes: [Node; NODES],
    /// Catch-ups under way, in the order of their content.
    pub(super) transfers: Vec<Transfer>,
    pub(super) asked: usize,
    pub(super) crashes: usize,
    /// Whether a cut was resumed on a newer snapshot and has flipped.
    pub(super) has_resumed: bool,
    pub(super) fault: Option<Fault>,
}

/// All that was written, as the model has it and as it travels.
#[derive(Debug, Default)]
pub(super) struct Past {
    pub(super) history: History,
    /// Each transaction by its first write, encoded.
    pub(super) pushes: BTreeMap<Name, Bytes>,
    digest: u64,
}

/// A node: its code, and what the model says that it covers.
#[derive(Debug, Clone, PartialEq, Hash)]
pub(super) struct Node {
    pub(super) code: Arc<Code>,
    pub(super) covered: Covered,
    pub(super) boot: u64,
}

impl Eq for Node {}

impl Node {
    /// Whether rows of a cut are hidden in the tables.
    pub(super) fn hides_rows(&self) -> bool {
        let cut = self.code.heads.cuts.get(&Namespace::MAIN);
        cut.is_some_and(|cut| cut.direct)
            || self.code.heads.place(Namespace::MAIN) == Place::Clearing
    }

    /// Whether a cut is visible here and not yet in its place, or given up and not yet gone.
    pub(super) fn is_folding(&self) -> bool {
        self.code.heads.place(Namespace::MAIN) != Place::Free
    }
}

impl Past {
    pub(super) fn new(history: History, pushes: BTreeMap<Name, Bytes>) -> Self {
        let mut hasher = DefaultHasher::new();
        (&history, &pushes).hash(&mut hasher);
        Self { history, pushes, digest: hasher.finish() }
    }
}

impl PartialEq for Past {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Past {}

impl Hash for Past {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

impl State {
    pub(super) fn new(script: &'static [Kind]) -> Self {
        let node =
            |id| Node { code: Arc::new(Code::new(id)), covered: Covered::default(), boot: 1 };
        Self {
            script,
            written: 0,
            past: Arc::default(),
            nodes: std::array::from_fn(node),
            transfers: Vec::new(),
            asked: 0,
            crashes: 0,
            has_resumed: false,
            fault: None,
        }
    }

    /// Has a node's code carry out jobs, as one group.
    pub(super) fn commit(
        &mut self,
        id: NodeId,
        jobs: Vec<Job>,
    ) -> Result<Vec<Result<Outcome, JobError>>, Fault> {
        let node = &mut self.nodes[id];
        let committed = node.code.commit(jobs);
        for half in &committed.halves {
            check(&self.past.history, node.covered, half)
                .map_err(|Fault { why, .. }| Fault { rule: Rule::Whole, why })?;
        }
        if let Some(code) = committed.code {
            let (before, now) = (&node.code.heads, &code.heads);
            let (before, now) = (before.vv(Namespace::MAIN), now.vv(Namespace::MAIN));
            hold!(Based, now.covers_all(before), "{id} falls from {before:?} to {now:?}");
            node.code = Arc::new(code);
        }
        Ok(committed.results)
    }

    /// Holds a node against the model, and against the others.
    pub(super) fn audit(&self, id: NodeId) -> Result<(), Fault> {
        let node = &self.nodes[id];
        check(&self.past.history, node.covered, &node.code)?;
        for other in self.nodes.iter().filter(|other| other.covered == node.covered) {
            let (mine, theirs) = (&node.code.entries, &other.code.entries);
            hold!(Equal, mine == theirs, "at {:?} {mine:?} and {theirs:?}", node.covered);
        }
        Ok(())
    }

    pub(super) fn key(id: NodeId) -> NodeKey {
        NodeKey::from_bytes([id as u8 + 1; 32])
    }

    pub(super) fn boot(&self, id: NodeId) -> Boot {
        Boot { counter: self.nodes[id].boot, random: 0 }
    }

    /// Whether two writers did not see each other, and a node holds both of their values.
    pub(super) fn has_conflict(&self) -> bool {
        self.nodes.iter().any(|node| self.past.history.live(node.covered, 0).len() > 1)
    }

    /// Whether a delete and a write at its path were made side by side, and a node covers both.
    pub(super) fn has_delete_beside_write(&self) -> bool {
        self.nodes.iter().any(|node| {
            let known = || self.past.history.known(node.covered);
            let deletes = known().filter(|(_, write)| write.value.is_none());
            deletes.into_iter().any(|(gone, delete)| {
                known().any(|(name, write)| {
                    write.path == delete.path
                        && write.value.is_some()
                        && !delete.causes.covers(name)
                        && !write.causes.covers(gone)
                })
            })
        })
    }

    /// Whether all is written and everywhere.
    pub(super) fn is_level(&self) -> bool {
        let all = self.past.history.all();
        self.written == self.script.len() && self.nodes.iter().all(|node| node.covered == all)
    }
}

/// A message as it travels: one frame, since all of them are small.
pub(super) fn encode(message: &Message) -> Bytes {
    let mut frames = wire::encode(message);
    assert_eq!(frames.len(), 1, "it is small");
    frames.swap_remove(0)
}

pub(super) fn decode(frame: &Bytes) -> Message {
    let message = Decoder::new().decode(frame.clone());
    message.expect("honest frames decode").expect("they are whole")
}

impl Hash for Transfer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest().hash(state);
    }
}
