//! What nodes hold, and whether they agree.

use std::ops::ControlFlow;

use millpond_core::{Entry, Namespace, Path, VersionVector};

use super::net::NodeId;
use super::world::{Check, NAMESPACES, World, ensure, path};
use crate::state::View;
use crate::store::Store;

impl World {
    pub(crate) fn view(&self, id: NodeId, namespace: Namespace) -> View {
        View::new(self.nodes[id].store.snapshot().unwrap(), namespace).unwrap()
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

    pub(crate) fn running(&self) -> impl Iterator<Item = NodeId> + '_ {
        (0..self.nodes.len()).filter(|&id| self.nodes[id].running.is_some())
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
                ensure!(vv.vv() == theirs.vv(), "{first} and {id} are not level in {namespace}");
                let (here, there) = (self.entries(id, namespace), self.entries(first, namespace));
                ensure!(
                    here == there,
                    "{first} and {id} are level in {namespace} and differ:\n{:?}\n{:?}",
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
