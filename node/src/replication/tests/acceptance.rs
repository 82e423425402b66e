//! Acceptance in virtual time: ripple suppression at three and five nodes, a cut that a relay bridges, the
//! price of coming back.

use std::collections::BTreeSet;

use crate::sim::node::HOLD_DOWN_MS;
use crate::sim::world::World;

fn received(world: &mut World) -> u64 {
    let count = world.nodes.len();
    (0..count).map(|id| world.counted(id, |counters| counters.rows_received)).sum()
}

#[test]
fn nothing_is_received_twice_in_a_steady_mesh() {
    for count in [3, 5] {
        let mut world = World::mesh(count, 40);
        let before = received(&mut world);
        let writes = 2_000;
        for round in 0..writes {
            world.put(round % count, &format!("c/{}/f", round % 500), "some value");
            world.run(if round % 100 == 0 { 700 } else { 5 });
        }
        world.settle().unwrap();
        let rows = received(&mut world) - before;
        let new = (writes * (count - 1)) as u64;
        println!("{count} nodes: {rows} rows received, {new} new: {}", rows as f64 / new as f64);
        assert_eq!(rows, new);
    }
}

#[test]
fn a_relay_bridges_a_cut_and_nothing_is_sent_twice_at_the_heal() {
    let mut world = World::mesh(3, 41);
    let before = received(&mut world);
    world.cut(0, 1);
    let mut slowest_ms = 0;
    for round in 0..20 {
        let at = format!("c/{round}/f");
        world.put(0, &at, "v");
        world.run_until(5_000, |world| !world.values(0, &at).is_empty()).unwrap();
        let ms = world.run_until(5_000, |world| !world.values(1, &at).is_empty()).unwrap();
        slowest_ms = slowest_ms.max(ms);
        world.run(300);
    }
    println!("through the relay after {slowest_ms} ms at most");
    assert!(slowest_ms <= HOLD_DOWN_MS + 1_000);
    world.run(HOLD_DOWN_MS);
    world.heal(0, 1);
    world.settle().unwrap();
    assert_eq!(received(&mut world) - before, 40, "rows for 20 writes to two nodes");
}

/// Keys of 16 bytes that share no prefix.
fn city(number: usize) -> String {
    let key = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("city/{key:016x}/name")
}

#[test]
fn coming_back_costs_what_changed_from_one_supplier() {
    let mut world = World::mesh(3, 42);
    for number in 0..3_000 {
        world.put(number % 3, &city(number), "a value of twenty-four b");
        if number % 100 == 0 {
            world.run(20);
        }
    }
    world.settle().unwrap();
    world.crash(2, true);
    world.run(5_000);
    let mut paths = BTreeSet::new();
    for number in 0..1_500 {
        let at = city(number % 1_000);
        world.put(number % 2, &at, "a value of twenty-four c");
        paths.insert(at);
        if number % 100 == 0 {
            world.run(20);
        }
    }
    world.run(70_000);
    world.start(2);
    world.settle().unwrap();
    let status = world.status(2);
    let suppliers = status.peers.iter().filter(|peer| peer.counters.rows_received > 0).count();
    let rows: u64 = status.peers.iter().map(|peer| peer.counters.rows_received).sum();
    let bytes: u64 = status
        .peers
        .iter()
        .map(|peer| peer.counters.frame_bytes_received + peer.counters.frame_bytes_sent)
        .sum();
    let payload = (paths.len() * (16 + "name".len() + 24)) as u64;
    let budget = payload + 24 * rows + 4_096;
    println!(
        "{} paths: {rows} rows from {suppliers} supplier, {bytes} frame bytes, {payload} payload, \
         {:.1} bytes beyond it for each row, budget {budget}",
        paths.len(),
        (bytes as f64 - payload as f64) / rows as f64
    );
    assert_eq!((rows, suppliers), (1_000, 1));
    assert!(bytes <= budget);
}
