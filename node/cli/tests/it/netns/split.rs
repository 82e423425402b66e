//! Parts that are apart and come together, with writes all the while.

use millpond_rig::{Node, until};

use super::Rig;
use super::load::Load;

#[test]
fn two_halves_that_both_write_converge() {
    let Some(mut rig) = Rig::start(4) else { return };
    let load = Load::of(&rig);
    std::thread::scope(|scope| {
        let _end = load.start(scope, rig.nodes());
        load.until_each_wrote(20);
        rig.network.split(&[0, 1]).unwrap();
        load.until_each_wrote(50);
        rig.network.heal_all().unwrap();
        load.until_each_wrote(20);
    });
    load.check(&rig);
}

#[test]
fn a_node_that_was_lost_for_good_comes_back() {
    let Some(mut rig) = Rig::start(3) else { return };
    let load = Load::of(&rig);
    std::thread::scope(|scope| {
        let _end = load.start(scope, rig.nodes());
        rig.network.split(&[2]).unwrap();
        // Longer than a link lives on which nothing arrives.
        until("the links are given up", || {
            let [first, .., last] = rig.nodes() else { unreachable!() };
            links(first) == 1 && links(last) == 0
        })
        .unwrap();
        load.until_each_wrote(20);
        rig.network.heal_all().unwrap();
        rig.cluster.until_linked(2).unwrap();
    });
    load.check(&rig);
}

#[test]
fn a_flapping_link_loses_nothing() {
    let Some(mut rig) = Rig::start(3) else { return };
    let load = Load::of(&rig);
    std::thread::scope(|scope| {
        let _end = load.start(scope, rig.nodes());
        for round in 0..12 {
            match round % 3 {
                0 => rig.network.cut(0, 2),
                1 => rig.network.cut_one_way(2, 0),
                _ => rig.network.take_down(0, 2),
            }
            .unwrap();
            load.until_each_wrote(10);
            rig.network.heal(0, 2).unwrap();
            load.until_each_wrote(10);
        }
    });
    load.check(&rig);
}

/// Links that a node has.
pub fn links(node: &Node) -> usize {
    let status = node.status().unwrap();
    let peers = status["peers"].as_array().unwrap();
    peers.iter().filter(|peer| !peer["link"].is_null()).count()
}
