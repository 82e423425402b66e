//! A fixed tree of least cost.

use millpond::sim::mesh::RoundTrips;

use super::protocol::{Protocol, Way};
use super::stage::{Net, Update};

/// The spanning tree whose links have the least sum of round trips. It is never mended.
pub struct SpanningTree {
    neighbours: Vec<Vec<usize>>,
}

impl SpanningTree {
    /// Of all links, by Prim's way: the node that is nearest to the tree joins next.
    pub fn new(round_trips: &RoundTrips) -> Self {
        let mut neighbours = vec![Vec::new(); round_trips.nodes()];
        // For each node outside the tree its distance, and the node inside that it is nearest to.
        let mut outside: Vec<(u64, usize, usize)> = (1..round_trips.nodes())
            .map(|node| (round_trips.one_way_ms(0, node), node, 0))
            .collect();
        while let Some(place) = (0..outside.len()).min_by_key(|place| outside[*place]) {
            let (_, node, parent) = outside.swap_remove(place);
            neighbours[node].push(parent);
            neighbours[parent].push(node);
            for (distance, other, nearest) in &mut outside {
                let over_node = round_trips.one_way_ms(node, *other);
                if over_node < *distance {
                    (*distance, *nearest) = (over_node, node);
                }
            }
        }
        Self { neighbours }
    }

    fn forward(&self, net: &mut Net, node: usize, from: Option<usize>, update: Update) {
        for &peer in self.neighbours[node].iter().filter(|peer| Some(**peer) != from) {
            net.send(Way { from: node, to: peer }, update);
        }
    }
}

impl Protocol for SpanningTree {
    fn write(&mut self, net: &mut Net, update: Update) {
        self.forward(net, update.origin, None, update);
    }

    fn data(&mut self, net: &mut Net, way: Way, update: Update, _is_new: bool) {
        self.forward(net, way.to, Some(way.from), update);
    }
}
