//! A mesh in the making of a measurement: its world, who writes there, and how far everybody is.

use std::collections::BTreeMap;

use millpond_core::{Incarnation, NodeKey, Path};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

use super::founding::{Founding, Member};
use super::meter::Meter;
use super::{MeshOptions, Writes};
use crate::replication::Limits;
use crate::sim::net::NodeId;
use crate::sim::trace::Trace;
use crate::sim::world::{World, text};

/// Why nothing was measured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MeshError(pub(crate) String);

/// A world in which updates are written and followed.
pub(crate) struct Field {
    pub(crate) world: World,
    writes: Writes,
    /// Draws what else a trial needs.
    pub(crate) rng: ChaCha8Rng,
    pub(crate) options: MeshOptions,
    /// The nodes that write, and how often each has.
    pub(crate) writers: Vec<(NodeId, Incarnation, u64)>,
    ids: BTreeMap<NodeKey, NodeId>,
}

/// Rows that nodes have received.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rows {
    pub(crate) received: u64,
    pub(crate) new: u64,
    /// Of those received, rows from another region.
    pub(crate) from_afar: u64,
}

impl Field {
    /// A mesh whose members have linked.
    pub(crate) fn found(options: &MeshOptions) -> Result<Self, MeshError> {
        let members = (0..options.nodes).map(|id| Member {
            topology: options.topology.clone(),
            region: options
                .region_nodes
                .filter(|_| options.tells_regions)
                .map(|nodes| format!("region-{}", id / nodes)),
            cost: 0,
        });
        let founding = Founding {
            seed: options.seed,
            limits: Limits::default(),
            members: members.collect(),
            round_trips: Some(options.round_trips.clone()),
        };
        let mut world = World::found_mesh(founding, None, Trace::new(false));
        world.meter = Some(Meter::new(options.nodes));
        world.net.disturbance = options.disturbance;
        world.run(LINKED_MS);
        let parts = world.net.parts(options.nodes);
        if parts > 1 {
            return Err(MeshError(format!("the mesh is in {parts} parts after {LINKED_MS} ms")));
        }
        let writers = (0..options.writers).map(|number| {
            let id = options.writer(number);
            let running = world.nodes[id].running.as_ref();
            let open = running.and_then(|running| running.heads.open);
            (id, open.expect("members have an incarnation from the start"), 0)
        });
        let writers = writers.collect();
        let ids = (0..options.nodes).map(|id| (world.nodes[id].key, id)).collect();
        let writes = Writes::new(options);
        let rng = ChaCha8Rng::seed_from_u64(options.seed ^ 0x0074_7269_616c);
        Ok(Self { world, writes, rng, options: options.clone(), writers, ids })
    }

    /// What follows the updates.
    pub(crate) fn meter(&self) -> &Meter {
        self.world.meter.as_ref().expect("a field has a meter")
    }

    /// One update of the writer of that number.
    pub(crate) fn write(&mut self, writer: usize) {
        let (id, incarnation, written) = &mut self.writers[writer];
        let (id, incarnation, update) = (*id, *incarnation, *written);
        *written += 1;
        let key = (id as u128) << 64 | u128::from(update % KEYS);
        let path = Path::new([&b"mesh"[..], &key.to_be_bytes(), b"v"]).expect("it is short");
        let value = text(&format!("{update:0>64}"));
        let now_ms = self.world.now_ms;
        if let Some(meter) = &mut self.world.meter {
            meter.issued(now_ms, id, incarnation);
        }
        self.world.write(id, move |tx| tx.put(path, value));
        self.world.answers.clear();
    }

    /// So many updates, of writers by chance, at the rate that is asked for.
    pub(crate) fn write_many(&mut self, updates: usize) {
        let mut written = 0;
        while written < updates {
            written += self.write_for(1);
        }
    }

    /// Updates for so long. Each millisecond has one or none, with equal chance: so the times between them
    /// are as good as exponential.
    pub(crate) fn write_for(&mut self, ms: u64) -> usize {
        let mut written = 0;
        for _ in 0..ms {
            self.world.run(1);
            if let Some(writer) = self.writes.next_ms() {
                self.write(writer);
                written += 1;
            }
        }
        written
    }

    /// Notes from now on from whom updates come to each node.
    pub(crate) fn follow_feeders(&mut self) {
        if let Some(meter) = &mut self.world.meter {
            meter.follow_feeders();
        }
    }

    /// Lets time pass until every update is everywhere.
    pub(crate) fn level(&mut self) -> Result<u64, MeshError> {
        let level = self
            .world
            .run_until(LEVEL_MS, |world| world.meter.as_ref().is_none_or(Meter::is_level));
        let open = self.meter().open();
        level.map_err(|why| MeshError(format!("{open} updates are not everywhere {why}")))
    }

    /// What all nodes have received so far.
    pub(crate) fn rows(&self) -> Rows {
        let mut rows = Rows::default();
        for id in 0..self.options.nodes {
            let Some(running) = &self.world.nodes[id].running else { continue };
            for (peer, counters) in running.engine.counters_of_peers() {
                rows.received += counters.rows_received;
                rows.new += counters.rows_new;
                if self.region(id) != self.region(self.ids[&peer]) {
                    rows.from_afar += counters.rows_received;
                }
            }
        }
        rows
    }

    fn region(&self, id: NodeId) -> usize {
        id / self.options.region_nodes.unwrap_or(self.options.nodes)
    }
}

impl Rows {
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            received: self.received - earlier.received,
            new: self.new - earlier.new,
            from_afar: self.from_afar - earlier.from_afar,
        }
    }
}

/// How long the members have to link.
const LINKED_MS: u64 = 10_000;
/// How long updates may take to be everywhere.
const LEVEL_MS: u64 = 120_000;
/// Records that each writer writes again and again: so that a mesh needs no more memory the longer it runs.
const KEYS: u64 = 16;
