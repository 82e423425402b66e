//! Topologies that an operator sets, on networks that have no more wires than that.

use millpond_rig::until;
use serde_json::{Value, json};

use super::load::Load;
use super::{LIMIT, Rig, Way};

#[test]
fn a_chain_passes_on_what_its_ends_write() {
    let Some(mut rig) = Rig::start(4) else { return };
    for (first, second) in [(0, 2), (0, 3), (1, 3)] {
        rig.network.cut(first, second).unwrap();
    }
    rig.set_topology(&[0], &linked(&["node-2"]));
    rig.set_topology(&[1], &linked(&["node-1", "node-3"]));
    rig.set_topology(&[2], &linked(&["node-2", "node-4"]));
    rig.set_topology(&[3], &linked(&["node-3"]));
    until("only neighbours are linked", || links(&rig) == [1, 2, 2, 1]).unwrap();
    for (writer, reader) in [(0, 3), (3, 0)] {
        let mut way = Way::new(&rig, writer, &[reader]);
        // The first ones find their way.
        let took = [way.write(&rig), way.write(&rig), way.write(&rig)];
        println!("from end to end: {took:?}");
        assert!(took.iter().all(|took| *took <= LIMIT), "{took:?}");
    }
    rig.cluster.until_equal().unwrap();
}

#[test]
fn spokes_that_dial_out_only_hear_each_other_through_the_hub() {
    let Some(mut rig) = Rig::start(4) else { return };
    for (first, second) in [(1, 2), (1, 3), (2, 3)] {
        rig.network.cut(first, second).unwrap();
    }
    let spokes = json!({"mode": "static", "link": [{"peer": "*", "dial": false}]});
    rig.set_topology(&[0], &spokes);
    rig.set_topology(&[1, 2, 3], &linked(&["node-1"]));
    until("only the hub is linked", || links(&rig) == [3, 1, 1, 1]).unwrap();
    let mut way = Way::new(&rig, 1, &[0, 2, 3]);
    let took = [way.write(&rig), way.write(&rig), way.write(&rig)];
    println!("from spoke to spokes: {took:?}");
    assert!(took.iter().all(|took| *took <= LIMIT), "{took:?}");
    rig.cluster.until_equal().unwrap();
}

#[test]
fn whoever_is_killed_is_gone_around() {
    let Some(mut rig) = Rig::start(5) else { return };
    let tree = json!({"mode": "spanning-tree", "fanout": 2});
    rig.set_topology(&[0, 1, 2, 3, 4], &tree);
    for victim in 1..5 {
        let rest: Vec<usize> = (1..5).filter(|node| *node != victim).collect();
        let mut way = Way::new(&rig, 0, &rest);
        // The tree grows, and learns what is late.
        for _ in 0..5 {
            way.write(&rig);
        }
        rig.cluster.nodes_mut()[victim].kill().unwrap();
        let took = way.write(&rig);
        println!("without node {victim}: {took:?}");
        assert!(took <= LIMIT, "{took:?}");
        rig.cluster.nodes_mut()[victim].restart().unwrap();
        rig.set_topology(&[victim], &tree);
        // Each links with the next two on the ring, which makes all of five; without that the next victim may
        // be all that holds this one.
        until("all are linked again", || links(&rig) == [4; 5]).unwrap();
        rig.cluster.until_equal().unwrap();
    }
}

#[test]
fn nodes_that_change_their_modes_under_load_converge() {
    let Some(rig) = Rig::start(4) else { return };
    let modes = [
        json!({"mode": "spanning-tree", "fanout": 1}),
        json!({"mode": "full-mesh", "ripple": "hold-down"}),
        json!({"mode": "spanning-tree", "fanout": 2}),
        json!({"mode": "full-mesh"}),
    ];
    let load = Load::of(&rig);
    std::thread::scope(|scope| {
        let _end = load.start(scope, rig.nodes());
        for round in 0..modes.len() {
            // First each another one, and in the end all the same.
            for node in 0..rig.nodes().len() {
                rig.set_topology(&[node], &modes[(node + round) % modes.len()]);
                load.until_each_wrote(10);
            }
        }
        rig.set_topology(&[0, 1, 2, 3], &modes[0]);
        load.until_each_wrote(20);
    });
    load.check(&rig);
}

/// Links to these and no other.
fn linked(peers: &[&str]) -> Value {
    let links: Vec<Value> = peers.iter().map(|peer| json!({"peer": peer})).collect();
    json!({"mode": "static", "link": links})
}

/// How many links each node has.
fn links(rig: &Rig) -> Vec<usize> {
    rig.nodes().iter().map(super::split::links).collect()
}
