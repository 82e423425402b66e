//! What an operator sets on a running node.

use super::depends_on;
use super::trees::{adaptive, announce_nothing};
use crate::sim::node::HOLD_DOWN_MS;
use crate::sim::world::{Check, World, ensure};
use crate::topology::settings::{LinkSettings, Mode, Ripple, Topology};

/// Cleo has not told Ben of Ann's write, which does not reach him, when all are to hold back in place of
/// announcing.
fn nodes_cease_to_announce() -> Check {
    let mut world = adaptive(113);
    world.cut(0, 1);
    announce_nothing(&mut world, 2, 1);
    world.put(0, "c/k/f", "v");
    world.run(20);
    world.set_topology(&Topology { ripple: Ripple::HoldDown, ..Topology::default() });
    world.run(2 * HOLD_DOWN_MS);
    ensure!(world.values(1, "c/k/f") == ["v"], "it is not passed on");
    Ok(())
}

#[test]
fn what_was_not_announced_is_held_back_instead() {
    depends_on(&["a new ripple looks at all again"], nodes_cease_to_announce);
}

/// A node of a full mesh names one peer, and no other.
fn a_node_names_its_links() -> Check {
    let mut world = World::mesh(3, 111);
    let links = vec![LinkSettings::new("n1")];
    let topology = Topology { mode: Mode::Static, links, ..world.topology.clone() };
    world.set_topology_of(0, &topology);
    world.run(8_000);
    ensure!(world.net.is_linked(0, 1), "it is not linked with whom it names");
    ensure!(!world.net.is_linked(0, 2), "it is linked with whom it does not name");
    Ok(())
}

#[test]
fn a_static_node_is_linked_with_whom_it_names() {
    depends_on(&["a static node refuses whom it does not name"], a_node_names_its_links);
}
