//! What each model does, on a mesh small enough to say it by hand.

use millpond::sim::mesh::RoundTrips;

use super::{Flood, HoldDown, Plumtree, Protocol, SpanningTree, Stage, Trees};
use crate::mesh::disturbance::Disturbance;

/// Ways in milliseconds: 0 to 1 takes 10, 1 to 2 takes 20, 0 to 2 takes 50.
fn three() -> RoundTrips {
    RoundTrips::try_from(vec![vec![], vec![10], vec![50, 20]]).unwrap()
}

fn stage(protocol: impl Protocol + 'static) -> Stage {
    Stage::new(Box::new(protocol), &three(), Disturbance::None, 1)
}

/// When the nodes had the update after it was written, and how often it was received.
fn spread(stage: &mut Stage, update: usize) -> ([Option<u64>; 3], u64) {
    let spread = &stage.net.spreads()[update];
    let after = |came: &Option<(u64, usize)>| came.map(|(at, _)| at - spread.written_ms);
    ([0, 1, 2].map(|node| after(&spread.came[node])), spread.copies)
}

#[test]
fn a_flood_takes_the_shortest_way_and_every_other() {
    let mut stage = stage(Flood);
    let update = stage.write(0);
    stage.run_until(1_000);
    assert_eq!(spread(&mut stage, update), ([Some(0), Some(10), Some(30)], 4));
    assert_eq!(stage.net.control_bytes, 0);
}

#[test]
fn a_static_tree_leaves_the_longest_link_out() {
    let mut stage = stage(SpanningTree::new(&three()));
    let update = stage.write(2);
    stage.run_until(1_000);
    assert_eq!(spread(&mut stage, update), ([Some(30), Some(20), Some(0)], 2));
}

#[test]
fn under_ravendbs_rule_a_relay_waits_for_its_idle_tick() {
    let mut stage = stage(HoldDown::new(3, 1));
    stage.net.cut(0, 2);
    let update = stage.write(0);
    stage.run_until(200);
    let is_before_any_tick = spread(&mut stage, update).0 == [Some(0), Some(10), None];
    stage.run_until(15_100);
    let ([_, _, late], copies) = spread(&mut stage, update);
    assert!(is_before_any_tick && late.is_some_and(|ms| ms > 200), "{late:?}");
    assert_eq!(copies, 2, "the vector that was told keeps the relay from repeating");
}

#[test]
fn under_ravendbs_rule_a_local_write_takes_along_what_is_not_known_to_have_come() {
    let mut stage = stage(HoldDown::new(3, 1));
    let early = stage.write(0);
    stage.run_until(12);
    // Node 1 has the first one since 10, and cannot know that node 2 is about to get it.
    let late = stage.write(1);
    stage.run_until(200);
    assert_eq!(spread(&mut stage, early), ([Some(0), Some(10), Some(32)], 3));
    assert_eq!(spread(&mut stage, late), ([Some(10), Some(0), Some(20)], 2));
    let third = stage.write(1);
    stage.run_until(400);
    assert_eq!(spread(&mut stage, early).1, 3, "now it knows");
    assert_eq!(spread(&mut stage, third).1, 2);
}

#[test]
fn plumtree_prunes_what_comes_twice_and_announces_there() {
    for trees in [Trees::SHARED, Trees::FOR_EACH_ORIGIN] {
        let mut stage = stage(Plumtree::new(3, trees));
        let first = stage.write(0);
        stage.run_until(1_000);
        assert_eq!(spread(&mut stage, first), ([Some(0), Some(10), Some(30)], 4));
        let before = stage.net.control_messages;
        let second = stage.write(0);
        stage.run_until(2_000);
        assert_eq!(spread(&mut stage, second), ([Some(0), Some(10), Some(30)], 2));
        assert_eq!(stage.net.control_messages - before, 2, "both ends of the pruned link announce");
    }
}

#[test]
fn plumtree_grafts_when_the_announced_does_not_come() {
    let mut stage = stage(Plumtree::new(3, Trees::SHARED));
    stage.write(0);
    stage.run_until(1_000);
    stage.net.cut(1, 2);
    let update = stage.write(0);
    stage.run_until(2_000);
    // Announced by 0 after 50, asked for half a second later, and there a round trip after that.
    assert_eq!(spread(&mut stage, update).0, [Some(0), Some(10), Some(650)]);
    let next = stage.write(0);
    stage.run_until(3_000);
    assert_eq!(spread(&mut stage, next).0, [Some(0), Some(10), Some(50)]);
}

#[test]
fn what_is_sent_after_a_late_message_does_not_overtake_it() {
    let round_trips = RoundTrips::equal(2, 20);
    let mut stage = Stage::new(Box::new(Flood), &round_trips, Disturbance::Late, 1);
    let mut before = 0;
    let mut is_any_late = false;
    for at in 0..2_000 {
        stage.run_until(at);
        stage.write(0);
    }
    stage.run_until(5_000);
    for spread in stage.net.spreads() {
        let latency_ms = spread.latency_ms().unwrap();
        let at = spread.written_ms + latency_ms;
        assert!(at >= before);
        is_any_late |= latency_ms == 110;
        before = at;
    }
    assert!(is_any_late);
}
