//! Founding a domain whose members all know each other from the start.

use std::sync::Arc;

use millpond_core::{Boot, Incarnation, Namespace};
use serde::{Deserialize, Serialize};

use super::RoundTrips;
use crate::membership::{LogAuthors, Role, grant_role, record_incarnation, record_self};
use crate::replication::{JoinProgress, Limits};
use crate::runtime::Lease;
use crate::sim::disk::SimDisk;
use crate::sim::node::{DOMAIN, Done, Node, key};
use crate::sim::oracle::Oracle;
use crate::sim::trace::Trace;
use crate::sim::world::World;
use crate::state::{Heads, Identity, Job, Local, WriteTx, commit_group, meta_key, write_meta};
use crate::store::{Changes, Durability, Store};
use crate::topology::settings::Topology;

/// A member to be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Member {
    /// How it takes part in the mesh.
    pub(crate) topology: Topology,
    /// Where it is.
    pub(crate) region: Option<String>,
    /// What it costs to receive from it.
    pub(crate) cost: u32,
}

/// A domain to be.
pub(crate) struct Founding {
    pub(crate) seed: u64,
    pub(crate) limits: Limits,
    pub(crate) members: Vec<Member>,
    /// How far they are from each other, if it is not one millisecond.
    pub(crate) round_trips: Option<RoundTrips>,
}

impl World {
    /// A domain of these members, who have all joined, know each other, and were stopped in order; now they
    /// start. Nobody has written anything yet. Their disks share what they have in common, and take no time.
    pub(crate) fn found_mesh(founding: Founding, oracle: Option<Oracle>, trace: Trace) -> Self {
        let Founding { seed, limits, members, round_trips } = founding;
        let mut world = Self::empty(seed, limits, false, oracle, trace);
        if let Some(round_trips) = round_trips {
            world.net.spread(round_trips);
        }
        let nodes = members.into_iter().enumerate().map(|(id, member)| {
            let mut node = Node::new(id, SimDisk::new(false));
            (node.limits, node.commit_ms) = (limits, 0);
            (node.topology, node.region, node.cost) = (member.topology, member.region, member.cost);
            node
        });
        let nodes: Vec<Node> = nodes.collect();
        let incarnations: Vec<_> =
            nodes.iter().map(|_| Incarnation::from_bytes(world.random())).collect();
        let common = world.common_store(&nodes, &incarnations);
        for (mut node, open) in nodes.into_iter().zip(incarnations) {
            node.move_in(&common, world.random(), open);
            let id = world.settle_in(node, Some(JoinProgress::Joined));
            world.note_vectors(id);
        }
        world
    }

    /// A store of the first member that holds all records, as if everybody had written his own.
    fn common_store(&mut self, nodes: &[Node], incarnations: &[Incarnation]) -> SimDisk {
        let store = self.blank_store(0, DOMAIN, None);
        let mut heads = Heads::default();
        let records = nodes.iter().zip(incarnations).enumerate();
        let records: Vec<_> =
            records.map(|(id, (node, open))| (node.key, node.record(id), *open)).collect();
        for some in records.chunks(MEMBERS_AT_ONCE) {
            let (founder, some) = (key(0), some.to_vec());
            let closure = move |tx: &mut WriteTx<'_>| {
                some.iter().try_for_each(|(member, record, incarnation)| {
                    let role = if *member == founder { Role::Admin } else { Role::Writer };
                    grant_role(tx, *member, role, founder, &LogAuthors::default())?;
                    record_incarnation(tx, *member, *incarnation)?;
                    record_self(tx, *member, record)
                })
            };
            let local = Local {
                namespace: Namespace::SYSTEM,
                closure: Box::new(closure),
                now_ms: 1_790_000_000_000,
                ended: None,
                fresh: incarnations[0],
                key: founder,
            };
            let results = commit_group(&store, &mut heads, vec![Job::Local(local)]);
            for result in results.expect("an empty disk takes a commit") {
                let pushes = result.expect("the first grants are lawful").pushes;
                let (reissued, recorded) = (Vec::new(), None);
                self.note_done(0, vec![Done { is_user: false, pushes, reissued, recorded }]);
            }
        }
        store
    }
}

impl Node {
    /// A copy of the store that all have in common becomes this node's own, last opened by a boot that ended
    /// in order.
    fn move_in(&mut self, common: &SimDisk, store: [u8; 16], open: Incarnation) {
        let disk = common.reopened();
        let boot = Boot { counter: 1, random: 0 };
        let mut changes = Changes::default();
        let identity = Identity { store, domain: DOMAIN, key: self.key };
        write_meta(&mut changes, meta_key::identity(), Some(&identity));
        write_meta(&mut changes, meta_key::boot(), Some(&boot));
        write_meta(&mut changes, meta_key::open(), Some(&open));
        write_meta(&mut changes, meta_key::incarnations(), Some(&vec![open]));
        disk.commit(&changes, Durability::Synced).expect("an empty disk takes a commit");
        let snapshot = disk.snapshot().expect("a disk can be read");
        let heads = Heads::load(&*snapshot).expect("meta values are whole");
        self.lease = Some(Lease::new(&store, boot, &heads, true));
        self.store = Arc::new(disk);
    }
}

/// Members that are recorded in one transaction.
const MEMBERS_AT_ONCE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::settings::Ripple;

    fn world(count: usize) -> World {
        let topology = Topology { ripple: Ripple::HoldDown, ..Topology::default() };
        let members = vec![Member { topology, ..Member::default() }; count];
        let founding = Founding { seed: 1, limits: Limits::default(), members, round_trips: None };
        World::found_mesh(founding, Some(Oracle::default()), Trace::new(false))
    }

    #[test]
    fn members_who_know_each_other_link_and_have_nothing_to_say() {
        let mut world = world(5);
        world.settle().unwrap();
        assert!(world.is_meshed());
        for id in 0..5 {
            assert_eq!(world.nodes[id].issued, 0, "{id} has nothing to record");
            let status = world.status(id);
            assert_eq!(status.peers.len(), 4);
            assert!(status.node.fenced.is_none() && status.node.incarnation.is_some());
        }
    }

    #[test]
    fn their_first_writes_need_no_new_incarnation() {
        let mut world = world(3);
        world.settle().unwrap();
        let system = world.view(0, Namespace::SYSTEM).vv().clone();
        let request = world.put(2, "at/a/f", "1");
        world.settle().unwrap();
        assert!(world.written(request).is_some_and(|written| written.is_ok()));
        assert_eq!(world.values(0, "at/a/f"), ["1"]);
        assert_eq!(*world.view(1, Namespace::SYSTEM).vv(), system);
    }
}
