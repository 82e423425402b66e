//! The nodes of a world, and what is due next at them.

use std::ops::{Deref, Index, IndexMut};

use super::due::Due;
use super::net::NodeId;
use super::node::Node;

/// All nodes. Whoever changes one may change what is due at it: so it is asked again.
pub(crate) struct Nodes {
    all: Vec<Node>,
    due: Due<NodeId, (u64, Task, NodeId)>,
}

/// What a node waits for; of two at one moment the disk's work comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Task {
    /// The disk, or the lease.
    Disk,
    /// The engine.
    Timer,
}

impl Nodes {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self { all: Vec::new(), due: Due::new() }
    }

    pub(crate) fn push(&mut self, node: Node) {
        self.due.touch(self.all.len());
        self.all.push(node);
    }

    /// What is due next, where, and when.
    pub(crate) fn next(&mut self, now_ms: u64) -> Option<(u64, Task, NodeId)> {
        self.due.ask(|id| {
            let node = &mut self.all[id];
            let disk = node.next_ms().map(|at_ms| (at_ms, Task::Disk, id));
            let timer = node.wakes_ms(now_ms).map(|at_ms| (at_ms, Task::Timer, id));
            disk.into_iter().chain(timer).min()
        });
        self.due.first()
    }
}

impl Deref for Nodes {
    type Target = [Node];

    fn deref(&self) -> &[Node] {
        &self.all
    }
}

impl Index<NodeId> for Nodes {
    type Output = Node;

    fn index(&self, id: NodeId) -> &Node {
        &self.all[id]
    }
}

impl IndexMut<NodeId> for Nodes {
    fn index_mut(&mut self, id: NodeId) -> &mut Node {
        self.due.touch(id);
        &mut self.all[id]
    }
}
