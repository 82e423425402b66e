//! What nodes hold, and whether they agree.

use std::ops::ControlFlow;

use millpond_core::{Entry, Namespace, Path};

use super::net::NodeId;
use super::world::{Check, NAMESPACES, World, ensure};
use crate::state::View;
use crate::store::{Store, StoreError};

impl World {
    pub(crate) fn view(&self, id: NodeId, namespace: Namespace) -> View {
        self.try_view(id, namespace).expect("vectors are never rotten")
    }

    pub(crate) fn try_view(&self, id: NodeId, namespace: Namespace) -> Result<View, StoreError> {
        View::new(self.nodes[id].store.snapshot()?, namespace)
    }

    /// All that a reader sees of a namespace.
    pub(crate) fn entries(&self, id: NodeId, namespace: Namespace) -> Vec<(Path, Entry)> {
        let mut found = Vec::new();
        self.view(id, namespace)
            .entries(None, None, &mut |path, entry| {
                found.push((path, entry));
                ControlFlow::Continue(())
            })
            .unwrap();
        found
    }

    /// The nodes that run and are to be like the others.
    pub(crate) fn running(&self) -> impl Iterator<Item = NodeId> + '_ {
        let is_one = |id: &NodeId| self.nodes[*id].running.is_some() && !self.outcasts.contains(id);
        (0..self.nodes.len()).filter(is_one)
    }

    /// Whether all running nodes have one vector.
    pub(crate) fn is_level(&self) -> bool {
        NAMESPACES.into_iter().all(|namespace| {
            let mut vectors = self.running().map(|id| self.view(id, namespace).vv().clone());
            let first = vectors.next();
            vectors.all(|vv| Some(vv) == first)
        })
    }

    /// Whether all running nodes, level by now, hold the same.
    pub(crate) fn agree(&self) -> Check {
        for namespace in NAMESPACES {
            let first = self.running().next().expect("a node runs");
            for id in self.running() {
                let (vv, theirs) = (self.view(id, namespace), self.view(first, namespace));
                ensure!(
                    vv.vv() == theirs.vv(),
                    "convergence: {first} and {id} are not level in {namespace}"
                );
                let (here, there) = (self.entries(id, namespace), self.entries(first, namespace));
                ensure!(
                    here == there,
                    "convergence: {first} and {id} are level in {namespace} and differ:\n{:?}\n{:?}",
                    there.iter().filter(|row| !here.contains(row)).collect::<Vec<_>>(),
                    here.iter().filter(|row| !there.contains(row)).collect::<Vec<_>>()
                );
            }
        }
        Ok(())
    }

    /// Who holds how much, and who is linked to whom.
    pub(crate) fn standing(&self) -> String {
        let all: Vec<NodeId> = self.running().collect();
        let vectors = all.iter().map(|&id| {
            let vvs = NAMESPACES.map(|namespace| format!("{:?}", self.view(id, namespace).vv()));
            let links: Vec<_> = all.iter().filter(|&&it| self.net.is_linked(id, it)).collect();
            format!("\n  {id}: {vvs:?}, linked to {links:?}")
        });
        vectors.collect()
    }
}
