//! What holds a mesh together: which nodes and which links it would fall apart without.

use std::collections::{BTreeMap, BTreeSet};

/// Links between nodes, which are numbered from zero.
#[derive(Debug, Default)]
pub(crate) struct Mesh {
    neighbours: BTreeMap<usize, BTreeSet<usize>>,
    nodes: usize,
}

impl Mesh {
    /// So many nodes, and no link.
    pub(crate) fn of(nodes: usize) -> Self {
        Self { neighbours: BTreeMap::new(), nodes }
    }

    /// Links two of them.
    pub(crate) fn link(&mut self, a: usize, b: usize) {
        debug_assert!(a < self.nodes && b < self.nodes);
        if a != b {
            self.neighbours.entry(a).or_default().insert(b);
            self.neighbours.entry(b).or_default().insert(a);
        }
    }

    /// The nodes that would be parted from all that `lost` now connects but the largest part, if it were gone;
    /// of equal parts that of `here` remains. Empty if it holds nothing together.
    pub(crate) fn parted_without(&self, lost: usize, here: usize) -> BTreeSet<usize> {
        let around: Vec<usize> = self.around(lost).collect();
        let mut parts: Vec<BTreeSet<usize>> = Vec::new();
        for start in around {
            if !parts.iter().any(|part| part.contains(&start)) {
                parts.push(self.reach(start, |a, b| a != lost && b != lost));
            }
        }
        let rank = |part: &BTreeSet<usize>| (part.len(), part.contains(&here));
        let largest = (0..parts.len()).rev().max_by_key(|&index| rank(&parts[index]));
        let parted = parts.into_iter().enumerate().filter(|(index, _)| Some(*index) != largest);
        parted.flat_map(|(_, part)| part).collect()
    }

    /// The links without which the mesh would fall apart. Each is of any spanning forest, so that only those
    /// are tried.
    pub(crate) fn bridges(&self) -> Vec<(usize, usize)> {
        let forest = self.forest();
        let is_bridge = |&(a, b): &(usize, usize)| {
            let is_other = |from, to| (from, to) != (a, b) && (from, to) != (b, a);
            !self.reach(a, is_other).contains(&b)
        };
        forest.into_iter().filter(is_bridge).collect()
    }

    /// All nodes reached from one over the links that may be taken.
    fn reach(&self, start: usize, may_take: impl Fn(usize, usize) -> bool) -> BTreeSet<usize> {
        let mut reached = BTreeSet::from([start]);
        let mut open = vec![start];
        // In a dense mesh the first node leads to all, and the rest need not be looked at.
        while reached.len() < self.nodes
            && let Some(node) = open.pop()
        {
            for next in self.around(node) {
                if may_take(node, next) && reached.insert(next) {
                    open.push(next);
                }
            }
        }
        reached
    }

    fn forest(&self) -> Vec<(usize, usize)> {
        let (mut seen, mut links) = (BTreeSet::new(), Vec::new());
        for root in 0..self.nodes {
            let mut open = vec![root];
            seen.insert(root);
            while let Some(node) = open.pop() {
                for next in self.around(node) {
                    if seen.insert(next) {
                        links.push((node, next));
                        open.push(next);
                    }
                }
            }
        }
        links
    }

    fn around(&self, node: usize) -> impl Iterator<Item = usize> {
        self.neighbours.get(&node).into_iter().flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mesh(nodes: usize, links: &[(usize, usize)]) -> Mesh {
        let mut mesh = Mesh::of(nodes);
        links.iter().for_each(|&(a, b)| mesh.link(a, b));
        mesh
    }

    fn parted(mesh: &Mesh, lost: usize) -> Vec<usize> {
        mesh.parted_without(lost, 0).into_iter().collect()
    }

    #[test]
    fn a_ring_holds_whatever_is_lost() {
        let ring = mesh(4, &[(0, 1), (1, 2), (2, 3), (3, 0)]);
        assert!((0..4).all(|node| parted(&ring, node).is_empty()));
        assert_eq!(ring.bridges(), []);
    }

    #[test]
    fn a_chain_falls_apart_at_each_of_its_links() {
        let chain = mesh(5, &[(0, 1), (1, 2), (2, 3), (3, 4)]);
        assert_eq!(chain.bridges(), [(0, 1), (1, 2), (2, 3), (3, 4)]);
        assert!(parted(&chain, 0).is_empty());
        assert_eq!(parted(&chain, 1), [0]);
        assert_eq!(parted(&chain, 2), [3, 4]);
        assert_eq!(
            chain.parted_without(2, 4),
            [0, 1].into(),
            "of equal parts that of here remains"
        );
        assert_eq!(parted(&chain, 3), [4]);
    }

    #[test]
    fn a_star_is_nothing_without_its_hub() {
        let star = mesh(4, &[(0, 1), (0, 2), (0, 3)]);
        assert_eq!(parted(&star, 0), [2, 3]);
        assert!(parted(&star, 1).is_empty());
    }

    #[test]
    fn two_rings_that_share_a_node_hang_on_it() {
        let rings = mesh(6, &[(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 5), (5, 2)]);
        assert_eq!(parted(&rings, 2), [0, 1]);
        assert_eq!(rings.bridges(), []);
    }

    #[test]
    fn what_is_apart_already_is_not_counted() {
        let apart = mesh(5, &[(0, 1), (2, 3)]);
        assert!((0..5).all(|node| parted(&apart, node).is_empty()));
        assert_eq!(apart.bridges(), [(0, 1), (2, 3)]);
    }

    /// Against the definition, on every mesh of five nodes.
    #[test]
    fn every_small_mesh_agrees_with_the_definition() {
        let all: Vec<(usize, usize)> = (0..5).flat_map(|a| (0..a).map(move |b| (a, b))).collect();
        for chosen in 0..1_u32 << all.len() {
            let is_chosen = |index: &usize| chosen & (1 << index) != 0;
            let links: Vec<_> = (0..all.len()).filter(is_chosen).map(|index| all[index]).collect();
            let mesh = mesh(5, &links);
            let parts = |links: &[(usize, usize)], lost: Option<usize>| {
                let mut part: Vec<usize> = (0..5).collect();
                for _ in 0..5 {
                    for &(a, b) in
                        links.iter().filter(|(a, b)| lost != Some(*a) && lost != Some(*b))
                    {
                        let least = part[a].min(part[b]);
                        (part[a], part[b]) = (least, least);
                    }
                }
                (0..5).filter(|node| lost != Some(*node) && part[*node] == *node).count()
            };
            let before = parts(&links, None);
            for lost in 0..5 {
                let degree = links.iter().filter(|(a, b)| *a == lost || *b == lost).count();
                let after = parts(&links, Some(lost)) + usize::from(degree == 0);
                assert_eq!(parted(&mesh, lost).is_empty(), after <= before, "{links:?} - {lost}");
            }
            for (index, link) in links.iter().enumerate() {
                let mut others = links.clone();
                others.remove(index);
                let is_bridge = parts(&others, None) > before;
                let (a, b) = *link;
                let found = mesh.bridges().iter().any(|it| *it == (a, b) || *it == (b, a));
                assert_eq!(found, is_bridge, "{links:?} - {link:?}");
            }
        }
    }
}
