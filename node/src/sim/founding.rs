//! How a world comes to its nodes: who founds the domain, who joins it, and what they are made with.

use std::collections::{BTreeMap, BTreeSet};

use millpond_core::{Domain, Namespace, Push};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

use super::disk::SimDisk;
use super::net::{Net, NodeId};
use super::node::{COLLECTION, DOMAIN, Done, Node, key};
use super::nodes::Nodes;
use super::oracle::Oracle;
use super::sessions::Sessions;
use super::trace::Trace;
use super::world::World;
use crate::membership::{Invite, InviteOptions, LogAuthors, Role, grant_role};
use crate::replication::{Answer, Collection, JoinProgress, Limits, Request};
use crate::state::{Heads, Identity, Job, Local, commit_group, meta_key, write_meta};
use crate::store::{Changes, Durability, Store};
use crate::topology::settings::{Ripple, Topology};

impl World {
    /// A domain of one node, which runs; judged by an oracle from the first write on, if one is given.
    pub(crate) fn found(
        seed: u64,
        limits: Limits,
        is_on_files: bool,
        oracle: Option<Oracle>,
        trace: Trace,
    ) -> Self {
        let mut world = Self::empty(seed, limits, is_on_files, oracle, trace);
        let store = world.blank_store(0, DOMAIN, None);
        for pushes in world.make_admin(0, &store) {
            let (reissued, recorded) = (Vec::new(), None);
            world.note_done(0, vec![Done { is_user: false, pushes, reissued, recorded }]);
        }
        world.add(store);
        world
    }

    /// One more node, which has founded a domain of its own.
    #[cfg(test)]
    pub(crate) fn found_another(&mut self) -> NodeId {
        let (id, domain) = (self.nodes.len(), Domain::from_bytes(self.random()));
        let store = self.blank_store(id, domain, None);
        self.make_admin(id, &store);
        self.add(store)
    }

    /// The first grant of a domain.
    fn make_admin(&mut self, id: NodeId, store: &SimDisk) -> Vec<Vec<Push>> {
        let own = key(id);
        let local = Local {
            namespace: Namespace::SYSTEM,
            closure: Box::new(move |tx| {
                grant_role(tx, own, Role::Admin, own, &LogAuthors::default())
            }),
            now_ms: 1_790_000_000_000,
            ended: None,
            fresh: millpond_core::Incarnation::from_bytes(self.random()),
            key: own,
        };
        let results = commit_group(store, &mut Heads::default(), vec![Job::Local(local)]);
        let results = results.expect("an empty disk takes a commit").into_iter();
        results.map(|result| result.expect("the first grant is lawful").pushes).collect()
    }

    /// A world without nodes.
    pub(crate) fn empty(
        seed: u64,
        limits: Limits,
        is_on_files: bool,
        oracle: Option<Oracle>,
        trace: Trace,
    ) -> Self {
        Self {
            now_ms: 1,
            nodes: Nodes::new(),
            net: Net::new(seed),
            rng: ChaCha8Rng::seed_from_u64(seed),
            is_on_files,
            is_indexed: false,
            limits,
            collection: COLLECTION,
            topology: Topology { ripple: Ripple::HoldDown, ..Topology::default() },
            heard: None,
            answers: BTreeMap::new(),
            joined: Vec::new(),
            last_request: 0,
            held_by_all: BTreeMap::new(),
            sessions: Sessions::default(),
            steps: 0,
            trace,
            oracle,
            outcasts: BTreeSet::new(),
            fallen_back: BTreeSet::new(),
            delays: BTreeMap::new(),
            meter: None,
            weights: None,
            observer: None,
            observed: Ok(()),
        }
    }

    /// One more node, invited by the first.
    pub(crate) fn join(&mut self) -> NodeId {
        let options = InviteOptions { role: Role::Writer, ..InviteOptions::default() };
        let secret = self.random();
        let id = self.ask(0, Request::Invite { options, secret });
        self.run(100);
        let Some(Answer::Invite(Ok(invite))) = self.answers.remove(&id) else {
            panic!("no invite: node 0 is no admin, or its disk failed")
        };
        let node = self.add_invited(&invite);
        self.run_until(20_000, |world| world.has_joined(node)).unwrap();
        node
    }

