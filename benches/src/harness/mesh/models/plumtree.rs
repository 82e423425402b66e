//! Plumtree (Leitão, Pereira, Rodrigues: "Epidemic Broadcast Trees", 2007): updates go along a tree, and are
//! announced on all other links; who misses one for too long asks an announcer, and takes it into the tree.

use std::collections::BTreeMap;

use super::HEADER_BYTES;
use super::protocol::{Control, Protocol, Way};
use super::stage::{Net, Update};

/// Plumtree, with the state of all nodes.
pub struct Plumtree {
    trees: Trees,
    nodes: usize,
    /// For each tree and way whether updates go along it, or announcements.
    is_eager: Vec<bool>,
    /// For each node what it heard of and lacks, and who announced it, first first.
    missing: Vec<BTreeMap<usize, Vec<usize>>>,
}

/// How many trees there are, and how long a node waits.
#[derive(Debug, Clone, Copy)]
pub struct Trees {
    /// A tree of its own for each origin, or one for all.
    pub for_each_origin: bool,
    /// From the first announcement until the first announcer is asked.
    pub wait_ms: u64,
    /// From asking one announcer until the next is asked.
    pub again_ms: u64,
}

impl Trees {
    /// One tree for all, as in the paper; half a second is the default of the crate `plumtree`.
    pub const SHARED: Self = Self { for_each_origin: false, wait_ms: 500, again_ms: 500 };
    /// A tree for each origin, with the waiting times that iroh-gossip has.
    pub const FOR_EACH_ORIGIN: Self = Self { for_each_origin: true, wait_ms: 80, again_ms: 40 };
}

impl Plumtree {
    /// At first all links are in the tree.
    pub fn new(nodes: usize, trees: Trees) -> Self {
        let count = if trees.for_each_origin { nodes } else { 1 };
        Self {
            trees,
            nodes,
            is_eager: vec![true; count * nodes * nodes],
            missing: vec![BTreeMap::new(); nodes],
        }
    }

    fn spread(&mut self, net: &mut Net, node: usize, parent: Option<usize>, update: Update) {
        for peer in net.peers(node).filter(|peer| Some(*peer) != parent) {
            let way = Way { from: node, to: peer };
            if *self.eager(way, update) {
                net.send(way, update);
            } else {
                net.send_control(way, CONTROL_BYTES, Control::Announce(update));
            }
        }
    }

    fn eager(&mut self, way: Way, update: Update) -> &mut bool {
        let tree = if self.trees.for_each_origin { update.origin } else { 0 };
        &mut self.is_eager[(tree * self.nodes + way.from) * self.nodes + way.to]
    }
}

impl Protocol for Plumtree {
    fn write(&mut self, net: &mut Net, update: Update) {
        self.spread(net, update.origin, None, update);
    }

    fn data(&mut self, net: &mut Net, way: Way, update: Update, is_new: bool) {
        let back = Way { from: way.to, to: way.from };
        *self.eager(back, update) = is_new;
        if is_new {
            self.missing[way.to].remove(&update.index);
            self.spread(net, way.to, Some(way.from), update);
        } else {
            net.send_control(back, CONTROL_BYTES, Control::Prune(update));
        }
    }

    fn control(&mut self, net: &mut Net, way: Way, control: Control) {
        let back = Way { from: way.to, to: way.from };
        match control {
            Control::Announce(update) if net.holds(way.to, update) => {}
            Control::Announce(update) => {
                let announcers = self.missing[way.to].entry(update.index).or_insert_with(|| {
                    net.wake_at(net.now_ms() + self.trees.wait_ms, way.to, update.index);
                    Vec::new()
                });
                announcers.push(way.from);
            }
            Control::Graft(update) => {
                *self.eager(back, update) = true;
                if net.holds(way.to, update) {
                    net.send(back, update);
                }
            }
            Control::Prune(update) => *self.eager(back, update) = false,
            other => unreachable!("no node of a tree sends {other:?}"),
        }
    }

    fn wake(&mut self, net: &mut Net, node: usize, about: usize) {
        let Some(announcers) = self.missing[node].get_mut(&about) else { return };
        if announcers.is_empty() {
            // The next announcement starts the wait anew.
            self.missing[node].remove(&about);
            return;
        }
        let update = net.update(about);
        let way = Way { from: node, to: announcers.remove(0) };
        *self.eager(way, update) = true;
        net.send_control(way, CONTROL_BYTES, Control::Graft(update));
        net.wake_at(net.now_ms() + self.trees.again_ms, node, about);
    }
}

/// A message that names one update: its origin by an index of the connection, and its number.
const CONTROL_BYTES: u64 = HEADER_BYTES + 8;
