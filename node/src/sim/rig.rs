//! What tests of single interleavings do with a world: build it by hand, cut it, look at one path.

use super::net::NodeId;
use super::trace::Trace;
use super::world::{SMALL, World, path};
use crate::replication::{Limits, RequestId};
use millpond_core::{Namespace, VersionVector};

impl World {
    /// A domain of one node, which runs.
    pub(crate) fn new(seed: u64) -> Self {
        Self::found(seed, Limits::default(), false, None, Trace::new(false))
    }

    /// The same, and all nodes keep their data in files.
    pub(crate) fn on_files(seed: u64) -> Self {
        Self::found(seed, Limits::default(), true, None, Trace::new(false))
    }

    /// A full mesh of members, linked and level.
    pub(crate) fn mesh(count: usize, seed: u64) -> Self {
        let mut world = Self::new(seed);
        for _ in 1..count {
            world.join();
        }
        world.settle().unwrap();
        world
    }

    /// The same with small sizes, so that a few rows are a large catch-up.
    pub(crate) fn small_mesh(count: usize, seed: u64) -> Self {
        let mut world = Self::new(seed);
        world.limits = SMALL;
        world.restart_all();
        for _ in 1..count {
            world.join();
        }
        world.settle().unwrap();
        world
    }

    /// Stops all nodes and starts them again, with the sizes of now.
    pub(crate) fn restart_all(&mut self) {
        for id in 0..self.nodes.len() {
            self.crash(id, true);
            self.nodes[id].limits = self.limits;
            self.start(id);
        }
    }

    /// Cuts both directions between two nodes.
    pub(crate) fn cut(&mut self, a: NodeId, b: NodeId) {
        self.net.set_cut(self.now_ms, a, b, true);
        self.net.set_cut(self.now_ms, b, a, true);
    }

    /// How long frames travel from one node to another, on both lanes.
    pub(crate) fn delay(&mut self, from: NodeId, to: NodeId, delay_ms: u64) {
        self.net.road(from, to).delay_ms = [delay_ms; 2];
    }

    pub(crate) fn delete(&mut self, id: NodeId, at: &str) -> RequestId {
        let at = path(at);
        self.write(id, move |tx| tx.delete(&at).map(drop))
    }

    pub(crate) fn vv(&self, id: NodeId) -> VersionVector {
        self.view(id, Namespace::MAIN).vv().clone()
    }

    /// The values that a reader sees at a path.
    pub(crate) fn values(&self, id: NodeId, at: &str) -> Vec<String> {
        let entry = self.view(id, Namespace::MAIN).entry(&path(at)).unwrap();
        let bytes = entry.live().iter().map(|live| live.payload.bytes.to_vec());
        bytes.map(|bytes| String::from_utf8(bytes).unwrap()).collect()
    }
}