    /// One more node, invited by the first, with settings of its own from its first start on.
    #[cfg(test)]
    pub(crate) fn join_as(&mut self, set: impl FnOnce(&mut Node)) -> NodeId {
        let options = InviteOptions { role: Role::Writer, ..InviteOptions::default() };
        let secret = self.random();
        let id = self.ask(0, Request::Invite { options, secret });
        self.run(100);
        let Some(Answer::Invite(Ok(invite))) = self.answers.remove(&id) else {
            panic!("no invite: node 0 is no admin, or its disk failed")
        };
        let store = self.blank_store(self.nodes.len(), DOMAIN, Some(&invite));
        let mut node = Node::new(self.nodes.len(), store);
        (node.limits, node.topology) = (self.limits, self.topology.clone());
        set(&mut node);
        let id = self.settle_in(node, None);
        self.run_until(20_000, |world| world.has_joined(id)).unwrap();
        id
    }

    /// Whether a node is a member, as far as it knows.
    pub(crate) fn has_joined(&self, node: NodeId) -> bool {
        node == 0 || self.joined[node] == Some(JoinProgress::Joined)
    }

    /// What became of a node's invite, as far as it knows.
    pub(crate) fn progress(&self, node: NodeId) -> Option<&JoinProgress> {
        self.joined[node].as_ref()
    }

    /// One more node, which will join once it reaches its inviter.
    pub(crate) fn add_invited(&mut self, invite: &Invite) -> NodeId {
        let store = self.blank_store(self.nodes.len(), DOMAIN, Some(invite));
        self.add(store)
    }

    /// The same for a domain of another node's.
    #[cfg(test)]
    pub(crate) fn add_invited_to(&mut self, invite: &Invite) -> NodeId {
        let store = self.blank_store(self.nodes.len(), invite.domain, Some(invite));
        self.add(store)
    }

    pub(crate) fn blank_store(
        &mut self,
        id: NodeId,
        domain: Domain,
        invite: Option<&Invite>,
    ) -> SimDisk {
        let store = SimDisk::new(self.is_on_files);
        let mut changes = Changes::default();
        let about = Identity { store: self.random(), domain, key: key(id) };
        write_meta(&mut changes, meta_key::identity(), Some(&about));
        if let Some(invite) = invite {
            write_meta(&mut changes, meta_key::pending_invite(), Some(invite));
        }
        store.commit(&changes, Durability::Synced).unwrap();
        store
    }

    fn add(&mut self, store: SimDisk) -> NodeId {
        let mut node = Node::new(self.nodes.len(), store);
        node.limits = self.limits;
        node.collection = self.collection;
        node.topology = self.topology.clone();
        self.settle_in(node, None)
    }

    /// A node comes into the world, and starts.
    pub(crate) fn settle_in(&mut self, node: Node, joined: Option<JoinProgress>) -> NodeId {
        let id = self.nodes.len();
        self.nodes.push(node);
        self.joined.push(joined);
        self.start(id);
        id
    }

    /// When all nodes collect tombstones from now on, and those to come.
    pub(crate) fn set_collection(&mut self, collection: Collection) {
        self.collection = collection;
        for id in 0..self.nodes.len() {
            self.nodes[id].collection = collection;
            if let Some(running) = &mut self.nodes[id].running {
                running.engine_mut().set_collection(collection);
            }
        }
    }

    /// How all nodes take part in the mesh from now on, and those to come.
    pub(crate) fn set_topology(&mut self, topology: &Topology) {
        self.topology = topology.clone();
        for id in 0..self.nodes.len() {
            self.set_topology_of(id, topology);
        }
    }

    /// How a node takes part in the mesh from now on.
    pub(crate) fn set_topology_of(&mut self, id: NodeId, topology: &Topology) {
        self.nodes[id].topology = topology.clone();
        if self.nodes[id].running.is_some() {
            self.ask(id, Request::SetTopology(topology.clone()));
        }
    }

    /// Starts a copy of a node's folder elsewhere.
    pub(crate) fn start_copy(&mut self, of: NodeId) -> NodeId {
        let image = self.nodes[of].image();
        let id = self.nodes.len();
        self.nodes.push(Node::new(id, SimDisk::new(false)));
        self.joined.push(Some(JoinProgress::Joined));
        self.nodes[id].key = self.nodes[of].key;
        self.nodes[id].shows = self.nodes[of].shows;
        self.nodes[id].topology = self.nodes[of].topology.clone();
        self.nodes[id].collection = self.collection;
        self.nodes[id].restore(&image);
        self.note_replaced(id, &[]);
        self.start(id);
        id
    }
}
