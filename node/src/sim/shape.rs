//! The shape of a mesh: how far its nodes are from each other, and how each takes part.

use serde::{Deserialize, Serialize};

use super::mesh::RoundTrips;
use super::mesh::founding::Member;
use super::mix::Draw;
use super::scenario::Action;
use crate::topology::settings::{Direction, LinkSettings, Mode, Ripple, Topology};

/// How far nodes are from each other, and how each takes part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shape {
    pub(crate) round_trips: RoundTrips,
    pub(crate) members: Vec<Member>,
}

/// Who is linked with whom, in a mesh whose edges an operator has drawn.
#[derive(Debug, Clone, Copy)]
enum Edges {
    Chain,
    Ring,
    Star,
    /// Leaves dial the hub, which dials nobody.
    HubAndSpokes,
    /// Each node takes from the one before it, and gives it nothing.
    OneWay,
    /// Any that hang together.
    Random,
    /// Two parts that never meet.
    Apart,
}

impl Draw {
    /// The shape of a mesh of so many nodes.
    pub(super) fn shape(&mut self, nodes: usize) -> Shape {
        let seed = self.below(1 << 32);
        let round_trips = match self.below(4) {
            0 => RoundTrips::equal(nodes, 2),
            1 if nodes.is_multiple_of(3) => RoundTrips::regions(3, nodes / 3, seed),
            _ => RoundTrips::random(nodes, seed),
        };
        let has_regions = self.one_in(3);
        let ripples: &[Ripple] = self.of(&[
            &[Ripple::Adaptive] as &[_],
            &[Ripple::Adaptive],
            &[Ripple::HoldDown],
            &[Ripple::Adaptive, Ripple::HoldDown],
        ]);
        let mut topologies = match self.below(8) {
            0..2 => vec![Topology::default(); nodes],
            2..4 => (0..nodes).map(|_| of(self.tree())).collect(),
            4 => (0..nodes).map(|_| of(self.loose())).collect(),
            _ => self.edges(nodes),
        };
        for topology in &mut topologies {
            topology.ripple = self.of(ripples);
        }
        let members = topologies.into_iter().enumerate().map(|(id, topology)| Member {
            topology,
            region: has_regions.then(|| format!("region-{}", id % 3)),
            cost: if has_regions && self.one_in(6) { 20 } else { 0 },
        });
        Shape { round_trips, members: members.collect() }
    }

    /// A running node takes part otherwise: so that it stays linked with all that may link with it.
    pub(super) fn topology(&mut self) -> Vec<Action> {
        let node = self.node();
        let mut topology = of(self.loose());
        topology.ripple = self.of(&[Ripple::Adaptive, Ripple::HoldDown]);
        if self.one_in(3) {
            let peer = self.node();
            topology.links = vec![LinkSettings {
                ripple: Some(self.of(&[Ripple::Adaptive, Ripple::HoldDown])),
                cost: Some(self.below(30) as u32),
                ..LinkSettings::new(name(peer))
            }];
        }
        vec![Action::Topology { node, topology }]
    }

    fn tree(&mut self) -> Mode {
        Mode::SpanningTree { fanout: 1 + self.below(4) as usize }
    }

    fn loose(&mut self) -> Mode {
        if self.one_in(2) { Mode::FullMesh } else { self.tree() }
    }

    fn edges(&mut self, nodes: usize) -> Vec<Topology> {
        let edges = self.of(&[
            Edges::Chain,
            Edges::Chain,
            Edges::Ring,
            Edges::Star,
            Edges::HubAndSpokes,
            Edges::HubAndSpokes,
            Edges::OneWay,
            Edges::Random,
            Edges::Random,
            Edges::Apart,
        ]);
        let mut topologies = vec![of(Mode::Static); nodes];
        let mut link = |from: usize, to: usize, direction: Direction| {
            let back = match direction {
                Direction::Both => Direction::Both,
                Direction::Pull => Direction::Serve,
                Direction::Serve => Direction::Pull,
            };
            let is_hub = matches!(edges, Edges::HubAndSpokes);
            for (a, b, direction, dial) in [(from, to, direction, true), (to, from, back, !is_hub)]
            {
                let links = &mut topologies[a].links;
                if links.iter().all(|known| known.peer != name(b)) {
                    links.push(LinkSettings { direction, dial, ..LinkSettings::new(name(b)) });
                }
            }
        };
        for node in 1..nodes {
            match edges {
                Edges::Chain => link(node, node - 1, Direction::Both),
                Edges::OneWay => link(node, node - 1, Direction::Pull),
                Edges::Star | Edges::HubAndSpokes => link(node, 0, Direction::Both),
                Edges::Ring => {
                    link(node, node - 1, Direction::Both);
                    link(node, (node + 1) % nodes, Direction::Both);
                }
                Edges::Random => {
                    link(node, self.below(node as u64) as usize, Direction::Both);
                    let other = self.below(nodes as u64) as usize;
                    if other != node && self.one_in(2) {
                        link(node, other, Direction::Both);
                    }
                }
                // Every second node, so that each has one of its own to link with.
                Edges::Apart if node >= 2 => link(node, node - 2, Direction::Both),
                Edges::Apart if nodes < 4 => link(1, 0, Direction::Both),
                Edges::Apart => {}
            }
        }
        topologies
    }
}

fn of(mode: Mode) -> Topology {
    Topology { mode, ..Topology::default() }
}

/// What a node is called.
pub(crate) fn name(id: usize) -> String {
    format!("n{id}")
}
